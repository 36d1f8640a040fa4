"""Jobs as the repository offers them: begin one, say how it stands, give it up.

https://hl7.org/fhir/R4/async.html. Works in the caller's transaction; what a status looks like in
HTTP is said in `fhir_server.jobs.router`.
"""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from uuid import UUID, uuid4

from fhir_server.jobs import queue
from fhir_server.jobs.job import Job
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import Issue, NotFoundError, outcome
from hie.core.fhir.json import JsonObject, dumps

PATH = "_jobs"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a request that became a job: HTTP 202, where to ask for it, an OperationOutcome."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of a server; `folder` is where workers put their files, `base_url` that of FHIR."""

    base_url: str
    folder: Path
    clock: Clock

    def begin(
        self,
        transaction: Transaction,
        *,
        kind: str,
        request: str,
        parameters: JsonObject,
        identity: UUID | None = None,
    ) -> Accepted:
        """Add a job for the transaction's requester; `request` is the full URL that asked for it.

        `identity` is its id where its folder was made before.
        """
        identity = queue.enqueue(
            transaction,
            kind=kind,
            request=request,
            parameters=parameters,
            now=self.clock.now(),
            identity=identity or uuid4(),
        )
        where = f"{self.base_url}/{PATH}/{identity}"
        said = outcome(
            [Issue("information", "informational", f"The work goes on; ask {where} how it stands")]
        )
        return Accepted(HTTPStatus.ACCEPTED, {"Content-Location": where}, dumps(said))

    def find(self, transaction: Transaction, identity: str) -> Job:
        """Return the job; raises NotFoundError for one that is not the requester's or is past its time."""
        job = queue.read(transaction, _uuid(identity))
        if job.expires_at is not None and job.expires_at <= self.clock.now():
            raise NotFoundError(f"The result of the job `{identity}` is no longer kept")
        return job

    def cancel(self, transaction: Transaction, identity: str) -> None:
        """Cancel the job or give up its result; raises NotFoundError."""
        queue.cancel(transaction, _uuid(identity))

    def file(self, transaction: Transaction, identity: str, name: str) -> Path:
        """Return the file `name` that the output of the job lists; raises NotFoundError."""
        job = self.find(transaction, identity)
        path = queue.folder_of(self.folder, job.id) / name
        if name not in (job.output or {}).get("files", ()) or not path.is_file():
            raise NotFoundError(f"The job `{identity}` has no file `{name}`")
        return path


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFoundError(f"There is no job `{text}`") from error
