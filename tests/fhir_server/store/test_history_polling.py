"""Who polls a history by `_since` misses no version, in whatever order writers end."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Timer

from fhir_server.service import Repository
from fhir_server.store.history import FeedCursor, Window
from hie.core.clock import SystemClock
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject
from hie.core.ports import TransactionResult

Transact = Callable[..., list[TransactionResult]]
TYPES = ("Patient", "Basic")


def creation(name: str) -> JsonObject:
    entry = {
        "resource": {"resourceType": "Patient", "id": name},
        "request": {"method": "PUT", "url": f"Patient/{name}"},
    }
    return {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}


class Poller:
    """Reads what is new since the latest version that it saw, page by page."""

    def __init__(self, database: Database, repository: Repository, count: int) -> None:
        self._database, self._repository, self._count = database, repository, count
        self._since: datetime | None = None
        self.seen: set[str] = set()

    def poll(self) -> list[str]:
        """Return the ids of the versions that were not seen before, as they came."""
        found: list[str] = []
        behind: FeedCursor | None = None
        latest = self._since
        with self._database.reading() as reading:
            while True:
                page = self._repository.feed(
                    reading, TYPES, Window(self._since), count=self._count, behind=behind
                )
                stamps = [entry.resource.last_updated for entry in page.entries]
                assert stamps == sorted(stamps, reverse=True)
                latest = max([*stamps, *([latest] if latest else [])], default=None)
                found += [entry.resource.id for entry in page.entries if entry.resource.id not in self.seen]
                behind = page.following
                if behind is None:
                    break
        self._since = latest
        self.seen.update(found)
        return found


@contextmanager
def under_way(database: Database, repository: Repository, name: str) -> Iterator[Event]:
    """Have a writer that has stamped its version, and commits it when the event is set."""
    written, released = Event(), Event()

    def write() -> None:
        with database.transaction() as transaction:
            repository.transact(transaction, [creation(name)])
            written.set()
            assert released.wait(30)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        assert written.wait(30)
        try:
            yield released
        finally:
            released.set()
            writing.result()


def test_what_is_later_than_a_writer_that_goes_on_is_held_back(
    database: Database, repository: Repository, transact: Transact
) -> None:
    poller = Poller(database, repository, 10)
    transact(creation("before"))
    with under_way(database, repository, "slow") as released:
        transact(creation("fast"))
        assert poller.poll() == ["before"]
        released.set()
    assert set(poller.poll()) == {"slow", "fast"}


def test_a_writer_that_ends_soon_is_waited_for(
    database: Database, repository: Repository, transact: Transact
) -> None:
    poller = Poller(database, repository, 10)
    with under_way(database, repository, "slow") as released:
        transact(creation("fast"))
        Timer(0.05, released.set).start()
        assert set(poller.poll()) == {"slow", "fast"}


def test_readers_and_locks_hold_nothing_back(
    database: Database, repository: Repository, transact: Transact
) -> None:
    transact(creation("one"))
    with database.transaction() as other:
        other.connection.execute("SELECT count(*) FROM resource")
        assert Poller(database, repository, 10).poll() == ["one"]


def test_every_version_of_writers_at_work_at_once_is_met_by_one_who_polls(
    database: Database, repository: Repository, transact: Transact
) -> None:
    poller = Poller(database, repository, 3)

    def write(writer: int) -> None:
        for turn in range(15):
            results = transact(*(creation(f"w{writer}-{turn}-{each}") for each in range(1 + writer)))
            assert [each.error for each in results] == [None] * len(results)

    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, writer) for writer in range(4)]
        while not all(each.done() for each in writing):
            poller.poll()
        for each in writing:
            each.result()
    poller.poll()
    assert poller.seen == {
        f"w{w}-{turn}-{each}" for w in range(4) for turn in range(15) for each in range(1 + w)
    }


def test_pages_of_one_reading_end_at_the_same_instant(
    database: Database, repository: Repository, transact: Transact
) -> None:
    for number in range(4):
        transact(creation(f"p{number}"))
    with database.reading() as reading:
        first = repository.feed(reading, TYPES, Window(), count=2)
        assert first.following is not None
        assert first.following.until <= SystemClock().now()
        transact(creation("later"))
        rest = repository.feed(reading, TYPES, Window(), count=9, behind=first.following)
    shown = [entry.resource.id for entry in (*first.entries, *rest.entries)]
    assert shown == ["p3", "p2", "p1", "p0"]
