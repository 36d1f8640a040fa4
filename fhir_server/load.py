"""Loads FHIR files into the repository: what `hie load` runs.

Read: a resource, a Bundle of any type, NDJSON; each also as `.gz`; folders are
walked. Transaction and batch Bundles do what their requests say; of any other
Bundle, and of NDJSON, every resource with an id is an update (as create), one
without a create; a history leaves its newest version. Loading the same resources
with ids again changes nothing.

Memory: NDJSON is read line by line; another file is held as a whole. Either is bounded, since a small file
of gzip may unpack to anything. A batch is one database transaction; a failing entry is reported and leaves
the rest. Large NDJSON goes the way of `$import`, on all cores (`fhir_server.bulk.pool`).
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, cast

from fhir_server.bulk.batch import BatchResult
from fhir_server.bulk.pool import LARGE_BYTES, Batch, ImportPool
from fhir_server.service import Repository
from fhir_server.transaction.entry import Operation, read_entries, read_operation
from fhir_server.transaction.plan import Outcome
from hie.core.access import SYSTEM
from hie.core.db.database import Database
from hie.core.errors import (
    ExchangeError,
    LockError,
    MethodNotAllowedError,
    PayloadTooLargeError,
    RequestError,
)
from hie.core.fhir.json import Json, JsonObject, loads

# Beyond this many resources a batch is closed early: a Synthea Bundle alone may have thousands.
_MOST_RESOURCES: Final = 1000
_ATTEMPTS: Final = 5

# No Bundle, or a Bundle that is one resource, whose entries belong together.
_WHOLE: Final = (None, "document", "message")

# The largest line, or file that is held as a whole, unpacked.
_LARGEST_TEXT: Final = 1024**3

_BATCH_LINES: Final = 500
_BATCH_BYTES: Final = 4 * 1024 * 1024

_LINES: Final = (".ndjson", ".jsonl")
_SUFFIXES: Final = (".json", ".ndjson", ".jsonl")


@dataclass(frozen=True, slots=True)
class Failure:
    """What was not loaded: the place ("folder/file.ndjson:12" or "file.json Bundle.entry[3]"), and why."""

    place: str
    message: str


@dataclass(slots=True)
class LoadReport:
    """What loading did, in resources; deletions of Bundles count as updates."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def loaded(self) -> int:
        """Resources that are now in the repository as the files have them."""
        return self.created + self.updated + self.unchanged

    def add(self, file: Path, result: BatchResult) -> None:
        """Count what became of a batch of lines of `file`."""
        self.created += result.created
        self.updated += result.updated
        self.unchanged += result.unchanged
        for failure in result.failures:
            first = failure.issues[0]
            where = f"{file}:{failure.line}"
            place = f"{where} {first['expression']}" if first["expression"] else where
            self.failures.append(Failure(place, first["message"]))

    def count(self, outcomes: Iterable[Outcome]) -> None:
        """Count `outcomes`."""
        for outcome in outcomes:
            if not outcome.is_changed:
                self.unchanged += 1
            elif outcome.status == 201:  # noqa: PLR2004 - Created
                self.created += 1
            else:
                self.updated += 1


@dataclass(frozen=True, slots=True)
class Unit:
    """What is stored whole or not at all: one resource, or one transaction Bundle."""

    place: str
    operations: list[Operation]


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Return the files of `paths`: files as given, and of folders those with a FHIR suffix, sorted."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file() and _is_fhir(file))
        else:
            yield path


def load(
    database: Database,
    repository: Repository,
    paths: Iterable[Path],
    *,
    on_progress: Callable[[int], object] = lambda _done: None,
    batch: int = 50,
    imports: ImportPool | None = None,
    large_bytes: int = LARGE_BYTES,
    limit_bytes: int = _LARGEST_TEXT,
) -> LoadReport:
    """Load every file of `paths`, `batch` resources or transaction Bundles in a transaction.

    NDJSON files of at least `large_bytes` are stored by the processes of `imports`, if given.

    A file whose line, or which as a whole, is larger than `limit_bytes` unpacked is a failure from there on.

    `on_progress` is told after each transaction how many resources are done. A file that cannot
    be read, an invalid resource and a refused Bundle are failures of the report; nothing is
    raised for them. Raises UnavailableError when the database is away: what was committed
    stays, and loading again goes on from there.
    """
    report = LoadReport()

    def progress() -> None:
        on_progress(report.loaded + len(report.failures))

    small: list[Path] = []
    for file in find_files(paths):
        if imports is not None and _is_large(file, large_bytes):
            _load_small(database, repository, small, report, batch, limit_bytes, progress)
            small = []
            _load_large(imports, file, report, limit_bytes, progress)
        else:
            small.append(file)
    _load_small(database, repository, small, report, batch, limit_bytes, progress)
    return report


def _load_small(
    database: Database,
    repository: Repository,
    files: Iterable[Path],
    report: LoadReport,
    batch: int,
    limit_bytes: int,
    progress: Callable[[], None],
) -> None:
    waiting: list[Unit] = []
    size = 0
    for unit in _units(repository, files, report, limit_bytes):
        waiting.append(unit)
        size += len(unit.operations)
        if len(waiting) >= batch or size >= _MOST_RESOURCES:
            _store(database, repository, waiting, report)
            progress()
            waiting, size = [], 0
    _store(database, repository, waiting, report)
    progress()


def _load_large(
    imports: ImportPool, file: Path, report: LoadReport, limit_bytes: int, progress: Callable[[], None]
) -> None:
    try:
        with _open(file) as stream:
            for result in imports.store(_batches(stream, limit_bytes)):
                report.add(file, result)
                progress()
    except PayloadTooLargeError as error:
        report.failures.append(_failure(str(file), error))
    except (OSError, EOFError, zlib.error) as error:
        report.failures.append(Failure(str(file), f"The file cannot be read: {error}"))


def _batches(stream: IO[bytes], limit_bytes: int) -> Iterator[Batch]:
    lines: list[tuple[int, bytes]] = []
    size = 0
    for number, line in _lines(stream, limit_bytes):
        if line.strip():
            lines.append((number, line))
            size += len(line)
        if len(lines) >= _BATCH_LINES or size >= _BATCH_BYTES:
            yield Batch(lines, SYSTEM, None, None)
            lines, size = [], 0
    if lines:
        yield Batch(lines, SYSTEM, None, None)


def _is_large(file: Path, large_bytes: int) -> bool:
    return _bare_suffix(file) in _LINES and file.is_file() and file.stat().st_size >= large_bytes


def _store(database: Database, repository: Repository, units: list[Unit], report: LoadReport) -> None:
    if not units:
        return
    for attempt in range(_ATTEMPTS):
        try:
            with database.transaction() as transaction:
                results = repository.apply(transaction, [unit.operations for unit in units])
        except LockError:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            break
    for unit, result in zip(units, results, strict=True):
        if isinstance(result, ExchangeError):
            report.failures.append(_failure(unit.place, result))
        else:
            report.count(result)


def _units(
    repository: Repository, files: Iterable[Path], report: LoadReport, limit_bytes: int
) -> Iterator[Unit]:
    for file in files:
        try:
            with _open(file) as stream:
                for place, text in _texts(file, stream, limit_bytes):
                    yield from _units_of(repository, place, text, report)
        except PayloadTooLargeError as error:
            report.failures.append(_failure(str(file), error))
        except (OSError, EOFError, zlib.error) as error:
            report.failures.append(Failure(str(file), f"The file cannot be read: {error}"))


def _units_of(repository: Repository, place: str, text: bytes, report: LoadReport) -> Iterator[Unit]:
    try:
        value = loads(text, has_unique_names=False)
        kind = (
            value.get("type") if isinstance(value, dict) and value.get("resourceType") == "Bundle" else None
        )
        if kind == "transaction":
            yield Unit(place, _transaction(repository, value))
            return
        # A document or message is one resource, whose entries belong together.
        entries = (
            [value] if kind in (None, "document", "message") else read_entries(value, (cast("str", kind),))
        )
    except ExchangeError as error:
        report.failures.append(_failure(place, error))
        return
    numbered = list(enumerate(entries))
    if kind == "history":
        numbered.reverse()  # a history has the newest version first
    for position, entry in numbered:
        where = place if entry is value else f"{place} Bundle.entry[{position}]"
        try:
            operation = _operation(repository, kind, entry, position)
        except ExchangeError as error:
            report.failures.append(_failure(where, error))
        else:
            if operation is not None:
                yield Unit(where, [operation])


def _operation(repository: Repository, kind: str | None, entry: Json, position: int) -> Operation | None:
    """Return what loads `entry`, a resource or an entry of a Bundle of `kind`; None for nothing."""
    if kind in _WHOLE:
        return _put(repository, entry)
    if kind == "batch":
        return _without_get(read_operation(entry, position, repository.check))
    if not isinstance(entry, dict):
        raise RequestError("The entry is not an object")
    if "resource" not in entry:
        is_deletion = kind == "history" and (entry.get("request") or {}).get("method") == "DELETE"
        return read_operation(entry, position, repository.check) if is_deletion else None
    if (entry.get("search") or {}).get("mode") == "outcome":
        return None
    return _put(repository, entry["resource"])


def _transaction(repository: Repository, bundle: JsonObject) -> list[Operation]:
    return [
        _without_get(read_operation(entry, position, repository.check))
        for position, entry in enumerate(read_entries(bundle, ("transaction",)))
    ]


def _put(repository: Repository, resource: Json) -> Operation:
    resource_type = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(resource_type, str):
        raise RequestError("This is not a FHIR resource", expression="resourceType")
    checked = repository.checked(resource, resource_type)
    identity = checked.get("id")
    if identity is None:
        return Operation("POST", type=resource_type, resource=checked)
    return Operation("PUT", type=resource_type, id=identity, resource=checked)


def _without_get(operation: Operation) -> Operation:
    if operation.method == "GET":
        raise MethodNotAllowedError("A GET loads nothing", expression=operation.at("request.method"))
    return operation


def _failure(place: str, error: ExchangeError) -> Failure:
    where = f"{place} {error.expression}" if error.expression else place
    return Failure(where, error.message)


def _open(file: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def _texts(file: Path, stream: IO[bytes], limit_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Return the JSON texts of `stream` with their places: lines of NDJSON, else the whole."""
    if _bare_suffix(file) in _LINES:
        for number, line in _lines(stream, limit_bytes):
            if line.strip():
                yield f"{file}:{number}", line
        return
    text = stream.read(limit_bytes + 1)
    if len(text) > limit_bytes:
        raise PayloadTooLargeError(f"The file is larger than {limit_bytes} bytes unpacked")
    yield str(file), text.removeprefix(b"\xef\xbb\xbf")


def _lines(stream: IO[bytes], limit_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Return the lines of `stream` with their numbers; raises PayloadTooLargeError for one too long."""
    number = 1
    while line := stream.readline(limit_bytes + 1):
        if len(line) > limit_bytes:
            raise PayloadTooLargeError(f"Line {number} is larger than {limit_bytes} bytes unpacked")
        yield number, line
        number += 1


def _is_fhir(file: Path) -> bool:
    return _bare_suffix(file) in _SUFFIXES


def _bare_suffix(file: Path) -> str:
    return Path(file.stem).suffix.lower() if file.suffix.lower() == ".gz" else file.suffix.lower()
