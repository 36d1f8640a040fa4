"""External constants: ``%resource`` and its like, ``%ucum``, ``%vs-..``, ``%ext-..``, those of the caller.

https://hl7.org/fhir/R4/fhirpath.html#variables
"""

from decimal import Decimal
from typing import Any, Final

from hie.core.fhirpath.evaluation import Closure, Frame
from hie.core.fhirpath.node import Items, Node
from hie.core.fhirpath.resources import node_of
from hie.core.fhirpath.values import decimal_value
from hie.core.language_errors import FhirPathError

_CONSTANTS: Final = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
_VALUE_SET: Final = "http://hl7.org/fhir/ValueSet/"
_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/"


def variable(name: str) -> Closure:
    """Return what reads ``%name``; the caller's variables come before what is built in."""
    fixed = _fixed(name)

    def read(frame: Frame) -> Items:
        run = frame.run
        variables = run.environment.variables
        if name in variables:
            return items_of(variables[name])
        if name == "context":
            return run.context
        if name == "resource":
            return _some(run.resource())
        if name == "rootResource":
            return _some(run.root())
        if fixed is None:
            raise FhirPathError(f"The variable `%{name}` is not given")
        return [fixed]

    return read


def items_of(value: Any) -> Items:
    """Return a value of the caller as a collection: JSON, a System value, a Node, or a list of them."""
    if isinstance(value, list | tuple):
        return [item for one in value for item in items_of(one)]
    if value is None:
        return []
    if isinstance(value, dict):
        return [node_of(value)]
    if isinstance(value, float | Decimal):
        number = decimal_value(value)
        return [] if number is None else [number]
    return [value]


def _some(node: Node | None) -> Items:
    return [] if node is None else [node]


def _fixed(name: str) -> str | None:
    if name.startswith("vs-"):
        return _VALUE_SET + name[3:]
    return _EXTENSION + name[4:] if name.startswith("ext-") else _CONSTANTS.get(name)
