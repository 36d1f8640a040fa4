"""Transaction Bundles: https://hl7.org/fhir/R4/http.html#transaction."""

from collections.abc import Callable
from itertools import count

import pytest

from fhir_server.index.hashing import hash32
from fhir_server.service import Repository
from hie.core.db.database import Database
from hie.core.errors import (
    DeletedError,
    NotFoundError,
)
from hie.core.fhir.json import loads
from hie.core.ports import TransactionResult
from tests.fhir_server.store.bundles import (
    SYSTEM,
    bundle,
    delete,
    observation,
    patient,
    post,
    put,
    upsert,
)
from tests.fhir_server.store.results import body, error_outcome, outcome, statuses

Transact = Callable[..., list[TransactionResult]]
CountRows = Callable[[], dict[str, int]]

ALICE = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


def test_entries_are_created_and_references_to_a_full_url_become_references_to_the_resource(
    database: Database, repository: Repository, transact: Transact
) -> None:
    (result,) = transact(bundle(post(observation(ALICE)), post(patient("1"), ALICE)))
    assert statuses(result) == [(201, "Observation", 1, True), (201, "Patient", 1, True)]
    read = body(database, repository, "Observation", result.entries[0].id)
    assert read["subject"] == {"reference": f"Patient/{result.entries[1].id}"}


def test_the_body_keeps_order_digits_and_the_clients_meta(
    database: Database, repository: Repository, transact: Transact
) -> None:
    given = loads(
        b'{"resourceType":"Observation","id":"o1","meta":{"versionId":"77","profile":["http://p.example"],'
        b'"lastUpdated":"1999-01-01T00:00:00Z"},"status":"final","code":{"text":"Hb"},'
        b'"valueQuantity":{"unit":"g/dL","value":13.10}}'
    )
    transact(bundle(put("Observation/o1", given)))
    with database.transaction() as transaction:
        stored = repository.read(transaction, "Observation", "o1")
    assert stored.body is not None
    head, tail = stored.body.split(b'"profile"')
    assert head.startswith(
        b'{"resourceType":"Observation","id":"o1","meta":{"versionId":"1","lastUpdated":"2'
    )
    assert tail == (
        b':["http://p.example"]},"status":"final","code":{"text":"Hb"},'
        b'"valueQuantity":{"unit":"g/dL","value":13.10}}'
    )


def test_ids_of_created_resources_are_the_servers(transact: Transact) -> None:
    (result,) = transact(bundle(post(patient(id="mine"))))
    assert result.entries[0].id != "mine"


def test_conditional_update_creates_then_leaves_unchanged_then_updates(
    database: Database, repository: Repository, transact: Transact
) -> None:
    (first,) = transact(bundle(upsert(patient("1", gender="male"))))
    (again,) = transact(bundle(upsert(patient("1", gender="male"))))
    (changed,) = transact(bundle(upsert(patient("1", gender="female"))))
    assert statuses(first) == [(201, "Patient", 1, True)]
    assert statuses(again) == [(200, "Patient", 1, False)]
    assert statuses(changed) == [(200, "Patient", 2, True)]
    assert {each.entries[0].id for each in (first, again, changed)} == {first.entries[0].id}
    assert body(database, repository, "Patient", first.entries[0].id)["gender"] == "female"


def test_content_in_another_order_is_unchanged(transact: Transact) -> None:
    transact(
        bundle(put("Patient/p", {"resourceType": "Patient", "id": "p", "gender": "male", "active": True}))
    )
    (again,) = transact(
        bundle(put("Patient/p", {"active": True, "gender": "male", "id": "p", "resourceType": "Patient"}))
    )
    assert statuses(again) == [(200, "Patient", 1, False)]


def test_a_decimal_of_another_precision_is_a_change(transact: Transact) -> None:
    for number, text in enumerate((b"1.0", b"1.00"), start=1):
        given = loads(
            b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},'
            b'"valueQuantity":{"value":' + text + b"}}"
        )
        (result,) = transact(bundle(put("Observation/o", given)))
        assert result.entries[0].version == number


def test_bundles_of_one_batch_see_one_another(
    database: Database, repository: Repository, transact: Transact, count_rows: CountRows
) -> None:
    results = transact(
        bundle(upsert(patient("1", gender="male"), ALICE), post(observation(ALICE))),
        bundle(upsert(patient("1", gender="female"), ALICE), post(observation(ALICE))),
        bundle(upsert(patient("1", gender="female"), ALICE), post(observation(ALICE))),
    )
    assert [each.entries[0].version for each in results] == [1, 2, 2]
    (identity,) = {each.entries[0].id for each in results}
    for result in results:
        read = body(database, repository, "Observation", result.entries[1].id)
        assert read["subject"]["reference"] == f"Patient/{identity}"
    assert body(database, repository, "Patient", identity)["gender"] == "female"
    with database.transaction() as transaction:
        first = repository.vread(transaction, "Patient", identity, 1)
    assert first.body is not None
    assert loads(first.body)["gender"] == "male"
    counts = count_rows()
    assert (counts["resource"], counts["resource_history"], counts["outbox"]) == (4, 1, 3)


def test_a_bundle_that_fails_leaves_no_trace_and_does_not_hinder_the_others(
    transact: Transact, count_rows: CountRows
) -> None:
    results = transact(
        bundle(upsert(patient("1"))),
        bundle(upsert(patient("2")), post(observation("urn:uuid:nobody"))),
        bundle(post(patient("2"), if_none_exist=f"identifier={SYSTEM}|2")),
    )
    assert statuses(results[0]) == [(201, "Patient", 1, True)]
    assert outcome(results[1]) == error_outcome(
        "not-found",
        "No entry of the Bundle has the fullUrl `urn:uuid:nobody`",
        "Bundle.entry[1].resource.subject.reference",
    )
    assert statuses(results[2]) == [(201, "Patient", 1, True)]
    counts = count_rows()
    assert (counts["resource"], counts["outbox"]) == (2, 2)


def test_deletes_come_before_creates_and_creates_before_updates(
    database: Database, repository: Repository, transact: Transact
) -> None:
    transact(bundle(put("Patient/old", patient("1", id="old"))))
    (result,) = transact(
        bundle(
            put("Observation/o", observation(ALICE, id="o")),
            post(patient("1"), ALICE, if_none_exist=f"identifier={SYSTEM}|1"),
            delete("Patient/old"),
        )
    )
    assert statuses(result) == [
        (201, "Observation", 1, True),
        (201, "Patient", 1, True),
        (204, "Patient", 2, True),
    ]
    read = body(database, repository, "Observation", "o")
    assert read["subject"]["reference"] == f"Patient/{result.entries[1].id}" != "Patient/old"
    with database.transaction() as transaction, pytest.raises(DeletedError):
        repository.read(transaction, "Patient", "old")


def test_if_none_exist_that_matches_creates_nothing_and_is_referred_to(
    database: Database, repository: Repository, transact: Transact, count_rows: CountRows
) -> None:
    (first,) = transact(bundle(upsert(patient("1", gender="male"))))
    (second,) = transact(
        bundle(
            post(patient("1", gender="other"), ALICE, if_none_exist=f"identifier={SYSTEM}|1"),
            post(patient("1", gender="other"), if_none_exist=f"identifier={SYSTEM}|1"),
            post(observation(ALICE)),
        )
    )
    assert statuses(second) == [
        (200, "Patient", 1, False),
        (200, "Patient", 1, False),
        (201, "Observation", 1, True),
    ]
    read = body(database, repository, "Observation", second.entries[2].id)
    assert read["subject"]["reference"] == f"Patient/{first.entries[0].id}"
    assert count_rows()["resource"] == 2


def test_two_creates_under_one_condition_make_one_resource(transact: Transact, count_rows: CountRows) -> None:
    condition = f"identifier={SYSTEM}|1"
    (result,) = transact(
        bundle(post(patient("1"), if_none_exist=condition), post(patient("1"), if_none_exist=condition))
    )
    assert statuses(result) == [(201, "Patient", 1, True), (200, "Patient", 1, False)]
    assert result.entries[0].id == result.entries[1].id
    assert count_rows()["resource"] == 1


def test_a_conditional_reference_is_resolved_in_store_and_in_the_bundle_itself(
    database: Database, repository: Repository, transact: Transact
) -> None:
    (stored,) = transact(bundle(upsert(patient("1"))))
    (result,) = transact(
        bundle(
            post(observation(f"Patient?identifier={SYSTEM}|1")),
            post(observation(f"Patient?identifier={SYSTEM}|2")),
            post(patient("2")),
        )
    )
    references = [
        body(database, repository, "Observation", result.entries[n].id)["subject"]["reference"]
        for n in (0, 1)
    ]
    assert references == [f"Patient/{stored.entries[0].id}", f"Patient/{result.entries[2].id}"]


def test_update_as_create_and_update_of_a_deleted_resource(transact: Transact) -> None:
    (created,) = transact(bundle(put("Patient/p", patient(id="p"))))
    (deleted,) = transact(bundle(delete("Patient/p")))
    (gone,) = transact(bundle(delete("Patient/p")))
    (never,) = transact(bundle(delete("Patient/never")))
    (back,) = transact(bundle(put("Patient/p", patient(id="p"))))
    assert statuses(created) == [(201, "Patient", 1, True)]
    assert statuses(deleted) == [(204, "Patient", 2, True)]
    assert statuses(gone) == [(204, "Patient", 2, False)]
    assert statuses(never) == [(204, "Patient", 0, False)]
    assert statuses(back) == [(201, "Patient", 3, True)]


def test_conditional_delete_deletes_the_one_that_matches(
    database: Database, repository: Repository, transact: Transact, count_rows: CountRows
) -> None:
    (created,) = transact(bundle(upsert(patient("1")), upsert(patient("2"))))
    (deleted,) = transact(bundle(delete(f"Patient?identifier={SYSTEM}|1")))
    (none,) = transact(bundle(delete(f"Patient?identifier={SYSTEM}|1")))
    assert statuses(deleted) == [(204, "Patient", 2, True)]
    assert statuses(none) == [(204, "Patient", 0, False)]
    with database.transaction() as transaction:
        with pytest.raises(DeletedError):
            repository.read(transaction, "Patient", created.entries[0].id)
        repository.read(transaction, "Patient", created.entries[1].id)
        with pytest.raises(NotFoundError):
            repository.read(transaction, "Patient", "never")
    assert count_rows()["ix_token"] == _token_rows(database, created.entries[1].id)


def _token_rows(database: Database, resource_id: str) -> int:
    with database.transaction() as transaction:
        row = transaction.connection.execute(
            "SELECT count(*) FROM ix_token t JOIN resource r USING (rid) WHERE r.id = %s", (resource_id,)
        ).fetchone()
    assert row is not None
    assert row[0] > 0
    return int(row[0])


def test_index_rows_are_those_of_the_current_version(database: Database, transact: Transact) -> None:
    (first,) = transact(bundle(upsert(patient("1", gender="male", birthDate="1980-01-02"))))
    before = _seq_and_rows(database)
    transact(bundle(upsert(patient("1", gender="female"))))
    after = _seq_and_rows(database)
    assert first.entries[0].version == 1
    assert before["ix_date"] != []
    assert after["ix_date"] == []
    assert {seq for rows in after.values() for seq in rows} == {max(after["resource"])}
    assert min(after["resource"]) > max(before["resource"])


def _seq_and_rows(database: Database) -> dict[str, list[int]]:
    with database.transaction() as transaction:
        return {
            name: [row[0] for row in transaction.connection.execute(f"SELECT seq FROM {name}")]  # noqa: S608 - our tables
            for name in ("resource", "ix_token", "ix_string", "ix_date")
        }


def test_every_change_is_told_to_the_outbox_with_its_version(database: Database, transact: Transact) -> None:
    (result,) = transact(bundle(upsert(patient("1"), ALICE), post(observation(ALICE))))
    transact(bundle(upsert(patient("1"))))
    transact(bundle(delete(f"Patient/{result.entries[0].id}")))
    with database.transaction() as transaction:
        events = transaction.connection.execute("SELECT topic, payload FROM outbox ORDER BY id").fetchall()
    one = result.entries[0].id
    assert events == [
        (
            "fhir.changed",
            {
                "changes": [
                    {"type": "Patient", "id": one, "version": 1, "method": "PUT"},
                    {"type": "Observation", "id": result.entries[1].id, "version": 1, "method": "POST"},
                ]
            },
        ),
        ("fhir.changed", {"changes": [{"type": "Patient", "id": one, "version": 2, "method": "DELETE"}]}),
    ]


def test_relative_references_of_entries_with_restful_full_urls_are_rewritten(
    database: Database, repository: Repository, transact: Transact
) -> None:
    base = "http://other.example/fhir"
    (result,) = transact(
        bundle(
            post(observation("Patient/7"), f"{base}/Observation/1"),
            post(observation("Patient/8"), f"{base}/Observation/2"),
            post(patient("1", id="7"), f"{base}/Patient/7"),
        )
    )
    first, second = (
        body(database, repository, "Observation", result.entries[n].id)["subject"]["reference"]
        for n in (0, 1)
    )
    assert first == f"Patient/{result.entries[2].id}"
    assert second == "Patient/8"


def _systems_of_one_hash() -> tuple[str, str]:
    """Return two systems whose 32-bit hashes collide (some hundred thousand tries, by the birthday bound)."""
    seen: dict[int, str] = {}
    for number in count():
        system = f"http://hospital-{number}.example"
        other = seen.setdefault(hash32(system), system)
        if other != system:
            return other, system
    raise AssertionError


def test_systems_whose_hashes_collide_are_told_apart(transact: Transact, count_rows: CountRows) -> None:
    one, other = _systems_of_one_hash()
    assert hash32(one) == hash32(other)
    given = [
        bundle(upsert({"resourceType": "Patient", "identifier": [{"system": system, "value": "1"}]}))
        for system in (one, other)
    ]
    stored = [transact(each)[0] for each in given]
    assert [each.entries[0].status for each in stored] == [201, 201]
    again = transact(*given)
    assert [each.entries[0].id for each in again] == [each.entries[0].id for each in stored]
    changed = [
        bundle(
            upsert(
                {
                    "resourceType": "Patient",
                    "identifier": [{"system": system, "value": "2"}],
                    "gender": gender,
                }
            )
        )
        for system, gender in ((one, "male"), (other, "female"), (one, "other"))
    ]
    in_one_batch = transact(*changed)
    assert [each.entries[0].status for each in in_one_batch] == [201, 201, 200]
    assert count_rows()["resource"] == 4
