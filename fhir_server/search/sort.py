"""The keys of `_sort` as SQL expressions (https://hl7.org/fhir/R4/search.html#sort).

A resource with several values is sorted by the least for ascending order and by
the greatest for descending; one without a value comes last. Dates, strings,
numbers, quantities and URIs are read from the index tables. Of tokens and
references the tables hold hashes only, so their keys are read from the
resource's text; that costs its parsing.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from typing import Final, NamedTuple

from fhir_server.index.json_path import json_paths
from fhir_server.search.query import SortKey
from fhir_server.search.sql import Sql, all_of, any_of

_COLUMNS: Final = {
    "date": ("ix_date", "lo", "hi", "timestamptz"),
    "string": ("ix_string", "norm", "norm", "text"),
    "number": ("ix_number", "lo", "hi", "numeric"),
    "quantity": ("ix_quantity", "lo", "hi", "numeric"),
    "uri": ("ix_uri", "uri", "uri", "text"),
}

# jsonb cannot hold U+0000, which a FHIR string should not but may have.
_JSONB: Final = r"CASE WHEN strpos(r.body, '\u0000') = 0 THEN r.body::jsonb END"


class Key(NamedTuple):
    """A sort key: its value for the resource `r`, the SQL type to compare it as, and its direction."""

    value: Sql
    type: str
    is_descending: bool

    @property
    def order(self) -> str:
        """The direction in an ORDER BY."""
        return "DESC NULLS LAST" if self.is_descending else "ASC NULLS LAST"


def key_of(sort: SortKey) -> Key:
    """Return the SQL of one key."""
    if sort.parameter is None:
        value, kind = (Sql("r.id"), "text") if sort.code == "_id" else (Sql("r.seq"), "bigint")
        return Key(value, kind, sort.is_descending)
    found = _COLUMNS.get(sort.parameter.type)
    pick = "max" if sort.is_descending else "min"
    if found is None:
        paths = json_paths(sort.parameter)
        texts = " UNION ALL ".join(f"SELECT jsonb_path_query({_JSONB}, %s::jsonpath) AS v" for _ in paths)
        return Key(
            Sql(f"""(SELECT {pick}((v #>> '{{}}') COLLATE "C") FROM ({texts}) AS values)""", tuple(paths)),
            "text",
            sort.is_descending,
        )
    table, low, high, kind = found
    column = high if sort.is_descending else low
    return Key(
        Sql(
            f"(SELECT {pick}(k.{column}) FROM {table} k WHERE k.rid = r.rid AND k.param = %s)",
            (sort.parameter.number,),
        ),
        kind,
        sort.is_descending,
    )


def behind(keys: Sequence[Key], values: Sequence[str | None], rid: int) -> Sql:
    """Return what holds for rows (k0, k1 ... rid) that come after the row with `values` and `rid`."""
    alternatives: list[Sql] = []
    equal: list[Sql] = []
    for at, (key, value) in enumerate(zip(keys, values, strict=True)):
        if value is not None:
            sign = "<" if key.is_descending else ">"
            further = Sql(f"(k{at} {sign} %s::{key.type} OR k{at} IS NULL)", (value,))
            alternatives.append(all_of([*equal, further]))
            equal.append(Sql(f"k{at} = %s::{key.type}", (value,)))
        else:
            equal.append(Sql(f"k{at} IS NULL"))
    alternatives.append(all_of([*equal, Sql("rid < %s", (rid,))]))
    return any_of(alternatives)
