"""The TerminologyCapabilities, computed from the terminology operations that the server has.

https://hl7.org/fhir/R4/terminologycapabilities.html. Code systems are not listed: those that are stored as
resources are found by a search for CodeSystem. What needs an operation that is not there is not claimed.
"""

from collections.abc import Callable, Mapping
from typing import Final

from fhir_server.capability import Capability
from fhir_server.operations.operation import HL7, Definition
from hie.core.fhir.json import JsonObject


def terminology_capabilities(capability: Capability) -> JsonObject:
    """Return the resource, without its date."""
    found: JsonObject = {
        "resourceType": "TerminologyCapabilities",
        "name": "HIETerminology",
        "title": "Terminology of the HIE FHIR repository",
        "status": "active",
        "kind": "instance",
        **{name: capability.statement[name] for name in ("software", "implementation")},
    }
    by_url = {each.url: each for each in capability.definitions}
    missing = []
    for name, (element, describe) in _OPERATIONS.items():
        definition = by_url.get(HL7 + name)
        if definition is None:
            missing.append(f"${name.partition('-')[2]}")
        else:
            found[element] = describe(definition)
    if missing:
        found["description"] = f"Not here: {', '.join(missing)}."
    return found


def _expansion(definition: Definition) -> JsonObject:
    names = [each.name for each in definition.inputs]
    return {
        "paging": {"offset", "count"} <= set(names),
        "parameter": [{"name": name} for name in names],
        **({"textFilter": "`filter` is text that a concept must match"} if "filter" in names else {}),
    }


def _translation(definition: Definition) -> JsonObject:
    return {"needsMap": any(each.name == "url" and each.min > 0 for each in definition.inputs)}


# Name of the operation -> the element that says that it is there, and what it says.
_OPERATIONS: Final[Mapping[str, tuple[str, Callable[[Definition], JsonObject]]]] = {
    "ValueSet-expand": ("expansion", _expansion),
    "ValueSet-validate-code": ("validateCode", lambda _: {"translations": False}),
    "ConceptMap-translate": ("translation", _translation),
    "ConceptMap-closure": ("closure", lambda _: {"translation": False}),
}
