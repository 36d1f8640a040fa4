"""What the database refuses is not half-written, and names the guilty Bundle only."""

from collections.abc import Callable

import psycopg
import pytest

from fhir_server.service import Repository
from hie.core.db.database import Database
from hie.core.errors import ExchangeError, operation_outcome
from hie.core.ports import TransactionResult
from tests.fhir_server.store.bundles import bundle, observation, patient, post, put, upsert

Transact = Callable[..., list[TransactionResult]]
CountRows = Callable[[], dict[str, int]]


def _forbid(database: Database, *, deferred: bool) -> None:
    """Let the database refuse what carries the word `forbidden`, at once or at COMMIT."""
    timing = "CONSTRAINT TRIGGER refuse AFTER INSERT" if deferred else "TRIGGER refuse BEFORE INSERT"
    option = "DEFERRABLE INITIALLY DEFERRED" if deferred else ""
    with database.transaction() as transaction:
        transaction.connection.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF convert_from(NEW.body, 'UTF8') LIKE '%forbidden%' THEN
                    RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'no_forbidden_word';
                END IF;
                RETURN NEW;
            END $$
            """
        )
        transaction.connection.execute(
            f"CREATE {timing} ON resource {option} FOR EACH ROW EXECUTE FUNCTION refuse()"
        )


@pytest.mark.usefixtures("plain_bodies")
def test_only_the_guilty_bundle_of_a_batch_fails(
    database: Database, transact: Transact, count_rows: CountRows
) -> None:
    _forbid(database, deferred=False)
    full_url = "urn:uuid:11111111-1111-4111-8111-111111111111"
    good, guilty, after = transact(
        bundle(upsert(patient("1"))),
        bundle(upsert(patient("2", name=[{"text": "forbidden"}]), full_url), post(observation(full_url))),
        bundle(upsert(patient("1", gender="male"))),
    )
    assert [each.status for each in good.entries] == [201]
    assert [(each.status, each.version) for each in after.entries] == [(200, 2)]
    assert isinstance(guilty.error, ExchangeError)
    assert operation_outcome(guilty.error) == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "conflict",
                "diagnostics": "The change violates the constraint `no_forbidden_word`",
            }
        ],
    }
    counts = count_rows()
    assert (counts["resource"], counts["resource_history"], counts["outbox"]) == (1, 1, 2)


@pytest.mark.usefixtures("plain_bodies")
def test_a_constraint_that_fails_at_commit_leaves_nothing(
    database: Database, repository: Repository, count_rows: CountRows
) -> None:
    _forbid(database, deferred=True)
    with pytest.raises(psycopg.errors.CheckViolation), database.transaction() as transaction:
        (result,) = repository.transact(
            transaction, [bundle(upsert(patient("1", name=[{"text": "forbidden"}])))]
        )
        assert result.entries[0].status == 201
    assert set(count_rows().values()) == {0}


def test_a_transaction_that_is_rolled_back_leaves_nothing(
    database: Database, repository: Repository, count_rows: CountRows
) -> None:
    with pytest.raises(KeyboardInterrupt), database.transaction() as transaction:
        repository.transact(transaction, [bundle(upsert(patient("1")))])
        raise KeyboardInterrupt
    assert set(count_rows().values()) == {0}


def test_a_create_without_condition_joins_the_callers_open_transaction(
    database: Database, repository: Repository, count_rows: CountRows
) -> None:
    with database.transaction() as transaction:
        repository.transact(transaction, [bundle(post(patient("1")))])
        assert count_rows()["resource"] == 0
    assert count_rows()["resource"] == 1


def test_content_that_the_database_refuses_fails_its_bundle_only(
    database: Database, repository: Repository, count_rows: CountRows
) -> None:
    with database.transaction() as transaction:
        transaction.connection.execute("ALTER TABLE resource ADD CONSTRAINT not_huge CHECK (id <> 'huge')")
    with database.transaction() as transaction:
        before, guilty, after = repository.transact(
            transaction,
            [
                bundle(upsert(patient("1"))),
                bundle(upsert(patient("2")), put("Observation/huge", observation("Patient/1", id="huge"))),
                bundle(upsert(patient("2"))),
            ],
        )
    assert before.error is after.error is None
    assert after.entries[0].status == 201
    assert isinstance(guilty.error, ExchangeError)
    assert operation_outcome(guilty.error) == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "conflict",
                "diagnostics": "The change violates the constraint `not_huge`",
            }
        ],
    }
    assert count_rows()["resource"] == 2
