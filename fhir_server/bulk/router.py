"""`POST [base]/$import` with NDJSON in its body, as large as may be.

The body is written to the job's folder as it comes, and imported by the job: the request holds no more
of it in memory than a piece. `$import` with Parameters is an operation like any other.
"""

import shutil
from pathlib import Path
from uuid import UUID, uuid4

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import Match
from starlette.types import Scope

from fhir_server.bulk.import_ import KIND, POSTED
from fhir_server.bulk.kick_off import FORMATS
from fhir_server.interactions.negotiation import FHIR_JSON, check_format
from fhir_server.interactions.server import Server
from fhir_server.jobs.kick_off import require_async
from fhir_server.jobs.queue import folder_of
from fhir_server.jobs.service import Accepted
from hie.core.access import Attempt
from hie.core.db.database import Transaction
from hie.core.errors import PayloadTooLargeError, UnsupportedMediaTypeError

_CODINGS = frozenset({"", "identity", "gzip"})


class _NdjsonRoute(APIRoute):
    """A route of requests whose body is NDJSON."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        if match is not Match.NONE:
            headers = dict(scope["headers"])
            given = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
            if given not in FORMATS:
                return Match.NONE, {}
        return match, child


def mount(router: APIRouter, server: Server) -> None:
    """Add ``POST [base]/$import`` for NDJSON; mount it before the operations."""

    async def import_body(request: Request) -> Response:
        check_format(request)
        require_async(request.headers, "import")
        coding = request.headers.get("content-encoding", "").strip().lower()
        if coding not in _CODINGS:
            raise UnsupportedMediaTypeError(f"The content coding `{coding}` is not supported; gzip is")
        await run_in_threadpool(server.run, request, permit)
        identity = uuid4()
        folder = folder_of(server.jobs.folder, identity)
        try:
            await _receive(request, folder / POSTED, server.import_body_bytes)
            accepted = await run_in_threadpool(
                server.run, request, lambda transaction: begin(transaction, identity)
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Response(accepted.body, accepted.status, accepted.headers, media_type=FHIR_JSON)

    def permit(transaction: Transaction) -> None:
        server.repository.decide(transaction, Attempt("$import", None))

    def begin(transaction: Transaction, identity: UUID) -> Accepted:
        url = f"{server.base_url}/$import"
        parameters = {"input": [{"url": url, "type": None, "posted": POSTED}], "inputSource": None}
        return server.jobs.begin(
            transaction, kind=KIND, request=url, parameters=parameters, identity=identity
        )

    router.add_api_route(
        "/$import", import_body, methods=["POST"], name="import", route_class_override=_NdjsonRoute
    )


async def _receive(request: Request, path: Path, limit_bytes: int) -> None:
    """Write the body of `request` to `path` as it comes; raises PayloadTooLargeError past `limit_bytes`."""
    path.parent.mkdir(parents=True)
    size = 0
    with path.open("wb") as file:
        async for piece in request.stream():
            size += len(piece)
            if size > limit_bytes:
                raise PayloadTooLargeError(f"The body is larger than {limit_bytes} bytes")
            file.write(piece)
