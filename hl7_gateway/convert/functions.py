"""The segment functions that map files name with `use`: what takes more of a segment than one field.

A function writes into the resource and covers in the segment's account exactly what it read. One module a
domain (`functions_adt`, ...) registers them; this one holds the registry and those every domain needs.
"""

from collections.abc import Callable

from hie.core.errors import ConfigurationError
from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.run import Run
from hl7_gateway.er7.message import Segment

SegmentFunction = Callable[[Segment, JsonObject, Run, Account], None]

_functions: dict[str, SegmentFunction] = {}


def named_function(function: SegmentFunction) -> SegmentFunction:
    """Register a segment function under its name."""
    _functions[function.__name__] = function
    return function


def segment_function(name: str) -> SegmentFunction:
    """Return the segment function called `name`; raises ConfigurationError when there is none."""
    try:
        return _functions[name]
    except KeyError:
        raise ConfigurationError(f"There is no segment function `{name}`") from None
