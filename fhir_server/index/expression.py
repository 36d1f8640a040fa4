"""The FHIRPath that search parameters are written in, read into paths.

Only the subset that R4's parameters need: member paths, unions, `as`,
`ofType()`, `where(element = 'literal')`, `where(resolve() is Type)`,
`extension('url')`, `[n]`, and ``X.exists() and X != false``. Whatever else is
an ExpressionError, which `Indexer.not_indexed` lists; nothing is guessed
(https://hl7.org/fhir/R4/fhirpath.html).
"""

from dataclasses import dataclass

from hie.core.fhirpath import parser, syntax
from hie.core.language_errors import FhirPathSyntaxError


class ExpressionError(ValueError):
    """The expression is not of the subset that is indexed."""


@dataclass(frozen=True, slots=True)
class Child:
    """Step to the element `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class OfType:
    """Keep values of the type `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class At:
    """Keep the value at `position`, from 0."""

    position: int


@dataclass(frozen=True, slots=True)
class WhereEquals:
    """Keep elements whose child `name` is `value`."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class WhereTarget:
    """Keep references that lead to a resource of type `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class IsTrue:
    """One boolean: whether the value exists and is not false."""


Step = Child | OfType | At | WhereEquals | WhereTarget | IsTrue
Path = tuple[Step, ...]


def parse(expression: str, base: str) -> list[Path]:
    """Return the paths that `expression` unites, each relative to a resource or element of type `base`.

    A leading `base`, ``Resource`` or ``DomainResource`` means the start itself.
    Raises ExpressionError.
    """
    try:
        tree = parser.parse(expression)
    except FhirPathSyntaxError as error:
        raise ExpressionError(error.message) from error
    return _Paths(expression, base).of(tree)


def is_path(expression: str, base: str) -> bool:
    """Return whether `expression` is of the subset that `parse` reads."""
    try:
        parse(expression, base)
    except ExpressionError:
        return False
    return True


class _Paths:
    """The paths in the tree of one expression."""

    def __init__(self, text: str, base: str) -> None:
        self._text = text
        self._starts = {base, "Resource", "DomainResource"}

    def of(self, tree: syntax.Expression) -> list[Path]:
        match tree:
            case syntax.Operation(first, rest) if all(operator == "|" for operator, _ in rest):
                return [path for part in (first, *(operand for _, operand in rest)) for path in self.of(part)]
            case syntax.Operation():
                return self._is_true(tree)
            case syntax.TypeTest("as", operand, type_name):
                return [(*path, OfType(type_name.name)) for path in self.of(operand)]
            case syntax.Chain(start, steps):
                below = tuple(step for each in steps for step in self._steps(each))
                return [(*path, *below) for path in self._start(start)]
        raise self._refusal("which is no path")

    def _start(self, start: syntax.Expression | syntax.Member | syntax.Call) -> list[Path]:
        if isinstance(start, syntax.Member):
            return [()] if start.name in self._starts else [(Child(start.name),)]
        if isinstance(start, syntax.Call):
            raise self._refusal(f"which begins with `{start.name}()`")
        return self.of(start)

    def _steps(self, step: syntax.Member | syntax.Call | syntax.Index) -> Path:
        match step:
            case syntax.Member(name):
                return (Child(name),)
            case syntax.Index(syntax.Literal((int() as position,))):
                return (At(position),)
            case syntax.Call("ofType" | "as", _, syntax.TypeName(_, name)):
                return (OfType(name),)
            case syntax.Call("extension", (syntax.Literal((str() as url,)),)):
                return (Child("extension"), WhereEquals("url", url))
            case syntax.Call("where", (argument,)):
                return (self._condition(argument),)
        raise self._refusal(f"whose step {step} is not indexed")

    def _condition(self, argument: syntax.Expression) -> Step:
        match argument:
            case syntax.TypeTest("is", syntax.Chain(syntax.Call("resolve", ()), ()), type_name):
                return WhereTarget(type_name.name)
            case syntax.Operation(
                syntax.Chain(syntax.Member(name), ()), (("=", syntax.Literal((str() as value,))),)
            ):
                return WhereEquals(name, value)
        raise self._refusal("whose condition is not indexed")

    def _is_true(self, tree: syntax.Operation) -> list[Path]:
        """Read ``X.exists() and X != false``."""
        match tree:
            case syntax.Operation(
                syntax.Chain(start, (*steps, syntax.Call("exists", ()))),
                (("and", syntax.Operation(same, (("!=", syntax.Literal((False,))),))),),
            ) if same == syntax.Chain(start, tuple(steps)):
                return [(*path, IsTrue()) for path in self.of(same)]
        raise self._refusal("which is no union of paths")

    def _refusal(self, reason: str) -> ExpressionError:
        return ExpressionError(f"`{self._text}`, {reason}")
