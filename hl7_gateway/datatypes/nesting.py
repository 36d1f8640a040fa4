"""A data type inside a component: the functions of the inner type applied to its sub-components.

HL7 v2.8 2.A: a component's data type has its components as sub-components of the outer one.
"""

from collections.abc import Callable
from typing import TypeVar

from hl7_gateway.datatypes.context import Context
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import lift

_Value = TypeVar("_Value")


def within(
    rep: Repetition, component: int, ctx: Context, function: Callable[[Repetition, Context], _Value]
) -> _Value | None:
    """Return what `function` makes of the data type in a component, None when the component is absent.

    What the function drops is dropped of that component.
    """
    if len(rep) < component:
        return None
    before = len(ctx.dropped)
    value = function(lift(rep[component - 1]), ctx)
    if len(ctx.dropped) > before:
        ctx.dropped[before:] = [(component, reason) for _, reason in ctx.dropped[before:]]
    return value
