"""Whatever is asked of whatever path by whatever method: an error is an OperationOutcome, as it is wanted."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hie.core.fhir.json import dumps, loads
from hie.core.fhir.xml_read import from_xml
from tests.conftest import IS_FULL
from tests.fhir_server.bad_input.api import PATIENT, STRUCTURE, Client
from tests.fhir_server.bad_input.streams import VALID, anything, encoded

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO")
SEGMENTS = st.one_of(
    st.sampled_from(
        [
            *(
                "Patient",
                "Observation",
                "Binary",
                "Bundle",
                "Subscription",
                "p1",
                "metadata",
                "_history",
                "1",
            ),
            *("_search", "$meta", "$everything", "$validate", "$graphql", "$expunge", "$import", "$export"),
            *(
                "$match",
                "$document",
                "$lastn",
                "$reindex",
                "$status",
                "$events",
                "$meta-add",
                "$nothing",
                "*",
            ),
            *("_jobs", "Nobody", "%00", "%FF", "a%2Fb", "%2E%2E", "", "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
        ]
    ),
    # Clients resolve dots themselves.
    st.text(max_size=5).map(lambda text: quote(text, safe="$_,;=@").replace(".", "%2E")),
)
QUERIES = st.sampled_from(
    [
        *(
            "",
            "_format=xml",
            "_format=json&_pretty=true",
            "_format=ttl",
            "_summary=x",
            "_elements=",
            "mode=x",
        ),
        *(
            "_id=p1",
            "bogus=1",
            "name=%FF",
            "_count=-1",
            "_since=x",
            "_at=1",
            "query={}",
            "_type=Nobody",
            "&&=&",
        ),
    ]
)
HEADERS = {
    "accept": (
        "",
        "*/*",
        "application/fhir+xml",
        "application/fhir+json;fhirVersion=5.0",
        "text/html",
        "image/png",
    ),
    "content-type": (
        *("application/fhir+json", "application/fhir+xml", "application/json-patch+json", "text/plain", "x"),
        *("application/x-www-form-urlencoded", "application/fhir+ndjson", "application/graphql"),
    ),
    "prefer": ("", "return=OperationOutcome", "return=minimal", "respond-async", "handling=strict", "=,;"),
    "content-encoding": ("", "gzip", "br"),
    "if-match": ("", 'W/"1"', "x", "*"),
    "if-none-match": ("", 'W/"1"', "*"),
    "if-none-exist": ("", "_id=p1", "?", "bogus=1"),
}
BODIES = st.one_of(
    st.binary(max_size=20),
    anything.map(encoded),
    st.sampled_from(VALID).map(dumps),
    st.sampled_from(
        [
            b"",
            b'{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"metadata"}}]}',
            b'{"resourceType":"Parameters"}',
            b'{"resourceType":"Parameters","parameter":[{"name":"x"}]}',
            b'[{"op":"add","path":"/x","value":1}]',
            b'<Patient xmlns="http://hl7.org/fhir"/>',
            b"_id=p1",
        ]
    ),
)


@st.composite
def headers(draw: st.DrawFn) -> dict[str, str]:
    """Return some of the headers that the API reads, with good values and bad."""
    names = draw(st.sets(st.sampled_from(sorted(HEADERS)), max_size=4))
    return {name: draw(st.sampled_from(HEADERS[name])) for name in sorted(names)}


@settings(
    max_examples=5_000 if IS_FULL else 400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=not IS_FULL,
)
@given(
    method=st.sampled_from(METHODS),
    segments=st.lists(SEGMENTS, max_size=5),
    query=QUERIES,
    given_headers=headers(),
    body=BODIES,
)
@pytest.mark.timeout(600)
def test_every_error_is_an_outcome(
    client: Client, method: str, segments: list[str], query: str, given_headers: dict[str, str], body: bytes
) -> None:
    path = "/".join(["/fhir", *segments])
    content = None if method in ("GET", "HEAD", "OPTIONS", "TRACE") else body
    response = client.request(
        method, f"{path}?{query}" if query else path, content=content, headers=given_headers
    )
    assert response.status_code < 500, response.text
    if response.status_code == 405:
        assert response.headers["allow"]
    if response.status_code < 400 or method == "HEAD":
        return
    kind = response.headers["content-type"].partition(";")[0]
    if kind == "application/json" and "$graphql" in segments:
        found = loads(response.content)["errors"][0]["extensions"]["resource"]
    else:
        assert kind in ("application/fhir+json", "application/fhir+xml"), response.text
        found = from_xml(response.content) if kind.endswith("xml") else loads(response.content)
    assert found["resourceType"] == "OperationOutcome"
    assert STRUCTURE.validate(found) == []


@pytest.mark.parametrize(
    "accept", ["application/fhir+xml", "text/html", "application/fhir+json", "image/png"]
)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/fhir/Patient/nobody", 404),
        ("GET", "/fhir/Nobody", 404),
        ("GET", "/fhir/a/b/c/d/e/f", 404),
        ("TRACE", "/fhir/Patient/p1", 405),
        ("POST", "/fhir/Patient", 415),
        ("GET", "/fhir/Patient/$nothing", 404),
        ("GET", "/fhir/_jobs/x", 404),
        ("GET", "/fhir/$expunge", 405),
    ],
)
def test_errors_are_written_in_the_format_that_is_wanted(
    client: Client, method: str, path: str, status: int, accept: str
) -> None:
    given_headers = {"accept": accept, "content-type": "text/plain"}
    content = dumps(PATIENT) if method == "POST" else None
    response = client.request(method, path, content=content, headers=given_headers)
    kind = response.headers["content-type"]
    if accept == "image/png":
        assert response.status_code in (status, 406)
    else:
        assert response.status_code == status
    assert kind.startswith("application/fhir+xml" if "xml" in accept else "application/fhir+json")
    outcome = from_xml(response.content) if "xml" in kind else loads(response.content)
    assert outcome["resourceType"] == "OperationOutcome"
    assert STRUCTURE.validate(outcome) == []
