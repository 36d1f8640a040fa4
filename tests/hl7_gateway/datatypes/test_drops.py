"""What a function declares to use but has no place for this time is dropped by name, never silently."""

import pytest

from hl7_gateway.datatypes.context import Context
from tests.hl7_gateway.datatypes.conftest import BASE, Convert


@pytest.mark.parametrize(
    ("name", "text", "dropped"),
    [
        ("CX_Identifier", "1^^^H&&ISO^MR", [4]),
        ("CX_Identifier", "11010519491231002X^^^H&1.2.3&ISO^身份证", [4]),
        ("CX_Identifier", "1^^^H&1.2.3&ISO^MR", []),
        ("XCN_Practitioner", "1^李^明^^^^^^H&&ISO", [9]),
        ("CNN_Practitioner", "1^李^明^^^^^^H^^ISO", [11]),
        ("NDL_Practitioner", "1&李&明&&&&&&H&&ISO", [1]),
        ("EI_Identifier", "1^H^^ISO", [4]),
        ("EIP_PlacerOrder", "1&H&&ISO", [1]),
        ("EIP_FillerOrder", "^1&H&&ISO", [2]),
        ("EIP_Identifier", "1^2", [1]),
        ("EIP_Identifier", "1^&H", [2]),
        ("HD_uri", "H^^ISO", [3]),
        ("HD_Organization", "H^^ISO", [3]),
        ("PL_Location", "内科^&&ISO", [2]),
        ("PL_Location", "内科^^^^^^^^^1&H&&ISO", [10]),
        ("PL_Location", "内科^^^^^^^^^^H&&ISO", [11]),
        ("NDL_Location", "^^^内科^^^H&&ISO", [7]),
        ("CWE_CodeableConcept", "X^^LN^^^L", [6]),
        ("CWE_CodeableConcept", "X^^LN^^^^^2.0", [8]),
        ("CWE_CodeableConcept", "X^^LN^^^^^^^^^^^2.16.840.1.113883.6.1", [14]),
        ("CWE_CodeableConcept", "X^^^^^^^^^^^^^2.16.840.1.113883.6.1", []),
        ("SPS_Type", "BLD&&HL70487&&&L", [1]),
        ("TS_dateTime", "20260305^Q", [2]),
        ("TS_dateTime", "202603050830^M", []),
        ("XPN_HumanName", "张^三^^^^^^X", [8]),
        ("RI_Timing", "^noon", [2]),
        ("XPN_string", "BERG&VAN&DER&X&Y^ANNA", [1]),
        ("XPN_string", "VAN DER BERG&VAN DER&BERG^ANNA", []),
        ("XPN_string", "&VAN DER&BERG^ANNA", []),
        ("XCN_string", "1^BERG&VAN^ANNA", [2]),
        (
            "XCN_Practitioner",
            "1^^^^^^^^H^L^^^^^A^^20260101&20261231^F^20260101^20261231^MD",
            [10, 15, 17, 18, 19, 20, 21],
        ),
        ("XCN_Practitioner", "1^^^^^^主任医师", []),
        ("XCN_Person", "1^^^^^^博士", [7]),
        ("XCN_Practitioner", "^李^明^^^^^^H&1.2.3&ISO^^1^M10^MD", [9, 11, 12, 13]),
        ("CNN_Practitioner", "^李^明^^^^^^H^1.2.3^ISO", [9, 10, 11]),
        ("NDL_Practitioner", "&李&明&&&&&&H", [1]),
        ("XON_Organization", "检验中心^^^1^M10^H&1.2.3&ISO^XX", [4, 5, 6, 7]),
        ("XON_Organization", "检验中心^^^^^&&ISO", [6]),
        ("XON_Organization", "检验中心^^9^1^M10^H^XX", []),
        ("CX_Identifier", "1^^^H^MR^^00000000^20261231", [7]),
        ("CX_Identifier", "1^^^H^MR^^^0", [8]),
        ("DR_Period", "00000000^20261231", [1]),
        ("XPN_HumanName", "张^三^^^^^L^^^0000&2026", [10]),
        ("CWE_Organization", "^检验中心^L", [3]),
        ("JCC_CodeableConcept", "&护士&L^FT", [1]),
        ("ED_Attachment", "LIS^AP^PNG^Base64^JVBERi0xLjQ=", [2, 3]),
        ("ED_Attachment", "LIS^AP^PDF^Base64^JVBERi0xLjQ=", []),
        ("RP_Attachment", "http://x.example/1^PACS^?^?", [3, 4]),
    ],
)
def test_a_part_without_place_is_dropped_of_its_component(
    convert: Convert, ctx: Context, name: str, text: str, dropped: list[int]
) -> None:
    convert(name, text)
    assert [place for place, _ in ctx.dropped] == dropped
    assert all(reason and "Q" not in reason.split() for _, reason in ctx.dropped)


def test_a_universal_id_of_no_uri_type_is_part_of_the_namespace_with_its_type(convert: Convert) -> None:
    assert convert("HD_uri", "LAB^11D0668319^CLIA") == f"{BASE}/LAB/11D0668319/CLIA"
    assert convert("HD_uri", "^11D0668319^CLIA") == f"{BASE}/11D0668319/CLIA"
