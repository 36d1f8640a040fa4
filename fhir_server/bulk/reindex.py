"""The job of a reindex: drives `fhir_server.search.reindex` over the stored resources.

Indexing a batch again makes the same rows again, so that batches since the last saved cursor may
be done twice. Stored SearchParameters that nothing can be found by are named in the manifest's `error`.
"""

import time
from typing import Final

from fhir_server.jobs.job import Step, Work
from fhir_server.search.reindex import Reindexer
from hie.core.errors import Issue, outcome
from hie.core.fhir.json import JsonObject, dumps

KIND: Final = "reindex"

_STEP_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.1


class Reindex:
    """Works reindex jobs; `fhir_server.jobs.job.JobKind`."""

    def __init__(self, reindexer: Reindexer, *, step_seconds: float = _STEP_SECONDS) -> None:
        """Take what indexes a batch; a step goes on for so long."""
        self._reindexer = reindexer
        self._step_seconds = step_seconds

    def step(self, work: Work) -> Step:
        """Index batches for a while; the first call settles the types and waits for other processes."""
        if work.job.cursor is None:
            return self._begin(work)
        position: str | None = work.job.cursor["position"]
        done: int = work.job.cursor["resources"]
        end = time.monotonic() + self._step_seconds
        while position is not None:
            work.check()
            with work.transaction() as transaction:
                step = self._reindexer.step(transaction, position)
            position, done = step.cursor, done + step.resources
            if time.monotonic() >= end:
                break
        said = f"{done:,} resources indexed"
        cursor = {"position": position, "resources": done}
        if position is not None:
            return Step(cursor, said)
        unusable = self._reindexer.unusable()
        manifest: JsonObject = {"request": work.job.request, "count": done, "output": [], "error": []}
        if unusable:
            name = "errors.ndjson"
            (work.folder / name).write_bytes(b"".join(_error_line(*each) for each in unusable))
            manifest["error"] = [{"type": "OperationOutcome", "count": len(unusable), "url": name}]
        files = [each["url"] for each in manifest["error"]]
        return Step(cursor, said, {"manifest": manifest, "files": files})

    def _begin(self, work: Work) -> Step:
        with work.transaction() as transaction:
            step = self._reindexer.step(transaction, resource_types=tuple(work.job.parameters["types"]))
        end = time.monotonic() + step.wait_seconds
        while time.monotonic() < end:
            work.check()
            time.sleep(_PAUSE_SECONDS)
        return Step({"position": step.cursor, "resources": 0}, "0 resources indexed")


def _error_line(resource_type: str, code: str, reason: str) -> bytes:
    message = f"No search of {resource_type} can go by `{code}`: {reason}"
    return dumps(outcome([Issue("error", "not-supported", message, f"{resource_type}.{code}")])) + b"\n"
