"""ORC, OBR, SPM, TQ1, RXO: orders, reports and specimens, and how messages about one thing find it."""

import pytest

from hl7_gateway.convert.engine import Conversion
from tests.hl7_gateway.convert.conftest import (
    BASE,
    Convert,
    assert_sound,
    entry,
    header,
    only,
    references,
    resources,
    segment,
)

PID = segment("PID", f3="1^^^H^MR")


def order_message(convert: Convert, *segments: str) -> Conversion:
    return convert(header("OML^O21^OML_O21"), PID, *segments)


def result_message(convert: Convert, *segments: str) -> Conversion:
    return convert(header("ORU^R01^ORU_R01"), PID, *segments)


@pytest.mark.parametrize(
    ("control", "status", "expected"),
    [
        ("NW", "", "active"),
        ("DC", "", "revoked"),
        ("HD", "", "active"),
        ("XO", "", "unknown"),
        ("SC", "CM", "completed"),
        ("SC", "HD", "on-hold"),
        ("NW", "CA", "revoked"),
    ],
)
def test_the_order_status_goes_before_the_order_control(
    convert: Convert, control: str, status: str, expected: str
) -> None:
    conversion = order_message(
        convert, segment("ORC", f1=control, f2="P1", f5=status), segment("OBR", f4="X^项目")
    )
    assert only(conversion, "ServiceRequest")["status"] == expected


def test_an_order_status_that_fhir_lacks_stays_beside_the_status(convert: Convert) -> None:
    order = only(order_message(convert, segment("ORC", f1="SC", f2="P1", f5="A")), "ServiceRequest")
    assert order["status"] == "unknown"
    assert order["_status"]["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "A"


def test_the_numbers_of_an_order_are_said_once_and_never_lost(convert: Convert) -> None:
    same = order_message(
        convert, segment("ORC", f1="NW", f2="P1^HIS", f3="F1"), segment("OBR", f2="P1^HIS", f3="F1", f4="X")
    )
    numbers = [(i["system"], i["value"]) for i in only(same, "ServiceRequest")["identifier"]]
    assert numbers[:2] == [(f"{BASE}/HIS", "P1"), (f"{BASE}/filler", "F1")]
    assert len(numbers) == 3
    other = order_message(convert, segment("ORC", f1="NW", f2="P1"), segment("OBR", f2="P2", f4="X"))
    values = {i["value"] for i in only(other, "ServiceRequest")["identifier"]}
    assert {"P1", "P2"} <= values


def test_an_order_and_its_result_meet_in_one_service_request(convert: Convert) -> None:
    orc, obr = segment("ORC", f1="NW", f2="P1"), segment("OBR", f2="P1", f4="XCG^血常规")
    order = entry(order_message(convert, orc, obr), "ServiceRequest")["request"]
    obr = segment("OBR", f2="P1", f3="F1", f4="XCG^血常规", f25="F")
    result = entry(result_message(convert, segment("ORC", f1="RE", f2="P1", f3="F1"), obr), "ServiceRequest")
    assert order["method"] == "PUT"
    # A result adds to the order that it answers: what it does not say stays as it was ordered.
    assert result["request"]["url"] == order["url"]
    assert "extension" in result["request"]
    assert "extension" not in order


def test_two_examinations_of_one_slip_are_two_orders_and_two_reports(convert: Convert) -> None:
    conversion = result_message(
        convert,
        segment("OBR", f1="1", f2="P1", f3="F1", f4="XCG^血常规", f25="F"),
        segment("OBX", f1="1", f2="NM", f3="WBC", f5="5", f11="F"),
        segment("OBR", f1="2", f2="P1", f3="F2", f4="NCG^尿常规", f25="P"),
        segment("OBX", f1="1", f2="NM", f3="PH", f5="6", f11="P"),
    )
    orders, reports = resources(conversion, "ServiceRequest"), resources(conversion, "DiagnosticReport")
    assert [order["status"] for order in orders] == ["completed", "unknown"]
    assert [each["status"] for each in reports] == ["final", "preliminary"]
    assert [len(each["result"]) for each in reports] == [1, 1]
    assert_sound(conversion.bundle)


def test_one_examination_run_twice_makes_two_reports_that_are_found_again(convert: Convert) -> None:
    def runs(control_id: str) -> Conversion:
        obr, obx = (
            segment("OBR", f2="P1", f4="G^血糖", f25="F"),
            segment("OBX", f2="NM", f3="G", f5="5", f11="F"),
        )
        return convert(header("ORU^R01^ORU_R01", control_id), PID, obr, obx, obr, obx)

    def urls(conversion: Conversion) -> list[str]:
        kinds = ("DiagnosticReport", "Observation")
        entries = conversion.bundle["entry"]
        return [e["request"]["url"] for e in entries if e["resource"]["resourceType"] in kinds]

    first, again = runs("1"), runs("2")
    assert [len(each["result"]) for each in resources(first, "DiagnosticReport")] == [1, 1]
    assert len(set(urls(first))) == 4
    assert urls(first) == urls(again)


@pytest.mark.parametrize(
    ("code", "status", "is_kept"),
    [
        ("F", "final", False),
        ("R", "partial", False),
        ("X", "cancelled", False),
        ("A", "unknown", True),
        ("", "unknown", False),
    ],
)
def test_the_result_status_of_a_report(convert: Convert, code: str, status: str, *, is_kept: bool) -> None:
    report = only(result_message(convert, segment("OBR", f3="F1", f4="X", f25=code)), "DiagnosticReport")
    assert report["status"] == status
    assert ("_status" in report) is is_kept


def test_the_ordering_provider_asks_alone_or_for_a_facility(convert: Convert) -> None:
    alone = order_message(convert, segment("ORC", f1="NW", f2="P1", f12="D1^王^五"))
    assert only(alone, "ServiceRequest")["requester"]["display"] == "王五"
    assert resources(alone, "PractitionerRole") == []
    facility = order_message(
        convert, segment("ORC", f1="NW", f2="P1", f12="D1^王^五", f21="测试医院^^^^^^^^^4101", f22="路1号")
    )
    role = only(facility, "PractitionerRole")
    assert role["practitioner"]["display"] == "王五"
    assert role["organization"]["display"] == "测试医院"
    hospital = next(o for o in resources(facility, "Organization") if o.get("name") == "测试医院")
    assert hospital["address"] == [{"line": ["路1号"], "text": "路1号"}]
    assert_sound(facility.bundle)


def test_the_provider_of_the_obr_asks_when_the_orc_names_none(convert: Convert) -> None:
    conversion = order_message(
        convert,
        segment("ORC", f1="NW", f2="P1", f21="测试医院^^^^^^^^^4101"),
        segment("OBR", f4="X", f16="D1^王^五"),
    )
    assert only(conversion, "PractitionerRole")["practitioner"]["display"] == "王五"
    both = order_message(
        convert, segment("ORC", f1="NW", f2="P1", f12="D1^王^五"), segment("OBR", f4="X", f16="D2^赵^六")
    )
    assert only(both, "ServiceRequest")["requester"]["display"] == "王五"
    assert [part.location for part in both.report.unmapped] == ["OBR-16"]


def test_who_handled_an_order_is_its_provenance(convert: Convert) -> None:
    conversion = order_message(
        convert, segment("ORC", f1="NW", f2="P1", f9="20260305074000", f10="E1^录^入", f11="V1^核^对")
    )
    provenance = resources(conversion, "Provenance")[-1]
    assert provenance["recorded"] == "2026-03-05T07:40:00+08:00"
    assert [agent["type"]["coding"][0]["code"] for agent in provenance["agent"]] == ["enterer", "verifier"]
    order = entry(conversion, "ServiceRequest")["fullUrl"]
    assert provenance["target"] == [{"reference": order}]
    assert provenance["activity"]["coding"][0]["code"] == "CREATE"


def test_timing_of_tq1(convert: Convert) -> None:
    order = only(
        order_message(
            convert,
            segment("ORC", f1="NW", f2="P1"),
            segment("TQ1", f1="1", f2="2^支", f3="BID", f6="7^d", f9="S", f11="饭后", f13="30^min", f14="14"),
            segment("OBR", f4="X", f6="20260306"),
        ),
        "ServiceRequest",
    )
    assert order["quantityQuantity"] == {"value": 2, "unit": "支"}
    repeat = order["occurrenceTiming"]["repeat"]
    assert repeat["boundsDuration"] == {"value": 7, "unit": "d"}
    assert (repeat["duration"], repeat["durationUnit"], repeat["count"]) == (30, "min", 14)
    assert order["priority"] == "stat"
    assert order["note"] == [{"text": "饭后"}]
    # One form of occurrence[x].
    assert "occurrenceDateTime" not in order


def test_quantity_and_timing_of_older_versions(convert: Convert) -> None:
    order = only(
        order_message(
            convert, segment("ORC", f1="NW", f2="P1"), segment("OBR", f4="X", f5="R", f27="1^^D3^^^S")
        ),
        "ServiceRequest",
    )
    assert order["priority"] == "stat"
    assert order["occurrenceTiming"]["repeat"]["boundsDuration"]["value"] == 3


def test_a_specimen_of_spm_is_the_specimen_of_order_and_report(convert: Convert) -> None:
    spm = segment(
        "SPM",
        f1="1",
        f2="S1&HIS^S1F&LIS",
        f4="BLD^^HL70487",
        f6="EDTA^^HL70371~HEP^^HL70371",
        f17="20260305080000",
        f20="N",
        f27="1^管^L",
    )
    order = order_message(convert, segment("ORC", f1="NW", f2="P1"), segment("OBR", f4="X"), spm)
    specimen = only(order, "Specimen")
    assert [i["value"] for i in specimen["identifier"]][:2] == ["S1", "S1F"]
    assert specimen["status"] == "unavailable"
    assert [c["additiveCodeableConcept"]["coding"][0]["code"] for c in specimen["container"]] == [
        "EDTA",
        "HEP",
    ]
    assert list(references(only(order, "ServiceRequest")["specimen"])) == [
        entry(order, "Specimen")["fullUrl"]
    ]
    report = result_message(convert, segment("OBR", f3="F1", f4="X", f25="F"), spm)
    assert list(references(only(report, "DiagnosticReport")["specimen"])) == [
        entry(report, "Specimen")["fullUrl"]
    ]
    assert entry(order, "Specimen")["request"]["url"] == entry(report, "Specimen")["request"]["url"]


def test_a_specimen_of_older_versions_is_in_the_obr(convert: Convert) -> None:
    specimen = only(
        result_message(
            convert,
            segment(
                "OBR",
                f3="F1",
                f4="X",
                f7="20260305080000",
                f10="C1^采^样",
                f14="20260305083000",
                f15="BLD&全血^^晨血^LA",
                f25="F",
            ),
        ),
        "Specimen",
    )
    assert specimen["type"]["coding"][0]["code"] == "BLD"
    assert specimen["note"] == [{"text": "晨血"}]
    assert specimen["collection"]["collector"]["display"] == "采样"
    assert specimen["receivedTime"] == "2026-03-05T08:30:00+08:00"


def test_a_follow_up_is_a_member_of_the_result_that_it_follows(convert: Convert) -> None:
    conversion = result_message(
        convert,
        segment("OBR", f1="1", f2="P1", f3="F1", f4="600-7^Culture^LN", f25="F"),
        segment("OBX", f1="1", f2="CWE", f3="600-7^Culture^LN", f4="1", f5="A^菌", f11="F"),
        segment("OBX", f1="2", f2="CWE", f3="600-7^Culture^LN", f4="2", f5="B^菌", f11="F"),
        segment(
            "OBR",
            f1="2",
            f2="P1",
            f3="F2",
            f4="18769-0^Sus^LN",
            f25="F",
            f26="600-7&Culture&LN^2^B菌",
            f29="P1^F1",
        ),
        segment("OBX", f1="1", f2="SN", f3="29-9^Oxacillin^LN", f5=">=^4", f11="F"),
    )
    first, second, child = resources(conversion, "Observation")
    assert "hasMember" not in first
    urls = [e["fullUrl"] for e in conversion.bundle["entry"] if e["resource"] is child]
    assert list(references(second["hasMember"])) == urls
    assert {part.location for part in conversion.report.unmapped} == {"OBR-26.1.2", "OBR-26.1.3", "OBR-26.3"}


def test_a_parent_order_that_is_elsewhere_is_named_by_its_number(convert: Convert) -> None:
    order = only(
        order_message(
            convert, segment("ORC", f1="NW", f2="P2"), segment("OBR", f4="X", f11="G", f29="P1&HIS^F1&LIS")
        ),
        "ServiceRequest",
    )
    assert order["intent"] == "reflex-order"
    named = [(each["identifier"]["system"], each["identifier"]["value"]) for each in order["basedOn"]]
    assert named == [(f"{BASE}/HIS", "P1"), (f"{BASE}/LIS", "F1")]


def test_a_medication_order_has_dose_and_route(convert: Convert) -> None:
    conversion = convert(
        header("ORM^O01^ORM_O01"),
        PID,
        segment("ORC", f1="NW", f2="P1"),
        segment("RXO", f1="AMX^阿莫西林^99HIS", f2="0.5", f3="1.0", f4="g^克^UCUM", f11="24", f12="粒"),
        segment("RXR", f1="PO^口服"),
    )
    request = only(conversion, "MedicationRequest")
    dosage = request["dosageInstruction"][0]
    assert [str(dosage["doseAndRate"][0]["doseRange"][end]["value"]) for end in ("low", "high")] == [
        "0.5",
        "1.0",
    ]
    assert dosage["route"]["coding"][0]["code"] == "PO"
    assert (request["status"], request["intent"]) == ("active", "original-order")
    assert list(references(request["basedOn"])) == [entry(conversion, "ServiceRequest")["fullUrl"]]
    assert_sound(conversion.bundle)


def test_the_instructions_of_a_medication_order_are_with_it(convert: Convert) -> None:
    conversion = convert(
        header("ORM^O01^ORM_O01"),
        PID,
        segment("ORC", f1="NW", f2="P1"),
        segment("RXO", f1="AMX^阿莫西林^99HIS", f6="^整盒发药", f7="PC^饭后服^99HIS~^多饮水"),
    )
    request = only(conversion, "MedicationRequest")
    assert request["note"] == [{"text": "整盒发药"}]
    first, second = request["dosageInstruction"][0]["additionalInstruction"]
    assert first["coding"][0]["display"] == "饭后服"
    assert second["text"] == "多饮水"
    assert not [line for line in conversion.report.unmapped if line.location.startswith("RXO")]
    assert_sound(conversion.bundle)


def test_a_report_without_patient_is_a_report(convert: Convert) -> None:
    conversion = convert(
        header("ORU^R01^ORU_R01"),
        segment("OBR", f3="F1", f4="X", f25="F"),
        segment("OBX", f2="NM", f3="Y", f5="1", f11="F"),
    )
    assert only(conversion, "DiagnosticReport")["status"] == "final"
    assert "subject" not in only(conversion, "Observation")
    assert resources(conversion, "ServiceRequest") == []
    assert_sound(conversion.bundle)


def test_a_patient_without_identifier_is_known_by_one_message(convert: Convert) -> None:
    def urls(control_id: str) -> str:
        pid = segment("PID", f5="张^三")
        conversion = convert(
            header("ORU^R01^ORU_R01", control_id), pid, segment("OBR", f3="F", f4="X", f25="F")
        )
        return str(entry(conversion, "Patient")["request"]["ifNoneExist"])

    assert urls("1") == urls("1")
    assert urls("1") != urls("2")


def test_two_patients_in_one_message_keep_their_results_apart(convert: Convert) -> None:
    conversion = convert(
        header("ORU^R01^ORU_R01"),
        segment("PID", f1="1", f3="1^^^H^MR"),
        segment("OBR", f1="1", f3="F1", f4="X", f25="F"),
        segment("OBX", f2="NM", f3="Y", f5="1", f11="F"),
        segment("PID", f1="2", f3="2^^^H^MR"),
        segment("OBR", f1="1", f3="F2", f4="X", f25="F"),
        segment("OBX", f2="NM", f3="Y", f5="2", f11="F"),
    )
    patients = [
        e["fullUrl"] for e in conversion.bundle["entry"] if e["resource"]["resourceType"] == "Patient"
    ]
    subjects = [each["subject"]["reference"] for each in resources(conversion, "Observation")]
    assert subjects == patients
