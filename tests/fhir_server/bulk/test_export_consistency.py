"""An export is one state of the repository, whatever is written while it is made."""

import threading
from collections.abc import Callable
from itertools import count

from fhir_server.bulk.export import KIND, Export
from fhir_server.jobs.job import JobKind, Step, Work
from fhir_server.transaction.entry import Operation
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, dumps, loads
from tests.fhir_server.bulk.server import Bulk


class Interrupted:
    """An export before each of whose steps something happens."""

    def __init__(self, export: JobKind, happen: Callable[[int], None]) -> None:
        self.export = export
        self.happen = happen
        self.number = 0

    def step(self, work: Work) -> Step:
        """Let it happen, then do the step."""
        self.happen(self.number)
        self.number += 1
        return self.export.step(work)


def patient(number: int, value: int) -> JsonObject:
    return {"resourceType": "Patient", "id": f"p{number}", "multipleBirthInteger": value}


def test_what_is_written_after_the_selection_does_not_change_the_export(bulk: Bulk) -> None:
    bulk.put(*(patient(number, 1) for number in range(8)))
    bulk.delete("Patient/p7")

    def happen(step: int) -> None:
        if step == 1:  # the versions are selected, no file is written
            bulk.put(patient(0, 2), patient(7, 2), patient(9, 2))
            bulk.delete("Patient/p1")
        if step == 2:  # three are written
            bulk.put(*(patient(number, 3) for number in (0, 2, 6)))
            bulk.delete("Patient/p5")

    bulk.kinds[KIND] = Interrupted(bulk.kinds[KIND], happen)
    manifest = bulk.export("$export")
    found = {each["id"]: each["multipleBirthInteger"] for each in bulk.lines(manifest)}
    assert found == {f"p{number}": 1 for number in range(7)}
    later = bulk.export(f"$export?_since={manifest['transactionTime']}")
    found = {each["id"]: each["multipleBirthInteger"] for each in bulk.lines(later)}
    assert found == {"p0": 3, "p2": 3, "p6": 3, "p7": 2, "p9": 2}
    (deleted,) = bulk.lines(later, "deleted")
    assert sorted(each["request"]["url"] for each in deleted["entry"]) == ["Patient/p1", "Patient/p5"]


def test_steps_that_are_done_twice_give_each_resource_once(bulk: Bulk) -> None:
    bulk.put(*(patient(number, 1) for number in range(10)))
    export, values = bulk.kinds[KIND], count(2)

    class Twice:
        def step(self, work: Work) -> Step:
            export.step(work)
            bulk.put(patient(3, next(values)))
            return export.step(work)

    bulk.kinds[KIND] = Twice()
    assert bulk.names(bulk.export("$export")) == sorted(f"Patient/p{number}" for number in range(10))


def _write_in(bulk: Bulk, transaction: Transaction) -> None:
    operation = Operation("PUT", type="Patient", id="p1", resource=patient(1, 1))
    bulk.exchange.repository.apply_one(transaction, operation)


def test_transaction_that_is_under_way_is_waited_for(bulk: Bulk) -> None:
    with bulk.exchange.database.transaction() as transaction:
        _write_in(bulk, transaction)
        kicked_off = bulk.kick_off("$export")
        worker = threading.Thread(target=bulk.work)
        worker.start()
        while not bulk.status(kicked_off).headers["X-Progress"].startswith("waiting for 1 transaction"):
            assert worker.is_alive()
    worker.join()
    manifest = bulk.finish(kicked_off)
    (found,) = bulk.lines(manifest)
    assert found["meta"]["lastUpdated"] <= manifest["transactionTime"]


def test_transaction_that_does_not_end_lies_behind_the_transaction_time(bulk: Bulk) -> None:
    exchange = bulk.exchange
    bulk.kinds[KIND] = Export(
        exchange.repository,
        exchange.search.indexer,
        exchange.clock,
        base_url=bulk.base,
        patience_seconds=0.1,
    )
    with exchange.database.transaction() as transaction:
        _write_in(bulk, transaction)
        manifest = bulk.export("$export")
        assert manifest["output"] == []
    later = bulk.export(f"$export?_since={manifest['transactionTime']}")
    assert bulk.names(later) == ["Patient/p1"]


def test_transactions_are_exported_whole_while_others_write(bulk: Bulk) -> None:
    """Pairs of resources are always written with one value: no export shows two values in a pair."""
    stopped = threading.Event()

    def write(pair: int) -> None:
        value = 0
        while not stopped.is_set():
            value += 1
            entries = [
                {
                    "resource": patient(2 * pair + of, value),
                    "request": {"method": "PUT", "url": f"Patient/p{2 * pair + of}"},
                }
                for of in (0, 1)
            ]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            assert bulk.client.post("", content=dumps(bundle)).status_code == 200

    threads = [threading.Thread(target=write, args=(pair,)) for pair in range(3)]
    for thread in threads:
        thread.start()
    since: dict[int, int] = {}
    last = ""
    try:
        while len(since) < 6:
            since = {
                int(each["id"][1:]): each["multipleBirthInteger"]
                for each in bulk.lines(bulk.export("$export"))
            }
        seen = dict(since)
        for _ in range(4):
            manifest = bulk.export(f"$export?_since={last}" if last else "$export")
            last = manifest["transactionTime"]
            found = {int(each["id"][1:]): each["multipleBirthInteger"] for each in bulk.lines(manifest)}
            for number, value in found.items():
                assert found[number ^ 1] == value, "half a transaction"
                assert value >= seen[number], "an older state than before"
            seen |= found
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    final = bulk.export(f"$export?_since={last}")
    seen |= {int(each["id"][1:]): each["multipleBirthInteger"] for each in bulk.lines(final)}
    stored = {n: loads(bulk.client.get(f"Patient/p{n}").content)["multipleBirthInteger"] for n in range(6)}
    assert seen == stored, "what one export leaves out, the next since its transactionTime has"
