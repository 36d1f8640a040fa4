"""A GET inside a transaction or batch: read, vread, history of an instance, or search.

https://hl7.org/fhir/R4/http.html#transaction. The URL is relative to the base.
"""

from http import HTTPStatus
from urllib.parse import parse_qsl

import orjson

from fhir_server.interactions.answer import etag
from fhir_server.interactions.history import history_bundle
from fhir_server.interactions.server import Server
from fhir_server.interactions.vread import version_number
from fhir_server.search.bundle import searchset
from fhir_server.store.content import instant
from fhir_server.store.identity import type_number
from fhir_server.transaction.entry import Operation
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, RequestError
from hie.core.fhir.json import Json, JsonObject
from hie.core.ports import StoredResource


def answer(server: Server, transaction: Transaction, operation: Operation) -> JsonObject:
    """Return the response entry of the GET `operation`; raises its error, with the entry's expression."""
    try:
        return _answer(server, transaction, operation.url)
    except ExchangeError as error:
        error.expression = error.expression or operation.at("request.url")
        raise


def _answer(server: Server, transaction: Transaction, url: str) -> JsonObject:
    path, _, query = url.partition("?")
    parameters = parse_qsl(query, keep_blank_values=True)
    repository = server.repository
    match path.split("/"):
        case [resource_type]:
            type_number(resource_type)
            page = repository.search(transaction, resource_type, parameters)
            return _entry(orjson.Fragment(searchset(page, resource_type, parameters, server.base_url)))
        case [resource_type, resource_id]:
            return _resource_entry(repository.read(transaction, resource_type, resource_id))
        case [resource_type, resource_id, "_history"]:
            return _entry(history_bundle(server, transaction, resource_type, resource_id, dict(parameters)))
        case [resource_type, resource_id, "_history", version]:
            number = version_number(version, resource_type, resource_id)
            return _resource_entry(repository.vread(transaction, resource_type, resource_id, number))
        case _:
            raise RequestError(f"GET of `{path}` is not an interaction of a Bundle entry")


def _entry(resource: Json) -> JsonObject:
    return {"resource": resource, "response": {"status": _OK}}


def _resource_entry(stored: StoredResource) -> JsonObject:
    return {
        "resource": orjson.Fragment(stored.body or b""),
        "response": {
            "status": _OK,
            "etag": etag(stored.version),
            "lastModified": instant(stored.last_updated),
        },
    }


_OK = f"{HTTPStatus.OK.value} {HTTPStatus.OK.phrase}"
