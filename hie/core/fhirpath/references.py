"""What the text of a reference says of its target (https://hl7.org/fhir/R4/references.html#literal)."""

import re
from typing import Final

from hie.core.fhirpath.node import Item, Node
from hie.core.fhirpath.shape import shape_of
from hie.core.fhirpath.values import system

# [base/]Type/id[/_history/version]
_LITERAL: Final = re.compile(
    r"(?:.*/)?(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?",
    re.ASCII,
)
_BASE: Final = "http://hl7.org/fhir/StructureDefinition/"


def reference_text(item: Item) -> str | None:
    """Return the reference that `item` (a Reference, uri, canonical or String) writes, if any."""
    if isinstance(item, Node) and isinstance(item.value, dict):
        found = item.value.get("reference") if item.type_name == "Reference" else None
    else:
        found = system(item)
    return found if isinstance(found, str) else None


def type_and_id(item: Item) -> tuple[str, str] | None:
    """Return the type and id of the target, None where the text does not give them."""
    text = reference_text(item)
    match = _LITERAL.fullmatch(text) if text is not None else None
    return (match["type"], match["id"]) if match and shape_of(match["type"]).is_resource else None


def target_type(item: Item) -> str | None:
    """Return the type of the target, from the text or from `Reference.type`, None where neither says it."""
    target = type_and_id(item)
    if target is not None:
        return target[0]
    named = item.value.get("type") if isinstance(item, Node) and isinstance(item.value, dict) else None
    return named.removeprefix(_BASE) if isinstance(named, str) else None
