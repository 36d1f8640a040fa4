"""What a condition says of one row of its index table.

Pure translation of comparison rules (https://hl7.org/fhir/R4/search.html#prefix)
to SQL; which table is walked, and in which order, is for `compile`.
"""

from typing import Final

from fhir_server.index.hashing import hash64
from fhir_server.index.normal_form import LONGEST, normal_form
from fhir_server.index.uris import LONGEST as LONGEST_URI
from fhir_server.search.composite_predicate import combination_predicate, composite_alternatives
from fhir_server.search.conditions import (
    CompositeIs,
    DateIs,
    NearIs,
    NumberIs,
    Other,
    Present,
    QuantityIs,
    ReferenceIs,
    Span,
    StringIs,
    TextIs,
    TokenIs,
    TokenValue,
    UriIs,
)
from fhir_server.search.measure_predicates import amount_alternatives, near_predicate, quantity_alternatives
from fhir_server.search.sql import Sql, any_of
from fhir_server.search.text import words_predicate

RowCondition = (
    TokenIs
    | ReferenceIs
    | StringIs
    | DateIs
    | NumberIs
    | QuantityIs
    | UriIs
    | CompositeIs
    | NearIs
    | TextIs
    | Other
    | Present
)

# No text that begins with a prefix sorts after prefix + the last code point (collation "C").
_LAST: Final = "\U0010ffff"


def table_of(condition: RowCondition) -> str:
    """Return the name of the index table that answers `condition`."""
    if isinstance(condition, Present):
        return condition.table
    if isinstance(condition, Other):
        return table_of(condition.condition)
    return _TABLES[type(condition)]


def row_predicate(condition: RowCondition, row: str) -> Sql:  # noqa: C901, PLR0911 - a case a kind
    """Return what is true of the rows, under the alias `row`, that satisfy `condition`."""
    match condition:
        case TokenIs():
            return _token(condition, row)
        case ReferenceIs():
            return _in(row, condition.param, "target_hash", list(condition.targets))
        case StringIs():
            return _string(condition, row)
        case UriIs(is_below=False):
            return _in(row, condition.param, "uri_hash", [hash64(value) for value in condition.values])
        case UriIs():
            return _with_param(condition.param, row, [_below(value, row) for value in condition.values])
        case DateIs():
            return _with_param(condition.param, row, [_span(value, row) for value in condition.values])
        case CompositeIs():
            return any_of(combination_predicate(condition.param, value, row) for value in condition.values)
        case NumberIs() | QuantityIs():
            return any_of(row_alternatives(condition, row))
        case NearIs():
            return near_predicate(condition, row)
        case TextIs():
            return words_predicate(condition, row)
        case Other():
            inner = row_predicate(condition.condition, row)
            return Sql(f"{row}.param = %s AND NOT ({inner.text})", (condition.condition.param, *inner.params))
        case Present():
            return Sql(f"{row}.param = %s", (condition.param,))


def row_alternatives(condition: RowCondition, row: str) -> list[Sql]:
    """Return `row_predicate` as alternatives, each of which an index range answers."""
    match condition:
        case NumberIs():
            found = [each for value in condition.values for each in amount_alternatives(value, row)]
        case QuantityIs():
            found = [each for value in condition.values for each in quantity_alternatives(value, row)]
        case CompositeIs():
            return composite_alternatives(condition, row)
        case _:
            return [row_predicate(condition, row)]
    return [_with_param(condition.param, row, [each]) for each in found]


def instant_predicate(value: Span, column: str) -> Sql:
    """Return how the instant in `column` compares to `value`."""
    text, bounds = {
        "eq": (f"{column} >= %s AND {column} < %s", (value.low, value.high)),
        "ap": (f"{column} >= %s AND {column} < %s", (value.low, value.high)),
        "ne": (f"({column} < %s OR {column} >= %s)", (value.low, value.high)),
        "gt": (f"{column} >= %s", (value.high,)),
        "sa": (f"{column} >= %s", (value.high,)),
        "lt": (f"{column} < %s", (value.low,)),
        "eb": (f"{column} < %s", (value.low,)),
        "ge": (f"{column} >= %s", (value.low,)),
        "le": (f"{column} < %s", (value.high,)),
    }[value.prefix]
    return Sql(text, bounds)


def branches_of(condition: TokenIs | ReferenceIs | UriIs, row: str) -> list[Sql]:
    """Return `condition` as alternatives, each of which one index range answers newest first.

    Empty when there is no such form (``system|``, `:below`).
    """
    match condition:
        case ReferenceIs():
            return [_in(row, condition.param, "target_hash", [each]) for each in condition.targets]
        case UriIs():
            if condition.is_below:
                return []
            return [_in(row, condition.param, "uri_hash", [hash64(each)]) for each in condition.values]
        case TokenIs():
            by_code: dict[int, list[TokenValue]] = {}
            for value in condition.values:
                if value.code_hash is None:
                    return []
                by_code.setdefault(value.code_hash, []).append(value)
            return [_token(TokenIs(condition.param, tuple(values)), row) for values in by_code.values()]


def _token(condition: TokenIs, row: str) -> Sql:
    by_system: dict[int | None, list[int]] = {}
    whole: list[Sql] = []
    for value in condition.values:
        if value.code_hash is None:
            whole.append(_token_value(value, row))
        else:
            by_system.setdefault(value.system_hash, []).append(value.code_hash)
    if whole or not by_system:
        return _with_param(
            condition.param,
            row,
            [*whole, *(_codes(codes, system, row) for system, codes in by_system.items())],
        )
    codes = list(dict.fromkeys(code for listed in by_system.values() for code in listed))
    found = _in(row, condition.param, "code_hash", codes)
    if len(by_system) == 1:
        (system,) = by_system
        if system is None:
            return found
        return Sql(f"{found.text} AND {row}.system_hash = %s", (*found.params, system))
    exact = any_of(_codes(listed, system, row) for system, listed in by_system.items())
    return Sql(f"{found.text} AND {exact.text}", found.params + exact.params)


def _codes(codes: list[int], system: int | None, row: str) -> Sql:
    found = Sql(f"{row}.code_hash = ANY(%s::bigint[])", (codes,))
    if len(codes) == 1:
        found = Sql(f"{row}.code_hash = %s", (codes[0],))
    if system is None:
        return found
    return Sql(f"{found.text} AND {row}.system_hash = %s", (*found.params, system))


def _token_value(value: TokenValue, row: str) -> Sql:
    if value.code_hash is None:
        return Sql(f"{row}.system_hash = %s", (value.system_hash,))
    if value.system_hash is None:
        return Sql(f"{row}.code_hash = %s", (value.code_hash,))
    return Sql(f"{row}.code_hash = %s AND {row}.system_hash = %s", (value.code_hash, value.system_hash))


def _in(row: str, param: int, column: str, hashes: list[int | None] | list[int]) -> Sql:
    if len(hashes) == 1:
        return Sql(f"{row}.param = %s AND {row}.{column} = %s", (param, hashes[0]))
    return Sql(f"{row}.param = %s AND {row}.{column} = ANY(%s::bigint[])", (param, hashes))


def _with_param(param: int, row: str, values: list[Sql]) -> Sql:
    either = any_of(values)
    return Sql(f"{row}.param = %s AND {either.text}", (param, *either.params))


def _string(condition: StringIs, row: str) -> Sql:
    if condition.mode == "contains":
        either = any_of(Sql(f"strpos({row}.norm, %s) > 0", (value,)) for value in condition.values)
        return Sql(
            f"{row}.param = ANY(%s::int[]) AND {either.text}",
            ([condition.param, condition.windows], *either.params),
        )
    if condition.mode in {"equal", "end"}:
        return _with_param(
            condition.param, row, [_whole(condition.mode, value, row) for value in condition.values]
        )
    if condition.mode == "exact":
        return _with_param(
            condition.param,
            row,
            [
                Sql(f"{row}.norm = %s AND {row}.exact = %s", (normal_form(value)[:LONGEST], value))
                for value in condition.values
            ],
        )
    return _with_param(
        condition.param, row, [prefix_predicate(f"{row}.norm", value) for value in condition.values]
    )


def _whole(mode: str, value: str, row: str) -> Sql:
    """Compare the normal form, cut where the index cuts it."""
    if mode == "equal":
        return Sql(f"{row}.norm = %s", (value,))
    return Sql(f"right({row}.norm, %s) = %s", (len(value), value))


def prefix_predicate(column: str, value: str) -> Sql:
    """Return whether the text in `column`, of collation "C", begins with `value`."""
    return Sql(f"{column} >= %s AND {column} < %s", (value, value + _LAST))


def _below(value: str, row: str) -> Sql:
    path = value if value.endswith("/") else f"{value}/"
    below = prefix_predicate(f"{row}.uri", path[:LONGEST_URI])
    return Sql(f"({row}.uri = %s OR ({below.text}))", (value[:LONGEST_URI], *below.params))


def _span(value: Span, row: str) -> Sql:
    """Compare the span [lo, hi) of a row.

    The last two of "eq" and the first of "ge" and "le" follow from the rest; they give indexes a range.
    """
    lo, hi = f"{row}.lo", f"{row}.hi"
    low, high = value.low, value.high
    text, bounds = {
        "eq": (f"{lo} >= %s AND {hi} <= %s AND {lo} < %s AND {hi} >= %s", (low, high, high, low)),
        "ne": (f"({lo} < %s OR {hi} > %s)", (low, high)),
        "gt": (f"{hi} > %s", (high,)),
        "lt": (f"{lo} < %s", (low,)),
        "ge": (f"{hi} >= %s AND ({lo} >= %s OR {hi} > %s)", (low, low, high)),
        "le": (f"{lo} <= %s AND ({lo} < %s OR {hi} <= %s)", (high, low, high)),
        "sa": (f"{lo} >= %s", (high,)),
        "eb": (f"{hi} <= %s", (low,)),
        "ap": (f"{lo} < %s AND {hi} > %s", (high, low)),
    }[value.prefix]
    return Sql(text, bounds)


_TABLES: Final[dict[type, str]] = {
    TokenIs: "ix_token",
    ReferenceIs: "ix_reference",
    StringIs: "ix_string",
    DateIs: "ix_date",
    NumberIs: "ix_number",
    QuantityIs: "ix_quantity",
    UriIs: "ix_uri",
    CompositeIs: "ix_composite",
    NearIs: "ix_number",
    TextIs: "ix_text",
}
