"""An entry of a transaction or batch that is no write: read, vread, history, search, or an operation.

https://hl7.org/fhir/R4/http.html#transaction. The URL is relative to the base.
"""

from http import HTTPStatus

import orjson

from fhir_server.compartments.search import compartment_search
from fhir_server.interactions.answer import etag
from fhir_server.interactions.history import history_bundle
from fhir_server.interactions.negotiation import read_parameters
from fhir_server.interactions.server import Server
from fhir_server.interactions.vread import version_number
from fhir_server.operations.dispatch import is_operation, perform_entry
from fhir_server.search.bundle import searchset
from fhir_server.store.content import instant
from fhir_server.store.identity import type_number
from fhir_server.transaction.entry import Operation
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
    try:
        entry = _answer(server, transaction, operation, is_lenient=is_lenient)
    except ExchangeError as error:
        error.expression = error.expression or operation.at("request.url")
        raise
    if operation.method == "HEAD":
        entry.pop("resource", None)
    return entry


def _answer(  # noqa: PLR0911 - one an interaction
    server: Server, transaction: Transaction, operation: Operation, *, is_lenient: bool
) -> JsonObject:
    path, _, query = operation.url.partition("?")
    if is_operation(path):
        reply = perform_entry(
            server, transaction, method=operation.method, url=operation.url, resource=operation.resource
        )
        status = HTTPStatus(reply.status)
        response = {"response": {"status": f"{status.value} {status.phrase}"}}
        return response if reply.body is None else {"resource": orjson.Fragment(reply.body), **response}
    parameters = read_parameters(query)
    repository = server.repository
    match path.rstrip("/").split("/"):
        case ["_history"]:
            return _entry(history_bundle(server, transaction, "", "", parameters))
        case [resource_type]:
            if resource_type:  # none is a search of the system
                type_number(resource_type)
            found = repository.answer(transaction, resource_type, parameters, is_lenient=is_lenient)
            text = searchset(found.page, resource_type, found.query.applied, server.base_url, found.issues)
            return _entry(orjson.Fragment(text))
        case [resource_type, "_history"]:
            type_number(resource_type)
            return _entry(history_bundle(server, transaction, resource_type, "", parameters))
        case [resource_type, resource_id]:
            return _read(operation, repository.read(transaction, resource_type, resource_id))
        case [resource_type, resource_id, "_history"]:
            return _entry(history_bundle(server, transaction, resource_type, resource_id, parameters))
        case [resource_type, resource_id, "_history", version]:
            number = version_number(version, resource_type, resource_id)
            return _read(operation, repository.vread(transaction, resource_type, resource_id, number))
        case [compartment, owner_id, resource_type]:
            text = compartment_search(server, transaction, (compartment, owner_id), resource_type, parameters)
            return _entry(orjson.Fragment(text))
        case _:
            raise RequestError(f"GET of `{path}` is not an interaction of a Bundle entry")


def _entry(resource: Json) -> JsonObject:
    return {"resource": resource, "response": {"status": _OK}}


def _read(operation: Operation, stored: StoredResource) -> JsonObject:
    """Return the resource, or that it is what the client has already (request.ifNoneMatch)."""
    response = {
        "status": _OK,
        "etag": etag(stored.version),
        "lastModified": instant(stored.last_updated),
    }
    known = operation.if_none_match
    if known is not None and known.names(stored.version):
        return {"response": {**response, "status": _NOT_MODIFIED}}
    return {"resource": orjson.Fragment(stored.body or b""), "response": response}


_OK = f"{HTTPStatus.OK.value} {HTTPStatus.OK.phrase}"
_NOT_MODIFIED = f"{HTTPStatus.NOT_MODIFIED.value} {HTTPStatus.NOT_MODIFIED.phrase}"
