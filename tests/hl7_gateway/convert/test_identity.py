"""What makes a resend make nothing twice, and two hospitals never meet by accident."""

from dataclasses import replace
from uuid import uuid5
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.convert.engine import Conversion
from hl7_gateway.convert.naming import FULL_URLS, name_uuid, search_value
from hl7_gateway.er7.reader import read_text
from hl7_gateway.sender import Sender, facility_id
from tests.hl7_gateway.convert.conftest import BASE, SENDER, Convert, entry, header, only, resources, segment

NATIONAL = "11010519491231002X"
OTHER = Sender("HIS", "ZZ2H", ZoneInfo("Asia/Shanghai"))


def conditions(conversion: Conversion) -> list[str]:
    """Return what each entry is found by."""
    requests = (e["request"] for e in conversion.bundle["entry"])
    return [r.get("ifNoneExist", r["url"]) for r in requests if not r["url"].startswith("Provenance/")]


@pytest.mark.parametrize(
    ("identifiers", "key"),
    [
        ("7^^^H^PI~1^^^H^MR", f"{BASE}/H%7C1"),
        ("9^^^H~7^^^H^PT", f"{BASE}/H%7C7"),
        (f"{NATIONAL}^^^^NI~E1^^^YB^HC~42^^^H", f"{BASE}/H%7C42"),
        ("1^^^&1.2.156.1&ISO^MR", "urn:oid:1.2.156.1%7C1"),
        ("1^^^&http://h.example/mrn&URI^MR", "http://h.example/mrn%7C1"),
        ("A|B,C$1 号^^^H^MR".replace("|", "\\F\\"), f"{BASE}/H%7CA%5C%7CB%5C%2CC%5C%241%20%E5%8F%B7"),
    ],
)
def test_a_patient_is_matched_by_one_identifier_of_the_sender(
    convert: Convert, identifiers: str, key: str
) -> None:
    patient = entry(convert(header(), segment("PID", f3=identifiers)), "Patient")
    assert patient["request"]["method"] == "PUT"
    assert patient["request"]["url"] == f"Patient?identifier={key}"


@pytest.mark.parametrize("identifiers", [f"{NATIONAL}^^^^NI", f"{NATIONAL}^^^^SFZ", "E88120041^^^YB^HC"])
def test_a_national_or_insurance_number_alone_never_joins_patients_of_two_senders(
    convert: Convert, identifiers: str
) -> None:
    pid = segment("PID", f3=identifiers)
    first, second = (entry(convert(header(), pid, sender=s), "Patient") for s in (SENDER, OTHER))
    assert first["request"]["url"] != second["request"]["url"]
    assert first["request"]["url"].startswith(f"Patient?identifier={BASE}/Patient%7C")
    assert identifiers.split("^", maxsplit=1)[0] not in first["request"]["url"]
    # The number itself is kept: linkage joins people by it.
    assert identifiers.split("^", maxsplit=1)[0] in {i["value"] for i in first["resource"]["identifier"]}


def test_facilities_of_one_name_and_two_universal_ids_do_not_meet(convert: Convert) -> None:
    pid = segment("PID", f3="77")
    urls = {
        entry(convert(header(), pid, sender=replace(SENDER, facility_id=oid)), "Patient")["request"]["url"]
        for oid in ("", "1.2.3", "1.2.4")
    }
    assert len(urls) == 3


@pytest.mark.parametrize(
    ("facility", "universal"),
    [("MAIN", ""), ("MAIN^1.2.3^ISO", "1.2.3"), ("^1.2.3^ISO", ""), ("", "")],
)
def test_the_universal_id_of_a_facility_stands_beside_its_name(facility: str, universal: str) -> None:
    message = read_text(f"MSH|^~\\&|HIS|{facility}|||20260305||ADT^A01|1|P|2.5\r")
    assert facility_id(message.sending_facility) == universal


def test_the_same_facts_in_a_later_message_are_found_by_the_same_conditions(convert: Convert) -> None:
    def stay(control_id: str, bed: str) -> Conversion:
        return convert(
            header(control_id=control_id),
            segment("PID", f3="1^^^H^MR", f5="张^三", f18="A1"),
            segment("NK1", f1="1", f2="李^四", f3="SPO"),
            segment("PV1", f1="1", f2="I", f3=f"N05^{bed}^1^H", f7="D1^王^五", f19="V1^^^H^VN", f20="01"),
            segment("AL1", f1="1", f2="DA", f3="P1^青霉素^L"),
            segment("DG1", f1="1", f3="I20.0^心绞痛^ICD10"),
            segment("PR1", f1="1", f3="36.06^支架^ICD9", f5="20260305"),
            segment("IN1", f1="1", f2="310", f3="YB", f4="医保局"),
        )

    first, again, moved = (conditions(stay(*given)) for given in (("1", "01"), ("2", "01"), ("3", "02")))
    assert first == again
    # Only the room and the bed below it are others.
    assert len(set(first) ^ set(moved)) == 4


def test_two_senders_never_share_a_condition(convert: Convert) -> None:
    segments = (
        header(),
        segment("PID", f3="1^^^H^MR", f18="A1"),
        segment("PV1", f2="I", f3="N05^1^1^H", f7="D1^王^五", f19="V1"),
        segment("AL1", f1="1", f3="P1"),
        segment("DG1", f1="1", f3="I20"),
    )
    one, other = (set(conditions(convert(*segments, sender=sender))) for sender in (SENDER, OTHER))
    assert one.isdisjoint(other)


def test_two_segments_of_one_thing_make_one_entry(convert: Convert) -> None:
    conversion = convert(
        header(),
        segment("PID", f3="1^^^H^MR"),
        segment("PV1", f2="I", f7="D1^王^五", f17="D1^王^五", f19="V1"),
        segment("DG1", f1="1", f3="I20", f5="20260101"),
        segment("DG1", f1="2", f3="I20", f6="F"),
    )
    assert len(resources(conversion, "Practitioner")) == 1
    assert len(resources(conversion, "Condition")) == 1
    diagnoses = only(conversion, "Encounter")["diagnosis"]
    assert diagnoses[0]["condition"] == diagnoses[1]["condition"]


def test_what_contradicts_an_earlier_mention_is_reported(convert: Convert) -> None:
    conversion = convert(
        header(),
        segment("PID", f3="1^^^H^MR"),
        segment("PV1", f2="I", f7="D1^王^五", f17="D1^赵^六", f19="V1"),
    )
    names = {name["family"] for name in only(conversion, "Practitioner")["name"]}
    assert names == {"王", "赵"}


@given(st.text(), st.text())
def test_a_condition_holds_no_character_that_a_query_string_reserves(system: str, value: str) -> None:
    text = search_value((system, value)) if _encodable(system + value) else ""
    assert not set(text) & set(' &#+?|,$\\"<>\n\r\t')


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_full_url_is_the_name_based_uuid_of_rfc_4122(name: str) -> None:
    assert name_uuid(FULL_URLS, name) == str(uuid5(FULL_URLS, name))
