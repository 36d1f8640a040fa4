"""Conformance resources that clients store: found by canonical, seen as soon as they are committed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from fhir_server.search.service import SearchService
from fhir_server.validation.profile.validator import ProfileValidator
from fhir_server.validation.stored import StoredResources
from hie import app, wiring
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.interactions.client import Client
from tests.fhir_server.validation.profile.profiles import BASE, element, resource, structure

URL = f"{BASE}/a"


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with wiring.build(Settings(), database_url=database_url) as exchange:
        yield Client(app.build(exchange))


@pytest.fixture
def stored(database_url: str) -> Iterator[StoredResources]:
    with Database.from_url(database_url, pool_size=1) as definitions:
        yield StoredResources(definitions, SearchService(Settings()))


def put(client: Client, resource_id: str, **parts: str) -> None:
    definition = {**structure("a", "Patient", element("Patient.name", min=1)), "id": resource_id, **parts}
    answer = client.put(f"StructureDefinition/{resource_id}", json=definition)
    assert answer.status_code in (200, 201), answer.text


def found(stored: StoredResources, canonical: str) -> str | None:
    definition = stored.find("StructureDefinition", canonical)
    return None if definition is None else str(definition["id"])


def test_a_canonical_names_a_version_or_the_latest_that_is_active(
    client: Client, stored: StoredResources
) -> None:
    assert found(stored, URL) is None
    put(client, "one", version="1")
    put(client, "two", version="2")
    put(client, "three", version="3", status="retired")
    assert found(stored, URL) == "two"
    assert [found(stored, f"{URL}|{version}") for version in "1234"] == ["one", "two", "three", None]
    assert stored.find("ValueSet", URL) is None


def test_every_change_of_a_conformance_resource_is_another_generation(
    client: Client, stored: StoredResources
) -> None:
    generations = [stored.generation()]
    assert generations == [0]
    put(client, "one")
    generations.append(stored.generation())
    client.put("Patient/p", json=resource("Patient", id="p"))
    assert stored.generation() == generations[-1]
    put(client, "one", title="a")
    generations.append(stored.generation())
    value_set = {"resourceType": "ValueSet", "id": "v", "status": "active", "url": "http://a.example/v"}
    client.put("ValueSet/v", json=value_set)
    generations.append(stored.generation())
    client.delete("StructureDefinition/one")
    generations.append(stored.generation())
    assert generations == sorted(set(generations))
    assert found(stored, URL) is None


@pytest.mark.parametrize(
    "url", ["http://a.example/b,c", "http://a.example/b\\c", "http://a.example/b$c", ","]
)
def test_a_canonical_with_the_signs_of_a_search_is_a_canonical(
    client: Client, stored: StoredResources, url: str
) -> None:
    put(client, "one", url=url)
    put(client, "two", url="http://a.example/b")
    assert found(stored, url) == "one"


def test_many_threads_share_one_validator_while_the_profile_changes(
    client: Client, stored: StoredResources
) -> None:
    put(client, "one")
    validator = ProfileValidator(stored)
    now = datetime.now(UTC)
    unnamed: JsonObject = resource("Patient")

    def check(_number: int) -> list[str]:
        return [issue.code for issue in validator.validate(unnamed, now=now, profiles=[URL])]

    with ThreadPoolExecutor(8) as pool:
        before = pool.map(check, range(40))
        assert all(codes == ["required"] for codes in before)
        during = pool.map(check, range(80))
        client.delete("StructureDefinition/one")
        assert all(codes in (["required"], ["not-found"]) for codes in during)
        assert all(codes == ["not-found"] for codes in pool.map(check, range(8)))
