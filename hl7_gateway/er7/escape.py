r"""The escape sequences of ER7 text: what they read as, and how text is written with them.

HL7 v2.8.2 section 2.7 "Use of escape sequences in text fields", http://www.hl7.eu/HL7v2x/v282/std282/ch02.html
(``\`` stands for the declared escape character):

========================
=====================================================================================
``\F\ \S\ \T\ \R\ \E\``   field, component, sub-component, repetition separator, escape character
``\P\``                   truncation character, when MSH-2 declares one
``\Xdd..\``               bytes in hexadecimal, read in the character set of the message
``\.br\ \.ce\``           new line
``\.sp\ \.spN\``          N new lines (1 when absent)
``\.skN\``                N spaces
``\.fi\ \.nf\ \.inN\``    word wrap and indentation: layout without text, read as ""
``\.tiN\ \H\ \N\``        the same
========================
=====================================================================================

Everything else keeps its characters: locally defined ``\Zdd..\``, the switches of character set ``\Cxxyy\``
and
``\Mxxyyzz\`` (section 2.7.2), an escape character without its partner, a sequence nobody defined,
hexadecimal bytes that the character set cannot read, and hexadecimal control characters other than tab, LF
and CR, which no FHIR string may hold (https://hl7.org/fhir/R4/datatypes.html#string). A reader of
`Segment.raw` still sees what the sender wrote.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from hl7_gateway.er7.delimiters import Delimiters

_SEQUENCE = r"{0}(?:([FSTREPHN])|[Xx]((?:[0-9A-Fa-f]{{2}})+)|\.([A-Za-z]{{2}})([+-]?[0-9]{{0,4}}))?{0}"
_LAYOUT = frozenset({"fi", "nf", "in", "ti"})
_WIDE = ("utf-16", "utf-32")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LONGEST_RUN = 200

Decoder = Callable[[str], str]


@lru_cache(maxsize=256)
def decoder(delimiters: Delimiters, charset: str) -> Decoder:
    """Return the function that decodes text of a message with these delimiters and this Python codec."""
    if not delimiters.escape:
        return str
    escape = re.escape(delimiters.escape)
    sequence = re.compile(_SEQUENCE.format(escape))
    letters = _letters(delimiters)
    byte_charset = "ascii" if charset.startswith(_WIDE) else charset

    def replace(match: re.Match[str]) -> str:
        letter, digits, command, count = match.groups()
        if letter:
            return letters.get(letter, match[0])
        if digits:
            return _hexadecimal(digits, byte_charset, match[0])
        if command:
            return _format(command.lower(), count, match[0])
        return match[0]

    def decode(text: str) -> str:
        return sequence.sub(replace, text)

    return decode


def decode(text: str, delimiters: Delimiters, charset: str = "utf-8") -> str:
    r"""Return text with its escape sequences read.

    >>> decode(r"Smith \T\ Sons\.br\5 \S\ 3", Delimiters())
    'Smith & Sons\n5 ^ 3'
    """
    return decoder(delimiters, charset)(text)


def encode(text: str, delimiters: Delimiters) -> str:
    r"""Return text written so that it stands inside one sub-component and decodes to exactly itself.

    LF becomes ``\.br\``, CR ``\X0D\``. A delimiter that cannot be escaped because MSH-2 declares no escape
    character, and a line end in the same case, raises ValueError.

    >>> encode("Smith & Sons", Delimiters())
    'Smith \\T\\ Sons'
    """
    table = _encoding(delimiters)
    if not delimiters.escape:
        if any(character in table for character in map(ord, text)):
            raise ValueError(
                "the text holds a delimiter or a line end, and the message declares no escape character"
            )
        return text
    return text.translate(table)


def _letters(delimiters: Delimiters) -> dict[str, str]:
    letters = {"F": delimiters.field, "E": delimiters.escape, "H": "", "N": ""}
    optional = {
        "S": delimiters.component,
        "R": delimiters.repetition,
        "T": delimiters.subcomponent,
        "P": delimiters.truncation,
    }
    return letters | {letter: character for letter, character in optional.items() if character}


@lru_cache(maxsize=256)
def _encoding(delimiters: Delimiters) -> dict[int, str]:
    escape = delimiters.escape
    table = {
        character: f"{escape}{letter}{escape}"
        for letter, character in _letters(delimiters).items()
        if character
    }
    # The command for a new line holds a full stop, which some sender may have made a delimiter.
    new_line = "X0A" if "." in table else ".br"
    table |= {"\n": f"{escape}{new_line}{escape}", "\r": f"{escape}X0D{escape}"}
    return str.maketrans(table)


def _hexadecimal(digits: str, charset: str, verbatim: str) -> str:
    try:
        text = bytes.fromhex(digits).decode(charset)
    except UnicodeDecodeError:
        return verbatim
    return verbatim if _CONTROLS.search(text) else text


def _format(command: str, count: str, verbatim: str) -> str:
    if command in ("br", "ce") and not count:
        return "\n"
    if command in _LAYOUT:
        return ""
    if command in ("sp", "sk") and not count.startswith("-"):
        return ("\n" if command == "sp" else " ") * min(int(count or 1), _LONGEST_RUN)
    return verbatim
