"""Reads type definitions from the R4 4.0.1 element tables under `fhir_server/definitions/r4/`.

They hold the types that R4B dropped (MedicinalProduct, SubstanceSpecification and so on) and those
whose R4B class differs from R4 4.0.1 in its elements (Evidence, Extension and so on). All other
types come from the classes of fhir.resources (`fhir_server.validation.r4b`).
"""

from functools import cache
from importlib.resources import files
from typing import Final

from fhir_server.validation.definition import PRIMITIVE_TYPES, Element, TypeDefinition, choice_name
from hie.core.fhir.json import JsonObject, loads

_TABLES: Final = files("fhir_server.definitions.r4")

# Types that only constrain Quantity; their JSON shape is Quantity's
# (https://hl7.org/fhir/R4/datatypes.html#SimpleQuantity).
_CONSTRAINED: Final = {"SimpleQuantity": "Quantity", "MoneyQuantity": "Quantity"}


@cache
def names() -> tuple[str, ...]:
    """Return the types that are checked from R4 definitions, resources and data types, sorted."""
    found = (table.name.partition(".")[0] for table in _TABLES.iterdir() if table.name.endswith(".json"))
    return tuple(sorted(found))


def load(name: str) -> TypeDefinition | None:
    """Return the definition of `name` ("Evidence", "Evidence.referenceInformation"), None if not held."""
    root = name.partition(".")[0]
    if root not in names():
        return None
    table = _table(root)
    elements: JsonObject = table["elements"][name]
    return TypeDefinition(
        name=name,
        is_resource=name == root and table["kind"] == "resource",
        elements=tuple(form for stem, entry in elements.items() for form in _forms(stem, entry)),
    )


@cache
def _table(name: str) -> JsonObject:
    table: JsonObject = loads(_TABLES.joinpath(f"{name}.json").read_bytes())
    return table


def _forms(name: str, entry: JsonObject) -> list[Element]:
    stem = name.removesuffix("[x]")
    is_choice = stem != name
    forms = []
    for declared in entry["types"]:
        type_name = _CONSTRAINED.get(declared, declared)
        forms.append(
            Element(
                name=choice_name(stem, declared) if is_choice else name,
                type=type_name,
                is_list=entry.get("list", False),
                is_required=entry.get("required", False),
                choice=stem if is_choice else None,
                has_sibling=type_name in PRIMITIVE_TYPES and not entry.get("bare", False),
            )
        )
    return forms
