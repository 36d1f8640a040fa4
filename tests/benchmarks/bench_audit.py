"""What the audit trail costs: reads and writes with it and without, the chain's writer, the verification.

Two servers on one database, one with the trail and one without, are loaded in turn, so that whatever else the
machine does meets both; beside the rates stands the processor time of the server's processes a
request, which does not depend on it. Alone: ``python -m tests.benchmarks --size small audit``.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from hie.core.access import Requester, Role
from hie.core.audit.anchors import Anchors, read_file
from hie.core.audit.chain import extend, lock
from hie.core.audit.collecting import Collector
from hie.core.audit.log import LocalLog
from hie.core.audit.patients import NoPatients
from hie.core.audit.record import Record, encode
from hie.core.audit.verification import verify
from hie.core.clock import SystemClock
from hie.core.db.database import Database
from tests.benchmarks import bench_rest
from tests.benchmarks.http import load, server
from tests.benchmarks.http.load import Client

_DATABASE = "hie_bench_audit"
_SECONDS = {"small": 1.0, "full": 10.0}
_ROUNDS = {"small": 1, "full": 5}
_RECORDS = {"small": 30_000, "full": 1_000_000}
_PIECE = 10_000


def main(size: str = "small") -> None:
    """Print the figures."""
    url, _ = server.database(_DATABASE)
    _serve(url, size)
    with tempfile.TemporaryDirectory() as folder, Database.from_url(url) as database:
        _write(database, Path(folder), _RECORDS[size])
        _verify(database, Path(folder))
    server.drop(_DATABASE)


def _serve(url: str, size: str) -> None:
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            state: opened.enter_context(
                server.serving(url, processes=1, audit=state, audit_folder=str(folder / "audit"))
            )
            for state in ("off", "on")
        }
        known = bench_rest.prepare(servers["off"].port)
        loads: Sequence[tuple[str, int, Callable[[int], Callable[[], Client]]]] = (
            ("read by id", 1, lambda seed: bench_rest.reads(known, seed)),
            ("read by id", 8, lambda seed: bench_rest.reads(known, seed)),
            ("read by id", 16, lambda seed: bench_rest.reads(known, seed)),
            ("create, read, update, delete", 1, bench_rest.mix),
            ("create, read, update, delete", 16, bench_rest.mix),
        )
        for name, connections, make in loads:
            rates: dict[str, list[float]] = {"off": [], "on": []}
            costs: dict[str, list[float]] = {"off": [], "on": []}
            for turn in range(2 * _ROUNDS[size]):
                state = ("off", "on")[turn % 2]
                running = servers[state]
                before = _cpu_seconds(running)
                clients = [make(number) for number in range(connections)]
                made = load.run(running.port, clients, _SECONDS[size])
                rates[state].append(made.rate)
                costs[state].append((_cpu_seconds(running) - before) / (made.rate * _SECONDS[size]) * 1e6)
            off, on = (statistics.median(rates[state]) for state in ("off", "on"))
            less, more = (statistics.median(costs[state]) for state in ("off", "on"))
            print(
                f"{name}, {connections} connections: {off:,.0f}/s without, {on:,.0f}/s with"
                f" ({100 * (on / off - 1):+.0f} %); processor {less:,.0f} and {more:,.0f} µs a request"
                f" ({100 * (more / less - 1):+.0f} %)",
                flush=True,
            )


def _cpu_seconds(running: server.Server) -> float:
    """Return the processor time of the processes that serve."""
    return sum(_ticks(pid) for pid in running.workers()) / 100


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _record(random: Random, number: int, now: datetime) -> Record:
    doctor = Requester(
        "person",
        f"u-{random.randrange(500)}",
        client="ward-app",
        roles=frozenset({Role.CLINICIAN}),
        practitioner=f"dr-{random.randrange(500)}",
        organization="hospital-1",
    )
    patient = str(random.randrange(100_000))
    return Record(
        "rest",
        "read",
        "R",
        doctor,
        now + timedelta(milliseconds=number),
        target=f"Observation/{number}",
        seen=(("Observation", str(number)),),
        patients=(patient,),
        address="10.0.0.7",
        request_id=f"request-{number}",
    )


def _write(database: Database, folder: Path, count: int) -> None:
    """Fill the local log and the chain; print how fast each is."""
    random = Random(1)  # noqa: S311 - test data
    now = datetime.now(UTC)
    log = LocalLog(folder / "audit")
    bodies = [encode(_record(random, number, now), "web-1") for number in range(2_000)]
    took = []
    for body in bodies:
        began = time.perf_counter()
        log.append([body])
        took.append(time.perf_counter() - began)
    log.close()
    took.sort()
    print(
        f"local log, one thread: {len(took) / sum(took):,.0f} records/s durable,"
        f" p50 {took[len(took) // 2] * 1e6:,.0f} µs, p99 {took[len(took) * 99 // 100] * 1e6:,.0f} µs"
    )
    anchors = Anchors(folder / "anchors", every=10_000, interval=timedelta(minutes=10), clock=SystemClock())
    collector = Collector(
        database,
        folder / "audit",
        patients=NoPatients(),
        clock=SystemClock(),
        digest="sha256",
        site="web-1",
        anchors=anchors,
    )
    began = time.perf_counter()
    collected = collector.run()
    print(f"collector, from local logs: {collected / (time.perf_counter() - began):,.0f} records/s")
    began = time.perf_counter()
    processor = time.process_time()
    for start in range(len(bodies), count, _PIECE):
        piece = [
            encode(_record(random, number, now), "web-1")
            for number in range(start, min(start + _PIECE, count))
        ]
        with database.transaction() as transaction:
            end = extend(transaction, lock(transaction), piece, digest="sha256", now=datetime.now(UTC))
            anchors.note(transaction, end)
    with database.reading() as reading:
        anchors.publish(reading)
    seconds = time.perf_counter() - began
    print(
        f"chain: {(count - len(bodies)) / seconds:,.0f} records/s made, chained and indexed;"
        f" {(time.process_time() - processor) / (count - len(bodies)) * 1e6:,.0f} µs of processor a record"
    )


def _verify(database: Database, folder: Path) -> None:
    began = time.perf_counter()
    processor = time.process_time()
    with database.transaction() as transaction:
        transaction.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        transaction.connection.execute("SET LOCAL statement_timeout = 0")
        made = verify(transaction, read_file(folder / "anchors"))
        size = transaction.connection.execute(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
            " WHERE inhparent = 'audit_event'::regclass"
        ).fetchone()
    seconds = time.perf_counter() - began
    print(
        f"verification: {made.count:,} records in {seconds:.1f} s ({made.count / seconds:,.0f}/s),"
        f" {(time.process_time() - processor) / made.count * 1e6:.1f} µs of processor a record;"
        f" {'intact' if made.is_intact else made.findings[0]};"
        f" {(size[0] if size else 0) / made.count:,.0f} bytes a record with indexes"
    )
