"""Files that hold more than one message, an envelope, comments."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.errors import EncodingError
from hl7_gateway.er7.batch import Stray, read_batch, split
from hl7_gateway.er7.reader import read

FIRST = b"MSH|^~\\&|A|B|||1||ADT^A01|1|P|2.5\rPID|1\rPV1|1|I"
SECOND = b"MSH$%~\\&$A$B$$$1$$ADT%A01$2$P$2.5\nPID$2"


@pytest.mark.parametrize(
    "between", [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x1c\r\x0b", b"\r\x1c\r\n\x0b", b"\r   \r  "]
)
def test_each_msh_at_the_begin_of_a_line_begins_a_message(between: bytes) -> None:
    assert split(FIRST + between + SECOND + between + FIRST + b"\r") == [FIRST, SECOND, FIRST]


def test_one_message_is_one_message() -> None:
    assert split(FIRST) == split(FIRST + b"\r\n") == split(b"\x0b" + FIRST + b"\x1c\r") == [FIRST]


def test_msh_inside_a_line_begins_nothing() -> None:
    raw = b"MSH|^~\\&|A\rNTE|1||see MSH|^~\\&|B and MSHX"
    assert split(raw) == [raw]


def test_nothing_is_no_message() -> None:
    assert split(b"") == []
    assert read_batch(b"no HL7 here").strays == [Stray(1, b"no HL7 here")]


def test_envelope_is_kept_apart() -> None:
    raw = b"\r".join([b"FHS|^~\\&|LAB", b"BHS|^~\\&|LAB|||||||||B1", FIRST, SECOND, b"BTS|2", b"FTS|1", b""])
    batch = read_batch(raw)
    assert batch.messages == [FIRST, SECOND]
    assert batch.envelope == [b"FHS|^~\\&|LAB", b"BHS|^~\\&|LAB|||||||||B1", b"BTS|2", b"FTS|1"]
    assert batch.strays == []


def test_trailers_without_fields_are_envelope() -> None:
    batch = read_batch(b"BHS|^~\\&\n" + FIRST + b"\nBTS\nFTS\n")
    assert (batch.messages, batch.envelope) == ([FIRST], [b"BHS|^~\\&", b"BTS", b"FTS"])


def test_comments_between_messages_are_reported_with_their_line() -> None:
    raw = b"# samples\n\n" + SECOND + b"\n\nthe next one is odd\n" + SECOND + b"\n// end\n# really\n"
    batch = read_batch(raw)
    assert batch.messages == [SECOND, SECOND]
    assert batch.strays == [
        Stray(1, b"# samples"),
        Stray(6, b"the next one is odd"),
        Stray(9, b"// end\n# really"),
    ]


def test_continued_text_belongs_to_its_message() -> None:
    first = FIRST + b"\rNTE|1||one\ntwo"
    last = FIRST + b"\rNTE|1||one\n\ntwo\n\nthree"
    batch = read_batch(first + b"\n" + last)
    assert (batch.messages, batch.strays) == ([first, last], [])
    assert read(last).segments[-1].first(3) == "one\n\ntwo\n\nthree"


def test_blank_line_inside_a_message_does_not_end_it() -> None:
    raw = b"MSH|^~\\&|A\r\nNTE|1||one\r\n\r\ntwo\r\nPID|1\r\n\r\n" + SECOND
    assert split(raw) == [b"MSH|^~\\&|A\r\nNTE|1||one\r\n\r\ntwo\r\nPID|1", SECOND]


def test_byte_order_mark_stays_with_its_message() -> None:
    assert split(codecs.BOM_UTF8 + FIRST + b"\r\n" + codecs.BOM_UTF8 + SECOND) == [
        codecs.BOM_UTF8 + FIRST,
        codecs.BOM_UTF8 + SECOND,
    ]


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_unicode_files_are_cut_into_readable_messages(charset: str) -> None:
    texts = ["MSH|^~\\&|医院\rPID|1||李", "MSH|^~\\&|诊所\rPID|2||𠮷"]
    batch = read_batch("\r\n".join(["FHS|^~\\&", *texts, "FTS|1"]).encode(charset))
    assert [read(raw).segments[1].first(3) for raw in batch.messages] == ["李", "𠮷"]
    assert len(batch.envelope) == 2


def test_broken_wide_unicode_is_refused() -> None:
    with pytest.raises(EncodingError):
        split(codecs.BOM_UTF16_LE + "MSH|^~\\&|A".encode("utf-16-le") + b"\0")


@given(
    st.lists(st.sampled_from([FIRST, SECOND]), min_size=1, max_size=6),
    st.sampled_from([b"\r", b"\n", b"\r\n\r\n"]),
)
def test_joined_messages_are_cut_into_themselves(messages: list[bytes], between: bytes) -> None:
    assert split(between.join(messages)) == messages


@given(
    st.lists(
        st.sampled_from(
            [FIRST, b"FHS|^", b"BTS", b"#c", b"text", b"\r", b"\n", b"\x0b", b"\x1c", b" ", b"PID|1"]
        )
    )
)
def test_nothing_of_a_file_is_lost(pieces: list[bytes]) -> None:
    raw = b"\r".join(pieces)
    batch = read_batch(raw)
    kept = b"".join([*batch.messages, *batch.envelope, *(stray.content for stray in batch.strays)])
    visible = bytes(range(0x21, 0x7F))
    assert sorted(byte for byte in kept if byte in visible) == sorted(byte for byte in raw if byte in visible)
