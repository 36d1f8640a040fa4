"""`_filter`: conditions joined by and, or, not (https://hl7.org/fhir/R4/search_filter.html).

A recursive reader of that page's grammar; "and" and "or" have no precedence over
each other and are taken from left to right. What a comparison means for a
parameter is for `comparison`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

import orjson

from fhir_server.search.comparison import COMPARISONS
from fhir_server.search.conditions import AllOf, AnyOf, Condition, Not
from fhir_server.search.modifiers import Surroundings

# How deep parentheses and brackets may nest.
_DEEPEST: Final = 20
_MOST_CHANGES: Final = 30
_NAME: Final = re.compile(r"[A-Za-z_][\w\-]*(?::[A-Za-z]+)?", re.ASCII)
_WORD: Final = re.compile(r"[a-z]+")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_TOKEN: Final = re.compile(r"[^\s)\]]+")
_SPACE: Final = re.compile(r"\s*")


class Reading(Protocol):
    """What the reader asks of the parser of searches."""

    def condition(
        self, resource_type: str, name: str, value: str, around: Surroundings, depth: int = 0
    ) -> Condition:
        """Return the condition that ``name=value`` states on resources of type `resource_type`."""
        ...

    def chain(
        self,
        resource_type: str,
        name: str,
        around: Surroundings,
        make: Callable[[str], Condition],
    ) -> Condition:
        """Return that the reference `name` leads to a resource for which `make` of its type holds."""
        ...


class _Step(NamedTuple):
    """One name of a path, with what stands in brackets behind it."""

    name: str
    within: "_Node | None"


@dataclass(frozen=True, slots=True)
class _Test:
    path: tuple[_Step, ...]
    comparison: str
    value: str


@dataclass(frozen=True, slots=True)
class _Logic:
    word: str
    parts: tuple["_Node", ...]


_Node = _Test | _Logic


def read_filter(text: str, resource_type: str, around: Surroundings, reading: Reading) -> Condition:
    """Return the condition that the filter `text` states on resources of `resource_type`.

    Raises ValueError for what is not of the grammar, and what `reading` raises.
    """
    reader = _Reader(text)
    node = reader.filter(0)
    reader.end()
    return _condition(node, resource_type, around, reading)


def _condition(node: _Node, resource_type: str, around: Surroundings, reading: Reading) -> Condition:
    if isinstance(node, _Test):
        return _test(node, resource_type, around, reading)
    parts = tuple(_condition(part, resource_type, around, reading) for part in node.parts)
    if node.word == "not":
        return Not(parts[0])
    return AllOf(parts) if node.word == "and" else AnyOf(parts)


def _test(test: _Test, resource_type: str, around: Surroundings, reading: Reading) -> Condition:
    if all(step.within is None for step in test.path):
        path = ".".join(step.name for step in test.path)
        return reading.condition(resource_type, path, test.value, replace(around, comparison=test.comparison))
    first, rest = test.path[0], replace(test, path=test.path[1:])

    def make(target: str) -> Condition:
        behind = _test(rest, target, around, reading)
        if first.within is None:
            return behind
        return AllOf((_condition(first.within, target, around, reading), behind))

    return reading.chain(resource_type, first.name, around, make)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def end(self) -> None:
        self._skip()
        if self._at < len(self._text):
            raise self._refusal("the end")

    def filter(self, depth: int) -> _Node:
        if depth > _DEEPEST:
            raise ValueError(f"the filter is nested deeper than {_DEEPEST}")
        node = self._term(depth)
        changes = 0
        while True:
            word = self._peek_word()
            if word not in {"and", "or"}:
                return node
            self._at += len(word)
            term = self._term(depth)
            if isinstance(node, _Logic) and node.word == word:
                # As flat as it is written: a list of hundreds must not become a tower.
                node = _Logic(word, (*node.parts, term))
                continue
            changes += 1
            if changes > _MOST_CHANGES:
                raise ValueError(f"the filter changes between and and or more than {_MOST_CHANGES} times")
            node = _Logic(word, (node, term))

    def _term(self, depth: int) -> _Node:
        self._skip()
        if self._take("("):
            node = self.filter(depth + 1)
            self._expect(")")
            return node
        if self._peek_word() == "not" and self._text[self._at + 3 :].lstrip().startswith("("):
            self._at += len("not")
            self._expect("(")
            node = self.filter(depth + 1)
            self._expect(")")
            return _Logic("not", (node,))
        return self._test(depth)

    def _test(self, depth: int) -> _Test:
        path = [self._step(depth)]
        while self._take("."):
            path.append(self._step(depth))
        if path[-1].within is not None:
            raise self._refusal("a name behind the brackets")
        word = self._peek_word()
        if word not in COMPARISONS:
            raise self._refusal(f"one of {', '.join(COMPARISONS)}")
        self._at += len(word)
        return _Test(tuple(path), word, self._value())

    def _step(self, depth: int) -> _Step:
        self._skip()
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise self._refusal("the name of a search parameter")
        self._at = match.end()
        within = None
        if self._take("["):
            within = self.filter(depth + 1)
            self._expect("]")
        return _Step(match[0], within)

    def _value(self) -> str:
        self._skip()
        match = _STRING.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
            try:
                return str(orjson.loads(match[0]))
            except orjson.JSONDecodeError as error:
                raise ValueError(f"{match[0]} is not a JSON string") from error
        match = _TOKEN.match(self._text, self._at)
        if match is None or match[0].startswith('"'):
            raise self._refusal("a value")
        self._at = match.end()
        return match[0]

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _take(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _expect(self, sign: str) -> None:
        self._skip()
        if not self._take(sign):
            raise self._refusal(f"`{sign}`")

    def _peek_word(self) -> str:
        self._skip()
        match = _WORD.match(self._text, self._at)
        return match[0] if match else ""

    def _refusal(self, expected: str) -> ValueError:
        found = self._text[self._at : self._at + 20]
        return ValueError(f"the filter has `{found}` at position {self._at + 1} where {expected} is expected")
