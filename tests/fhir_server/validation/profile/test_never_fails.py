"""Whatever the profile and whatever the resource, both structurally valid: findings, never an exception."""

from pathlib import Path
from random import Random

import pytest

from fhir_server.validation.conformance import LoadedResources
from fhir_server.validation.finding import MAX_FINDINGS
from fhir_server.validation.profile.validator import ProfileValidator
from fhir_server.validation.structure import StructureValidator
from hie.core.errors import Issue
from hie.core.fhir.json import Json, JsonObject, loads
from tests.fhir_server.validation.mutations import copy, mutate
from tests.fhir_server.validation.profile.profiles import BASE, NOW, element, observation, structure

SEED = 20240229
STRUCTURE = StructureValidator()
SEVERITIES = {"error", "warning", "information"}

PROFILE = structure(
    "a",
    "Observation",
    element(
        "Observation.component",
        slicing={"discriminator": [{"type": "value", "path": "code"}], "rules": "closed", "ordered": True},
        min=1,
    ),
    element("Observation.component", slice_name="systolic", min=1, max="1"),
    element("Observation.component.code", patternCodeableConcept={"text": "systolic"}, min=1),
    element("Observation.component", slice_name="other", max="3"),
    element(
        "Observation.component.code",
        binding={"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/observation-category"},
    ),
    element("Observation.value[x]", type=[{"code": "Quantity"}, {"code": "string"}], maxLength=5),
    element("Observation.valueQuantity.code", min=1, fixedCode="mm"),
    element(
        "Observation.hasMember",
        type=[{"code": "Reference", "targetProfile": [f"{BASE}/a"], "aggregation": ["contained"]}],
        slicing={"discriminator": [{"type": "profile", "path": "resolve()"}], "rules": "openAtEnd"},
    ),
    element("Observation.hasMember", slice_name="self", min=1),
    element(
        "Observation.subject",
        constraint=[
            {
                "key": "a-1",
                "severity": "error",
                "human": "a",
                "expression": "reference.length() > resolve().id",
            }
        ],
    ),
    element("Observation.extension", slicing={"discriminator": [{"type": "value", "path": "url"}]}),
    element(
        "Observation.extension",
        slice_name="e",
        type=[{"code": "Extension", "profile": [f"{BASE}/e"]}],
    ),
)
EXTENSION = structure("e", "Extension", element("Extension.value[x]", min=1, minValueInteger=3))
RESOURCE = observation(
    contained=[{"resourceType": "Observation", "id": "m", "status": "final", "code": {"text": "a"}}],
    extension=[{"url": f"{BASE}/e", "valueInteger": 1}],
    subject={"reference": "Patient/1"},
    hasMember=[{"reference": "#m"}, {"reference": "#"}],
    valueQuantity={"value": 1, "code": "mm", "system": "a:b"},
    component=[
        {"code": {"text": "systolic"}, "valueInteger": 1},
        {"code": {"coding": [{"code": "vital-signs"}]}},
    ],
)


def mutated(original: JsonObject, random: Random) -> JsonObject | None:
    """Return a changed copy, None if it is structurally invalid."""
    changed = copy(original)
    for _ in range(random.choice((1, 2, 4))):
        mutate(changed, random)
    return changed if STRUCTURE.is_valid(changed) else None


def check(definitions: list[JsonObject], checked: JsonObject) -> list[Issue]:
    def resolve(literal: str) -> JsonObject | None:
        return checked if literal == "Patient/1" else None

    issues = ProfileValidator(LoadedResources(definitions)).validate(
        checked, now=NOW, profiles=[f"{BASE}/a"], resolve=resolve
    )
    assert len(issues) <= MAX_FINDINGS
    assert {issue.severity for issue in issues} <= SEVERITIES
    return issues


def test_a_changed_profile_never_fails() -> None:
    random = Random(SEED)  # noqa: S311  # chooses mutations
    checked = found = 0
    while checked < 150:
        which: Json = random.choice((PROFILE, EXTENSION))
        changed = mutated(which, random)
        if changed is not None:
            definitions = [changed, EXTENSION] if which is PROFILE else [PROFILE, changed]
            found += bool(check(definitions, RESOURCE))
            checked += 1
    assert found > 100


def test_a_changed_resource_never_fails() -> None:
    random = Random(SEED)  # noqa: S311  # chooses mutations
    checked = 0
    while checked < 150:
        changed = mutated(RESOURCE, random)
        if changed is not None:
            check([PROFILE, EXTENSION], changed)
            checked += 1


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_changed_examples_of_ips_never_fail(conformance_data: Path) -> None:
    folder = conformance_data / "fhir" / "ips"
    validator = ProfileValidator(
        LoadedResources(loads(path.read_bytes()) for path in folder.glob("StructureDefinition-*.json"))
    )
    random = Random(SEED)  # noqa: S311  # chooses mutations
    examples = [loads(path.read_bytes()) for path in sorted((folder / "example").glob("*.json"))]
    checked = 0
    while checked < 5_000:
        changed = mutated(random.choice(examples), random)
        if changed is not None:
            issues = validator.validate(changed, now=NOW)
            assert {issue.severity for issue in issues} <= SEVERITIES
            checked += 1
