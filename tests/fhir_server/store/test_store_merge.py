"""A merging update keeps what it does not say; `""` deletes; nothing is lost between two processes."""

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.service import Repository
from fhir_server.store.bodies import open_rows
from fhir_server.transaction.merge import Merge, merged, read_merge
from hie.core.db.database import Database
from hie.core.errors import RequestError
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import MERGE_EXTENSION

SYSTEM = "http://hie.example/sid/H1/MR"


def _put(resource: JsonObject, *, cleared: tuple[str, ...] = (), weak: tuple[str, ...] = ()) -> JsonObject:
    parts = [{"url": "cleared", "valueString": path} for path in cleared]
    parts += [{"url": "weak", "valueString": path} for path in weak]
    said: JsonObject = {"extension": parts} if parts else {"valueBoolean": True}
    kind, value = resource["resourceType"], resource["identifier"][0]["value"]
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "resource": resource,
                "request": {
                    "method": "PUT",
                    "url": f"{kind}?identifier={SYSTEM}%7C{value}",
                    "extension": [{"url": MERGE_EXTENSION, **said}],
                },
            }
        ],
    }


def _patient(value: str = "1", **elements: Any) -> JsonObject:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **elements}


def _stored(database: Database, kind: str = "Patient") -> tuple[JsonObject, int]:
    with database.transaction() as transaction:
        rows = transaction.connection.execute("SELECT type, id, version, body FROM resource").fetchall()
        bodies = [loads(body or b"") for body in open_rows(transaction.connection, rows)]
    found = [(body, row[2]) for row, body in zip(rows, bodies, strict=True) if body["resourceType"] == kind]
    assert len(found) == 1
    return found[0]


def _transact(database: Database, repository: Repository, *bundles: JsonObject) -> None:
    with database.transaction() as transaction:
        for result in repository.transact(transaction, bundles):
            assert result.error is None, result.error


@pytest.mark.parametrize("is_one_batch", [True, False])
def test_update_that_says_less_keeps_the_rest(
    database: Database, repository: Repository, *, is_one_batch: bool
) -> None:
    first = _put(
        _patient(
            gender="male",
            birthDate="1980-01-01",
            _birthDate={"extension": [{"url": "http://example.org/t", "valueTime": "08:00:00"}]},
            address=[{"text": "文化路1号"}],
            extension=[{"url": "http://example.org/e", "valueCode": "x"}],
            telecom=[
                {"system": "phone", "use": "home", "value": "1"},
                {"system": "phone", "use": "work", "value": "2"},
            ],
            deceasedBoolean=False,
        )
    )
    second = _put(
        _patient(
            name=[{"text": "测试一"}],
            telecom=[{"system": "phone", "use": "work", "value": "3"}],
            deceasedDateTime="2026-11-01",
        ),
        cleared=("address", "extension|http://example.org/e"),
    )
    if is_one_batch:
        _transact(database, repository, first, second)
    else:
        _transact(database, repository, first)
        _transact(database, repository, second)
    patient, version = _stored(database)
    del patient["id"], patient["meta"]
    assert version == 2
    assert patient == _patient(
        gender="male",
        birthDate="1980-01-01",
        _birthDate={"extension": [{"url": "http://example.org/t", "valueTime": "08:00:00"}]},
        telecom=[
            {"system": "phone", "use": "home", "value": "1"},
            {"system": "phone", "use": "work", "value": "3"},
        ],
        name=[{"text": "测试一"}],
        deceasedDateTime="2026-11-01",
    )
    _transact(database, repository, second)
    assert _stored(database)[1] == 2


def test_weak_element_gives_way_to_what_is_stored(database: Database, repository: Repository) -> None:
    def encounter(status: str, **elements: Any) -> JsonObject:
        return {
            "resourceType": "Encounter",
            "identifier": [{"system": SYSTEM, "value": "V1"}],
            "status": status,
            "class": {"code": "IMP"},
            **elements,
        }

    _transact(
        database,
        repository,
        _put(encounter("in-progress", period={"start": "2026-11-01"}), weak=("status",)),
        _put(encounter("finished", period={"end": "2026-11-05"})),
        _put(encounter("in-progress"), weak=("status",)),
    )
    found, version = _stored(database, "Encounter")
    assert (found["status"], found["period"], version) == (
        "finished",
        {"start": "2026-11-01", "end": "2026-11-05"},
        2,
    )
    _transact(database, repository, _put(encounter("in-progress"), cleared=("period.end",)))
    found, _ = _stored(database, "Encounter")
    assert (found["status"], found["period"]) == ("in-progress", {"start": "2026-11-01"})


def _coded(code: str) -> JsonObject:
    return {"coding": [{"code": code}]}


_TEMPORARY: JsonObject = {
    "url": "http://hl7.org/fhir/StructureDefinition/subject-locationClassification",
    "valueCodeableConcept": _coded("temporary"),
}
_LISTS: dict[str, list[JsonObject]] = {
    "telecom": [{"system": "phone", "use": "home"}, {"system": "phone", "use": "work"}, {"system": "email"}],
    "extension": [{"url": "http://example.org/a.b"}, {"url": "http://example.org/a"}],
    "identifier": [
        {"system": SYSTEM, "value": "1"},
        {"system": "s", "type": _coded("MR")},
        {"system": "t", "type": _coded("MR")},
    ],
    "participant": [{"type": [_coded("ATND")]}, {"type": [_coded("ATND"), _coded("REF")]}, {}],
    "location": [{"status": "active"}, {"status": "active", "extension": [_TEMPORARY]}],
    "contact": [{"relationship": [_coded("N")]}, {"relationship": [_coded("E")]}],
    "diagnosis": [{"condition": {"reference": "Condition/1"}}, {"condition": {"reference": "Condition/2"}}],
}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("telecom|*|home", [1, 2]),
        ("telecom|phone", [2]),
        ("telecom|phone|*", [2]),
        ("telecom|phone|", [0, 1, 2]),
        ("telecom|*|", [0, 1]),
        ("telecom|*", []),
        ("telecom|phone|home|1", [0, 1, 2]),
        ("extension|http://example.org/a", [0]),
        ("extension|http://example.org/a.b", [1]),
        ("identifier|s|MR", [0, 2]),
        ("identifier|*|MR", [0]),
        (f"identifier|{SYSTEM}|", [1, 2]),
        ("participant|ATND", [1, 2]),
        ("participant|ATND,REF", [0, 2]),
        ("participant|", [0, 1]),
        ("location|active|", [1]),
        ("location|active|temporary", [0]),
        ("location|active", []),
        ("contact|E", [0]),
        ("diagnosis|Condition/1", [1]),
    ],
)
def test_cleared_path_with_parts_deletes_the_items_that_have_them(path: str, left: list[int]) -> None:
    name = path.partition("|")[0]
    stored = {"resourceType": "Patient", name: _LISTS[name]}
    kept = [_LISTS[name][number] for number in left]
    found = merged(stored, {"resourceType": "Patient"}, Merge((path,)))
    assert found == {"resourceType": "Patient", **({name: kept} if kept else {})}
    assert stored[name] == _LISTS[name]


def test_temporary_place_is_not_replaced_by_another_of_its_status() -> None:
    stored = {"location": _LISTS["location"]}
    given_now = {"location": [{"status": "active", "location": {"display": "W2"}}]}
    assert merged(stored, given_now, Merge())["location"] == [*given_now["location"], _LISTS["location"][1]]


@pytest.mark.parametrize(("part", "path"), [("cleared", "name|official"), ("weak", "telecom|phone")])
def test_path_with_parts_that_names_no_items_is_refused(part: str, path: str) -> None:
    extension = {"url": MERGE_EXTENSION, "extension": [{"url": part, "valueString": path}]}
    with pytest.raises(RequestError, match="names no items"):
        read_merge({"extension": [extension]}, expression="Bundle.entry[0].request")


def test_processes_that_merge_at_once_lose_no_element(database: Database, repository: Repository) -> None:
    _transact(database, repository, _put(_patient()))
    errors: list[BaseException] = []

    def say(number: int) -> None:
        try:
            url = f"http://example.org/{number}"
            _transact(database, repository, _put(_patient(extension=[{"url": url, "valueInteger": number}])))
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=say, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    patient, version = _stored(database)
    merged_numbers = sorted(found["valueInteger"] for found in patient.get("extension", ()))
    assert len(merged_numbers) + len(errors) == 8
    assert version == 1 + len(merged_numbers)
    assert all("try again" in str(error) for error in errors), errors


def test_merge_extension_of_another_form_is_refused(database: Database, repository: Repository) -> None:
    bundle = _put(_patient())
    bundle["entry"][0]["request"]["extension"] = [{"url": MERGE_EXTENSION, "extension": [{"url": "cleared"}]}]
    with database.transaction() as transaction:
        (result,) = repository.transact(transaction, [bundle])
    assert result.error is not None
    assert result.error.expression == "Bundle.entry[0].request.extension"


items = st.fixed_dictionaries(
    {"system": st.sampled_from(["a", "b", "c"]), "value": st.sampled_from(["1", "2", "3"])}
)
resources = st.fixed_dictionaries(
    {"resourceType": st.just("Patient")},
    optional={
        "gender": st.sampled_from(["male", "female"]),
        "identifier": st.lists(items, max_size=4),
        "period": st.dictionaries(st.sampled_from(["start", "end"]), st.just("2026")),
        "deceasedBoolean": st.booleans(),
        "deceasedDateTime": st.just("2026"),
        "name": st.lists(st.just({"text": "x"}), min_size=1, max_size=2),
    },
).filter(lambda found: not {"deceasedBoolean", "deceasedDateTime"} <= found.keys())


@given(resources, resources)
def test_merging_twice_is_merging_once_and_says_all_that_was_given(
    stored: JsonObject, given_now: JsonObject
) -> None:
    once = merged(stored, given_now, Merge())
    assert merged(once, given_now, Merge()) == once
    for name, value in given_now.items():
        if name == "identifier":
            assert all(item in once[name] for item in value)
        elif name == "period":
            assert once[name].items() >= value.items()
        else:
            assert once[name] == value
