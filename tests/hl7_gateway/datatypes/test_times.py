import re
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.errors import DataTypeError
from hl7_gateway.datatypes import dtm
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatypes
from hl7_gateway.sender import Sender
from terminology.translation import ConceptMaps
from tests.hl7_gateway.datatypes.conftest import Convert

SENDER = Sender("HIS", "ZZ1H", ZoneInfo("Asia/Shanghai"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023", "2023"),
        ("202311", "2023-11"),
        ("20231102", "2023-11-02"),
        ("2023110211", "2023-11-02T11:00:00+08:00"),
        ("202311021104", "2023-11-02T11:04:00+08:00"),
        ("20231102110405", "2023-11-02T11:04:05+08:00"),
        ("20231102110405.67", "2023-11-02T11:04:05.67+08:00"),
        ("20231102110405.6000", "2023-11-02T11:04:05.6000+08:00"),
        ("20231102110405-0500", "2023-11-02T11:04:05-05:00"),
        ("20231102110405+08", "2023-11-02T11:04:05+08:00"),
        ("20231102110405+0000", "2023-11-02T11:04:05+00:00"),
        ("20231102110405Z", "2023-11-02T11:04:05Z"),
        ("20231102+0800", "2023-11-02"),
        ("2023-11-02 11:04:05", "2023-11-02T11:04:05+08:00"),
        ("20231102 110405", "2023-11-02T11:04:05+08:00"),
        ("20231102 11:04:05", "2023-11-02T11:04:05+08:00"),
        ("2023/11/2", "2023-11-02"),
        # China had summer time from 1986 to 1991.
        ("198807011200", "1988-07-01T12:00:00+09:00"),
        # Local mean time of Shanghai is +08:05:43; FHIR writes whole minutes.
        ("189001011200", "1890-01-01T12:00:00+08:06"),
    ],
)
def test_a_point_in_time_keeps_its_precision_and_gets_the_zone_of_its_sender(
    convert: Convert, text: str, expected: str
) -> None:
    assert convert("DTM_dateTime", text) == expected


@pytest.mark.parametrize(
    "text",
    ["20231301", "20230230", "2023110225", "202311021160", "20231102110460", "2023-11-02T", "yesterday"],
)
def test_text_that_is_no_point_in_time_is_refused(convert: Convert, text: str) -> None:
    with pytest.raises(DataTypeError):
        convert("DTM_dateTime", text)


@pytest.mark.parametrize("text", ["20231102110405+1500", "20231102110405+0870"])
def test_an_offset_that_no_zone_has_is_refused(convert: Convert, text: str) -> None:
    with pytest.raises(DataTypeError, match="offset"):
        convert("DTM_dateTime", text)


@pytest.mark.parametrize("text", ["", "0000", "00000000", "00000000000000", '""', "  "])
def test_an_empty_or_zero_time_says_nothing(convert: Convert, text: str) -> None:
    assert convert("DTM_dateTime", text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20231102110405^D", "2023-11-02"),
        ("20231102110405^L", "2023-11"),
        ("20231102110405^Y", "2023"),
        ("202311021104^M", "2023-11-02T11:04:00+08:00"),
    ],
)
def test_the_degree_of_precision_of_older_versions_cuts_a_ts(
    convert: Convert, text: str, expected: str
) -> None:
    assert convert("TS_dateTime", text) == expected


def test_a_date_is_the_calendar_day_as_sent(convert: Convert) -> None:
    assert convert("DTM_date", "19701031030405.67-0800") == "1970-10-31"
    assert convert("DTM_date", "1970") == "1970"


def test_an_instant_needs_a_time_of_day(convert: Convert) -> None:
    assert convert("DTM_instant", "202308150304") == "2023-08-15T03:04:00+08:00"
    with pytest.raises(DataTypeError, match="instant"):
        convert("DTM_instant", "20230815")


@pytest.mark.parametrize(
    ("text", "expected"), [("0304", "03:04:00"), ("23", "23:00:00"), ("030405.25", "03:04:05.25")]
)
def test_a_time_of_day_is_filled_with_zeros(convert: Convert, text: str, expected: str) -> None:
    assert convert("TM_time", text) == expected


@pytest.mark.parametrize("text", ["24", "2360", "0304+0800", "noon"])
def test_a_time_of_day_that_fhir_cannot_write_is_refused(convert: Convert, text: str) -> None:
    with pytest.raises(DataTypeError):
        convert("TM_time", text)


def test_a_range_is_a_period(convert: Convert) -> None:
    assert convert("DR_Period", "20230101^2024") == {"start": "2023-01-01", "end": "2024"}
    with pytest.raises(DataTypeError, match="before"):
        convert("DR_Period", "20240101^20230101")


_TEXTS = st.one_of(
    st.datetimes().map(lambda moment: f"{moment:%Y%m%d%H%M%S}".zfill(14)),
    st.from_regex(r"[0-2][0-9]{7}([0-2][0-9]{5}([+-][0-2][0-9][0-6][0-9])?)?", fullmatch=True),
    st.text("0123456789+-.:Z ", max_size=24),
)


@pytest.mark.parametrize("name", [name for name, each in datatypes().items() if each.of_text is not None])
@given(text=_TEXTS)
def test_a_text_gives_what_a_repetition_that_holds_nothing_else_gives(name: str, text: str) -> None:
    datatype = datatypes()[name]
    ctx = Context(SENDER, "2.5.1", ConceptMaps())
    assert datatype.of_text is not None
    try:
        expected = datatype.function(((text,),), ctx)
    except DataTypeError as error:
        with pytest.raises(DataTypeError, match=re.escape(error.message)):
            datatype.of_text(text, ctx)
        return
    assert datatype.of_text(text, ctx) == expected


@given(text=_TEXTS)
def test_the_usual_forms_of_a_time_say_what_the_patterns_say(text: str) -> None:
    try:
        usual = dtm._plain(text, SENDER.zone)
    except DataTypeError as error:
        with pytest.raises(DataTypeError, match=re.escape(error.message)):
            dtm._written(text, SENDER.zone)
        return
    if usual is not None:
        assert usual == dtm._written(text, SENDER.zone)
