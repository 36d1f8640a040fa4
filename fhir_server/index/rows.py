"""The index rows of one resource: what `Indexer` makes, the store writes and search reads.

One list of tuples for each index table, in the order of the table's columns
and without `rid` and `seq`, which the store adds when it writes.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from fhir_server.index.sort_key import sort_key
from hie.core.fhir.json import Json

# Bounds of a period without start or end. FHIR years are 0001 to 9999
# (https://hl7.org/fhir/R4/datatypes.html#dateTime), so these stand for infinity.
OPEN_START = datetime.min.replace(tzinfo=UTC)
OPEN_END = datetime.max.replace(tzinfo=UTC)

# The same for numbers without bound, e.g. a Range with `low` only (numeric knows infinity).
UNBOUNDED_LOW = Decimal("-Infinity")
UNBOUNDED_HIGH = Decimal("Infinity")

TokenRow = tuple[int, int, int]
ReferenceRow = tuple[int, int, int | None]
StringRow = tuple[int, str, str]
DateRow = tuple[int, datetime, datetime]
NumberRow = tuple[int, Decimal, Decimal]
QuantityRow = tuple[int, Decimal, Decimal, int, int, int, int, Decimal | None, Decimal | None]
UriRow = tuple[int, int, str]
TextRow = tuple[int, str]


class CompositeRow(NamedTuple):
    """One combination of values in one element; 0 and None where a component has no such part.

    `key_hash` stands for all components that are hashes; `lo` to `hi` are a number, a quantity,
    or microseconds since 1970 of a date, which lies before `hi`.
    """

    param: int
    key_hash: int
    first_hash: int
    first_system: int
    second_hash: int = 0
    second_system: int = 0
    unit_hash: int = 0
    lo: Decimal | None = None
    hi: Decimal | None = None
    canonical_hash: int = 0
    canonical_lo: Decimal | None = None
    canonical_hi: Decimal | None = None
    norm: str | None = None
    third_hash: int = 0
    third_system: int = 0
    third_lo: Decimal | None = None
    third_hi: Decimal | None = None


class ContainedRows(NamedTuple):
    """The rows of the contained resource at `position`, from 0, in its container.

    The types are numbers. The `param` of each row is negative (`fhir_server.index.contained`); `id` is
    None where it has none.
    """

    position: int
    container_type: int
    type: int
    id: str | None
    rows: "IndexRows"


# The columns of each index table, before rid and seq, as `IndexRows.of` gives them.
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "token": ("param", "code_hash", "system_hash", "code"),
    "reference": ("param", "target_hash", "target_type"),
    "string": ("param", "norm", "exact", "sort_key"),
    "date": ("param", "lo", "hi"),
    "number": ("param", "lo", "hi"),
    "quantity": (
        "param",
        "lo",
        "hi",
        "system_hash",
        "code_hash",
        "unit_hash",
        "canonical_hash",
        "canonical_lo",
        "canonical_hi",
    ),
    "uri": ("param", "uri_hash", "uri"),
    "composite": CompositeRow._fields,
    "text": ("param", "words"),
}
# Columns in which the 0 of a row stands for null.
NULLED: Final = frozenset(
    {
        ("reference", "target_type"),
        ("quantity", "canonical_hash"),
        ("composite", "canonical_hash"),
        ("composite", "second_hash"),
        ("composite", "second_system"),
        ("composite", "unit_hash"),
        ("composite", "third_hash"),
        ("composite", "third_system"),
    }
)
# What `_sort` by a token compares; longer codes are cut.
LONGEST_CODE: Final = 64


_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class IndexRows:
    """Rows of one resource for the index tables; no duplicates within a list.

    - token: param, code_hash, system_hash
    - reference: param, target_hash, target_type (None: not a resource of this server)
    - string: param, norm, exact
    - date: param, lo, hi (aware, UTC; the value lies in [lo, hi))
    - number: param, lo, hi (the value lies in [lo, hi]; of a position lo is the latitude, hi the longitude)
    - quantity: param, lo, hi, system_hash, code_hash, unit_hash, canonical_hash (0 where absent),
      canonical_lo, canonical_hi
    - uri: param, uri_hash, uri
    - composite: see CompositeRow
    - text: param, words (as PostgreSQL writes a tsvector)

    `codes` has the text of each code_hash but 0; `elements` is where composites collect what they are about,
    empty when indexing is done. `of` gives the rows of one table with all its columns. `contained` are the
    rows of contained resources; in theirs, `container` is "Type/id" of what contains them. `local` has the
    types of contained resources by id, and in theirs that of the container by "".
    """

    __slots__ = (
        "codes",
        "composite",
        "contained",
        "container",
        "date",
        "elements",
        "local",
        "number",
        "quantity",
        "reference",
        "string",
        "text",
        "token",
        "uri",
    )

    def __init__(self, container: str = "", local: Mapping[str, str] = _NONE) -> None:
        self.container = container
        self.local = local
        self.contained: Sequence[ContainedRows] = ()
        self.codes: dict[int, str] = {}
        self.elements: list[Json] = []
        self.token: list[TokenRow] = []
        self.reference: list[ReferenceRow] = []
        self.string: list[StringRow] = []
        self.date: list[DateRow] = []
        self.number: list[NumberRow] = []
        self.quantity: list[QuantityRow] = []
        self.uri: list[UriRow] = []
        self.composite: list[CompositeRow] = []
        self.text: list[TextRow] = []

    def of(self, name: str) -> Sequence[tuple[object, ...]]:
        """Return the rows of the table ``ix_name`` with the columns that COLUMNS lists."""
        if name == "token":
            codes = self.codes
            return [
                # PostgreSQL's text holds no U+0000
                (param, code, system, codes[code][:LONGEST_CODE].replace("\0", "") if code else None)
                for param, code, system in self.token
            ]
        if name == "string":
            return [(param, norm, exact, sort_key(exact)) for param, norm, exact in self.string]
        rows: Sequence[tuple[object, ...]] = getattr(self, name)
        return rows
