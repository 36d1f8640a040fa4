"""Escape sequences: what they read as, and that nothing is lost on the way there and back."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.er7.delimiters import Delimiters
from hl7_gateway.er7.escape import decode, encode
from hl7_gateway.er7.reader import read_text

STANDARD = Delimiters()
TRUNCATING = Delimiters(truncation="#", encoding_characters="^~\\&#")
ODD = Delimiters("!", "@", "*", "%", "$", "", "@*%$")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"\F\\S\\T\\R\\E" + "\\", "|^&~\\"),
        (r"a\.br\b", "a\nb"),
        (r"a\.BR\b", "a\nb"),
        (r"a\.sp\b", "a\nb"),
        (r"a\.sp3\b", "a\n\n\nb"),
        (r"a\.sp+3\b", "a\n\n\nb"),
        (r"a\.sk4\b", "a    b"),
        (r"a\.ce\b", "a\nb"),
        (r"\.in+4\a\.ti-2\b\.fi\c\.nf\d", "abcd"),
        (r"\H\bold\N\ plain", "bold plain"),
        (r"\X0D\\X0A" + "\\", "\r\n"),
        (r"\X0d0a" + "\\", "\r\n"),
        (r"\XE4BDA0E5A5BD" + "\\", "你好"),
        (r"C:\temp\file", r"C:\temp\file"),
        (r"C:\T\file", "C:&file"),
        (r"x\y\T\z", r"x\y&z"),
        ("one \\ two", "one \\ two"),
        ("open \\T", "open \\T"),
        (r"\\T\\", r"\\T\\"),
        (r"\Z01A0" + "\\", r"\Z01A0" + "\\"),
        (r"\C2842\ABC", r"\C2842\ABC"),
        (r"\M2442\ABC", r"\M2442\ABC"),
        (r"\X0" + "\\", r"\X0" + "\\"),
        (r"\X\ab", r"\X\ab"),
        (r"\XFF" + "\\", r"\XFF" + "\\"),
        (r"\X00" + "\\", r"\X00" + "\\"),
        (r"\.xy\ab", r"\.xy\ab"),
        (r"\.br3\ab", r"\.br3\ab"),
        (r"\Q\ab", r"\Q\ab"),
    ],
)
def test_sequence_reads_as(written: str, read: str) -> None:
    assert decode(written, STANDARD) == read


def test_hexadecimal_bytes_are_of_the_message_character_set() -> None:
    assert decode(r"\XC4E3BAC3" + "\\", STANDARD, "gb18030") == "你好"
    assert decode(r"\XE9" + "\\", STANDARD, "iso8859_1") == "é"
    assert decode(r"\X41" + "\\", STANDARD, "utf-16-le") == "A"


def test_truncation_character_is_an_escape_only_where_it_is_declared() -> None:
    assert decode(r"a\P\b", TRUNCATING) == "a#b"
    assert encode("a#b", TRUNCATING) == r"a\P\b"
    assert decode(r"a\P\b", STANDARD) == r"a\P\b"
    assert encode("a#b", STANDARD) == "a#b"


def test_text_without_declared_escape_character_is_read_as_it_is() -> None:
    bare = Delimiters(escape="", subcomponent="", encoding_characters="^~")
    assert decode(r"a\T\b", bare) == r"a\T\b"
    assert encode("a & b", bare) == "a & b"
    with pytest.raises(ValueError, match="no escape character"):
        encode("a|b", bare)


def test_line_ends_are_written_as_sequences() -> None:
    assert encode("a\nb\rc", STANDARD) == r"a\.br\b\X0D\c"


def test_line_ends_are_written_without_a_delimiter_in_the_sequence() -> None:
    full_stop = Delimiters(field=".", encoding_characters="^~\\&")
    assert encode("a\nb", full_stop) == r"a\X0A\b"
    assert decode(r"a\X0A\b", full_stop) == "a\nb"


PUNCTUATION = "".join(sorted(set(string.punctuation) - set('"')))


@st.composite
def any_delimiters(draw: st.DrawFn) -> Delimiters:
    characters = draw(st.lists(st.sampled_from(PUNCTUATION), min_size=5, max_size=6, unique=True))
    field, component, repetition, escape, subcomponent, *rest = characters
    return Delimiters(
        field, component, repetition, escape, subcomponent, "".join(rest), "".join(characters[1:])
    )


@given(st.text(), any_delimiters())
def test_encoded_text_decodes_to_itself_whatever_the_delimiters(text: str, delimiters: Delimiters) -> None:
    encoded = encode(text, delimiters)
    assert decode(encoded, delimiters) == text
    cutting = {
        delimiters.field,
        delimiters.component,
        delimiters.repetition,
        delimiters.subcomponent,
        "\r",
        "\n",
    }
    assert not cutting & set(encoded)


@given(
    st.text(alphabet=st.sampled_from("\\FSTREXPHNZ.brspinti0123AC#&|~ \n\r中"), max_size=40), any_delimiters()
)
def test_decode_encode_decode_is_stable(raw: str, delimiters: Delimiters) -> None:
    written = raw.replace("\\", delimiters.escape)
    once = decode(written, delimiters)
    assert decode(encode(once, delimiters), delimiters) == once


@given(
    st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters='"'), min_size=1),
    any_delimiters(),
)
def test_text_travels_through_a_message_unchanged(text: str, delimiters: Delimiters) -> None:
    d = delimiters
    field = d.component.join(["a", d.subcomponent.join([encode(text, d), "b"])])
    message = read_text(f"MSH{d.field}{d.encoding_characters}\rZZZ{d.field}{field}{d.repetition}c\r")
    segment = message.segments[1]
    assert segment.repetitions(1) == ((("a",), (text, "b")), (("c",),))
    assert segment.raw(1) == f"{field}{d.repetition}c"


def test_both_standard_and_odd_delimiters_read_the_same_message() -> None:
    standard = read_text("MSH|^~\\&|A\rPID|1||X^^^H&1&ISO~Y||L\\T\\I^W\r")
    odd = read_text("MSH!@*%$!A\rPID!1!!X@@@H$1$ISO*Y!!L%T%I@W\r")
    assert odd.delimiters == ODD
    assert standard.segments[1].repetitions(3) == odd.segments[1].repetitions(3)
    assert (standard.segments[1].first(5), odd.segments[1].first(5)) == ("L&I", "L$I")
