"""$meta, $meta-add and $meta-delete: https://hl7.org/fhir/R4/resource-operation-meta.html."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hie.core.fhir.json import JsonObject
from tests.fhir_server.interactions.client import Client, assert_outcome

TAG = {"system": "http://tag.example", "code": "t1", "display": "first"}
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
PROFILE = "http://profile.example/p"


def meta_in(**labels: Any) -> JsonObject:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": labels}]}


def meta_of(answer: JsonObject) -> JsonObject:
    (parameter,) = answer["parameter"]
    assert answer["resourceType"] == "Parameters"
    assert parameter["name"] == "return"
    meta: JsonObject = parameter["valueMeta"]
    return meta


@pytest.fixture
def patient(client: Client) -> str:
    made = client.put("Patient/p", json={"resourceType": "Patient", "id": "p", "meta": {"tag": [TAG]}})
    assert made.status_code == 201
    return "Patient/p"


def test_meta_of_an_instance_is_the_meta_of_its_current_version(client: Client, patient: str) -> None:
    answer = client.get(f"{patient}/$meta")
    assert answer.status_code == 200
    assert meta_of(answer.json()) == client.get(patient).json()["meta"]
    assert client.post(f"{patient}/$meta").json() == answer.json()


def test_meta_of_a_version_is_the_meta_of_that_version(client: Client, patient: str) -> None:
    client.post(f"{patient}/$meta-add", json=meta_in(security=[LABEL]))
    assert meta_of(client.get(f"{patient}/_history/1/$meta").json())["versionId"] == "1"
    assert meta_of(client.get(f"{patient}/$meta").json())["versionId"] == "2"
    assert client.get(f"{patient}/_history/7/$meta").status_code == 404


def test_meta_add_adds_each_label_once_and_makes_a_version(client: Client, patient: str) -> None:
    given = meta_in(tag=[{**TAG, "display": "other"}], security=[LABEL, LABEL], profile=[PROFILE])
    meta = meta_of(client.post(f"{patient}/$meta-add", json=given).json())
    assert meta["tag"] == [TAG]
    assert meta["security"] == [LABEL]
    assert meta["profile"] == [PROFILE]
    assert meta["versionId"] == "2"
    assert client.get(patient).json()["meta"] == meta
    assert client.get("Patient?_security=R").json()["entry"][0]["resource"]["id"] == "p"
    again = meta_of(client.post(f"{patient}/$meta-add", json=given).json())
    assert again["versionId"] == "2"


def test_meta_delete_removes_labels_and_those_that_are_not_there_are_no_error(
    client: Client, patient: str
) -> None:
    meta = meta_of(
        client.post(
            f"{patient}/$meta-delete",
            json=meta_in(tag=[{"system": TAG["system"], "code": "t1"}], profile=[PROFILE]),
        ).json()
    )
    assert "tag" not in meta
    assert meta["versionId"] == "2"
    assert client.get(f"Patient?_tag={TAG['system']}|t1").json().get("entry", []) == []


def test_labels_added_at_the_same_time_are_all_there(client: Client, patient: str) -> None:
    codes = [f"c{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda code: client.post(f"{patient}/$meta-add", json=meta_in(tag=[{"code": code}])), codes
            )
        )
    assert [answer.status_code for answer in answers] == [200] * 8
    tags = client.get(patient).json()["meta"]["tag"]
    assert {tag["code"] for tag in tags} == {"t1", *codes}


def test_meta_of_a_type_and_of_the_system_lists_the_labels_in_use(client: Client, patient: str) -> None:
    client.post(f"{patient}/$meta-add", json=meta_in(security=[LABEL], profile=[PROFILE]))
    client.put(
        "Group/g",
        json={
            "resourceType": "Group",
            "id": "g",
            "type": "person",
            "actual": True,
            "meta": {"tag": [{"code": "g"}]},
        },
    )
    client.put(
        "Group/gone",
        json={
            "resourceType": "Group",
            "id": "gone",
            "type": "person",
            "actual": True,
            "meta": {"tag": [{"code": "x"}]},
        },
    )
    client.delete("Group/gone")
    assert meta_of(client.get("Patient/$meta").json()) == {
        "profile": [PROFILE],
        "security": [LABEL],
        "tag": [TAG],
    }
    assert meta_of(client.get("Group/$meta").json()) == {"tag": [{"code": "g"}]}
    assert meta_of(client.get("$meta").json())["tag"] == [{"code": "g"}, TAG]
    assert meta_of(client.get("Observation/$meta").json()) == {}


def test_meta_of_what_is_not_there_is_404_and_of_what_was_deleted_410(client: Client, patient: str) -> None:
    assert_outcome(client.get("Patient/x/$meta"), 404, "not-found", "`Patient/x` does not exist")
    client.delete(patient)
    assert client.get(f"{patient}/$meta").status_code == 410
    assert client.post(f"{patient}/$meta-add", json=meta_in(tag=[TAG])).status_code == 410


def test_meta_add_by_get_is_405(client: Client, patient: str) -> None:
    answer = client.get(f"{patient}/$meta-add")
    assert_outcome(answer, 405, "not-supported", "The operation `$meta-add` changes state: call it by POST")
    assert answer.headers["allow"] == "POST"
    assert client.get(patient).json()["meta"]["versionId"] == "1"
