"""Status, cancellation and files of jobs over HTTP.

https://hl7.org/fhir/R4/async.html, https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request.
A job is answered to nobody but its requester; to anyone else it does not exist.
"""

from collections.abc import Iterator
from email.utils import format_datetime
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from fhir_server.interactions.server import Server
from fhir_server.jobs.job import Job
from fhir_server.jobs.service import PATH
from fhir_server.jobs.tables import JobState
from hie.core.db.database import Transaction
from hie.core.errors import Issue, outcome
from hie.core.fhir.json import dumps
from hie.core.web.content_coding import accepted_coding

FHIR_JSON = "application/fhir+json; charset=utf-8"
NDJSON = "application/fhir+ndjson"

_RETRY_SECONDS = "1"
# Compressing more at once would hold other requests for more than some milliseconds.
_PIECE_BYTES = 128 * 1024


def mount(router: APIRouter, server: Server) -> None:
    """Add ``[base]/_jobs/[id]`` and its files; mount it before the routes that take any type and id."""
    jobs = server.jobs

    @router.api_route(f"/{PATH}/{{identity}}", name="job status", methods=["GET", "HEAD"])
    def status(request: Request, identity: str) -> Response:
        job = server.run(request, lambda transaction: jobs.find(transaction, identity))
        return _status(server, job)

    @router.delete(f"/{PATH}/{{identity}}", name="job cancellation")
    def cancel(request: Request, identity: str) -> Response:
        def work(transaction: Transaction) -> None:
            jobs.cancel(transaction, identity)

        server.run(request, work)
        said = outcome([Issue("information", "informational", f"The job `{identity}` is given up")])
        return Response(dumps(said), HTTPStatus.ACCEPTED, media_type=FHIR_JSON)

    @router.api_route(f"/{PATH}/{{identity}}/{{name}}", name="job file", methods=["GET", "HEAD"])
    def file(request: Request, identity: str, name: str) -> Response:
        path = server.run(request, lambda transaction: jobs.file(transaction, identity, name))
        if request.method == "GET" and accepted_coding(request.headers.get("accept-encoding", "")):
            # Sent in pieces, which are compressed on their way; else the server sends the file itself.
            return StreamingResponse(_pieces(path), media_type=NDJSON)
        return FileResponse(path, media_type=NDJSON)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _status(server: Server, job: Job) -> Response:
    if job.state is JobState.DONE:
        headers = {"Expires": format_datetime(job.expires_at, usegmt=True)} if job.expires_at else {}
        return Response(_manifest(server, job), HTTPStatus.OK, headers, media_type="application/json")
    if job.state is JobState.FAILED:
        error = job.error or {}
        return Response(dumps(error["outcome"]), error["status"], media_type=FHIR_JSON)
    headers = {"X-Progress": job.progress or job.state, "Retry-After": _RETRY_SECONDS}
    return Response(status_code=HTTPStatus.ACCEPTED, headers=headers)


def _manifest(server: Server, job: Job) -> bytes:
    """Return the manifest, with the URLs of its files."""
    manifest = dict((job.output or {}).get("manifest", {}))
    for group in ("output", "deleted", "error"):
        if group in manifest:
            manifest[group] = [
                {**entry, "url": f"{server.base_url}/{PATH}/{job.id}/{entry['url']}"}
                if "url" in entry
                else entry
                for entry in manifest[group]
            ]
    return dumps(manifest)
