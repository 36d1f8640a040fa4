"""Asynchronous answers to searches, histories, transactions and batches: https://hl7.org/fhir/R4/async.html.

``Prefer: respond-async`` makes a job of the request; its result, the Bundle that the request would
have answered, is one NDJSON file of the job's output. Not here: how a worker does it
(`fhir_server.interactions.deferred_job`).
"""

from typing import Final

from fastapi import Request, Response

from fhir_server.interactions.negotiation import FHIR_JSON, preferences
from fhir_server.interactions.server import Server
from fhir_server.store.identity import check_id, type_number
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject

KIND: Final = "request"


def deferred(request: Request, server: Server, url: str, body: bytes | None = None) -> Response | None:
    """Return the answer 202 of a request that prefers an asynchronous answer, None for all others.

    `url` is what the request asks for, relative to the base, by GET; with `body`, a Bundle, by POST. Raises
    UnknownResourceTypeError and RequestError for a path that no job could answer.
    """
    asked = preferences(request)
    if not asked.responds_async:
        return None
    _check_path(url.partition("?")[0])
    parameters: JsonObject = {
        "url": url,
        "return": asked.returns or "minimal",
        "is_lenient": asked.handling != "strict",
    }
    if body is not None:
        parameters["body"] = body.decode()

    def begin(transaction: Transaction) -> Response:
        accepted = server.jobs.begin(transaction, kind=KIND, request=str(request.url), parameters=parameters)
        return Response(accepted.body, accepted.status, accepted.headers, media_type=FHIR_JSON)

    return server.run(request, begin)


def _check_path(path: str) -> None:
    resource_type, _, rest = path.partition("/")
    if resource_type and not resource_type.startswith("_"):
        type_number(resource_type)
        resource_id = rest.partition("/")[0]
        if resource_id and not resource_id.startswith("_"):
            check_id(resource_id)
