"""What an access rule says of one resource, decided here by its index rows and by facts: no search.

A rule is the condition that `fhir_server.search.parse` makes of `Readable`. As SQL it is long (13 kB for a
clinician) and asks everything each time. Here it is a function: labels and references of the resource are
compared as `fhir_server.search.predicates` does, what holds of the Patient that it refers to is a `Fact` that
is asked once for all of the Patient's resources (`fhir_server.search.facts`), and so is whatever rows
alone do not say. Nothing is asked that does not decide.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fhir_server.search.conditions import (
    AllOf,
    AnyOf,
    Chain,
    Condition,
    Has,
    IdIn,
    Not,
    ReferenceIs,
    Restriction,
    TokenIs,
    TokenValue,
)
from fhir_server.search.sql import Sql


# Compared by identity: of equal conditions there is one (`Facts.of`), and to compare them costs more than
# all else.
@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """A condition on one resource of type `type_number` that only the database says; its SQL over ``t``."""

    type_number: int
    probe: Sql


class Knows(Protocol):
    """Says of resources, by type and key hash, whether facts hold of them."""

    def exists(self, type_number: int, key_hash: int) -> bool:
        """Return whether there is such a resource, not deleted."""
        ...

    def holds(self, fact: Fact, key_hash: int) -> bool:
        """Return whether `fact` holds of the resource, which exists."""
        ...


@dataclass(frozen=True, slots=True)
class Marks:
    """What is known of one resource: its key hash, and its index rows of the parameters of a ruling.

    `tokens` are (param, hash of the code, hash of the system), `references` (param, hash of the target).
    """

    key_hash: int
    tokens: Sequence[Sequence[int]] = ()
    references: Sequence[Sequence[int]] = ()


Holds = Callable[[Marks, Knows], bool]
_HoldsOf = Callable[[int, Knows], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Ruling:
    """A rule as a function, the parameters whose rows it compares, and the facts that it may ask for.

    `tokens` and `references` are literals of PostgreSQL's integer[]. `facts` are those of resources of each
    type that are asked for together when one of them is.
    """

    holds: Holds
    tokens: str
    references: str
    facts: dict[int, tuple[Fact, ...]]


class Reader:
    """Makes one ruling; `fact_of` returns the one fact that a type and a condition are."""

    def __init__(self, type_number: int, fact_of: Callable[[int, Condition], Fact]) -> None:
        """Take the type of the resources that the rule is about."""
        self._type_number = type_number
        self._fact_of = fact_of
        self._tokens: set[int] = set()
        self._references: set[int] = set()
        self._facts: dict[int, dict[Fact, None]] = {}

    def read(self, condition: Condition, *, has_rows: bool = True) -> Ruling:
        """Return the ruling that `condition` is.

        Without `has_rows` all of it is asked as facts, and first whether there is such a resource.
        """
        holds = self._holds(condition) if has_rows else self._of_whole(condition)
        return Ruling(
            holds,
            array_literal(sorted(self._tokens)),
            array_literal(sorted(self._references)),
            {number: tuple(facts) for number, facts in self._facts.items()},
        )

    def _holds(self, condition: Condition) -> Holds:  # noqa: PLR0911 - a case a kind
        match condition:
            case Restriction():
                return self._holds(condition.condition)
            case AllOf():
                return _all([self._holds(each) for each in condition.conditions])
            case AnyOf() if _is_divided(condition) or not _is_reverse(condition):
                return _any([self._holds(each) for each in condition.conditions])
            case Not():
                inner = self._holds(condition.condition)
                return lambda marks, knows: not inner(marks, knows)
            case TokenIs():
                self._tokens.add(condition.param)
                return _has_token(condition.param, condition.values)
            case ReferenceIs():
                self._references.add(condition.param)
                return _has_reference(condition.param, frozenset(condition.targets))
            case Chain():
                self._references.add(condition.param)
                return _leads(
                    condition.param, condition.target, self._holds_of(condition.condition, condition.target)
                )
            case _:
                return self._of_itself(condition)

    def _of_whole(self, condition: Condition) -> Holds:
        number, asked = self._type_number, self._holds_of(condition, self._type_number)
        return lambda marks, knows: knows.exists(number, marks.key_hash) and asked(marks.key_hash, knows)

    def _of_itself(self, condition: Condition) -> Holds:
        asked = self._holds_of(condition, self._type_number)
        return lambda marks, knows: asked(marks.key_hash, knows)

    def _holds_of(self, condition: Condition, type_number: int) -> _HoldsOf:
        """Return what asks `condition` of a resource whose rows are not known."""
        match condition:
            case Restriction():
                return self._holds_of(condition.condition, type_number)
            case AllOf() if _is_divided(condition):
                parts = [self._holds_of(each, type_number) for each in condition.conditions]
                return lambda key, knows: all(part(key, knows) for part in parts)
            case AnyOf() if _is_divided(condition):
                parts = [self._holds_of(each, type_number) for each in condition.conditions]
                return lambda key, knows: any(part(key, knows) for part in parts)
            case Not() if _is_divided(condition):
                inner = self._holds_of(condition.condition, type_number)
                return lambda key, knows: not inner(key, knows)
            case IdIn(among=among) if among is not None:
                wider = self._asked(among, type_number)
                exact = self._asked(condition, type_number, is_early=False)
                return lambda key, knows: wider(key, knows) and exact(key, knows)
            case _:
                return self._asked(condition, type_number)

    def _asked(self, condition: Condition, type_number: int, *, is_early: bool = True) -> _HoldsOf:
        fact = self._fact_of(type_number, condition)
        if is_early:
            self._facts.setdefault(type_number, {})[fact] = None
        return lambda key, knows: knows.holds(fact, key)


def array_literal(values: Iterable[int]) -> str:
    """Return what PostgreSQL casts to the array of `values`; it is made once, and sent as it is."""
    return f"{{{','.join(str(each) for each in values)}}}"


def _is_divided(condition: Condition) -> bool:
    """Return whether parts of `condition` are facts of their own, which other rules share."""
    match condition:
        case IdIn():
            return True
        case AllOf() | AnyOf():
            return any(_is_divided(each) for each in condition.conditions)
        case Not():
            return _is_divided(condition.condition)
        case _:
            return False


def _is_reverse(condition: Condition) -> bool:
    """Return whether resources that refer here have a say: then a fact that all rules share."""
    match condition:
        case Has():
            return True
        case AllOf() | AnyOf():
            return any(_is_reverse(each) for each in condition.conditions)
        case Not():
            return _is_reverse(condition.condition)
        case _:
            return False


def _all(parts: Sequence[Holds]) -> Holds:
    return lambda marks, knows: all(part(marks, knows) for part in parts)


def _any(parts: Sequence[Holds]) -> Holds:
    return lambda marks, knows: any(part(marks, knows) for part in parts)


def _has_token(param: int, values: Sequence[TokenValue]) -> Holds:
    exact = frozenset((each.code_hash, each.system_hash) for each in values)
    codes = frozenset(each.code_hash for each in values if each.system_hash is None)
    systems = frozenset(each.system_hash for each in values if each.code_hash is None)

    def holds(marks: Marks, _knows: Knows) -> bool:
        return any(
            number == param and ((code, system) in exact or code in codes or system in systems)
            for number, code, system in marks.tokens
        )

    return holds


def _has_reference(param: int, targets: frozenset[int]) -> Holds:
    return lambda marks, _knows: any(
        number == param and target in targets for number, target in marks.references
    )


def _leads(param: int, type_number: int, inner: _HoldsOf) -> Holds:
    def holds(marks: Marks, knows: Knows) -> bool:
        return any(
            number == param and knows.exists(type_number, target) and inner(target, knows)
            for number, target in marks.references
        )

    return holds
