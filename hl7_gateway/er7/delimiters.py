"""The message delimiters that MSH-1 and MSH-2 declare.

HL7 v2.8.2 section 2.5.4 "Message delimiters": the field separator is the fourth character of the message;
MSH-2 gives, in this order, the component separator, the repetition separator, the escape character, the
sub-component separator and, since version 2.7, the truncation character. A sender that uses no escapes or
no sub-components may leave the later ones out; a delimiter that is left out is not in use, and the
character is plain text. http://www.hl7.eu/HL7v2x/v282/std282/ch02.html
"""

from dataclasses import dataclass
from functools import lru_cache

from hie.core.errors import MessageSyntaxError

_POSITIONS = (
    "component separator",
    "repetition separator",
    "escape character",
    "sub-component separator",
    "truncation character",
)
_LONGEST = len(_POSITIONS)
_ESCAPE = 2


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters that cut a message; "" for one that MSH-2 does not declare."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""
    encoding_characters: str = "^~\\&"
    """MSH-2 as it was written."""

    def are_in(self, text: str) -> bool:
        """Whether a character of MSH-2 is in `text`: without one a field is a single text."""
        if text.replace("+", "", 1).isalnum() and "+" not in self.encoding_characters:
            return False  # letters and digits, or a time with its offset
        for character in self.encoding_characters:  # noqa: SIM110 - `any` takes three times as long
            if character in text:
                return True
        return False


def read_delimiters(header: str) -> Delimiters:
    r"""Return the delimiters of a message from its MSH segment (or of a batch from its FHS or BHS segment).

    MSH-2 with the escape character doubled (``^~\\&``), which senders write that escaped the text once too
    often, is read as if it were single. Raises MessageSyntaxError when the separator is missing, when one
    character has two roles, or when a role falls to a letter, a digit, a quote or a control character that
    ends segments.

    >>> read_delimiters("MSH|^~\\&#|HIS").truncation
    '#'
    """
    field = header[3:4]
    _check(field, "field separator", "MSH-1")
    written = header[4:].split(field, 1)[0]
    # What is longer than any MSH-2 is refused, and is not to be held.
    return (_known if len(written) <= _LONGEST + 1 else _declared)(field, written)


def _declared(field: str, written: str) -> Delimiters:
    declared = written
    if len(written) > _ESCAPE + 1 and written[_ESCAPE] == written[_ESCAPE + 1]:
        declared = written[:_ESCAPE] + written[_ESCAPE + 1 :]
    if len(declared) > _LONGEST:
        message = f"MSH-2 declares {len(declared)} encoding characters, at most {_LONGEST} have a meaning"
        raise MessageSyntaxError(message, location="MSH-2")
    taken = {field: "field separator"}
    for character, role in zip(declared, _POSITIONS, strict=False):
        _check(character, role, "MSH-2")
        if character in taken:
            message = (
                f"MSH-2 gives the {role} the character {character!r}, which is the {taken[character]} already"
            )
            raise MessageSyntaxError(message, location="MSH-2")
        taken[character] = role
    component, repetition, escape, subcomponent, truncation = (*declared, *[""] * (_LONGEST - len(declared)))
    return Delimiters(field, component, repetition, escape, subcomponent, truncation, written)


_known = lru_cache(maxsize=64)(_declared)


def _check(character: str, role: str, location: str) -> None:
    if not character:
        raise MessageSyntaxError(f"the message ends before the {role}", location=location)
    if character.isalnum() or character in '\r\n"':
        raise MessageSyntaxError(f"the {role} cannot be {character!r}", location=location)
