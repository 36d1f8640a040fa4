"""The profiles, tags and security labels that current resources carry (https://hl7.org/fhir/R4/resource.html#Meta).

The index tables hold hashes of tags and labels: one resource for each distinct one is read for its text.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Iterable
from typing import Any

from psycopg import Connection

from fhir_server.index.hashing import param_id
from fhir_server.search.sql import Sql, all_of
from fhir_server.store.bodies import open_rows
from hie.core.fhir.json import JsonObject, loads


def labels_in_use(
    connection: Connection[tuple[Any, ...]], resource_types: Iterable[str], readable: Sql
) -> JsonObject:
    """Return a Meta of all labels of current resources of `resource_types`, each once, sorted.

    `readable` is a predicate over a row "r" of `resource`.
    """
    types = list(resource_types)
    tokens = [param_id(name, code) for name in types for code in ("_tag", "_security")]
    profiles = [param_id(name, "_profile") for name in types]
    # Index rows are those of current resources: they are looked at only where not all may be read.
    join = "" if readable == all_of(()) else "JOIN resource r USING (rid)"
    rows = connection.execute(
        f"SELECT type, id, version, body FROM resource WHERE rid IN ("
        f"SELECT DISTINCT ON (t.param, t.code_hash, t.system_hash) t.rid"
        f" FROM ix_token t {join} WHERE t.param = ANY(%s) AND {readable.text})",
        (tokens, *readable.params),
        binary=True,
    ).fetchall()
    found: dict[str, dict[object, JsonObject]] = {"security": {}, "tag": {}}
    for body in open_rows(connection, rows):
        meta: JsonObject = loads(body or b"{}").get("meta", {})
        for name, known in found.items():
            for coding in meta.get(name, ()):
                known.setdefault((coding.get("system", ""), coding.get("code", "")), coding)
    urls = connection.execute(
        f"SELECT DISTINCT u.uri FROM ix_uri u {join}"
        f" WHERE u.param = ANY(%s) AND {readable.text} ORDER BY u.uri",
        (profiles, *readable.params),
    ).fetchall()
    made: JsonObject = {"profile": [url for (url,) in urls]} if urls else {}
    for name, known in found.items():
        if known:
            made[name] = [known[key] for key in sorted(known, key=str)]
    return made
