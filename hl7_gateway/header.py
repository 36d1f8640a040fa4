"""The MSH of a received message as its acknowledgment needs it: fields to echo, delimiters, charset.

Not the reader: this takes an MSH also from bytes that the reader refuses, as far as one can be made out.
HL7 v2.5.1 section 2.15.9, http://www.hl7.eu/HL7v2x/v251/std251/ch02.html.
"""

import re
from dataclasses import dataclass

from hl7_gateway.er7 import charset
from hl7_gateway.er7.delimiters import Delimiters
from hl7_gateway.er7.escape import encode
from hl7_gateway.er7.message import Message

_MSH = re.compile(rb"MSH([!-/:-@\[-`{-~])([^\r\n]*)")
_MARKS = re.compile(r"[!#-/:-@\[-`{-~]+")
# A head is looked for near the beginning: further on, "MSH" is text of some field.
_SEARCHED_BYTES = 512
_LONGEST_FIELD = 500
_TYPE = 9
_CONTROL_ID = 10
_VERSION = 12
_CHARACTER_SET = 18
_WIDE = ("utf-16", "utf-32")


@dataclass(frozen=True, slots=True)
class Header:
    """What can be echoed: `fields[n]` is the raw text of MSH-n, `charset` a Python codec.

    `event` is the decoded trigger event ("A01"), "" when unknown.
    """

    delimiters: Delimiters
    fields: tuple[str, ...]
    event: str
    charset: str

    def raw(self, field: int) -> str:
        """Return the raw text of MSH-`field`, "" when absent."""
        return self.fields[field] if field < len(self.fields) else ""

    @property
    def control_id(self) -> str:
        """MSH-10 as written."""
        return self.raw(_CONTROL_ID)

    @property
    def version(self) -> tuple[int, ...]:
        """MSH-12.1 as numbers ((2, 5, 1)); () when it is none."""
        text = self.raw(_VERSION)
        if self.delimiters.component:
            text = text.split(self.delimiters.component, 1)[0]
        parts = text.strip().split(".")
        return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else ()

    def escape(self, text: str) -> str:
        """Return `text` so that it stands inside one sub-component of the acknowledgment."""
        try:
            return encode(text, self.delimiters)
        except ValueError:
            # No escape character is declared: a delimiter in free text becomes a blank.
            marks = self.delimiters
            taken = (marks.field, marks.component, marks.repetition, marks.subcomponent, "\r", "\n")
            return text.translate({ord(character): " " for character in taken if character})


# The header of an answer to bytes in which no MSH can be made out.
UNKNOWN = Header(Delimiters(), ("MSH", "|", "^~\\&", *[""] * 8, "P", "2.5"), "", "ascii")


def header_of(message: Message) -> Header:
    """Return the header of a message that was read."""
    segment = message.header
    fields = ("MSH", *[segment.raw(number) for number in range(1, segment.field_count() + 1)])
    return Header(message.delimiters, fields, message.event, message.charset)


def header_from(raw: bytes) -> Header:
    """Return the header of bytes that could not be read, `UNKNOWN` when there is none in them."""
    found = _MSH.search(raw, 0, _SEARCHED_BYTES + len(raw[_SEARCHED_BYTES:].split(b"\r", 1)[0]))
    if found is None or found.start() > _SEARCHED_BYTES:
        return UNKNOWN
    separator = found[1].decode("ascii")
    text, codec = _decode(found[2], found[1])
    cut = [part[:_LONGEST_FIELD] for part in text.split(separator)]
    delimiters = _delimiters(separator, cut[0])
    fields = ("MSH", separator, delimiters.encoding_characters, *cut[1:])
    kind = fields[_TYPE].split(delimiters.component) if len(fields) > _TYPE and delimiters.component else []
    return Header(delimiters, fields, kind[1] if len(kind) > 1 else "", codec)


def _decode(text: bytes, separator: bytes) -> tuple[str, str]:
    """Return the text of an MSH and the codec that reads it; what none reads is echoed as "?"."""
    cut = text.split(separator)
    declared = cut[_CHARACTER_SET - 2].decode("ascii", "ignore") if len(cut) > _CHARACTER_SET - 2 else ""
    for codec in (charset.codec(declared), "utf-8", "gb18030"):
        if codec is None or codec.startswith(_WIDE):
            continue
        try:
            return text.decode(codec), codec
        except UnicodeDecodeError:
            continue
    return text.decode("ascii", "replace").replace("\ufffd", "?"), "ascii"


def _delimiters(separator: str, declared: str) -> Delimiters:
    marks = [*declared[:5], *[""] * (5 - len(declared[:5]))]
    is_distinct = len({separator, *declared}) == len(declared) + 1 <= len(marks) + 1
    if not declared or not is_distinct or not _MARKS.fullmatch(declared):
        return Delimiters(field=separator)
    return Delimiters(separator, marks[0], marks[1], marks[2], marks[3], marks[4], declared)
