"""An exchange that writes, searches and indexes words, for the tests of this folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fhir_server.full_text.words_indexer import WordsIndexer
from fhir_server.search.service import Answer
from hie import wiring
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings


@contextmanager
def exchange_of(database_url: str, *, full_text: bool = True) -> Iterator[wiring.Exchange]:
    """Yield an exchange over the database."""
    settings = Settings(_env_file=None, base_url="http://hie.example/fhir", full_text=full_text)
    with wiring.build(settings, database_url=database_url) as exchange:
        yield exchange


def patient(identifier: str, narrative: str, **elements: object) -> JsonObject:
    """Return a Patient with a narrative."""
    division = f'<div xmlns="http://www.w3.org/1999/xhtml">{narrative}</div>'
    return {
        "resourceType": "Patient",
        "id": identifier,
        "text": {"status": "additional", "div": division},
        **elements,
    }


def put(exchange: wiring.Exchange, *resources: JsonObject) -> None:
    """Store `resources` in one transaction."""
    with exchange.database.transaction() as transaction:
        results = exchange.repository.transact(transaction, [bundle(*resources)])
    assert [each.error for each in results] == [None]


def bundle(*resources: JsonObject) -> JsonObject:
    """Return a transaction that updates, or creates, `resources`."""
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def delete(exchange: wiring.Exchange, *targets: str) -> None:
    """Delete ``Type/id`` each."""
    entries = [{"request": {"method": "DELETE", "url": each}} for each in targets]
    with exchange.database.transaction() as transaction:
        exchange.repository.transact(
            transaction, [{"resourceType": "Bundle", "type": "transaction", "entry": entries}]
        )


def answer(exchange: wiring.Exchange, resource_type: str, parameters: Sequence[tuple[str, str]]) -> Answer:
    """Return what a search answers, on a connection that may only read."""
    with exchange.database.reading() as transaction:
        return exchange.repository.answer(transaction, resource_type, parameters)


def found(exchange: wiring.Exchange, resource_type: str, *parameters: tuple[str, str]) -> set[str]:
    """Return the ids that a search finds, which must need no warning."""
    made = answer(exchange, resource_type, parameters)
    assert made.issues == ()
    return {entry.resource.id for entry in made.page.entries}


def index(exchange: wiring.Exchange) -> None:
    """Index all words that are missing, as the worker does."""
    work_through(indexer_of(exchange))


def indexer_of(exchange: wiring.Exchange) -> WordsIndexer:
    """Return a worker's indexer."""
    indexer = exchange.words_indexer()
    assert indexer is not None
    return indexer


def work_through(indexer: WordsIndexer) -> None:
    """Work until there is nothing more to do."""
    while indexer.work_one():
        pass


def rows(database: Database) -> list[tuple[str, int, str]]:
    """Return id, version and sorted words of each row of the index, sorted; stale ones too."""
    with database.transaction() as transaction:
        return sorted(
            transaction.connection.execute(
                "SELECT coalesce(r.id, '?'), coalesce(r.version, 0), x.words::text FROM ix_text x"
                " LEFT JOIN resource r ON r.rid = x.rid AND r.seq = x.seq"
            ).fetchall()
        )
