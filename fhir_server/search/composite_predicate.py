"""What a composite says of one row of ix_composite; `fhir_server.index.composites` says what a row holds."""

from itertools import product

from fhir_server.index.composites import microseconds
from fhir_server.search.conditions import Amount, Combination, CompositeIs, Span, TokenValue
from fhir_server.search.measure_predicates import amount_alternatives, quantity_alternatives
from fhir_server.search.sql import Sql, all_of, any_of


def composite_alternatives(condition: CompositeIs, row: str) -> list[Sql]:
    """Return what is true of the rows, under the alias `row`, that satisfy `condition`: one of these."""
    param = Sql(f"{row}.param = %s", (condition.param,))
    return [all_of([param, *each]) for value in condition.values for each in product(*_parts(value, row))]


def combination_predicate(param: int, combination: Combination, row: str) -> Sql:
    """Return what is true of the rows of `param` that are as `combination` says, in one conjunction.

    The key stands in front, so that the index that is newest first by key can be walked.
    """
    return all_of([Sql(f"{row}.param = %s", (param,)), *(any_of(each) for each in _parts(combination, row))])


def _parts(combination: Combination, row: str) -> list[list[Sql]]:
    """Return what must hold, each as alternatives."""
    is_keyed = combination.key_hash is not None
    parts: list[list[Sql]] = []
    if is_keyed:
        parts.append([Sql(f"{row}.key_hash = %s", (combination.key_hash,))])
    parts += _token(combination.first, row, "first", is_keyed=is_keyed)
    parts += _part(combination.second, row, "second", is_keyed=is_keyed)
    parts += _part(combination.third, row, "third", is_keyed=is_keyed)
    return parts


def is_whole(combination: Combination) -> bool:
    """Return whether the key alone says which rows are meant, but for systems."""
    return combination.key_hash is not None and all(
        part is None or isinstance(part, TokenValue) for part in (combination.second, combination.third)
    )


def _part(
    part: TokenValue | Amount | Span | str | None, row: str, place: str, *, is_keyed: bool
) -> list[list[Sql]]:
    columns = ("lo", "hi") if place == "second" else ("third_lo", "third_hi")
    match part:
        case None:
            return []
        case TokenValue():
            return _token(part, row, place, is_keyed=is_keyed)
        case str():
            text = f"{row}.norm >= %s AND {row}.norm < %s"
            return [[Sql(text, (part, part + "\U0010ffff"))]]
        case Span():
            return [[_span(part, row, columns)]]
        case Amount():
            if place == "second":
                return [quantity_alternatives(part, row, system="second_system", code="second_hash")]
            return [amount_alternatives(part, row, columns)]


def _token(value: TokenValue, row: str, place: str, *, is_keyed: bool) -> list[list[Sql]]:
    """Ask for the system; for the code only where the key does not say it."""
    parts = []
    if value.code_hash is not None and not is_keyed:
        parts.append([Sql(f"{row}.{place}_hash = %s", (value.code_hash,))])
    if value.system_hash is not None:
        # 0, no system, is null behind the first place
        parts.append([Sql(f"coalesce({row}.{place}_system, 0) = %s", (value.system_hash,))])
    return parts


def _span(value: Span, row: str, columns: tuple[str, str]) -> Sql:
    """Compare dates as microseconds, as `predicates` compares them as instants."""
    lo, hi = (f"{row}.{column}" for column in columns)
    low, high = microseconds(value.low), microseconds(value.high)
    text, bounds = {
        "eq": (f"{lo} >= %s AND {hi} <= %s AND {lo} < %s", (low, high, high)),
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
