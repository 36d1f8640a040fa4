r"""Writes HL7 v2 messages in ER7, the vertical bar encoding.

It is the opponent of the gateway's reader in tests, so it shares no code with it.

Fields are given as Python values, delimiters and escapes are added here:

    "text"                       a field of one component
    ("a", "b")                   components
    ("a", ("b", "c"))            a component of two sub-components
    ["x", ("y", "z")]            repetitions
    NULL                         the explicit null, two double quotes

Escape sequences after HL7 v2.5.1 section 2.7 (\F\ \S\ \R\ \T\ \E\, \.br\ for a line
break in formatted text, \Xdd\ for other control characters) and v2.7 (\P\ for the
truncation character, when MSH-2 has a fifth one). It does not know message structures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Component = str | tuple[str, ...]
Repetition = str | tuple[Component, ...]
Field = Repetition | Sequence[Repetition]
Fields = Mapping[int, Field]

NULL: Final = '""'
"""The explicit null of HL7 v2.5.1 section 2.5.3; the quotes are no delimiters, so it passes as text."""

_FIRST_PRINTABLE = 0x20


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment to be written: its name and its fields by HL7 number."""

    name: str
    fields: Fields


class Writer:
    """Writes messages with one set of delimiters, one line end and one character set."""

    def __init__(
        self,
        *,
        encoding_characters: str = "^~\\&",
        line_end: str = "\r",
        charset: str = "utf-8",
        trailing_delimiters: int = 0,
    ) -> None:
        """Take MSH-2 as the sender writes it; `charset` is a Python codec, unknown characters become "?"."""
        self._component, self._repetition, self._escape, self._sub_component = tuple(encoding_characters[:4])
        self._encoding_characters = encoding_characters
        self._line_end = line_end
        self._charset = charset
        self._trailing = "|" * trailing_delimiters
        names = {
            "|": "F",
            self._component: "S",
            self._repetition: "R",
            self._sub_component: "T",
            self._escape: "E",
        }
        if len(encoding_characters) > 4:  # noqa: PLR2004 - the fifth is the truncation character
            names[encoding_characters[4]] = "P"
        self._escapes = {
            ord(character): f"{self._escape}{name}{self._escape}" for character, name in names.items()
        }
        for code in range(_FIRST_PRINTABLE):
            self._escapes[code] = f"{self._escape}X{code:02X}{self._escape}"
        self._escapes[ord("\n")] = f"{self._escape}.br{self._escape}"

    def text(self, value: str) -> str:
        """Return `value` with every delimiter and control character escaped."""
        return value.translate(self._escapes)

    def write(self, segments: Sequence[Segment]) -> bytes:
        """Return the message as bytes; the first segment is MSH, whose MSH-1 and MSH-2 are written here."""
        lines = [self._line(segment) for segment in segments]
        return (self._line_end.join(lines) + self._line_end).encode(self._charset, errors="replace")

    def _line(self, segment: Segment) -> str:
        fields = segment.fields
        last = max(fields)
        written = [self._field(fields[number]) if number in fields else "" for number in range(1, last + 1)]
        if segment.name == "MSH":
            return f"MSH|{self._encoding_characters}|{'|'.join(written[2:])}{self._trailing}"
        return f"{segment.name}|{'|'.join(written)}{self._trailing}"

    def _field(self, field: Field) -> str:
        if isinstance(field, str):
            return field.translate(self._escapes) if field else ""
        if isinstance(field, tuple):
            return self._join(field)
        return self._repetition.join(self._field(repetition) for repetition in field)

    def _join(self, components: tuple[Component, ...]) -> str:
        written = [
            self.text(component)
            if isinstance(component, str)
            else self._sub_component.join(map(self.text, component)).rstrip(self._sub_component)
            for component in components
        ]
        return self._component.join(written).rstrip(self._component)
