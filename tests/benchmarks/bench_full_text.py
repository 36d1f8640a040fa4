"""Full text behind the commit: words indexed a second, what they cost, and what a search costs meanwhile.

The resources are those of the bulk benchmark, imported and then indexed by one worker, as `hie worker`
does it; on the same cores the embedded PostgreSQL. Beside the figures stand the microseconds of processor
time that Python and PostgreSQL's backend spend for a resource. Then searches by `_content`: with all indexed,
with what is missing at the limit of what searches look at themselves, and with more missing than that.
Alone: ``python -m tests.benchmarks --size small full_text``.
"""

import time
from statistics import median

import psutil

from fhir_server.bulk.pool import Batch
from fhir_server.full_text import ranges
from fhir_server.full_text.unindexed import MOST
from fhir_server.full_text.words_indexer import WordsIndexer
from hie import wiring
from hie.core.access import SYSTEM
from hie.core.db import embedded
from hie.core.settings import Settings
from tests.benchmarks import bench_bulk

PATIENTS = {"small": 2_000, "full": 80_000}
_SEARCHES = 40


def main(size: str = "small") -> None:
    """Print the figures."""
    path = bench_bulk.file_of(PATIENTS[size])
    server = embedded.start(bench_bulk.FOLDER / "postgres")
    url = bench_bulk.fresh_database(server.get_uri(database="postgres"))
    with wiring.build(Settings(), database_url=url) as exchange:
        lines = list(enumerate(path.read_bytes().splitlines(), start=1))
        batches = [Batch(lines[at : at + 500], SYSTEM, None, None) for at in range(0, len(lines), 500)]
        list(exchange.imports.store(batches))
        indexer = exchange.words_indexer()
        assert indexer is not None
        _index(exchange, indexer, len(lines))
        _search(exchange, "all indexed")
        for count in (MOST, MOST + 1):
            (result,) = exchange.imports.store([Batch(_new(count), SYSTEM, None, None)])
            assert result.created == count
            _search(exchange, f"{count} not indexed")
            while indexer.work_one():
                pass


def _index(exchange: wiring.Exchange, indexer: WordsIndexer, count: int) -> None:
    own, theirs, began = time.process_time(), _database_seconds(exchange), time.perf_counter()
    while indexer.work_one():
        pass
    seconds = time.perf_counter() - began
    with exchange.database.transaction() as transaction:
        assert ranges.waiting(transaction.connection) == 0
        rows = transaction.connection.execute(
            "SELECT count(*), sum(length(words)), pg_relation_size('ix_text_words') / 1e6,"
            " pg_relation_size('ix_text') / 1e6 FROM ix_text"
        ).fetchone()
    assert rows is not None
    print(
        f"{count / seconds:,.0f} resources/s, {rows[1] / seconds:,.0f} words/s"
        f" ({count:,} in {seconds:.1f} s); processor {1e6 * (time.process_time() - own) / count:.0f} +"
        f" {1e6 * (_database_seconds(exchange) - theirs) / count:.0f} microseconds a resource;"
        f" {rows[0]:,} rows, table {rows[3]:.1f} MB, index {rows[2]:.1f} MB",
        flush=True,
    )


def _search(exchange: wiring.Exchange, name: str) -> None:
    seconds = []
    issues = 0
    for number in range(_SEARCHES):
        began = time.perf_counter()
        with exchange.database.reading() as transaction:
            answer = exchange.repository.answer(
                transaction, "Observation", [("_content", f"o{number} hemog*")]
            )
        seconds.append(time.perf_counter() - began)
        issues += len(answer.issues)
    print(f"_content, {name}: median {1000 * median(seconds):.2f} ms, {issues} warnings", flush=True)


def _new(count: int) -> list[tuple[int, bytes]]:
    # All of one type: what is missing is counted for each.
    text = b'{"resourceType":"Observation","id":"new-%d-%d","status":"final","code":{"text":"Hemoglobin"}}'
    return [(number, text % (count, number)) for number in range(count)]


def _database_seconds(exchange: wiring.Exchange) -> float:
    with exchange.database.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchall()
    times = [psutil.Process(pid).cpu_times() for (pid,) in rows]
    return sum(each.user + each.system for each in times)


if __name__ == "__main__":
    main()
