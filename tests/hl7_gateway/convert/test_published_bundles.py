"""Orders and results against the Bundles that CDC's ReportStream publishes for its one-rule messages.

Compared are the facts of Observation, DiagnosticReport, ServiceRequest and Specimen that both tell; not
compared are identifiers, systems of codes and extensions, which each names in its own way.
https://github.com/CDCgov/prime-reportstream (CC0-1.0)
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hl7_gateway.convert.engine import Engine
from hl7_gateway.er7.reader import read
from hl7_gateway.sender import Sender
from tests.hl7_gateway.convert.conftest import RECEIVED

# Their clock runs in UTC where a message names no offset.
SENDER = Sender("LAB", "CDC", ZoneInfo("UTC"))
TYPES = {"ORU^R01", "ORM^O01", "OML^O21"}
FACTS = {
    "Observation": (
        "status",
        "effectiveDateTime",
        "method",
        "bodySite",
        "code",
        "valueQuantity",
        "valueRange",
        "valueRatio",
        "valueString",
        "valueCodeableConcept",
        "valueDateTime",
        "valuePeriod",
        "valueTime",
    ),
    "DiagnosticReport": ("status", "code", "effectiveDateTime", "effectivePeriod", "issued"),
    "ServiceRequest": ("code", "priority", "reasonCode", "orderDetail", "locationCode", "occurrenceDateTime"),
    "Specimen": ("type", "receivedTime", "condition"),
}
# What is not FHIR on their side (an instant without time of day, an invalid time, a comparator that is none).

DIFFERING = {
    ("dtm-day-precision-to-instant", "issued"),
    ("orc_obr-to-servicerequest_diagnosticreport-orc-populated", "issued"),
    ("OBX-to-Observation-obx-33", "valueTime"),
    ("OBX-to-Observation-sn-as-ratio-value-division", "valueRatio"),
    ("OBX-to-Observation-sn-as-string-value", "valueString"),
}
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
IGNORED = frozenset({"extension", "id", "system", "reference", "identifier", "assigner"})


def pairs(conformance_data: Path) -> Iterator[tuple[Path, Path]]:
    folder = conformance_data / "hl7v2" / "CDC-prime-reportstream"
    for expected in sorted(folder.rglob("*.fhir")):
        message = expected.with_suffix(".hl7")
        if message.exists():
            yield message, expected


def fact(node: Json) -> Json:
    """Return what a node says without what each system names in its own way; instants in UTC."""
    if isinstance(node, dict):
        parts = {name: fact(part) for name, part in node.items() if name not in IGNORED and name[0] != "_"}
        return {name: part for name, part in parts.items() if part not in ({}, [], None)}
    if isinstance(node, list):
        return [part for part in map(fact, node) if part not in ({}, [], None)]
    if isinstance(node, str) and INSTANT.match(node):
        return datetime.fromisoformat(node).astimezone(UTC).isoformat()
    return node


def tells(ours: Json, theirs: Json) -> bool:
    """Whether `ours` says all that `theirs` says."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(tells(ours.get(name), part) for name, part in theirs.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return all(any(tells(one, other) for one in ours) for other in theirs)
    return bool(ours == theirs)


def of_type(bundle: JsonObject, kind: str) -> list[JsonObject]:
    """Return the resources of a type that tell a fact: theirs has an empty Specimen for every OBR."""
    found = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind]
    return [resource for resource in found if any(name in resource for name in FACTS[kind])]


def without_zone(raw: bytes) -> bytes:
    """Return the message without MSH-7's offset, which the published bundles do not take for its zone."""
    written = rb"(MSH(?:\|[^|\r\n]*){5}\|\d{8,14}(?:\.\d+)?)[+-]\d{4}"
    return re.sub(written, rb"\1", raw, count=1)


@pytest.mark.parametrize("kind", FACTS)
def test_published_bundles_tell_the_same_facts(engine: Engine, conformance_data: Path, kind: str) -> None:
    compared = 0
    for path, expected in pairs(conformance_data):
        message = read(without_zone(path.read_bytes()))
        if f"{message.code}^{message.event}" not in TYPES:
            continue
        bundle = loads(dumps(engine.convert(message, SENDER, received=RECEIVED).bundle))
        ours, theirs = of_type(bundle, kind), of_type(loads(expected.read_bytes()), kind)
        if len(ours) != len(theirs):
            continue
        for one, other in zip(ours, theirs, strict=True):
            for name in FACTS[kind]:
                if name in other and (path.stem, name) not in DIFFERING:
                    assert tells(fact(one.get(name)), fact(other[name])), (path.name, name, one.get(name))
                    compared += 1
    assert compared >= {"Observation": 80, "DiagnosticReport": 60, "ServiceRequest": 40, "Specimen": 5}[kind]
