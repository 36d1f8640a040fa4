"""Says of one version of a resource whether a condition holds, by its index rows alone: no query.

The rules are those of `fhir_server.search.predicates`, and a test holds the two equal. What needs other
resources (chains), UCUM, or arithmetic that PostgreSQL does is not decided here but by `asked`: the
answer is then None.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from fhir_server.index.contained import local_key
from fhir_server.index.hashing import hash64
from fhir_server.index.normal_form import LONGEST, normal_form
from fhir_server.index.rows import IndexRows
from fhir_server.index.uris import LONGEST as LONGEST_URI
from fhir_server.search.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ContainedIdIs,
    DateIs,
    IdIs,
    Inside,
    LastUpdatedIs,
    Not,
    Present,
    ReferenceIs,
    Restriction,
    Span,
    StringIs,
    TextIs,
    TokenIs,
    UriIs,
)
from fhir_server.search.text import has_words
from hie.core.fhir.json import JsonObject

_TABLE: Final = "ix_"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource: its content, when it was made, and the rows that it gives."""

    resource_type: str
    id: str
    number: int
    last_updated: datetime
    resource: JsonObject
    rows: IndexRows


def all_hold(conditions: Iterable[Condition], version: Version) -> bool | None:
    """Return whether all `conditions` hold of `version`; None where rows alone do not say it."""
    is_known = True
    for condition in conditions:
        found = holds(condition, version)
        if found is False:
            return False
        is_known = is_known and found is not None
    return True if is_known else None


def holds(condition: Condition, version: Version) -> bool | None:  # noqa: C901, PLR0911, PLR0912 - a case a kind
    """Return whether `condition` holds of `version`; None where rows alone do not say it."""
    rows = version.rows
    match condition:
        case AllOf():
            return all_hold(condition.conditions, version)
        case AnyOf():
            answers = [holds(each, version) for each in condition.conditions]
            if True in answers:
                return True
            return None if None in answers else False
        case Restriction():
            return holds(condition.condition, version)
        case Not():
            inner = holds(condition.condition, version)
            return None if inner is None else not inner
        case TokenIs():
            return any(
                param == condition.param
                and any(
                    (each.code_hash is None or each.code_hash == code)
                    and (each.system_hash is None or each.system_hash == system)
                    for each in condition.values
                )
                for param, code, system in rows.token
            )
        case ReferenceIs():
            return any(
                param == condition.param and target in condition.targets
                for param, target, _ in rows.reference
            )
        case UriIs():
            return any(
                param == condition.param and _uri(condition, number, uri) for param, number, uri in rows.uri
            )
        case StringIs():
            return _string(condition, rows)
        case TextIs():
            return has_words(condition, version.resource)
        case DateIs():
            return any(
                param == condition.param and any(_span(each, low, high) for each in condition.values)
                for param, low, high in rows.date
            )
        case Present():
            listed = getattr(rows, condition.table.removeprefix(_TABLE))
            return any(row[0] == condition.param for row in listed)
        case IdIs() | ContainedIdIs():
            return version.id in condition.ids
        case Inside(param=param) if param > 0:
            return _inside(condition, version)
        case LastUpdatedIs():
            return any(_instant(each, version.last_updated) for each in condition.values)
        case _:
            return None


def _inside(condition: Inside, version: Version) -> bool | None:
    """Return whether `version` points at something that it contains for which the condition holds."""
    pointed = {target for param, target, _ in version.rows.reference if param == condition.param}
    answers = [
        holds(condition.condition, replace(version, id=each.id or "", rows=each.rows))
        for each in version.rows.contained
        if each.type == condition.target and local_key(each.id or "") in pointed
    ]
    if True in answers:
        return True
    return None if None in answers else False


def _uri(condition: UriIs, number: int, uri: str) -> bool:
    if not condition.is_below:
        return any(hash64(value) == number for value in condition.values)
    for value in condition.values:
        path = value if value.endswith("/") else f"{value}/"
        if uri == value[:LONGEST_URI] or uri.startswith(path[:LONGEST_URI]):
            return True
    return False


def _string(condition: StringIs, rows: IndexRows) -> bool:
    if condition.mode == "contains":
        params = (condition.param, condition.windows)
        return any(
            row[0] in params and any(value in row[1] for value in condition.values) for row in rows.string
        )
    listed = [(norm, exact) for param, norm, exact in rows.string if param == condition.param]
    match condition.mode:
        case "start":
            return any(norm.startswith(value) for norm, _ in listed for value in condition.values)
        case "equal":
            return any(norm == value for norm, _ in listed for value in condition.values)
        case "end":
            return any(norm.endswith(value) for norm, _ in listed for value in condition.values)
        case "exact":
            wanted = {(normal_form(value)[:LONGEST], value) for value in condition.values}
            return any(row in wanted for row in listed)


def _span(value: Span, lo: datetime, hi: datetime) -> bool:  # noqa: PLR0911 - one a prefix
    """Compare the span [lo, hi) of a row (https://hl7.org/fhir/R4/search.html#prefix)."""
    low, high = value.low, value.high
    match value.prefix:
        case "eq":
            return lo >= low and hi <= high and lo < high
        case "ne":
            return lo < low or hi > high
        case "gt":
            return hi > high
        case "lt":
            return lo < low
        case "ge":
            return hi >= low and (lo >= low or hi > high)
        case "le":
            return lo <= high and (lo < low or hi <= high)
        case "sa":
            return lo >= high
        case "eb":
            return hi <= low
        case "ap":
            return lo < high and hi > low


def _instant(value: Span, moment: datetime) -> bool:
    match value.prefix:
        case "eq" | "ap":
            return value.low <= moment < value.high
        case "ne":
            return moment < value.low or moment >= value.high
        case "gt" | "sa":
            return moment >= value.high
        case "lt" | "eb":
            return moment < value.low
        case "ge":
            return moment >= value.low
        case "le":
            return moment < value.high
