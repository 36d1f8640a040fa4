"""R4's own expressions on R4's own examples: those of its search parameters, and invariants that are hard."""

from pathlib import Path

import pytest

from hie.core.fhir.json import JsonObject, loads
from hie.core.fhirpath.check import check
from hie.core.fhirpath.expression import Environment, compiled
from hie.core.language_errors import FhirPathSyntaxError

# https://hl7.org/fhir/R4/domainresource.html, and ref-1 with the guard of the reference validator.
DOM_3 = (
    "contained.where((('#'+id in (%resource.descendants().reference | "
    "%resource.descendants().as(canonical) | %resource.descendants().as(uri) | "
    "%resource.descendants().as(url))) or "
    "descendants().where(reference = '#').exists() or descendants().where(as(canonical) = '#').exists() or "
    "descendants().where(as(canonical) = '#').exists()).not()).trace('unmatched', id).empty()"
)
REF_1 = (
    "reference.exists() implies (reference.startsWith('#').not() or "
    "(reference.substring(1).trace('url') in %rootResource.contained.id.trace('ids')))"
)


def _parameters(data: Path) -> list[JsonObject]:
    bundle = loads((data / "fhir/r4-definitions/search-parameters.json").read_bytes())
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"].get("expression")]


def test_every_search_parameter_of_r4_is_meant_for_each_of_its_base_types(conformance_data: Path) -> None:
    refused: dict[str, str] = {}
    for parameter in _parameters(conformance_data):
        for base in parameter["base"]:
            try:
                check(compiled(parameter["expression"]), base)
            except FhirPathSyntaxError as error:
                refused[f"{base}.{parameter['code']}"] = error.message
    # The parameter of a later release: R4's DeviceDefinition has no classification.
    assert list(refused) == ["DeviceDefinition.classification"]


def test_every_search_parameter_of_r4_can_be_evaluated_on_the_examples_of_its_types(
    conformance_data: Path,
) -> None:
    by_base: dict[str, list[str]] = {}
    for parameter in _parameters(conformance_data):
        for base in parameter["base"]:
            by_base.setdefault(base, []).append(parameter["expression"])
    found = 0
    files = sorted((conformance_data / "fhir/r4-examples").glob("*.json"))[::5]
    for file in files:
        resource = loads(file.read_bytes())
        for base in (resource["resourceType"], "Resource", "DomainResource"):
            for expression in by_base.get(base, ()):
                found += len(compiled(expression).evaluate(resource))
    assert found > 10 * len(files)


def test_contained_resources_that_are_referred_to_hold_dom_3() -> None:
    patient = {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Organization", "id": "o1"}],
        "managingOrganization": {"reference": "#o1"},
    }
    assert compiled(DOM_3).is_true(patient)
    del patient["managingOrganization"]
    assert not compiled(DOM_3).is_true(patient)


@pytest.mark.parametrize(
    ("reference", "holds"),
    [({"reference": "#o1"}, True), ({"reference": "#o2"}, False), ({"display": "x"}, True)],
)
def test_ref_1_is_evaluated_at_a_reference_inside_its_resource(reference: JsonObject, *, holds: bool) -> None:
    patient = {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Organization", "id": "o1"}],
        "managingOrganization": reference,
    }
    environment = Environment(root=patient)
    assert compiled(REF_1).is_true_at(reference, "Reference", environment) is holds


@pytest.mark.parametrize(
    ("div", "is_permitted"),
    [
        ('<div xmlns="http://www.w3.org/1999/xhtml"><p>text &amp; <b>more</b></p></div>', True),
        ("<div>without namespace</div>", True),
        ('<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>', False),
        ('<div xmlns="http://www.w3.org/1999/xhtml"><p onclick="x">text</p></div>', False),
        ('<div xmlns="http://www.w3.org/1999/xhtml"> </div>', False),
        ('<div xmlns="http://www.w3.org/1999/xhtml"><img src="#a"/></div>', True),
        ("<p>text</p>", False),
        ("<div>not closed", False),
        ('<!DOCTYPE div [<!ENTITY a "b">]><div>&a;</div>', False),
    ],
)
def test_html_checks_take_what_a_narrative_may_have(div: str, *, is_permitted: bool) -> None:
    patient = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    assert compiled("text.`div`.htmlChecks()").evaluate(patient) == [is_permitted]
