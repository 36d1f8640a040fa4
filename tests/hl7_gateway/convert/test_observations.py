"""OBX: every value type of OBX-2, units, ranges, flags and states."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.engine import Conversion, Engine
from hl7_gateway.er7.reader import read
from terminology.translation import ConceptMaps
from tests.hl7_gateway.convert.conftest import (
    BASE,
    RECEIVED,
    SENDER,
    Convert,
    assert_sound,
    header,
    only,
    references,
    resources,
    segment,
)

PID = segment("PID", f3="1^^^H^MR")
OBR = segment("OBR", f2="P1", f3="F1", f4="XCG^血常规", f7="20260305080000", f25="F")
UCUM = "http://unitsofmeasure.org"
ENGINE = Engine(ConceptMaps())


def report(convert: Convert, *segments: str) -> Conversion:
    return convert(header("ORU^R01^ORU_R01"), PID, OBR, *segments)


def observation(convert: Convert, **fields: str) -> JsonObject:
    return only(report(convert, segment("OBX", **{"f3": "X^项目", "f11": "F", **fields})), "Observation")


def value(resource: JsonObject) -> tuple[str, object]:
    names = [name for name in resource if name.startswith("value")]
    assert len(names) == 1
    return names[0], resource[names[0]]


@pytest.mark.parametrize(
    ("kind", "text", "units", "expected"),
    [
        ("NM", "7.40", "", ("valueQuantity", {"value": Decimal("7.40")})),
        (
            "NM",
            "7.40",
            "mmol/L^毫摩尔每升^UCUM",
            (
                "valueQuantity",
                {"value": Decimal("7.40"), "unit": "毫摩尔每升", "system": UCUM, "code": "mmol/L"},
            ),
        ),
        (
            "NM",
            "<0.50",
            "mg/L",
            ("valueQuantity", {"value": Decimal("0.50"), "comparator": "<", "unit": "mg/L"}),
        ),
        ("NM", "≥ 1000", "", ("valueQuantity", {"value": Decimal(1000), "comparator": ">="})),
        ("NM", "凝集", "10*9/L", ("valueString", "凝集")),
        ("ST", "A型", "", ("valueString", "A型")),
        ("ST", "135", "", ("valueString", "135")),
        ("ST", "135", "g/L", ("valueQuantity", {"value": Decimal(135), "unit": "g/L"})),
        ("ST", "阴性 & 弱阳", "", ("valueString", "阴性 & 弱阳")),
        ("TX", "  缩进\\.br\\第二行", "", ("valueString", "  缩进\n第二行")),
        ("TX", "第一行~第二行", "", ("valueString", "第一行\n第二行")),
        ("", "无类型", "", ("valueString", "无类型")),
        (
            "SN",
            ">^100",
            "U/mL",
            ("valueQuantity", {"value": Decimal(100), "comparator": ">", "unit": "U/mL"}),
        ),
        ("SN", "<>^5", "", ("valueString", "<> 5")),
        ("SN", "^2^+", "", ("valueString", "2 +")),
        ("SN", "x^y", "g", ("valueString", "x y g")),
        ("SN", '"^1^/^3', "", ("valueString", '" 1 / 3')),
        ("DT", "20260212", "", ("valueDateTime", "2026-02-12")),
        ("TS", "202602121030", "", ("valueDateTime", "2026-02-12T10:30:00+08:00")),
        ("DTM", "sometime", "", ("valueString", "sometime")),
        ("TM", "1030", "", ("valueTime", "10:30:00")),
        ("TM", "1030+0800", "", ("valueString", "1030+0800")),
        ("DR", "20260101^20260102", "", ("valuePeriod", {"start": "2026-01-01", "end": "2026-01-02"})),
        ("DR", "20260102^20260101", "", ("valueString", "20260102^20260101")),
        ("NR", "3^5", "", ("valueRange", {"low": {"value": Decimal(3)}, "high": {"value": Decimal(5)}})),
        ("VR", "First^Second", "", ("valueString", "First-Second")),
        ("NA", "1^2^3", "", ("valueString", "1 2 3")),
        ("CQ", "5^mL", "", ("valueQuantity", {"value": Decimal(5), "unit": "mL"})),
        ("CX", "123^^^H", "", ("valueString", "123^^^H")),
        ("XPN", "张^三", "", ("valueString", "张^三")),
        (
            "IS",
            "P",
            "",
            ("valueCodeableConcept", {"coding": [{"system": f"{BASE}/CodeSystem/L", "code": "P"}]}),
        ),
        (
            "CE",
            "10828004^Positive^SCT",
            "",
            (
                "valueCodeableConcept",
                {"coding": [{"system": "http://snomed.info/sct", "code": "10828004", "display": "Positive"}]},
            ),
        ),
    ],
)
def test_the_value_has_the_type_that_obx_2_names(
    convert: Convert, kind: str, text: str, units: str, expected: tuple[str, object]
) -> None:
    assert value(observation(convert, f2=kind, f5=text, f6=units)) == expected


def test_a_titer_is_a_ratio_and_a_span_a_range_with_units_in_both_ends(convert: Convert) -> None:
    titer = observation(convert, f2="SN", f5="^1^:^128")["valueRatio"]
    assert (titer["numerator"], titer["denominator"]) == ({"value": 1}, {"value": 128})
    span = observation(convert, f2="SN", f5="^3^-^5", f6="cm")["valueRange"]
    assert span["low"] == {"value": 3, "unit": "cm"}
    assert span["high"] == {"value": 5, "unit": "cm"}


@pytest.mark.parametrize(
    ("kind", "text", "attachment"),
    [
        (
            "ED",
            "LIS^application^pdf^Base64^JVBERi0xLjQ=",
            {"contentType": "application/pdf", "data": "JVBERi0xLjQ="},
        ),
        (
            "RP",
            "http://pacs.example/1^PACS^image^DICOM",
            {"contentType": "application/dicom", "url": "http://pacs.example/1"},
        ),
    ],
)
def test_data_and_pointers_are_attachments(
    convert: Convert, kind: str, text: str, attachment: dict[str, str]
) -> None:
    extension = observation(convert, f2=kind, f5=text)["extension"]
    assert [part["valueAttachment"] for part in extension] == [attachment]


def test_data_that_does_not_decode_is_kept_as_text(convert: Convert) -> None:
    assert observation(convert, f2="ED", f5="^AP^PDF^Base64^***")["valueString"] == "^AP^PDF^Base64^***"


def test_repeated_values_are_components_of_one_code(convert: Convert) -> None:
    resource = observation(convert, f2="NM", f5="1~<2", f6="g", f7="0-5")
    code = resource["code"]
    assert [part["code"] for part in resource["component"]] == [code, code]
    assert resource["component"][1]["valueQuantity"] == {"value": 2, "comparator": "<", "unit": "g"}
    assert all(part["referenceRange"][0]["text"] == "0-5" for part in resource["component"])
    assert "referenceRange" not in resource


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("3.5-5.5", "3.5", "5.5"),
        ("3.5 - 5.5", "3.5", "5.5"),
        ("3.5--5.5", "3.5", "5.5"),
        ("3.5～5.5", "3.5", "5.5"),
        ("3.5至5.5", "3.5", "5.5"),
        ("-2.0-2.0", "-2.0", "2.0"),
        ("-5--2", None, None),
        ("<10", None, "10"),
        ("≤10", None, "10"),
        (">=60", "60", None),
        ("5.5-3.5", None, None),
        ("阴性", None, None),
        ("男: 3.5-5.5", None, None),
        ("1-2-3", None, None),
    ],
)
def test_a_reference_range_keeps_its_text_and_gives_bounds_it_is_sure_of(
    convert: Convert, text: str, low: str | None, high: str | None
) -> None:
    entry = observation(convert, f2="NM", f5="4", f6="mmol/L", f7=text)["referenceRange"][0]
    assert entry["text"] == text
    for name, bound in (("low", low), ("high", high)):
        assert entry.get(name) == (None if bound is None else {"value": Decimal(bound), "unit": "mmol/L"})


def test_flags_of_the_table_are_translated_and_those_of_the_sender_stay(convert: Convert) -> None:
    flags = observation(convert, f2="NM", f5="9", f8="H~??")["interpretation"]
    assert flags[0]["coding"][0]["code"] == "H"
    assert flags[1] == {"coding": [{"system": f"{BASE}/CodeSystem/L", "code": "??"}]}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("F", "final"),
        ("P", "preliminary"),
        ("C", "corrected"),
        ("D", "entered-in-error"),
        ("W", "entered-in-error"),
    ],
)
def test_the_result_status_is_the_status(convert: Convert, code: str, status: str) -> None:
    resource = observation(convert, f2="NM", f5="1", f11=code)
    assert resource["status"] == status
    assert "_status" not in resource


@pytest.mark.parametrize(("code", "status"), [("X", "cancelled"), ("V", "unknown"), ("Q", "unknown")])
def test_a_result_status_that_fhir_lacks_stays_beside_the_status(
    convert: Convert, code: str, status: str
) -> None:
    resource = observation(convert, f2="NM", f11=code)
    assert resource["status"] == status
    concept = resource["_status"]["extension"][0]["valueCodeableConcept"]
    assert concept["coding"][0]["code"] == code


def test_a_result_not_asked_for_says_why_it_is_absent(convert: Convert) -> None:
    absent = observation(convert, f2="NM", f11="N")["dataAbsentReason"]
    assert absent["coding"][0]["code"] == "not-asked"
    with_value = observation(convert, f2="NM", f5="1", f11="N")
    assert "dataAbsentReason" not in with_value


def test_an_observation_without_time_has_that_of_its_report(convert: Convert) -> None:
    assert observation(convert, f2="NM", f5="1")["effectiveDateTime"] == "2026-03-05T08:00:00+08:00"
    own = observation(convert, f2="NM", f5="1", f14="20260304")
    assert own["effectiveDateTime"] == "2026-03-04"


def test_a_text_in_several_obx_is_one_observation(convert: Convert) -> None:
    lines = [segment("OBX", f1=str(n), f2="TX", f3="R^描述", f5=f"第{n}行", f11="F") for n in (1, 2, 3)]
    conversion = report(convert, *lines)
    assert only(conversion, "Observation")["valueString"] == "第1行\n第2行\n第3行"
    assert conversion.report.unmapped == []


@pytest.mark.parametrize(
    "second",
    [
        {"f3": "S^结论"},
        {"f2": "ST"},
        {"f11": "P"},
        {"f14": "20260306"},
        {"f21": "OBS2^LIS"},
    ],
)
def test_a_text_of_another_code_type_state_time_or_instance_stands_alone(
    convert: Convert, second: dict[str, str]
) -> None:
    first = {"f2": "TX", "f3": "R^描述", "f5": "一", "f11": "F"}
    conversion = report(convert, segment("OBX", **first), segment("OBX", **{**first, "f5": "二", **second}))
    assert [each["valueString"] for each in resources(conversion, "Observation")] == ["一", "二"]


def test_two_results_of_one_code_are_two_observations(convert: Convert) -> None:
    twice = [segment("OBX", f1=str(n), f2="NM", f3="G^血糖", f5=str(n), f11="F") for n in (1, 2)]
    conversion = report(convert, *twice)
    assert [each["valueQuantity"]["value"] for each in resources(conversion, "Observation")] == [1, 2]


def test_a_correction_finds_the_observation_that_it_corrects(convert: Convert) -> None:
    def result(control_id: str, status: str, text: str) -> Conversion:
        return convert(
            header("ORU^R01^ORU_R01", control_id),
            PID,
            OBR,
            segment("OBX", f1="1", f2="NM", f3="K^钾", f5=text, f11=status),
            segment("OBX", f1="2", f2="NM", f3="NA^钠", f5="140", f11="F"),
        )

    first, second = (result("1", "P", "4.0"), result("2", "C", "4.1"))

    def urls(conversion: Conversion) -> list[str]:
        kinds = ("Observation", "DiagnosticReport")
        entries = conversion.bundle["entry"]
        return [e["request"]["url"] for e in entries if e["resource"]["resourceType"] in kinds]

    assert urls(first) == urls(second)
    assert len(set(urls(first))) == 3


def test_who_observed_and_which_laboratory_performed(convert: Convert) -> None:
    conversion = report(
        convert,
        segment(
            "OBX",
            f2="NM",
            f3="X",
            f5="1",
            f11="F",
            f15="4101^检验科",
            f16="0033^检^验",
            f23="检验中心",
            f24="路3号",
            f25="9^主^任",
        ),
    )
    performers = only(conversion, "Observation")["performer"]
    roles = {role["code"][0]["coding"][0]["code"]: role for role in resources(conversion, "PractitionerRole")}
    assert set(roles) == {"responsibleObserver", "MDIR"}
    centre = next(each for each in resources(conversion, "Organization") if each.get("name") == "检验中心")
    assert centre["address"][0]["text"] == "路3号"
    assert len(performers) == 3
    assert_sound(conversion.bundle)


def test_the_note_belongs_to_the_observation_before_it(convert: Convert) -> None:
    conversion = report(
        convert,
        segment("OBX", f1="1", f2="NM", f3="X", f5="1", f11="F"),
        segment("NTE", f1="1", f3="溶血~复查", f5="9^技^师", f6="20260305"),
        segment("OBX", f1="2", f2="NM", f3="Y", f5="1", f11="F"),
    )
    first, second = resources(conversion, "Observation")
    note = first["note"][0]
    assert (note["text"], note["time"]) == ("溶血\n复查", "2026-03-05")
    assert "note" not in second


def test_a_specimen_observation_is_not_lost(convert: Convert) -> None:
    conversion = report(
        convert,
        segment("OBX", f1="1", f2="NM", f3="X", f5="1", f11="F"),
        segment("SPM", f1="1", f2="S1&HIS", f4="BLD^^HL70487"),
        segment("OBX", f1="1", f2="ST", f3="A^外观", f5="浑浊", f11="F"),
    )
    assert len(resources(conversion, "Observation")) == 2
    specimen = next(references(only(conversion, "DiagnosticReport")["specimen"]))
    assert [list(references(each["specimen"])) for each in resources(conversion, "Observation")] == [
        [specimen]
    ] * 2


values = st.text(st.characters(exclude_characters="|\r\n\\", exclude_categories=["Cs"]), max_size=20)
kinds = st.sampled_from(
    [
        "NM",
        "ST",
        "TX",
        "FT",
        "SN",
        "CE",
        "CWE",
        "DT",
        "TS",
        "TM",
        "DR",
        "NR",
        "VR",
        "NA",
        "ED",
        "RP",
        "CQ",
        "",
        "??",
    ]
)


@given(kinds, values, values, values, values)
def test_any_observation_is_sound_and_nothing_of_its_value_is_lost_silently(
    kind: str, text: str, units: str, bounds: str, flag: str
) -> None:
    obx = segment("OBX", f2=kind, f3="X^项目", f5=text, f6=units, f7=bounds, f8=flag, f11="F")
    raw = "\r".join((header("ORU^R01^ORU_R01"), PID, OBR, obx))
    conversion = ENGINE.convert(read(raw.encode()), SENDER, received=RECEIVED)
    assert_sound(conversion.bundle)
    resource = only(conversion, "Observation")
    has_value = "component" in resource or any(name.startswith("value") for name in resource)
    has_value = has_value or any("valueAttachment" in part for part in resource.get("extension", ()))
    lost = {part.location.partition("[")[0].partition(".")[0] for part in conversion.report.unmapped}
    # FHIR strings drop blanks only; anything else is in the Observation or in the report.
    assert (
        has_value
        or "OBX-5" in lost
        or not text.strip("^&~ \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029\u3000")
    )
