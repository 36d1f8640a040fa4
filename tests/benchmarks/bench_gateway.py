"""Messages a second, end to end over MLLP: read, converted, validated, stored, committed, acknowledged.

Embedded PostgreSQL, gateway processes on one port, and the senders of the synthetic city in a process of
their own, each sender on one connection with a window of unacknowledged messages; all on the same cores.
Alone: ``python -m tests.benchmarks.bench_gateway --messages 5000 --connections 16``.
"""

import argparse
import json
import multiprocessing
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median, quantiles

import psutil
import psycopg
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from hie.core.db import embedded
from hie.simulator.run import City
from hie.wiring import schema
from hl7_gateway.mllp.framing import FrameReader, frame

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "var" / "bench"
MESSAGES = {"small": 4_000, "full": 60_000}
WARM_UP = 400
STAGES = ("read", "convert", "find", "store", "journal", "commit", "acknowledge")

Lane = Sequence[bytes]
"""The messages of one connection, in order."""


def main(size: str = "small") -> None:
    """Run with 2 processes and 8 connections at the usual validation."""
    run(MESSAGES[size])


def run(
    messages: int, *, processes: int = 2, connections: int = 8, window: int = 8, profile: str = ""
) -> None:
    """Print messages a second, the latency of acknowledgments, and where the time went."""
    everything = simulated(messages + WARM_UP)
    server = embedded.start(FOLDER / "postgres")
    url = _fresh_database(server.get_uri(database="postgres"))
    port = _free_port()
    gateways = [_start(url, port, FOLDER / f"gateway-{number}.json") for number in range(processes)]
    try:
        _await_listening(port, gateways)
        _send_apart(_lanes(everything[:WARM_UP], connections), port, window)
        _analyze(url)
        profiler = _profile(gateways[0].pid, profile) if profile else None
        parts = {"gateway": [gateway.pid for gateway in gateways], "database": [_postmaster()]}
        before = {name: _cpu_seconds(pids) for name, pids in parts.items()}
        report = _send_apart(_lanes(everything[WARM_UP:], connections), port, window)
        spent = {name: _cpu_seconds(pids) - before[name] for name, pids in parts.items()}
        if profiler:
            profiler.send_signal(signal.SIGINT)
            profiler.wait(30)
    finally:
        for gateway in gateways:
            gateway.terminate()
        for gateway in gateways:
            gateway.wait(60)
    print(
        "CPU a message: "
        + ", ".join(f"{name} {used / messages * 1e6:.0f} µs" for name, used in spent.items())
    )
    _print(report, [json.loads((FOLDER / f"gateway-{n}.json").read_text()) for n in range(processes)], url)


def simulated(count: int) -> list[tuple[str, bytes]]:
    """Return sender and bytes of the last messages of a synthetic city, kept under var/bench.

    The first ones would be registrations of patients; the last are what a day in a hospital looks like.
    """
    cache = FOLDER / f"messages-{count}.pickle"
    if cache.exists():
        found: list[tuple[str, bytes]] = pickle.loads(cache.read_bytes())  # noqa: S301 - our own file
        return found
    cache.parent.mkdir(parents=True, exist_ok=True)
    city = City.build(people=max(500, count // 2), days=60, seed=4101, end=date(2026, 3, 1))
    last = deque(((message.sender.code, message.raw) for message in city.messages()), maxlen=count)
    cache.write_bytes(pickle.dumps(list(last)))
    return list(last)


def _lanes(messages: Sequence[tuple[str, bytes]], connections: int) -> list[Lane]:
    """Return the messages of each connection; a sender stays on one, the load is even."""
    counts = Counter(sender for sender, _ in messages)
    loads = [0] * connections
    lane_of: dict[str, int] = {}
    for sender, count in counts.most_common():
        lightest = loads.index(min(loads))
        lane_of[sender] = lightest
        loads[lightest] += count
    lanes: list[list[bytes]] = [[] for _ in range(connections)]
    for sender, raw in messages:
        lanes[lane_of[sender]].append(raw)
    return [lane for lane in lanes if lane]


def _send_apart(lanes: list[Lane], port: int, window: int) -> "tuple[float, list[float], Counter[str]]":
    """Send from another process; return seconds, latencies and the acknowledgment codes."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_send, (lanes, port, window))


def _send(lanes: list[Lane], port: int, window: int) -> "tuple[float, list[float], Counter[str]]":
    latencies: list[float] = []
    codes: Counter[str] = Counter()
    poller = select.poll()
    senders = {}
    for lane in lanes:
        connection = socket.create_connection(("127.0.0.1", port), 60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        senders[connection.fileno()] = (
            connection,
            deque(map(frame, lane)),
            deque[float](),
            FrameReader(1_000_000),
        )
        poller.register(connection, select.POLLIN)
    began = time.perf_counter()
    for connection, waiting, sent, _ in senders.values():
        _fill(connection, waiting, sent, window)
    while senders:
        for descriptor, _ in poller.poll(60_000):
            connection, waiting, sent, reader = senders[descriptor]
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("the gateway closed a connection")
            now = time.perf_counter()
            for acknowledgment in reader.feed(data):
                latencies.append(now - sent.popleft())
                codes[acknowledgment.split(b"\rMSA|", 1)[1][:2].decode()] += 1
            _fill(connection, waiting, sent, window)
            if not sent:
                poller.unregister(connection)
                connection.close()
                del senders[descriptor]
    return time.perf_counter() - began, latencies, codes


def _fill(connection: socket.socket, waiting: deque[bytes], sent: deque[float], window: int) -> None:
    while waiting and len(sent) < window:
        connection.sendall(waiting.popleft())
        sent.append(time.perf_counter())


def _print(
    report: "tuple[float, list[float], Counter[str]]", measured: list[dict[str, float]], url: str
) -> None:
    seconds, latencies, codes = report
    count = len(latencies)
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*), (SELECT count(*) FROM resource) FROM journal").fetchone()
        assert row is not None
        journaled, resources = row
        size = connection.execute("SELECT avg(length(raw)) FROM journal").fetchone()
    cuts = quantiles(latencies, n=100)
    print(f"messages {count}, mean {size[0] if size else 0:.0f} bytes, acknowledged {dict(codes)}")
    print(f"{count / seconds:.0f} messages/s in {seconds:.1f} s; {resources / journaled:.1f} resources each")
    print(f"acknowledgment p50 {median(latencies) * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms")
    total = sum(value for found in measured for name, value in found.items() if _is_message_count(name))
    batches = sum(found.get("hie_gateway_batches_total", 0.0) for found in measured)
    retries = sum(found.get("hie_gateway_batch_retries_total", 0.0) for found in measured)
    print(f"{total / max(1.0, batches):.1f} messages a transaction, {retries:.0f} transactions tried again")
    shares = [sum(value for name, value in found.items() if _is_message_count(name)) for found in measured]
    print(f"messages of each process: {', '.join(f'{share:.0f}' for share in shares)}")
    for stage in STAGES:
        spent = sum(found.get(f"hie_gateway_stage_seconds_total/{stage}", 0.0) for found in measured)
        print(f"  {stage:12} {spent / total * 1e6:8.0f} µs a message")


def _postmaster() -> int:
    return int((FOLDER / "postgres" / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])


def _cpu_seconds(pids: list[int]) -> float:
    """Return the processor time of the processes and their children; it does not depend on what else runs."""
    roots = [psutil.Process(pid) for pid in pids]
    family = {process for root in roots for process in (root, *root.children(recursive=True))}
    return sum(process.cpu_times().user + process.cpu_times().system for process in family)


def _is_message_count(name: str) -> bool:
    return name.startswith("hie_gateway_messages_total/")


def _start(url: str, port: int, measurements: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "HIE_DATABASE_URL": url, "HIE_MLLP_PORT": str(port)}
    command = [sys.executable, "-m", "tests.hl7_gateway.transport.gateway_process", str(measurements)]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def _await_listening(port: int, gateways: list[subprocess.Popen[bytes]]) -> None:
    # All of them: with SO_REUSEPORT the first one would take every early connection.
    pending = {gateway.pid for gateway in gateways}
    deadline = time.monotonic() + 60
    while pending and time.monotonic() < deadline:
        if any(gateway.poll() is not None for gateway in gateways):
            raise RuntimeError("a gateway process ended at once")
        pending = {pid for pid in pending if not _listens(pid, port)}
        time.sleep(0.1)


def _listens(pid: int, port: int) -> bool:
    """Whether the process has a socket that listens on the port (proc(5): /proc/net/tcp, state 0A)."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(descriptor.readlink().name)
        except OSError:
            continue
    lines = Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split() for line in lines]
    return any(
        row[3] == "0A" and int(row[1].split(":")[1], 16) == port and f"socket:[{row[9]}]" in sockets
        for row in rows
    )


def _fresh_database(maintenance: str) -> str:
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS bench_gateway WITH (FORCE)")
        connection.execute(sql.SQL("CREATE DATABASE bench_gateway"))
    url = make_url(maintenance).set(database="bench_gateway")
    engine = create_engine(url.set(drivername="postgresql+psycopg"))
    schema().create_all(engine)
    engine.dispose()
    return url.render_as_string(hide_password=False)


def _analyze(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _profile(pid: int, output: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            str(Path(sys.executable).with_name("py-spy")),
            "record",
            "--pid",
            str(pid),
            "--output",
            output,
            "--format",
            "raw",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES["small"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--window", type=int, default=8)
    parser.add_argument(
        "--profile", default="", help="file for py-spy's raw stacks of the first gateway process"
    )
    arguments = vars(parser.parse_args())
    run(arguments.pop("messages"), **arguments)
