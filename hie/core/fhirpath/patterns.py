"""Regular expressions whose time grows with the text alone, whatever the pattern.

Expressions come from users, with SearchParameters and StructureDefinitions, and Python's `re` takes
exponential time on ``(a+)+b``. Here a pattern is a program for all its ways at once (Thompson 1968;
https://swtch.com/~rsc/regexp/): tests run it as an automaton whose states are remembered as they are met;
replacing follows the ways in order of preference, and none twice through the same place.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hie.core.fhirpath.pattern_syntax import (
    Assertion,
    Char,
    CharTest,
    Choice,
    Group,
    Part,
    Repeat,
    Sequence,
    parse_pattern,
)
from hie.core.language_errors import FhirPathError

Spend = Callable[[int], None]
Places = tuple[int, ...]

_LONGEST_PATTERN: Final = 5_000
_LONGEST_PROGRAM: Final = 20_000
_MOST_MOVES: Final = 20_000
_LONGEST_NUMBER: Final = 3
_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@dataclass(frozen=True, slots=True)
class _Take:
    """Go on if the character passes."""

    test: CharTest


@dataclass(frozen=True, slots=True)
class _Fork:
    """Go on at `first`, or else at `second`."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class _Mark:
    """Remember the position in a slot: a group begins in 2n and ends in 2n + 1."""

    slot: int


@dataclass(frozen=True, slots=True)
class _Hold:
    """Go on if the place is of the kind."""

    kind: str


_Instruction = _Take | _Fork | _Mark | _Hold | None  # None: the pattern is through


class Pattern:
    """A compiled pattern."""

    def __init__(self, text: str) -> None:
        """Compile `text`. Raises FhirPathError where it is no pattern, or one that is not taken."""
        if len(text) > _LONGEST_PATTERN:
            raise FhirPathError(
                f"The regular expression has {len(text)} characters; {_LONGEST_PATTERN} are taken"
            )
        regex = parse_pattern(text)
        self._text = text
        self._names = regex.names
        self._slots = 2 * regex.groups + 2
        self._program: list[_Instruction] = []
        self._emit(regex.part)
        self._program.append(None)
        self._asks_where = any(isinstance(one, _Hold) for one in self._program)
        # (states, what stands before, next character) -> (states after it, is the pattern through before it)
        self._moves: dict[tuple[Places, str, str], tuple[Places, bool]] = {}

    def is_in(self, text: str, spend: Spend) -> bool:
        """Return whether the pattern matches some part of `text`."""
        spend(1 + len(text) // 10)
        states: Places = ()
        before = ""
        for char in text:
            states, is_through = self._move((*states, 0) if 0 not in states else states, before, char, spend)
            if is_through:
                return True
            before = char
        return self._move((*states, 0) if 0 not in states else states, before, "", spend)[1]

    def is_whole(self, text: str, spend: Spend) -> bool:
        """Return whether the pattern matches all of `text`."""
        spend(1 + len(text) // 10)
        states: Places = (0,)
        before = ""
        for char in text:
            states, _ = self._move(states, before, char, spend)
            if not states:
                return False
            before = char
        return self._move(states, before, "", spend)[1]

    def replaced(self, text: str, substitution: str, spend: Spend) -> str:
        r"""Return `text` with every match replaced; ``$1``, ``${name}`` are groups, ``\$`` a dollar."""
        if not self._text:
            return text
        words = list(_words(substitution, self._names, self._slots // 2))
        found: list[str] = []
        at = length = 0
        while at <= len(text):
            slots = self._find(text, at, spend)
            if slots is None:
                break
            start, end = slots[0], slots[1]
            found.append(text[at:start])
            for word in words:
                piece = word if isinstance(word, str) else text[slots[2 * word] : slots[2 * word + 1]]
                found.append(piece)
                length += len(piece)
            spend(1 + length // 1000)
            if end == start:  # after nothing, one character stays
                found.append(text[end : end + 1])
                end += 1
            at = end
        return "".join(found) + text[at:]

    def _emit(self, part: Part) -> None:
        program = self._program
        if len(program) > _LONGEST_PROGRAM:
            raise FhirPathError(f"The regular expression `{self._text[:200]}` repeats too much")
        match part:
            case Char(test):
                program.append(_Take(test))
            case Assertion(kind):
                program.append(_Hold(kind))
            case Sequence(parts):
                for one in parts:
                    self._emit(one)
            case Group(number, inner):
                program.append(_Mark(2 * number))
                self._emit(inner)
                program.append(_Mark(2 * number + 1))
            case Choice(parts):
                self._emit_choice(parts)
            case Repeat():
                self._emit_repeat(part)

    def _emit_choice(self, parts: tuple[Part, ...]) -> None:
        ends: list[int] = []
        for one in parts[:-1]:
            fork = self._reserve()
            self._emit(one)
            ends.append(self._reserve())
            self._program[fork] = _Fork(fork + 1, len(self._program))
        self._emit(parts[-1])
        for end in ends:
            self._program[end] = _Fork(len(self._program), len(self._program))

    def _emit_repeat(self, repeat: Repeat) -> None:
        for _ in range(repeat.least):
            self._emit(repeat.part)
        if repeat.most is None:
            fork = self._reserve()
            self._emit(repeat.part)
            self._program.append(_Fork(fork, fork))
            self._program[fork] = self._fork(fork + 1, len(self._program), is_greedy=repeat.is_greedy)
            return
        forks: list[int] = []
        for _ in range(repeat.most - repeat.least):
            forks.append(self._reserve())
            self._emit(repeat.part)
        for fork in forks:
            self._program[fork] = self._fork(fork + 1, len(self._program), is_greedy=repeat.is_greedy)

    def _reserve(self) -> int:
        self._program.append(None)
        return len(self._program) - 1

    @staticmethod
    def _fork(inside: int, outside: int, *, is_greedy: bool) -> _Fork:
        return _Fork(inside, outside) if is_greedy else _Fork(outside, inside)

    def _move(self, states: Places, before: str, char: str, spend: Spend) -> tuple[Places, bool]:
        key = (states, before if self._asks_where else "", char)
        known = self._moves.get(key)
        if known is None:
            spend(1 + len(self._program) // 20)
            known = self._moved(states, before, char)
            if len(self._moves) >= _MOST_MOVES:
                self._moves.clear()
            self._moves[key] = known
        return known

    def _moved(self, states: Places, before: str, char: str) -> tuple[Places, bool]:
        after: list[int] = []
        is_through = False
        seen: set[int] = set()
        pending = list(reversed(states))
        while pending:
            place = pending.pop()
            if place in seen:
                continue
            seen.add(place)
            match self._program[place]:
                case None:
                    is_through = True
                case _Take(test):
                    if char and test(char):
                        after.append(place + 1)
                case _Fork(first, second):
                    pending += (second, first)
                case _Mark():
                    pending.append(place + 1)
                case _Hold(kind):
                    if _holds(kind, before, char):
                        pending.append(place + 1)
        return tuple(sorted(set(after))), is_through

    def _find(self, text: str, start: int, spend: Spend) -> list[int] | None:  # noqa: C901 # one machine
        """Return the slots of the first match from `start` on: its bounds, then groups, -1 for none."""
        seen: set[tuple[int, int]] = set()
        for begin in range(start, len(text) + 1):
            pending: list[tuple[int, int, Places]] = [(0, begin, (-1,) * self._slots)]
            steps = 0
            while pending:
                place, at, slots = pending.pop()
                if (place, at) in seen:
                    continue
                seen.add((place, at))
                steps += 1
                match self._program[place]:
                    case None:
                        spend(steps)
                        return [begin, at, *slots[2:]]
                    case _Take(test):
                        if at < len(text) and test(text[at]):
                            pending.append((place + 1, at + 1, slots))
                    case _Fork(first, second):
                        pending += ((second, at, slots), (first, at, slots))
                    case _Mark(slot):
                        pending.append((place + 1, at, (*slots[:slot], at, *slots[slot + 1 :])))
                    case _Hold(kind):
                        if _holds(kind, text[at - 1 : at] if at else "", text[at : at + 1]):
                            pending.append((place + 1, at, slots))
            spend(1 + steps)
        return None


@lru_cache(maxsize=500)
def pattern_of(text: str) -> Pattern:
    """Return the pattern of `text`, compiled once. Raises FhirPathError."""
    return Pattern(text)


def _holds(kind: str, before: str, after: str) -> bool:
    if kind == "start":
        return not before
    if kind == "end":
        return not after
    if kind == "line-start":
        return before in {"", "\n"}
    if kind == "line-end":
        return after in {"", "\n"}
    is_boundary = (before in _WORD) is not (after in _WORD)
    return is_boundary is (kind == "boundary")


def _words(substitution: str, names: dict[str, int], groups: int) -> Iterator[str | int]:
    """Yield the texts and the numbers of groups that `substitution` is made of."""
    at = 0
    while at < len(substitution):
        char = substitution[at]
        at += 1
        if char == "\\" and at < len(substitution):
            yield substitution[at]
            at += 1
        elif char == "$" and substitution[at : at + 1].isdecimal() and substitution[at] in "0123456789":
            yield _group(substitution[at], names, groups)
            at += 1
        elif char == "$" and substitution.startswith("{", at) and "}" in substitution[at:]:
            end = substitution.index("}", at)
            yield _group(substitution[at + 1 : end], names, groups)
            at = end + 1
        else:
            yield char


def _group(name: str, names: dict[str, int], groups: int) -> int:
    number = (
        int(name)
        if name.isascii() and name.isdecimal() and len(name) <= _LONGEST_NUMBER
        else names.get(name, -1)
    )
    if not 0 <= number < groups:
        raise FhirPathError(
            f"replaceMatches() refers to the group `{name}`, which the regular expression does not have"
        )
    return number
