"""Which resource a reference names, and what a profile asks of it."""

import pytest

from fhir_server.validation.profile.item import Item, root_item
from fhir_server.validation.profile.reference import Targets, named_type
from hie.core.fhir.json import Json, JsonObject
from tests.fhir_server.validation.profile.profiles import (
    BASE,
    Known,
    element,
    observation,
    resource,
    structure,
)

FHIR = "http://hl7.org/fhir/StructureDefinition"
NAMED = structure("named", "Patient", element("Patient.name", min=1))
ABOUT_NAMED = structure(
    "a",
    "Observation",
    element("Observation.subject", type=[{"code": "Reference", "targetProfile": [f"{BASE}/named"]}]),
)
GOOD, BAD = resource("Patient", name=[{"text": "a"}]), resource("Patient")


def bundle(*entries: JsonObject) -> JsonObject:
    return {"resourceType": "Bundle", "type": "collection", "entry": list(entries)}


def test_a_contained_target() -> None:
    known = Known(ABOUT_NAMED, NAMED)
    subject = {"reference": "#p"}
    assert known.findings(observation(contained=[{**GOOD, "id": "p"}], subject=subject)) == []
    assert known.messages(observation(contained=[{**BAD, "id": "p"}], subject=subject)) == [
        (
            "error Observation.subject: The Patient that it refers to does not conform to"
            f" `{BASE}/named` ({BASE}/a)"
        )
    ]


@pytest.mark.parametrize(
    ("full_url", "literal"),
    [
        ("urn:uuid:1c9ad4c6-3dcd-4b0c-9f0a-0a1d3a1d3a1d", "urn:uuid:1c9ad4c6-3dcd-4b0c-9f0a-0a1d3a1d3a1d"),
        ("http://a.example/fhir/Patient/p", "http://a.example/fhir/Patient/p"),
        ("http://a.example/fhir/Patient/p", "Patient/p"),
        ("http://a.example/fhir/Patient/p", "Patient/p/_history/3"),
    ],
)
def test_a_target_in_the_same_bundle(full_url: str, literal: str) -> None:
    known = Known(ABOUT_NAMED, NAMED)
    about = observation(meta={"profile": [f"{BASE}/a"]}, subject={"reference": literal})
    for target, expected in ((GOOD, []), (BAD, [("error", "structure", "Bundle.entry[0].resource.subject")])):
        together = bundle(
            {"fullUrl": "http://a.example/fhir/Observation/o", "resource": about},
            {"fullUrl": full_url, "resource": {**target, "id": "p"}},
        )
        assert known.findings(together, profiles=[]) == expected


def test_a_relative_reference_from_an_entry_without_base_means_type_and_id() -> None:
    together = bundle(
        {"fullUrl": "urn:uuid:a", "resource": observation(subject={"reference": "Patient/p"})},
        {"fullUrl": "urn:uuid:b", "resource": {**GOOD, "id": "p"}},
    )
    subject = reference_in(root_item(together), "entry", "resource", "subject")
    found = Targets(None).of(subject)
    assert found is not None
    assert found.expression == "Bundle.entry[1].resource"


def test_a_relative_reference_does_not_leave_the_base_of_its_entry() -> None:
    together = bundle(
        {
            "fullUrl": "http://a.example/fhir/Observation/o",
            "resource": observation(subject={"reference": "Patient/p"}),
        },
        {"fullUrl": "http://b.example/fhir/Patient/p", "resource": {**GOOD, "id": "p"}},
    )
    assert Targets(None).of(reference_in(root_item(together), "entry", "resource", "subject")) is None


def reference_in(item: Item, *names: str) -> Item:
    for name in names:
        item = item.children(name)[0]
    return item


def test_hash_alone_is_the_container() -> None:
    contained = {
        "resourceType": "Patient",
        "id": "p",
        "link": [{"other": {"reference": "#"}, "type": "refer"}],
    }
    root = root_item(resource("Patient", contained=[contained]))
    found = Targets(None).of(reference_in(root, "contained", "link", "other"))
    assert found is root


def test_a_target_outside_is_asked_for_once() -> None:
    asked: list[str] = []

    def resolve(literal: str) -> JsonObject | None:
        asked.append(literal)
        return GOOD if literal == "Patient/good" else None

    known = Known(ABOUT_NAMED, NAMED)
    both = bundle(
        *(
            {
                "fullUrl": f"http://a.example/fhir/Observation/{number}",
                "resource": observation(
                    meta={"profile": [f"{BASE}/a"]}, subject={"reference": f"Patient/{name}"}
                ),
            }
            for number, name in enumerate(("good", "good", "unknown", "unknown"))
        )
    )
    assert known.findings(both, profiles=[], resolve=resolve) == []
    assert asked == ["Patient/good", "Patient/unknown"]


def test_a_target_that_cannot_be_found_is_judged_by_the_type_that_is_named() -> None:
    known = Known(ABOUT_NAMED, NAMED)
    for subject, is_wrong in (
        ({"reference": "Patient/1"}, False),
        ({"reference": "Device/1"}, True),
        ({"reference": "urn:uuid:1", "type": "Device"}, True),
        ({"reference": "urn:uuid:1"}, False),
        ({"identifier": {"value": "1"}}, False),
        ({"display": "a"}, False),
    ):
        findings = known.findings(observation(subject=subject))
        assert findings == ([("error", "structure", "Observation.subject")] if is_wrong else []), subject


def test_the_targets_that_r4_allows_are_asked_without_a_profile() -> None:
    known = Known(NAMED)
    assert known.findings(observation(subject={"reference": "Patient/1"}), profiles=[]) == []
    assert known.messages(observation(subject={"reference": "Practitioner/1"}), profiles=[]) == [
        (
            "error Observation.subject: The reference is to Practitioner;"
            " allowed: Patient, Group, Device, Location"
        )
    ]


def test_a_circle_of_references_ends() -> None:
    asked = structure(
        "a",
        "Observation",
        element("Observation.hasMember", min=1, type=[{"code": "Reference", "targetProfile": [f"{BASE}/a"]}]),
    )
    one = observation(id="one", hasMember=[{"reference": "Observation/two"}])
    two = observation(id="two", hasMember=[{"reference": "Observation/one"}])
    stored = {"Observation/one": one, "Observation/two": two}
    assert Known(asked).findings(one, resolve=stored.get) == []
    stored["Observation/two"] = observation(id="two")
    assert Known(asked).findings(one, resolve=stored.get) == [
        ("error", "structure", "Observation.hasMember[0]")
    ]


def test_aggregation() -> None:
    def asked(*modes: str) -> Known:
        declared = {"code": "Reference", "targetProfile": [f"{FHIR}/Patient"], "aggregation": list(modes)}
        return Known(structure("a", "Observation", element("Observation.subject", type=[declared])))

    inside = observation(contained=[{"resourceType": "Patient", "id": "p"}], subject={"reference": "#p"})
    outside = observation(subject={"reference": "Patient/1"})
    wrong = [("error", "structure", "Observation.subject")]
    assert asked("contained").findings(inside) == []
    assert asked("contained").findings(outside) == wrong
    assert asked("referenced").findings(inside) == wrong
    assert asked("referenced").findings(outside) == []
    assert asked("contained", "referenced").findings(inside) == []
    assert asked("bundled").findings(outside) == wrong


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"reference": "Patient/1"}, "Patient"),
        ({"reference": "http://a.example/fhir/Patient/1/_history/2"}, "Patient"),
        ({"reference": "http://a.example/other"}, None),
        ({"reference": "Foo/1"}, None),
        ({"reference": "http://a.example/other", "type": "Patient"}, "Patient"),
        ({"type": "Foo"}, None),
        ({}, None),
    ],
)
def test_the_type_that_a_reference_names(value: Json, name: str | None) -> None:
    root = root_item({"resourceType": "Observation", "subject": value})
    assert named_type(root.children("subject")[0]) == name
