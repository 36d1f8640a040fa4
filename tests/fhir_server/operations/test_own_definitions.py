"""The OperationDefinitions that the CapabilityStatement names under our own base are resources."""

from collections.abc import Iterator

import pytest

from fhir_server.operations.own_definitions import own_definitions
from hie import app, wiring
from hie.core.access import ANONYMOUS
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.interactions.client import Client, assert_outcome

OWN = "http://hie.example/fhir/OperationDefinition/"
CODES = sorted(each.code for each in own_definitions())


@pytest.fixture
def exchange(database_url: str) -> Iterator[wiring.Exchange]:
    """The exchange on a database that `hie migrate` has made."""
    with wiring.build(Settings(), database_url=database_url) as made:
        made.publish()
        yield made


@pytest.fixture
def client(exchange: wiring.Exchange) -> Client:
    """A client whose requests are relative to the FHIR base."""
    return Client(app.build(exchange))


def ids(bundle: JsonObject) -> list[str]:
    return [each["resource"]["id"] for each in bundle.get("entry", ())]


def test_every_definition_under_our_base_that_the_statement_names_is_found(client: Client) -> None:
    rest = client.get("metadata").json()["rest"][0]
    places = [rest, *rest["resource"]]
    named = {each["definition"] for place in places for each in place.get("operation", ())}
    own = sorted(url for url in named if url.startswith(OWN))
    assert own == [OWN + code for code in CODES]
    for url in own:
        found = client.get("OperationDefinition", params={"url": url}).json()
        assert (found["total"] if "total" in found else len(found["entry"])) == 1
        (entry,) = found["entry"]
        assert entry["resource"]["url"] == url
        code = url.removeprefix(OWN)
        assert client.get(f"OperationDefinition/{code}").json() == entry["resource"]
        assert entry["resource"]["code"] == code
        for level in ("system", "type", "instance"):
            assert isinstance(entry["resource"][level], bool)


def test_they_are_paged_sorted_and_counted_with_all_others(client: Client) -> None:
    other = {
        "resourceType": "OperationDefinition",
        "id": "a-hospitals-own",
        "url": "http://hospital.example/op",
        "name": "op",
        "status": "draft",
        "kind": "operation",
        "code": "op",
        "system": True,
        "type": False,
        "instance": False,
    }
    assert client.put("OperationDefinition/a-hospitals-own", json=other).status_code == 201
    url = "OperationDefinition?_sort=url&_count=2&_total=accurate"
    found: list[str] = []
    while url:
        page = client.get(url).json()
        assert page["total"] == len(CODES) + 1
        assert len(page["entry"]) <= 2
        found += ids(page)
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert found == [*CODES, "a-hospitals-own"]
    assert ids(client.get("OperationDefinition?code=expunge").json()) == ["expunge"]
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": "OperationDefinition/expunge"}}],
    }
    assert client.post("", json=batch).json()["entry"][0]["resource"]["id"] == "expunge"


def test_publishing_again_makes_no_version(exchange: wiring.Exchange, client: Client) -> None:
    exchange.publish()
    assert [client.get(f"OperationDefinition/{code}").headers["etag"] for code in CODES] == [
        'W/"1"' for _ in CODES
    ]


def test_nobody_else_changes_them(exchange: wiring.Exchange, client: Client) -> None:
    before = client.get("OperationDefinition/expunge").json()
    refusal = (
        403,
        "forbidden",
        "`OperationDefinition/expunge` is part of the server and not changed by others",
    )
    changed = {**before, "description": "changed"}
    assert_outcome(client.put("OperationDefinition/expunge", json=changed), *refusal)
    assert_outcome(client.delete("OperationDefinition/expunge"), *refusal)
    assert_outcome(client.delete(f"OperationDefinition?url={OWN}expunge"), *refusal)
    assert_outcome(client.put(f"OperationDefinition?url={OWN}expunge", json=changed), *refusal)
    patch = client.request(
        "PATCH",
        "OperationDefinition/expunge",
        json=[{"op": "replace", "path": "/description", "value": "changed"}],
        headers={"content-type": "application/json-patch+json"},
    )
    assert_outcome(patch, *refusal)
    tag = {
        "resourceType": "Parameters",
        "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "t"}]}}],
    }
    assert client.post("OperationDefinition/expunge/$meta-add", json=tag).status_code == 403
    everything = {
        "resourceType": "Parameters",
        "parameter": [{"name": "expungeEverything", "valueBoolean": True}],
    }
    assert client.post("OperationDefinition/expunge/$expunge", json=everything).status_code == 403
    mutation = 'mutation{OperationDefinitionDelete(id:"expunge")}'
    assert client.post("$graphql", json={"query": mutation}).status_code == 403
    line = b'{"resourceType":"OperationDefinition","id":"expunge","name":"x","status":"draft","kind":"query",'
    line += b'"code":"x","system":true,"type":true,"instance":true}'
    imported = exchange.imports.own.store([(1, line)], requester=ANONYMOUS)
    assert [(each.line, each.issues[0]["code"]) for each in imported.failures] == [(1, "forbidden")]
    assert client.get("OperationDefinition/expunge").json() == before
