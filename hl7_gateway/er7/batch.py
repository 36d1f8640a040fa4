"""Cuts a file or a stream of text into the messages that it holds.

A message begins where a line begins with MSH. The segments of the batch protocol (FHS, BHS, BTS, FTS; HL7
v2.8.2 section 2.10.3, http://www.hl7.eu/HL7v2x/v282/std282/ch02.html) are kept apart as the envelope, and
what belongs to neither, such as the comments of a collection of samples, is reported. Nothing is decoded
here, and the bytes of each message are those of the file.
"""

import re
from dataclasses import dataclass, field

from hl7_gateway.er7 import charset

_START = re.compile(rb"(?:\xef\xbb\xbf)?(?:(MSH)|FHS|BHS|BTS|FTS)(?=[^A-Za-z0-9]|$)")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|$)")
_SEGMENT = re.compile(rb"[ \t\x0b\x1c\0]*[A-Z][A-Z0-9]{2}(?=[^A-Za-z0-9\s]|\s*$)")
_COMMENT = (b"#", b"//", b"--")
_BLANK = b" \t\r\n\x0b\x1c\0"


@dataclass(frozen=True, slots=True)
class Stray:
    """Bytes between messages that belong to none; `line` is the 1-based number of their first line.

    The content may be anything, a patient's text included: report its place and length, never the content.
    """

    line: int
    content: bytes


@dataclass(slots=True)
class Batch:
    """What a file holds: messages, segments of its envelope, strays; each in the order of the file."""

    messages: list[bytes] = field(default_factory=list)
    envelope: list[bytes] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)


def split(raw: bytes) -> list[bytes]:
    """Return the messages in `raw`; [] when no line begins with MSH."""
    return read_batch(raw).messages


def read_batch(raw: bytes) -> Batch:
    """Return the messages, the envelope and the strays in `raw`.

    Raises EncodingError for broken UTF-16 or UTF-32.
    """
    wide = charset.wide_codec(raw)
    if not wide:
        return _cut(raw)
    batch = _cut(charset.decode(raw, default=wide).text.encode())
    return Batch(
        [content.decode().encode(wide) for content in batch.messages],
        [content.decode().encode(wide) for content in batch.envelope],
        [Stray(stray.line, stray.content.decode().encode(wide)) for stray in batch.strays],
    )


def _cut(raw: bytes) -> Batch:
    batch = Batch()
    starts = [start for start in _START.finditer(raw) if _begins_a_line(raw, start.start())]
    _stray(batch, raw, 0, starts[0].start() if starts else len(raw))
    for number, start in enumerate(starts):
        begin = start.start()
        end = starts[number + 1].start() if number + 1 < len(starts) else len(raw)
        if start[1]:
            stop = _end_of_message(raw, begin, end, is_last=number + 1 == len(starts))
            batch.messages.append(raw[begin:stop].rstrip(_BLANK[2:]))
        else:
            stop = _LINE.match(raw, begin, end).end()  # type: ignore[union-attr]  # the pattern matches the empty line too
            batch.envelope.append(raw[begin:stop].rstrip(_BLANK[2:]))
        _stray(batch, raw, stop, end)
    return batch


def _begins_a_line(raw: bytes, at: int) -> bool:
    while at and raw[at - 1] in b" \t\0":
        at -= 1
    return at == 0 or raw[at - 1] in b"\r\n\x0b\x1c"


def _end_of_message(raw: bytes, begin: int, end: int, *, is_last: bool) -> int:
    """Return where the last segment ends, with the lines that continue it.

    Before another message a blank line ends the continuation; the last message of a file has nothing to be
    told apart from.
    """
    stop = begin
    is_open = True
    for line in _LINE.finditer(raw, begin, end):
        content = line[0].strip(_BLANK)
        if _SEGMENT.match(line[0]):
            stop, is_open = line.end(), True
        elif content.startswith(_COMMENT) or not (content or is_last):
            is_open = False
        elif is_open:
            stop = line.end()
    return stop


def _stray(batch: Batch, raw: bytes, begin: int, end: int) -> None:
    content = raw[begin:end].strip(_BLANK)
    if content:
        first = raw.index(content, begin)
        batch.strays.append(Stray(len(re.findall(rb"\r\n|\r|\n", raw[:first])) + 1, content))
