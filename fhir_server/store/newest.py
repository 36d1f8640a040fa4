"""When resources of some types last changed, as a number that only grows."""

from collections.abc import Sequence
from typing import Any

import psycopg

from fhir_server.store.identity import type_number


def newest_change(connection: "psycopg.Connection[tuple[Any, ...]]", resource_types: Sequence[str]) -> int:
    """Return the `seq` of the latest change, deletions included, of `resource_types`; 0 if there is none."""
    row = connection.execute(
        "SELECT coalesce(max(newest.seq), 0) FROM unnest(%s::smallint[]) AS wanted(type),"
        " LATERAL (SELECT seq FROM resource WHERE resource.type = wanted.type"
        " ORDER BY seq DESC LIMIT 1) AS newest",
        ([type_number(name) for name in resource_types],),
    ).fetchone()
    return int(row[0]) if row is not None else 0
