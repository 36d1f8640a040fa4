"""The compartments of R4: https://hl7.org/fhir/R4/compartmentdefinition.html."""

import json
from pathlib import Path

import pytest

from fhir_server.compartments.definitions import load_compartments
from fhir_server.definitions.search_parameters import load_registry


def test_every_compartment_has_what_its_definition_says(conformance_data: Path) -> None:
    published = {}
    for file in (conformance_data / "fhir" / "r4-definitions").glob("CompartmentDefinition-*.json"):
        definition = json.loads(file.read_bytes())
        if definition["id"] == "example":
            continue
        published[definition["code"]] = (
            definition["url"],
            {
                each["code"]: tuple(name for name in each["param"] if name != "{def}")
                for each in definition["resource"]
                if any(name != "{def}" for name in each.get("param", []))
            },
        )
    assert len(published) == 5
    assert {code: (each.url, dict(each.members)) for code, each in load_compartments().items()} == published


@pytest.mark.parametrize("code", sorted(load_compartments()))
def test_members_belong_by_reference_parameters_that_may_lead_to_the_compartments_type(code: str) -> None:
    compartment = load_compartments()[code]
    for resource_type, names in compartment.members.items():
        parameters = load_registry().of(resource_type)
        for name in names:
            assert parameters[name].type == "reference", (resource_type, name)
            assert parameters[name].may_target(code), (resource_type, name)


def test_a_resource_belongs_to_its_own_compartment() -> None:
    for code, compartment in load_compartments().items():
        assert code in compartment.types
