"""history of an instance, a type and the system: https://hl7.org/fhir/R4/http.html#history.

Pages of an instance run by version, of a type and the system by the number that orders all
versions and the instant that the first page ended at: `_before` in a `next` link is the cursor, so that
versions made meanwhile shift nothing.
`total` is told for an instance only: the others would have to be counted whole.
"""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request, Response

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.interactions.answer import etag, json_answer
from fhir_server.interactions.deferred import deferred
from fhir_server.interactions.negotiation import check_format, preferences, read_parameters
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from fhir_server.interactions.window import Asked, listed, read_asked, text_of
from fhir_server.store.content import instant
from fhir_server.store.history import Window
from fhir_server.store.identity import type_number
from fhir_server.store.read import HistoryEntry, HistoryPage
from fhir_server.store.write import Method
from hie.core.db.database import Transaction
from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import JsonObject, dumps

_NOT_IN_LIST = HistoryPage((), 0, None)


def mount(router: APIRouter, server: Server) -> None:
    """Add ``GET [base]/[type]/[id]/_history``, ``GET [base]/[type]/_history`` and ``GET [base]/_history``."""

    @interaction(router, "/_history", name="history-system")
    def history_system(request: Request) -> Response:
        return answer(request, "", "")

    @interaction(router, "/{resource_type}/_history", name="history-type")
    def history_type(request: Request, resource_type: str) -> Response:
        type_number(resource_type)
        return answer(request, resource_type, "")

    @interaction(router, "/{resource_type}/{resource_id}/_history", name="history")
    def history(request: Request, resource_type: str, resource_id: str) -> Response:
        return answer(request, resource_type, resource_id)

    def answer(request: Request, resource_type: str, resource_id: str) -> Response:
        check_format(request)
        parameters = read_parameters(request.url.query)
        is_lenient = preferences(request).handling != "strict"
        path = "/".join(part for part in (resource_type, resource_id, "_history") if part)
        accepted = deferred(request, server, f"{path}?{request.url.query}")
        if accepted is not None:
            return accepted
        text = server.look(
            request,
            lambda transaction: dumps(
                history_bundle(
                    server, transaction, resource_type, resource_id, parameters, is_lenient=is_lenient
                )
            ),
        )
        return json_answer(request, text)


def history_bundle(
    server: Server,
    transaction: Transaction,
    resource_type: str,
    resource_id: str,
    parameters: Sequence[tuple[str, str]],
    *,
    is_lenient: bool = True,
) -> JsonObject:
    """Return a page of the history as a Bundle; raises MalformedSearchError for a bad parameter.

    With `is_lenient` parameters that history does not have are ignored. Without an id it is that of
    the type, without a type that of the system.
    """
    asked = read_asked(parameters, server, is_lenient=is_lenient)
    if (asked.before if not resource_id else asked.behind) is not None:
        raise MalformedSearchError("`_before` is not one that this history gave out", expression="_before")
    path = "/".join(part for part in (resource_type, resource_id, "_history") if part)
    bundle: JsonObject = {"resourceType": "Bundle", "type": "history"}
    if resource_id:
        page = _of_instance(server, transaction, resource_type, resource_id, asked)
        bundle["total"] = page.total
        entries = page.entries
        following = None if page.next_before is None else str(page.next_before)
    else:
        among = None if asked.list_id is None else listed(server, transaction, asked.list_id)
        feed = server.repository.feed(
            transaction,
            (resource_type,) if resource_type else R4_RESOURCE_TYPES,
            Window(asked.since, asked.at, among),
            count=asked.count,
            behind=asked.behind,
        )
        entries = feed.entries
        following = None if feed.following is None else text_of(feed.following)
    bundle["link"] = _links(f"{server.base_url}/{path}", asked.applied, following)
    if entries:
        bundle["entry"] = [_entry(entry, server.base_url) for entry in entries]
    return bundle


def _of_instance(
    server: Server, transaction: Transaction, resource_type: str, resource_id: str, asked: Asked
) -> HistoryPage:
    page = server.repository.history(
        transaction,
        resource_type,
        resource_id,
        count=asked.count,
        since=asked.since,
        at=asked.at,
        before=asked.before,
    )
    if asked.list_id is None or (resource_type, resource_id) in listed(server, transaction, asked.list_id):
        return page
    return _NOT_IN_LIST


def _entry(entry: HistoryEntry, base_url: str) -> JsonObject:
    stored = entry.resource
    status = HTTPStatus.OK
    if entry.method is Method.DELETE:
        status = HTTPStatus.NO_CONTENT
    elif stored.version == 1:
        status = HTTPStatus.CREATED
    made: JsonObject = {"fullUrl": f"{base_url}/{stored.type}/{stored.id}"}
    if stored.body is not None:
        made["resource"] = orjson.Fragment(stored.body)
    target = stored.type if entry.method is Method.POST else f"{stored.type}/{stored.id}"
    made["request"] = {"method": entry.method.name, "url": target}
    made["response"] = {
        "status": f"{status.value} {status.phrase}",
        "etag": etag(stored.version),
        "lastModified": instant(stored.last_updated),
    }
    return made


def _links(url: str, parameters: Sequence[tuple[str, str]], following: str | None) -> list[JsonObject]:
    own = urlencode(parameters)
    links: list[JsonObject] = [{"relation": "self", "url": f"{url}?{own}" if own else url}]
    if following is not None:
        kept = [pair for pair in parameters if pair[0] != "_before"]
        links.append({"relation": "next", "url": f"{url}?{urlencode([*kept, ('_before', following)])}"})
    return links
