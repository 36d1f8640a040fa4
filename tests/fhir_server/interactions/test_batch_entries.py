"""Every interaction as an entry of a batch or transaction: https://hl7.org/fhir/R4/http.html#transaction."""

from base64 import b64encode
from datetime import datetime, timedelta

import pytest

from hie.core.fhir.json import JsonObject
from tests.fhir_server.interactions.client import Client
from tests.fhir_server.interactions.test_bundle_interactions import bundle, entry, outcome

PATIENT = {"resourceType": "Patient", "id": "p", "gender": "male", "name": [{"family": "A"}]}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"text": "Hb"},
    "subject": {"reference": "Patient/p"},
}


@pytest.fixture
def filled(whole: Client) -> Client:
    """A client of a server with a Patient and an Observation of it."""
    assert whole.put("Patient/p", json=PATIENT).status_code == 201
    assert whole.put("Observation/o", json=OBSERVATION).status_code == 201
    return whole


def answered(client: Client, kind: str, *entries: JsonObject, **headers: str) -> list[JsonObject]:
    response = client.post("", json=bundle(kind, *entries), headers=headers)
    assert response.status_code == 200, response.text
    found: list[JsonObject] = response.json()["entry"]
    return found


READS = [
    "metadata",
    "metadata?mode=normative",
    "metadata?mode=terminology&_elements=status",
    "Patient/p",
    "Patient/p?_elements=gender",
    "Patient/p/_history/1",
    "Patient?gender=male",
    "?_type=Patient,Observation",
    "_history",
    "Patient/_history?_count=1",
    "Patient/p/_history",
    "Patient/p/Observation",
    "Patient/p/*",
    "Patient/p/$everything",
    "Patient/p/$meta",
    "$meta",
    "Patient?bogus=1",
]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_each_read_is_answered_as_by_a_request_of_its_own(filled: Client, kind: str) -> None:
    entries = answered(filled, kind, *(entry("GET", url) for url in READS))
    for url, found in zip(READS, entries, strict=True):
        base = "http://127.0.0.1:8000/fhir"
        alone = filled.get(f"{base}{url}" if url.startswith("?") else url)
        assert alone.status_code == 200, (url, alone.text)
        assert found["response"]["status"] == "200 OK", (url, found)
        assert found["resource"] == alone.json(), url


BASE = "http://127.0.0.1:8000/fhir"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_absolute_url_of_this_server_is_the_relative_one(filled: Client, kind: str) -> None:
    urls = ["metadata", "Patient/p", "Patient?gender=male", "?_type=Patient", "Patient/p/$everything"]
    relative = answered(filled, kind, *(entry("GET", url) for url in urls))
    absolute = (f"{BASE}{url}" if url.startswith("?") else f"{BASE}/{url}" for url in urls)
    assert answered(filled, kind, *(entry("GET", url) for url in absolute)) == relative
    written = {"resourceType": "Patient", "id": "q"}
    (made,) = answered(filled, kind, entry("PUT", f"{BASE}/Patient/q", written))
    assert made["response"]["status"] == "201 Created"
    (made,) = answered(filled, kind, entry("DELETE", f"{BASE}/Patient/q"))
    assert made["response"]["status"] == "204 No Content"


@pytest.mark.parametrize("base", ["http://127.0.0.1:8001/fhir", "http://127.0.0.1:8000/fhirs", f"{BASE}x"])
def test_absolute_url_of_another_server_is_refused(filled: Client, base: str) -> None:
    (found,) = answered(filled, "batch", entry("GET", f"{base}/Patient/p"))
    assert found["response"]["status"].startswith("4")


def test_head_in_a_batch_has_no_body(filled: Client) -> None:
    (found,) = answered(filled, "batch", entry("HEAD", "metadata"))
    assert found["response"]["status"] == "200 OK"
    assert "resource" not in found


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_search_by_post_is_the_search_by_get(filled: Client, kind: str) -> None:
    form = {
        "resourceType": "Binary",
        "contentType": "application/x-www-form-urlencoded",
        "data": b64encode(b"family=A").decode(),
    }
    by_post = answered(
        filled,
        kind,
        entry("POST", "Patient/_search?gender=male&family=A"),
        entry("POST", "Patient/_search?gender=male", form),
        entry("POST", "_search?_type=Patient"),
        entry("POST", "Patient/p/Observation/_search"),
    )
    assert [found["response"]["status"] for found in by_post] == ["200 OK"] * 4
    found = [[each["resource"]["id"] for each in made["resource"]["entry"]] for made in by_post]
    assert found == [["p"], ["p"], ["p"], ["o"]]
    assert by_post[0]["resource"] == by_post[1]["resource"]


def test_search_by_post_with_a_body_that_is_no_form_is_refused(filled: Client) -> None:
    entries = answered(
        filled,
        "batch",
        entry("POST", "Patient/_search", PATIENT),
        entry(
            "POST",
            "Patient/_search",
            {"resourceType": "Binary", "contentType": "application/x-www-form-urlencoded", "data": "%"},
        ),
    )
    assert [found["response"]["status"] for found in entries] == ["400 Bad Request"] * 2
    assert entries[0]["response"]["outcome"] == outcome(
        "invalid",
        "A search by POST has its parameters in the URL, or in a Binary of application/x-www-form-urlencoded",
        "Bundle.entry[0].resource",
    )
    assert entries[1]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1].resource.data"]


def test_operations_that_write_are_called_by_post_only(filled: Client) -> None:
    meta = {
        "resourceType": "Parameters",
        "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "t"}]}}],
    }
    validate = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": PATIENT}]}
    entries = answered(
        filled,
        "batch",
        entry("POST", "Patient/p/$meta-add", meta),
        entry("POST", "Patient/$validate", validate),
        entry("GET", "Patient/p/$meta-add"),
        entry("POST", "$nothing"),
    )
    assert [found["response"]["status"] for found in entries] == [
        "200 OK",
        "200 OK",
        "405 Method Not Allowed",
        "404 Not Found",
    ]
    assert entries[1]["resource"]["resourceType"] == "OperationOutcome"
    assert filled.get("Patient/p").json()["meta"]["tag"] == [{"code": "t"}]


def test_unknown_search_parameter_is_an_error_under_strict_handling(filled: Client) -> None:
    (found,) = answered(filled, "batch", entry("GET", "Patient?bogus=1"), prefer="handling=strict")
    assert found["response"]["status"] == "400 Bad Request"
    (named,) = answered(filled, "batch", entry("GET", "Patient?bogus=1"))
    modes = [each["search"]["mode"] for each in named["resource"]["entry"]]
    assert modes == ["match", "outcome"]


def test_conditional_read_by_time_and_by_version(filled: Client) -> None:
    stored = filled.get("Patient/p").json()["meta"]["lastUpdated"]
    before = (datetime.fromisoformat(stored) - timedelta(seconds=1)).isoformat()
    entries = answered(
        filled,
        "batch",
        entry("GET", "Patient/p", ifModifiedSince=stored),
        entry("GET", "Patient/p", ifModifiedSince=before),
        entry("GET", "Patient/p", ifNoneMatch='W/"1"', ifModifiedSince=before),
        entry("GET", "Patient/p", ifNoneMatch='W/"2"', ifModifiedSince=stored),
        entry("GET", "Patient/p", ifModifiedSince="yesterday"),
        entry("GET", "Patient/p", ifModifiedSince="2024-01-01T00:00:00"),
    )
    assert [found["response"]["status"] for found in entries] == [
        "304 Not Modified",
        "200 OK",
        "304 Not Modified",
        "200 OK",
        "400 Bad Request",
        "400 Bad Request",
    ]
    assert entries[4]["response"]["outcome"] == outcome(
        "invalid",
        "ifModifiedSince is `yesterday`, which is no instant",
        "Bundle.entry[4].request.ifModifiedSince",
    )


def test_what_is_no_interaction_says_so(filled: Client) -> None:
    entries = answered(
        filled,
        "batch",
        entry("GET", "metadata?mode=bogus"),
        entry("GET", "a/b/c/d/e"),
        entry("POST", "metadata"),
        entry("OPTIONS", "Patient"),
    )
    assert [found["response"]["status"] for found in entries] == [
        "400 Bad Request",
        "400 Bad Request",
        "404 Not Found",
        "405 Method Not Allowed",
    ]
    assert entries[0]["response"]["outcome"]["issue"][0]["expression"] == ["mode"]
