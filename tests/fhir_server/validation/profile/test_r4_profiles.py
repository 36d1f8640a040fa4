"""The profiles and extensions of R4 itself: checked without being stored."""

from fhir_server.definitions.profiles import structure_definition, urls
from fhir_server.validation.conformance import LoadedResources
from fhir_server.validation.profile.validator import ProfileValidator
from hie.core.fhir.json import Json, JsonObject
from tests.fhir_server.validation.profile.profiles import NOW, observation, resource

R4 = "http://hl7.org/fhir/StructureDefinition"
VALIDATOR = ProfileValidator(LoadedResources())
VITAL = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
    ]
}


def errors(checked: JsonObject) -> list[tuple[str, str]]:
    issues = VALIDATOR.validate(checked, now=NOW)
    return [(issue.code, issue.expression or "") for issue in issues if issue.severity == "error"]


def loinc(code: str) -> JsonObject:
    return {"coding": [{"system": "http://loinc.org", "code": code}]}


def pressure(*components: JsonObject, **changes: Json) -> JsonObject:
    return observation(
        **{
            "meta": {"profile": [f"{R4}/bp"]},
            "category": [VITAL],
            "code": loinc("85354-9"),
            "subject": {"reference": "Patient/1"},
            "effectiveDateTime": "2024-02-29",
            "component": list(components),
            **changes,
        }
    )


def component(code: str, unit: str = "mm[Hg]") -> JsonObject:
    quantity = {"value": 120, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": unit}
    return {"code": loinc(code), "valueQuantity": quantity}


def test_every_profile_and_extension_compiles() -> None:
    assert len(urls()) == 437
    for url in urls():
        compiled = VALIDATOR.profile_of(url)
        assert compiled is not None, url
        assert structure_definition(url) is not None


def test_blood_pressure() -> None:
    systolic, diastolic = component("8480-6"), component("8462-4")
    assert errors(pressure(systolic, diastolic)) == []
    # two components, and one of each slice
    assert errors(pressure(systolic)) == [("required", "Observation.component")] * 2
    assert errors(pressure(systolic, systolic)) == [
        ("structure", "Observation.component"),
        ("required", "Observation.component"),
    ]
    assert errors(pressure(systolic, component("8462-4", "kPa"))) == [
        ("code-invalid", "Observation.component[1].value.ofType(Quantity)"),
        ("value", "Observation.component[1].value.ofType(Quantity).code"),
    ]
    # of the vital signs that the profile derives from
    assert errors(pressure(systolic, diastolic, category=[{"text": "vital signs"}])) == [
        ("required", "Observation.category")
    ]


def test_an_extension_of_r4() -> None:
    good = {"url": f"{R4}/patient-birthTime", "valueDateTime": "2024-02-29T10:00:00Z"}
    bad = {"url": f"{R4}/patient-birthTime", "valueString": "10:00"}
    born = {"birthDate": "2024-02-29"}
    assert errors(resource("Patient", **born, _birthDate={"extension": [good]})) == []
    assert errors(resource("Patient", **born, _birthDate={"extension": [bad]})) == [
        ("structure", "Patient.birthDate.extension[0].value.ofType(string)")
    ]


def test_parts_of_a_complex_extension_of_r4_are_told_by_their_url() -> None:
    def nationality(*parts: JsonObject) -> JsonObject:
        return resource("Patient", extension=[{"url": f"{R4}/patient-nationality", "extension": list(parts)}])

    code = {"url": "code", "valueCodeableConcept": {"text": "a"}}
    assert errors(nationality(code)) == []
    assert errors(nationality(code, code)) == [("structure", "Patient.extension[0].extension")]
    assert errors(nationality({"url": "code", "valueString": "a"})) == [
        ("structure", "Patient.extension[0].extension[0].value.ofType(string)")
    ]


def test_a_stored_definition_goes_before_that_of_r4() -> None:
    own: JsonObject = {
        **(structure_definition(f"{R4}/patient-birthTime") or {}),
        "differential": {"element": [{"path": "Extension.value[x]", "type": [{"code": "string"}]}]},
    }
    checked = resource("Patient", extension=[{"url": f"{R4}/patient-birthTime", "valueString": "10:00"}])
    assert errors(checked) != []
    assert ProfileValidator(LoadedResources([own])).validate(checked, now=NOW) == []
