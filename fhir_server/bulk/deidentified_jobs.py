"""De-identified exports as jobs, for pages: implements `hie.core.deidentification.ProjectJobs`."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from fhir_server.bulk.deidentified import KIND, REPORT
from fhir_server.bulk.kick_off import KickOff
from fhir_server.jobs.service import Jobs
from fhir_server.jobs.tables import JobState
from hie.core.db.database import Transaction
from hie.core.deidentification import Deidentification, ExportState
from hie.core.errors import NotFoundError
from hie.core.fhir.json import JsonObject, loads


@dataclass(frozen=True, slots=True)
class DeidentifiedJobs:
    """Begins exports of the system and says how they stand, to who began them."""

    jobs: Jobs
    deidentification: Deidentification

    def begin(self, transaction: Transaction, project: str) -> str:
        """Begin an export of everything; return the id of its job."""
        self.deidentification.reader(transaction, project)
        identity = uuid4()
        self.jobs.begin(
            transaction,
            kind=KIND,
            request=f"{self.jobs.base_url}/$de-identify?project={project}",
            parameters={**KickOff("system").to_json(), "project": project},
            identity=identity,
        )
        return str(identity)

    def state(self, transaction: Transaction, job: str) -> ExportState | None:
        """Return how the export stands."""
        try:
            found = self.jobs.find(transaction, job)
        except NotFoundError:
            return None
        if found.kind != KIND or found.state is JobState.CANCELLED:
            return None
        if found.state is JobState.FAILED:
            issues: list[JsonObject] = (found.error or {}).get("outcome", {}).get("issue") or []
            return ExportState(found.state.value, reason=str((issues or [{}])[0].get("diagnostics", "")))
        if found.state is not JobState.DONE:
            return ExportState(found.state.value)
        output = (found.output or {})["manifest"]["output"]
        report: JsonObject = loads(self.jobs.file(transaction, job, REPORT).read_bytes())
        return ExportState(found.state.value, tuple((each["url"], each["count"]) for each in output), report)

    def file(self, transaction: Transaction, job: str, name: str) -> Path:
        """Return where one of its files stands."""
        if self.state(transaction, job) is None:
            raise NotFoundError(f"There is no job `{job}`")
        return self.jobs.file(transaction, job, name)
