"""Character sets: declared rightly, wrongly, unknown, or not at all."""

import codecs

import pytest

from hie.core.errors import EncodingError
from hl7_gateway.er7.charset import codec
from hl7_gateway.er7.message import Message
from hl7_gateway.er7.reader import read

# 𠮷 (U+20BB7) and 㐂 take four bytes in GB18030, 啊 two.
RARE = "𠮷㐂啊"
NAME = "欧阳明轩"


def _raw(charset: str, declared: str, text: str = NAME, sender: str = "HIS") -> bytes:
    return (
        f"MSH|^~\\&|{sender}|HOSP|HIE|CITY|20260301||ADT^A01|1|P|2.5.1||||||{declared}\r"
        f"PID|1||100||{text}^{text}\rNTE|1||{text}，门诊复查\r"
    ).encode(charset)


def _short(charset: str, declared: str, text: str) -> bytes:
    header = f"MSH|^~\\&|HIS|HOSP|HIE|CITY|20260301||ADT^A01|1|P|2.5.1||||||{declared}"
    return f"{header}\rPID|1||100||{text}\r".encode(charset)


def _names(message: Message) -> str:
    return message.segments[1].first(5)


@pytest.mark.parametrize(
    ("declared", "charset"),
    [
        ("GB18030", "gb18030"),
        ("GB 18030-2000", "gb18030"),
        ("gb18030", "gb18030"),
        ("GBK", "gbk"),
        ("GB2312", "gb2312"),
        ("GB 2312-80", "gb2312"),
        ("UNICODE UTF-8", "utf-8"),
        ("UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ("UNICODE", "utf-8"),
        ("~GB18030", "gb18030"),
        ("ASCII~GB18030", "gb18030"),
    ],
)
def test_declared_character_set_is_read(declared: str, charset: str) -> None:
    message = read(_raw(charset, declared))
    assert _names(message) == NAME
    assert message.segments[2].first(3) == f"{NAME}，门诊复查"
    assert message.charset == ("utf-8" if charset == "utf-8" else "gb18030")


@pytest.mark.parametrize(
    ("declared", "charset", "text"),
    [
        ("BIG-5", "big5", "歐陽明軒"),
        ("8859/1", "iso8859_1", "Müller Åse"),
        ("8859/2", "iso8859_2", "Dvořák"),
        ("8859/5", "iso8859_5", "Иванов"),
        ("8859/15", "iso8859_15", "Œuvré €"),
        ("ISO-8859-1", "iso8859_1", "Müller"),
        ("KS X 1001", "euc_kr", "김철수"),
        ("ISO IR14", "shift_jis", "ﾔﾏﾀﾞ"),
        ("~ISO IR87", "iso2022_jp", "山田"),
        ("ISO IR87", "iso2022_jp", "山田"),
    ],
)
def test_other_character_sets_of_table_0211_are_read(declared: str, charset: str, text: str) -> None:
    message = read(_short(charset, declared, text))
    assert (_names(message), message.notes) == (text, [])


def test_four_byte_characters_of_gb18030_are_read() -> None:
    raw = _raw("gb18030", "GB18030", RARE)
    assert len(RARE.encode("gb18030")) == 10
    message = read(raw)
    assert (_names(message), message.charset, message.notes) == (RARE, "gb18030", [])


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("has_mark", [True, False])
def test_wide_unicode_is_read_with_and_without_mark(charset: str, *, has_mark: bool) -> None:
    marks = {
        "utf-16-le": codecs.BOM_UTF16_LE,
        "utf-16-be": codecs.BOM_UTF16_BE,
        "utf-32-le": codecs.BOM_UTF32_LE,
        "utf-32-be": codecs.BOM_UTF32_BE,
    }
    message = read((marks[charset] if has_mark else b"") + _raw(charset, "UNICODE UTF-16", RARE))
    assert (_names(message), message.charset, message.notes) == (RARE, charset, [])


def test_utf_8_mark_outweighs_the_default() -> None:
    message = read(codecs.BOM_UTF8 + _raw("utf-8", ""), default_charset="gb18030")
    assert (_names(message), message.charset, message.notes) == (NAME, "utf-8", [])


@pytest.mark.parametrize("default", ["utf-8", "gb18030", "GB 18030-2000", "UNICODE UTF-8", "big5"])
def test_absent_declaration_takes_the_default_of_the_sender(default: str) -> None:
    charset = codec(default) or default
    text = "歐陽明軒" if default == "big5" else NAME
    raw = f"MSH|^~\\&|HIS|HOSP\rPID|1||100||{text}\r".encode(charset)
    message = read(raw, default_charset=default)
    assert (_names(message), message.charset, message.notes) == (text, charset, [])


@pytest.mark.parametrize(
    ("actual", "declared", "default"),
    [
        ("gb18030", "UNICODE UTF-8", "utf-8"),
        ("utf-8", "GB18030", "gb18030"),
        ("utf-8", "GBK", "utf-8"),
        ("gb18030", "ASCII", "utf-8"),
        ("utf-8", "ASCII", "gb18030"),
        ("utf-8", "8859/1", "gb18030"),
        ("gb2312", "8859/1", "utf-8"),
        ("utf-8", "", "gb18030"),
        ("gb18030", "", "utf-8"),
        ("utf-8", "BIG-5", "utf-8"),
    ],
)
def test_wrong_declaration_is_read_as_what_the_bytes_are_and_noted(
    actual: str, declared: str, default: str
) -> None:
    message = read(_raw(actual, declared), default_charset=default)
    assert _names(message) == NAME
    assert message.charset == ("utf-8" if actual == "utf-8" else "gb18030")
    assert len(message.notes) == 1
    assert message.notes[0].startswith("MSH-18: the bytes are not ")


def test_unknown_declaration_is_noted_and_the_default_taken() -> None:
    message = read(_raw("gb18030", "KLINGON"), default_charset="gb18030")
    assert (_names(message), message.notes) == (NAME, ["MSH-18: no character set is called 'KLINGON'"])


def test_windows_text_called_8859_1_is_read_as_what_windows_writes() -> None:
    message = read(_short("cp1252", "8859/1", "O\u2019Hara"))
    assert _names(message) == "O\u2019Hara"
    assert message.notes == ["MSH-18: the bytes are not iso8859_1; they were read as cp1252"]


@pytest.mark.parametrize("sender", ["医院", "第一人民医院", "\u9ef1"])
def test_declaration_is_found_behind_characters_whose_bytes_look_like_delimiters(sender: str) -> None:
    # 黱 is FC 7C in GBK: its second byte is the field separator.
    message = read(_raw("gb18030", "GB18030", NAME, sender), default_charset="utf-8")
    assert (message.header.first(3), _names(message), message.charset) == (sender, NAME, "gb18030")
    assert message.notes == []


def test_delimiters_inside_two_byte_characters_do_not_cut() -> None:
    text = "".join(
        bytes([lead, trail]).decode("gb18030")
        for lead in (0x81, 0xA8, 0xFC)
        for trail in (0x5C, 0x5E, 0x7C, 0x7E)
    )
    message = read(_raw("gb18030", "GB18030", text))
    assert message.segments[1].repetitions(5) == (((text,), (text,)),)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (b"\xff\xff", 0),
        ("欧阳明轩门诊复查".encode()[:-1], 21),
        ("欧阳明轩门诊".encode() + b"\x80", 18),
        (NAME.encode("gb18030") + b"\x80", 2),
    ],
)
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("declared", ["", "UNICODE UTF-8"])
def test_bytes_of_no_character_set_are_refused_with_their_position(
    text: bytes, wrong: int, mark: bytes, declared: str
) -> None:
    raw = mark + _short("utf-8", declared, "@").replace(b"@", text)
    position = raw.index(text) + wrong
    with pytest.raises(EncodingError, match=rf"^byte {position} \(0x{raw[position]:02X}\)") as caught:
        read(raw)
    assert caught.value.location == "MSH-18"


def test_declared_gb18030_is_believed_for_short_names_too() -> None:
    # These ideographs are valid UTF-8 by accident, as pairs of Latin, Greek or Cyrillic letters.
    ideographs = [
        bytes([lead, trail]).decode("gb2312") for lead in range(0xC2, 0xD7) for trail in range(0xA1, 0xC0)
    ]
    for name in map("".join, zip(ideographs, reversed(ideographs), strict=True)):
        message = read(_short("gb18030", "GB18030", name), default_charset="utf-8")
        assert _names(message) == name
        assert message.notes == ["MSH-18: the bytes were read as gb18030, and are UTF-8 as well"]


def test_declared_gb18030_is_believed_where_the_bytes_are_two_rare_ideographs_of_utf_8() -> None:
    name = bytes.fromhex("E5A1B0E5B0A1").decode("gb18030")
    assert name.encode("gb18030").decode("utf-8") == "塰尡"
    message = read(_short("gb18030", "GB18030", name))
    assert (_names(message), message.charset) == (name, "gb18030")
    assert message.notes == ["MSH-18: the bytes were read as gb18030, and are UTF-8 as well"]


def test_cut_utf_16_is_refused() -> None:
    with pytest.raises(EncodingError, match="utf-16-le"):
        read(codecs.BOM_UTF16_LE + "MSH|^~\\&|HIS".encode("utf-16-le") + b"\0")


def test_utf_8_text_cut_in_a_character_is_never_read_as_other_ideographs() -> None:
    for declared in ("", "GB18030", "UNICODE UTF-8"):
        raw = _raw("utf-8", declared)
        broken = raw[: raw.rindex(b"\r") - 1] + b"\r"
        with pytest.raises(EncodingError):
            read(broken)


def test_unknown_codec_of_the_setting_is_an_error_of_the_setting() -> None:
    with pytest.raises(LookupError, match="klingon"):
        read(b"MSH|^~\\&|HIS\r", default_charset="klingon")
