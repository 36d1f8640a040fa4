import pytest

from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.national import gb_11643
from tests.hl7_gateway.datatypes.conftest import BASE, Convert

ID_NUMBER = "11010519491231002X"  # the example of GB 11643-1999
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"


@pytest.mark.parametrize(
    ("authority", "system"),
    [
        ("ZZ1H&2.16.840.1.113883.3.72&ISO", "urn:oid:2.16.840.1.113883.3.72"),
        ("&2.16.840.1.113883.3.72", "urn:oid:2.16.840.1.113883.3.72"),
        (
            "&0b0e9cd5-8a28-4d6c-9b4e-3e4c5f8d6a71&UUID",
            "urn:uuid:0b0e9cd5-8a28-4d6c-9b4e-3e4c5f8d6a71",
        ),
        ("&http://hospital.example/ids&URI", "http://hospital.example/ids"),
        ("&his.hospital.example&DNS", "urn:dns:his.hospital.example"),
        ("MRN", f"{BASE}/MRN"),
        ("住院号", f"{BASE}/%E4%BD%8F%E9%99%A2%E5%8F%B7"),
        ("LAB&11D0668319&CLIA", f"{BASE}/LAB/11D0668319/CLIA"),
        # Not an OID, whatever its type says.
        ("X&not-an-oid&ISO", f"{BASE}/X/not-an-oid/ISO"),
        ("", f"{BASE}/MR"),
    ],
)
def test_the_assigning_authority_is_the_system(convert: Convert, authority: str, system: str) -> None:
    identifier = convert("CX_Identifier", f"123^^^{authority}^MR")
    assert isinstance(identifier, dict)
    assert identifier["system"] == system
    assert identifier["value"] == "123"


def test_every_part_of_a_cx_has_its_place(convert: Convert) -> None:
    assert convert("CX_Identifier", "123^4^M11^HOSP^MR^^20200101^20301231") == {
        "type": {"coding": [{"system": V2_0203, "code": "MR", "display": "Medical record number"}]},
        "system": f"{BASE}/HOSP",
        "value": "123",
        "assigner": {"display": "HOSP"},
        "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/identifier-checkDigit", "valueString": "4"},
            {"url": "http://hl7.org/fhir/StructureDefinition/namingsystem-checkDigit", "valueString": "M11"},
        ],
        "period": {"start": "2020-01-01", "end": "2030-12-31"},
    }


def test_a_bad_expiration_date_does_not_cost_the_identifier(convert: Convert, ctx: Context) -> None:
    identifier = convert("CX_Identifier", "123^^^HOSP^MR^^20200101^never")
    assert isinstance(identifier, dict)
    assert identifier["value"] == "123"
    assert "period" not in identifier
    assert [place for place, _ in ctx.dropped] == [7, 8]


def test_a_cx_without_number_is_none(convert: Convert) -> None:
    assert convert("CX_Identifier", "^^^HOSP^MR") is None


def test_the_map_names_the_namespace_of_numbers_without_authority(convert: Convert) -> None:
    identifier = convert("CX_Identifier", "123", namespace="PID-2")
    assert identifier == {"system": f"{BASE}/PID-2", "value": "123"}


@pytest.mark.parametrize("type_code", ["NNCHN", "NI", "身份证", "居民身份证", "01", "sfz"])
def test_an_id_number_is_in_the_national_namespace(convert: Convert, type_code: str) -> None:
    identifier = convert("CX_Identifier", f"{ID_NUMBER}^^^公安局^{type_code}")
    assert isinstance(identifier, dict)
    assert identifier["system"] == "urn:oid:2.16.156.10011.1.3"


@pytest.mark.parametrize(
    ("number", "type_code"),
    [
        ("110105194912310021", "身份证"),  # wrong check character
        ("123", "NI"),
        (ID_NUMBER, "MR"),
    ],
)
def test_another_number_stays_in_the_namespace_of_its_sender(
    convert: Convert, number: str, type_code: str
) -> None:
    identifier = convert("CX_Identifier", f"{number}^^^HOSP^{type_code}")
    assert isinstance(identifier, dict)
    assert identifier["system"] == f"{BASE}/HOSP"


def test_a_type_code_that_table_0203_lacks_is_a_code_of_the_sender(convert: Convert) -> None:
    identifier = convert("CX_Identifier", "123^^^HOSP^就诊卡")
    assert isinstance(identifier, dict)
    assert identifier["type"] == {"coding": [{"system": f"{BASE}/CodeSystem/L", "code": "就诊卡"}]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ID_NUMBER, True),
        (ID_NUMBER.lower(), True),
        ("440524188001010014", True),  # the second example of GB 11643-1999
        ("11010519491231002１", False),
        ("11010519491231002", False),
        ("", False),
    ],
)
def test_gb_11643_tells_the_check_character(value: str, expected: bool) -> None:  # noqa: FBT001 - pytest
    assert gb_11643(value) is expected


def test_order_numbers_of_placer_and_filler_never_meet(convert: Convert) -> None:
    placer, filler = convert("EI_PlacerIdentifier", "77"), convert("EI_FillerIdentifier", "77")
    assert placer == {
        "type": {"coding": [{"system": V2_0203, "code": "PLAC"}]},
        "system": f"{BASE}/placer",
        "value": "77",
    }
    assert isinstance(filler, dict)
    assert filler["system"] == f"{BASE}/filler"
    assert convert("EI_Identifier", "77^LIS^1.2.3^ISO") == {
        "system": "urn:oid:1.2.3",
        "value": "77",
        "assigner": {"display": "LIS"},
    }


def test_a_parent_points_at_the_orders_that_orc_2_and_orc_3_name(convert: Convert) -> None:
    parent = "77&HIS^88&LIS"
    assert convert("EIP_PlacerOrder", parent) == convert("EI_PlacerIdentifier", "77^HIS")
    assert convert("EIP_FillerOrder", parent) == convert("EI_FillerIdentifier", "88^LIS")
    placer = convert("EIP_PlacerIdentifier", parent)
    assert isinstance(placer, dict)
    assert placer["type"] == {"coding": [{"system": V2_0203, "code": "PGN"}]}


def test_a_licence_has_its_issuer_as_namespace(convert: Convert) -> None:
    assert convert("DLN_Identifier", "A1^豫^20300101") == {
        "type": {"coding": [{"system": V2_0203, "code": "DL"}]},
        "system": f"{BASE}/DL/%E8%B1%AB",
        "value": "A1",
        "assigner": {"display": "豫"},
        "period": {"end": "2030-01-01"},
    }
    assert convert("PLN_Identifier", "110410000001234^医师执业证书") == {
        "type": {"coding": [{"system": f"{BASE}/CodeSystem/L", "code": "医师执业证书"}]},
        "system": f"{BASE}/%E5%8C%BB%E5%B8%88%E6%89%A7%E4%B8%9A%E8%AF%81%E4%B9%A6",
        "value": "110410000001234",
    }


def test_a_cx_keeps_its_dates_without_a_check_digit(convert: Convert) -> None:
    identifier = convert("CX_Identifier", "123^^^HOSP^MR^^20200101^20301231")
    assert isinstance(identifier, dict)
    assert identifier["period"] == {"start": "2020-01-01", "end": "2030-12-31"}
