"""The tree of a FHIRPath expression, as the grammar has it (https://hl7.org/fhirpath/N1/grammar.html).

A chain of operators of one level is one node, however long, and so is a chain of invocations: what depth
there is comes from brackets and arguments alone.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal: the collection that it is, none or one System value."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """An external constant: ``%name``."""

    name: str


@dataclass(frozen=True, slots=True)
class This:
    """``$this``, ``$index`` or ``$total``, by its name without the sign."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """Step to the children `name`; where it begins a chain, `name` may be the type of what it begins with."""

    name: str


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type specifier: "System" or "FHIR" or None, and the name."""

    namespace: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; `type_name` instead for ``is``, ``as`` and ``ofType``."""

    name: str
    arguments: tuple["Expression", ...]
    type_name: TypeName | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """``[expression]``."""

    position: "Expression"


@dataclass(frozen=True, slots=True)
class Chain:
    """A term and what is invoked on it, in order."""

    start: "Expression | Member | Call"
    steps: tuple["Member | Call | Index", ...]


@dataclass(frozen=True, slots=True)
class Polarity:
    """``+`` or ``-`` before an expression."""

    sign: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class TypeTest:
    """``is`` or ``as`` with a type."""

    operator: str
    operand: "Expression"
    type_name: TypeName


@dataclass(frozen=True, slots=True)
class Operation:
    """Operators of one level, applied from left to right: `first`, then each (operator, operand)."""

    first: "Expression"
    rest: tuple[tuple[str, "Expression"], ...]


Expression = Literal | Variable | This | Chain | Polarity | TypeTest | Operation
