"""HIE_MAX_NESTING holds for bodies of every kind: resources, patches, operations, GraphQL, NDJSON, XML."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from hie import wiring
from hie.core.access import ANONYMOUS
from hie.core.fhir.json import dumps
from hie.core.settings import Settings, ValidationLevel
from tests.fhir_server.interactions.client import Client
from tests.fhir_server.interactions.conftest import Whole

LEVELS = 16
MESSAGE = f"The body is nested more than {LEVELS} levels deep"
JSON = {"content-type": "application/fhir+json"}


def nested(levels: int) -> str:
    """Return JSON of so many levels."""
    return "[" * levels + "]" * levels


def xml(levels: int) -> bytes:
    """Return a Patient with so many extensions in one another."""
    inner = b'<extension url="http://hie.example/e">' * levels + b'<valueBoolean value="true"/>'
    return b'<Patient xmlns="http://hl7.org/fhir">' + inner + b"</extension>" * levels + b"</Patient>"


@pytest.fixture
def client(whole_with: Whole) -> Client:
    """A client of a server that takes 16 levels."""
    return whole_with(Settings(max_nesting=LEVELS))


def resource(levels: int) -> bytes:
    """Return a resource that has `levels` in all."""
    return b'{"resourceType":"Patient","photo":%s}' % nested(levels - 1).encode()


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", "Patient", "application/fhir+json"),
        ("PUT", "Patient/p", "application/fhir+json"),
        ("PUT", "Patient?_id=p", "application/fhir+json"),
        ("POST", "", "application/fhir+json"),
        ("POST", "Binary", "application/fhir+json"),
        ("PATCH", "Patient/p", "application/json-patch+json"),
        ("PATCH", "Patient/p", "application/merge-patch+json"),
        ("PATCH", "Patient/p", "application/fhir+json"),
        ("POST", "Patient/$validate", "application/fhir+json"),
        ("POST", "$graphql", "application/json"),
    ],
)
def test_json_that_is_nested_too_deeply_is_refused(
    client: Client, method: str, path: str, content_type: str
) -> None:
    for levels, is_refused in ((LEVELS, False), (LEVELS + 1, True), (200, True), (5000, True)):
        answer = client.request(
            method, path, content=resource(levels), headers={"content-type": content_type}
        )
        assert (MESSAGE in answer.text or "The body is not JSON" in answer.text) == is_refused, answer.text
        assert not is_refused or answer.status_code in (400, 422), answer.text


def test_variables_in_a_url_are_a_body_too(client: Client) -> None:
    for levels, is_refused in ((LEVELS - 1, False), (LEVELS, True), (200, True)):
        variables = f'{{"a":{nested(levels)}}}'
        query = urlencode({"query": "{PatientList{id}}", "variables": variables})
        for answer in (
            client.get(f"$graphql?{query}"),
            client.post(
                f"$graphql?{urlencode({'variables': variables})}",
                content=b"{PatientList{id}}",
                headers={"content-type": "application/graphql"},
            ),
        ):
            assert (answer.status_code, MESSAGE in answer.text) == ((422 if is_refused else 200), is_refused)


@pytest.mark.parametrize(
    ("path", "content_type"), [("Patient", "application/fhir+xml"), ("Binary", "application/fhir+xml")]
)
def test_xml_that_is_nested_too_deeply_is_refused(client: Client, path: str, content_type: str) -> None:
    headers = {"content-type": content_type}
    assert client.post("Patient", content=xml(6), headers=headers).status_code == 201
    for levels in (9, 60, 119, 1000):
        answer = client.post(path, content=xml(levels), headers=headers)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "too-long"), answer.text


@pytest.fixture
def exchange(database_url: str) -> Iterator[wiring.Exchange]:
    """The exchange that takes 16 levels."""
    with wiring.build(Settings(max_nesting=LEVELS), database_url=database_url) as made:
        yield made


def test_lines_of_ndjson_that_are_nested_too_deeply_fail_alone(exchange: wiring.Exchange) -> None:
    good = b'{"resourceType":"Patient","active":true}'
    lines = [resource(LEVELS + 1), good, resource(300), resource(900), resource(5000)]
    stored = exchange.imports.own.store(list(enumerate(lines, start=1)), requester=ANONYMOUS)
    assert stored.created == 1
    assert [each.line for each in stored.failures] == [1, 3, 4, 5]
    assert [each.issues[0]["message"] for each in stored.failures[:3]] == [MESSAGE] * 3


@pytest.mark.parametrize("level", ["off", "structure"])
def test_patch_that_nests_a_resource_too_deeply_is_refused(whole_with: Whole, level: str) -> None:
    client = whole_with(Settings(validation=ValidationLevel(level), max_nesting=LEVELS))
    assert client.put("Patient/p", json={"resourceType": "Patient", "id": "p"}).status_code == 201
    for levels in (LEVELS, 300):
        patch = [{"op": "add", "path": "/a" * number, "value": {}} for number in range(1, levels + 1)]
        headers = {"content-type": "application/json-patch+json"}
        answer = client.request("PATCH", "Patient/p", content=dumps(patch), headers=headers)
        assert answer.status_code == 422
        assert f"more than {LEVELS} levels deep" in answer.json()["issue"][0]["diagnostics"]
    assert client.get("Patient/p").headers["etag"] == 'W/"1"'
