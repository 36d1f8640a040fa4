import base64
from decimal import Decimal

import pytest

from hie.core.errors import DataTypeError
from hie.core.fhir.json import dumps
from hl7_gateway.datatypes.context import Context
from tests.hl7_gateway.datatypes.conftest import BASE, Convert

ORIGINAL_TEXT = "http://hl7.org/fhir/StructureDefinition/originalText"
PDF = base64.b64encode(b"%PDF-1.4 report").decode()


@pytest.mark.parametrize(
    ("text", "json"),
    [
        ("7.40", b"7.40"),
        ("+5", b"5"),
        ("-0.50", b"-0.50"),
        (".5", b"0.5"),
        ("007", b"7"),
        ("1.0E3", b"1.0E+3"),
    ],
)
def test_a_number_keeps_its_digits(convert: Convert, text: str, json: bytes) -> None:
    value = convert("NM_decimal", text)
    assert isinstance(value, Decimal)
    assert dumps(value) == json


@pytest.mark.parametrize("text", ["<5", "5,3", "1 2", "NaN", "Infinity", "五", "５", "1e9999"])
def test_text_that_is_no_number_is_refused(convert: Convert, text: str) -> None:
    with pytest.raises(DataTypeError):
        convert("NM_decimal", text)


def test_whole_numbers_have_their_bounds(convert: Convert) -> None:
    assert convert("NM_positiveInt", "3.0") == 3
    assert convert("NM_unsignedInt", "0") == 0
    for name, text in (("NM_positiveInt", "0"), ("NM_positiveInt", "1.5"), ("NM_unsignedInt", "-1")):
        with pytest.raises(DataTypeError):
            convert(name, text)
    with pytest.raises(DataTypeError):
        convert("SI_positiveInt", "2147483648")


def test_a_negative_length_of_stay_is_refused(convert: Convert) -> None:
    days = {"value": Decimal(5), "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}
    assert convert("NM_LengthOfStay", "5") == days
    with pytest.raises(DataTypeError, match="negative"):
        convert("NM_LengthOfStay", "-5")


def test_a_structured_number_is_quantity_range_or_ratio(convert: Convert) -> None:
    assert convert("SN_Quantity", "<^10.0") == {"value": Decimal("10.0"), "comparator": "<"}
    assert convert("SN_Quantity", "=^10") == {"value": Decimal(10)}
    assert convert("SN_Quantity", "^2^+") == {
        "extension": [{"url": ORIGINAL_TEXT, "valueString": "2 +"}],
        "value": Decimal(2),
    }
    assert convert("SN_Range", "^3^-^5") == {
        "extension": [{"url": ORIGINAL_TEXT, "valueString": "3 - 5"}],
        "low": {"value": Decimal(3)},
        "high": {"value": Decimal(5)},
    }
    assert convert("SN_Ratio", ">^1^:^128") == {
        "extension": [{"url": ORIGINAL_TEXT, "valueString": "> 1 : 128"}],
        "numerator": {"value": Decimal(1), "comparator": ">"},
        "denominator": {"value": Decimal(128)},
    }
    assert convert("SN_string", ">^1^:^128") == "> 1 : 128"


@pytest.mark.parametrize(
    ("name", "text"),
    [("SN_Quantity", "<>^10"), ("SN_Range", "^5^-^3"), ("SN_Ratio", "^1^:"), ("NR_Range", "5^3")],
)
def test_structured_numbers_that_fhir_cannot_hold_are_refused(convert: Convert, name: str, text: str) -> None:
    with pytest.raises(DataTypeError):
        convert(name, text)


def test_amounts_have_unit_or_currency(convert: Convert) -> None:
    assert convert("CQ_Quantity", "2.50^mL&毫升&UCUM") == {
        "value": Decimal("2.50"),
        "unit": "毫升",
        "system": "http://unitsofmeasure.org",
        "code": "mL",
    }
    assert convert("CP_Money", "12.30&CNY") == {"value": Decimal("12.30"), "currency": "CNY"}
    with pytest.raises(DataTypeError, match="4217"):
        convert("MO_Money", "12^元")


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        (f"^application^pdf^Base64^{PDF}", "application/pdf"),
        (f"^TEXT^plain^Base64^{PDF}", "application/pdf"),  # the data says better than ED.3
        (f"^AP^^^{PDF}", "application/pdf"),
        (f"^AP^x-hl7-cda^Base64^{base64.b64encode(b'<x/>').decode()}", "application/x-hl7-cda"),
        (f"^IM^JPEG^Base64^{base64.b64encode(b'other').decode()}", "application/octet-stream"),
        (f"^^text/xml^Base64^{base64.b64encode(b'<x/>').decode()}", "text/xml"),
        ("^TX^^A^plain words", "text/plain"),
    ],
)
def test_encapsulated_data_is_an_attachment_of_its_true_type(
    convert: Convert, text: str, content_type: str
) -> None:
    attachment = convert("ED_Attachment", text)
    assert isinstance(attachment, dict)
    assert attachment["contentType"] == content_type


def test_every_encoding_becomes_base64(convert: Convert) -> None:
    expected = base64.b64encode("报告".encode()).decode()
    for text in (
        "^TX^plain^A^报告",
        f"^TX^plain^Hex^{'报告'.encode().hex()}",
        f"^TX^plain^Base64^{expected}",
        f"^TX^plain^Base64^{expected.rstrip('=')}",
        f"^TX^plain^Base64^{expected[:4]}\r\n{expected[4:]}",
    ):
        assert convert("ED_Attachment", text) == {"contentType": "text/plain", "data": expected}


@pytest.mark.parametrize("text", ["^AP^PDF^Base64^***", "^AP^PDF^Hex^zz", "^AP^PDF^UU^x"])
def test_data_that_is_not_in_its_encoding_is_refused(convert: Convert, text: str) -> None:
    with pytest.raises(DataTypeError):
        convert("ED_Attachment", text)


def test_a_pointer_is_an_attachment_with_url(convert: Convert) -> None:
    assert convert("RP_Attachment", "http://pacs.example/1?a=b c^PACS^image^DICOM") == {
        "contentType": "application/dicom",
        "url": "http://pacs.example/1?a=b%20c",
    }


def test_text_keeps_its_lines_and_unescaped_delimiters(convert: Convert) -> None:
    assert convert("TX_markdown", "  A&B^C\r\nD  ") == "  A&B^C\nD"
    assert convert("FT_Annotation", "注意\n复查") == {"text": "注意\n复查"}


def test_control_characters_become_visible(convert: Convert) -> None:
    assert convert("ST_string", "a\x00b\x1cc\td") == "a\ufffdb\ufffdc\td"
    assert convert("ST_string", "\u3000 \t") is None


def test_a_place_is_a_chain_from_the_bed_to_the_facility(convert: Convert) -> None:
    places = convert("PL_Location", "内科^201^3^ZZ1H^^^外科楼^5^靠窗")
    assert isinstance(places, list)
    assert [place["name"] for place in places] == ["3", "201", "5", "内科", "外科楼", "ZZ1H"]
    assert places[0]["description"] == "靠窗"
    types = [place["physicalType"].get("coding", [{}])[0].get("code") for place in places]
    assert types == ["bd", "ro", "lvl", None, "bu", "si"]
    assert places[3]["physicalType"] == {"text": "Point of care"}
    assert all(place["mode"] == "instance" for place in places)


def test_beds_of_the_same_number_in_two_wards_are_two_places(convert: Convert) -> None:
    one, other = convert("PL_Location", "内科^201^3"), convert("PL_Location", "外科^201^3")
    assert isinstance(one, list)
    assert isinstance(other, list)
    assert one[0]["identifier"][0]["value"] == other[0]["identifier"][0]["value"] == "3"
    assert one[0]["identifier"][0]["system"] != other[0]["identifier"][0]["system"]


def test_the_comprehensive_identifier_belongs_to_the_smallest_place(convert: Convert) -> None:
    places = convert("PL_Location", "内科^201^^^^^^^^L-77&HIS")
    assert isinstance(places, list)
    assert places[0]["name"] == "201"
    assert places[0]["identifier"][1]["value"] == "L-77"
    alone = convert("PL_Location", "^^^^^^^^门诊大厅")
    assert alone == [{"mode": "instance", "description": "门诊大厅"}]
    assert convert("PL_Location", "^^^^C^I") is None


def test_the_place_of_an_ndl_is_the_same_as_that_of_a_pl(convert: Convert) -> None:
    assert convert("NDL_Location", "9&李^^^内科^201^3^ZZ1H^^^外科楼^5") == convert(
        "PL_Location", "内科^201^3^ZZ1H^^^外科楼^5"
    )


def test_a_discharge_location_has_its_code_as_type(convert: Convert) -> None:
    place = convert("DLD_Location", "01&康复医院")
    assert isinstance(place, dict)
    assert place["name"] == "康复医院"
    assert place["identifier"] == [{"system": f"{BASE}/Location", "value": "01"}]


def test_timing_has_code_period_days_and_event(convert: Convert, ctx: Context) -> None:
    assert convert("RPT_Timing", "Q6H^^^^6^h") == {
        "code": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v2-0335",
                    "code": "Q6H",
                    "display": "every 6 hours",
                },
                {"system": f"{BASE}/CodeSystem/L", "code": "Q6H"},
            ]
        },
        "repeat": {"period": Decimal(6), "periodUnit": "h"},
    }
    assert convert("RPT_Timing", "^DW^1^5") == {"repeat": {"dayOfWeek": ["mon", "fri"]}}
    assert convert("RPT_Timing", "^^^^^^^ACM^30^min") == {"repeat": {"when": ["ACM"], "offset": 30}}
    assert ctx.dropped == []
    assert convert("RPT_Timing", "^^^^6^fortnight") is None
    assert [place for place, _ in ctx.dropped] == [5, 6]


def test_quantity_and_timing_of_older_versions(convert: Convert, ctx: Context) -> None:
    assert convert("TQ_Timing", "^Q1D&0800,2000^D7^^^^^^^^^3") == {
        "code": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v2-0335",
                    "code": "Q1D",
                    "display": "every 1 days",
                },
                {"system": f"{BASE}/CodeSystem/L", "code": "Q1D"},
            ]
        },
        "repeat": {
            "timeOfDay": ["08:00:00", "20:00:00"],
            "boundsDuration": {"value": 7, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"},
            "count": 3,
        },
    }
    assert ctx.dropped == []
    bounded = convert("TQ_Timing", "^^D7^20230101^20230108")
    assert bounded == {"repeat": {"boundsPeriod": {"start": "2023-01-01", "end": "2023-01-08"}}}
    assert [place for place, _ in ctx.dropped] == [3]
    assert convert("TQ_priority", "^^^^^S") == "stat"
    assert convert("CWE_priority", "STAT") == "stat"
    with pytest.raises(DataTypeError):
        convert("TQ_priority", "^^^^^加急")


def test_a_specimen_source_has_type_site_and_note(convert: Convert) -> None:
    source = "BLD&全血^EDTA^空腹^LA"
    kind = convert("SPS_Type", source)
    assert isinstance(kind, dict)
    assert kind["coding"][0]["code"] == "BLD"
    assert convert("SPS_Annotation", source) == {"text": "空腹"}
    site = convert("SPS_BodySite", source)
    assert isinstance(site, dict)
    assert site["coding"][0] == {
        "system": "http://terminology.hl7.org/CodeSystem/v2-0163",
        "code": "LA",
        "display": "Left Arm",
    }


def test_a_sub_identifier_is_an_extension_of_its_parts(convert: Convert) -> None:
    assert convert("OG_Extension", "1.2^1^2^a") == {
        "url": "http://hl7.org/fhir/StructureDefinition/observation-v2-subid",
        "extension": [
            {"url": "original-sub-identifier", "valueString": "1.2"},
            {"url": "group", "valueDecimal": Decimal(1)},
            {"url": "sequence", "valueDecimal": Decimal(2)},
            {"url": "identifier", "valueString": "a"},
        ],
    }
    assert convert("NA_string", "1.0^^3") == "1.0 E 3"
