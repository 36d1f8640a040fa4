"""The resources that come with the matches: `_include`, `_revinclude` and `:iterate`.

https://hl7.org/fhir/R4/search.html#revinclude. Only references that resolve to a
current resource of this server bring it along.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import type_number
from fhir_server.search.match import COLUMNS, Match, match_of
from fhir_server.search.query import Include

# The references of the resources %s to resources of type %s (null: any), newest first.
_FORWARD: Final = f"""
SELECT DISTINCT ON (r.seq) {COLUMNS}, r.type
FROM ix_reference y JOIN resource r ON r.key_hash = y.target_hash AND NOT r.is_deleted
WHERE y.rid = ANY(%s::bigint[]) AND y.param = ANY(%s::int[])
  AND (%s::smallint IS NULL OR r.type = %s::smallint)
  AND r.rid <> ALL(%s::bigint[])
ORDER BY r.seq DESC LIMIT %s
"""
# The resources that refer to the resources %s of type %s (null: any), newest first.
_REVERSE: Final = f"""
SELECT DISTINCT ON (r.seq) {COLUMNS}, r.type
FROM resource t
JOIN ix_reference y ON y.param = ANY(%s::int[]) AND y.target_hash = t.key_hash
JOIN resource r ON r.rid = y.rid
WHERE t.rid = ANY(%s::bigint[]) AND (%s::smallint IS NULL OR t.type = %s::smallint)
  AND r.rid <> ALL(%s::bigint[])
ORDER BY r.seq DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Included:
    """Resources that come along, with their types; `is_complete` is false when the limit cut them."""

    resources: tuple[tuple[str, Match], ...]
    is_complete: bool


def read_included(
    connection: Connection[tuple[Any, ...]], matches: Sequence[Match], includes: Sequence[Include], limit: int
) -> Included:
    """Return at most `limit` resources that `includes` bring along with `matches`, each once."""
    found: dict[int, tuple[str, Match]] = {}
    known = {match.rid for match in matches}
    fresh = list(known)
    is_first = True
    while fresh and (is_first or any(each.is_iterated for each in includes)):
        added: list[int] = []
        for include in includes:
            if not (is_first or include.is_iterated):
                continue
            # What one include finds, the next may start from only when it iterates.
            for resource_type, match in _read(connection, include, fresh, known, limit - len(found) + 1):
                if len(found) == limit:
                    return Included(tuple(found.values()), is_complete=False)
                found[match.rid] = (resource_type, match)
                known.add(match.rid)
                added.append(match.rid)
        fresh = added
        is_first = False
    return Included(tuple(found.values()), is_complete=True)


def _read(
    connection: Connection[tuple[Any, ...]], include: Include, start: list[int], known: set[int], limit: int
) -> list[tuple[str, Match]]:
    params = [each.number for each in include.parameters]
    target = type_number(include.target) if include.target else None
    values: tuple[object, ...] = (start, params, target, target, list(known), limit)
    if include.is_reverse:
        values = (params, start, target, target, list(known), limit)
    rows = connection.execute(_REVERSE if include.is_reverse else _FORWARD, values).fetchall()
    return [(R4_RESOURCE_TYPES[row[-1] - 1], match_of(row)) for row in rows]
