"""FHIRPath text into its tree, by precedence (https://hl7.org/fhirpath/N1/grammar.html).

Brackets, arguments and signs nest at most `DEEPEST`; chains of operators and invocations may be as long as
the text.
"""

from decimal import Decimal
from typing import Final

from hie.core.fhirpath.calendar_arithmetic import CALENDAR_WORDS
from hie.core.fhirpath.lexer import Token, tokens_of
from hie.core.fhirpath.quantity import Quantity
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
from hie.core.fhirpath.temporal import Date, DateTime, Time
from hie.core.fhirpath.values import INTEGERS
from hie.core.language_errors import FhirPathSyntaxError

# The invariants of R4 nest seven deep; each level costs some ten frames of Python.
DEEPEST: Final = 40

# From the loosest to the tightest; polarity and invocation bind tighter still.
_LEVELS: Final[tuple[frozenset[str], ...]] = (
    frozenset({"implies"}),
    frozenset({"or", "xor"}),
    frozenset({"and"}),
    frozenset({"in", "contains"}),
    frozenset({"=", "~", "!=", "!~"}),
    frozenset({"<=", "<", ">", ">="}),
    frozenset({"|"}),
    frozenset({"is", "as"}),
    frozenset({"+", "-", "&"}),
    frozenset({"*", "/", "div", "mod"}),
)
_LEVEL_OF: Final = {word: level for level, words in enumerate(_LEVELS) for word in words}
_TYPE_LEVEL: Final = _LEVEL_OF["is"]
_TYPE_FUNCTIONS: Final = frozenset({"is", "as", "ofType"})
# Keywords that the grammar also takes as identifiers.
_ALSO_NAMES: Final = frozenset({"as", "contains", "in", "is"})
_KEYWORDS: Final = (frozenset(word for word in _LEVEL_OF if word.isalpha()) | {"true", "false"}) - _ALSO_NAMES
_LONGEST_INTEGER: Final = 10
_TRUTH: Final = {"true": True, "false": False}


def parse(text: str) -> Expression:
    """Return the tree of `text`. Raises FhirPathSyntaxError with the place."""
    parser = _Parser(text)
    tree = parser.expression(0)
    parser.end()
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens_of(text)
        self._at = 0
        self._depth = 0

    def end(self) -> None:
        if self._now.kind != "end":
            raise self._error("an operator or the end")

    def expression(self, level: int) -> Expression:
        """Return the expression that begins here, of operators of `level` and tighter ones."""
        found = self._polarity()
        while True:
            word = self._now.text if self._now.kind in {"sign", "name"} else ""
            here = _LEVEL_OF.get(word, -1)
            if here < level:
                return found
            found = self._type_test(found) if here == _TYPE_LEVEL else self._operation(found, here)

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        return token

    def _is_sign(self, text: str) -> bool:
        return self._now.kind == "sign" and self._now.text == text

    def _expect(self, sign: str) -> None:
        if not self._is_sign(sign):
            raise self._error(f"`{sign}`")
        self._at += 1

    def _error(self, expected: str) -> FhirPathSyntaxError:
        found = f"`{self._now.text}`" if self._now.kind != "end" else "the end"
        return FhirPathSyntaxError(
            f"`{self._text}` has {found} at character {self._now.at + 1} where {expected} is expected"
        )

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise FhirPathSyntaxError(f"`{self._text[:100]}...` nests more than {DEEPEST} deep")

    def _nested(self) -> Expression:
        self._enter()
        found = self.expression(0)
        self._depth -= 1
        return found

    def _operation(self, first: Expression, level: int) -> Expression:
        rest: list[tuple[str, Expression]] = []
        while self._now.kind in {"sign", "name"} and _LEVEL_OF.get(self._now.text) == level:
            operator = self._take().text
            rest.append((operator, self.expression(level + 1)))
        return Operation(first, tuple(rest))

    def _type_test(self, operand: Expression) -> Expression:
        self._enter()
        operator = self._take().text
        found = TypeTest(operator, operand, self._type_name())
        if self._now.kind == "name" and _LEVEL_OF.get(self._now.text) == _TYPE_LEVEL:
            return self._leave(self._type_test(found))
        return self._leave(found)

    def _leave(self, found: Expression) -> Expression:
        self._depth -= 1
        return found

    def _polarity(self) -> Expression:
        if not (self._is_sign("-") or self._is_sign("+")):
            return self._chain()
        self._enter()
        sign = self._take().text
        return self._leave(Polarity(sign, self._polarity()))

    def _chain(self) -> Expression:
        start = self._term()
        steps: list[Member | Call | Index] = []
        while True:
            if self._is_sign("."):
                self._at += 1
                step = self._invocation(is_after_point=True)
                if isinstance(step, This):
                    raise FhirPathSyntaxError(f"`{self._text}` has `${step.name}` after a point")
                steps.append(step)
            elif self._is_sign("["):
                self._at += 1
                steps.append(Index(self._nested()))
                self._expect("]")
            elif not steps and not isinstance(start, Member | Call):
                return start
            else:
                return Chain(start, tuple(steps))

    def _term(self) -> Expression | Member | Call:
        token = self._now
        if token.kind == "sign":
            if token.text == "(":
                self._at += 1
                found = self._nested()
                self._expect(")")
                return found
            if token.text == "{":
                self._at += 1
                self._expect("}")
                return Literal(())
            if token.text == "%":
                self._at += 1
                if self._now.kind not in {"name", "string", "quoted"}:
                    raise self._error("the name of a variable")
                return Variable(self._take().text)
        if token.kind in {"name", "quoted"} and not (token.kind == "name" and token.text in _TRUTH):
            return self._invocation()
        return self._literal()

    def _literal(self) -> Literal:
        token = self._now
        if token.kind == "name":
            self._at += 1
            return Literal((_TRUTH[token.text],))
        if token.kind == "string":
            self._at += 1
            return Literal((token.text,))
        if token.kind == "number":
            self._at += 1
            return self._number(token.text)
        readers = {"date": Date.parse, "datetime": DateTime.parse, "time": Time.parse}
        reader = readers.get(token.kind)
        if reader is None:
            raise self._error("a term")
        value = reader(token.text.lstrip("@T") if token.kind == "time" else token.text[1:])
        if value is None:
            raise FhirPathSyntaxError(f"`{self._text}` has `{token.text}`, which is no {token.kind}")
        self._at += 1
        return Literal((value,))

    def _number(self, text: str) -> Literal:
        unit = self._now
        if unit.kind == "string" or (unit.kind == "name" and unit.text in CALENDAR_WORDS):
            self._at += 1
            return Literal((Quantity(Decimal(text), unit.text, unit.kind == "name"),))
        if "." in text:
            return Literal((Decimal(text),))
        if len(text) > _LONGEST_INTEGER or int(text) not in INTEGERS:  # https://hl7.org/fhirpath/N1/#integer
            raise FhirPathSyntaxError(f"`{self._text}` has `{text}`, which is larger than an Integer")
        return Literal((int(text),))

    def _invocation(self, *, is_after_point: bool = False) -> Member | Call | This:
        token = self._now
        if token.kind == "quoted":
            return Member(self._take().text)
        # Narrative.div: after a point a keyword can only be a name, whatever the grammar says
        if token.kind != "name" or (token.text in _KEYWORDS and not is_after_point):
            raise self._error("a name")
        self._at += 1
        if token.text.startswith("$"):
            return This(token.text[1:])
        if not self._is_sign("("):
            return Member(token.text)
        self._at += 1
        if token.text in _TYPE_FUNCTIONS:
            call = Call(token.text, (), self._type_name())
            self._expect(")")
            return call
        arguments: list[Expression] = []
        while not self._is_sign(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._nested())
        self._at += 1
        return Call(token.text, tuple(arguments))

    def _type_name(self) -> TypeName:
        name = self._identifier()
        if not self._is_sign("."):
            return TypeName(None, name)
        self._at += 1
        return TypeName(name, self._identifier())

    def _identifier(self) -> str:
        if self._now.kind not in {"name", "quoted"}:
            raise self._error("the name of a type")
        return self._take().text
