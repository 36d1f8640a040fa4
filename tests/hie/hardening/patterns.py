"""Regular expressions of the code, and texts that would make a backtracking engine take very long.

https://owasp.org/www-community/attacks/Regular_expression_Denial_of_Service_-_ReDoS. For each repetition of a
pattern a text is made that begins as the pattern wants it, repeats what it repeats, and ends as it does not.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from re import _constants as constants  # type: ignore[attr-defined] # the parser of `re` has no hints
from re import _parser as parser  # type: ignore[attr-defined] # the same
from typing import Any

# What patterns are given to: functions of `re`, and of pydantic and FastAPI as `pattern=`.
_CALLS = {"compile", "match", "fullmatch", "search", "sub", "split", "findall", "finditer"}
_MANY = 16
_REPEATS = (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT)
_BAD_ENDS = ("\x00", "!", "\n\x00", "")


def patterns_of(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of the patterns that stand as literals in `file`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func
        is_of_re = (
            isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and name.value.id == "re"
        )
        if is_of_re and isinstance(name, ast.Attribute) and name.attr in _CALLS and node.args:
            yield from _literal(node.args[0])
        for keyword in node.keywords:
            if keyword.arg == "pattern":
                yield from _literal(keyword.value)


def attacks(pattern: str, repeats: int) -> set[str]:
    """Return texts that `pattern` would take long for, were its time more than proportional to the text."""
    found = set()
    for before, body in _repetitions(parser.parse(pattern)):
        for piece in {body, body * 2, body + body[:1]} - {""}:
            found |= {f"{before}{piece * repeats}{end}" for end in _BAD_ENDS}
    return found


def _literal(node: ast.expr) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        value = node.value
        yield node.lineno, value.decode("latin-1") if isinstance(value, bytes) else value


def _repetitions(parsed: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield for each long repetition a text that leads to it, and one that it repeats."""
    for operation, argument in parsed:
        if operation in _REPEATS:
            least, most, body = argument
            if most is constants.MAXREPEAT or most >= _MANY:
                for text in _texts(body):
                    yield before, text
            yield from _repetitions(body, before + _text(body) * max(least - 1, 0))
        for part in _parts(operation, argument):
            yield from _repetitions(part, before)
        before += _text([(operation, argument)])


def _parts(operation: Any, argument: Any) -> list[Any]:
    if operation is constants.SUBPATTERN:
        return [argument[3]]
    if operation is constants.BRANCH:
        return list(argument[1])
    if operation in (constants.ASSERT, constants.ASSERT_NOT):
        return [argument[1]]
    return [argument] if operation is constants.ATOMIC_GROUP else []


def _texts(parsed: Any) -> set[str]:
    """Return some texts of what is repeated: its shortest, and one for each of its ways."""
    found = {_text(parsed)}
    for operation, argument in parsed:
        if operation is constants.SUBPATTERN:
            found |= _texts(argument[3])
        elif operation is constants.BRANCH:
            found |= {_text(way) for way in argument[1]}
    return found


def _text(parsed: Any) -> str:
    """Return a short text that `parsed` takes."""
    return "".join(_of(operation, argument) for operation, argument in parsed)


def _of(operation: Any, argument: Any) -> str:
    made: dict[Any, Callable[[], str]] = {
        constants.LITERAL: lambda: chr(argument),
        constants.NOT_LITERAL: lambda: "a" if argument != ord("a") else "b",
        constants.ANY: lambda: "a",
        constants.IN: lambda: _one_of(argument),
        constants.BRANCH: lambda: _text(argument[1][0]),
        constants.SUBPATTERN: lambda: _text(argument[3]),
        constants.ATOMIC_GROUP: lambda: _text(argument),
    }
    if operation in _REPEATS:
        least, most, body = argument
        return _text(body) * max(int(least), 1 if most else 0)
    return made.get(operation, str)()


def _one_of(members: Any) -> str:
    """Return a character of a set, found by trying, as sets of categories and ranges are many."""
    is_negated = members and members[0][0] is constants.NEGATE
    tried = [chr(code) for code in (*range(97, 123), *range(48, 58), *range(32, 127), 0x4E00, 9, 10)]
    for character in tried:
        is_in = any(_holds(kind, value, character) for kind, value in members if kind is not constants.NEGATE)
        if is_in != bool(is_negated):
            return character
    return "a"


def _holds(kind: Any, value: Any, character: str) -> bool:
    if kind is constants.LITERAL:
        return ord(character) == int(value)
    if kind is constants.RANGE:
        return bool(value[0] <= ord(character) <= value[1])
    if kind is constants.CATEGORY:
        name = str(value).rpartition("_")[2].lower()
        sets = {"digit": r"\d", "space": r"\s", "word": r"\w"}
        found = re.match(sets.get(name, r"\w"), character) is not None
        return found != ("NOT" in str(value))
    return False
