"""The syntax tree of a search: conditions on one resource, ready to be compiled.

Values are already what the index tables hold (hashes, spans, normal forms);
nothing here knows SQL.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from fhir_server.search.syntax import Prefix


@dataclass(frozen=True, slots=True)
class TokenValue:
    """A token; None stands for any code (``system|``) or any system (``code``)."""

    code_hash: int | None
    system_hash: int | None


@dataclass(frozen=True, slots=True)
class TokenIs:
    """The parameter has one of `values`."""

    param: int
    values: tuple[TokenValue, ...]


@dataclass(frozen=True, slots=True)
class ReferenceIs:
    """The parameter points at one of `targets` (hashes)."""

    param: int
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StringIs:
    """The parameter has a text that starts with, is exactly, contains, equals or ends with one of `values`.

    `values` are in normal form but for "exact"; `windows` is the param of long texts' windows.
    """

    param: int
    windows: int
    mode: Literal["start", "exact", "contains", "equal", "end"]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A date to compare with: [low, high) is what it covers; of "ap" it is widened already."""

    prefix: Prefix
    low: datetime
    high: datetime


@dataclass(frozen=True, slots=True)
class DateIs:
    """The parameter has a span that compares to one of `values` as its prefix says."""

    param: int
    values: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Amount:
    """A number to compare with: `value` as written, [low, high) its implicit range; of "ap" widened already.

    `unit` is (system, code) hashes; system None is any, the whole None is any unit. `canonical` is the same
    amount in the canonical unit of its UCUM unit.
    """

    prefix: Prefix
    value: Decimal
    low: Decimal
    high: Decimal
    unit: tuple[int | None, int] | None = None
    canonical: "Canonical | None" = None


@dataclass(frozen=True, slots=True)
class Canonical:
    """An amount in a canonical unit, of which `unit` is the hash."""

    unit: int
    value: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class NumberIs:
    """The parameter has a number that compares to one of `values`."""

    param: int
    values: tuple[Amount, ...]


@dataclass(frozen=True, slots=True)
class QuantityIs:
    """The parameter has a quantity that compares to one of `values`."""

    param: int
    values: tuple[Amount, ...]


@dataclass(frozen=True, slots=True)
class UriIs:
    """The parameter has one of the URIs `values`, or one below one of them."""

    param: int
    values: tuple[str, ...]
    is_below: bool


@dataclass(frozen=True, slots=True)
class CompositeIs:
    """One element has values for all components; each alternative is one ``a$b`` of the search.

    An alternative is the comparisons of its components in the order of the row's slots.
    """

    param: int
    values: tuple["Combination", ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """Values of one element's components.

    `keys` are values of `key_hash` that the components compared by equality stand for, None when
    they do not say it; then `first`, `second` and `third` say what they can.
    """

    key_hash: int | None
    first: TokenValue
    second: "TokenValue | Amount | Span | str | None" = None
    third: "TokenValue | Amount | Span | None" = None


@dataclass(frozen=True, slots=True)
class NearIs:
    """The position lies within `metres` of (latitude, longitude), in degrees of WGS 84."""

    param: int
    latitude: float
    longitude: float
    metres: float


@dataclass(frozen=True, slots=True)
class Words:
    """All of `whole` are words of the text, and a word begins with each of `beginnings`."""

    whole: tuple[str, ...]
    beginnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextIs:
    """The text that `code` ("_text", "_content") names holds what one of `values` asks for.

    `unindexed` are the numbers (rid, seq) of versions that do, though the index lacks their words.
    """

    param: int
    code: str
    values: tuple[Words, ...]
    unindexed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Other:
    """The parameter has a value for which `condition` does not hold."""

    condition: "TokenIs | ReferenceIs | StringIs | DateIs | NumberIs | QuantityIs | UriIs"


@dataclass(frozen=True, slots=True)
class IdIs:
    """The resource's logical id is one of `ids`."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdIn:
    """The resource's logical id is one of those that `select`, with its `params`, selects.

    Where it is no id of `among`, it is none of these either; `among` is what many conditions have in common.
    """

    select: str
    params: tuple[str | tuple[str, ...], ...]
    among: "IdIn | None" = None

    @property
    def values(self) -> tuple[object, ...]:
        """The parameters as PostgreSQL takes them."""
        return tuple(list(each) if isinstance(each, tuple) else each for each in self.params)


@dataclass(frozen=True, slots=True)
class LastUpdatedIs:
    """meta.lastUpdated compares to one of `values`."""

    values: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """The parameter has any value; `table` is the index table it stands in."""

    param: int
    table: str


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: "Condition"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the conditions holds; none at all never does."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of the conditions hold."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The parameter points at a resource of type `target` (its number) for which `condition` holds."""

    param: int
    target: int
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Has:
    """A resource of type `source` for which `condition` holds points by `param` at this one of type `own`."""

    param: int
    source: int
    own: int
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class ContainedIdIs:
    """The id of a contained resource is one of `ids`."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inside:
    """The parameter points at a contained resource of type `target` for which `condition` holds.

    With a positive `param` it is contained in what points at it, with a negative one beside it.
    """

    param: int
    target: int
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class HasInside:
    """A resource of type `source` for which `condition` holds points by `param` at this contained one.

    `own` is the type of the contained one. With a positive `param` it is the container that points, with a
    negative one another that is contained there.
    """

    param: int
    source: int
    own: int
    condition: "Condition"


# Compared by identity: the parser keeps one for each answer of the policy, however deep it is.
@dataclass(frozen=True, slots=True, eq=False)
class Restriction:
    """What the access policy says holds; its SQL is made once."""

    condition: "Condition"


Condition = (
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
    | IdIs
    | IdIn
    | LastUpdatedIs
    | Present
    | Not
    | AnyOf
    | AllOf
    | Chain
    | Has
    | ContainedIdIs
    | Inside
    | HasInside
    | Restriction
)
