"""Where sibling features meet: Protocols and the values that cross them.

No feature imports another; each asks for one of these, and `hie.wiring` hands
over the implementation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, Protocol

from hie.core.errors import ExchangeError, Issue
from hie.core.fhir.json import JsonObject
from hie.core.settings import ValidationLevel

if TYPE_CHECKING:  # what converts messages names these ports and needs no database
    from hie.core.db.database import Transaction

# On the request of a transaction entry: the update leaves what it does not say as it is stored
# (fhir_server/transaction/merge.py says how). Other servers ignore it and replace the resource.
MERGE_EXTENSION: Final = "http://hie.example/fhir/StructureDefinition/merge"


@dataclass(frozen=True, slots=True)
class Coding:
    """A code in a system (https://hl7.org/fhir/R4/datatypes.html#Coding)."""

    system: str
    code: str
    display: str | None = None


class Translator(Protocol):
    """Translates codes by named concept maps."""

    def translate(self, concept_map: str, code: str) -> Coding | None:
        """Return the target of `code` in `concept_map` ("HL70001"), None where the map has none."""
        ...


class Validator(Protocol):
    """Says what is wrong with a resource."""

    def validate(self, resource: JsonObject, *, level: ValidationLevel) -> list[Issue]:
        """Return every finding; empty when `resource` is valid at `level`."""
        ...


@dataclass(frozen=True, slots=True)
class StoredResource:
    """One version of a resource as stored; `body` is its JSON with meta, None when deleted."""

    type: str
    id: str
    version: int
    last_updated: datetime
    body: bytes | None


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What became of one entry of a transaction: `status` is the HTTP status, 200 unchanged or updated."""

    status: int
    type: str
    id: str
    version: int
    is_changed: bool


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """What became of one transaction Bundle: its entries in request order, or the error that undid it."""

    entries: tuple[EntryResult, ...]
    error: ExchangeError | None = None


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """One resource of a search result; `mode` is "match" or "include"."""

    resource: StoredResource
    mode: str


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page: entries in order, the cursor of the next page if there is one, the total if asked for."""

    entries: tuple[SearchEntry, ...]
    next_cursor: str | None
    total: int | None


class ResourceStore(Protocol):
    """The shared record: FHIR resources, versioned and searchable.

    Every method works in the caller's transaction and never commits.
    """

    def transact(self, transaction: "Transaction", bundles: Sequence[JsonObject]) -> list[TransactionResult]:
        """Apply each transaction Bundle whole or not at all, in order.

        A Bundle that fails leaves no trace and does not hinder the others; its
        result carries the error. Resources whose content is what is already
        stored get no new version.
        """
        ...

    def read(self, transaction: "Transaction", resource_type: str, resource_id: str) -> StoredResource:
        """Return the current version; raises NotFoundError or DeletedError."""
        ...

    def search(
        self, transaction: "Transaction", resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> SearchPage:
        """Return one page of the search ``resource_type?parameters``; raises RequestError for a bad one."""
        ...


@dataclass(frozen=True, slots=True)
class DailyCount:
    """Cases of one condition on one day at one institution, in one division."""

    day: date
    division: str
    institution: str
    condition: str
    cases: int


@dataclass(frozen=True, slots=True)
class SurveillanceSite:
    """An institution that reports cases, and the division (GB/T 2260) its cases count for."""

    institution: str
    name: str
    division: str
    division_name: str


class DailyCountSink(Protocol):
    """Takes aggregated daily counts, as a statistics office hands them over."""

    def register(self, transaction: "Transaction", sites: Iterable[SurveillanceSite]) -> None:
        """Make the sites known, or replace what is known of them."""
        ...

    def load(self, transaction: "Transaction", rows: Iterable[DailyCount]) -> int:
        """Store `rows`, replacing counts of the same day, institution and condition; return how many."""
        ...
