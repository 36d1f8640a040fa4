"""The job of a de-identified export: select on behalf of a project, survey the patients, then write.

An export like any other (`fhir_server.bulk.export`) but for three things: what is selected is what the
project may read, not its analyst; before anything is written all patients are surveyed, and if they cannot be
made anonymous enough the job fails; what is written is what de-identification leaves
(`hie.core.deidentification`). Its manifest has a report beside the resources.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from fhir_server.bulk.export import Export
from fhir_server.bulk.kick_off import KickOff
from fhir_server.bulk.ndjson import NdjsonFiles, copy_bodies
from fhir_server.bulk.pairs import read_pairs
from fhir_server.jobs.job import Step, Work
from hie.core.db.database import Transaction
from hie.core.deidentification import Deidentification
from hie.core.fhir.json import JsonObject, dumps, loads

KIND: Final = "de-identify"
PATIENT: Final = "Patient"

_PLAN: Final = "plan.json"
REPORT: Final = "report.ndjson"
_SURVEYED: Final = 100_000


class DeidentifiedExport(Export):
    """Works de-identified exports; `fhir_server.jobs.job.JobKind`."""

    def __init__(self, *given: Any, deidentification: Deidentification, **named: Any) -> None:
        """Take what `Export` takes, and what de-identifies."""
        super().__init__(*given, **named)
        self._deidentification = deidentification

    def step(self, work: Work) -> Step:
        """Select, then survey, then write one file on each call."""
        project = work.job.parameters["project"]
        with work.transaction() as transaction:
            # asked at every step: a project that has ended meanwhile is given nothing more
            reader = self._deidentification.reader(transaction, project)
        cursor = work.job.cursor
        if cursor is None or "types" not in cursor:
            return super().step(replace(work, job=replace(work.job, requester=reader)))
        if "is_surveyed" not in cursor:
            return self._survey(work, project, cursor)
        return super().step(work)

    def _survey(self, work: Work, project: str, cursor: JsonObject) -> Step:
        """Learn the patients and keep the plan; raises AnonymityError, which fails the job."""
        with work.transaction(is_snapshot=True) as transaction:
            survey = self._deidentification.survey(transaction, project)
            self._each_patient(work, transaction, survey.count)
            survey.settle()
            self._each_patient(work, transaction, survey.choose)
        (work.folder / _PLAN).write_bytes(dumps(survey.plan()))
        return Step({**cursor, "is_surveyed": True}, "patients surveyed")

    def _each_patient(self, work: Work, transaction: Transaction, take: Callable[[bytes], None]) -> None:
        path = work.folder / f"{PATIENT}.versions"
        offset = 0
        while path.exists():
            rids, seqs = read_pairs(path, offset, _SURVEYED)
            if len(rids) == 0:
                return

            def change(body: bytes) -> None:
                take(body)

            with NdjsonFiles(work.folder, "nothing", limit_bytes=1) as nothing:
                copy_bodies(transaction.connection, rids, seqs, nothing, change=change, check=work.check)
            offset += len(rids)

    def _change(
        self,
        work: Work,
        transaction: Transaction,
        kick_off: KickOff,  # noqa: ARG002 - those of `Export`
        name: str,  # noqa: ARG002 - likewise
    ) -> Callable[[bytes], bytes | None] | None:
        """Return what de-identifies a body."""
        work.check()
        plan: JsonObject = loads((work.folder / _PLAN).read_bytes())
        return self._deidentification.writing(transaction, work.job.parameters["project"], plan).of

    def _finish(self, work: Work, kick_off: KickOff, cursor: JsonObject) -> Step:
        """Write the report, and make the manifest with it."""
        plan: JsonObject = loads((work.folder / _PLAN).read_bytes())
        made = super()._finish(work, kick_off, cursor)
        assert made.output is not None  # noqa: S101 - the last step has one
        manifest = made.output["manifest"]
        output = [entry for entry in manifest["output"] if entry["count"]]
        written = Counter[str]()
        for entry in output:
            written[entry["type"]] += entry["count"]
        report = self._deidentification.report(plan, written)
        (work.folder / REPORT).write_bytes(dumps(report) + b"\n")
        output.append({"type": "Parameters", "url": REPORT, "count": 1})
        files = [entry["url"] for entry in (*output, *manifest["error"])]
        manifest = {**manifest, "output": output}
        return Step(made.cursor, made.progress, {"manifest": manifest, "files": files})
