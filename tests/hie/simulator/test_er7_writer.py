"""The writer against python-hl7, a reader that shares no code with it."""

import hl7
from hypothesis import given
from hypothesis import strategies as st

from hie.simulator.er7_writer import NULL, Segment, Writer

MSH = Segment("MSH", {3: "HIS", 9: ("ADT", "A01"), 10: "1", 11: "P", 12: "2.5"})
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def written(field: object, **settings: str) -> str:
    row = Segment("ZZZ", {1: field})  # type: ignore[dict-item]  # what a field may be is what is tested
    return Writer(**settings).write([MSH, row]).decode("utf-8").split("\r")[1]  # type: ignore[arg-type]  # the same


def test_delimiters_in_text_are_escaped() -> None:
    assert written("a|b^c~d\\e&f") == r"ZZZ|a\F\b\S\c\R\d\E\e\T\f"


def test_a_line_break_becomes_br_and_other_control_characters_hexadecimal() -> None:
    assert written("一\n二\x0b三\r") == r"ZZZ|一\.br\二\X0B\三\X0D" + "\\"


def test_the_truncation_character_is_escaped_where_msh_2_has_one() -> None:
    assert written("5#6", encoding_characters="^~\\&#") == r"ZZZ|5\P\6"
    assert written("5#6") == "ZZZ|5#6"


def test_components_sub_components_and_repetitions_stand_in_their_places() -> None:
    assert written([("a", ("b", "c", ""), "", ""), "d"]) == "ZZZ|a^b&c~d"
    assert written(NULL) == 'ZZZ|""'


def test_msh_1_and_msh_2_are_the_writers_and_fields_keep_their_numbers() -> None:
    line = Writer(encoding_characters="^~\\&#", line_end="\n").write([MSH]).decode()
    assert line == "MSH|^~\\&#|HIS||||||ADT^A01|1|P|2.5\n"


def test_trailing_delimiters_follow_every_segment() -> None:
    raw = Writer(trailing_delimiters=2).write([MSH, Segment("EVN", {1: "A01"})])
    assert raw == b"MSH|^~\\&|HIS||||||ADT^A01|1|P|2.5||\rEVN|A01||\r"


def test_a_character_the_code_page_lacks_becomes_a_question_mark() -> None:
    raw = Writer(charset="gbk").write([MSH, Segment("PID", {5: "李𬭎"})])
    assert raw.decode("gbk").endswith("PID|||||李?\r")


@given(TEXTS, TEXTS, TEXTS)
def test_python_hl7_reads_back_what_was_written(first: str, second: str, third: str) -> None:
    raw = Writer().write([MSH, Segment("ZZZ", {1: (first, (second, third)), 2: [first, second]})])
    message = hl7.parse(raw.decode("utf-8").replace("\x85", "?"))
    row = message.segment("ZZZ")

    def read(field: int, repetition: int, component: int, sub: int) -> str:
        return str(message.unescape(str(row(field)(repetition)(component)(sub)), {}))

    assert read(1, 1, 1, 1) == first.replace("\x85", "?")
    assert read(1, 1, 2, 1) == second.replace("\x85", "?")
    assert read(1, 1, 2, 2) == third.replace("\x85", "?")


@given(TEXTS)
def test_gb18030_carries_every_character_and_no_delimiter_comes_out_of_its_trail_bytes(text: str) -> None:
    raw = Writer(charset="gb18030").write([MSH, Segment("ZZZ", {1: text, 2: "end"})])
    fields = raw.decode("gb18030").rstrip("\r").split("\r")[1].split("|")
    assert len(fields) == 3
    assert fields[2] == "end"
