"""The FHIRPath that search parameters are written in, read into paths.

Only the subset that R4's parameters need: member paths, unions, `as`,
`ofType()`, `where(element = 'literal')`, `where(resolve() is Type)`,
`extension('url')`, `[n]`, and ``X.exists() and X != false``. Whatever else is
an ExpressionError, which `Indexer.not_indexed` lists; nothing is guessed
(https://hl7.org/fhir/R4/fhirpath.html).
"""

import re
from dataclasses import dataclass
from typing import Final


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

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_]\w*|%\w+)|(?P<text>'[^']*')|(?P<number>\d+)|(?P<sign>!=|[()\[\].|=]))"
)
_IS_TRUE: Final = re.compile(r"\(?(?P<path>[\w.]+)\.exists\(\) and (?P=path) != false\)?")


def parse(expression: str, base: str) -> list[Path]:
    """Return the paths that `expression` unites, each relative to a resource or element of type `base`.

    A leading `base`, ``Resource`` or ``DomainResource`` means the start itself.
    Raises ExpressionError.
    """
    whole = _IS_TRUE.fullmatch(expression.strip())
    if whole:
        return [(*path, IsTrue()) for path in parse(whole["path"], base)]
    reader = _Reader(expression, base)
    paths = reader.union()
    reader.end()
    return paths


def is_path(expression: str, base: str) -> bool:
    """Return whether `expression` is of the subset that `parse` reads."""
    try:
        parse(expression, base)
    except ExpressionError:
        return False
    return True


class _Reader:
    def __init__(self, expression: str, base: str) -> None:
        self._text = expression
        self._starts = {base, "Resource", "DomainResource"}
        self._tokens = self._split(expression)
        self._at = 0

    def _split(self, text: str) -> list[str]:
        tokens, at = [], 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ExpressionError(f"`{text}` has `{text[at : at + 10]}`, which is not read")
            tokens.append(match[0].strip())
            at = match.end()
        return tokens

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, expected: str | None = None) -> str:
        token = self._peek()
        if not token or (expected is not None and token != expected):
            raise ExpressionError(f"`{self._text}` has `{token}` where `{expected or 'a name'}` is expected")
        self._at += 1
        return token

    def end(self) -> None:
        if self._peek():
            raise ExpressionError(f"`{self._text}` goes on with `{self._peek()}`, which is not read")

    def union(self) -> list[Path]:
        paths = self._term()
        while self._peek() == "|":
            self._take()
            paths += self._term()
        return paths

    def _term(self) -> list[Path]:
        if self._peek() == "(":
            self._take()
            paths = self.union()
            self._take(")")
        else:
            name = self._name()
            paths = [()] if name in self._starts else [(Child(name),)]
        while True:
            if self._peek() == ".":
                self._take()
                paths = [(*path, *self_steps) for self_steps in [self._member()] for path in paths]
            elif self._peek() == "[":
                self._take()
                position = At(int(self._take()))
                self._take("]")
                paths = [(*path, position) for path in paths]
            elif self._peek() == "as":
                self._take()
                kind = OfType(self._name())
                paths = [(*path, kind) for path in paths]
            else:
                return paths

    def _name(self) -> str:
        name = self._take()
        if not name[0].isalpha():
            raise ExpressionError(f"`{self._text}` has `{name}` where a name is expected")
        return name

    def _member(self) -> Path:
        name = self._name()
        if self._peek() != "(":
            return (Child(name),)
        self._take()
        if name in {"ofType", "as"}:
            steps: Path = (OfType(self._name()),)
        elif name == "extension":
            steps = (Child("extension"), WhereEquals("url", self._literal()))
        elif name == "where":
            steps = (self._condition(),)
        else:
            raise ExpressionError(f"`{self._text}` calls `{name}()`, which is not indexed")
        self._take(")")
        return steps

    def _condition(self) -> Step:
        name = self._name()
        if name == "resolve":
            self._take("(")
            self._take(")")
            if self._name() != "is":
                raise ExpressionError(f"`{self._text}` does not say `resolve() is`")
            return WhereTarget(self._name())
        self._take("=")
        return WhereEquals(name, self._literal())

    def _literal(self) -> str:
        text = self._take()
        if not text.startswith("'"):
            raise ExpressionError(f"`{self._text}` has `{text}` where a text is expected")
        return text[1:-1]
