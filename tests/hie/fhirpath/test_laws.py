"""Laws of FHIRPath's operators against naive oracles; nothing but an ExchangeError ever comes out."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hie.core.errors import ExchangeError
from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.calendar_arithmetic import shifted
from hie.core.fhirpath.evaluation import Environment
from hie.core.fhirpath.expression import compiled
from hie.core.fhirpath.functions.registry import FUNCTIONS
from hie.core.fhirpath.patterns import pattern_of
from hie.core.fhirpath.temporal import Date, DateTime, Temporal, Time, compare
from hie.core.fhirpath.units import unit_of

EMPTY: JsonObject = {"resourceType": "Patient"}
NOW = datetime(2026, 11, 22, tzinfo=UTC)

truths = st.sampled_from([True, False, None])
numbers = st.one_of(
    st.integers(-(10**6), 10**6),
    st.decimals(-(10**6), 10**6, places=4, allow_nan=False, allow_infinity=False),
)
collections = st.lists(st.integers(0, 5), max_size=6)


def _value(text: str, **variables: object) -> object:
    found = compiled(text).evaluate(EMPTY, Environment(variables=variables))
    assert len(found) <= 1
    return found[0] if found else None


def _kleene_and(a: bool | None, b: bool | None) -> bool | None:  # noqa: FBT001 # three-valued truths
    return False if False in (a, b) else None if None in (a, b) else True


@given(truths, truths)
def test_logic_is_kleenes(a: bool | None, b: bool | None) -> None:  # noqa: FBT001 # three-valued truths
    def negated(truth: bool | None) -> bool | None:  # noqa: FBT001 # three-valued truths
        return None if truth is None else not truth

    both = _kleene_and(a, b)
    either = negated(_kleene_and(negated(a), negated(b)))
    assert _value("%a and %b", a=a, b=b) is both
    assert _value("%a or %b", a=a, b=b) is either
    assert _value("%a implies %b", a=a, b=b) is negated(_kleene_and(a, negated(b)))
    assert _value("%a xor %b", a=a, b=b) is (None if None in (a, b) else a is not b)
    assert _value("%a.not()", a=a) is negated(a)


@given(numbers, numbers)
def test_numbers_compare_and_calculate_as_decimals(a: int | Decimal, b: int | Decimal) -> None:
    assert _value("%a < %b", a=a, b=b) is (a < b)
    assert _value("%a >= %b", a=a, b=b) is (a >= b)
    assert _value("%a = %b", a=a, b=b) is (a == b)
    assert _value("%a + %b", a=a, b=b) == a + b
    assert _value("%a - %b = -(%b - %a)", a=a, b=b) is True
    if b:
        assert _value("(%a div %b) * %b + (%a mod %b)", a=a, b=b) in {a, None}  # nothing beyond an Integer
    else:
        assert _value("%a / %b", a=a, b=b) is None


@given(st.decimals(-1000, 1000, places=5), st.integers(0, 4))
def test_round_rounds_halves_away_from_zero(value: Decimal, places: int) -> None:
    assert _value("%v.round(%p)", v=value, p=places) == value.quantize(
        Decimal(1).scaleb(-places), ROUND_HALF_UP
    )


@given(collections, collections)
def test_collections_behave_as_lists_and_sets(a: list[int], b: list[int]) -> None:
    def evaluated(text: str) -> list[Json]:
        return compiled(text).evaluate(EMPTY, Environment(variables={"a": a, "b": b}))

    assert evaluated("%a | %b") == list(dict.fromkeys(a + b))
    assert evaluated("%a.combine(%b)") == a + b
    assert evaluated("%a.intersect(%b)") == [one for one in dict.fromkeys(a) if one in b]
    assert evaluated("%a.exclude(%b)") == [one for one in a if one not in b]
    assert evaluated("%a.subsetOf(%b)") == [set(a) <= set(b)]
    assert evaluated("%a.isDistinct()") == [len(set(a)) == len(a)]
    assert evaluated("%a.sort()") == sorted(a)
    assert evaluated("%a.sort(-$this)") == sorted(a, reverse=True)
    assert evaluated("%a ~ %b") == [sorted(a) == sorted(b)]
    assert evaluated("%a.aggregate($this + $total, 0)") == [sum(a)]
    assert evaluated("%a.where($this > 2).select($this * 2)") == [one * 2 for one in a if one > 2]
    assert evaluated("%a.skip(1) | %a.first()") == list(dict.fromkeys(a[1:] + a[:1]))


@given(st.dates(date(1, 1, 1), date(9990, 1, 1)), st.integers(-3000, 3000))
def test_days_are_added_as_the_calendar_has_them(day: date, days: int) -> None:
    value = Date.parse(day.isoformat())
    assert value is not None
    moved = shifted(value, Decimal(days), "days")
    try:
        expected = day + timedelta(days=days)
    except OverflowError:
        assert moved is None
    else:
        assert str(moved) == expected.isoformat()


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9998, 1, 1)),  # noqa: DTZ001 # no zone is meant
    st.integers(-(10**9), 10**9),
)
def test_seconds_are_added_across_days(moment: datetime, seconds: int) -> None:
    value = DateTime.parse(moment.isoformat(timespec="milliseconds"))
    assert value is not None
    try:
        whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        expected = (whole + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
    except OverflowError:
        return
    assert str(shifted(value, Decimal(seconds), "seconds")) == expected


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(-500, 500))
def test_months_that_are_added_and_taken_lose_days_only_at_the_end_of_a_month(day: date, months: int) -> None:
    value = Date.parse(day.isoformat())
    assert value is not None
    there = shifted(value, Decimal(months), "months")
    assert there is not None
    back = shifted(there, Decimal(-months), "months")
    assert back is not None
    assert back.parts[:2] == value.parts[:2]
    assert back.parts[2] == min(value.parts[2], there.parts[2])


_days = st.dates(date(1800, 1, 1), date(2200, 1, 1)).flatmap(
    lambda day: st.sampled_from([day.isoformat()[:length] for length in (4, 7, 10)])
)
_moments = st.datetimes(
    datetime(1800, 1, 1),  # noqa: DTZ001 # zones are written by hand
    datetime(2200, 1, 1),  # noqa: DTZ001 # zones are written by hand
).flatmap(
    lambda moment: st.builds(
        lambda length, zone: (
            moment.isoformat(timespec="milliseconds")[:length] + (zone if length > 10 else "")
        ),
        st.sampled_from([4, 7, 10, 16, 19, 23]),
        st.sampled_from(["", "Z", "+08:00", "-11:30"]),
    )
)


@given(
    st.one_of(_days.map(Date.parse), _moments.map(DateTime.parse)), st.one_of(_moments.map(DateTime.parse))
)
def test_dates_compare_antisymmetrically_and_lie_within_their_boundaries(
    one: Temporal, other: Temporal
) -> None:
    order, reverse = compare(one, other), compare(other, one)
    assert order == (None if reverse is None else -reverse)
    assert compare(one, one) == 0
    low = compiled("%v.lowBoundary()").evaluate(EMPTY, Environment(variables={"v": one}))[0]
    high = compiled("%v.highBoundary()").evaluate(EMPTY, Environment(variables={"v": one}))[0]
    assert compare(low, high) in {-1, 0}
    assert compare(one, low) in {None, 0, 1}
    assert compare(high, one) in {None, 0, 1}


@given(
    st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False).filter(
        lambda v: abs(v.adjusted()) < 12
    )
)
def test_a_decimal_lies_between_its_boundaries(value: Decimal) -> None:
    assume(-value.as_tuple().exponent < 20)  # type: ignore[operator] # a finite decimal's exponent is a number
    low, high = _value("%v.lowBoundary(28)", v=value), _value("%v.highBoundary(28)", v=value)
    assert isinstance(low, Decimal)
    assert isinstance(high, Decimal)
    assert low < value < high


@given(st.one_of(st.booleans(), numbers, _moments.map(DateTime.parse), st.text(max_size=20)))
def test_what_converts_to_text_converts_back(value: object) -> None:
    kind = {bool: "Boolean", int: "Integer", Decimal: "Decimal", str: "String"}.get(type(value), "DateTime")
    assert _value(f"%v.toString().to{kind}()", v=value) == value
    assert _value(f"%v.toString().convertsTo{kind}()", v=value) is True


@given(st.text(max_size=30), st.text(max_size=3), st.text(max_size=3))
def test_texts_behave_as_pythons(text: str, part: str, by: str) -> None:
    def evaluated(expression: str) -> object:
        return _value(expression, t=text, p=part, b=by)

    assert evaluated("%t.contains(%p)") is (part in text)
    assert evaluated("%t.indexOf(%p)") == text.find(part)
    assert evaluated("%t.replace(%p, %b)") == text.replace(part, by)
    assert evaluated("%t.toChars().join('')") == text
    assert evaluated("%t.encode('base64').decode('base64') = %t") is True
    assert evaluated("%t.escape('json').unescape('json') = %t") is True
    if part:
        assert evaluated("%t.split(%p).join(%p)") == text


_atoms = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", "\\d", "\\w", "(?:ab)", "(a|b)", "(b)", "\\b", "^", "$"]
)
_patterns = st.lists(
    st.builds(str.__add__, _atoms, st.sampled_from(["", "", "*", "+", "?", "{1,2}", "*?", "{2}"])), max_size=5
).map("".join)


@given(_patterns, st.text("ab1 \n", max_size=12))
@example("(a|ab)(c|bcd)?", "abcd")
def test_patterns_find_what_python_finds(pattern: str, text: str) -> None:
    try:
        reference = re.compile(pattern, re.DOTALL | re.ASCII)
    except re.error:
        return
    assume(
        not re.search(r"\\b[*+?{]|[$^][*+?{]", pattern)
    )  # repeats of places, which dialects treat differently
    expected = _without_last_line_end(reference)
    ours = pattern_of(pattern)
    assert ours.is_in(text, _spend) is (expected.search(text) is not None)
    assert ours.is_whole(text, _spend) is (expected.fullmatch(text) is not None)
    if pattern and not expected.fullmatch(""):  # what replaces nothing differs between dialects
        assert ours.replaced(text, "<$0>", _spend) == expected.sub(lambda match: f"<{match[0]}>", text)


def _without_last_line_end(reference: re.Pattern[str]) -> re.Pattern[str]:
    # Python's `$` also stands before a line end at the end
    return re.compile(reference.pattern.replace("$", r"\Z"), reference.flags)


def _spend(_: int) -> None:
    """Take as many steps as there are."""


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "(.*a){20}b", "(a|aa)+$"])
def test_a_pattern_that_makes_others_explode_takes_linear_time(pattern: str) -> None:
    text = "a" * 5_000 + "c"
    assert _value("%t.matches(%p)", t=text, p=pattern) is False
    assert _value("%t.matchesFull(%p)", t=text[:-1], p="(a+)+") is True


@given(st.text(max_size=40))
@example("0")
@example("m/0")
def test_any_text_is_a_unit_of_ucum_or_none(text: str) -> None:
    unit = unit_of(text)
    if unit is not None and not unit.is_special:
        assert unit.of_base(unit.to_base(Decimal("2.5"))) == Decimal("2.5")
        assert unit.times(unit, -1).dimension == ()


_names = st.sampled_from(
    "name given birthDate active value contained id extension Patient Resource deceased".split()  # noqa: SIM905
)
_literals = st.sampled_from(
    """1 0 2.5 'a' '' true {} @2024 @2024-02-29T10:00Z @T10:30 1'mg' (3_days) (1_month) $this $index $total
    %resource %context %ucum (-1) '[a-z]+' '((' 9999999.9""".split()  # noqa: SIM905 # words, not a column of them
).map(lambda word: word.replace("_", " "))
_functions = st.sampled_from(sorted(FUNCTIONS))


def _composed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = [
        "+",
        "-",
        "*",
        "/",
        "div",
        "mod",
        "&",
        "|",
        "=",
        "!=",
        "~",
        "<",
        ">=",
        "in",
        "contains",
        "and",
        "or",
    ]
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from([*operators, "xor", "implies"]), inner),
        st.builds("{}.{}()".format, inner, _functions),
        st.builds("{}.{}({})".format, inner, _functions, inner),
        st.builds("{}.{}({}, {})".format, inner, _functions, inner, inner),
        st.builds("{}.{}".format, inner, _names),
        st.builds("{}[{}]".format, inner, inner),
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["is", "as"]), st.sampled_from(["string", "Quantity"])
        ),
    )


_expressions = st.recursive(st.one_of(_names, _literals), _composed, max_leaves=12)
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["name", "given", "_given", "birthDate", "active", "valueQuantity", "value", "code", "id"]
            )
            | st.sampled_from(
                ["extension", "contained", "resourceType", "deceasedBoolean", "system", "reference"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
_resources = st.builds(
    lambda rest: {**rest, "resourceType": "Patient"}, st.dictionaries(_names, _json, max_size=5)
)


def _only_exchange_errors(work: Callable[[], object]) -> None:
    with suppress(ExchangeError):
        work()


@given(_expressions, _resources)
def test_no_expression_on_any_json_raises_anything_else(text: str, resource: JsonObject) -> None:
    _only_exchange_errors(lambda: compiled(text).evaluate(resource, Environment(now=NOW)))
    _only_exchange_errors(lambda: compiled(text).nodes(resource, Environment(now=NOW)))


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    _only_exchange_errors(lambda: compiled(text).evaluate(EMPTY, Environment(now=NOW)))


@given(st.text("()[]{}|*+?.^$\\ab1-,<>:dwsbpxu", max_size=25), st.text("ab1 ", max_size=15))
def test_no_pattern_raises_anything_else(pattern: str, text: str) -> None:
    _only_exchange_errors(lambda: pattern_of(pattern).is_in(text, _spend))
    _only_exchange_errors(lambda: pattern_of(pattern).replaced(text, pattern, _spend))


@given(st.text(max_size=30))
def test_any_text_is_a_date_a_time_or_none(text: str) -> None:
    for kind in (Date, DateTime, Time):
        value = kind.parse(text)
        if value is not None:
            assert kind.parse(str(value)) == value
