"""The tree of an expression into closures, once; evaluating it then only calls them.

Names of functions and types and numbers of arguments are checked here, so that an expression that compiles
can fail only for what it meets in a resource.
"""

from collections.abc import Callable
from typing import Any, Final

from hie.core.fhir.structure import is_subtype
from hie.core.fhirpath.equality import distinct
from hie.core.fhirpath.evaluation import Closure, Frame, Step
from hie.core.fhirpath.functions.function import SortKey
from hie.core.fhirpath.functions.registry import FUNCTIONS
from hie.core.fhirpath.navigation import equals_text, members, raw_members, type_or_member
from hie.core.fhirpath.node import Items
from hie.core.fhirpath.operators import LOGIC, OPERATORS, negated, truth_of
from hie.core.fhirpath.references import target_type
from hie.core.fhirpath.shape import is_type
from hie.core.fhirpath.syntax import (
    Call,
    Chain,
    Expression,
    Index,
    Literal,
    Member,
    Operation,
    Polarity,
    This,
    TypeName,
    TypeTest,
    Variable,
)
from hie.core.fhirpath.type_tests import as_test, is_test
from hie.core.fhirpath.values import integer_of, single
from hie.core.fhirpath.variables import variable
from hie.core.language_errors import FhirPathSyntaxError


def compile_expression(tree: Expression) -> Closure:  # noqa: PLR0911 # one for each kind of tree
    """Return the closure of `tree`. Raises FhirPathSyntaxError for a function or type that does not exist."""
    match tree:
        case Literal(values):
            return _constant(list(values))
        case Variable(name):
            return variable(name)
        case This(name):
            return _THIS[name]
        case Chain(start, steps):
            return _chain(start, steps)
        case Polarity(sign, operand):
            return _polarity(sign, operand)
        case TypeTest(operator, operand, type_name):
            return _type_test(operator, operand, type_name)
        case Operation(first, rest):
            return _operation(first, rest)


def _constant(values: Items) -> Closure:
    def constant(_: Frame) -> Items:
        return values

    return constant


def _this(frame: Frame) -> Items:
    return frame.items


def _index(frame: Frame) -> Items:
    return [frame.index]


def _total(frame: Frame) -> Items:
    return frame.total


_THIS: Final[dict[str, Closure]] = {"this": _this, "index": _index, "total": _total}


def _chain(start: Any, steps: tuple[Member | Call | Index, ...]) -> Closure:
    if isinstance(start, Member):
        if start.name[:1].isupper():
            compiled = [type_or_member(start.name), *_steps(steps)]
        else:
            compiled = _steps((start, *steps))
        return _pipeline(None, compiled)
    if isinstance(start, Call):
        return _pipeline(None, _steps((start, *steps)))
    return _pipeline(compile_expression(start), _steps(steps))


def _pipeline(start: Closure | None, steps: list[Step]) -> Closure:
    if start is None and len(steps) == 1:
        only = steps[0]
        return lambda frame: only(frame.items, frame)
    if start is None and len(steps) == 2:  # noqa: PLR2004 # two are the most frequent chain
        first, second = steps
        return lambda frame: second(first(frame.items, frame), frame)

    def run(frame: Frame) -> Items:
        items = frame.items if start is None else start(frame)
        for step in steps:
            items = step(items, frame)
        return items

    return run


_COUNTED: Final = frozenset({"exists", "empty", "count"})


def _steps(steps: tuple[Member | Call | Index, ...]) -> list[Step]:
    found: list[Step] = []
    names: list[str] = []
    previous: Member | Call | Index | None = None
    for step in steps:
        if isinstance(step, Member):
            names.append(step.name)
        else:
            if names:
                # whether there is something needs no nodes
                is_counted = isinstance(step, Call) and step.name in _COUNTED and not step.arguments
                found.append(raw_members(tuple(names)) if is_counted else members(tuple(names)))
                names = []
            if isinstance(step, Index):
                found.append(_position(step))
            elif _is_type_of_target(step, previous):
                found[-1] = _of_target(step)
            else:
                found.append(_call(step))
        previous = step
    if names:
        found.append(members(tuple(names)))
    return found


def _position(index: Index) -> Step:
    position = compile_expression(index.position)

    def at(items: Items, frame: Frame) -> Items:
        place = integer_of(position(frame), "[]")
        return [items[place]] if place is not None and 0 <= place < len(items) else []

    return at


def _call(call: Call) -> Step:
    if call.type_name is not None:
        return _type_function(call.name, call.type_name)
    function = FUNCTIONS.get(call.name)
    if function is None:
        raise FhirPathSyntaxError(f"There is no function `{call.name}()`")
    count = len(call.arguments)
    if count < function.least or (function.greatest is not None and count > function.greatest):
        raise FhirPathSyntaxError(f"`{call.name}()` does not take {count} arguments")
    if not count:
        return function.implementation
    arguments = [_argument(call.name, argument) for argument in call.arguments]
    implementation = function.implementation
    if count == 1:
        only = arguments[0]
        return lambda items, frame: implementation(items, frame, only)
    return lambda items, frame: implementation(items, frame, *arguments)


def _argument(function: str, argument: Expression) -> Closure | SortKey:
    if function == "sort":
        if isinstance(argument, Polarity) and argument.sign == "-":
            return SortKey(compile_expression(argument.operand), is_descending=True)
        return SortKey(compile_expression(argument), is_descending=False)
    if function == "getReferenceKey" and isinstance(argument, Chain) and isinstance(argument.start, Member):
        # the argument is a type and no path
        names = [step.name for step in (argument.start, *argument.steps) if isinstance(step, Member)]
        if not is_type(names[-1]):
            raise FhirPathSyntaxError(f"`{names[-1]}` is no type of FHIR R4")
        return _constant([names[-1]])
    return compile_expression(argument)


def _type_function(name: str, type_name: TypeName) -> Step:
    if name == "is":
        is_of = is_test(type_name)

        def tell(items: Items, _: Frame) -> Items:
            item = single(items, "is()")
            return [] if item is None else [is_of(item)]

        return tell
    keeps = as_test(type_name)
    # `as` is to take one item, but invariants and search parameters of R4 itself give it many
    # (dom-3: ``%resource.descendants().as(canonical)``), so it filters as `ofType` does.
    return lambda items, _: [item for item in items if keeps(item)]


def _type_test(operator: str, operand: Expression, type_name: TypeName) -> Closure:
    if isinstance(operand, Chain) and operand.steps:
        return compile_expression(Chain(operand.start, (*operand.steps, Call(operator, (), type_name))))
    if isinstance(operand, Chain) and isinstance(operand.start, Call):
        return _pipeline(None, _steps((operand.start, Call(operator, (), type_name))))
    return _pipeline(compile_expression(operand), [_type_function(operator, type_name)])


def _is_type_of_target(call: Call, previous: Member | Call | Index | None) -> bool:
    return call.name == "is" and isinstance(previous, Call) and previous.name == "resolve"


def _of_target(call: Call) -> Step:
    """Return ``resolve() is Type``: what the text of a reference says is enough, so nothing is read."""
    type_name = call.type_name or TypeName(None, "")
    is_of = is_test(type_name)
    resolve = _call(Call("resolve", ()))
    is_plain = is_type(type_name.name) and type_name.namespace != "System"

    def tell(items: Items, frame: Frame) -> Items:
        item = single(items, "is")
        if item is None:
            return []
        named = target_type(item) if is_plain else None
        if named is not None:
            return [is_subtype(named, type_name.name)]
        found = single(resolve([item], frame), "is")
        return [] if found is None else [is_of(found)]

    return tell


def _polarity(sign: str, operand: Expression) -> Closure:
    inner = compile_expression(operand)
    if sign == "+":
        return lambda frame: negated(negated(inner(frame)))
    return lambda frame: negated(inner(frame))


def _operation(first: Expression, rest: tuple[tuple[str, Expression], ...]) -> Closure:
    start = compile_expression(first)
    operators = {operator for operator, _ in rest}
    if operators == {"|"}:
        return _union([start, *(compile_expression(operand) for _, operand in rest)])
    if len(rest) == 1:
        operator, operand = rest[0]
        general = _binary(operator, start, compile_expression(operand))
        names = names_of(first)
        if operator == "=" and names and isinstance(operand, Literal) and _is_text(operand):
            return equals_text(names, operand.values[0], general)
        return general
    parts = [(_applied(operator), compile_expression(operand)) for operator, operand in rest]

    def fold(frame: Frame) -> Items:
        items = start(frame)
        for apply, operand in parts:
            items = apply(items, operand, frame)
        return items

    return fold


def names_of(tree: Expression) -> tuple[str, ...] | None:
    """Return the names of a tree that is nothing but names of elements, None for any other."""
    if not isinstance(tree, Chain):
        return None
    parts = (tree.start, *tree.steps)
    names = tuple(part.name for part in parts if isinstance(part, Member))
    return names if len(names) == len(parts) and not names[0][:1].isupper() else None


def _is_text(literal: Literal) -> bool:
    return len(literal.values) == 1 and isinstance(literal.values[0], str)


Applied = Callable[[Items, Closure, Frame], Items]


def _binary(operator: str, left: Closure, right: Closure) -> Closure:
    if operator in LOGIC:
        apply = _applied(operator)
        return lambda frame: apply(left(frame), right, frame)
    operation = OPERATORS[operator]
    return lambda frame: operation(left(frame), right(frame), frame.run)


def _applied(operator: str) -> Applied:
    if operator not in LOGIC:
        operation = OPERATORS[operator]
        return lambda items, right, frame: operation(items, right(frame), frame.run)
    decide, decided_by = LOGIC[operator]

    def apply(items: Items, right: Closure, frame: Frame) -> Items:
        left = truth_of(items, operator)
        if decided_by is not None and left is decided_by:
            verdict = decide(left, None)
        else:
            verdict = decide(left, truth_of(right(frame), operator))
        return [] if verdict is None else [verdict]

    return apply


def _union(parts: list[Closure]) -> Closure:
    def unite(frame: Frame) -> Items:
        found: Items = []
        for part in parts:
            items = part(frame)
            if items:
                found = found + items
        if len(found) <= 1:
            return found
        frame.run.spend(len(found))
        return distinct(found, frame.run.spend)

    return unite
