"""An entry of a transaction or batch that is no write: read, vread, history, search, or an operation.

https://hl7.org/fhir/R4/http.html#transaction. The URL is relative to the base.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import orjson

from fhir_server.compartments.search import compartment_search
from fhir_server.interactions.answer import etag, part_of
from fhir_server.interactions.history import history_bundle
from fhir_server.interactions.negotiation import read_parameters
from fhir_server.interactions.server import Server
from fhir_server.interactions.vread import version_number
from fhir_server.metadata import describe
from fhir_server.operations.dispatch import is_operation, perform_entry
from fhir_server.operations.operation import Reply
from fhir_server.search.bundle import searchset
from fhir_server.store.content import instant
from fhir_server.store.identity import type_number
from fhir_server.transaction.entry import Operation
from hie.core.audit.trail import Step
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, RequestError
from hie.core.fhir.json import Json, JsonObject
from hie.core.ports import StoredResource


def answer(
    server: Server, transaction: Transaction, operation: Operation, *, is_lenient: bool = False
) -> JsonObject:
    """Return the response entry of `operation`; raises its error, with the entry's expression.

    With `is_lenient`, search parameters that are not known are named in the answer and not refused.
    """
    trail = transaction.trail
    before = 0 if trail is None else len(trail.seen)
    try:
        entry = _answer(server, transaction, operation, is_lenient=is_lenient)
    except ExchangeError as error:
        error.expression = error.expression or operation.at("request.url")
        transaction.note(_step(operation, error=error))
        raise
    transaction.note(_step(operation, seen=() if trail is None else trail.seen[before:]))
    if operation.method == "HEAD":
        entry.pop("resource", None)
    return entry


def _answer(  # noqa: C901, PLR0911 - one an interaction
    server: Server, transaction: Transaction, operation: Operation, *, is_lenient: bool
) -> JsonObject:
    path, _, query = operation.url.partition("?")
    if is_operation(path):
        reply = perform_entry(
            server, transaction, method=operation.method, url=operation.url, resource=operation.resource
        )
        return _performed(reply)
    parameters = read_parameters(query)
    repository = server.repository
    match path.rstrip("/").split("/"):
        case ["metadata"]:
            described = describe(server, transaction, dict(parameters).get("mode"))
            text = part_of(described.type, described.text, dict(parameters))
            return {"resource": orjson.Fragment(text), "response": {"status": _OK, "etag": described.etag}}
        case ["_history"]:
            return _entry(history_bundle(server, transaction, "", "", parameters, is_lenient=is_lenient))
        case [resource_type]:
            if resource_type:  # none is a search of the system
                type_number(resource_type)
            found = repository.answer(transaction, resource_type, parameters, is_lenient=is_lenient)
            text = searchset(found.page, resource_type, found.query.applied, server.base_url, found.issues)
            return _entry(orjson.Fragment(text))
        case [resource_type, "_history"]:
            type_number(resource_type)
            return _entry(
                history_bundle(server, transaction, resource_type, "", parameters, is_lenient=is_lenient)
            )
        case [resource_type, resource_id]:
            stored = repository.read(transaction, resource_type, resource_id)
            return _read(operation, stored, dict(parameters))
        case [resource_type, resource_id, "_history"]:
            return _entry(
                history_bundle(
                    server, transaction, resource_type, resource_id, parameters, is_lenient=is_lenient
                )
            )
        case [resource_type, resource_id, "_history", version]:
            number = version_number(version, resource_type, resource_id)
            stored = repository.vread(transaction, resource_type, resource_id, number)
            return _read(operation, stored, dict(parameters))
        case [compartment, owner_id, resource_type]:
            text = compartment_search(
                server, transaction, (compartment, owner_id), resource_type, parameters, is_lenient=is_lenient
            )
            return _entry(orjson.Fragment(text))
        case _:
            raise RequestError(f"GET of `{path}` is not an interaction of a Bundle entry")


def _step(
    operation: Operation, *, seen: Sequence[tuple[str, str]] = (), error: ExchangeError | None = None
) -> Step:
    """Return what the audit trail says of the entry."""
    path, _, query = operation.url.partition("?")
    parts = path.strip("/").split("/")
    is_target = len(parts) > 1 and not parts[1].startswith(("_", "$"))
    return Step(
        _interaction(parts),
        "R" if is_target and not is_operation(path) else "E",
        target=path,
        query=query,
        status=HTTPStatus.OK if error is None else error.status,
        error="" if error is None else type(error).__name__,
        seen=tuple(seen),
        is_change=operation.is_call and error is None,
    )


def _interaction(parts: Sequence[str]) -> str:
    """Return the code of https://hl7.org/fhir/R4/valueset-restful-interaction.html, or the operation."""
    last = parts[-1]
    if last.startswith("$"):
        return last
    if last == "metadata":
        return "capabilities"
    if "_history" in parts:
        return "vread" if last != "_history" else _HISTORIES[min(len(parts), len(_HISTORIES)) - 1]
    named = len([part for part in parts if part])
    return "read" if named == _TYPE_AND_ID else ("search-type" if named else "search-system")


_HISTORIES = ("history-system", "history-type", "history-instance")
_TYPE_AND_ID = 2


def _entry(resource: Json) -> JsonObject:
    return {"resource": resource, "response": {"status": _OK}}


def _performed(reply: Reply) -> JsonObject:
    """Return the answer of an operation, with those of its headers that an entry has a place for."""
    status = HTTPStatus(reply.status)
    response = {"status": f"{status.value} {status.phrase}"}
    for name, element in (("Location", "location"), ("Content-Location", "location"), ("ETag", "etag")):
        if name in reply.headers:
            response[element] = reply.headers[name]
    return {
        **({} if reply.body is None else {"resource": orjson.Fragment(reply.body)}),
        "response": response,
    }


def _read(operation: Operation, stored: StoredResource, parameters: Mapping[str, str]) -> JsonObject:
    """Return the resource, or that it is what the client has already.

    That is what request.ifNoneMatch and ifModifiedSince ask; the first goes before the second.
    """
    response = {
        "status": _OK,
        "etag": etag(stored.version),
        "lastModified": instant(stored.last_updated),
    }
    known, since = operation.if_none_match, operation.if_modified_since
    is_known = since is not None and stored.last_updated <= since
    if is_known if known is None else known.names(stored.version):
        return {"response": {**response, "status": _NOT_MODIFIED}}
    text = part_of(stored.type, stored.body or b"", parameters)
    return {"resource": orjson.Fragment(text), "response": response}


_OK = f"{HTTPStatus.OK.value} {HTTPStatus.OK.phrase}"
_NOT_MODIFIED = f"{HTTPStatus.NOT_MODIFIED.value} {HTTPStatus.NOT_MODIFIED.phrase}"
