"""From a path that ends in ``$code`` to the operation's answer.

https://hl7.org/fhir/R4/operations.html#executing. Used by the routes of the operations and by the
entries of a Bundle; holds no HTTP beyond the method and the headers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from fhir_server.interactions.server import Server
from fhir_server.operations import registry
from fhir_server.operations.inputs import read_inputs
from fhir_server.operations.operation import Call, Level, Operation, Reply
from fhir_server.store.identity import check_id, type_number
from hie.core.access import Attempt
from hie.core.db.database import Transaction
from hie.core.errors import MethodNotAllowedError, RequestError, UnknownOperationError
from hie.core.fhir.json import Json

_MOST_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Path:
    """Where an operation is called: ``Patient/1/_history/2/$meta`` with all, ``$export`` with none."""

    code: str
    resource_type: str | None = None
    resource_id: str | None = None
    version: int | None = None

    @property
    def level(self) -> Level:
        """The level that is called."""
        if self.resource_id is not None:
            return "instance"
        return "type" if self.resource_type is not None else "system"


def is_operation(url: str) -> bool:
    """Say whether the relative `url` of an entry calls an operation."""
    return url.partition("?")[0].rpartition("/")[2].startswith("$")


def parse_path(path: str) -> Path:
    """Return what the relative `path` calls; raises RequestError where that can be no operation."""
    *above, last = path.split("/")
    code = last.removeprefix("$")
    match above:
        case []:
            return Path(code)
        case [resource_type]:
            return Path(code, resource_type)
        case [resource_type, resource_id]:
            return Path(code, resource_type, resource_id)
        case [resource_type, resource_id, "_history", version] if (
            version.isascii() and version.isdigit() and len(version) <= _MOST_DIGITS
        ):
            return Path(code, resource_type, resource_id, int(version))
        case _:
            raise RequestError(f"`{path}` is no path of an operation")


def operation_at(server: Server, path: Path) -> Operation:
    """Return the operation that `path` calls; raises UnknownOperationError, RequestError for a bad path."""
    if path.resource_type is not None:
        type_number(path.resource_type)
    if path.resource_id is not None:
        check_id(path.resource_id)
    found = registry.find(path.code, path.level, path.resource_type)
    if found is None or not found.is_available(server):
        where = f"of {path.resource_type} " if path.resource_type else ""
        raise UnknownOperationError(f"There is no operation `${path.code}` {where}at {path.level} level")
    if path.version is not None and not found.definition.takes_version:
        raise UnknownOperationError(f"There is no operation `${path.code}` of a version")
    return found


def refused_get(operation: Operation) -> MethodNotAllowedError | None:
    """Return why `operation` cannot be called by GET, None where it can."""
    definition = operation.definition
    if definition.takes_get:
        return None
    reason = "changes state" if definition.affects_state else "needs inputs that no URL carries"
    return MethodNotAllowedError(f"The operation `${definition.code}` {reason}: call it by POST")


def perform(
    server: Server,
    transaction: Transaction,
    path: Path,
    *,
    is_get: bool,
    query: Sequence[tuple[str, str]],
    body: Json,
    headers: Mapping[str, str],
    url: str,
    is_lenient: bool = False,
) -> Reply:
    """Return the answer of the operation at `path`; `body` is the value of the JSON body, None without one.

    `is_lenient`: ``Prefer: handling=lenient`` is asked for.

    The access policy is asked about every operation that changes state; what others read, they read
    through the repository, which asks it. Raises MethodNotAllowedError for a GET that is none,
    RequestError for the inputs, ForbiddenError, and the operation's own errors.
    """
    operation = operation_at(server, path)
    definition = operation.definition
    refusal = refused_get(operation) if is_get else None
    if refusal is not None:
        raise refusal
    inputs = read_inputs(
        definition.inputs,
        query,
        body,
        server.repository.check,
        takes_search=definition.takes_search,
        is_lenient=definition.is_lenient and is_lenient,
    )
    if definition.affects_state:
        attempt = Attempt(f"${path.code}", path.resource_type, path.resource_id)
        server.repository.decide(transaction, attempt)
    return operation.handle(
        Call(
            server,
            transaction,
            path.resource_type,
            path.resource_id,
            inputs,
            headers,
            url,
            is_get,
            path.version,
            inputs.ignored,
        )
    )


def perform_entry(
    server: Server,
    transaction: Transaction,
    *,
    method: str,
    url: str,
    resource: Json = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return the answer to the entry of a Bundle that calls an operation by the relative `url`."""
    path, _, query = url.partition("?")
    return perform(
        server,
        transaction,
        parse_path(path),
        is_get=method in ("GET", "HEAD"),
        query=parse_qsl(query, keep_blank_values=True),
        body=resource,
        headers=headers or {},
        url=f"{server.base_url}/{url}",
    )
