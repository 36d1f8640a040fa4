"""The plain values of rules, and the Python expressions that put them into a Bundle.

A value is plain if its expression needs no question asked: a primitive, one object, an element all of whose
rules have a value. Nearly all are. What is not plain goes through `makers.Maker.realize`, which says the same
in general.
"""

import re
from collections.abc import Callable
from typing import Any

from hl7_gateway.convert.makers import is_primitive
from hl7_gateway.convert.maps import Rule
from hl7_gateway.convert.places import is_list

IsPlain = Callable[[Any], bool]

_PATH = re.compile(r"(_?[a-z][A-Za-z0-9]*)(\._?[a-z][A-Za-z0-9]*)*(\[\])?")


def writes_plain(rule: Rule) -> bool:
    """Whether `rule` has an expression: no two rules of an element write below one name."""
    paths = [_PATH.fullmatch(inner.to) for inner in rule.element]
    names = {path[1] for path in paths if path is not None}
    return len(names) == len(paths) and all(writes_plain(inner) for inner in rule.element)


def is_plain(rule: Rule) -> IsPlain:
    """Return the function that says whether a value that `rule` has prepared is plain."""
    if rule.constant is not None:
        return _is_there
    if rule.refer:
        return bool
    if rule.element:
        parts = [is_plain(inner) for inner in rule.element]
        return lambda value: all(is_part(each) for is_part, each in zip(parts, value, strict=True))
    return _is_there if is_primitive(rule) else _is_object


def expression(rule: Rule, value: str, *, is_shared: bool = True) -> str:
    """Return the expression of the plain value that the name (or expression) `value` stands for.

    It asks for the names `refer`, `run` and `segment` where the value is a Reference. What others share is
    copied, so that rules may add to it.
    """
    if rule.constant is not None:
        return repr(rule.constant)
    if rule.refer:
        return f"refer(run, {value}, segment)"
    if rule.element:
        members = [
            _member(inner, f"{value}[{at}]", is_shared=is_shared) for at, inner in enumerate(rule.element)
        ]
        return f"{{{', '.join(members)}}}"
    return f"{value}.copy()" if is_shared and not is_primitive(rule) else value


def _member(rule: Rule, value: str, *, is_shared: bool) -> str:
    written = expression(rule, value, is_shared=is_shared)
    if is_list(rule.to):
        written = f"[{written}]"
    name, *deeper = rule.to.removesuffix("[]").split(".")
    for inner in reversed(deeper):
        written = f"{{{inner!r}: {written}}}"
    return f"{name!r}: {written}"


def _is_there(value: object) -> bool:
    return value is not None


def _is_object(value: object) -> bool:
    return type(value) is dict
