"""The types of an expression, found without any resource: whether it names what R4 does not have.

An evaluation is lenient, as https://hl7.org/fhirpath/N1/#path-selection has it: a name that is no element
leads to nothing. `check` is for authors of SearchParameters, invariants and views: it refuses elements that
the type does not have, choices named with their type (`valueQuantity`), the order of what has none, and
functions on types that they never take. What cannot be known (a resource that is contained or resolved) is
passed.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from hie.core.fhirpath.expression import Expression as Compiled
from hie.core.fhirpath.functions.strings import STRINGS
from hie.core.fhirpath.operators import LOGIC
from hie.core.fhirpath.parser import parse
from hie.core.fhirpath.shape import Shape, shape_of
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
from hie.core.fhirpath.values import system_name
from hie.core.language_errors import FhirPathSyntaxError


@dataclass(frozen=True, slots=True)
class Kind:
    """What an expression may lead to: paths of shapes or "System.Boolean"; None where it cannot be known."""

    types: frozenset[str] | None = None
    is_many: bool = True
    is_ordered: bool = True


_UNKNOWN: Final = Kind()
_SYSTEM: Final = "System."
_BOOLEAN: Final = Kind(frozenset({"System.Boolean"}), is_many=False)
_STRING: Final = Kind(frozenset({"System.String"}), is_many=False)
_INTEGER: Final = Kind(frozenset({"System.Integer"}), is_many=False)

# Functions that give back some of what they are given.
_SAME: Final = frozenset(
    {
        "where",
        "first",
        "last",
        "tail",
        "skip",
        "take",
        "single",
        "distinct",
        "trace",
        "exclude",
        "intersect",
        "sort",
    }
    | {"checkModifiers"}
)
_OF_ORDER: Final = frozenset({"first", "last", "tail", "skip", "take"})
_ONE: Final = frozenset({"first", "last", "single"})
_PER_ITEM: Final = frozenset({"where", "select", "exists", "all", "repeat", "sort", "aggregate", "trace"})
_TRUTHS: Final = frozenset(
    {
        "empty",
        "exists",
        "all",
        "allTrue",
        "anyTrue",
        "allFalse",
        "anyFalse",
        "subsetOf",
        "supersetOf",
        "isDistinct",
    }
    | {
        "not",
        "startsWith",
        "endsWith",
        "contains",
        "matches",
        "matchesFull",
        "hasValue",
        "memberOf",
        "conformsTo",
    }
    | {"htmlChecks", "comparable"}
)
_TEXTS: Final = frozenset(
    {"substring", "upper", "lower", "replace", "replaceMatches", "trim", "join", "encode", "decode", "escape"}
    | {"unescape", "toString"}
)
_WHOLES: Final = frozenset({"count", "length", "indexOf", "lastIndexOf", "toInteger", "precision"})
_COMPARISONS: Final = frozenset({"=", "!=", "~", "!~", "<", "<=", ">", ">=", "in", "contains"})


def check(expression: Compiled, type_path: str) -> None:
    """Raise FhirPathSyntaxError where `expression` cannot be meant for `type_path` ("Patient.contact")."""
    start = Kind(frozenset({type_path}), is_many=False)
    try:
        _Checker(expression.text, start).kind(parse(expression.text), start)
    except _OtherTypeError as error:
        raise FhirPathSyntaxError(str(error)) from error


class _OtherTypeError(Exception):
    """The expression is for resources of another type."""


class _Checker:
    def __init__(self, text: str, root: Kind) -> None:
        self._text = text
        self._root = root

    def kind(self, tree: Expression, this: Kind) -> Kind:  # noqa: PLR0911 # one for each kind of tree
        """Return what `tree` leads to where ``$this`` is `this`."""
        match tree:
            case Literal(values):
                return Kind(frozenset(f"{_SYSTEM}{system_name(value)}" for value in values), is_many=False)
            case Variable(name):
                return self._root if name == "context" else _UNKNOWN
            case This(name):
                return this if name == "this" else _UNKNOWN
            case Polarity(_, operand):
                return self.kind(operand, this)
            case TypeTest(operator, operand, type_name):
                found = self.kind(operand, this)
                return _BOOLEAN if operator == "is" else self._of_type(found, type_name)
            case Operation(first, rest):
                return self._operation(first, rest, this)
            case Chain(start, steps):
                return self._chain(start, steps, this)

    def _refuse(self, why: str) -> FhirPathSyntaxError:
        return FhirPathSyntaxError(f"`{self._text}`: {why}")

    def _operation(self, first: Expression, rest: tuple[tuple[str, Expression], ...], this: Kind) -> Kind:
        operands = [first, *(operand for _, operand in rest)]
        operator = rest[-1][0]
        if operator == "|":
            return self._union(operands, this)
        for operand in operands:
            self.kind(operand, this)
        if operator in LOGIC or operator in _COMPARISONS:
            return _BOOLEAN
        return _UNKNOWN

    def _union(self, operands: list[Expression], this: Kind) -> Kind:
        kinds: list[Kind] = []
        others: list[_OtherTypeError] = []
        for operand in operands:
            try:
                kinds.append(self.kind(operand, this))
            except _OtherTypeError as error:  # ``Patient.name | Practitioner.name`` is for both
                others.append(error)
        if not kinds:
            raise others[0]
        if any(kind.types is None for kind in kinds):
            return _UNKNOWN
        return Kind(frozenset(name for kind in kinds for name in kind.types or ()))

    def _chain(self, start: Any, steps: tuple[Member | Call | Index, ...], this: Kind) -> Kind:
        if isinstance(start, Member):
            found = self._begin(start.name, this)
        elif isinstance(start, Call):
            found = self._call(start, this, this)
        else:
            found = self.kind(start, this)
        for step in steps:
            if isinstance(step, Member):
                found = self._member(step.name, found)
            elif isinstance(step, Index):
                self.kind(step.position, this)
                self._check_order("[]", found)
                found = replace(found, is_many=False)
            else:
                found = self._call(step, found, this)
        return found

    def _begin(self, name: str, this: Kind) -> Kind:
        shapes = _shapes(this)
        if name[:1].isupper() and shapes is not None:
            of_type = [shape for shape in shapes if name in shape.ancestors]
            if of_type:
                return Kind(frozenset(shape.path for shape in of_type), this.is_many)
            raise _OtherTypeError(
                f"`{self._text}` begins with `{name}`, which is not the type that it is for"
            )
        return self._member(name, this)

    def _member(self, name: str, of: Kind) -> Kind:
        shapes = _shapes(of)
        if shapes is None or not shapes:
            return _UNKNOWN
        variants = [variant for shape in shapes for variant in shape.children().get(name, ())]
        if not variants:
            if name == "value" and any(shape.is_primitive for shape in shapes):
                return _UNKNOWN
            paths = ", ".join(sorted(shape.path for shape in shapes))
            raise self._refuse(f"`{name}` is no element of {paths}")
        is_many = of.is_many or any(variant.is_list for variant in variants)
        if any(variant.is_resource for variant in variants):
            return Kind(None, is_many)
        return Kind(frozenset(variant.shape.path for variant in variants), is_many, of.is_ordered)

    def _call(self, call: Call, of: Kind, this: Kind) -> Kind:  # noqa: C901, PLR0911 # a table of cases
        name = call.name
        if call.type_name is not None:
            if name == "is":
                return _BOOLEAN
            if name == "as" and of.is_many and of.types is not None:
                raise self._refuse("`as()` takes one item; `ofType()` takes many")
            return self._of_type(of, call.type_name)
        inner = replace(of, is_many=False) if name in _PER_ITEM else this
        if name == "iif":
            inner = of
        if name == "getReferenceKey":
            return replace(_STRING, is_many=of.is_many)
        arguments = [self.kind(argument, inner) for argument in call.arguments]
        self._check_input(name, of)
        if name == "iif":
            return self._choice(arguments)
        if name in _OF_ORDER:
            self._check_order(f"{name}()", of)
        if name in _SAME:
            return replace(of, is_many=False) if name in _ONE else of
        if name == "select":
            return replace(arguments[0], is_many=True)
        if name == "extension":
            return Kind(frozenset({"Extension"}))
        return _result_of(name)

    def _choice(self, arguments: list[Kind]) -> Kind:
        types = arguments[0].types
        if types and all(name.startswith(_SYSTEM) and name != "System.Boolean" for name in types):
            raise self._refuse("the criterion of `iif()` is no Boolean")
        return _UNKNOWN

    def _check_input(self, name: str, of: Kind) -> None:
        shapes = _shapes(of)
        takes_text = name in STRINGS and name != "join"
        if takes_text and shapes and not any(shape.system == "String" for shape in shapes):
            raise self._refuse(f"`{name}()` takes a String, not {shapes[0].path}")

    def _check_order(self, what: str, of: Kind) -> None:
        if not of.is_ordered:
            raise self._refuse(f"`{what}` asks for an order, and children have none")

    def _of_type(self, of: Kind, type_name: TypeName) -> Kind:
        prefix = _SYSTEM if type_name.namespace == "System" or not shape_of(type_name.name).is_known else ""
        return Kind(frozenset({prefix + type_name.name}), of.is_many)


def _shapes(kind: Kind) -> list[Shape] | None:
    """Return the shapes of FHIR types, none for System types; None where the types are not known."""
    if kind.types is None or any(name.startswith(_SYSTEM) for name in kind.types):
        return None
    shapes = [shape_of(name) for name in sorted(kind.types)]
    return shapes if all(shape.is_known for shape in shapes) else None


def _result_of(name: str) -> Kind:
    if name in _TRUTHS or name.startswith("convertsTo"):
        return _BOOLEAN
    if name in _TEXTS:
        return _STRING
    if name in _WHOLES:
        return _INTEGER
    return Kind(is_ordered=name not in {"children", "descendants"})
