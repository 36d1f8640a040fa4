"""The store against a model: a dictionary of lists of versions.

Any sequence of creates, conditional updates, updates and deletes leaves the
store with what the model has, in every version.
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from fhir_server.service import Repository
from hie.core.db.database import Database
from hie.core.errors import DeletedError, NotFoundError
from hie.core.fhir.json import loads
from hie.core.ports import TransactionResult
from tests.fhir_server.store.bundles import SYSTEM, bundle, delete, patient, post, put, upsert

IDS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["1", "2"])
NUMBERS = st.integers(0, 3)

Version = tuple[str, dict[str, Any] | None]
"""The method that made it, and the content; None for a deletion."""


def content(resource_id: str, value: str | None, number: int) -> dict[str, Any]:
    return patient(value, id=resource_id, multipleBirthInteger=number)


class StoreMachine(RuleBasedStateMachine):
    """The rules: every interaction, what it must answer, and what the model then holds."""

    database: Database
    repository: Repository

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, list[Version]] = {}
        with self.database.transaction() as transaction:
            for table in ("resource", "resource_history", "outbox", "ix_token"):
                transaction.connection.execute(f"TRUNCATE {table}")

    @rule(value=VALUES, number=NUMBERS)
    def create(self, value: str, number: int) -> None:
        """A create makes a new resource."""
        (result,) = self._transact(bundle(post(patient(value, multipleBirthInteger=number))))
        assert result.entries[0].status == 201
        identity = result.entries[0].id
        assert identity not in self.model
        self.model[identity] = [("POST", content(identity, value, number))]

    @rule(identity=IDS, value=VALUES, number=NUMBERS)
    def update(self, identity: str, value: str, number: int) -> None:
        """An update makes a version, unless nothing changes."""
        (result,) = self._transact(bundle(put(f"Patient/{identity}", content(identity, value, number))))
        self._expect_update(result, identity, content(identity, value, number))

    @rule(value=VALUES, number=NUMBERS)
    def conditional_update(self, value: str, number: int) -> None:
        """A conditional update takes the one that matches, or makes one."""
        matches = self._holders(value)
        (result,) = self._transact(bundle(upsert(patient(value, multipleBirthInteger=number))))
        if len(matches) > 1:
            assert result.error is not None
            assert result.error.code == "multiple-matches"
            return
        assert result.error is None
        identity = result.entries[0].id
        assert [identity] == matches or (not matches and identity not in self.model)
        self._expect_update(result, identity, content(identity, value, number))

    @rule(value=VALUES, numbers=st.lists(NUMBERS, min_size=2, max_size=4))
    def conditional_updates_in_one_batch(self, value: str, numbers: list[int]) -> None:
        """Each Bundle of a batch sees those before it."""
        matches = self._holders(value)
        results = self._transact(*(bundle(upsert(patient(value, multipleBirthInteger=n))) for n in numbers))
        for number, result in zip(numbers, results, strict=True):
            if len(matches) > 1:
                assert result.error is not None
            else:
                identity = result.entries[0].id
                self._expect_update(result, identity, content(identity, value, number))

    @rule(identity=IDS)
    def delete(self, identity: str) -> None:
        """A delete makes a version of what is there."""
        (result,) = self._transact(bundle(delete(f"Patient/{identity}")))
        assert result.entries[0].status == 204
        versions = self.model.get(identity)
        if versions and versions[-1][1] is not None:
            versions.append(("DELETE", None))
            assert result.entries[0].is_changed
        else:
            assert not result.entries[0].is_changed

    @rule(identity=IDS, value=VALUES)
    def fail(self, identity: str, value: str) -> None:
        """A transaction that fails changes nothing."""
        (result,) = self._transact(
            bundle(
                delete(f"Patient/{identity}"),
                post(patient(value)),
                put("Patient/d", content("d", value, 1), if_match='W/"99"'),
            )
        )
        assert result.error is not None

    @invariant()
    def every_version_is_the_models(self) -> None:
        """Reads, vreads and history are the model's."""
        with self.database.transaction() as transaction:
            for identity in ("a", "b", "c", "d", *self.model):
                versions = self.model.get(identity, [])
                if not versions:
                    with pytest.raises(NotFoundError):
                        self.repository.read(transaction, "Patient", identity)
                    continue
                page = self.repository.history(transaction, "Patient", identity, count=1000)
                assert page.total == len(versions)
                assert [entry.method.name for entry in page.entries] == [each[0] for each in versions][::-1]
                for entry, (_, expected) in zip(reversed(page.entries), versions, strict=True):
                    assert self._plain(entry.resource.body) == expected
                for number, (_, expected) in enumerate(versions, start=1):
                    if expected is None:
                        with pytest.raises(DeletedError):
                            self.repository.vread(transaction, "Patient", identity, number)
                    else:
                        read = self.repository.vread(transaction, "Patient", identity, number)
                        assert self._plain(read.body) == expected
                if versions[-1][1] is None:
                    with pytest.raises(DeletedError):
                        self.repository.read(transaction, "Patient", identity)
                else:
                    current = self.repository.read(transaction, "Patient", identity)
                    assert current.version == len(versions)
                    assert self._plain(current.body) == versions[-1][1]

    @invariant()
    def search_finds_what_the_model_holds(self) -> None:
        """The index holds current versions only."""
        with self.database.transaction() as transaction:
            for value in ("1", "2"):
                page = self.repository.search(
                    transaction, "Patient", [("identifier", f"{SYSTEM}|{value}"), ("_count", "1000")]
                )
                assert sorted(e.resource.id for e in page.entries) == sorted(self._holders(value))

    def _transact(self, *bundles: dict[str, Any]) -> list[TransactionResult]:
        with self.database.transaction() as transaction:
            return self.repository.transact(transaction, bundles)

    def _expect_update(self, result: TransactionResult, identity: str, expected: dict[str, Any]) -> None:
        versions = self.model.setdefault(identity, [])
        was = versions[-1][1] if versions else None
        entry = result.entries[0]
        if was == expected:
            assert (entry.status, entry.is_changed) == (200, False)
        else:
            versions.append(("PUT", expected))
            assert (entry.status, entry.is_changed) == (200 if was is not None else 201, True)
        assert entry.version == len(versions)

    def _holders(self, value: str) -> list[str]:
        return [
            identity
            for identity, versions in self.model.items()
            if versions[-1][1] is not None and versions[-1][1]["identifier"][0]["value"] == value
        ]

    @staticmethod
    def _plain(body: bytes | None) -> dict[str, Any] | None:
        if body is None:
            return None
        read = dict(loads(body))
        del read["meta"]
        return read


def test_the_store_keeps_what_a_dictionary_of_versions_keeps(
    database: Database, repository: Repository
) -> None:
    class Machine(StoreMachine):
        pass

    Machine.database, Machine.repository = database, repository
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )
