"""Bundles with something wrong: a transaction writes nothing, a batch answers each entry."""

import pytest

from hie.core.fhir.json import Json, JsonObject, dumps
from tests.fhir_server.bad_input.api import OBSERVATION, STRUCTURE, Client, Rows, issues_of, patient


def bundle(*entries: Json, kind: str = "transaction") -> JsonObject:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def posting(resource: Json, url: str = "Observation", **request: Json) -> JsonObject:
    return {"resource": resource, "request": {"method": "POST", "url": url, **request}}


WRONG_ENTRIES: list[tuple[Json, str]] = [
    (posting({**OBSERVATION, "foo": 1}), "Bundle.entry[1].resource.foo"),
    (posting({**OBSERVATION, "status": None}), "Bundle.entry[1].resource.status"),
    (posting(patient()), "Bundle.entry[1].resource.resourceType"),
    (posting(None), "Bundle.entry[1].resource"),
    (posting(OBSERVATION, url="Foo"), "Bundle.entry[1].request.url"),
    (posting(OBSERVATION, url=""), "Bundle.entry[1].request.url"),
    (posting(OBSERVATION, ifNoneExist=5), "Bundle.entry[1].request.ifNoneExist"),
    (posting(OBSERVATION, ifMatch="x"), "Bundle.entry[1].request.ifMatch"),
    ({"resource": OBSERVATION}, "Bundle.entry[1].request"),
    (
        {"resource": OBSERVATION, "request": {"method": "FOO", "url": "Observation"}},
        "Bundle.entry[1].request.method",
    ),
    (
        {"resource": OBSERVATION, "request": {"method": 5, "url": "Observation"}},
        "Bundle.entry[1].request.method",
    ),
    (
        {"resource": OBSERVATION, "request": {"method": "PUT", "url": "Observation/a_b"}},
        "Bundle.entry[1].request.url",
    ),
    (
        {"resource": OBSERVATION, "request": {"method": "PUT", "url": "Observation/a"}},
        "Bundle.entry[1].resource.id",
    ),
    ({"request": {"method": "DELETE", "url": "Observation"}}, "Bundle.entry[1].request.url"),
    (5, "Bundle.entry[1].request"),
    (None, "Bundle.entry[1].request"),
    (
        posting({**OBSERVATION, "subject": {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}}),
        "Bundle.entry[1].resource.subject.reference",
    ),
]


@pytest.mark.parametrize(("wrong", "expression"), WRONG_ENTRIES)
def test_a_transaction_with_one_wrong_entry_writes_nothing(
    client: Client, rows: Rows, wrong: Json, expression: str
) -> None:
    before = rows()
    given = bundle(posting(OBSERVATION), wrong, posting(OBSERVATION))
    response = client.post("/fhir", dumps(given))
    assert 400 <= response.status_code < 500
    assert [found for _, expressions in issues_of(response) for found in expressions][:1] == [expression]
    assert rows() == before


@pytest.mark.parametrize(("wrong", "expression"), WRONG_ENTRIES[:-1])
def test_a_batch_answers_each_wrong_entry_and_writes_the_others(
    client: Client, rows: Rows, wrong: Json, expression: str
) -> None:
    before = rows()
    given = bundle(posting(OBSERVATION), wrong, posting(OBSERVATION), kind="batch")
    response = client.post("/fhir", dumps(given))
    assert response.status_code == 200
    entries = response.json()["entry"]
    assert STRUCTURE.validate(response.json()) == []
    assert [entry["response"]["status"][0] for entry in entries] == ["2", "4", "2"]
    assert entries[1]["response"]["outcome"]["issue"][0]["expression"] == [expression]
    assert rows()["resource"] == before["resource"] + 2


@pytest.mark.parametrize(
    "given",
    [
        {"resourceType": "Bundle"},
        bundle(kind="collection"),
        bundle(kind="searchset"),
        {"resourceType": "Bundle", "type": "transaction", "entry": {}},
        {"resourceType": "Bundle", "type": "transaction", "entry": "a"},
        {"resourceType": "Bundle", "type": ["transaction"]},
        {"resourceType": "Bundle", "type": {}},
        {"resourceType": "Patient"},
    ],
)
def test_a_bundle_of_another_kind_is_refused(client: Client, rows: Rows, given: JsonObject) -> None:
    before = rows()
    response = client.post("/fhir", dumps(given))
    assert response.status_code in (400, 422)
    assert issues_of(response)[0][1]
    assert rows() == before


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_bundle_of_nothing_is_answered_by_one_of_nothing(client: Client, kind: str) -> None:
    response = client.post("/fhir", dumps({"resourceType": "Bundle", "type": kind}))
    assert response.status_code == 200
    assert response.json() == {"resourceType": "Bundle", "type": f"{kind}-response"}


@pytest.mark.parametrize("path", ["_history?_count=0", "Account/_history", "Account?_id=nobody"])
def test_a_page_of_nothing_has_no_entries(client: Client, path: str) -> None:
    bundle = client.get(f"/fhir/{path}").json()
    assert STRUCTURE.validate(bundle) == []
    assert "entry" not in bundle
