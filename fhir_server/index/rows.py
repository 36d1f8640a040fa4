"""The index rows of one resource: what `Indexer` makes, the store writes and search reads.

One list of tuples for each index table, in the order of the table's columns
and without `rid` and `seq`, which the store adds when it writes.
"""

from datetime import UTC, datetime
from decimal import Decimal

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
QuantityRow = tuple[int, Decimal, Decimal, int, int, int]
UriRow = tuple[int, int, str]


class IndexRows:
    """Rows of one resource for the seven index tables; no duplicates within a list.

    - token: param, code_hash, system_hash
    - reference: param, target_hash, target_type (None: not a resource of this server)
    - string: param, norm, exact
    - date: param, lo, hi (aware, UTC; the value lies in [lo, hi))
    - number: param, lo, hi (the value lies in [lo, hi))
    - quantity: param, lo, hi, system_hash, code_hash, unit_hash (0 where absent)
    - uri: param, uri_hash, uri
    """

    __slots__ = ("date", "number", "quantity", "reference", "string", "token", "uri")

    def __init__(self) -> None:
        self.token: list[TokenRow] = []
        self.reference: list[ReferenceRow] = []
        self.string: list[StringRow] = []
        self.date: list[DateRow] = []
        self.number: list[NumberRow] = []
        self.quantity: list[QuantityRow] = []
        self.uri: list[UriRow] = []
