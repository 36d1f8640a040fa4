"""SearchParameters by which nothing could ever be found are refused when they are written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.index.indexer import Indexer
from fhir_server.search.definition_findings import findings_of_definitions
from fhir_server.validation.further import FurtherValidator
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie import wiring
from hie.app import build as build_app
from hie.core.fhir.json import JsonObject, loads
from hie.core.settings import Settings, ValidationLevel
from tests.fhir_server.interactions.client import Client

CODE = "not-supported"


def definition(**elements: object) -> JsonObject:
    return {
        "resourceType": "SearchParameter",
        "id": "nick",
        "url": "http://hie.example/fhir/SearchParameter/nick",
        "name": "Nick",
        "status": "active",
        "description": "A nickname",
        "code": "nick",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.name.where(use = 'nickname').text",
        **elements,
    }


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with wiring.build(Settings(), database_url=database_url) as exchange:
        yield Client(build_app(exchange))


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"expression": "Patient.(("}, "is not FHIRPath: `Patient.((` has `(` at character 9 where a name"),
        ({"expression": "Patient.nick"}, "names an element that R4 does not have"),
        ({"expression": "Patient.name", "type": "quantity"}, "has no value that a quantity search reads"),
        ({"expression": "Resource.nick", "base": ["Resource"]}, "names an element that R4 does not have"),
    ],
)
def test_a_definition_that_finds_nothing_is_refused(
    client: Client, elements: JsonObject, reason: str
) -> None:
    answer = client.request("PUT", "SearchParameter/nick", json=definition(**elements))
    assert answer.status_code == 422
    (issue,) = answer.json()["issue"]
    assert (issue["severity"], issue["code"]) == ("error", CODE)
    assert issue["expression"] == ["SearchParameter.expression"]
    assert issue["diagnostics"].startswith("No search can go by `nick`: ")
    assert reason in issue["diagnostics"]
    assert client.get("SearchParameter/nick").status_code == 404


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"expression": "Patient.((", "status": "retired"},
        {"expression": "Patient.((", "code": "name"},
        {"expression": "Resource.name", "base": ["Resource"]},
        {"expression": "Patient.extension.where(url = 'http://x').valueDateTime", "type": "date"},
        {"expression": "Patient.deceasedBoolean", "type": "token"},
        {"expression": "Patient.name.select(family & given.first())"},
    ],
)
def test_other_definitions_are_stored(client: Client, elements: JsonObject) -> None:
    answer = client.request("PUT", "SearchParameter/nick", json=definition(**elements))
    assert answer.status_code == 201, answer.text


def test_published_definitions_are_accepted(conformance_data: Path, indexer: Indexer) -> None:
    folder = conformance_data / "fhir"
    files = sorted(folder.glob("r4-examples/SearchParameter-*.json"))
    resources = [loads(each.read_bytes()) for each in files]
    for name in ("search-parameters.json", "search-parameters-uscore.json"):
        entries = loads((folder / "r4-definitions" / name).read_bytes())["entry"]
        resources += [
            each["resource"] for each in entries if each["resource"]["resourceType"] == "SearchParameter"
        ]
    validator = FurtherValidator(
        ResourceValidator(StructureValidator()), "SearchParameter", findings_of_definitions(indexer)
    )
    assert len(resources) > 1_400
    findings = {
        each["url"]: [issue.message for issue in validator.validate(each, level=ValidationLevel.STRUCTURE)]
        for each in resources
    }
    assert {
        url: said for url, said in findings.items() if any("No search can go by" in each for each in said)
    } == {}
