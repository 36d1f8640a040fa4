"""Where definitions come from: R4's own tables and the classes of fhir.resources."""

from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_server.definitions import terminology_extract
from fhir_server.definitions.bindings import Binding, bindings
from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.value_sets import ValueSet, value_set
from fhir_server.validation import r4, r4b
from fhir_server.validation.coverage import Coverage, Source, coverage
from fhir_server.validation.definition import ANY_RESOURCE, PRIMITIVE_TYPES
from fhir_server.validation.structure import StructureValidator, load_definition
from hie.core.fhir.json import loads
from hie.core.fhir.structure import elements_of, structure_of


def test_the_resource_types_are_the_concrete_ones_of_r4(conformance_data: Path) -> None:
    bundle = loads((conformance_data / "fhir" / "r4-definitions" / "Bundle-valuesets.json").read_bytes())
    (codes,) = (
        [concept["code"] for concept in entry["resource"]["concept"]]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "CodeSystem" and entry["resource"]["id"] == "resource-types"
    )
    assert list(R4_RESOURCE_TYPES) == sorted(set(codes) - {"Resource", "DomainResource"})


def test_every_resource_type_and_all_it_refers_to_has_a_definition() -> None:
    waiting = list(R4_RESOURCE_TYPES)
    seen = set(PRIMITIVE_TYPES | {ANY_RESOURCE})
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        definition = load_definition(name)
        assert definition is not None, name
        assert definition.is_resource is (name in R4_RESOURCE_TYPES)
        waiting.extend(element.type for element in definition.elements)
    StructureValidator().prepare(R4_RESOURCE_TYPES)


def test_types_are_checked_from_r4_only_where_r4b_has_no_class_or_another_shape() -> None:
    for name in r4.names():
        own, other = r4.load(name), r4b.load(name)
        assert own is not None
        if other is not None:
            assert {(e.name, e.is_list, e.is_required) for e in own.elements} != {
                (e.name, e.is_list, e.is_required) for e in other.elements
            }, name


def test_all_other_types_have_the_same_elements_in_r4_and_in_the_classes() -> None:
    compared = 0
    for path in _all_paths():
        if path.partition(".")[0] in r4.names():
            continue
        ours = r4b.load(_class_name(path))
        assert ours is not None, path
        expected = {
            (key, _class_name(content), element.is_list, element.min > 0, element.is_choice)
            for key, (element, _, content) in elements_of(path).items()
        }
        found = {
            (e.name, _class_name(e.type), e.is_list, e.is_required, e.choice is not None)
            for e in ours.elements
        }
        assert found == expected, path
        compared += 1
    assert compared > 500


def _all_paths() -> set[str]:
    """Return every resource type, data type and backbone element that a resource of R4 may have in it."""
    waiting, seen = list(R4_RESOURCE_TYPES), set[str]()
    while waiting:
        path = waiting.pop()
        structure = structure_of(path)
        if path not in seen | {ANY_RESOURCE} and structure is not None and structure.kind != "primitive":
            seen.add(path)
            waiting += (content for _, _, content in elements_of(path).values())
    return seen


def _class_name(path: str) -> str:
    """Return what fhir.resources calls the content at `path`: PatientContact for Patient.contact."""
    return "".join(step[:1].upper() + step[1:] for step in path.split("."))


def test_required_elements_and_choices_are_those_the_classes_enforce() -> None:
    for name in (
        "Patient",
        "Observation",
        "Encounter",
        "Questionnaire",
        "ImagingStudy",
        "TimingRepeat",
        "Dosage",
    ):
        definition = r4b.load(name)
        assert definition is not None
        model = get_fhir_model_class(name).model_construct()
        required = {e.name for e in definition.elements if e.is_required and e.has_sibling and not e.choice}
        assert required == {field for field, _ in model.get_required_fields()}
        choices = {stem: {form.name for form in forms} for stem, forms in definition.choices().items()}
        assert choices == {stem: set(forms) for stem, forms in model.get_one_of_many_fields().items()}


@pytest.mark.parametrize("name", ["Foo", "", "string", "Patient.contact", "../errors"])
def test_an_unknown_name_has_no_definition(name: str) -> None:
    assert load_definition(name) is None


def test_coverage_lists_every_type_with_its_source() -> None:
    listed = coverage()
    assert [entry.resource_type for entry in listed] == list(R4_RESOURCE_TYPES)
    assert Coverage("Patient", Source.FHIR_RESOURCES) in listed
    from_r4 = [entry.resource_type for entry in listed if entry.source is Source.R4_DEFINITIONS]
    assert from_r4 == [
        "ActivityDefinition",
        "EffectEvidenceSynthesis",
        "Evidence",
        "EvidenceVariable",
        "MedicinalProduct",
        "MedicinalProductAuthorization",
        "MedicinalProductContraindication",
        "MedicinalProductIndication",
        "MedicinalProductIngredient",
        "MedicinalProductInteraction",
        "MedicinalProductManufactured",
        "MedicinalProductPackaged",
        "MedicinalProductPharmaceutical",
        "MedicinalProductUndesirableEffect",
        "PlanDefinition",
        "RiskEvidenceSynthesis",
        "SubstanceNucleicAcid",
        "SubstancePolymer",
        "SubstanceProtein",
        "SubstanceReferenceInformation",
        "SubstanceSourceMaterial",
        "SubstanceSpecification",
    ]
    assert str(Source.FHIR_RESOURCES) == "fhir.resources R4B 4.3.0"


def test_every_r4_example_of_a_type_checked_from_r4_is_valid(conformance_data: Path) -> None:
    validator = StructureValidator()
    checked = set()
    for path in (conformance_data / "fhir" / "r4-examples").glob("*.json"):
        resource = loads(path.read_bytes())
        if resource.get("resourceType") in r4.names():
            assert validator.validate(resource) == [], path.name
            checked.add(resource["resourceType"])
    assert len(checked) >= 15


def test_the_bindings_of_data_types_are_those_of_the_specification(conformance_data: Path) -> None:
    bundle = loads((conformance_data / "fhir" / "r4-definitions" / "Bundle-types.json").read_bytes())
    published = terminology_extract.bindings(entry["resource"] for entry in bundle["entry"])
    assert len(published) > 40
    for path, (strength, url) in published.items():
        assert bindings()[path] == Binding(strength, url)  # type: ignore[arg-type] # a strength of the file


def test_the_value_sets_are_those_of_the_specification(conformance_data: Path) -> None:
    known = terminology_extract.read_terminology(
        [conformance_data / "fhir" / "r4-definitions" / "Bundle-valuesets.json"]
    )
    compared = 0
    for url in known.value_sets:
        codes, is_open = terminology_extract.enumerate_value_set(url, known)
        if codes and not is_open:
            assert value_set(url) == ValueSet(
                url, {system: frozenset(listed) for system, listed in codes.items()}, is_open=False
            )
            compared += 1
    assert compared > 400
