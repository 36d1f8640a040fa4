"""How operations are called, and what the CapabilityStatement says of them.

https://hl7.org/fhir/R4/operations.html#executing.
"""

import json
from pathlib import Path

import pytest

from fhir_server.operations.operation import HL7, OWN, Definition
from fhir_server.operations.own_definitions import operation_definition
from fhir_server.operations.registry import load_operations
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie.core.fhir.json import JsonObject
from hie.core.settings import ValidationLevel
from tests.fhir_server.interactions.client import Client, assert_outcome

DEFINITIONS = [operation.definition for operation in load_operations()]
SPECIFIED = [each for each in DEFINITIONS if each.url.startswith(HL7)]


def _claims(statement: JsonObject) -> set[tuple[str, str, str]]:
    """Return (type or "", code, canonical) of every operation that is claimed."""
    rest = statement["rest"][0]
    claimed = {("", each["name"], each["definition"]) for each in rest.get("operation", [])}
    return claimed | {
        (resource["type"], each["name"], each["definition"])
        for resource in rest["resource"]
        for each in resource.get("operation", [])
    }


def _is_there(client: Client, path: str) -> bool:
    """Say whether there is an operation at `path`, whatever it makes of a call without inputs."""
    answer = client.post(path)
    is_absent = answer.status_code == 404 and "There is no operation" in answer.text
    assert answer.status_code < 500, (path, answer.text)
    return not is_absent


def test_every_claim_of_the_capability_statement_is_true_at_every_level(with_ports: Client) -> None:
    claimed = _claims(with_ports.get("metadata").json())
    assert claimed
    for definition in DEFINITIONS:
        for resource_type in definition.types or ("Patient", "Basic"):
            if {"type", "instance"} & definition.levels:
                assert (resource_type, definition.code, definition.url) in claimed
            assert _is_there(with_ports, f"{resource_type}/${definition.code}") == _serves(
                "type", definition.code, resource_type
            )
            assert _is_there(with_ports, f"{resource_type}/x/${definition.code}") == _serves(
                "instance", definition.code, resource_type
            )
        assert _is_there(with_ports, f"${definition.code}") == _serves("system", definition.code, None)
        assert (("", definition.code, definition.url) in claimed) == ("system" in definition.levels)


def _serves(level: str, code: str, resource_type: str | None) -> bool:
    return any(
        each.code == code
        and level in each.levels
        and (level == "system" or resource_type in each.types or not each.types)
        for each in DEFINITIONS
    )


def test_nothing_is_claimed_that_the_registry_does_not_have(client: Client) -> None:
    known = {(each.code, each.url): each for each in DEFINITIONS}
    for resource_type, code, url in _claims(client.get("metadata").json()):
        definition = known[code, url]
        assert definition.types == () or resource_type in ("", *definition.types)


@pytest.mark.parametrize("definition", SPECIFIED, ids=lambda each: each.url.rpartition("/")[2])
def test_definitions_with_hl7s_canonical_agree_with_hl7s(
    conformance_data: Path, definition: Definition
) -> None:
    name = definition.url.rpartition("/")[2]
    file = conformance_data / "fhir" / "r4-definitions" / f"OperationDefinition-{name}.json"
    published = json.loads(file.read_bytes())
    assert definition.code == published["code"]
    assert definition.levels <= {level for level in ("system", "type", "instance") if published[level]}
    assert set(definition.types) <= set(published["resource"]) or published["resource"] == ["Resource"]
    theirs = {each["name"]: each for each in published.get("parameter", []) if each["use"] == "in"}
    for parameter in definition.inputs:
        # Where a page begins is the server's to say (https://hl7.org/fhir/R4/http.html#paging).
        if parameter.name == "_cursor":
            continue
        published_parameter = theirs[parameter.name]
        assert parameter.min == published_parameter["min"]
        assert parameter.max == published_parameter["max"]
        assert parameter.type == published_parameter.get("type", "")


@pytest.mark.parametrize(
    "path", ["$nothing", "Patient/$nothing", "Patient/p/$nothing", "$everything", "Basic/$lastn"]
)
def test_an_operation_that_is_not_there_is_404(client: Client, path: str) -> None:
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 404
        assert answer.json()["issue"][0]["code"] == "not-supported"


def test_an_operation_of_an_unknown_type_is_404(client: Client) -> None:
    assert_outcome(
        client.get("Visit/$meta"), 404, "not-supported", "`Visit` is not a resource type of FHIR R4"
    )


def test_an_operation_that_knows_no_versions_is_not_there_on_one(client: Client) -> None:
    assert_outcome(
        client.get("Patient/p/_history/1/$everything"),
        404,
        "not-supported",
        "There is no operation `$everything` of a version",
    )


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 400), (b"{", 400), (b"[]", 400), (b'{"resourceType":"Patient"}', 400)]
)
def test_a_body_that_is_no_parameters_is_refused(client: Client, content: bytes, status: int) -> None:
    client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    answer = client.post("Patient/p/$meta-add", content=content)
    assert answer.status_code == status, answer.text
    assert client.get("Patient/p").json()["meta"]["versionId"] == "1"


def test_inputs_may_come_as_xml_and_answers_go_as_xml(client: Client) -> None:
    client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    text = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="meta"/>'
        '<valueMeta><tag><code value="t"/></tag></valueMeta></parameter></Parameters>'
    )
    headers = {"content-type": "application/fhir+xml", "accept": "application/fhir+xml"}
    answer = client.post("Patient/p/$meta-add", content=text.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert '<tag><code value="t"/></tag>' in answer.text.replace("\n", "").replace("  ", "")
    assert client.get("Patient/p").json()["meta"]["tag"] == [{"code": "t"}]


def test_head_of_an_operation_is_its_get(client: Client) -> None:
    client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    assert client.request("HEAD", "Patient/p/$everything").status_code == 200
    assert client.request("HEAD", "Patient/p/$meta-add").status_code == 405


def test_operations_in_a_batch_stand_alone(client: Client) -> None:
    client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    urls = ["Patient/p/$meta", "Patient/x/$meta", "Patient/p/$meta-add", "Patient/p/$nothing", "$meta"]
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}} for url in urls],
    }
    entries = client.post("", json=bundle).json()["entry"]
    statuses = [entry["response"]["status"].partition(" ")[0] for entry in entries]
    assert statuses == ["200", "404", "405", "404", "200"]
    assert entries[0]["resource"] == client.get("Patient/p/$meta").json()
    assert entries[1]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1].request.url"]


def test_our_own_operations_have_a_definition_that_is_valid() -> None:
    validator = ResourceValidator(StructureValidator())
    own = [each for each in DEFINITIONS if each.url.startswith(OWN)]
    assert {"expunge"} <= {each.code for each in own}
    for definition in own:
        resource = operation_definition(definition)
        assert resource["url"] == definition.url
        assert validator.validate(resource, level=ValidationLevel.STRICT) == []
