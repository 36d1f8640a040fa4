"""An explicit null deletes what its field had said and nothing else, or the report says that it does not.

HL7 v2.5.1 section 2.5.3. The Bundle's request is carried out here by the rules of this project's store.
"""

import pytest

from fhir_server.transaction.merge import merged, read_merge
from hie.core.fhir.json import JsonObject
from hie.core.ports import MERGE_EXTENSION
from hl7_gateway.convert.engine import Conversion
from hl7_gateway.convert.loading import load_segment_maps
from hl7_gateway.convert.nulls import NOT_CARRIED_OUT
from tests.hl7_gateway.convert.conftest import BASE, Convert, entry, header, segment

NULL = '""'
PERSON = {
    "f2": "OLD2",
    "f3": "1^^^H^MR",
    "f4": "OLD4",
    "f5": "测试^一",
    "f6": "赵",
    "f13": "037105000001~^NET^Internet^a@example.org",
    "f14": "037105000002",
    "f17": "CHR",
    "f19": "S1",
    "f20": "D1^HA",
    "f23": "郑州",
    "f26": "CHN",
    "f40": "15400000001^^CP",
}
STAY = {
    "f2": "I",
    "f3": "W1^1^1^H",
    "f6": "W0^1^1^H",
    "f7": "D1^王^五",
    "f8": "D2^李^四",
    "f9": "D3^赵^六",
    "f11": "T1^1^1^H",
    "f17": "D4^钱^七",
    "f19": "V1",
    "f42": "W2^1^1^H",
    "f43": "T0^1^1^H",
    "f50": "A1",
    "f52": "D5^孙^八",
}
DETAIL = {"f1": "W9^1^1^H", "f8": "20260309", "f12": "观察", "f38": "A"}
VISIT = segment("PV1", f2="I", f19="V1")
PID = segment("PID", f3="1^^^H^MR")


def stored_after(kind: str, *conversions: Conversion) -> JsonObject:
    """Return the resource as the store has it after the requests of these conversions."""
    stored: JsonObject = {}
    for conversion in conversions:
        item = entry(conversion, kind)
        merge = read_merge(item["request"], expression="Bundle.entry[0].request")
        assert merge is not None
        stored = merged(stored, item["resource"], merge)
    return stored


def reasons(conversion: Conversion) -> dict[str, str]:
    return {line.location: line.reason for line in conversion.report.unmapped if "null" in line.reason}


@pytest.mark.parametrize("field", sorted(set(PERSON) - {"f3", "f5", "f13"}))
def test_a_null_in_pid_deletes_what_its_field_said_and_nothing_else(convert: Convert, field: str) -> None:
    before = convert(header(), segment("PID", **PERSON))
    null = convert(header("ADT^A08"), segment("PID", **{"f3": "1^^^H^MR", field: NULL}))
    without = convert(header(), segment("PID", **{**PERSON, field: ""}))
    assert stored_after("Patient", before, null) == stored_after("Patient", without)
    assert stored_after("Patient", before) != stored_after("Patient", without)
    assert reasons(null)[f"PID-{field[1:]}"].startswith("explicit null: deletes Patient.")


def test_a_null_in_pid_13_deletes_the_home_numbers(convert: Convert) -> None:
    person = {**PERSON, "f13": "037105000001~037105000009"}
    null = convert(header("ADT^A08"), segment("PID", f3="1^^^H^MR", f13=NULL))
    patient = stored_after("Patient", convert(header(), segment("PID", **person)), null)
    assert [point["use"] for point in patient["telecom"]] == ["work", "mobile"]


@pytest.mark.parametrize("field", sorted(set(STAY) - {"f2", "f19"}))
def test_a_null_in_pv1_deletes_what_its_field_said_and_nothing_else(convert: Convert, field: str) -> None:
    before = convert(header("ADT^A02"), PID, segment("PV1", **STAY))
    null = convert(header("ADT^A08"), PID, segment("PV1", **{"f2": "I", "f19": "V1", field: NULL}))
    without = convert(header("ADT^A02"), PID, segment("PV1", **{**STAY, field: ""}))
    assert stored_after("Encounter", before, null) == stored_after("Encounter", without)
    assert stored_after("Encounter", before) != stored_after("Encounter", without)
    assert reasons(null)[f"PV1-{field[1:]}"].startswith("explicit null: deletes Encounter.")


@pytest.mark.parametrize("field", sorted(DETAIL))
def test_a_null_in_pv2_deletes_what_its_field_said_and_nothing_else(convert: Convert, field: str) -> None:
    stay = segment("PV1", **STAY)
    before = convert(header(), PID, stay, segment("PV2", **DETAIL))
    null = convert(header("ADT^A08"), PID, VISIT, segment("PV2", **{field: NULL}))
    without = convert(header(), PID, stay, segment("PV2", **{"f10": "", **DETAIL, field: ""}))
    assert stored_after("Encounter", before, null) == stored_after("Encounter", without)
    assert stored_after("Encounter", before) != stored_after("Encounter", without)


def test_a_null_and_a_new_value_leave_the_new_value(convert: Convert) -> None:
    before = convert(header(), PID, segment("PV1", **STAY))
    after = convert(header("ADT^A08"), PID, segment("PV1", f2="I", f7=NULL, f8="D9^周^九", f19="V1"))
    participants = stored_after("Encounter", before, after)["participant"]
    names = {p["type"][0]["coding"][0]["code"]: p["individual"]["display"] for p in participants}
    assert names == {"REF": "周九", "CON": "赵六", "ADM": "钱七", "PART": "孙八"}


def test_a_null_of_a_planned_stay_deletes_its_planned_place(convert: Convert) -> None:
    null = convert(header("ADT^A05"), PID, segment("PV1", f2="P", f3=NULL, f19="V1"))
    assert reasons(null) == {"PV1-3": "explicit null: deletes Encounter.location|planned|"}


def test_a_null_of_an_identifier_names_the_senders_namespace(convert: Convert) -> None:
    null = convert(header("ADT^A08"), segment("PID", f2=NULL, f3="1^^^H^MR", f19=NULL))
    assert reasons(null) == {
        "PID-2": f"explicit null: deletes Patient.identifier|{BASE}/PID-2|*",
        "PID-19": "explicit null: deletes Patient.identifier|*|SB",
    }


def test_a_null_that_cannot_be_carried_out_is_not_said_to_be(convert: Convert) -> None:
    pd1 = segment("PD1", f3=NULL, f4=NULL)
    null = convert(header("ADT^A08"), segment("PID", f3="1^^^H^MR", f9=NULL, f12=NULL), pd1)
    assert reasons(null) == dict.fromkeys(("PID-9", "PID-12", "PD1-3", "PD1-4"), NOT_CARRIED_OUT)
    assert entry(null, "Patient")["request"]["extension"][0]["valueBoolean"] is True


def test_a_null_in_a_result_leaves_the_patient_that_it_only_mentions(convert: Convert) -> None:
    pid = segment("PID", f3="1^^^H^MR", f7=NULL)
    null = convert(header("ORU^R01"), pid, "OBR|1|P1|F1|CBC", "OBX|1|NM|WBC||5|||||F")
    assert reasons(null) == {"PID-7": NOT_CARRIED_OUT}


def test_a_null_in_a_list_that_the_message_gives_anew_is_said_to_be_replaced(convert: Convert) -> None:
    before = convert(header(), segment("PID", f3="1^^^H^MR", f5="测试^一", f9="曾用^名"))
    null = convert(header("ADT^A08"), segment("PID", f3="1^^^H^MR", f5="测试^一", f9=NULL))
    assert reasons(null) == {"PID-9": "explicit null: what the message gives replaces it in Patient"}
    assert len(stored_after("Patient", before, null)["name"]) == 1


def test_a_null_in_nk1_leaves_the_contact_without_what_it_said(convert: Convert) -> None:
    contact = {"f1": "1", "f2": "测试^二", "f3": "E", "f5": "037105000003", "f6": "037105000004"}
    before = convert(header(), PID, segment("NK1", **contact))
    null = convert(header("ADT^A08"), PID, segment("NK1", **{**contact, "f5": NULL}))
    (found,) = stored_after("Patient", before, null)["contact"]
    assert [point["use"] for point in found["telecom"]] == ["work"]
    assert reasons(null) == {"NK1-5": "explicit null: what the message gives replaces it in Patient"}
    unnamed = convert(header("ADT^A08"), PID, segment("NK1", f1="1", f2=NULL))
    assert reasons(unnamed) == {"NK1-2": NOT_CARRIED_OUT}


def test_a_null_in_nk1_deletes_the_telecoms_of_the_related_person(convert: Convert) -> None:
    person = {"f1": "1", "f2": "测试^二", "f3": "SPO", "f5": "037105000003", "f6": "037105000004"}
    before = convert(header(), PID, segment("NK1", **person))
    null = convert(header("ADT^A08"), PID, segment("NK1", **{**person, "f5": NULL, "f6": ""}))
    (point,) = stored_after("RelatedPerson", before, null)["telecom"]
    assert point["value"] == "037105000004"
    assert "deletes RelatedPerson.telecom|*|," in reasons(null)["NK1-5"]


def test_what_a_rule_clears_is_in_the_syntax_of_the_store() -> None:
    paths = {path for source in load_segment_maps().values() for rule in source.rules for path in rule.clears}
    assert paths
    extensions = [{"url": "cleared", "valueString": path} for path in sorted(paths)]
    merge = read_merge({"extension": [{"url": MERGE_EXTENSION, "extension": extensions}]}, expression="")
    assert merge is not None
    assert set(merge.cleared) == paths


def test_a_cancelled_transfer_takes_back_the_place_before_it(convert: Convert) -> None:
    def at(event: str, place: str, before: str = "") -> Conversion:
        return convert(header(f"ADT^{event}"), PID, segment("PV1", f2="I", f3=place, f6=before, f19="V1"))

    first, second = "W1^1^1^H", "W2^1^1^H"
    encounter = stored_after("Encounter", at("A01", first), at("A02", second, first), at("A12", first))
    assert encounter["location"] == stored_after("Encounter", at("A01", first))["location"]
