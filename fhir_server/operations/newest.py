"""Which Observations are among the newest n of their code. Pure.

https://hl7.org/fhir/R4/observation-operation-lastn.html: two codes are one when system and code are
equal; the codings of one Observation are taken to be equal, and so are all that they connect; a code that
is only text counts by its text. Observations of the same effective time are kept together.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence

from fhir_server.store.last_n import Considered
from hie.core.fhir.json import JsonObject, loads


def newest(considered: Sequence[Considered], most: int) -> list[int]:
    """Return the rids of those that are kept, in the order of `considered`: the last effective first."""
    groups = _Groups()
    keys = [list(_keys(each)) for each in considered]
    for its_keys in keys:
        groups.join(its_keys)
    kept: dict[Hashable, list[Considered]] = {}
    found = []
    for each, its_keys in zip(considered, keys, strict=True):
        group = kept.setdefault(groups.of(its_keys[0]), [])
        if len(group) < most or _is_tie(group[-1], each):
            group.append(each)
            found.append(each.rid)
    return found


def _is_tie(last: Considered, other: Considered) -> bool:
    """Say whether both were effective at the same time, which nobody knows of those without one."""
    return last.end is not None and (last.start, last.end) == (other.start, other.end)


def _keys(each: Considered) -> Iterator[Hashable]:
    if each.codes and each.systems:
        yield from zip(each.systems, each.codes, strict=True)
        return
    resource: JsonObject = loads(each.body or "{}")
    yield resource.get("code", {}).get("text")


class _Groups:
    """Disjoint sets of keys (union-find with path halving)."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def join(self, keys: Iterable[Hashable]) -> None:
        """Make `keys` one group."""
        first: Hashable = None
        for number, key in enumerate(keys):
            root = self.of(key)
            if number == 0:
                first = root
            elif root != first:
                self._above[root] = first

    def of(self, key: Hashable) -> Hashable:
        """Return what stands for the group of `key`."""
        above = self._above
        above.setdefault(key, key)
        while above[key] != key:
            above[key] = above[above[key]]
            key = above[key]
        return key
