"""Checks the invariants of FHIR R4: evaluates each where it is defined, on every element of its path or type.

Two that stand on every element, and on every extension, are checked without FHIRPath: `ele-1` and
`ext-1`. An invariant holds if its expression is true; one that gives nothing does not hold, as in the
reference implementation. One that cannot be evaluated is a warning and refuses nothing.
https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.constraint
"""

from functools import cache
from typing import Final

from fhir_server.definitions.invariants import Invariant, invariants
from fhir_server.validation.profile.item import Item, line_of
from hie.core.fhirpath.expression import Environment, Expression, compiled

# Checked by `is_hollow` and `has_value_and_extension`, many times faster.
_NATIVE: Final = frozenset({"ele-1", "ext-1"})


def holds(invariant: Invariant, item: Item, environment: Environment) -> bool:
    """Return whether `invariant` is true of `item`; raises ExchangeError where it cannot be evaluated."""
    return _expression(invariant.expression).is_true_at(item.value, item.content, environment)


@cache
def _expression(text: str) -> Expression:
    return compiled(text)


@cache
def invariants_at(path: str, content: str) -> tuple[Invariant, ...]:
    """Return the invariants of an element: at its own path, of its content, and of the base types of that.

    `content` is the path that its elements are defined at: a type, or an element with content of its own.
    """
    found = {}
    for place in (path, *line_of(content)):
        for invariant in invariants().get(place, ()):
            if invariant.key not in _NATIVE:
                found[invariant.key, invariant.expression] = invariant
    return tuple(found.values())
