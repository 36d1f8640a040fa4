"""Which value set each coded element of FHIR R4 is bound to, and how strongly.

Reads `bindings.json` (made by `terminology_extract`); example bindings are not in it.
https://hl7.org/fhir/R4/terminologies.html#strength
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

import orjson

from fhir_server.definitions.value_sets import ValueSet, value_set

_FILE: Final = Path(__file__).with_name("bindings.json")

Strength = Literal["required", "extensible", "preferred", "example"]


@dataclass(frozen=True, slots=True)
class Binding:
    """The `strength` of a binding and the canonical URL of its value set, without version."""

    strength: Strength
    value_set: str


@cache
def bindings() -> Mapping[str, Binding]:
    """Return every binding by path ("Patient.gender", "Observation.value" for value[x])."""
    table = orjson.loads(_FILE.read_bytes())["bindings"]
    return {path: Binding(strength, url) for path, (strength, url) in table.items()}


def required_codes(type_name: str, element: str) -> ValueSet | None:
    """Return the value set that `element` of a type must take its code from.

    `type_name` is a path ("Patient.contact") or the name of the class of fhir.resources for it
    ("PatientContact"). None where no value set is required, or where its codes cannot be listed.
    """
    return _required().get((_class_name(type_name), element))


@cache
def _required() -> Mapping[tuple[str, str], ValueSet]:
    found = {}
    for path, binding in bindings().items():
        owner, _, element = path.rpartition(".")
        listed = value_set(binding.value_set) if binding.strength == "required" else None
        if listed is not None and not listed.is_open:
            found[_class_name(owner), element] = listed
    return found


def _class_name(path: str) -> str:
    return "".join(step[:1].upper() + step[1:] for step in path.split("."))
