"""The report of a de-identified export: what was generalised, what was left out, and small tables of counts.

A FHIR Parameters resource, since no resource of R4 is about such a thing. Counts below k are suppressed in
it, with what would give them away (`hie.privacy.cells`).
"""

from collections import Counter
from collections.abc import Mapping

from hie.core.fhir.json import Json, JsonObject
from hie.privacy.anonymity import Quasi, Settled
from hie.privacy.cells import Table, protected
from hie.privacy.deidentification_rules import DeidentificationRules

UNKNOWN = "unknown"
OTHERS = "suppressed"


def report(
    settled: Settled,
    *,
    k: int,
    dates: str,
    project: str,
    rules: DeidentificationRules,
    written: Mapping[str, int],
) -> JsonObject:
    """Return the report on an export; `written` are the resources by type.

    How many patients were left out is told unless they are so few that their number tells something.
    """
    level = settled.level
    parts: list[JsonObject] = [
        _value("project", "String", project),
        _value("k", "Integer", k),
        _value("smallest-class", "Integer", min(settled.classes.values(), default=0)),
        _value("classes", "Integer", len(settled.classes)),
        _value("patients", "Integer", sum(settled.classes.values())),
        _value("years-of-birth-in-one", "Integer", level.years),
        _value("region", "Code", ("none", "state", "city")[level.regions]),
        _value("gender", "Boolean", level.has_gender),
        _value("dates", "Code", dates),
        _value("oldest", "Integer", rules.oldest),
        {"name": "removed", "part": [_value("element", "String", each) for each in sorted(rules.removed)]},
        {"name": "left-out", "part": [_value("type", "Code", each) for each in sorted(rules.left_out)]},
        {"name": "written", "part": [_value(name, "Integer", n) for name, n in sorted(written.items())]},
    ]
    if settled.suppressed == 0 or settled.suppressed >= k:
        parts.append(_value("patients-left-out", "Integer", settled.suppressed))
    else:
        parts.append(_value("patients-left-out", "String", f"fewer than {k}"))
    table = protected(by_region_and_gender(settled.classes), k=k)
    if table is not None:
        parts.append({"name": "patients-by-region-and-gender", "part": list(_cells(table))})
    return {"resourceType": "Parameters", "parameter": parts}


def by_region_and_gender(classes: Mapping[Quasi, int]) -> Mapping[tuple[str, str], int]:
    """Return how many patients there are by region and gender."""
    found = Counter[tuple[str, str]]()
    for quasi, count in classes.items():
        found["/".join(quasi.region) or UNKNOWN, quasi.gender or UNKNOWN] += count
    return found


def _cells(table: Table) -> list[JsonObject]:
    found: list[JsonObject] = []
    for row, cells, total in zip(table.rows, table.cells, table.row_totals, strict=True):
        parts = [
            _value(column, "String", OTHERS) if count is None else _value(column, "Integer", count)
            for column, count in zip(table.columns, cells, strict=True)
        ]
        found.append({"name": row, "part": [*parts, _value("total", "Integer", total)]})
    columns = zip(table.columns, table.column_totals, strict=True)
    found.append({"name": "total", "part": [_value(name, "Integer", total) for name, total in columns]})
    return found


def _value(name: str, kind: str, value: Json) -> JsonObject:
    return {"name": name, f"value{kind}": value}
