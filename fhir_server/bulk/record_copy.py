"""Copies of a person's record as jobs: all of Patient/$everything as one Bundle and as a readable document.

https://hl7.org/fhir/R4/patient-operation-everything.html. A job works page by page for whoever asked, by what
that requester may read; a page that is done twice is written once, since files are cut to where the last
saved step left them. Resources that pages refer to together stand in the Bundle once. Not here: who may ask,
and the looks of the document (`hie.rights`).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from fhir_server.interactions.server import Server
from fhir_server.jobs import queue
from fhir_server.jobs.job import Step, Work
from fhir_server.jobs.service import Jobs
from fhir_server.jobs.tables import JobState
from fhir_server.operations.dispatch import perform_entry
from fhir_server.store.content import instant
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError
from hie.core.fhir.json import JsonObject, dumps, loads
from hie.core.personal_rights import CopyMade, CopyState, RecordReader

KIND: Final = "record-copy"
BUNDLE: Final = "record.json"
DOCUMENT: Final = "record.html"
FILES: Final = (BUNDLE, DOCUMENT)

_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class RecordCopies:
    """`hie.core.personal_rights.RecordCopies` on the jobs of the server."""

    jobs: Jobs

    def begin(self, transaction: Transaction, patient: str, request: str) -> str:
        """Begin a copy of the record of the Patient with the id `patient`; return the id of its job."""
        identity = uuid4()
        self.jobs.begin(
            transaction,
            kind=KIND,
            request=f"{self.jobs.base_url}/Patient/{patient}/$everything",
            parameters={"patient": patient, "request": request},
            identity=identity,
        )
        return str(identity)

    def state(self, transaction: Transaction, job: str) -> CopyState | None:
        """Return how the copy stands; None for one that is cancelled, past its time, or another's."""
        try:
            found = self.jobs.find(transaction, job)
        except NotFoundError:
            return None
        files = tuple((found.output or {}).get("files", ()))
        is_made = found.state is JobState.DONE
        return CopyState(is_made, found.is_final and not is_made, files, found.expires_at)

    def file(self, transaction: Transaction, job: str, name: str) -> Path:
        """Return where the file `name` of a copy that is made stands; raises NotFoundError."""
        if name not in FILES:
            raise NotFoundError("The copy has no such file")
        return self.jobs.file(transaction, job, name)


class RecordCopy:
    """Works the jobs; `fhir_server.jobs.job.JobKind`."""

    def __init__(
        self, server: Server, reader: RecordReader, made: CopyMade, clock: Clock, *, page: int = _PAGE
    ) -> None:
        """Take the server that is read from, what makes the document, and who is told when it is done."""
        self._server = server
        self._reader = reader
        self._made = made
        self._clock = clock
        self._page = min(page, server.page_size_limit)

    def step(self, work: Work) -> Step:
        """Write the beginnings of the files, then a page a step, then their ends."""
        cursor = work.job.cursor
        if cursor is None:
            return self._begin(work)
        if cursor["next"] is not None:
            return self._continue(work, cursor)
        return self._end(work, cursor)

    def _begin(self, work: Work) -> Step:
        patient = work.job.parameters["patient"]
        now = self._clock.now()
        with work.transaction() as transaction:
            stored = self._server.repository.read(transaction, "Patient", patient)
        bundle = f'{{"resourceType":"Bundle","type":"collection","timestamp":"{instant(now)}","entry":['
        document = self._reader.begin(loads(stored.body or b"{}"), now)
        sizes = _append(work.folder, (0, 0), (bundle.encode(), document.encode()))
        cursor = {"next": "", "sizes": sizes, "count": 0, "included": []}
        return Step(cursor, "the copy is begun")

    def _continue(self, work: Work, cursor: JsonObject) -> Step:
        """Write the next page of the record."""
        query = f"_count={self._page}"
        if cursor["next"]:
            query += f"&_cursor={cursor['next']}"
        patient = work.job.parameters["patient"]
        with work.transaction() as transaction:
            reply = perform_entry(
                self._server, transaction, method="GET", url=f"Patient/{patient}/$everything?{query}"
            )
        page = loads(reply.body or b"{}")
        included = set(cursor["included"])
        entries: list[JsonObject] = []
        for entry in page.get("entry", ()):
            if entry.get("search", {}).get("mode") == "include":
                if entry["fullUrl"] in included:
                    continue
                included.add(entry["fullUrl"])
            entries.append({"fullUrl": entry["fullUrl"], "resource": entry["resource"]})
        text = b"".join(
            (b"," if cursor["count"] + number else b"") + dumps(entry) for number, entry in enumerate(entries)
        )
        shown = self._reader.show([entry["resource"] for entry in entries])
        sizes = _append(work.folder, cursor["sizes"], (text, shown.encode()))
        count = cursor["count"] + len(entries)
        following = _next(page)
        made = {"next": following, "sizes": sizes, "count": count, "included": sorted(included)}
        return Step(made, f"{count:,} resources copied")

    def _end(self, work: Work, cursor: JsonObject) -> Step:
        _append(work.folder, cursor["sizes"], (b"]}", self._reader.end().encode()))
        output = {
            "manifest": {
                "transactionTime": instant(self._clock.now()),
                "request": work.job.request,
                "requiresAccessToken": work.job.requester.kind in ("person", "client"),
                "output": [{"type": "Bundle", "url": BUNDLE, "count": 1}],
                "error": [],
            },
            "files": list(FILES),
        }
        with work.transaction() as transaction:
            self._made(transaction, work.job.parameters["request"])
            queue.keep(transaction, work.job, Step(cursor, "the copy is made"))
        return Step(cursor, f"{cursor['count']:,} resources copied", output)


def _append(folder: Path, sizes: Sequence[int], texts: Sequence[bytes]) -> list[int]:
    """Write each of `texts` behind the first bytes of its file; return how many bytes each file then has."""
    made = []
    for name, size, text in zip(FILES, sizes, texts, strict=True):
        path = folder / name
        path.touch()
        with path.open("r+b") as file:
            file.truncate(size)
            file.seek(size)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        made.append(size + len(text))
    return made


def _next(page: JsonObject) -> str | None:
    """Return the cursor of the next page, None behind the last."""
    for link in page.get("link", ()):
        if link.get("relation") == "next":
            return str(parse_qs(urlsplit(link["url"]).query)["_cursor"][0])
    return None
