"""Tree navigation and utilities: https://hl7.org/fhirpath/N1/#tree-navigation, #utility-functions."""

import logging
from typing import Final

from hie.core.fhirpath.evaluation import Closure, Frame
from hie.core.fhirpath.functions.function import Function, each
from hie.core.fhirpath.navigation import all_children
from hie.core.fhirpath.node import Items, Node
from hie.core.fhirpath.temporal import Date, DateTime, Time
from hie.core.fhirpath.values import text_of

_LOG: Final = logging.getLogger(__name__)


def _children(items: Items, frame: Frame) -> Items:
    found = all_children(items)
    frame.run.spend(len(found))
    return found


def _descendants(items: Items, frame: Frame) -> Items:
    found: Items = []
    level = items
    while level:
        level = all_children(level)
        frame.run.spend(len(level))
        found += level
    return found


def _trace(items: Items, frame: Frame, name: Closure, projection: Closure | None = None) -> Items:
    label = text_of(name(frame), "trace()") or ""
    trace = frame.run.environment.trace
    shown = items
    if projection is not None:
        shown = [item for inner in each(items, frame) for item in projection(inner)]
    if trace is not None:
        trace(label, [item.value if isinstance(item, Node) else item for item in shown])
    else:  # how many, never what: values may be of patients
        _LOG.debug("trace(%r): %d items", label, len(shown))
    return items


def _now(_: Items, frame: Frame) -> Items:
    return [DateTime.of(frame.run.now())]


def _today(_: Items, frame: Frame) -> Items:
    return [Date(DateTime.of(frame.run.now()).parts[:3])]


def _time_of_day(_: Items, frame: Frame) -> Items:
    moment = DateTime.of(frame.run.now())
    return [Time(moment.parts[3:], moment.digits)]


UTILITY: Final = {
    "children": Function(_children),
    "descendants": Function(_descendants),
    "trace": Function(_trace, 1, 2),
    "now": Function(_now),
    "today": Function(_today),
    "timeOfDay": Function(_time_of_day),
}
