"""Where sibling features meet: Protocols and the values that cross them.

No feature imports another; each asks for one of these, and `hie.wiring` hands
over the implementation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from hie.core.access import Attempt, Readable, Requester
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

    def examine(
        self,
        resource: JsonObject,
        *,
        profiles: Iterable[str] = (),
        resolve: Callable[[str], JsonObject | None] | None = None,
    ) -> list[Issue]:
        """Return all that can be said of `resource`, warnings too, also as the canonicals `profiles` see it.

        `resolve` finds the resource of a literal reference.
        """
        ...


class AccessPolicy(Protocol):
    """Says what a requester may read and do. Both methods are called in every request: keep them quick.

    The repository adds `readable` as conditions to every search, to what a search includes or
    is chained through, to read, vread, history, operations and export. An earlier version of a
    resource is readable when the current one is.
    """

    def readable(self, requester: Requester, resource_type: str) -> Readable:
        """Return which resources of `resource_type` the requester may read."""
        ...

    def decide(self, requester: Requester, attempt: Attempt) -> None:
        """Raise ForbiddenError unless the requester may do what it attempts.

        Called for every write, before anything of its request is written, and for operations that
        change state. Called for "read" and "history" too, where `readable` cannot say: of a deleted
        resource, whose last content is `attempt.stored`. What is refused there is answered as unknown.
        """
        ...


class Derivation(Protocol):
    """Keeps what is derived from stored resources in step with them, in the transaction that writes them."""

    @property
    def resource_types(self) -> frozenset[str]:
        """The types that it wants to see."""
        ...

    def derive(
        self, transaction: "Transaction", resource_type: str, resource_id: str, resource: JsonObject | None
    ) -> None:
        """Take the resource as it is written now; None where it is deleted."""
        ...


class Authenticator(Protocol):
    """Says who sends a request, by its headers; a mapping that does not mind the case of names."""

    def recall(self, headers: Mapping[str, str]) -> Requester | None:
        """Return who sends the request if that is known without waiting for anything, else None.

        Raises UnauthenticatedError as `authenticate` does.
        """
        ...

    def authenticate(self, headers: Mapping[str, str], *, with_session: bool = True) -> Requester:
        """Return who sends the request, ANONYMOUS where it has no credentials; may ask the database.

        A bearer token goes before a session of the portal, which counts only where `with_session`. Raises
        UnauthenticatedError for a token that is not taken.
        """
        ...


# A tuple: a search makes twenty of each, and a frozen dataclass takes five times as long to make.
class StoredResource(NamedTuple):
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


class SearchEntry(NamedTuple):
    """One resource of a search result; `mode` is "match" or "include".

    `container` is "Type/id" of what contains it, "" for a resource of its own.
    """

    resource: StoredResource
    mode: str
    container: str = ""


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


@dataclass(frozen=True, slots=True)
class PatientMatch:
    """One candidate of $match: the id of a Patient, its score from 0 to 1, and how sure that is.

    https://hl7.org/fhir/R4/extension-match-grade.html
    """

    patient_id: str
    score: float
    grade: Literal["certain", "probable", "possible", "certainly-not"]


class PatientMatcher(Protocol):
    """Finds the Patients that a demographic record may be.

    https://hl7.org/fhir/R4/patient-operation-match.html
    """

    def match(
        self, transaction: "Transaction", patient: JsonObject, *, only_certain: bool, count: int | None
    ) -> Sequence[PatientMatch]:
        """Return candidates for `patient`, most likely first, at most `count`.

        With `only_certain` one certain match or none. Raises RequestError when `patient` says too little.
        """
        ...


@dataclass(frozen=True, slots=True)
class Translation:
    """One target of a translated code; `equivalence` is None where the map does not say it.

    `equivalence` is of https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html, `concept_map` the
    canonical of the map.
    """

    coding: Coding
    concept_map: str
    equivalence: str | None = None


class CodeTranslator(Protocol):
    """Translates codes for clients (https://hl7.org/fhir/R4/conceptmap-operation-translate.html)."""

    def translations(
        self,
        transaction: "Transaction",
        coding: Coding,
        *,
        concept_map: str | None,
        target_system: str | None,
    ) -> Sequence[Translation]:
        """Return the targets of `coding`, by the map with the canonical `concept_map` or by all.

        `target_system` keeps those of one system. Raises NotFoundError for a map that is not known.
        """
        ...


@dataclass(frozen=True, slots=True)
class Designation:
    """Another name of a concept."""

    value: str
    language: str | None = None
    use: Coding | None = None


@dataclass(frozen=True, slots=True)
class ConceptDetails:
    """What a code system says of a concept; `properties` are pairs of property and code or text."""

    code_system_name: str
    display: str
    version: str | None = None
    designations: tuple[Designation, ...] = ()
    properties: tuple[tuple[str, Coding | str | bool | int], ...] = ()


@dataclass(frozen=True, slots=True)
class CodeValidation:
    """Whether a code is valid; `message` says why not, `display` is the recommended one."""

    is_valid: bool
    message: str | None = None
    display: str | None = None


Subsumption = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]


class Terminology(Protocol):
    """Answers questions about code systems and value sets (https://hl7.org/fhir/R4/terminology-service.html).

    Value sets and code systems go by canonical; one that is not known raises NotFoundError, one that
    cannot be evaluated RequestError.
    """

    def look_up(
        self,
        transaction: "Transaction",
        coding: Coding,
        *,
        version: str | None,
        language: str | None,
        properties: Sequence[str],
    ) -> ConceptDetails:
        """Return what is known of `coding`; `properties` are those that are asked for, () for the usual."""
        ...

    def validate_code(
        self, transaction: "Transaction", coding: Coding, *, value_set: str | JsonObject | None
    ) -> CodeValidation:
        """Return whether `coding` is in `value_set`; without one, in its code system."""
        ...

    def subsumes(
        self, transaction: "Transaction", system: str, code_a: str, code_b: str, *, version: str | None
    ) -> Subsumption:
        """Return how concept A relates to concept B."""
        ...

    def expand(
        self,
        transaction: "Transaction",
        value_set: str | JsonObject,
        *,
        text: str | None,
        offset: int,
        count: int | None,
        language: str | None,
    ) -> JsonObject:
        """Return the ValueSet with its expansion: at most `count` concepts from `offset` on.

        `text` keeps the concepts that it matches.
        """
        ...

    def close(
        self, transaction: "Transaction", name: str, concepts: Sequence[Coding], *, version: str | None
    ) -> JsonObject:
        """Return a ConceptMap of the new entries of the closure table `name`, after adding `concepts`.

        With `version`, all entries since that version
        (https://hl7.org/fhir/R4/terminology-service.html#closure).
        """
        ...
