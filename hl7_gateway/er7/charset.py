"""The character set of a message: what MSH-18 declares, and what its bytes are.

MSH-18 (HL7 v2.8.2 section 2.14.9.18, table 0211, https://terminology.hl7.org/CodeSystem-v2-0211.html) names
the character sets of the message, the first repetition being the default. Senders declare wrongly, and a
wrong guess is unreadable text in a record. So the declaration is tried first; what it cannot read is tried
in the other repetitions, UTF-8, the sender's configured character set and GB18030; each such change is
noted; bytes that nothing reads are refused with their position. Declarations that hardly ever fail by
themselves are checked against the bytes: single-byte sets read everything, and GB18030 reads most UTF-8
text as other ideographs (`hl7_gateway.er7.plausibility`).
"""

import codecs
import re
from functools import lru_cache
from typing import NamedTuple

from hie.core.errors import EncodingError
from hl7_gateway.er7 import plausibility

# Names of table 0211 and names found in their place, upper case, without blanks, "-", "_" and "/". GB2312
# and GBK are read as their superset GB18030 (https://encoding.spec.whatwg.org/#names-and-labels). CNS
# 11643-1992 has no Python codec.
_CODECS = {
    "ASCII": "ascii",
    "USASCII": "ascii",
    "ISOIR6": "ascii",
    "ISOIR14": "shift_jis",
    "ISOIR87": "iso2022_jp_2",
    "ISOIR159": "iso2022_jp_2",
    "GB18030": "gb18030",
    "GB180302000": "gb18030",
    "GB180302005": "gb18030",
    "GB180302022": "gb18030",
    "GBK": "gb18030",
    "CP936": "gb18030",
    "GB2312": "gb18030",
    "GB231280": "gb18030",
    "GB23121980": "gb18030",
    "EUCCN": "gb18030",
    "KSX1001": "euc_kr",
    "BIG5": "big5",
    "BIG5HKSCS": "big5hkscs",
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "UNICODEUTF16": "utf-16",
    "UTF16": "utf-16",
    "UNICODEUTF32": "utf-32",
    "UTF32": "utf-32",
}
_LATIN = re.compile(r"(?:ISO)?8859(1[0-6]|[1-9])")
_PUNCTUATION = re.compile(r"[\s\-_/]+")
# The longer mark first: that of UTF-32 little endian begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE_STARTS = re.compile(
    rb"[\x0b\s]*(?:(?P<utf_32_le>[MFB]\0\0\0[SH]\0\0\0)|(?P<utf_16_le>[MFB]\0[SH]\0[HS]\0))"
    rb"|(?P<utf_32_be>\0\0\0[MFB]\0\0\0[SH])|(?P<utf_16_be>\0[MFB]\0[SH]\0[HS])"
)
_WIDE = ("utf-16", "utf-32")
_HEADER = re.compile(rb"(?:^|[\r\n\x0b])[ \t]*(MSH[^\r\n]*)")
_CHARACTER_SET = 17
_LONGEST_NAME = 40
_ESCAPE_CONTROL = b"\x1b"


class Decoded(NamedTuple):
    """Text, the Python codec that read it, and in words what had to be tolerated."""

    text: str
    charset: str
    notes: list[str]


@lru_cache(maxsize=256)
def codec(name: str) -> str | None:
    """Return the Python codec of a name of table 0211, None when it is unknown or has none.

    >>> codec("GB 18030-2000"), codec("8859/1"), codec("UNICODE UTF-8")
    ('gb18030', 'iso8859_1', 'utf-8')
    """
    key = _PUNCTUATION.sub("", name.strip().upper())
    latin = _LATIN.fullmatch(key)
    if latin:
        return None if latin[1] == "12" else f"iso8859_{latin[1]}"
    return _CODECS.get(key)


def decode(raw: bytes, *, default: str) -> Decoded:
    """Return the text of a message or of a file, without byte order mark.

    `default` is the character set of a sender that declares none: a name of table 0211 or of a Python codec
    (LookupError otherwise). Raises EncodingError with the byte position when no plausible character set
    reads the bytes.
    """
    mark, marked = _mark(raw)
    if marked and marked != "utf-8":
        return _decode_wide(raw, len(mark), marked)
    body = raw[len(mark) :]
    fallback = marked or codec(default) or codecs.lookup(default).name
    declared, notes = _declared(body, fallback)
    if body.isascii() and _ESCAPE_CONTROL not in body:
        charset = (declared or [fallback])[0]
        return Decoded(body.decode("ascii"), "utf-8" if charset.startswith(_WIDE) else charset, notes)
    return _decode_tried(body, _order(body, declared, fallback, marked), notes, offset=len(mark))


def wide_codec(raw: bytes) -> str:
    """Return the codec of UTF-16 or UTF-32 text, known by its mark or zero bytes; "" for all else."""
    charset = _mark(raw)[1]
    return charset if charset.startswith(_WIDE) else ""


def _decode_tried(body: bytes, candidates: list[str], notes: list[str], *, offset: int) -> Decoded:
    expected = candidates[0]
    failure: UnicodeDecodeError | None = None
    for candidate in candidates:
        try:
            text = body.decode(candidate)
        except UnicodeDecodeError as error:
            failure = failure or error
            continue
        better = plausibility.better(body, text, candidate)
        if better is None:
            failure = failure or plausibility.fault(body, candidate)
            continue
        if better != candidate:
            text = body.decode(better)
        elif plausibility.is_ambiguous(body, candidate):
            notes.append(f"MSH-18: the bytes were read as {candidate}, and are UTF-8 as well")
        if better != expected:
            notes.append(f"MSH-18: the bytes are not {expected}; they were read as {better}")
        return Decoded(text, better, notes)
    start = failure.start if failure else 0
    place = f"byte {start + offset} (0x{body[start]:02X})"
    message = f"{place} is not {expected}, and no other character set reads the message"
    raise EncodingError(message, location="MSH-18")


def _decode_wide(raw: bytes, start: int, charset: str) -> Decoded:
    try:
        return Decoded(raw[start:].decode(charset), charset, [])
    except UnicodeDecodeError as error:
        position = start + error.start
        raise EncodingError(f"byte {position} is not {charset}", location="MSH-18") from error


def _mark(raw: bytes) -> tuple[bytes, str]:
    for mark, charset in _MARKS:
        if raw.startswith(mark):
            return mark, charset
    if b"\0" in raw[:24]:
        wide = _WIDE_STARTS.match(raw)
        if wide and wide.lastgroup:
            return b"", wide.lastgroup.replace("_", "-")
    return b"", ""


def _order(body: bytes, declared: list[str], fallback: str, marked: str) -> list[str]:
    """Return the codecs to try, the expected one first."""
    candidates = ([marked] if marked else []) + declared
    if _ESCAPE_CONTROL in body:
        # ISO 2022 switches character sets by ESC sequences inside a message whose first declared set is
        # ASCII.
        candidates.sort(key=lambda name: not name.startswith("iso2022"))
    if not candidates:
        candidates.append(fallback)
    if "iso8859_1" in candidates:
        # Windows senders write cp1252 and call it 8859/1.
        candidates.append("cp1252")
    return list(
        dict.fromkeys(
            [name for name in [*candidates, "utf-8", fallback, "gb18030"] if not name.startswith(_WIDE)]
        )
    )


def _declared(body: bytes, fallback: str) -> tuple[list[str], list[str]]:
    """Return the codecs that MSH-18 declares, and notes about names that are no character set."""
    found = _HEADER.search(body)
    if not found:
        return [], []
    declared, notes = [], []
    for name in _names(found[1], fallback):
        known = codec(name[:_LONGEST_NAME])
        if known:
            declared.append(known)
        elif name:
            notes.append(f"MSH-18: no character set is called {name[:_LONGEST_NAME]!r}")
    return declared, notes


def _names(header: bytes, fallback: str) -> list[str]:
    if header.isascii():
        return _names_in(header.decode("ascii"))
    # The second byte of a GB18030 or Big5 character may look like a delimiter, so the place of MSH-18
    # depends on the character set that it declares: the reading that declares itself is the right one.
    readings = []
    for view in ("utf-8", fallback, "latin-1", "gb18030", "big5", "shift_jis"):
        try:
            names = _names_in(header.decode(view))
        except UnicodeDecodeError:
            continue
        readings.append(names)
        if any(_reads_itself(header, name, names) for name in names):
            return names
    return readings[0]


def _reads_itself(header: bytes, name: str, names: list[str]) -> bool:
    charset = codec(name)
    if not charset or charset.startswith(_WIDE):
        return False
    try:
        return _names_in(header.decode(charset)) == names
    except UnicodeDecodeError:
        return False


def _names_in(header: str) -> list[str]:
    fields = header.split(header[3]) if len(header) > 3 else []  # noqa: PLR2004 - after "MSH"
    if len(fields) <= _CHARACTER_SET:
        return []
    repetition = fields[1][1:2]
    names = fields[_CHARACTER_SET].split(repetition) if repetition else [fields[_CHARACTER_SET]]
    return [name for name in names if name.strip()]
