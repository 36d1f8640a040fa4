"""Rows of ix_string: plain texts, names and addresses, part by part.

A string search matches from the start of any part
(https://hl7.org/fhir/R4/search.html#string). Chinese names are written without
a space, family first, while senders split them differently or not at all: the
joined form is a part too.
"""

from collections.abc import Callable
from typing import Final

from fhir_server.index.hashing import param_id
from fhir_server.index.normal_form import LONGEST, has_ideographs, normal_form
from fhir_server.index.rows import IndexRows
from fhir_server.index.walker import Emit
from hie.core.fhir.json import Json

Texts = Callable[[Json], list[str]]

# Longer texts also stand in windows of LONGEST characters, one every STRIDE, for
# `:contains`: any text of at most STRIDE characters lies whole in one of them.
STRIDE: Final = LONGEST // 2

_NAME_PARTS: Final = ("text", "family")
_NAME_LISTS: Final = ("given", "prefix", "suffix")
_ADDRESS_PARTS: Final = ("text", "city", "district", "state", "country", "postalCode")


def texts_of(kind: str) -> Texts | None:
    """Return what reads the searchable parts of a value of FHIR type `kind`, None where it has none."""
    return _READERS.get(kind)


def window_param(resource_type: str, code: str) -> int:
    """Return the `param` of the windows of long texts."""
    return param_id(resource_type, f"{code}:contains")


def string_emit(texts: Texts, params: tuple[tuple[int, int], ...]) -> Emit:
    """Return what adds the rows of a value; `params` are pairs of parameter and windows' parameter."""

    def emit(value: Json, rows: IndexRows) -> None:
        for text in texts(value):
            # PostgreSQL's text holds no U+0000.
            exact = text.replace("\0", "") if "\0" in text else text
            norm = normal_form(exact)
            for param, windows in params:
                rows.string.append((param, norm[:LONGEST], exact))
                if len(norm) > LONGEST:
                    rows.string += (
                        (windows, norm[at : at + LONGEST], "")
                        for at in range(STRIDE, len(norm) - STRIDE, STRIDE)
                    )

    return emit


def texts_beside(kind: str) -> Texts | None:
    """Return what reads the texts beside a code or reference of FHIR type `kind`, which `:text` looks at.

    https://hl7.org/fhir/R4/search.html#modifiers; None where a type has none.
    """
    return _BESIDE.get(kind)


def _plain(value: Json) -> list[str]:
    return [value] if type(value) is str else []


def human_name_parts(value: Json) -> list[str]:
    """Return the parts of a HumanName by which it is found.

    >>> human_name_parts({"family": "张", "given": ["小明"]})
    ['张', '小明', '张小明']
    """
    if type(value) is not dict:
        return []
    parts = _members(value, _NAME_PARTS, _NAME_LISTS)
    joined = "".join(_members(value, ("family",), ("given",)))
    if has_ideographs(joined) and joined not in parts:
        parts.append(joined)
    return parts


def _address_parts(value: Json) -> list[str]:
    return _members(value, _ADDRESS_PARTS, ("line",)) if type(value) is dict else []


def _members(value: dict[str, Json], names: tuple[str, ...], lists: tuple[str, ...]) -> list[str]:
    found = [value[name] for name in names if type(value.get(name)) is str]
    for name in lists:
        items = value.get(name)
        if type(items) is list:
            found += [item for item in items if type(item) is str]
    return found


def _codeable_concept_texts(value: Json) -> list[str]:
    """Return text and displays: R4 has no rule for it, and no other reading finds anything."""
    if type(value) is not dict:
        return []
    codings = value.get("coding")
    found = _members(value, ("text",), ())
    for coding in codings if type(codings) is list else ():
        if type(coding) is dict:
            found += _members(coding, ("display",), ())
    return found


def _display(value: Json) -> list[str]:
    return _members(value, ("display",), ()) if type(value) is dict else []


def _text_of_type(value: Json) -> list[str]:
    kind = value.get("type") if type(value) is dict else None
    return _members(kind, ("text",), ()) if type(kind) is dict else []


_BESIDE: Final[dict[str, Texts]] = {
    "CodeableConcept": _codeable_concept_texts,
    "Coding": _display,
    "Identifier": _text_of_type,
    "Reference": _display,
}
_READERS: Final[dict[str, Texts]] = {
    **dict.fromkeys(("string", "markdown", "code", "id", "uri", "url"), _plain),
    "HumanName": human_name_parts,
    "Address": _address_parts,
    "CodeableConcept": _codeable_concept_texts,
}
