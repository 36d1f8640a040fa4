"""Microseconds to validate a resource: structure and codes, fhir.resources' own parse, invariants, profiles.

Own resources of the kinds that the gateway writes, the mixed resources of Synthea's bundles and the
examples of the International Patient Summary with its profiles, where `CONFORMANCE_DATA` has them.
Each resource is validated by all in the same run.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

from fhir.resources.R4B import get_fhir_model_class

from fhir_server.validation.conformance import LoadedResources
from fhir_server.validation.profile.validator import ProfileValidator
from fhir_server.validation.structure import StructureValidator
from hie.core.fhir.json import Json, JsonObject, loads

ROUNDS = {"small": 200, "full": 2_000}
BUNDLES = {"small": 4, "full": 48}

_EXTENSION = {"url": "http://hie.example/StructureDefinition/card", "valueString": "社保卡"}
_CODE = {
    "coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hemoglobin"}],
    "text": "血红蛋白",
}
_META = {"lastUpdated": "2024-02-29T10:00:00.123+08:00", "versionId": "1", "source": "urn:hie:example:1"}

RESOURCES: tuple[JsonObject, ...] = (
    {
        "resourceType": "Patient",
        "id": "a1",
        "meta": _META,
        "extension": [_EXTENSION, _EXTENSION],
        "identifier": [
            {
                "use": "official",
                "type": {"coding": [{"system": "http://hie.example/type", "code": code}]},
                "system": f"http://hie.example/sid/{code}",
                "value": "12345",
                "assigner": {"display": "示例医院"},
            }
            for code in ("MR", "NI", "SS", "PPN")
        ],
        "active": True,
        "name": [
            {"use": "official", "text": "示例一", "family": "示", "given": ["例一"]},
            {"use": "usual", "text": "Shi Liyi", "family": "Shi", "given": ["Liyi"]},
        ],
        "telecom": [{"system": "phone", "value": "000", "use": "mobile"}],
        "gender": "female",
        "birthDate": "1980-02-29",
        "address": [{"use": "home", "line": ["示例路1号"], "city": "示例市", "country": "CN"}],
        "maritalStatus": _CODE,
        "contact": [
            {
                "relationship": [_CODE],
                "name": {"text": "示例二"},
                "telecom": [{"system": "phone", "value": "000"}],
            }
        ],
        "managingOrganization": {"reference": "Organization/a1", "display": "示例医院"},
    },
    {
        "resourceType": "Observation",
        "id": "a2",
        "meta": _META,
        "identifier": [{"system": "http://hie.example/sid/observation", "value": "1"}],
        "status": "final",
        "category": [_CODE],
        "code": _CODE,
        "subject": {"reference": "Patient/a1"},
        "encounter": {"reference": "Encounter/a3"},
        "effectiveDateTime": "2024-02-29T10:00:00+08:00",
        "issued": "2024-02-29T11:00:00.000+08:00",
        "valueQuantity": {
            "value": 13.5,
            "unit": "g/dL",
            "system": "http://unitsofmeasure.org",
            "code": "g/dL",
        },
        "interpretation": [_CODE],
        "referenceRange": [{"low": {"value": 12}, "high": {"value": 16.5}, "text": "12-16.5"}],
    },
    {
        "resourceType": "Encounter",
        "id": "a3",
        "meta": _META,
        "identifier": [{"system": "http://hie.example/sid/visit", "value": "1"}],
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "type": [_CODE],
        "subject": {"reference": "Patient/a1"},
        "participant": [{"type": [_CODE], "individual": {"reference": "Practitioner/a1"}}] * 3,
        "period": {"start": "2024-02-27T08:00:00+08:00", "end": "2024-02-29T10:00:00+08:00"},
        "hospitalization": {"dischargeDisposition": _CODE},
        "location": [{"location": {"reference": "Location/a1"}, "status": "completed"}],
        "serviceProvider": {"reference": "Organization/a1"},
    },
    {
        "resourceType": "DiagnosticReport",
        "id": "a4",
        "meta": _META,
        "identifier": [{"system": "http://hie.example/sid/report", "value": "1"}],
        "basedOn": [{"reference": "ServiceRequest/a1"}],
        "status": "final",
        "category": [_CODE],
        "code": _CODE,
        "subject": {"reference": "Patient/a1"},
        "effectiveDateTime": "2024-02-29T10:00:00+08:00",
        "issued": "2024-02-29T11:00:00.000+08:00",
        "performer": [{"reference": "Organization/a1"}],
        "result": [{"reference": f"Observation/a{number}"} for number in range(12)],
        "conclusion": "未见异常",
    },
)


def main(size: str) -> None:
    """Print microseconds a resource, median and 90th percentile, and start costs."""
    began = time.perf_counter()
    validator = StructureValidator()
    validator.prepare(resource["resourceType"] for resource in RESOURCES)
    print(f"compiling {len(RESOURCES)} types: {(time.perf_counter() - began) * 1e3:.0f} ms, classes imported")
    print(f"{'':28}{'structure':>22}{'fhir.resources':>22}{'invariants':>24}")
    for resource in RESOURCES:
        _report(resource["resourceType"], [resource] * ROUNDS[size], validator)
    synthea = _synthea(BUNDLES[size])
    if synthea:
        _report(f"Synthea, {len(synthea)} mixed", synthea, validator)
    else:
        print("Synthea: CONFORMANCE_DATA is not set")
    _report_profiles(ROUNDS[size] // 10)


def _report(name: str, resources: list[JsonObject], validator: StructureValidator) -> None:
    ours = _microseconds(validator.is_valid, resources)
    theirs = _microseconds(_parse, resources)
    invariants = _microseconds(_profiled(ProfileValidator(LoadedResources())), resources)
    times = f"({median(theirs) / median(ours):.0f} times)"
    print(f"{name:28}{_spread(ours):>22}{_spread(theirs):>22}{_spread(invariants):>24}  {times}")


def _report_profiles(rounds: int) -> None:
    """Print microseconds for each example of IPS as its profiles see it; those of R4 alone beside them."""
    folder = _conformance_data() / "ips"
    definitions = [loads(path.read_bytes()) for path in sorted(folder.glob("StructureDefinition-*.json"))]
    if not definitions:
        print("IPS: CONFORMANCE_DATA is not set")
        return
    began = time.perf_counter()
    profiled = ProfileValidator(LoadedResources(definitions))
    for definition in definitions:
        profiled.profile_of(definition["url"])
    print(f"compiling {len(definitions)} profiles of IPS: {(time.perf_counter() - began) * 1e3:.0f} ms")
    bare = ProfileValidator(LoadedResources())
    examples = [loads(path.read_bytes()) for path in sorted((folder / "example").glob("*.json"))]
    single = [each for each in examples if each["resourceType"] != "Bundle"] * rounds
    bundles = [each for each in examples if each["resourceType"] == "Bundle"] * max(rounds // 4, 1)
    print(f"{'':28}{'R4 alone':>22}{'with IPS profiles':>24}")
    for name, resources in (("IPS, single resources", single), ("IPS, Bundles", bundles)):
        without = _spread(_microseconds(_profiled(bare), resources))
        print(f"{name:28}{without:>22}{_spread(_microseconds(_profiled(profiled), resources)):>24}")


def _profiled(validator: ProfileValidator) -> Callable[[JsonObject], bool]:
    now = datetime.now(UTC)

    def check(resource: JsonObject) -> bool:
        # what IPS names is not in every example: only a crash or an error would be a surprise
        return all(issue.severity != "error" for issue in validator.validate(resource, now=now))

    return check


def _microseconds(check: Callable[[JsonObject], Json], resources: list[JsonObject]) -> list[float]:
    for resource in resources:  # the first meeting with a type compiles it
        if check(resource) is False:
            raise ValueError(f"{resource['resourceType']} {resource.get('id')} is not valid")
    taken = []
    for resource in resources:
        began = time.perf_counter_ns()
        check(resource)
        taken.append((time.perf_counter_ns() - began) / 1e3)
    return taken


def _parse(resource: JsonObject) -> None:
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def _spread(values: list[float]) -> str:
    return f"{median(values):.1f} (p90 {quantiles(values, n=10)[-1]:.1f})"


def _synthea(bundles: int) -> list[JsonObject]:
    folder = _conformance_data() / "synthea-r4"
    return [
        entry["resource"]
        for path in sorted(folder.glob("*.json"))[:bundles]
        for entry in loads(path.read_bytes())["entry"]
    ]


def _conformance_data() -> Path:
    return Path(os.environ.get("CONFORMANCE_DATA", "../shared/data")) / "fhir"
