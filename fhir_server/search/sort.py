"""The keys of `_sort` as SQL expressions (https://hl7.org/fhir/R4/search.html#sort).

A resource with several values is sorted by the least for ascending order and by
the greatest for descending; one without a value comes last. All keys are read
from the index tables: codes as written, Chinese texts by their pinyin,
references by the id of the resource that they lead to. Where contained resources are searched,
theirs are the values of their container.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from typing import Final, NamedTuple

from fhir_server.search.query import SortKey
from fhir_server.search.sql import Sql, all_of, any_of

# By parameter type: the table, the key for ascending and for descending order, and the key's type.
_COLUMNS: Final = {
    "date": ("ix_date", "k.lo", "k.hi", "timestamptz"),
    "string": ("ix_string", "coalesce(k.sort_key, k.norm)", "coalesce(k.sort_key, k.norm)", "text"),
    "token": ("ix_token", "k.code", "k.code", "text"),
    "number": ("ix_number", "k.lo", "k.hi", "numeric"),
    "quantity": ("ix_quantity", "k.lo", "k.hi", "numeric"),
    "uri": ("ix_uri", "k.uri", "k.uri", "text"),
    "reference": ("ix_reference k JOIN resource t ON t.key_hash = k.target_hash", "t.id", "t.id", "text"),
}
# What a search can be sorted by.
SORTABLE: Final = frozenset(_COLUMNS)


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
    if sort.type is None:
        value, kind = (Sql("r.id"), "text") if sort.code == "_id" else (Sql("r.seq"), "bigint")
        return Key(value, kind, sort.is_descending)
    table, low, high, kind = _COLUMNS[sort.type]
    pick, column = ("max", high) if sort.is_descending else ("min", low)
    source = table if " k " in table else f"{table} k"
    own = "k.rid = r.rid"
    if any(number < 0 for number in sort.numbers):
        own = "k.rid = ANY(r.rid || ARRAY(SELECT c.rid FROM contained c WHERE c.container = r.rid))"
    return Key(
        Sql(
            f"(SELECT {pick}({column}) FROM {source} WHERE {own} AND k.param = ANY(%s::int[]))",
            (list(sort.numbers),),
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
