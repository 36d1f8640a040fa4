"""What an ADT message leaves as it is, takes back, and does not assert (HL7 v2.5.1 section 2.5.3).

The store's side is tests/fhir_server; here is what the Bundle asks of it.
"""

import pytest

from hie.core.fhir.json import JsonObject
from hie.core.ports import MERGE_EXTENSION
from hl7_gateway.convert.engine import Conversion
from tests.hl7_gateway.convert.conftest import Convert, entry, header, segment

PID = segment("PID", f3="1^^^H^MR")
VISIT = segment("PV1", f2="I", f19="V1")


def asked(conversion: Conversion, kind: str) -> dict[str, list[str]] | None:
    """Return the element paths `cleared` and `weak`, None where the update replaces."""
    request: JsonObject = entry(conversion, kind)["request"]
    if "extension" not in request:
        return None
    (extension,) = request["extension"]
    assert extension["url"] == MERGE_EXTENSION
    assert ("extension" in extension) != (extension.get("valueBoolean") is True)
    paths: dict[str, list[str]] = {}
    for part in extension.get("extension", ()):
        paths.setdefault(part["url"], []).append(part["valueString"])
    return paths


@pytest.mark.parametrize(
    "kind", ["Patient", "Encounter", "AllergyIntolerance", "Condition", "Procedure", "Coverage"]
)
def test_what_an_adt_message_tells_piecemeal_is_merged(convert: Convert, kind: str) -> None:
    segments = ("AL1|1||P1", "DG1|1||I20", "PR1|1||36.06", "IN1|1|310")
    assert asked(convert(header(), PID, VISIT, *segments), kind) is not None


def test_a_result_is_complete_and_replaces(convert: Convert) -> None:
    conversion = convert(header("ORU^R01"), PID, "OBR|1|P1|F1|CBC", "OBX|1|NM|WBC||5|||||F")
    assert asked(conversion, "Observation") is None
    assert asked(conversion, "DiagnosticReport") is None


def test_an_explicit_null_clears_the_elements_that_its_field_says(convert: Convert) -> None:
    null = '""'
    pid = segment("PID", f3="1^^^H^MR", f7=null, f8=null, f11=null, f16=null, f29=null)
    visit = segment("PV1", f2="I", f10=null, f19="V1", f36=null, f45=null)
    conversion = convert(header("ADT^A08"), pid, visit)
    assert asked(conversion, "Patient") == {
        "cleared": [
            "birthDate",
            "_birthDate.extension",
            "gender",
            "address",
            "maritalStatus",
            "deceasedDateTime",
        ]
    }
    assert asked(conversion, "Encounter") == {
        "cleared": ["serviceType", "hospitalization.dischargeDisposition", "period.end"],
        "weak": ["status"],
    }


@pytest.mark.parametrize(
    ("event", "discharged", "weak"),
    [
        *((event, "", None) for event in ("A01", "A03", "A04", "A05", "A11", "A13")),
        *((event, "", ["status"]) for event in ("A02", "A06", "A07", "A08", "A12", "A31")),
        ("A08", "20260312", None),
    ],
)
def test_the_status_outlives_an_event_that_does_not_assert_one(
    convert: Convert, event: str, discharged: str, weak: list[str] | None
) -> None:
    visit = segment("PV1", f2="I", f19="V1", f45=discharged)
    paths = asked(convert(header(f"ADT^{event}"), PID, visit), "Encounter")
    assert paths is not None
    assert paths.get("weak") == weak


def test_a_class_that_is_not_said_is_not_asserted(convert: Convert) -> None:
    paths = asked(convert(header(), PID, segment("PV1", f19="V1")), "Encounter")
    assert paths == {"weak": ["class"]}


def test_a_cancelled_discharge_takes_back_what_the_discharge_said(convert: Convert) -> None:
    paths = asked(convert(header("ADT^A13"), PID, VISIT), "Encounter")
    assert paths == {
        "cleared": [
            "period.end",
            "hospitalization.dischargeDisposition",
            "hospitalization.destination",
            "length",
        ]
    }


@pytest.mark.parametrize(
    ("result_status", "control", "status", "weak"),
    [
        ("F", "CM", "completed", None),
        ("F", "", "completed", None),
        ("C", "IP", "completed", None),
        ("F", "CA", "revoked", None),
        ("P", "", "unknown", ["status", "intent"]),
        ("P", "IP", "active", ["status", "intent"]),
    ],
)
def test_a_final_result_completes_its_order_and_another_asserts_no_status(
    convert: Convert, result_status: str, control: str, status: str, weak: list[str] | None
) -> None:
    orc = segment("ORC", f1="RE", f2="P1^HIS", f3="F1^LIS", f5=control)
    obr = segment("OBR", f1="1", f2="P1^HIS", f3="F1^LIS", f4="CBC^血常规^L", f25=result_status)
    conversion = convert(header("ORU^R01^ORU_R01"), PID, orc, obr)
    assert entry(conversion, "ServiceRequest")["resource"]["status"] == status
    paths = asked(conversion, "ServiceRequest")
    assert paths is not None
    assert paths.get("weak") == weak
