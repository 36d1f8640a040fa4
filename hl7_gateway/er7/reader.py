"""Reads ER7 text into a `Message`; tolerant of every line end and framing left-over, never of a loss.

HL7 v2.8.2 sections 2.5 and 2.6, http://www.hl7.eu/HL7v2x/v282/std282/ch02.html. A segment ends with CR; LF,
CRLF, blank lines, a byte order mark, MLLP's block characters and blanks around a message are taken as what
they are. A line that does not begin with a segment id is the rest of a text that held a raw line end: it
continues the segment before it. Several messages in one file are cut by `hl7_gateway.er7.files` first.
"""

import re
from functools import lru_cache

from hie.core.errors import MessageSyntaxError
from hl7_gateway.er7 import charset
from hl7_gateway.er7.delimiters import Delimiters, read_delimiters
from hl7_gateway.er7.message import Message, Segment

_FRAMING = " \t\r\n\x0b\x1c\0\ufeff"
_TAIL = "\r\n\x0b\x1c\0"
_LINE_END = re.compile("\r\n|\r|\n")
_IDENTIFIER = re.compile("[A-Z][A-Z0-9]{2}")
_IDENTIFIER_LENGTH = 3
_ENVELOPES = frozenset({"FHS", "BHS", "BTS", "FTS"})


def read(raw: bytes, *, default_charset: str = "utf-8") -> Message:
    """Return the message in `raw`.

    `default_charset` is used where MSH-18 is empty: a name of table 0211 or of a Python codec. Raises
    MessageSyntaxError when the bytes are not one HL7 v2 message, EncodingError (one of them) when no
    character set reads them.
    """
    decoded = charset.decode(raw, default=default_charset)
    return _read(decoded.text, decoded.charset, decoded.notes)


def read_text(text: str) -> Message:
    """Return the message in text that is decoded already; hexadecimal escapes are taken as UTF-8."""
    return _read(text, "utf-8", [])


def _read(text: str, codec: str, notes: list[str]) -> Message:
    text = text.lstrip(_FRAMING).rstrip(_TAIL)
    if "\n" in text:
        text = _LINE_END.sub("\r", text)
    lines = text.split("\r")
    header = lines[0]
    if not header.startswith("MSH"):
        raise MessageSyntaxError(_not_a_message(header), location="MSH")
    delimiters = read_delimiters(header)
    if delimiters.encoding_characters[2:4] == delimiters.escape * 2:
        notes.append("MSH-2: the escape character is doubled")
    segments = _cut(lines, delimiters, codec)
    if segments is None:
        segments = _cut(_logical_lines(lines, delimiters, notes), delimiters, codec)
    if segments is None:
        raise MessageSyntaxError("a line is neither a segment nor the rest of one")
    return Message(segments, delimiters, codec, notes)


def _cut(lines: list[str], delimiters: Delimiters, codec: str) -> list[Segment] | None:
    """Return a segment for each line, None when a line does not begin with a segment id."""
    field = delimiters.field
    header, *following = lines
    segments = [Segment.header(header.split(field), delimiters, codec)]
    for index, line in enumerate(following, 1):
        fields = line.split(field)
        name = fields[0]
        if len(name) != _IDENTIFIER_LENGTH or not _may_follow(name):
            return None
        segments.append(Segment(fields, index, delimiters, codec))
    return segments


@lru_cache(maxsize=1024)
def _may_follow(name: str) -> bool:
    """Whether a segment of that name may stand behind the header."""
    return _IDENTIFIER.match(name) is not None and name != "MSH"


def _logical_lines(lines: list[str], delimiters: Delimiters, notes: list[str]) -> list[str]:
    """Return one line a segment: blank lines left out, continued segments put together with LF."""
    starts = re.compile(f"({_IDENTIFIER.pattern})(?:{re.escape(delimiters.field)}|$)")
    logical: list[list[str]] = []
    blank: list[str] = []
    continued: set[int] = set()
    for line in lines:
        stripped = line.strip(_FRAMING)
        if not stripped:
            blank.append(line)
            continue
        begins = line.lstrip(_FRAMING)
        start = starts.match(begins)
        if not start:
            continued.add(len(logical))
            logical[-1] += [*blank, line]
        elif start[1] == "MSH" and logical:
            message = f"the text holds more than one MSH segment, the second after {len(logical)} segments"
            raise MessageSyntaxError(message, location="MSH")
        else:
            logical.append([begins])
        blank.clear()
    notes.extend(
        f"{_place(logical, number)}: a line end inside the segment was taken as text"
        for number in sorted(continued)
    )
    return ["\n".join(parts) for parts in logical]


def _place(logical: list[list[str]], number: int) -> str:
    return f"{logical[number - 1][0][:_IDENTIFIER_LENGTH]} (segment {number})"


def _not_a_message(header: str) -> str:
    identifier = header[:_IDENTIFIER_LENGTH]
    if identifier in _ENVELOPES:
        return f"the text begins with {identifier}: it is a batch and has to be cut into its messages"
    return "the text does not begin with an MSH segment"
