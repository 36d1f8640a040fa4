"""OBX-5 to OBX-8 as laboratories write them: unescaped powers, arrows, full-width digits, nulls."""

from decimal import Decimal

import pytest

from tests.hl7_gateway.convert.conftest import BASE, Convert, assert_sound, only, resources, segment
from tests.hl7_gateway.convert.test_observations import UCUM, observation, report, value


@pytest.mark.parametrize(("flag", "code"), [("↑", "H"), ("↓", "L"), ("↑↑", "HH"), ("↓↓", "LL"), ("Ｈ", "H")])
def test_an_arrow_is_an_interpretation_beside_what_was_sent(convert: Convert, flag: str, code: str) -> None:
    coding = observation(convert, f2="NM", f5="9", f8=flag)["interpretation"][0]["coding"]
    assert (coding[0]["system"], coding[0]["code"]) == (
        "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
        code,
    )
    assert coding[1:] == [{"system": f"{BASE}/CodeSystem/L", "code": flag}]


@pytest.mark.parametrize(
    "units", ["10^9/L", "10\\S\\9/L", "10^9/L^^UCUM", "10^9/L^10^9/L", "10*9/L^10^9/L^UCUM"]
)
def test_a_unit_that_its_power_cut_in_two_is_whole_in_value_and_range(convert: Convert, units: str) -> None:
    obx = segment("OBX", f1="1", f2="NM", f3="WBC", f5="12.50", f6=units, f7="3.5-9.5", f11="F")
    conversion = report(convert, obx)
    resource = only(conversion, "Observation")
    unit = {"unit": "10^9/L", "system": UCUM, "code": "10*9/L"}
    assert resource["valueQuantity"] == {"value": Decimal("12.50"), **unit}
    assert resource["referenceRange"] == [
        {
            "low": {"value": Decimal("3.5"), **unit},
            "high": {"value": Decimal("9.5"), **unit},
            "text": "3.5-9.5",
        }
    ]
    assert [line for line in conversion.report.unmapped if line.location.startswith("OBX")] == []


@pytest.mark.parametrize(
    ("kind", "text", "units", "reported"),
    [
        ("CQ", "5^mg", "kg", True),
        ("CQ", "5^mg", "mg", False),
        ("CQ", "5", "kg", False),
        ("NR", "3^5", "kg", False),
        ("SN", "<>^5", "kg", False),
        ("SN", "<>^5", "mg^milligram^UCUM", True),
        ("NM", "凝集", "mg", True),
        ("VR", "3^5", "mg", True),
    ],
)
def test_a_unit_is_in_the_value_or_in_the_report(
    convert: Convert, kind: str, text: str, units: str, *, reported: bool
) -> None:
    conversion = report(convert, segment("OBX", f2=kind, f3="X^项目", f5=text, f6=units, f11="F"))
    lost = [line.location for line in conversion.report.unmapped if line.location.startswith("OBX-6")]
    assert bool(lost) is reported
    assert reported or units in str(value(only(conversion, "Observation"))[1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("５.２", ("valueQuantity", {"value": Decimal("5.2"), "unit": "g"})),
        ("＜０．５", ("valueQuantity", {"value": Decimal("0.5"), "comparator": "<", "unit": "g"})),
        ("12.5 ↑", ("valueQuantity", {"value": Decimal("12.5"), "unit": "g"})),
        ("3.5-5", ("valueString", "3.5-5 g")),
        ("1:40", ("valueString", "1:40 g")),
        ("1,200", ("valueString", "1,200 g")),
        ("5%", ("valueString", "5%")),
        ("5 mg/L", ("valueString", "5 mg/L")),
        ("阳性(+)", ("valueString", "阳性(+)")),
    ],
)
def test_a_number_written_otherwise_keeps_its_unit(
    convert: Convert, text: str, expected: tuple[str, object]
) -> None:
    assert value(observation(convert, f2="NM", f5=text, f6="g")) == expected
    if expected[0] == "valueQuantity":
        assert value(observation(convert, f2="ST", f5=text, f6="g")) == expected


@pytest.mark.parametrize(
    ("text", "flag", "codes"),
    [
        ("12.5↑", "", ["H"]),
        ("12.5↓↓", "", ["LL"]),
        ("12.5↑", "H", ["H"]),
        ("12.5↑", "A", ["H", "A"]),
        ("12.5", "", []),
    ],
)
def test_an_arrow_behind_a_number_is_an_interpretation(
    convert: Convert, text: str, flag: str, codes: list[str]
) -> None:
    resource = observation(convert, f2="NM", f5=text, f6="g/L", f8=flag)
    assert [each["coding"][0]["code"] for each in resource.get("interpretation", ())] == codes
    assert value(resource) == ("valueQuantity", {"value": Decimal("12.5"), "unit": "g/L"})


@pytest.mark.parametrize("kind", ["ST", "NM", "TX", "CE", "SN", "", "??"])
@pytest.mark.parametrize("text", ['"" ', ' ""', '""', '""~""'])
def test_a_null_is_no_value_however_blank(convert: Convert, kind: str, text: str) -> None:
    conversion = report(convert, segment("OBX", f2=kind, f3="X^项目", f5=text, f11="F"))
    found = resources(conversion, "Observation")
    assert all(not name.startswith(("value", "component")) for each in found for name in each)
    assert_sound(conversion.bundle)


def test_a_null_among_lines_is_no_line(convert: Convert) -> None:
    assert observation(convert, f2="TX", f5='一~""~二')["valueString"] == "一\n\n二"
