"""The job of an export: select, then write, one file a step.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html. The first step selects versions of all types in one
snapshot of the database and writes them down; the following steps write the bodies of these versions,
also of those that have been superseded meanwhile. So the export is one state of the repository, however
long it takes and however often its worker dies.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from fhir_server.bulk.deleted import write_deleted
from fhir_server.bulk.instant import complete_until
from fhir_server.bulk.kick_off import KickOff
from fhir_server.bulk.ndjson import NdjsonFiles, copy_bodies
from fhir_server.bulk.pairs import read_pairs, write_pairs
from fhir_server.bulk.scope import PROVENANCE, Scope, associated, scope_of, selection
from fhir_server.jobs.job import Step, Work
from fhir_server.ports import ResourceIndexer
from fhir_server.search.query import Query
from fhir_server.search.sql import Sql
from fhir_server.search.subset import subset
from fhir_server.service import Repository
from fhir_server.store.content import instant
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import outcome
from hie.core.fhir.json import JsonObject, dumps
from hie.core.masking import Masking, Unmasked

KIND: Final = "export"

_FILE_RESOURCES: Final = 100_000
_FILE_BYTES: Final = 512 * 1024 * 1024
# Transactions that write are waited for, so that transactionTime is close to the present; but not for ever.
_PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.05
_FETCHED: Final = 10_000


class Export:
    """Works export jobs; `fhir_server.jobs.job.JobKind`."""

    def __init__(
        self,
        repository: Repository,
        indexer: ResourceIndexer,
        clock: Clock,
        *,
        base_url: str,
        masking: Masking | None = None,
        file_resources: int = _FILE_RESOURCES,
        file_bytes: int = _FILE_BYTES,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        """Take what reads, indexes and masks resources; a file has at most so many resources and bytes.

        Transactions that were under way at the beginning are waited for as long as `patience_seconds`.
        """
        self._repository = repository
        self._indexer = indexer
        self._clock = clock
        self._base_url = base_url
        self._masking = masking or Unmasked()
        self._file_resources = file_resources
        self._file_bytes = file_bytes
        self._patience = patience_seconds

    def step(self, work: Work) -> Step:
        """Select on the first call, write one file on each of the others."""
        cursor = work.job.cursor
        kick_off = KickOff.from_json(work.job.parameters)
        if cursor is None or "types" not in cursor:
            return self._settle(work, kick_off)
        for entry in cursor["types"]:
            if entry["done"] < entry["count"]:
                return self._write(work, kick_off, cursor, entry)
        return self._finish(work, kick_off, cursor)

    def _settle(self, work: Work, kick_off: KickOff) -> Step:
        """Wait until the transactions that were under way at the first look have ended, then select."""
        with work.transaction() as transaction:
            complete = complete_until(transaction, self._clock)
        now = self._clock.now()
        cursor = work.job.cursor or {
            "since": now.isoformat(),
            "writers": [list(each) for each in complete.writers],
        }
        left = [each for each in cursor["writers"] if tuple(each) in complete.writers]
        waited = (now - datetime.fromisoformat(cursor["since"])).total_seconds()
        if not left or waited > self._patience:
            return self._select(work, kick_off, complete.until)
        time.sleep(_PAUSE_SECONDS)
        return Step({**cursor, "writers": left}, f"waiting for {len(left)} transactions to end")

    def _select(self, work: Work, kick_off: KickOff, until: datetime) -> Step:
        """Write down which versions are exported, and who was deleted, as one snapshot has them."""
        with work.transaction(is_snapshot=True) as transaction:
            scope = scope_of(self._repository, transaction, kick_off, self._base_url)
            types = [
                self._select_type(work, transaction, scope, resource_type)
                for resource_type in scope.types
                if not (resource_type == PROVENANCE and kick_off.associated)
            ]
            if kick_off.associated:
                types.append(self._select_provenance(work, transaction, scope))
            deleted = 0
            if kick_off.since is not None:
                deleted = write_deleted(
                    self._repository, self._indexer, transaction, scope, work.folder / "deleted.ndjson"
                )
        made = {
            "time": instant(until),
            "types": [entry for entry in types if entry["count"]],
            "deleted": deleted,
        }
        return Step(made, _progress(made))

    def _select_type(
        self, work: Work, transaction: Transaction, scope: Scope, resource_type: str
    ) -> JsonObject:
        work.check()
        found = selection(self._repository, transaction, scope, resource_type)
        return _write_down(work, transaction, resource_type, found)

    def _select_provenance(self, work: Work, transaction: Transaction, scope: Scope) -> JsonObject:
        """Write down the Provenance of what is exported, as `includeAssociatedData` wants it."""
        connection = transaction.connection
        connection.execute("CREATE TEMPORARY TABLE exported (key_hash bigint) ON COMMIT DROP")
        for name in scope.types:
            path = work.folder / f"{name}.versions"
            if name == PROVENANCE or not path.exists():
                continue
            offset = 0
            while len(rids := read_pairs(path, offset, _FETCHED)[0]) > 0:
                connection.execute(
                    "INSERT INTO exported SELECT key_hash FROM resource WHERE rid = ANY(%s)", (list(rids),)
                )
                offset += len(rids)
        connection.execute("CREATE INDEX ON exported (key_hash)")
        connection.execute("ANALYZE exported")
        found = self._repository.selection(transaction, PROVENANCE, ())
        is_latest = "RelevantProvenanceResources" not in scope.kick_off.associated
        return _write_down(work, transaction, PROVENANCE, associated(found, "exported", is_latest=is_latest))

    def _write(self, work: Work, kick_off: KickOff, cursor: JsonObject, entry: JsonObject) -> Step:
        """Write the next file of a type."""
        name, begin = entry["type"], entry["done"]
        rids, seqs = read_pairs(work.folder / f"{name}.versions", begin, self._file_resources)
        stem = f"{name}.{begin // self._file_resources + 1}"
        with (
            NdjsonFiles(work.folder, stem, limit_bytes=self._file_bytes) as files,
            work.transaction(is_snapshot=True) as transaction,
        ):
            copy_bodies(
                transaction.connection,
                rids,
                seqs,
                files,
                change=self._change(work, transaction, kick_off, name),
                check=work.check,
            )
        written = {
            **entry,
            "done": begin + len(rids),
            "files": [*entry["files"], *([each.name, each.count] for each in files.written)],
        }
        made = {**cursor, "types": [written if each is entry else each for each in cursor["types"]]}
        return Step(made, _progress(made))

    def _change(
        self, work: Work, transaction: Transaction, kick_off: KickOff, name: str
    ) -> Callable[[bytes], bytes | None] | None:
        """Return what is made of each body of a type, None where it is exported as it is stored.

        Bodies of which it makes None are left out.
        """
        work.check()
        elements = kick_off.elements_of(name)
        mask = self._masking.mask(transaction.requester)
        if mask is None and not elements:
            return None

        def part(body: bytes) -> bytes:
            text = subset(body, name, Query(name, elements=elements)) if elements else body
            return text if mask is None else mask.shown(name, text)

        return part

    def _finish(self, work: Work, kick_off: KickOff, cursor: JsonObject) -> Step:
        """Write the messages and make the manifest."""
        output = [
            {"type": entry["type"], "url": name, "count": count}
            for entry in cursor["types"]
            for name, count in entry["files"]
        ]
        deleted = (
            [{"type": "Bundle", "url": "deleted.ndjson", "count": cursor["deleted"]}]
            if cursor["deleted"]
            else []
        )
        error = []
        if kick_off.ignored:
            lines = [dumps(outcome([issue])) + b"\n" for issue in kick_off.ignored]
            (work.folder / "messages.ndjson").write_bytes(b"".join(lines))
            error = [{"type": "OperationOutcome", "url": "messages.ndjson", "count": len(lines)}]
        manifest = {
            "transactionTime": cursor["time"],
            "request": work.job.request,
            "requiresAccessToken": work.job.requester.kind in ("person", "client"),
            "output": output,
            "deleted": deleted,
            "error": error,
        }
        files = [entry["url"] for entry in (*output, *deleted, *error)]
        return Step(cursor, "done", {"manifest": manifest, "files": files})


def _write_down(work: Work, transaction: Transaction, resource_type: str, found: Sql) -> JsonObject:
    """Write the versions of `found` to the type's file and return its entry of the cursor."""
    with transaction.connection.cursor(name="versions") as rows:
        rows.itersize = _FETCHED
        rows.execute(found.text, found.params)
        count = write_pairs(work.folder / f"{resource_type}.versions", rows)
    return {"type": resource_type, "count": count, "done": 0, "files": []}


def _progress(cursor: JsonObject) -> str:
    done = sum(entry["done"] for entry in cursor["types"])
    return f"{done:,} of {sum(entry['count'] for entry in cursor['types']):,} resources written"
