"""What a profile can ask of one element, each with a value that has it and one that has not."""

import pytest

from hie.core.fhir.json import Json, JsonObject
from tests.fhir_server.validation.profile.profiles import (
    BASE,
    Finding,
    Known,
    element,
    observation,
    resource,
    structure,
)

VALUE_SET: JsonObject = {
    "resourceType": "ValueSet",
    "url": "http://profile.example/ValueSet/colours",
    "status": "active",
    "compose": {
        "include": [
            {"system": "http://profile.example/colour", "concept": [{"code": "red"}, {"code": "blue"}]}
        ]
    },
}
OPEN_SET: JsonObject = {
    "resourceType": "ValueSet",
    "url": "http://profile.example/ValueSet/snomed",
    "status": "active",
    "compose": {
        "include": [
            {
                "system": "http://snomed.info/sct",
                "filter": [{"property": "concept", "op": "is-a", "value": "1"}],
            }
        ]
    },
}


def coded(code: str, system: str = "http://profile.example/colour") -> JsonObject:
    return {"coding": [{"system": system, "code": code}]}


def found(profiled: JsonObject, checked: JsonObject) -> list[Finding]:
    return Known(profiled, VALUE_SET, OPEN_SET).findings(checked)


def test_a_minimum() -> None:
    asked = structure("a", "Patient", element("Patient.name", min=1))
    assert found(asked, resource("Patient", name=[{"text": "a"}])) == []
    assert Known(asked).messages(resource("Patient")) == [
        f"error Patient.name: `Patient.name` must occur at least once, found none ({BASE}/a)"
    ]


def test_a_minimum_below_an_element_that_is_not_there_is_not_asked() -> None:
    asked = structure("a", "Patient", element("Patient.name"), element("Patient.name.family", min=1))
    assert found(asked, resource("Patient")) == []
    assert found(asked, resource("Patient", name=[{"family": "a"}, {"text": "a"}])) == [
        ("error", "required", "Patient.name[1].family")
    ]


def test_an_element_with_extensions_only_is_there() -> None:
    asked = structure("a", "Patient", element("Patient.birthDate", min=1))
    absent = {"extension": [{"url": "http://profile.example/absent", "valueCode": "unknown"}]}
    assert found(asked, resource("Patient", _birthDate=absent)) == []


def test_items_of_an_array_with_extensions_only_are_counted() -> None:
    asked = structure("a", "Patient", element("Patient.name"), element("Patient.name.given", min=2, max="2"))
    absent = {"extension": [{"url": "http://profile.example/absent", "valueCode": "unknown"}]}
    wrong = [("error", "required", "Patient.name[0].given")]
    assert found(asked, resource("Patient", name=[{"given": ["a"], "_given": [None, absent]}])) == []
    assert found(asked, resource("Patient", name=[{"_given": [absent, absent]}])) == []
    assert found(asked, resource("Patient", name=[{"given": ["a"], "_given": [absent]}])) == wrong


def test_a_maximum() -> None:
    asked = structure("a", "Patient", element("Patient.name", max="1"))
    assert found(asked, resource("Patient", name=[{"text": "a"}])) == []
    assert Known(asked).messages(resource("Patient", name=[{"text": "a"}, {"text": "b"}])) == [
        f"error Patient.name: `Patient.name` may occur at most once, found 2 ({BASE}/a)"
    ]


def test_a_maximum_of_none() -> None:
    asked = structure("a", "Patient", element("Patient.deceased[x]", max="0"))
    assert found(asked, resource("Patient")) == []
    assert Known(asked).messages(resource("Patient", deceasedBoolean=False)) == [
        f"error Patient.deceased: `Patient.deceased` must not be there ({BASE}/a)"
    ]


CHECKS: list[tuple[JsonObject, Json, Json, Finding]] = [
    (
        {"fixedCode": "final"},
        "final",
        "amended",
        ("error", "value", "Observation.status"),
    ),
    (
        {"patternCode": "final"},
        "final",
        "amended",
        ("error", "value", "Observation.status"),
    ),
]


@pytest.mark.parametrize(("parts", "good", "bad", "finding"), CHECKS)
def test_fixed_and_pattern_of_a_primitive(parts: JsonObject, good: str, bad: str, finding: Finding) -> None:
    asked = structure("a", "Observation", element("Observation.status", **parts))
    assert found(asked, observation(status=good)) == []
    assert found(asked, observation(status=bad)) == [finding]


def test_a_fixed_complex_value_is_all_there_is_and_a_pattern_is_part_of_it() -> None:
    fixed = structure("a", "Observation", element("Observation.code", fixedCodeableConcept=coded("red")))
    pattern = structure("a", "Observation", element("Observation.code", patternCodeableConcept=coded("red")))
    exact, more, less = coded("red"), {**coded("red"), "text": "b"}, {"text": "b"}
    two = {"coding": [*coded("blue")["coding"], *coded("red")["coding"]]}
    wrong = [("error", "value", "Observation.code")]
    assert [found(fixed, observation(code=each)) for each in (exact, more, two, less)] == [
        [],
        wrong,
        wrong,
        wrong,
    ]
    assert [found(pattern, observation(code=each)) for each in (exact, more, two, less)] == [
        [],
        [],
        [],
        wrong,
    ]


def test_a_type() -> None:
    asked = structure("a", "Observation", element("Observation.value[x]", type=[{"code": "Quantity"}]))
    assert found(asked, observation(valueQuantity={"value": 1})) == []
    assert Known(asked).messages(observation(valueString="a")) == [
        f"error Observation.value.ofType(string): Of type string; allowed: Quantity ({BASE}/a)"
    ]


def test_a_profile_on_a_type() -> None:
    asked = structure(
        "a",
        "Patient",
        element("Patient.name", type=[{"code": "HumanName", "profile": [f"{BASE}/name"]}]),
    )
    name = structure("name", "HumanName", element("HumanName.family", min=1))
    known = Known(asked, name)
    assert known.findings(resource("Patient", name=[{"family": "a"}])) == []
    assert known.findings(resource("Patient", name=[{"family": "a"}, {"text": "b"}])) == [
        ("error", "required", "Patient.name[1].family")
    ]


def test_one_of_several_profiles_on_a_type_suffices() -> None:
    profiles = [f"{BASE}/family", f"{BASE}/text"]
    asked = structure(
        "a", "Patient", element("Patient.name", type=[{"code": "HumanName", "profile": profiles}])
    )
    known = Known(
        asked,
        structure("family", "HumanName", element("HumanName.family", min=1)),
        structure("text", "HumanName", element("HumanName.text", min=1)),
    )
    assert known.findings(resource("Patient", name=[{"family": "a"}, {"text": "a"}])) == []
    assert known.messages(resource("Patient", name=[{"given": ["a"]}])) == [
        f"error Patient.name[0]: It conforms to none of `{BASE}/family`, `{BASE}/text` ({BASE}/a)"
    ]


def bound(strength: str, value_set: str = VALUE_SET["url"]) -> JsonObject:
    return structure(
        "a", "Observation", element("Observation.code", binding={"strength": strength, "valueSet": value_set})
    )


@pytest.mark.parametrize(
    ("strength", "severity"),
    [("required", "error"), ("extensible", "warning"), ("preferred", "information"), ("example", None)],
)
def test_a_binding_weighs_by_its_strength(strength: str, severity: str | None) -> None:
    outside = [] if severity is None else [(severity, "code-invalid", "Observation.code")]
    assert found(bound(strength), observation(code=coded("red"))) == []
    assert found(bound(strength), observation(code={**coded("green"), "text": "a"})) == outside
    assert found(bound(strength), observation(code={"text": "red"})) == outside


def test_a_binding_that_cannot_be_told_is_information() -> None:
    checked = observation(code=coded("2", "http://snomed.info/sct"))
    unknown = "http://profile.example/ValueSet/unknown"
    told = [("information", "not-supported", "Observation.code")]
    assert found(bound("required", OPEN_SET["url"]), checked) == told
    assert found(bound("required", unknown), checked) == told
    assert found(bound("extensible", unknown), checked) == []
    # a code of a system that the value set does not select from is outside for sure
    assert found(bound("required", OPEN_SET["url"]), observation(code=coded("red"))) == [
        ("error", "code-invalid", "Observation.code")
    ]


def test_a_binding_to_a_value_set_of_r4_needs_no_stored_value_set() -> None:
    asked = bound("required", "http://hl7.org/fhir/ValueSet/observation-category|4.0.1")
    vital = coded("vital-signs", "http://terminology.hl7.org/CodeSystem/observation-category")
    assert found(asked, observation(code=vital)) == []
    assert found(asked, observation(code=coded("red"))) == [("error", "code-invalid", "Observation.code")]


def test_a_maximum_value_set() -> None:
    extension = {
        "url": "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet",
        "valueCanonical": VALUE_SET["url"],
    }
    binding = {"strength": "preferred", "valueSet": VALUE_SET["url"], "extension": [extension]}
    asked = structure("a", "Observation", element("Observation.code", binding=binding))
    assert found(asked, observation(code=coded("red"))) == []
    assert found(asked, observation(code=coded("green"))) == [("error", "code-invalid", "Observation.code")]


def test_a_binding_on_a_choice_is_asked_of_its_coded_types_only() -> None:
    binding = {"strength": "required", "valueSet": VALUE_SET["url"]}
    asked = structure("a", "Observation", element("Observation.value[x]", binding=binding))
    assert found(asked, observation(valueBoolean=True)) == []
    assert found(asked, observation(valueCodeableConcept=coded("red"))) == []
    assert found(asked, observation(valueCodeableConcept=coded("green"))) == [
        ("error", "code-invalid", "Observation.value.ofType(CodeableConcept)")
    ]


@pytest.mark.parametrize(
    ("parts", "good", "bad"),
    [
        ({"minValueInteger": 5}, {"valueInteger": 5}, {"valueInteger": 4}),
        ({"maxValueInteger": 5}, {"valueInteger": 5}, {"valueInteger": 6}),
        ({"minValueDateTime": "2024-02"}, {"valueDateTime": "2024-02"}, {"valueDateTime": "2024-01"}),
        (
            {"maxValueQuantity": {"value": 5, "system": "a:b", "code": "c"}},
            {"valueQuantity": {"value": 5, "system": "a:b", "code": "c"}},
            {"valueQuantity": {"value": 5.5, "system": "a:b", "code": "c"}},
        ),
    ],
)
def test_a_least_and_a_most_value(parts: JsonObject, good: JsonObject, bad: JsonObject) -> None:
    asked = structure("a", "Observation", element("Observation.value[x]", **parts))
    assert found(asked, observation(**good)) == []
    (finding,) = found(asked, observation(**bad))
    assert finding[:2] == ("error", "value")


def test_a_limit_in_another_unit_or_precision_is_not_compared() -> None:
    asked = structure(
        "a", "Observation", element("Observation.value[x]", maxValueQuantity={"value": 5, "code": "g"})
    )
    assert found(asked, observation(valueQuantity={"value": 6, "unit": "kg"})) == []


def test_a_maximum_length() -> None:
    asked = structure("a", "Patient", element("Patient.name"), element("Patient.name.family", maxLength=3))
    assert found(asked, resource("Patient", name=[{"family": "abc"}])) == []
    assert found(asked, resource("Patient", name=[{"family": "abcd"}])) == [
        ("error", "too-long", "Patient.name[0].family")
    ]


def test_invariants_of_a_profile() -> None:
    def constraint(key: str, severity: str) -> JsonObject:
        human = "A family name is there"
        return {"key": key, "severity": severity, "human": human, "expression": "family.exists()"}

    asked = structure(
        "a",
        "Patient",
        element("Patient.name", constraint=[constraint("a-1", "error"), constraint("a-2", "warning")]),
    )
    assert found(asked, resource("Patient", name=[{"family": "a"}])) == []
    assert Known(asked).messages(resource("Patient", name=[{"text": "a"}])) == [
        f"error Patient.name[0]: a-1: A family name is there ({BASE}/a)",
        f"warning Patient.name[0]: a-2: A family name is there ({BASE}/a)",
    ]


def test_an_invariant_that_cannot_be_evaluated_is_a_warning() -> None:
    broken = {"key": "a-1", "severity": "error", "human": "a", "expression": "name.("}
    asked = structure("a", "Patient", element("Patient.name", constraint=[broken]))
    (finding,) = found(asked, resource("Patient", name=[{"text": "a"}]))
    assert finding == ("warning", "not-supported", "Patient.name[0]")


def test_an_invariant_may_ask_for_membership_and_for_a_target() -> None:
    constraint = [
        {
            "key": "a-1",
            "severity": "error",
            "human": "a",
            "expression": f"code.memberOf('{VALUE_SET['url']}') and subject.resolve().active",
        }
    ]
    asked = structure("a", "Observation", element("Observation", constraint=constraint))
    asked["differential"]["element"] = asked["differential"]["element"][1:]
    known = Known(asked, VALUE_SET)
    subject = {"reference": "Patient/1"}
    active, idle = resource("Patient", active=True), resource("Patient", active=False)
    for code, target, expected in (("red", active, True), ("red", idle, False), ("green", active, False)):
        checked = observation(code=coded(code), subject=subject)
        findings = known.findings(checked, resolve=lambda _literal, target=target: target)  # type: ignore[misc] # bound now
        assert (findings == []) is expected, (code, target)


def test_an_element_that_is_as_another_is_checked_as_that_one() -> None:
    asked = structure(
        "a",
        "Questionnaire",
        element("Questionnaire.item"),
        element("Questionnaire.item.prefix", min=1),
        element("Questionnaire.item.item", contentReference="#Questionnaire.item"),
    )

    def item(link: str, prefix: str | None, *below: JsonObject) -> JsonObject:
        made: JsonObject = {"linkId": link, "type": "group" if below else "string", "text": "a"}
        if prefix:
            made["prefix"] = prefix
        return {**made, "item": list(below)} if below else made

    def questionnaire(*items: JsonObject) -> JsonObject:
        return resource("Questionnaire", status="draft", item=list(items))

    assert found(asked, questionnaire(item("1", "1", item("2", "1.1")))) == []
    deep = questionnaire(item("1", "1", item("2", "1.1", item("3", None))))
    assert found(asked, deep) == [("error", "required", "Questionnaire.item[0].item[0].item[0].prefix")]


def test_a_derived_profile_asks_what_its_base_asks() -> None:
    base = structure("base", "Patient", element("Patient.name", min=1))
    derived = structure("derived", "Patient", element("Patient.gender", min=1), base=f"{BASE}/base")
    known = Known(derived, base)
    assert known.findings(resource("Patient", name=[{"text": "a"}], gender="male")) == []
    assert known.findings(resource("Patient")) == [
        ("error", "required", "Patient.name"),
        ("error", "required", "Patient.gender"),
    ]


def test_a_profile_whose_base_is_not_known_says_so() -> None:
    derived = structure("derived", "Patient", base=f"{BASE}/unknown")
    assert Known(derived).messages(resource("Patient")) == [
        (
            f"error Patient: The StructureDefinition `{BASE}/derived` cannot be used: It has no snapshot, and"
            f" its base `{BASE}/unknown` is not known; it was not checked"
        )
    ]


def test_a_profile_of_another_type() -> None:
    asked = structure("a", "Patient")
    assert Known(asked).messages(resource("Basic", code={"text": "a"})) == [
        f"error Basic: The profile is for Patient, this is a Basic ({BASE}/a)"
    ]


@pytest.mark.parametrize(
    "broken",
    [
        {"snapshot": {"element": [{}]}},
        {"snapshot": {"element": [{"path": "Patient"}, {"path": "Patient.name.family"}]}},
        {"snapshot": {"element": [{"path": "Patient"}, {"path": "Other.name"}]}},
        {"differential": {"element": [{"path": "a..b"}]}},
        {"differential": {}},
        {"baseDefinition": ""},
    ],
)
def test_a_definition_that_makes_no_sense_fails_no_validation(broken: JsonObject) -> None:
    asked = {**structure("a", "Patient", element("Patient.name", min=1)), **broken}
    for finding in Known(asked).findings(resource("Patient")):
        assert finding[1] in {"not-found", "required"}
