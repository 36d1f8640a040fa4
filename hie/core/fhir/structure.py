"""What R4 4.0.1 says of the shape of its resources and data types: elements, types, cardinalities.

Reads `r4_structure.json` (made by `structure_extract`), one structure at a time as it is asked for.
Holds no bindings, invariants or profiles, and checks nothing
(https://hl7.org/fhir/R4/structuredefinition.html, https://hl7.org/fhir/R4/datatypes.html).

An entry of the file has `kind`, `base` and those of its `elements` that the base does not have or has
otherwise (null: has in vain); an element is [min, max, types, flags, content_of, targets], with ``|``
between types and between targets, ``*`` for every data type, S for summary and M for modifier.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

import orjson

from hie.core.fhir.json import JsonObject

Kind = Literal["primitive", "complex", "backbone", "resource"]

_FILE: Final = Path(__file__).with_name("r4_structure.json")
_CHOICE: Final = "[x]"
_OPEN: Final = "*"
# Elements of these types have the content that their own path names.
_BACKBONES: Final = frozenset({"BackboneElement", "Element"})


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a structure.

    `name` is without type: "value" stands for value[x], and then `is_choice`. `types` are names of data
    types, "Resource" for any resource, and "BackboneElement" or "Element" where the content is given at the
    element's own path or at `content_of` (contentReference). `targets` are the types that a Reference or
    canonical may name, empty for any. Whether the element is in the summary is said for its own level only.
    """

    name: str
    types: tuple[str, ...]
    min: int
    is_list: bool
    is_choice: bool
    is_summary: bool
    is_modifier: bool
    content_of: str | None
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Structure:
    """A resource type, a data type, or the content of an element that has its own.

    `path` is "Patient", "HumanName" or "Patient.contact"; `base` the type that it specialises, None for
    Resource and Element. `elements` are in the order of the snapshot, inherited ones included. A primitive
    has `id` and `extension`: its value is not an element of JSON.
    """

    path: str
    kind: Kind
    base: str | None
    elements: tuple[Element, ...]


@cache
def structure_of(path: str) -> Structure | None:
    """Return the structure at `path` ("Patient", "Patient.contact", "HumanName"), None where R4 has none.

    The path of an element whose content is that of another (`content_of`) has none of its own.
    """
    entry = _entries().get(path)
    if entry is None:
        return None
    return Structure(
        path, entry["kind"], entry["base"], tuple(_element(name, row) for name, row in _rows(path).items())
    )


def element_at(path: str, key: str) -> tuple[Element, str, str] | None:
    """Return the element that JSON `key` is in the structure at `path`, None where there is none.

    With it come its type ("Quantity" for `valueQuantity`) and the path of its content ("Quantity",
    "Patient.contact"). `key` is without the underscore that marks id and extensions of a primitive.
    """
    return elements_of(path).get(key)


@cache
def elements_of(path: str) -> Mapping[str, tuple[Element, str, str]]:
    """Return JSON key -> (element, type, path of its content) of the structure at `path`, in its order.

    A choice has one key for each of its types. Empty where R4 has no such structure.
    """
    structure = structure_of(path)
    found: dict[str, tuple[Element, str, str]] = {}
    for element in structure.elements if structure else ():
        for type_name in element.types:
            key = element.name + type_name[0].upper() + type_name[1:] if element.is_choice else element.name
            content = type_name
            if type_name in _BACKBONES:
                content = element.content_of or f"{path}.{element.name}"
            found[key] = (element, type_name, content)
    return found


@cache
def resource_types() -> frozenset[str]:
    """Return the resource types of R4, without the abstract ones."""
    return frozenset(
        path
        for path, entry in _entries().items()
        if entry["kind"] == "resource" and path not in ("Resource", "DomainResource")
    )


@cache
def is_subtype(type_name: str, of: str) -> bool:
    """Return whether `type_name` is `of` or specialises it: Age a Quantity, Patient a Resource."""
    found: str | None = type_name
    while found is not None:
        if found == of:
            return True
        entry = _entries().get(found)
        found = entry["base"] if entry else None
    return False


@cache
def _entries() -> dict[str, JsonObject]:
    return _file()["structures"]  # type: ignore[no-any-return] # our own file


@cache
def _file() -> JsonObject:
    return orjson.loads(_FILE.read_bytes())  # type: ignore[no-any-return] # our own file


def _rows(path: str) -> dict[str, list[str | int]]:
    entry = _entries()[path]
    inherited = _rows(entry["base"]) if entry["base"] else {}
    rows = inherited | entry.get("elements", {})
    return {name: row for name, row in rows.items() if row is not None}


def _element(name: str, row: list[str | int]) -> Element:
    types, flags, content_of, targets = [*map(str, row[2:]), "", "", ""][:4]
    return Element(
        name=name.removesuffix(_CHOICE),
        types=tuple((_file()["open"] if types == _OPEN else types).split("|")),
        min=int(row[0]),
        is_list=row[1] != "1",
        is_choice=name.endswith(_CHOICE),
        is_summary="S" in flags,
        is_modifier="M" in flags,
        content_of=content_of or None,
        targets=tuple(targets.split("|")) if targets else (),
    )
