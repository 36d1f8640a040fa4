"""The keys by which subscriptions are found for a resource, so that thousands need not be asked one by one.

An anchor of a condition is a set of keys of which a resource that satisfies it has at least one: a code, a
target, a URI, an id. Subscriptions whose criteria have none are asked of every resource of their type.
"""

from collections.abc import Iterable

from fhir_server.index.hashing import hash64
from fhir_server.search.conditions import AllOf, AnyOf, Condition, IdIs, ReferenceIs, TokenIs, UriIs
from fhir_server.subscriptions.holds import Version

Key = tuple[str, int, int | str]
"""Kind of row, param, and what it holds."""


def anchor_of(conditions: Iterable[Condition]) -> frozenset[Key] | None:
    """Return the smallest anchor among `conditions`, all of which must hold; None when there is none."""
    found = [keys for keys in map(_anchor, conditions) if keys is not None]
    return min(found, key=len, default=None)


def keys_of(version: Version) -> set[Key]:
    """Return all keys that `version` has."""
    rows = version.rows
    keys: set[Key] = {("token", param, code) for param, code, _ in rows.token}
    keys.update(("reference", param, target) for param, target, _ in rows.reference)
    keys.update(("uri", param, number) for param, number, _ in rows.uri)
    keys.add(("id", 0, version.id))
    return keys


def _anchor(condition: Condition) -> frozenset[Key] | None:  # noqa: PLR0911 - a case a kind
    match condition:
        case TokenIs():
            codes = [each.code_hash for each in condition.values]
            known = [code for code in codes if code is not None]
            if len(known) < len(codes):
                return None
            return frozenset(("token", condition.param, code) for code in known)
        case ReferenceIs():
            return frozenset(("reference", condition.param, target) for target in condition.targets)
        case UriIs(is_below=False):
            return frozenset(("uri", condition.param, hash64(value)) for value in condition.values)
        case IdIs():
            return frozenset(("id", 0, each) for each in condition.ids)
        case AllOf():
            return anchor_of(condition.conditions)
        case AnyOf():
            parts = [_anchor(each) for each in condition.conditions]
            known_parts = [part for part in parts if part is not None]
            return None if len(known_parts) < len(parts) else frozenset().union(*known_parts)
        case _:
            return None
