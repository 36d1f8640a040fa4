"""Answers what values of a search refer to from the resources that are stored: `LookUp` over the tables.

Value sets and code systems are those of ValueSet and CodeSystem resources of this
server; hierarchies of places and organizations are read from the reference index.
"""

from collections.abc import Sequence
from typing import Any, Final

from psycopg import Connection

from fhir_server.definitions.search_parameters import type_number
from fhir_server.full_text.unindexed import missing
from fhir_server.index.hashing import hash64, param_id
from fhir_server.search.code_hierarchy import relatives
from fhir_server.search.look_up import Code, Unindexed
from fhir_server.search.value_set import members_of
from fhir_server.store.bodies import open_rows
from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import JsonObject, loads

# The newest of the resources with the canonical URL; the version is compared where one is asked for.
_BY_URL: Final = """
SELECT r.type, r.id, r.version, r.body FROM ix_uri x JOIN resource r ON r.rid = x.rid
WHERE x.param = %s AND x.uri_hash = %s ORDER BY x.seq DESC
"""
_BY_ID: Final = "SELECT type, id, version, body FROM resource WHERE type = %s AND id = %s AND NOT is_deleted"
# From a whole to its parts, or from a part to its wholes; UNION ends circles.
_BELOW: Final = """
WITH RECURSIVE part (rid, key_hash, id) AS (
    SELECT rid, key_hash, id FROM resource WHERE type = %(type)s AND id = %(id)s
    UNION
    SELECT r.rid, r.key_hash, r.id
    FROM part JOIN ix_reference y ON y.param = %(param)s AND y.target_hash = part.key_hash
    JOIN resource r ON r.rid = y.rid
) SELECT id FROM part
"""
_ABOVE: Final = """
WITH RECURSIVE part (rid, key_hash, id) AS (
    SELECT rid, key_hash, id FROM resource WHERE type = %(type)s AND id = %(id)s
    UNION
    SELECT r.rid, r.key_hash, r.id
    FROM part JOIN ix_reference y ON y.rid = part.rid AND y.param = %(param)s
    JOIN resource r ON r.key_hash = y.target_hash AND r.type = %(type)s AND NOT r.is_deleted
) SELECT id FROM part
"""


class StoredLookUp:
    """Reads by one connection, inside the search's transaction."""

    def __init__(self, connection: Connection[tuple[Any, ...]]) -> None:
        """Take the connection; nothing is read before it is asked for."""
        self._connection = connection
        self._unindexed: dict[str, Sequence[Unindexed]] = {}
        self.behind: dict[str, int] = {}
        """Of each type that was asked for, how many resources the words of `_text` lack, where too many."""

    def members(self, value_set: str) -> Sequence[Code]:
        """Return the codes of a value set, as `LookUp.members`."""
        return members_of(self._find("ValueSet", value_set), self._value_set, self._code_system)

    def below(self, system: str, code: str) -> Sequence[str]:
        """Return `code` and what it subsumes, as `LookUp.below`."""
        return relatives(self._find("CodeSystem", system), code, is_above=False)

    def above(self, system: str, code: str) -> Sequence[str]:
        """Return `code` and what subsumes it, as `LookUp.above`."""
        return relatives(self._find("CodeSystem", system), code, is_above=True)

    def parts(self, resource_type: str, resource_id: str, parameter: int, *, is_above: bool) -> Sequence[str]:
        """Return the ids of a resource's parts or wholes with its own, as `LookUp.parts`."""
        values = {"type": type_number(resource_type), "id": resource_id, "param": parameter}
        rows = self._connection.execute(_ABOVE if is_above else _BELOW, values)
        return [row[0] for row in rows]

    def unindexed(self, resource_type: str) -> Sequence[Unindexed]:
        """Return the resources whose words are not indexed, as `LookUp.unindexed`."""
        found = self._unindexed.get(resource_type)
        if found is None:
            versions, behind = missing(self._connection, type_number(resource_type) or 0)
            found = [Unindexed(rid, seq, loads(body)) for rid, seq, body in versions]
            self._unindexed[resource_type] = found
            if behind:
                self.behind[resource_type] = behind
        return found

    def _value_set(self, url: str) -> JsonObject:
        return self._find("ValueSet", url)

    def _code_system(self, url: str) -> JsonObject:
        return self._find("CodeSystem", url)

    def _find(self, resource_type: str, url: str) -> JsonObject:
        """Return the resource with the canonical ``url`` or ``url|version``, or named ``Type/id``."""
        plain, _, version = url.partition("|")
        rows = self._connection.execute(_BY_URL, (param_id(resource_type, "url"), hash64(plain))).fetchall()
        if not rows and plain.startswith(f"{resource_type}/"):
            identifier = plain.removeprefix(f"{resource_type}/")
            rows = self._connection.execute(_BY_ID, (type_number(resource_type), identifier)).fetchall()
        for body in open_rows(self._connection, rows):
            found: JsonObject = loads(body or b"{}")
            if version in {"", found.get("version")}:
                return found
        raise MalformedSearchError(f"{resource_type} `{url}` is not stored on this server")
