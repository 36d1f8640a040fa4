"""GET metadata in its modes and parts: https://hl7.org/fhir/R4/http.html#capabilities."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.capability import normative
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie import app, wiring
from hie.core.fhir.json import Json, JsonObject
from hie.core.fhir.xml_read import from_xml
from hie.core.settings import Settings, ValidationLevel
from tests.fhir_server.interactions.client import Client, assert_outcome

VALIDATOR = ResourceValidator(StructureValidator())
SUBSETTED = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue|SUBSETTED"


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    """A client whose requests are relative to the FHIR base."""
    with wiring.build(Settings(), database_url=database_url) as exchange:
        yield Client(app.build(exchange))


def get(client: Client, query: str) -> JsonObject:
    answer = client.get(f"metadata{query}")
    assert answer.status_code == 200, answer.text
    found: JsonObject = answer.json()
    assert VALIDATOR.validate(found, level=ValidationLevel.STRICT) == []
    return found


def names(value: Json, path: str = "") -> set[str]:
    """Return the paths of the elements of a resource, as a definition names them."""
    if isinstance(value, list):
        return {name for each in value for name in names(each, path)}
    if not isinstance(value, dict):
        return set()
    below = {f"{path}.{key}".lstrip("."): inner for key, inner in value.items()}
    return set(below).union(*(names(inner, name) for name, inner in below.items()))


def test_full_is_the_default(client: Client) -> None:
    assert get(client, "") == get(client, "?mode=full")


def test_normative_has_no_element_that_is_on_trial(client: Client) -> None:
    full, found = get(client, ""), get(client, "?mode=normative")
    assert found["resourceType"] == "CapabilityStatement"
    trial = {
        "rest.extension",
        "rest.resource.conditionalCreate",
        "rest.resource.searchInclude",
        "rest.resource.versioning",
        "rest.resource.supportedProfile",
    }
    assert trial <= names(full)
    assert not trial & names(found)
    assert {"rest.resource.interaction.code", "rest.resource.searchParam.name", "format"} <= names(found)
    assert [each["type"] for each in found["rest"][0]["resource"]] == [
        each["type"] for each in full["rest"][0]["resource"]
    ]


def test_no_element_of_trial_use_is_left_of_the_statement_that_has_everything(conformance_data: Path) -> None:
    everything = json.loads(
        (conformance_data / "fhir" / "r4-examples" / "CapabilityStatement-base.json").read_bytes()
    )
    left = names(normative(everything))
    assert "rest.security.cors" in names(everything)
    assert not {name for name in left if name.startswith(("rest.security", "messaging", "document"))}
    assert "rest.resource.referencePolicy" in names(everything)
    assert "rest.resource.referencePolicy" not in left


def test_terminology_says_what_the_server_has_and_what_not(client: Client) -> None:
    found = get(client, "?mode=terminology")
    assert (found["resourceType"], found["kind"], found["status"]) == (
        "TerminologyCapabilities",
        "instance",
        "active",
    )
    statement = get(client, "")
    by_type = {each["type"]: each for each in statement["rest"][0]["resource"]}
    claimed = {
        "translation": ("ConceptMap", "translate"),
        "expansion": ("ValueSet", "expand"),
        "validateCode": ("ValueSet", "validate-code"),
        "closure": ("ConceptMap", "closure"),
    }
    for element, (resource_type, operation) in claimed.items():
        operations = {each["name"] for each in by_type[resource_type].get("operation", ())}
        operations |= {each["name"] for each in statement["rest"][0].get("operation", ())}
        assert (element in found) == (operation in operations), element
        assert (f"${operation}" in found.get("description", "")) == (operation not in operations)
    assert found["translation"] == {"needsMap": False}
    without_map = client.get("ConceptMap/$translate?system=http://a.example&code=a")
    assert without_map.status_code == 200, without_map.text


def test_unknown_mode_is_refused(client: Client) -> None:
    assert_outcome(
        client.get("metadata?mode=bogus"),
        400,
        "value",
        "`bogus` is not a mode of metadata; full, normative, terminology are",
        "mode",
    )


# By itself the word "full" would name the marker of the tests of full size.
@pytest.mark.parametrize("mode", ["full", "normative", "terminology"], ids="mode={}".format)
def test_parts_and_formats_of_each_mode(client: Client, mode: str) -> None:
    whole = get(client, f"?mode={mode}")
    some = get(client, f"?mode={mode}&_elements=software")
    assert some["software"] == whole["software"]
    assert "rest" not in some
    assert {f"{each['system']}|{each['code']}" for each in some["meta"]["tag"]} == {SUBSETTED}
    summary = get(client, f"?mode={mode}&_summary=true")
    assert summary["status"] == "active"
    assert "meta" in summary
    xml = client.get(f"metadata?mode={mode}&_format=xml")
    assert from_xml(xml.content) == whole
    pretty = client.get(f"metadata?mode={mode}&_pretty=true")
    assert pretty.json() == whole
    assert pretty.text.startswith("{\n  ")
    etag = pretty.headers["etag"]
    assert client.get(f"metadata?mode={mode}", headers={"if-none-match": etag}).status_code == 304


def test_modes_have_etags_of_their_own(client: Client) -> None:
    etags = {
        client.get(f"metadata?mode={mode}").headers["etag"] for mode in ("full", "normative", "terminology")
    }
    assert len(etags) == 3
