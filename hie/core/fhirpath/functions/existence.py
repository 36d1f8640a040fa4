"""Existence: https://hl7.org/fhirpath/N1/#existence, and ``not()``."""

from typing import Final

from hie.core.fhirpath.equality import distinct, holds
from hie.core.fhirpath.evaluation import Closure, Frame
from hie.core.fhirpath.functions.function import Function, each
from hie.core.fhirpath.node import Items
from hie.core.fhirpath.values import system, truth
from hie.core.language_errors import FhirPathError


def _empty(items: Items, _: Frame) -> Items:
    return [not items]


def _exists(items: Items, frame: Frame, criteria: Closure | None = None) -> Items:
    if criteria is None:
        return [bool(items)]
    return [any(truth(criteria(inner), "exists()") for inner in each(items, frame))]


def _all(items: Items, frame: Frame, criteria: Closure) -> Items:
    return [all(truth(criteria(inner), "all()") for inner in each(items, frame))]


def _truths(items: Items, name: str) -> list[bool]:
    values = [system(item) for item in items]
    if any(value.__class__ is not bool for value in values):
        raise FhirPathError(f"{name} takes Booleans only")
    return values


def _all_true(items: Items, _: Frame) -> Items:
    return [all(_truths(items, "allTrue()"))]


def _any_true(items: Items, _: Frame) -> Items:
    return [any(_truths(items, "anyTrue()"))]


def _all_false(items: Items, _: Frame) -> Items:
    return [not any(_truths(items, "allFalse()"))]


def _any_false(items: Items, _: Frame) -> Items:
    return [not all(_truths(items, "anyFalse()"))]


def _subset_of(items: Items, frame: Frame, other: Closure) -> Items:
    others = other(frame)
    frame.run.spend(len(items) * len(others))
    return [all(holds(others, item) for item in items)]


def _superset_of(items: Items, frame: Frame, other: Closure) -> Items:
    others = other(frame)
    frame.run.spend(len(items) * len(others))
    return [all(holds(items, item) for item in others)]


def _count(items: Items, _: Frame) -> Items:
    return [len(items)]


def _distinct(items: Items, frame: Frame) -> Items:
    frame.run.spend(len(items))
    return distinct(items, frame.run.spend)


def _is_distinct(items: Items, frame: Frame) -> Items:
    frame.run.spend(len(items))
    return [len(distinct(items, frame.run.spend)) == len(items)]


def _not(items: Items, _: Frame) -> Items:
    verdict = truth(items, "not()")
    return [] if verdict is None else [not verdict]


EXISTENCE: Final = {
    "empty": Function(_empty),
    "exists": Function(_exists, 0, 1),
    "all": Function(_all, 1, 1),
    "allTrue": Function(_all_true),
    "anyTrue": Function(_any_true),
    "allFalse": Function(_all_false),
    "anyFalse": Function(_any_false),
    "subsetOf": Function(_subset_of, 1, 1),
    "supersetOf": Function(_superset_of, 1, 1),
    "count": Function(_count),
    "distinct": Function(_distinct),
    "isDistinct": Function(_is_distinct),
    "not": Function(_not),
}
