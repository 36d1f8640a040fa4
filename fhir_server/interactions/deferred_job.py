"""The job of a request that prefers an asynchronous answer: https://hl7.org/fhir/R4/async.html.

It is done as its requester. A write is done once: that it is done is saved in its own transaction.
"""

import os
from typing import Final

from fhir_server.interactions import get
from fhir_server.interactions.entries import bundle_answer
from fhir_server.interactions.server import Server
from fhir_server.jobs import queue
from fhir_server.jobs.job import Step, Work
from fhir_server.store.content import instant
from fhir_server.transaction.entry import Operation
from hie.core.db.database import Transaction
from hie.core.errors import LockError, UnavailableError
from hie.core.fhir.json import JsonObject, dumps, loads

_FILE: Final = "Bundle.ndjson"


class Deferred:
    """Works requests; `fhir_server.jobs.job.JobKind`."""

    def __init__(self, server: Server) -> None:
        """Take the server whose interactions are done."""
        self._server = server

    def step(self, work: Work) -> Step:
        """Do the request, then say where its answer is."""
        cursor = work.job.cursor
        if cursor is None:
            return self._perform(work)
        output = [{"type": "Bundle", "url": _FILE, "count": 1}]
        manifest = {
            "transactionTime": cursor["time"],
            "request": work.job.request,
            "requiresAccessToken": work.job.requester.kind in ("person", "client"),
            "output": output,
            "error": [],
        }
        return Step(cursor, "done", {"manifest": manifest, "files": [_FILE]})

    def _perform(self, work: Work) -> Step:
        step = Step({"time": instant(self._server.clock.now())}, "the answer is written")
        try:
            with work.transaction() as transaction:
                text = self._answer(transaction, work.job.parameters)
                with (work.folder / _FILE).open("wb") as file:
                    file.write(text + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                queue.keep(transaction, work.job, step)
        except LockError as error:
            raise UnavailableError(error.message) from error  # is tried again
        return step

    def _answer(self, transaction: Transaction, parameters: JsonObject) -> bytes:
        if "body" in parameters:
            given = loads(parameters["body"], has_unique_names=False)
            return bundle_answer(
                self._server,
                transaction,
                given,
                parameters["return"],
                is_lenient=parameters["is_lenient"],
            )
        operation = Operation("GET", url=parameters["url"])
        entry = get.answer(self._server, transaction, operation, is_lenient=parameters["is_lenient"])
        return dumps(entry["resource"])
