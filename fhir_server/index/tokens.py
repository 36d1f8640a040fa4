"""Rows of ix_token: codes, codings, identifiers, contact points, booleans and texts.

What of a value a token search sees is the table of
https://hl7.org/fhir/R4/search.html#token.
"""

from collections.abc import Callable
from typing import Final

from fhir_server.index.hashing import NO_CODE, NO_SYSTEM, hash32, hash64
from fhir_server.index.rows import IndexRows
from fhir_server.index.walker import Emit
from hie.core.fhir.json import Json

# A token of a value: hash of the code, hash of its system, the code.
Token = tuple[int, int, str]
Tokens = Callable[[Json], list[Token]]

_PRIMITIVES: Final = frozenset(
    {
        "code",
        "string",
        "id",
        "uri",
        "url",
        "canonical",
        "oid",
        "uuid",
        "markdown",
        "date",
        "dateTime",
        "instant",
    }
)
# A value is there, but no code to find it by.
_UNCODED: Final[list[Token]] = [(NO_CODE, NO_SYSTEM, "")]
_PUNCTUATION: Final = str.maketrans("", "", " -().")


def tokens_of(kind: str, system: str | None) -> Tokens | None:
    """Return what reads the tokens of a value of FHIR type `kind`, None where a type has none.

    `system` is that of a `code`'s required value set.
    """
    if kind in _PRIMITIVES:
        return _primitive(hash32(system))
    return _READERS.get(kind)


def token_emit(tokens: Tokens, params: tuple[int, ...]) -> Emit:
    """Return what adds the rows of a value for each of `params`."""
    if len(params) == 1:
        param = params[0]

        def emit_one(value: Json, rows: IndexRows) -> None:
            for code, system, text in tokens(value):
                rows.token.append((param, code, system))
                rows.codes[code] = text

        return emit_one

    def emit(value: Json, rows: IndexRows) -> None:
        for code, system, text in tokens(value):
            rows.codes[code] = text
            for param in params:
                rows.token.append((param, code, system))

    return emit


def of_type_key(code: str, value: str) -> int:
    """Return the code hash under which an Identifier of type `code` stands for ``:of-type``."""
    return hash64(f"{code}|{value}")


def of_type_tokens(value: Json) -> list[Token]:
    """Return a token for each coding of an Identifier's type, the system being the coding's."""
    if type(value) is not dict or type(value.get("value")) is not str:
        return []
    kind = value.get("type")
    codings = kind.get("coding") if type(kind) is dict else None
    return [
        (of_type_key(coding["code"], value["value"]), hash32(_text(coding.get("system"))), value["value"])
        for coding in (codings if type(codings) is list else ())
        if type(coding) is dict and type(coding.get("code")) is str
    ]


def without_punctuation(number: str) -> str:
    """Return a telephone number without what people put between its digits."""
    return number.translate(_PUNCTUATION)


def _text(value: Json) -> str | None:
    return value if type(value) is str else None


def _primitive(system: int) -> Tokens:
    def read(value: Json) -> list[Token]:
        return [(hash64(value), system, value)] if type(value) is str else []

    return read


def _boolean(value: Json) -> list[Token]:
    if type(value) is not bool:
        return []
    code = "true" if value else "false"
    return [(hash64(code), NO_SYSTEM, code)]


def _integer(value: Json) -> list[Token]:
    return [(hash64(str(value)), NO_SYSTEM, str(value))] if type(value) is int else []


def _coding(value: Json) -> list[Token]:
    return _value_in_system(value, "code")


def _codeable_concept(value: Json) -> list[Token]:
    if type(value) is not dict:
        return []
    codings = value.get("coding")
    if type(codings) is not list:
        return _UNCODED
    found: list[Token] = []
    for coding in codings:
        found += _coding(coding)
    return found or _UNCODED


def _identifier(value: Json) -> list[Token]:
    return _value_in_system(value, "value")


def _value_in_system(value: Json, name: str) -> list[Token]:
    if type(value) is not dict:
        return []
    text = value.get(name)
    if type(text) is not str:
        return _UNCODED
    system = value.get("system")
    return [(hash64(text), hash32(system if type(system) is str else None), text)]


def _contact_point(value: Json) -> list[Token]:
    """Return the value as written and, for numbers, without punctuation.

    ContactPoint.system ("phone") is not a namespace and takes no part.
    """
    if type(value) is not dict:
        return []
    text = value.get("value")
    if type(text) is not str:
        return _UNCODED
    found = [(hash64(text), NO_SYSTEM, text)]
    if value.get("system") != "email":
        bare = without_punctuation(text)
        if bare != text:
            found.append((hash64(bare), NO_SYSTEM, bare))
    return found


def _codings_of_reference(value: Json) -> list[Token]:
    return _identifier(value.get("identifier")) if type(value) is dict else []


_READERS: Final[dict[str, Tokens]] = {
    "boolean": _boolean,
    "integer": _integer,
    "positiveInt": _integer,
    "unsignedInt": _integer,
    "Coding": _coding,
    "CodeableConcept": _codeable_concept,
    "Identifier": _identifier,
    "ContactPoint": _contact_point,
    "Reference": _codings_of_reference,
}
