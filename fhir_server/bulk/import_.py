"""The job of an import: NDJSON, some thousands of lines a step.

There is no standard yet; input, status and manifest are those of the proposal
https://github.com/smart-on-fhir/bulk-import/blob/master/import.md, which Microsoft's server follows
(https://learn.microsoft.com/azure/healthcare-apis/fhir/import-data). Ids are kept; a resource
that is stored already becomes a new version, or nothing when its content is the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fhir_server.bulk.batch import BatchResult, Part
from fhir_server.bulk.pool import LARGE_BYTES, Batch, ImportPool
from fhir_server.bulk.source import fetch, read_lines
from fhir_server.jobs.job import Step, Work
from fhir_server.store.content import instant
from hie.core.errors import Issue, outcome
from hie.core.fhir.json import JsonObject, dumps

KIND: Final = "import"
# The file in the job's folder that a client sent as the body of its request, gzip or not.
POSTED: Final = "posted"

_BATCH_LINES: Final = 500
_BATCH_BYTES: Final = 4 * 1024 * 1024
_STEP_BATCHES: Final = 40

# The parts of the steps before are not asked for again.
_FORGET: Final = "DELETE FROM job_part WHERE job_id = %s AND number < %s"


@dataclass(slots=True)
class _Place:
    """Where in the inputs the next batch begins; `part` counts batches over all inputs."""

    input: int
    offset: int
    line: int
    part: int


class Import:
    """Works import jobs; `fhir_server.jobs.job.JobKind`."""

    def __init__(
        self,
        pool: ImportPool,
        *,
        limit_bytes: int,
        batch_lines: int = _BATCH_LINES,
        step_batches: int = _STEP_BATCHES,
        large_bytes: int = LARGE_BYTES,
    ) -> None:
        """Take the processes that store files of at least `large_bytes`; a line has at most `limit_bytes`."""
        self._pool = pool
        self._limit = limit_bytes
        self._batch_lines = batch_lines
        self._step_batches = step_batches
        self._large_bytes = large_bytes

    def step(self, work: Work) -> Step:
        """Fetch the inputs on the first call, store some batches on each of the others."""
        cursor = work.job.cursor
        inputs = work.job.parameters["input"]
        if cursor is None:
            return self._fetch(work, inputs)
        if cursor["input"] >= len(inputs):
            return _finish(work, cursor)
        return self._store(work, cursor)

    def _fetch(self, work: Work, inputs: list[JsonObject]) -> Step:
        files = []
        for number, entry in enumerate(inputs):
            work.check()
            target = work.folder / f"input.{number}"
            posted = entry.get("posted")
            url = entry["url"] if posted is None else (work.folder / posted).absolute().as_uri()
            files.append(str(target if target.exists() else fetch(url, target, check=work.check)))
        done = [{"created": 0, "updated": 0, "unchanged": 0, "failed": 0} for _ in inputs]
        place = {"input": 0, "offset": 0, "line": 1, "part": 0}
        return Step({"files": files, "done": done, **place, "errors": []}, f"{len(files)} files read")

    def _store(self, work: Work, cursor: JsonObject) -> Step:
        """Store the next batches of one input."""
        number = cursor["input"]
        entry = work.job.parameters["input"][number]
        place = _Place(number, cursor["offset"], cursor["line"], cursor["part"])
        begin = place.part
        with work.transaction() as transaction:
            transaction.connection.execute(_FORGET, (work.job.id, begin))
        path = Path(cursor["files"][number])
        size = path.stat().st_size
        store = self._pool.store if size >= self._large_bytes else self._pool.store_here
        done = dict(cursor["done"][number])
        name = f"errors.{number}.{begin}.ndjson"
        failed = 0
        with (work.folder / name).open("wb") as errors:
            for result in store(self._batches(work, path, place, entry.get("type"))):
                work.check()
                _count(done, result)
                for failure in result.failures:
                    errors.write(_error_line(failure.line, failure.issues))
                    failed += 1
        is_end = place.offset >= size
        made = {
            **cursor,
            "input": number + 1 if is_end else number,
            "offset": 0 if is_end else place.offset,
            "line": 1 if is_end else place.line,
            "part": place.part,
            "done": [done if n == number else each for n, each in enumerate(cursor["done"])],
            "errors": [*cursor["errors"], [number, name]] if failed else cursor["errors"],
        }
        return Step(made, f"{sum(sum(each.values()) for each in made['done']):,} resources read")

    def _batches(self, work: Work, path: Path, place: _Place, resource_type: str | None) -> Iterator[Batch]:
        """Return the next batches of `path` and move `place` behind each."""
        requester = work.job.requester
        lines: list[tuple[int, bytes]] = []
        size = made = 0
        for offset, text in read_lines(path, place.offset, self._limit):
            if text.strip():
                lines.append((place.line, text))
                size += len(text)
            place.offset = offset
            place.line += 1
            if len(lines) >= self._batch_lines or size >= _BATCH_BYTES:
                yield Batch(lines, requester, resource_type, Part(work.job.id, place.part))
                place.part += 1
                lines, size, made = [], 0, made + 1
                if made >= self._step_batches:
                    return
        if lines:
            yield Batch(lines, requester, resource_type, Part(work.job.id, place.part))
            place.part += 1


def _count(done: dict[str, int], result: BatchResult) -> None:
    done["created"] += result.created
    done["updated"] += result.updated
    done["unchanged"] += result.unchanged
    done["failed"] += len(result.failures)


def _error_line(line: int, issues: list[JsonObject]) -> bytes:
    """Return a line of the error file: an OperationOutcome that names the line of the input."""
    found = [
        Issue(each["severity"], each["code"], f"Line {line}: {each['message']}", each["expression"])
        for each in issues
    ]
    return dumps(outcome(found)) + b"\n"


def _finish(work: Work, cursor: JsonObject) -> Step:
    """Join the error files and make the manifest."""
    inputs = work.job.parameters["input"]
    output, error, files = [], [], []
    for number, (entry, done) in enumerate(zip(inputs, cursor["done"], strict=True)):
        stored = done["created"] + done["updated"] + done["unchanged"]
        counts = {key: done[key] for key in ("created", "updated", "unchanged")}
        named = {"type": entry["type"]} if entry.get("type") else {}
        output.append({**named, "inputUrl": entry["url"], "count": stored, "extension": counts})
        names = [name for of, name in cursor["errors"] if of == number]
        if names:
            target = f"errors.{number}.ndjson"
            with (work.folder / target).open("wb") as joined:
                for name in names:
                    joined.write((work.folder / name).read_bytes())
            files.append(target)
            error.append(
                {
                    "type": "OperationOutcome",
                    "inputUrl": entry["url"],
                    "count": done["failed"],
                    "url": target,
                }
            )
    manifest = {
        "transactionTime": instant(work.job.created_at),
        "request": work.job.request,
        "output": output,
        "error": error,
    }
    return Step(cursor, "done", {"manifest": manifest, "files": files})
