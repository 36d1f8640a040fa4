"""SearchParameter resources that clients store, as parameters of this server.

https://hl7.org/fhir/R4/searchparameter.html. One that is stored (registered) is indexed
from then on; searches may use it when `$reindex` has gone over what was stored before, which
`active_search_parameter` says. Every process looks for changes once a second, also for types of
which contained resources are stored: only into those are chains followed. Parameters of R4
itself cannot be replaced.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from psycopg import Connection

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import (
    ANY_RESOURCE,
    SearchParameter,
    SearchParameterRegistry,
    digest_of,
    load_registry,
    type_number,
)
from fhir_server.index.indexer import Indexer
from fhir_server.store.bodies import open_rows
from hie.core.fhir.json import JsonObject, loads

# How long a process may take to see what another one has stored.
FRESH_SECONDS: Final = 1.0
_UNUSED: Final = frozenset({"retired"})
_STATE: Final = """
SELECT (SELECT seq FROM resource WHERE type = %s ORDER BY seq DESC LIMIT 1),
       ARRAY(SELECT resource_type || ' ' || code || ' ' || digest FROM active_search_parameter ORDER BY 1)
"""
# One look into the index for each type of which there are contained resources.
_CONTAINED: Final = """
WITH RECURSIVE found (type) AS (
    (SELECT type FROM contained ORDER BY type LIMIT 1)
    UNION ALL
    SELECT (SELECT c.type FROM contained c WHERE c.type > found.type ORDER BY c.type LIMIT 1)
    FROM found WHERE found.type IS NOT NULL
) SELECT type FROM found WHERE type IS NOT NULL
"""
_DEFINITIONS: Final = (
    "SELECT type, id, version, body FROM resource WHERE type = %s AND NOT is_deleted ORDER BY seq"
)
_ACTIVE: Final = "SELECT resource_type, code, digest FROM active_search_parameter"

# type -> code -> definition, as `SearchParameterRegistry` takes them.
Definitions = Mapping[str, Mapping[str, JsonObject]]


class StoredParameters:
    """Keeps an indexer's registry what is stored; safe to share between threads."""

    def __init__(self, indexer: Indexer, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take the indexer whose registry follows what is stored, and what measures time in seconds."""
        self._indexer = indexer
        self._monotonic = monotonic
        self._looked_at = float("-inf")
        self._state: tuple[Any, ...] | None = None

    def refresh(self, connection: Connection[tuple[Any, ...]], *, is_forced: bool = False) -> None:
        """Take over what was stored since; looks at most once in FRESH_SECONDS unless `is_forced`."""
        now = self._monotonic()
        if not is_forced and now - self._looked_at < FRESH_SECONDS:
            return
        self._looked_at = now
        self._indexer.contained_types.update(row[0] for row in connection.execute(_CONTAINED))
        number = type_number("SearchParameter")
        state = connection.execute(_STATE, (number,)).fetchone()
        if state == self._state:
            return
        rows = connection.execute(_DEFINITIONS, (number,)).fetchall()
        stored = [loads(body or b"{}") for body in open_rows(connection, rows)]
        active = {(row[0], row[1]): row[2] for row in connection.execute(_ACTIVE)}
        self._indexer.replace_registry(registry_of(stored, active))
        self._state = state


def registry_of(
    resources: Iterable[JsonObject], active: Mapping[tuple[str, str], str]
) -> SearchParameterRegistry:
    """Return R4's registry with the parameters that `resources` define; of one name the last counts.

    `active` is (type, code) -> digest of those that the whole index holds.
    """
    official = load_registry()
    found: dict[str, dict[str, JsonObject]] = {}
    usable = [each for each in resources if _is_usable(each)]
    codes = {each["url"]: each["code"] for each in usable}
    for resource in usable:
        for base in _bases(resource):
            code = resource["code"]
            if code in official.of(base):
                continue
            definition = _definition(resource, codes)
            is_active = active.get((base, code)) == digest_of(definition)
            found.setdefault(base, {})[code] = {**definition, "active": is_active}
    return official.extended(found)


def parameters_of(resource: JsonObject) -> Iterator[SearchParameter]:
    """Return what `resource` alone defines, a parameter for each type; none where it replaces R4's own."""
    registry = registry_of([resource], {})
    for resource_type, entries in registry.stored.items():
        for code in entries:
            yield registry.of(resource_type)[code]


def _is_usable(resource: JsonObject) -> bool:
    """Return whether a definition is in use and has what a parameter needs."""
    return resource.get("status") not in _UNUSED and all(
        isinstance(resource.get(name), str) for name in ("url", "code", "type")
    )


def _bases(resource: JsonObject) -> list[str]:
    bases = [each for each in resource.get("base", []) if isinstance(each, str)]
    if ANY_RESOURCE in bases or "DomainResource" in bases:
        return list(R4_RESOURCE_TYPES)
    return [each for each in bases if type_number(each) is not None]


def _definition(resource: JsonObject, codes: Mapping[str, str]) -> JsonObject:
    found: JsonObject = {
        "type": resource["type"],
        "url": resource["url"],
        "expression": resource.get("expression", ""),
    }
    if resource["type"] == "reference":
        found["target"] = resource.get("target") or [ANY_RESOURCE]
    components = [each for each in resource.get("component", []) if isinstance(each, dict)]
    if components:
        found["component"] = [
            [_code_of(str(each.get("definition")), codes), str(each.get("expression", ""))]
            for each in components
        ]
    return found


def _code_of(url: str, codes: Mapping[str, str]) -> str:
    """Return the code of the parameter with the canonical `url`: stored, or R4's ``Type-code``."""
    plain = url.partition("|")[0]
    return codes.get(plain) or plain.rpartition("/")[2].partition("-")[2]
