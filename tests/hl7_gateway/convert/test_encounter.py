"""Encounter.status and class: what event, class and times of a visit say together."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from tests.hl7_gateway.convert.conftest import SENDER, Convert, header, only, resources, segment

PID = segment("PID", f3="1^^^H^MR")


@pytest.mark.parametrize(
    ("event", "patient_class", "discharged", "status"),
    [
        ("A01", "I", "", "in-progress"),
        ("A02", "I", "", "in-progress"),
        ("A03", "I", "", "finished"),
        ("A03", "I", "20260312", "finished"),
        ("A04", "O", "", "planned"),
        ("A04", "O", "20260312", "finished"),
        ("A05", "P", "", "planned"),
        ("A06", "I", "", "in-progress"),
        ("A07", "O", "", "in-progress"),
        ("A08", "I", "", "in-progress"),
        ("A08", "P", "", "planned"),
        ("A08", "U", "", "unknown"),
        ("A08", "I", "20260312", "finished"),
        ("A11", "I", "20260312", "cancelled"),
        ("A12", "I", "", "in-progress"),
        ("A13", "I", "20260312", "in-progress"),
        ("A08", "XX", "", "unknown"),
    ],
)
def test_the_status_of_an_encounter_follows_event_class_and_discharge(
    convert: Convert, event: str, patient_class: str, discharged: str, status: str
) -> None:
    visit = segment("PV1", f2=patient_class, f19="V1^^^H^VN", f45=discharged)
    assert only(convert(header(f"ADT^{event}"), PID, visit), "Encounter")["status"] == status


def test_an_encounter_without_class_says_that_it_is_unknown(convert: Convert) -> None:
    encounter = only(convert(header(), PID, segment("PV1", f19="V1^^^H^VN")), "Encounter")
    assert encounter["class"] == {
        "system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
        "code": "UNK",
        "display": "unknown",
    }


@pytest.mark.parametrize("event", ["A28", "A31"])
def test_a_visit_that_does_not_apply_makes_no_encounter(convert: Convert, event: str) -> None:
    conversion = convert(header(f"ADT^{event}"), PID, segment("PV1", f1="1", f2="N"))
    assert resources(conversion, "Encounter") == []
    assert {line.location for line in conversion.report.unmapped} == {"PV1-1", "PV1-2"}


def test_times_without_offset_are_of_the_senders_zone_and_keep_their_precision(convert: Convert) -> None:
    visit = segment("PV1", f2="I", f19="V1^^^H^VN", f44="202603050825", f45="20260312")
    assert only(convert(header("ADT^A03"), PID, visit), "Encounter")["period"] == {
        "start": "2026-03-05T08:25:00+08:00",
        "end": "2026-03-12",
    }


@pytest.mark.parametrize(
    ("version", "message_type"),
    [("2.3", "ADT^A01"), ("2.4", "ADT^A01^ADT_A01"), ("2.8.2", "ADT^A01^ADT_A01")],
)
def test_a_visit_says_the_same_in_every_version(convert: Convert, version: str, message_type: str) -> None:
    visit = segment("PV1", f2="I", f3="N05^0512^02^H", f7="D1^王^五", f19="V1", f44="20260305082500")
    encounter = only(convert(header(message_type, version=version), PID, visit), "Encounter")
    assert encounter["class"]["code"] == "IMP"
    assert encounter["participant"][0]["individual"]["display"] == "王五"
    assert encounter["period"] == {"start": "2026-03-05T08:25:00+08:00"}
    assert encounter["identifier"][0]["value"] == "V1"


@pytest.mark.parametrize(
    ("written", "start"),
    [
        ("20260305083015", "2026-03-05T08:25:00+08:00"),
        ("20260305083015+0800", "2026-03-05T08:25:00+08:00"),
        ("20260305083015-0500", "2026-03-05T08:25:00-05:00"),
        ("20260305083015.123+0000", "2026-03-05T08:25:00+00:00"),
        ("202603050830+0530", "2026-03-05T08:25:00+05:30"),
        ("20260305083015+9900", "2026-03-05T08:25:00+08:00"),
        ("20269905083015+0000", "2026-03-05T08:25:00+08:00"),
    ],
)
def test_the_offset_of_msh_7_is_the_default_of_the_whole_message(
    convert: Convert, written: str, start: str
) -> None:
    message = header().replace("20260305083015", written)
    visit = segment("PV1", f2="I", f19="V1", f44="20260305082500")
    assert only(convert(message, PID, visit), "Encounter")["period"]["start"] == start


def test_an_offset_that_the_senders_zone_had_leaves_its_summer_time(convert: Convert) -> None:
    berlin = replace(SENDER, zone=ZoneInfo("Europe/Berlin"))
    message = header().replace("20260305083015", "20260705083015+0200")
    visit = segment("PV1", f2="I", f19="V1", f44="20260105082500")
    encounter = only(convert(message, PID, visit, sender=berlin), "Encounter")
    assert encounter["period"]["start"] == "2026-01-05T08:25:00+01:00"


def test_the_sending_application_keeps_its_name_beside_its_universal_id(convert: Convert) -> None:
    message = header().replace("|HIS|", "|LAB^1.2.3^ISO|")
    (entity,) = only(convert(message, PID), "Provenance")["entity"]
    assert entity["agent"][0]["who"]["display"] == "LAB"
    assert entity["agent"][0]["who"]["identifier"]["value"] == "urn:oid:1.2.3"
