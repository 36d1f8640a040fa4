"""Pages of contained resources themselves (``_containedType=contained``).

https://hl7.org/fhir/R4/search.html#contained. Containers are read page by page, as stable under writes
as all pages are, and of each the contained resources that match are shown, in their order. A page
ends where another container would make it too long; a container that holds more matches than a
page is shown over several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from psycopg import Connection

from fhir_server.index.contained import position_of
from fhir_server.search.compile import Plan, SystemPlan
from fhir_server.search.contained_plan import ContainedPlan, EntriesPlan
from fhir_server.search.cursor import AnyCursor, ContainedCursor
from fhir_server.search.match import Match, Page, execute
from fhir_server.search.page import read_page
from fhir_server.search.query import Query
from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import dumps, loads

# Places in a container: before all, and that of the container itself.
_NOTHING: Final = -2
_ITSELF: Final = -1


def read_any_page(
    connection: Connection[tuple[Any, ...]], plan: Plan | SystemPlan, query: Query, cursor: AnyCursor | None
) -> Page:
    """Return the matches behind `cursor`, the first page when it is None: resources, or what they contain.

    Raises MalformedSearchError for a cursor of another order.
    """
    if isinstance(plan, EntriesPlan):
        return _read_entries(connection, plan.containers, query, cursor)
    if isinstance(cursor, ContainedCursor):
        raise MalformedSearchError("`_cursor` is not one that this search gave out", expression="_cursor")
    return read_page(connection, plan, query, cursor)


def _read_entries(
    connection: Connection[tuple[Any, ...]], plan: ContainedPlan, query: Query, cursor: AnyCursor | None
) -> Page:
    """Return the contained resources that match, and, for ``_contained=both``, resources of their own."""
    if isinstance(cursor, ContainedCursor):
        behind, shown = cursor.behind, cursor.position
    else:
        behind, shown = cursor, _NOTHING
    page = read_page(connection, plan, query, behind)
    entries = _entries(connection, plan, page.matches)
    listed = [_shown(match, entries.get(match.rid, [])) for match in page.matches]
    if listed:
        listed[0] = [each for each in listed[0] if _position(each) > shown]
    whole = 0
    room = query.count
    while whole < len(listed) and len(listed[whole]) <= room:
        room -= len(listed[whole])
        whole += 1
    found = tuple(each for container in listed[:whole] for each in container)
    if whole == len(listed):
        return Page(found, page.next)
    if whole == 0:
        part = tuple(listed[0][: query.count])
        return Page(part, ContainedCursor(behind, _position(part[-1])))
    return Page(found, read_page(connection, plan, replace(query, count=whole), behind).next)


def _entries(
    connection: Connection[tuple[Any, ...]], plan: ContainedPlan, containers: Sequence[Match]
) -> Mapping[int, list[int]]:
    """Return what matches in each of `containers`: its own rid, or those of contained resources."""
    found: dict[int, list[int]] = {}
    if containers:
        statement = plan.entries([each.rid for each in containers])
        for rid, container in execute(connection, statement, depends_on_values=plan.depends_on_values):
            found.setdefault(container, []).append(rid)
    return found


def _shown(container: Match, rids: Sequence[int]) -> list[Match]:
    """Return the matches `rids` in and of `container`, which comes first itself."""
    found: list[Match] = [container] if container.rid in rids else []
    inside = sorted({position_of(rid): rid for rid in rids if rid < 0}.items())
    if not inside:
        return found
    contained = loads(container.body)["contained"]
    for position, rid in inside:
        each = contained[position]
        found.append(
            Match(
                rid,
                each["resourceType"],
                each.get("id", ""),
                container.version,
                container.last_updated,
                dumps(each),
                f"{container.type}/{container.id}",
            )
        )
    return found


def _position(match: Match) -> int:
    """Return the place of a match in its container; the container itself comes before all."""
    return position_of(match.rid) if match.rid < 0 else _ITSELF
