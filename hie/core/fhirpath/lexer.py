"""FHIRPath text into tokens (https://hl7.org/fhirpath/N1/grammar.html, the lexical rules at its end).

A token has the `kind` that the parser asks for, its `text` with escapes resolved, and the place where it
begins. Comments and white space are dropped.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from hie.core.language_errors import FhirPathSyntaxError

Kind = Literal["end", "name", "quoted", "string", "number", "date", "datetime", "time", "sign", "variable"]

# An expression is a line or a page, not a file: the longest of R4's own has 1,100 characters.
LONGEST: Final = 20_000

_TIME = r"\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?"
_TOKEN: Final = re.compile(
    rf"""
      (?P<space>   [ \t\r\n]+ | //[^\r\n]* | /\*.*?\*/ )
    | (?P<datetime>@\d{{4}}(?:-\d{{2}}(?:-\d{{2}})?)?T(?:{_TIME}(?:Z|[+-]\d{{2}}:\d{{2}})?)?)
    | (?P<date>    @\d{{4}}(?:-\d{{2}}(?:-\d{{2}})?)?)
    | (?P<time>    @T{_TIME})
    | (?P<number>  \d+(?:\.\d+)?)
    | (?P<name>    [A-Za-z_][A-Za-z0-9_]*|\$(?:this|index|total))
    | (?P<string>  '(?:[^'\\]|\\.)*')
    | (?P<quoted>  `(?:[^`\\]|\\.)*`)
    | (?P<sign>    <=|>=|!=|!~|[.,()\[\]{{}}|+\-*/&<>=~%])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED: Final = {
    "'": "'",
    '"': '"',
    "`": "`",
    "r": "\r",
    "n": "\n",
    "t": "\t",
    "f": "\f",
    "\\": "\\",
    "/": "/",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an expression, beginning at character `at`."""

    kind: Kind
    text: str
    at: int


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of `text`, with one of kind "end" after the last. Raises FhirPathSyntaxError."""
    if len(text) > LONGEST:
        raise FhirPathSyntaxError(f"The expression has {len(text)} characters; {LONGEST} are taken")
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FhirPathSyntaxError(f"`{text}` cannot be read from `{text[at : at + 20]}` on")
        kind, word = match.lastgroup, match[0]
        if kind in {"string", "quoted"}:
            found.append(Token("string" if kind == "string" else "quoted", _unescaped(word[1:-1], text), at))
        elif kind != "space":
            found.append(Token(kind, word, at))  # type: ignore[arg-type] # the names of the groups are kinds
        at = match.end()
    found.append(Token("end", "", at))
    return found


def _unescaped(text: str, expression: str) -> str:
    def resolve(match: re.Match[str]) -> str:
        word = match[1]
        if len(word) > 1:  # uXXXX
            return chr(int(word[1:], 16))
        if word not in _ESCAPED:
            raise FhirPathSyntaxError(
                f"`{expression}` has the escape `\\{word}`, which FHIRPath does not know"
            )
        return _ESCAPED[word]

    return _ESCAPE.sub(resolve, text) if "\\" in text else text
