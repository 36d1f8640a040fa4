"""Slices: each kind of discriminator, rules and order, counts, slices of slices."""

import pytest

from fhir_server.validation.profile.discriminator import (
    ExtensionOf,
    Name,
    OfType,
    PathStep,
    Resolve,
    parse_path,
)
from hie.core.fhir.json import Json, JsonObject
from tests.fhir_server.validation.profile.profiles import (
    BASE,
    Known,
    element,
    observation,
    resource,
    structure,
)

SYSTEM = "http://profile.example/code"


def code(value: str) -> JsonObject:
    return {"coding": [{"system": SYSTEM, "code": value}]}


def slicing(kind: str, path: str, **parts: Json) -> JsonObject:
    return {"discriminator": [{"type": kind, "path": path}], "rules": "open", **parts}


def components(*elements: JsonObject, **sliced: Json) -> JsonObject:
    """Return a profile of Observation whose components are sliced by the pattern of their code."""
    return structure(
        "a",
        "Observation",
        element("Observation.component", slicing=slicing("pattern", "code", **sliced)),
        *elements,
    )


def component_slice(name: str, **parts: Json) -> list[JsonObject]:
    return [
        element("Observation.component", slice_name=name, **parts),
        element("Observation.component.code", patternCodeableConcept=code(name)),
    ]


def with_components(*names: str) -> JsonObject:
    return observation(component=[{"code": code(name), "valueInteger": 1} for name in names])


PRESSURE = components(*component_slice("systolic", min=1, max="1"), *component_slice("diastolic", max="1"))


def test_each_slice_has_its_own_cardinality() -> None:
    known = Known(PRESSURE)
    assert known.findings(with_components("systolic", "diastolic", "other", "other")) == []
    assert known.messages(with_components("diastolic", "diastolic")) == [
        (
            "error Observation.component: `Observation.component:systolic` must occur at least once, found"
            f" none ({BASE}/a)"
        ),
        (
            "error Observation.component: `Observation.component:diastolic` may occur at most once, found 2"
            f" ({BASE}/a)"
        ),
    ]


def test_what_is_below_a_slice_is_asked_of_its_values_only() -> None:
    known = Known(
        components(
            *component_slice("systolic"),
            element("Observation.component.interpretation", min=1),
            *component_slice("diastolic"),
        )
    )
    assert known.findings(with_components("diastolic", "systolic")) == [
        ("error", "required", "Observation.component[1].interpretation")
    ]


def test_a_closed_slicing_takes_nothing_else() -> None:
    known = Known(components(*component_slice("systolic"), rules="closed"))
    assert known.findings(with_components("systolic")) == []
    assert known.messages(with_components("systolic", "other")) == [
        (
            "error Observation.component[1]: It belongs to no slice of `Observation.component`, which is"
            f" closed ({BASE}/a)"
        )
    ]


def test_a_slicing_open_at_end_takes_others_after_the_slices() -> None:
    known = Known(components(*component_slice("systolic"), rules="openAtEnd"))
    assert known.findings(with_components("systolic", "other")) == []
    assert known.findings(with_components("other", "systolic")) == [
        ("error", "structure", "Observation.component[0]")
    ]


def test_an_ordered_slicing_wants_its_slices_in_order() -> None:
    known = Known(components(*component_slice("systolic"), *component_slice("diastolic"), ordered=True))
    assert known.findings(with_components("systolic", "other", "diastolic", "diastolic")) == []
    assert known.findings(with_components("diastolic", "systolic")) == [
        ("error", "structure", "Observation.component[1]")
    ]


def test_a_value_of_two_slices_is_an_error() -> None:
    known = Known(components(*component_slice("systolic"), *component_slice("diastolic")))
    both = {"coding": [*code("systolic")["coding"], *code("diastolic")["coding"]]}
    assert known.messages(observation(component=[{"code": both}])) == [
        (
            "error Observation.component[0]: It belongs to the slices `systolic` and `diastolic` of"
            f" `Observation.component` ({BASE}/a)"
        )
    ]


def test_a_slice_told_by_a_fixed_value_deeper_down() -> None:
    known = Known(
        structure(
            "a",
            "Patient",
            element("Patient.identifier", slicing=slicing("value", "system"), min=1),
            element("Patient.identifier", slice_name="national", min=1),
            element("Patient.identifier.system", min=1, fixedUri="urn:a:national"),
            element("Patient.identifier.value", min=1, maxLength=3),
        )
    )
    assert (
        known.findings(resource("Patient", identifier=[{"system": "urn:a:national", "value": "abc"}])) == []
    )
    assert known.findings(resource("Patient", identifier=[{"system": "urn:a:other", "value": "abcd"}])) == [
        ("error", "required", "Patient.identifier")
    ]
    assert known.findings(
        resource("Patient", identifier=[{"system": "urn:a:national", "value": "abcd"}])
    ) == [("error", "too-long", "Patient.identifier[0].value")]


def test_a_slice_told_by_a_required_binding() -> None:
    value_set = {
        "resourceType": "ValueSet",
        "url": "http://profile.example/ValueSet/a",
        "compose": {"include": [{"system": SYSTEM, "concept": [{"code": "a"}, {"code": "b"}]}]},
    }
    binding = {"strength": "required", "valueSet": value_set["url"]}
    known = Known(
        structure(
            "a",
            "Observation",
            element("Observation.category", slicing=slicing("value", "$this")),
            element("Observation.category", slice_name="own", min=1, binding=binding),
        ),
        value_set,
    )
    assert known.findings(observation(category=[code("x"), code("b")])) == []
    assert known.findings(observation(category=[code("x")])) == [
        ("error", "required", "Observation.category")
    ]


def test_a_slice_told_by_what_is_asked_below_the_discriminating_element() -> None:
    known = Known(
        structure(
            "a",
            "Observation",
            element("Observation.component", slicing=slicing("value", "code")),
            element("Observation.component", slice_name="own", min=1),
            element("Observation.component.code"),
            element("Observation.component.code.text", min=1, fixedString="own"),
        )
    )
    assert known.findings(observation(component=[{"code": {"text": "own"}}])) == []
    assert known.findings(observation(component=[{"code": {"text": "other"}}])) == [
        ("error", "required", "Observation.component")
    ]


def test_a_slice_told_by_existence() -> None:
    known = Known(
        structure(
            "a",
            "Observation",
            element("Observation.component", slicing=slicing("exists", "value")),
            element("Observation.component", slice_name="measured", max="1"),
            element("Observation.component.value[x]", min=1),
            element("Observation.component", slice_name="missing"),
            element("Observation.component.value[x]", max="0"),
            element("Observation.component.dataAbsentReason", min=1),
        )
    )
    measured, missing = {"code": code("a"), "valueInteger": 1}, {"code": code("a")}
    assert known.findings(observation(component=[measured])) == []
    assert known.findings(observation(component=[measured, missing, measured])) == [
        ("error", "structure", "Observation.component"),
        ("error", "required", "Observation.component[1].dataAbsentReason"),
    ]


def test_a_choice_sliced_by_its_type() -> None:
    known = Known(
        structure(
            "a",
            "Observation",
            element("Observation.value[x]", slicing=slicing("type", "$this", rules="closed")),
            element("Observation.value[x]", slice_name="valueQuantity", type=[{"code": "Quantity"}]),
            element("Observation.value[x].unit", min=1),
        )
    )
    assert known.findings(observation(valueQuantity={"value": 1, "unit": "a"})) == []
    assert known.findings(observation(valueQuantity={"value": 1})) == [
        ("error", "required", "Observation.value.ofType(Quantity).unit")
    ]
    assert known.findings(observation(valueString="a")) == [
        ("error", "structure", "Observation.value.ofType(string)")
    ]


def test_a_choice_named_with_its_type_is_a_slice_of_that_type() -> None:
    known = Known(
        structure(
            "a",
            "Observation",
            element("Observation.valueQuantity", slice_name="valueQuantity", min=1),
            element("Observation.valueQuantity.code", min=1),
        )
    )
    quantity = {"value": 1, "system": "a:b", "code": "c"}
    assert known.findings(observation(valueQuantity=quantity)) == []
    assert known.findings(observation(valueQuantity={"value": 1})) == [
        ("error", "required", "Observation.value.ofType(Quantity).code")
    ]
    assert known.findings(observation()) == [("error", "required", "Observation.value")]


def references(kind: str, *names: str) -> JsonObject:
    elements = []
    for name in names:
        target = name if "/" in name else f"{BASE}/{name}"
        slice_name = name.rpartition("/")[2]
        declared = [{"code": "Reference", "targetProfile": [target]}]
        elements.append(element("Observation.hasMember", slice_name=slice_name, min=1, type=declared))
    return structure(
        "a", "Observation", element("Observation.hasMember", slicing=slicing(kind, "resolve()")), *elements
    )


def test_slices_of_references_told_by_type_and_by_profile_of_what_they_name() -> None:
    final = structure("final", "Observation", element("Observation.status", fixedCode="final"))
    amended = structure("amended", "Observation", element("Observation.status", fixedCode="amended"))
    by_profile = Known(references("profile", "final", "amended"), final, amended)
    contained = [observation(id="f"), observation(id="a", status="amended")]
    both = [{"reference": "#f"}, {"reference": "#a"}]
    assert by_profile.findings(observation(contained=contained, hasMember=both)) == []
    assert by_profile.findings(observation(contained=contained[:1], hasMember=both[:1])) == [
        ("error", "required", "Observation.hasMember")
    ]
    base = "http://hl7.org/fhir/StructureDefinition"
    by_type = Known(references("type", f"{base}/Observation", f"{base}/QuestionnaireResponse"))
    # the type is told from the reference where what it names cannot be found
    named = [{"reference": "Observation/1"}, {"reference": "QuestionnaireResponse/1"}]
    assert by_type.findings(observation(hasMember=named)) == []
    assert by_type.findings(observation(hasMember=named[:1])) == [
        ("error", "required", "Observation.hasMember")
    ]


def test_slices_that_a_value_set_would_tell_apart_are_not_guessed() -> None:
    profiles = [
        structure(
            name,
            "Observation",
            element(
                "Observation.code",
                binding={"strength": "required", "valueSet": f"http://profile.example/ValueSet/{name}"},
            ),
        )
        for name in ("one", "two")
    ]
    known = Known(references("profile", "one", "two"), *profiles)
    member = observation(id="m", code=code("a"))
    # named twice: what was not certain the first time is not certain the second time either
    both = observation(contained=[member], hasMember=[{"reference": "#m"}, {"reference": "#m"}])
    assert known.findings(both) == [
        ("information", "not-supported", "Observation.hasMember[0]"),
        ("information", "not-supported", "Observation.hasMember[1]"),
    ]
    assert known.findings(observation()) == [("error", "required", "Observation.hasMember")] * 2


def test_slices_of_extensions_are_told_by_url() -> None:
    height = structure(
        "height",
        "Extension",
        element("Extension.extension", max="0"),
        element("Extension.url", fixedUri=f"{BASE}/height"),
        element("Extension.value[x]", min=1, type=[{"code": "Quantity"}]),
        context=[{"type": "element", "expression": "Patient"}],
    )
    asked = structure(
        "a",
        "Patient",
        element("Patient.extension", slicing=slicing("value", "url")),
        element(
            "Patient.extension",
            slice_name="height",
            min=1,
            max="1",
            type=[{"code": "Extension", "profile": [f"{BASE}/height"]}],
        ),
    )
    known = Known(asked, height)
    good = {"url": f"{BASE}/height", "valueQuantity": {"value": 1}}
    bad = {"url": f"{BASE}/height", "valueString": "a"}
    other = {"url": f"{BASE}/other", "valueString": "a"}
    assert known.findings(resource("Patient", extension=[other, good])) == []
    assert known.findings(resource("Patient", extension=[other])) == [
        ("error", "required", "Patient.extension")
    ]
    assert known.findings(resource("Patient", extension=[bad])) == [
        ("error", "structure", "Patient.extension[0].value.ofType(string)")
    ]
    # without its definition the slice is still told by its url
    alone = Known(asked)
    assert alone.findings(resource("Patient", extension=[other])) == [
        ("error", "required", "Patient.extension")
    ]
    assert alone.findings(resource("Patient", extension=[bad])) == [
        ("information", "not-found", "Patient.extension[0]")
    ]


def test_a_slice_of_a_slice() -> None:
    known = Known(
        structure(
            "a",
            "Patient",
            element("Patient.identifier", slicing=slicing("value", "system")),
            element("Patient.identifier", slice_name="card", slicing=slicing("value", "use")),
            element("Patient.identifier.system", fixedUri="urn:a:card"),
            element("Patient.identifier", slice_name="card/old", max="1"),
            element("Patient.identifier.system", fixedUri="urn:a:card"),
            element("Patient.identifier.use", fixedCode="old"),
        )
    )
    old, new = {"system": "urn:a:card", "use": "old"}, {"system": "urn:a:card", "use": "official"}
    other = {"system": "urn:a:other", "use": "old"}
    assert known.findings(resource("Patient", identifier=[old, new, new, other, other])) == []
    assert known.messages(resource("Patient", identifier=[old, new, old])) == [
        (
            "error Patient.identifier: `Patient.identifier:card:card/old` may occur at most once, found 2"
            f" ({BASE}/a)"
        )
    ]


def test_slices_that_cannot_be_told_apart_are_said_and_not_asked() -> None:
    known = Known(
        structure(
            "a",
            "Patient",
            element("Patient.identifier", slicing={"rules": "closed", "description": "by hand"}),
            element("Patient.identifier", slice_name="own", min=1),
        )
    )
    assert known.findings(resource("Patient", identifier=[{"value": "a"}])) == [
        ("information", "not-supported", "Patient")
    ]


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$this", ()),
        ("code", (Name("code"),)),
        ("value[x]", (Name("value"),)),
        ("code.coding.system", (Name("code"), Name("coding"), Name("system"))),
        ("$this.resolve()", (Resolve(),)),
        ("entry.resolve().ofType(Patient)", (Name("entry"), Resolve(), OfType("Patient"))),
        ("extension('http://a/b.c').value", (ExtensionOf("http://a/b.c"), Name("value"))),
        ('extension("http://a/b").value', (ExtensionOf("http://a/b"), Name("value"))),
        ("where(a = b)", None),
        ("a..b", None),
        ("a b", None),
    ],
)
def test_paths_of_discriminators(path: str, steps: tuple[PathStep, ...] | None) -> None:
    assert parse_path(path) == steps
