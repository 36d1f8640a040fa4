"""Streams of broken requests over HTTP: no 5xx, every 4xx an OperationOutcome, and the server goes on.

What is sent is made from what is valid, one or several breaks away from it, so that most of it gets far.
"""

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.fhir.xml_read import from_xml
from hie.core.fhir.xml_write import to_xml
from hie.core.web.content_coding import decoded
from tests.conftest import IS_FULL
from tests.fhir_server.bad_input.api import PATIENT, STRUCTURE
from tests.fhir_server.bad_input.streams import (
    TYPES,
    VALID,
    anything,
    broken,
    encoded,
    entries,
    headers_of,
    names,
    operations,
    tokens,
    values,
)
from tests.fhir_server.clients.serving import last_logged

# The server is one for all examples, and what they store stays.
STREAM = settings(
    max_examples=2_000 if IS_FULL else 150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
JSON = "application/fhir+json"
XML = "application/fhir+xml"


@pytest.fixture(scope="module")
def http(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60) as client:
        stored = client.put(f"{base_url}/Patient/p1", content=dumps(PATIENT), headers={"content-type": JSON})
        assert stored.status_code == 201
        yield client
        assert client.get(f"{base_url}/Patient/p1").status_code in (200, 410)


def check(response: httpx.Response) -> None:
    """Hold an answer against what every answer must be."""
    netloc = response.url.netloc.decode()
    assert response.status_code < 500, f"{response.text[:2000]}\n{last_logged(netloc)}"
    # httpx does not read this coding
    content = response.content
    if response.headers.get("content-encoding") == "zstd":
        content = decoded(content, "zstd", 64 * 1024 * 1024)
    if response.request.method == "HEAD" or not content:
        assert response.status_code < 400 or response.request.method == "HEAD"
        return
    media_type = response.headers["content-type"].partition(";")[0]
    if response.status_code < 400:
        if media_type == JSON:  # which has no empty arrays: https://hl7.org/fhir/R4/json.html
            assert [] not in loads(content).values()
        return
    outcome = from_xml(content) if media_type == XML else loads(content)
    if "errors" in outcome:
        outcome = outcome["errors"][0]["extensions"]["resource"]
    assert outcome["resourceType"] == "OperationOutcome"
    assert STRUCTURE.validate(outcome) == []
    assert all(issue["diagnostics"] for issue in outcome["issue"])
    assert "Traceback" not in response.text


@STREAM
@given(
    resource=broken(),
    method=st.sampled_from(["POST", "PUT", "VALIDATE", "EVERY"]),
    kind=st.sampled_from(TYPES),
)
def test_broken_resources(
    base_url: str, http: httpx.Client, resource: JsonObject, method: str, kind: str
) -> None:
    own = resource.get("resourceType")
    named = own if method != "EVERY" and isinstance(own, str) and own.isalpha() else kind
    paths = {"POST": named, "PUT": f"{named}/p2", "VALIDATE": f"{named}/$validate", "EVERY": f"{named}/p2"}
    path = quote(paths[method], safe="/$")
    verb = "PUT" if method in ("PUT", "EVERY") else "POST"
    check(http.request(verb, f"{base_url}/{path}", content=encoded(resource), headers={"content-type": JSON}))


@STREAM
@given(data=st.data(), resource=st.sampled_from(VALID), is_xml=st.booleans())
def test_broken_bytes(
    base_url: str, http: httpx.Client, data: st.DataObject, resource: JsonObject, *, is_xml: bool
) -> None:
    content = bytearray(to_xml(resource) if is_xml else dumps(resource))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        junk = data.draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(
                    [
                        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
                        b"&b;",
                        b"<a/>",
                        b"</",
                        b"]]>",
                        b"{",
                        b'"',
                        b"\\u0000",
                        b"<?x?>",
                    ]
                ),
            )
        )
        content[at : at + data.draw(st.integers(0, 6))] = junk
    headers = {"content-type": XML if is_xml else JSON, "accept": data.draw(st.sampled_from([XML, JSON]))}
    check(http.post(f"{base_url}/{resource['resourceType']}", content=bytes(content), headers=headers))


@STREAM
@given(
    kind=st.sampled_from(["transaction", "batch", "collection", None, 5]),
    given_entries=st.lists(entries(), max_size=4),
)
def test_broken_bundles(base_url: str, http: httpx.Client, kind: Json, given_entries: Json) -> None:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": given_entries}
    response = http.post(base_url, content=encoded(bundle), headers={"content-type": JSON})
    check(response)
    if response.status_code == 200:
        for entry in response.json().get("entry", ()):
            assert entry["response"]["status"][:1] in "234", entry


@STREAM
@given(
    kind=st.sampled_from(["Patient", "Observation", "", "Patient/p1/Observation", "Patient/p1/*", "Foo"]),
    parameters=st.lists(st.tuples(names, values), min_size=1, max_size=4),
    strictness=st.sampled_from(["handling=strict", "handling=lenient", ""]),
    is_post=st.booleans(),
)
def test_broken_searches(
    base_url: str,
    http: httpx.Client,
    kind: str,
    parameters: list[tuple[str, str]],
    strictness: str,
    *,
    is_post: bool,
) -> None:
    query = "&".join(
        f"{quote(name, safe='', errors='ignore')}={quote(value, safe='', errors='ignore')}"
        for name, value in parameters
    )
    url = f"{base_url}/{kind}".rstrip("/")
    headers = {"prefer": strictness}
    if is_post:
        headers["content-type"] = "application/x-www-form-urlencoded"
        check(http.post(f"{url}/_search", content=query.encode(), headers=headers))
    else:
        check(http.get(f"{url}?{query}", headers=headers))


@STREAM
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
    path=st.sampled_from(
        ["Patient/p1", "Patient", "Patient/p1/_history", "", "metadata", "$graphql", "Binary/x"]
    ),
    headers=headers_of,
    resource=st.sampled_from(VALID),
)
def test_broken_headers(
    base_url: str, http: httpx.Client, method: str, path: str, headers: dict[str, str], resource: JsonObject
) -> None:
    content = dumps(resource) if method in ("POST", "PUT", "PATCH") else None
    sent = {"content-type": JSON, **headers} if content is not None else headers
    check(http.request(method, f"{base_url}/{path}".rstrip("/"), content=content, headers=sent))


@STREAM
@given(words=st.lists(tokens, max_size=25), place=st.sampled_from(["$graphql", "Patient/p1/$graphql"]))
def test_broken_graphql(base_url: str, http: httpx.Client, words: list[str], place: str) -> None:
    content = " ".join(words).encode()
    check(http.post(f"{base_url}/{place}", content=content, headers={"content-type": "application/graphql"}))


@STREAM
@given(patch=st.one_of(st.lists(operations, max_size=3), anything), is_json_patch=st.booleans())
def test_broken_patches(base_url: str, http: httpx.Client, patch: Json, *, is_json_patch: bool) -> None:
    http.put(f"{base_url}/Patient/p3", content=dumps({**PATIENT, "id": "p3"}), headers={"content-type": JSON})
    if is_json_patch:
        media_type, body = "application/json-patch+json", encoded(patch)
    else:
        parameters = [{"name": "operation", "part": patch}]
        media_type, body = JSON, encoded({"resourceType": "Parameters", "parameter": parameters})
    check(http.patch(f"{base_url}/Patient/p3", content=body, headers={"content-type": media_type}))
