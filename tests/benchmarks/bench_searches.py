"""Searches over HTTP of the record of a city: every shape alone, and all of them mixed.

`hie serve` with two processes on the embedded PostgreSQL; server, database and load share the cores.
The record is loaded once by `hie load` and kept in its database under `var/bench`: 10,000 and
100,000 resources at small size, a million besides at full size. `_count=20`, no `_total`. Values
are drawn anew for each request, 2,200 a connection before it begins, and are then taken again: people (as
many as there are), tests (400, frequent ones more often), months (120), years (69), amounts (4,990), family
names (20); always the same are only "token, dense" and "quantity, sparse". Each answer is looked at: a
searchset, with as many matches as a page has where it says that more follow. The server keeps no results;
what it keeps for a minute is how many rows a value has.
Alone: ``python -m tests.benchmarks --size small searches``.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from random import Random
from urllib.parse import urlencode

import psycopg

from tests.benchmarks.http import city, load, server
from tests.benchmarks.http.load import Client, Request

SIZES = {"small": (10_000, 100_000), "full": (10_000, 100_000, 1_000_000)}
SECONDS = {"small": 1.0, "full": 8.0}
CONNECTIONS = 8
_DRAWN = 2_200
_AUDITED = ("token",)
_PAGE = 20
_SEARCHSET = b'{"resourceType":"Bundle","type":"searchset"'
# The links stand before the entries.
_LINKS = 2_000

Shape = Callable[[Random], str]


def main(size: str = "small") -> None:
    """Print rate, p50 and p99 of each shape and of the mix, at each number of resources.

    The shapes without the audit trail, then a few of them, and the mix, with it.
    """
    for resources in SIZES[size]:
        people = resources // city.PER_PERSON
        url = _city(people)
        shapes = _shapes(people)
        print(f"{resources:,} resources, {CONNECTIONS} connections", flush=True)
        _measure(url, shapes, SECONDS[size], audit="off")
        if resources == SIZES[size][-1]:
            _measure(url, {name: shapes[name] for name in _AUDITED}, SECONDS[size], audit="on", mixed=shapes)


def _measure(
    url: str, alone: dict[str, Shape], seconds: float, *, audit: str, mixed: dict[str, Shape] | None = None
) -> None:
    suffix = ", audit trail on" if audit == "on" else ""
    with server.serving(url, audit=audit) as running:
        for name, shape in alone.items():
            clients = [_client(name, [shape], seed) for seed in range(CONNECTIONS)]
            made = load.run(running.port, clients, seconds, warm_up=0.5)
            print("  " + made.line(name + suffix), flush=True)
        clients = [_client("mix", list((mixed or alone).values()), seed) for seed in range(CONNECTIONS)]
        mix = load.run(running.port, clients, 3 * seconds)
        print("  " + mix.line("all shapes mixed" + suffix))
        memory = ", ".join(f"{each:.0f}" for each in running.memory_megabytes())
        print(f"  memory, MB a process: {memory}", flush=True)


def _client(name: str, shapes: list[Shape], seed: int) -> Callable[[], Client]:
    random = Random(seed)  # noqa: S311 - test data
    # Drawn before: the time that it takes is not the server's.
    paths = [f"/fhir/{shape(random)}" for _ in range(_DRAWN // len(shapes)) for shape in shapes]

    def client() -> Client:
        while True:
            for path in paths:
                answer = yield Request(name, "GET", path, expected=(200,))
                _require_page(path, answer.body)

    return client


def _require_page(path: str, body: bytes) -> None:
    """Raise RuntimeError unless `body` is a searchset, and a full page where it says that more follows."""
    matches = body.count(b'"search":{"mode":"match"}}')
    has_more = b'{"relation":"next"' in body[:_LINKS]
    is_searchset = body.startswith(_SEARCHSET) and body.endswith(b"}")
    if not is_searchset or matches > _PAGE or (has_more and matches < _PAGE):
        raise RuntimeError(f"{path}: {matches} matches in {body[:200]!r}")


def _shapes(people: int) -> dict[str, Shape]:
    def person(random: Random) -> int:
        return random.randrange(people)

    def of(resource_type: str, make: Callable[[Random], dict[str, str]]) -> Shape:
        return lambda random: f"{resource_type}?{urlencode({**make(random), '_count': str(_PAGE)})}"

    def code(random: Random) -> str:
        return f"{city.LOINC}|{city.laboratory_code(random)}"

    def rare(random: Random) -> str:
        return f"{city.LOINC}|t{random.randrange(city.CODES // 2, city.CODES)}"

    return {
        "token": of("Observation", lambda r: {"code": code(r)}),
        "token, sparse": of("Observation", lambda r: {"code": rare(r)}),
        "token, dense": of("Observation", lambda _: {"status": "final"}),
        "identifier": of("Patient", lambda r: {"identifier": f"{city.CARD}|C{person(r):08}"}),
        "two tokens": of("Observation", lambda r: {"code": code(r), "status": "preliminary"}),
        "reference": of("Observation", lambda r: {"subject": f"Patient/p{person(r)}"}),
        "reference and token": of("Observation", lambda r: {"patient": f"p{person(r)}", "code": code(r)}),
        "string": of("Patient", lambda r: {"family": city.family(r)}),
        "string and date": of("Patient", lambda r: {"family": city.family(r), "birthdate": _since(r)}),
        "date, one month": of("Observation", lambda r: {"date": city.month(r)}),
        "date, from a month on": of("Observation", lambda r: {"date": f"ge{city.month(r)}"}),
        "token and date": of("Observation", lambda r: {"code": code(r), "date": f"ge{city.month(r)}"}),
        "quantity": of("Observation", lambda r: {"value-quantity": f"gt{_value(r)}|{city.UCUM}|mmol/L"}),
        "quantity, sparse": of("Observation", lambda _: {"value-quantity": "gt499.8"}),
        "composite": of("Observation", lambda r: {"code-value-quantity": f"{code(r)}$gt{_value(r)}"}),
        "composite, sparse": of("Observation", lambda r: {"code-value-quantity": f"{rare(r)}${_value(r)}"}),
        "chain": of("Observation", lambda r: {"patient.identifier": f"{city.CARD}|C{person(r):08}"}),
        "chain by name and token": of(
            "Observation", lambda r: {"patient.family": city.family(r), "code": rare(r)}
        ),
        "_has": of("Patient", lambda r: {"_has:Observation:patient:code": rare(r)}),
        "_include": of(
            "Observation", lambda r: {"subject": f"Patient/p{person(r)}", "_include": "Observation:subject"}
        ),
        "_revinclude": of("Patient", lambda r: {"_id": f"p{person(r)}", "_revinclude": "Encounter:subject"}),
        "_sort=-date": of("Observation", lambda r: {"subject": f"Patient/p{person(r)}", "_sort": "-date"}),
    }


def _since(random: Random) -> str:
    return f"ge19{random.randrange(30, 99)}"


def _value(random: Random) -> float:
    return random.randrange(10, 5000) / 10


def _city(people: int) -> str:
    """Return the URL of the database that holds the record of `people`, loaded when it is new."""
    name = f"hie_bench_city_{people}"
    url, is_new = server.database(name, is_kept=True)
    if not is_new:
        return url
    path = server.FOLDER / f"city-{people}.ndjson"
    if not path.exists():
        city.write(path, people)
    began = time.perf_counter()
    try:
        subprocess.run(
            [sys.executable, "-m", "hie", "load", str(path)],
            env={**os.environ, "HIE_DATABASE_URL": url, "HIE_VAR_DIR": str(server.FOLDER / "serve")},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    except BaseException:
        server.drop(name)
        raise
    seconds = time.perf_counter() - began
    count = people * city.PER_PERSON
    print(f"`hie load` of {count:,} resources: {count / seconds:,.0f}/s ({seconds:.0f} s)", flush=True)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return url
