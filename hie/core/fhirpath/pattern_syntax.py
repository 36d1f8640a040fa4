r"""The text of a regular expression into a tree: the part of PCRE that takes time in proportion to the text.

Groups, alternatives, greedy and lazy repeats, classes with Unicode categories (``\p{L}``), anchors and word
boundaries. References back to groups and looking around are not in it: no automaton can follow them. FHIRPath
leaves the dialect open (https://hl7.org/fhirpath/N1/#matchesregex--string--boolean) and points to PCRE.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hie.core.language_errors import FhirPathError

CharTest = Callable[[str], bool]

_DEEPEST: Final = 30
_MOST_REPEATS: Final = 1000
_COUNT: Final = re.compile(r"\{(\d{1,6})(?:(,)(\d{1,6})?)?\}", re.ASCII)
_NAMED_GROUP: Final = re.compile(r"\?P?<([A-Za-z][A-Za-z0-9]*)>", re.ASCII)
_FLAGS: Final = re.compile(r"\(\?([ims]+)\)")
_CATEGORY: Final = re.compile(r"\{([A-Z][a-z]?)\}|([A-Z])", re.ASCII)
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b", "0": "\0"}
_ASSERTIONS: Final = {"b": "boundary", "B": "no-boundary", "A": "start", "z": "end", "Z": "end"}
_HEX: Final = {"x": 2, "u": 4}
_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DIGITS: Final = frozenset("0123456789")
_SPACES: Final = frozenset(" \t\n\r\f\v")
_CLASSES: Final[dict[str, CharTest]] = {
    "d": _DIGITS.__contains__,
    "w": _WORD.__contains__,
    "s": _SPACES.__contains__,
    "D": lambda char: char not in _DIGITS,
    "W": lambda char: char not in _WORD,
    "S": lambda char: char not in _SPACES,
}


@dataclass(frozen=True, slots=True)
class Char:
    """One character that `test` takes."""

    test: CharTest


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple["Part", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the parts, an earlier one rather than a later."""

    parts: tuple["Part", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`part` from `least` to `most` times (None: without end), as often as possible where `is_greedy`."""

    part: "Part"
    least: int
    most: int | None
    is_greedy: bool


@dataclass(frozen=True, slots=True)
class Group:
    """What a substitution may refer to, by number."""

    number: int
    part: "Part"


@dataclass(frozen=True, slots=True)
class Assertion:
    """A place: "start", "end", "line-start", "line-end", "boundary", "no-boundary"."""

    kind: str


Part = Char | Sequence | Choice | Repeat | Group | Assertion


@dataclass(frozen=True, slots=True)
class Regex:
    """A tree with the numbers of its groups by name, and how many there are."""

    part: Part
    groups: int
    names: dict[str, int]


def parse_pattern(pattern: str) -> Regex:
    """Return the tree of `pattern`. Raises FhirPathError where it is none, or none that is taken."""
    parser = _Parser(pattern)
    part = parser.choice()
    if parser.at < len(pattern):
        raise parser.error("`)` closes nothing")
    return Regex(part, parser.groups, parser.names)


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.groups = 0
        self.names: dict[str, int] = {}
        self._depth = 0
        self._ignores_case = self._is_multiline = False
        flags = _FLAGS.match(pattern)
        if flags:
            self.at = flags.end()
            self._ignores_case, self._is_multiline = "i" in flags[1], "m" in flags[1]

    def error(self, why: str) -> FhirPathError:
        return FhirPathError(f"The regular expression `{self.pattern[:200]}` is not taken: {why}")

    def choice(self) -> Part:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.error(f"it nests more than {_DEEPEST} deep")
        parts = [self._sequence()]
        while self._looking_at("|"):
            self.at += 1
            parts.append(self._sequence())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _looking_at(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def _sequence(self) -> Part:
        parts: list[Part] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return Sequence(tuple(parts))

    def _repeated(self, part: Part) -> Part:
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char in "*+?":
                least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
                self.at += 1
            else:
                count = _COUNT.match(self.pattern, self.at)
                if count is None:
                    return part
                least = int(count[1])
                most = least if not count[2] else int(count[3]) if count[3] else None
                self.at = count.end()
                if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
                    raise self.error(f"`{count[0]}` is not a number of times, or more than {_MOST_REPEATS}")
            if self._looking_at("+"):
                raise self.error("possessive repeats are not known")
            is_lazy = self._looking_at("?")
            self.at += is_lazy
            part = Repeat(part, least, most, not is_lazy)
        return part

    def _take(self) -> str:
        if self.at >= len(self.pattern):
            raise self.error("it ends too soon")
        self.at += 1
        return self.pattern[self.at - 1]

    def _atom(self) -> Part:  # noqa: PLR0911 # one for each kind of atom
        char = self._take()
        if char == "(":
            return self._group()
        if char == "[":
            return Char(self._class())
        if char == ".":
            return Char(lambda _: True)
        if char == "^":
            return Assertion("line-start" if self._is_multiline else "start")
        if char == "$":
            return Assertion("line-end" if self._is_multiline else "end")
        if char in "*+?":
            raise self.error(f"`{char}` repeats nothing")
        if char != "\\":
            return Char(self._literal(char))
        if self.at < len(self.pattern) and self.pattern[self.at] in _ASSERTIONS:
            return Assertion(_ASSERTIONS[self._take()])
        found = self._escape()
        return Char(found if callable(found) else self._literal(found))

    def _literal(self, char: str) -> CharTest:
        if self._ignores_case:
            folded = char.casefold()
            return lambda other: other.casefold() == folded
        return char.__eq__

    def _group(self) -> Part:
        number = None
        if self._looking_at("?:"):
            self.at += 2
        else:
            name = _NAMED_GROUP.match(self.pattern, self.at)
            if name is None and self._looking_at("?"):
                raise self.error("of groups that begin with `?` only `(?:` and `(?<name>` are known")
            self.groups += 1
            number = self.groups
            if name is not None:
                self.names[name[1]] = number
                self.at = name.end()
        part = self.choice()
        if not self._looking_at(")"):
            raise self.error("a group is not closed")
        self.at += 1
        return part if number is None else Group(number, part)

    def _escape(self) -> str | CharTest:  # one for each kind of escape  # one for each kind of escape
        char = self._take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char in "pP":
            match = _CATEGORY.match(self.pattern, self.at)
            if match is None:
                raise self.error(f"`\\{char}` names no category of Unicode")
            self.at = match.end()
            wanted, is_in = match[1] or match[2], char == "p"
            return lambda other: unicodedata.category(other).startswith(wanted) is is_in
        if char in _HEX:
            digits = self.pattern[self.at : self.at + _HEX[char]]
            if len(digits) < _HEX[char] or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
                raise self.error(f"`\\{char}` needs {_HEX[char]} hexadecimal digits")
            self.at += len(digits)
            return chr(int(digits, 16))
        if char.isalnum() and char.isascii():
            raise self.error(f"`\\{char}` is not known")
        return char

    def _class(self) -> CharTest:
        is_negated = self._looking_at("^")
        self.at += is_negated
        chars: set[str] = set()
        ranges: list[tuple[str, str]] = []
        tests: list[CharTest] = []
        is_first = True
        while is_first or not self._looking_at("]"):
            one = self._class_member()
            is_first = False
            if not isinstance(one, str):
                tests.append(one)
            elif self._looking_at("-") and not self.pattern.startswith("-]", self.at):
                self.at += 1
                last = self._class_member()
                if not isinstance(last, str) or last < one:
                    raise self.error("a range in a class has no end, or ends before it begins")
                ranges.append((one, last))
            else:
                chars.add(one)
        self.at += 1
        return self._class_test(frozenset(chars), tuple(ranges), tuple(tests), is_negated=is_negated)

    def _class_member(self) -> str | CharTest:
        char = self._take()
        if char != "\\":
            return char
        if self._looking_at("b"):
            self.at += 1
            return "\b"
        return self._escape()

    def _class_test(
        self,
        chars: frozenset[str],
        ranges: tuple[tuple[str, str], ...],
        tests: tuple[CharTest, ...],
        *,
        is_negated: bool,
    ) -> CharTest:
        def holds(char: str) -> bool:
            return (
                char in chars
                or any(low <= char <= high for low, high in ranges)
                or any(test(char) for test in tests)
            )

        if self._ignores_case:
            return lambda char: (holds(char) or holds(char.lower()) or holds(char.upper())) is not is_negated
        return lambda char: holds(char) is not is_negated
