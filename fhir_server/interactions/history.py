"""history of an instance: https://hl7.org/fhir/R4/http.html#history.

Pages run by version: `_before` in a `next` link is the cursor, so that versions
made meanwhile shift nothing. History of a type and of the system are not offered.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import etag, json_answer
from fhir_server.interactions.negotiation import check_format
from fhir_server.interactions.server import Server
from fhir_server.store.content import instant
from fhir_server.store.read import HistoryEntry, HistoryPage
from fhir_server.store.write import Method
from hie.core.db.database import Transaction
from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import JsonObject, dumps

_KNOWN = ("_count", "_since", "_before", "_format", "_pretty")


def mount(router: APIRouter, server: Server) -> None:
    """Add ``GET [base]/[type]/[id]/_history``."""

    @router.api_route("/{resource_type}/{resource_id}/_history", name="history", methods=["GET", "HEAD"])
    def history(request: Request, resource_type: str, resource_id: str) -> Response:
        check_format(request)
        parameters = dict(request.query_params)
        text = server.run(
            lambda transaction: dumps(
                history_bundle(server, transaction, resource_type, resource_id, parameters)
            )
        )
        return json_answer(request, text)


def history_bundle(
    server: Server,
    transaction: Transaction,
    resource_type: str,
    resource_id: str,
    parameters: Mapping[str, str],
) -> JsonObject:
    """Return a page of the history as a Bundle; raises MalformedSearchError for a bad parameter."""
    for name in parameters:
        if name not in _KNOWN:
            raise MalformedSearchError(f"`{name}` is not a parameter of history", expression=name)
    count = _number(parameters, "_count")
    count = server.page_size if count is None else min(count, server.page_size_limit)
    before = _number(parameters, "_before")
    page = server.repository.history(
        transaction, resource_type, resource_id, count=count, since=_since(parameters), before=before
    )
    url = f"{server.base_url}/{resource_type}/{resource_id}"
    return {
        "resourceType": "Bundle",
        "type": "history",
        "total": page.total,
        "link": _links(f"{url}/_history", parameters, page),
        "entry": [_entry(entry, url) for entry in page.entries],
    }


def _entry(entry: HistoryEntry, url: str) -> JsonObject:
    stored = entry.resource
    status = HTTPStatus.OK
    if entry.method is Method.DELETE:
        status = HTTPStatus.NO_CONTENT
    elif stored.version == 1:
        status = HTTPStatus.CREATED
    made: JsonObject = {"fullUrl": url}
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


def _links(url: str, parameters: Mapping[str, str], page: HistoryPage) -> list[JsonObject]:
    own = urlencode(parameters)
    links: list[JsonObject] = [{"relation": "self", "url": f"{url}?{own}" if own else url}]
    if page.next_before is not None:
        following = urlencode({**parameters, "_before": str(page.next_before)})
        links.append({"relation": "next", "url": f"{url}?{following}"})
    return links


def _number(parameters: Mapping[str, str], name: str) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - int4
        raise MalformedSearchError(f"`{text}` is not a number", expression=name)
    return int(text)


def _since(parameters: Mapping[str, str]) -> datetime | None:
    text = parameters.get("_since")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise MalformedSearchError(f"`{text}` is not an instant", expression="_since") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
