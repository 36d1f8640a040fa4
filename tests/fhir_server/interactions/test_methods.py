"""The methods of each path, and requests of pages of other origins.

RFC 9110, 9.3.7 and 15.5.6; https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

import pytest

from hie.core.settings import Settings
from tests.fhir_server.interactions.client import Client, assert_outcome
from tests.fhir_server.interactions.conftest import Whole

ALL = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
ORIGIN = "https://app.example"
ASKING = {
    "origin": ORIGIN,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "authorization,content-type,if-match,prefer",
}

PATHS = {
    "http://127.0.0.1:8000/fhir": "GET, HEAD, OPTIONS, POST",
    "metadata": "GET, HEAD, OPTIONS",
    "Patient": ALL,
    "Patient/p": "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
    "Binary/b": "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
    "Patient/_search": "OPTIONS, POST",
    "_search": "OPTIONS, POST",
    "_history": "GET, HEAD, OPTIONS",
    "Patient/p/_history": "GET, HEAD, OPTIONS",
    "Patient/p/_history/1": "GET, HEAD, OPTIONS",
    "Patient/p/Observation": "GET, HEAD, OPTIONS",
    "Patient/p/Observation/_search": "OPTIONS, POST",
    "Patient/$validate": "GET, HEAD, OPTIONS, POST",
    "Patient/p/$meta-add": "OPTIONS, POST",
    "Patient/p/$everything": "GET, HEAD, OPTIONS, POST",
    "$expunge": "OPTIONS, POST",
    "$export": "GET, HEAD, OPTIONS, POST",
    "$graphql": "GET, HEAD, OPTIONS, POST",
}


@pytest.mark.parametrize("path", PATHS)
def test_options_names_every_method_of_the_path(whole: Client, path: str) -> None:
    answer = whole.request("OPTIONS", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == PATHS[path]


@pytest.mark.parametrize("path", ["Patient/p", "metadata", "Patient", "$expunge"])
def test_method_that_is_not_allowed_names_those_that_are(whole: Client, path: str) -> None:
    answer = whole.request("TRACE", path)
    assert_outcome(answer, 405, "not-supported", f"TRACE /fhir/{path}: Method Not Allowed")
    assert answer.headers["allow"] == PATHS[path]


@pytest.mark.parametrize(
    "path", ["Nobody", "Nobody/1", "Patient/$nothing", "Nobody/1/Observation", "a/b/c/d/e"]
)
def test_path_that_is_none_has_no_methods(whole: Client, path: str) -> None:
    for method in ("OPTIONS", "TRACE"):
        answer = whole.request(method, path)
        assert answer.status_code == 404
        assert answer.json()["issue"][0]["code"] == "not-found"
        assert "allow" not in answer.headers


def test_every_get_is_answered_to_head_without_its_body(whole: Client) -> None:
    whole.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    for path in (
        "Patient/p",
        "Patient",
        "metadata",
        "_history",
        "Patient/p/_history/1",
        "Patient/p/$everything",
    ):
        asked, headed = whole.get(path), whole.request("HEAD", path)
        assert (headed.status_code, headed.headers["content-type"]) == (
            asked.status_code,
            asked.headers["content-type"],
        )


def test_no_other_origin_is_allowed_unless_an_operator_names_it(whole: Client) -> None:
    answer = whole.request("OPTIONS", "Patient/p", headers=ASKING)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    answer = whole.get("metadata", headers={"origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_origin_of_the_setting_may_call(whole_with: Whole) -> None:
    client = whole_with(Settings(cors_origins=(ORIGIN,)))
    asked = client.request("OPTIONS", "Patient/p", headers=ASKING)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert "PUT" in asked.headers["access-control-allow-methods"].split(", ")
    assert asked.headers["access-control-allow-headers"] == ASKING["access-control-request-headers"]
    assert "access-control-allow-credentials" not in asked.headers
    patient = {"resourceType": "Patient", "id": "p"}
    written = client.put("Patient/p", json=patient, headers={"origin": ORIGIN})
    assert written.headers["access-control-allow-origin"] == ORIGIN
    exposed = written.headers["access-control-expose-headers"].split(", ")
    assert {"ETag", "Location", "Content-Location"} <= set(exposed)
    refused = client.get("Patient/none", headers={"origin": ORIGIN})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (404, ORIGIN)
    # OPTIONS that is no pre-flight is answered as ever
    assert client.request("OPTIONS", "metadata").headers["allow"] == PATHS["metadata"]


def test_origin_that_the_setting_does_not_name_may_not_call(whole_with: Whole) -> None:
    client = whole_with(Settings(cors_origins=(ORIGIN,)))
    asked = client.request("OPTIONS", "Patient/p", headers={**ASKING, "origin": "https://evil.example"})
    assert asked.status_code == 400
    assert "access-control-allow-origin" not in asked.headers
