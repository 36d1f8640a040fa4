import pytest

from hl7_gateway.datatypes.context import Context
from tests.hl7_gateway.datatypes.conftest import BASE, Convert

EXTENSION = "http://hl7.org/fhir/StructureDefinition/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("张^三丰", {"family": "张", "given": ["三丰"], "text": "张三丰"}),
        ("张三丰", {"family": "张三丰", "text": "张三丰"}),
        ("^张三丰", {"given": ["张三丰"], "text": "张三丰"}),
        ("阿卜杜拉·买买提", {"family": "阿卜杜拉·买买提", "text": "阿卜杜拉·买买提"}),
        (
            "Everyman^Adam^A^III^Dr",
            {
                "family": "Everyman",
                "given": ["Adam", "A"],
                "suffix": ["III"],
                "prefix": ["Dr"],
                "text": "Dr Adam A Everyman III",
            },
        ),
        ("ZHANG^San^^^^^^^^^F", None),
    ],
)
def test_a_name_has_its_parts_and_its_text(
    convert: Convert, text: str, expected: dict[str, object] | None
) -> None:
    name = convert("XPN_HumanName", text)
    if expected is None:
        assert isinstance(name, dict)
        assert name["text"] == "ZHANG San"
    else:
        assert name == expected


@pytest.mark.parametrize(("code", "expected"), [("I", "IDE"), ("P", "SYL"), ("A", "ABC")])
def test_the_representation_code_is_an_extension(convert: Convert, code: str, expected: str) -> None:
    name = convert("XPN_HumanName", f"张^三^^^^^L^{code}")
    assert isinstance(name, dict)
    assert name["use"] == "official"
    assert name["extension"] == [{"url": f"{EXTENSION}iso21090-EN-representation", "valueCode": expected}]


def test_a_name_type_without_use_stays_as_alternate_code(convert: Convert) -> None:
    name = convert("XPN_HumanName", "张^三^^^^^B")
    assert isinstance(name, dict)
    assert "use" not in name
    assert name["_use"]["extension"][0]["valueCodeableConcept"] == {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/v2-0200", "code": "B", "display": "Birth name"}
        ]
    }


def test_parts_of_a_family_name_are_extensions(convert: Convert) -> None:
    name = convert("XPN_HumanName", "van der Berg&van der&Berg&de&Vries^Jan")
    assert isinstance(name, dict)
    assert name["family"] == "van der Berg"
    assert {extension["url"]: extension["valueString"] for extension in name["_family"]["extension"]} == {
        f"{EXTENSION}humanname-own-prefix": "van der",
        f"{EXTENSION}humanname-own-name": "Berg",
        f"{EXTENSION}humanname-partner-prefix": "de",
        f"{EXTENSION}humanname-partner-name": "Vries",
    }


def test_dates_of_a_name_go_before_its_older_range(convert: Convert, ctx: Context) -> None:
    name = convert("XPN_HumanName", "张^三^^^^^L^^^20100101&20110101^^20200101^20210101")
    assert isinstance(name, dict)
    assert name["period"] == {"start": "2020-01-01", "end": "2021-01-01"}
    assert [place for place, _ in ctx.dropped] == [10]
    ctx.dropped.clear()
    older = convert("XPN_HumanName", "张^三^^^^^L^^^20100101&20110101")
    assert isinstance(older, dict)
    assert older["period"] == {"start": "2010-01-01", "end": "2011-01-01"}
    assert ctx.dropped == []


def test_an_empty_name_is_none(convert: Convert) -> None:
    assert convert("XPN_HumanName", "^^^^^^L") is None
    assert convert("XPN_CalledBy", "张^三") is None


def test_the_name_a_person_is_called_by_is_a_nickname(convert: Convert) -> None:
    called = convert("XPN_CalledBy", "张^三^^^^^^^^^^^^^小三")
    assert called == {"use": "nickname", "given": ["小三"], "text": "小三"}


def test_a_practitioner_has_number_name_and_degree(convert: Convert) -> None:
    assert convert("XCN_Practitioner", "0712^李^明^^^^MD^^HIS^L^^^EI") == {
        "identifier": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                            "code": "EI",
                            "display": "Employee number",
                        }
                    ]
                },
                "system": f"{BASE}/HIS",
                "value": "0712",
                "assigner": {"display": "HIS"},
            }
        ],
        "name": [{"family": "李", "given": ["明"], "use": "official", "text": "李明"}],
        "qualification": [
            {
                "code": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v2-0360",
                            "code": "MD",
                            "display": "Doctor of Medicine",
                        }
                    ]
                }
            }
        ],
    }


def test_a_practitioner_without_number_has_only_a_name(convert: Convert) -> None:
    assert convert("XCN_Practitioner", "^李明") == {"name": [{"family": "李明", "text": "李明"}]}
    assert convert("XCN_Practitioner", "0712") == {
        "identifier": [{"system": f"{BASE}/Practitioner", "value": "0712"}]
    }
    assert convert("XCN_Practitioner", "") is None


def test_a_cnn_is_a_practitioner_with_flat_authority(convert: Convert) -> None:
    assert convert("NDL_Practitioner", "9&李&明&&&&&&LIS&1.2.3&ISO") == {
        "identifier": [{"system": "urn:oid:1.2.3", "value": "9", "assigner": {"display": "LIS"}}],
        "name": [{"family": "李", "given": ["明"], "text": "李明"}],
    }


def test_an_organization_has_name_and_number(convert: Convert, ctx: Context) -> None:
    assert convert("XON_Organization", "郑州一院^L^^^^NHC^XX^^^4101") == {
        "identifier": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                            "code": "XX",
                            "display": "Organization identifier",
                        }
                    ]
                },
                "system": f"{BASE}/NHC",
                "value": "4101",
                "assigner": {"display": "NHC"},
            }
        ],
        "name": "郑州一院",
    }
    older = convert("XON_Organization", "A^^12")
    assert older == {"identifier": [{"system": f"{BASE}/Organization", "value": "12"}], "name": "A"}
    assert ctx.dropped == []
    convert("XON_Organization", "A^^12^^^^^^^13")
    assert [place for place, _ in ctx.dropped] == [3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15403711234", {"system": "phone", "value": "15403711234"}),
        ("+86 15403711234^PRN^CP", {"system": "phone", "use": "mobile", "value": "+86 15403711234"}),
        ("0371-01234567转801^WPN^PH", {"system": "phone", "value": "0371-01234567转801", "use": "work"}),
        ("^NET^Internet^a@b.example", None),
        ("a@b.example", {"system": "email", "value": "a@b.example"}),
        (
            "^PRN^PH^^86^371^01234567^12",
            {
                "system": "phone",
                "value": "+86 371 01234567 X12",
                "use": "home",
                "extension": [
                    {"url": f"{EXTENSION}contactpoint-country", "valueString": "86"},
                    {"url": f"{EXTENSION}contactpoint-area", "valueString": "371"},
                    {"url": f"{EXTENSION}contactpoint-local", "valueString": "01234567"},
                    {"url": f"{EXTENSION}contactpoint-extension", "valueString": "12"},
                ],
            },
        ),
        (
            "微信 abc",
            {
                "_system": {"extension": [{"url": f"{EXTENSION}data-absent-reason", "valueCode": "unknown"}]},
                "value": "微信 abc",
            },
        ),
    ],
)
def test_a_contact_point_has_system_use_and_value(
    convert: Convert, text: str, expected: dict[str, object] | None
) -> None:
    point = convert("XTN_ContactPoint", text)
    if expected is None:
        assert isinstance(point, dict)
        assert (point["system"], point["value"]) == ("email", "a@b.example")
    else:
        assert point == expected


def test_a_second_number_in_one_xtn_is_not_lost_silently(convert: Convert, ctx: Context) -> None:
    point = convert("XTN_ContactPoint", "(371)01234567^PRN^PH^^^371^01234567")
    assert isinstance(point, dict)
    assert point["value"] == "371 01234567"
    assert ctx.dropped == []
    convert("XTN_ContactPoint", "15400000000^PRN^PH^^^371^01234567")
    assert [place for place, _ in ctx.dropped] == [1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "河南省郑州市金水区文化路1号",
            {"line": ["河南省郑州市金水区文化路1号"], "text": "河南省郑州市金水区文化路1号"},
        ),
        (
            "文化路1号^^郑州市^河南省^450000^CHN^H^^金水区",
            {
                "line": ["文化路1号"],
                "city": "郑州市",
                "state": "河南省",
                "postalCode": "450000",
                "country": "CHN",
                "district": "金水区",
                "text": "河南省郑州市金水区文化路1号",
                "use": "home",
            },
        ),
        (
            "1 Main St^Apt 2^Springfield^IL^62701^USA^M",
            {
                "line": ["1 Main St", "Apt 2"],
                "city": "Springfield",
                "state": "IL",
                "postalCode": "62701",
                "country": "USA",
                "text": "1 Main St, Apt 2, Springfield, IL 62701, USA",
                "type": "postal",
            },
        ),
    ],
)
def test_an_address_has_its_parts_and_its_text(
    convert: Convert, text: str, expected: dict[str, object]
) -> None:
    assert convert("XAD_Address", text) == expected


def test_an_address_type_without_use_stays_in_an_extension(convert: Convert) -> None:
    address = convert("XAD_Address", "1 Main St^^^^^^P")
    assert isinstance(address, dict)
    assert address["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "P"
    visit = convert("XAD_Address", "1 Main St^^^^^^HV")
    assert isinstance(visit, dict)
    assert visit["extension"] == [{"url": f"{EXTENSION}iso21090-AD-use", "valueCode": "HV"}]


def test_the_code_of_a_county_is_reported_where_its_text_stands(convert: Convert, ctx: Context) -> None:
    address = convert("XAD_Address", "x^^^^^^^^410105&金水区")
    assert isinstance(address, dict)
    assert address["district"] == "金水区"
    assert [place for place, _ in ctx.dropped] == [9]
