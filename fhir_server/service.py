"""The repository: FHIR resources, versioned and searchable, behind the `ResourceStore` port.

Composes what the packages beside it do; holds no SQL and no rule of its own.
Every method works in the caller's transaction and never commits; every method asks the access
policy for `transaction.requester`, so that whoever reaches data by this class cannot bypass it.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from fhir_server.access import Access, Letter
from fhir_server.attempts import attempt_on
from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.index.date_range import DateRange
from fhir_server.index.indexer import Indexer
from fhir_server.ports import ResourceIndexer
from fhir_server.search.service import AUDIT_EVENT, Answer, SearchService
from fhir_server.search.sql import Sql
from fhir_server.store import read as reading
from fhir_server.store.everything import (
    Compartments,
    Member,
    Place,
    Supporting,
    read_members,
    read_referenced,
    read_targets,
)
from fhir_server.store.expunge import Expunged, expunge
from fhir_server.store.history import Feed, FeedCursor, Window, feed
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER, is_id
from fhir_server.store.labels import labels_in_use
from fhir_server.store.last_n import Considered, read_considered, read_kept
from fhir_server.transaction.entry import Operation, checked, read_writes
from fhir_server.transaction.group import Group
from fhir_server.transaction.plan import Outcome, Rules
from fhir_server.transaction.processor import TOPIC, TransactionProcessor
from fhir_server.transaction.results import result_of
from fhir_server.transaction.steps import steps_of
from hie.core.access import Attempt, Filters
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, Issue
from hie.core.fhir.json import Json, JsonObject
from hie.core.labels import Labeller
from hie.core.outbox import append
from hie.core.ports import AccessPolicy, Derivation, SearchPage, StoredResource, TransactionResult, Validator
from hie.core.settings import ValidationLevel


class Repository:
    """Implements `hie.core.ports.ResourceStore`, and what the RESTful interactions need beyond it."""

    def __init__(
        self,
        *,
        validator: Validator,
        validation: ValidationLevel,
        indexer: ResourceIndexer,
        search: SearchService,
        access: AccessPolicy,
        clock: Clock,
        delete_limit: int = 1,
        reserved: Collection[tuple[str, str]] = (),
        max_nesting: int = 128,
        derivations: Sequence[Derivation] = (),
        labeller: Labeller | None = None,
    ) -> None:
        """Take the parts.

        `validation` says how writes are checked, `delete_limit` how many resources one conditional delete may
        remove, `reserved` types and ids that only the server itself changes, `max_nesting` how many levels of
        JSON a patch may leave behind, `derivations` who sees writes, `labeller` what labels them.
        """
        self._validator = validator
        self._validation = validation
        self._search = search
        self._clock = clock
        self._access = Access(access, search, reserved)
        self.labeller = labeller
        self._processor = TransactionProcessor(
            Rules(self.check, indexer, delete_limit, max_nesting, derivations, labeller),
            search,
            self._access,
            clock,
        )

    def transact(self, transaction: Transaction, bundles: Sequence[JsonObject]) -> list[TransactionResult]:
        """Apply each transaction Bundle whole or not at all, in order.

        A Bundle that fails leaves no trace and does not hinder the others; its result carries
        the error. Resources whose content is what is already stored get no new version.
        Raises LockError when the caller should roll back and try again.
        """
        results: list[TransactionResult | None] = [None] * len(bundles)
        groups: dict[int, Group] = {}
        for number, bundle in enumerate(bundles):
            try:
                groups[number] = Group(read_writes(bundle, self.check))
            except ExchangeError as error:
                results[number] = TransactionResult((), error)
        self._search.stored_parameters.refresh(transaction.connection)
        self._processor.apply(transaction, list(groups.values()))
        for number, group in groups.items():
            results[number] = result_of(group)
        return [result for result in results if result is not None]

    def apply(
        self, transaction: Transaction, groups: Sequence[Sequence[Operation]]
    ) -> list[list[Outcome] | ExchangeError]:
        """Apply each group whole or not at all; return its outcomes, or the error that undid it.

        The resources must have been checked; GET is no operation here.
        """
        return self._apply(transaction, groups)

    def apply_whole(self, transaction: Transaction, operations: Sequence[Operation]) -> list[Outcome]:
        """Apply `operations`, and return their outcomes; raises the error that is to undo the transaction.

        Without the savepoint that `apply` sets: nothing can be read or written after the error.
        """
        (result,) = self._apply(transaction, [operations], is_alone=True)
        if isinstance(result, ExchangeError):
            raise result
        return result

    def _apply(
        self, transaction: Transaction, groups: Sequence[Sequence[Operation]], *, is_alone: bool = False
    ) -> list[list[Outcome] | ExchangeError]:
        results: list[list[Outcome] | ExchangeError | Group] = []
        for operations in groups:
            try:
                results.append(Group(operations))
            except ExchangeError as error:
                results.append(error)
        self._search.stored_parameters.refresh(transaction.connection)
        parsed = [result for result in results if isinstance(result, Group)]
        recorded = transaction.recorded
        self._processor.apply(transaction, parsed, is_alone=is_alone)
        applied = [
            (result.error or list(result.outcomes)) if isinstance(result, Group) else result
            for result in results
        ]
        if transaction.recorded == recorded:
            for operations, made in zip(groups, applied, strict=True):
                transaction.steps += steps_of(operations, made)
        return applied

    def apply_one(self, transaction: Transaction, operation: Operation) -> Outcome:
        """Apply one operation; raises its error."""
        (result,) = self.apply(transaction, [[operation]])
        if isinstance(result, ExchangeError):
            raise result
        return result[0]

    def check(self, resource: JsonObject) -> list[Issue]:
        """Return what validation finds at the level of the settings."""
        if self._validation is ValidationLevel.OFF:
            return []
        return self._validator.validate(resource, level=self._validation)

    def examine(
        self,
        resource: JsonObject,
        profiles: Sequence[str] = (),
        resolve: Callable[[str], JsonObject | None] | None = None,
    ) -> list[Issue]:
        """Return all that can be said of `resource`, as `hie.core.ports.Validator.examine` does."""
        return self._validator.examine(resource, profiles=profiles, resolve=resolve)

    def checked(self, resource: Json, resource_type: str, *, expression: str = "") -> JsonObject:
        """Return `resource` if it is a valid `resource_type`; raises RequestError or InvalidResourceError."""
        return checked(resource, resource_type, self.check, expression=expression)

    def read(self, transaction: Transaction, resource_type: str, resource_id: str) -> StoredResource:
        """Return the current version; raises NotFoundError or DeletedError.

        What the requester may not read is answered as what never was, here and in all methods below.
        """
        chained = self._chained(transaction, resource_type, resource_id)
        if chained is not None:
            return chained
        stored = self._access.read(transaction, attempt_on(transaction, "read", resource_type, resource_id))
        transaction.saw(((resource_type, resource_id),))
        return stored

    def vread(
        self, transaction: Transaction, resource_type: str, resource_id: str, version: int
    ) -> StoredResource:
        """Return version `version`; raises NotFoundError or DeletedError.

        Whether a version may be read is decided on the current one.
        """
        chained = self._chained(transaction, resource_type, resource_id)
        if chained is not None and version == chained.version:
            return chained
        self._require(transaction, "read", resource_type, resource_id)
        stored = reading.vread(transaction.connection, resource_type, resource_id, version)
        transaction.saw(((resource_type, resource_id),))
        return stored

    def history(
        self,
        transaction: Transaction,
        resource_type: str,
        resource_id: str,
        *,
        count: int,
        since: datetime | None = None,
        at: DateRange | None = None,
        before: int | None = None,
    ) -> reading.HistoryPage:
        """Return versions of one resource, newest first; raises NotFoundError.

        Whether they may be read is decided on the current one.
        """
        self._require(transaction, "history", resource_type, resource_id)
        page = reading.history(
            transaction.connection, resource_type, resource_id, count=count, since=since, at=at, before=before
        )
        transaction.saw(((resource_type, resource_id),))
        return page

    def feed(
        self,
        transaction: Transaction,
        resource_types: Sequence[str],
        window: Window,
        *,
        count: int,
        behind: FeedCursor | None = None,
    ) -> Feed:
        """Return versions of all resources of `resource_types`, newest first; fewer than `count` at times.

        Versions of a deleted resource are shown where everything is, else where the policy decides so.
        """
        readable = self._access.predicate(transaction, resource_types, "r", letter="s", deleted_too=True)
        page = feed(
            transaction.connection,
            resource_types,
            window,
            readable,
            count=count,
            now=self._clock.now(),
            behind=behind,
        )
        shown = [
            (entry, is_deleted)
            for entry, is_deleted in zip(page.entries, page.deleted, strict=True)
            if not is_deleted or self._shows_deleted(transaction, entry.resource)
        ]
        transaction.saw([(each.resource.type, each.resource.id) for each, _ in shown])
        return Feed([each for each, _ in shown], [each for _, each in shown], page.following)

    def search(
        self, transaction: Transaction, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> SearchPage:
        """Return one page of the search ``resource_type?parameters``; raises RequestError for a bad one."""
        return self.answer(transaction, resource_type, parameters).page

    def answer(
        self,
        transaction: Transaction,
        resource_type: str,
        parameters: Sequence[tuple[str, str]],
        *,
        is_lenient: bool = False,
        within: Filters | None = None,
        letter: Letter = "s",
    ) -> Answer:
        """Return one page of a search with what the client should know about it; raises as `search`.

        `within` narrows the matches, not what comes along, to a compartment's; `letter` is that of scopes.
        """
        filters = self._access.filters(transaction, letter)
        if (trail := transaction.trail) is not None:
            trail.parameters = trail.parameters or parameters
        found = self._search.answer(
            transaction, resource_type, parameters, is_lenient=is_lenient, filters=filters, within=within
        )
        transaction.saw([(each.resource.type, each.resource.id) for each in found.page.entries])
        return found

    def selection(
        self, transaction: Transaction, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> Sql:
        """Return a SELECT of (rid, seq), each once, of all that match and that the requester may read."""
        filters = self._access.filters(transaction, "s")
        return self._search.selection(transaction, resource_type, parameters, filters=filters)

    def readable_rows(self, transaction: Transaction, resource_types: Sequence[str], alias: str) -> Sql:
        """Return whether the requester may read a row ``alias`` of `resource`, one of `resource_types`.

        For statements that gather resources otherwise than by a search. A deleted resource is
        readable only where everything is.
        """
        return self._access.predicate(transaction, resource_types, alias)

    def decide(self, transaction: Transaction, attempt: Attempt) -> None:
        """Raise ForbiddenError unless the requester may do what it attempts."""
        self._access.decide(transaction, attempt)

    def _chained(
        self, transaction: Transaction, resource_type: str, resource_id: str
    ) -> StoredResource | None:
        """Return the AuditEvent of a record of the audit trail, which is no resource of the store."""
        if resource_type != AUDIT_EVENT or not is_id(resource_id):
            return None
        found = self.answer(transaction, resource_type, [("_id", resource_id)], letter="r").page.entries
        return found[0].resource if found else None

    def _require(
        self, transaction: Transaction, interaction: str, resource_type: str, resource_id: str
    ) -> None:
        self._access.require(
            transaction,
            attempt_on(transaction, interaction, resource_type, resource_id),
            lambda: reading.is_deleted(transaction.connection, resource_type, resource_id),
        )

    def _shows_deleted(self, transaction: Transaction, stored: StoredResource) -> bool:
        return self._access.readable(transaction, stored.type).is_everything or self._access.permits(
            transaction, attempt_on(transaction, "history", stored.type, stored.id)
        )

    def members(
        self, transaction: Transaction, wanted: Compartments, start: Place, count: int
    ) -> tuple[list[Member], bool]:
        """Return at most `count` resources of compartments from `start` on, and whether there are more."""
        readable = self.readable_rows(transaction, wanted.types, "r")
        members, has_more = read_members(transaction.connection, wanted, readable, start, count)
        transaction.saw([(TYPE_NAME[each.type], each.id) for each in members if each.is_shown])
        return members, has_more

    def supporting(
        self, transaction: Transaction, targets: Sequence[tuple[str, str]], wanted: Supporting
    ) -> list[StoredResource]:
        """Return the current resources among `targets`, types and ids, that may come along with members."""
        types = sorted({resource_type for resource_type, _ in targets})
        readable = self.readable_rows(transaction, types, "r")
        found = read_referenced(transaction.connection, targets, wanted, readable)
        transaction.saw([(each.type, each.id) for each in found])
        return found

    def targets(
        self, transaction: Transaction, resource_type: str, resource_id: str, target_type: str
    ) -> list[int]:
        """Return the hashes of what of `target_type` a current resource refers to by search parameters."""
        self._require(transaction, "read", resource_type, resource_id)
        return read_targets(
            transaction.connection, TYPE_NUMBER[resource_type], resource_id, TYPE_NUMBER[target_type]
        )

    def considered(self, transaction: Transaction, parameters: Sequence[tuple[str, str]]) -> list[Considered]:
        """Return codes and effective times of the Observations of a search, the last effective first."""
        selection = self.selection(transaction, "Observation", parameters)
        return read_considered(transaction.connection, selection)

    def kept(self, transaction: Transaction, rids: Sequence[int]) -> list[StoredResource]:
        """Return the current Observations of `considered` with these `rids`, in that order."""
        readable = self.readable_rows(transaction, ("Observation",), "r")
        kept = read_kept(transaction.connection, rids, readable)
        transaction.saw([(each.type, each.id) for each in kept])
        return kept

    def read_all(self, transaction: Transaction, targets: Sequence[tuple[str, str]]) -> list[StoredResource]:
        """Return the current resources among `targets`, types and ids, in that order."""
        types = sorted({resource_type for resource_type, _ in targets})
        readable = self.readable_rows(transaction, types, "r")
        found = reading.read_all(transaction.connection, targets, readable)
        transaction.saw([(each.type, each.id) for each in found])
        return found

    def expunge(self, transaction: Transaction, wanted: Expunged) -> int:
        """Remove versions and resources physically; return how many versions are gone.

        Asks the policy for "$expunge"; nothing else is asked: it is for operators.
        """
        self.decide(transaction, Attempt("$expunge", wanted.resource_type, wanted.resource_id))
        removed, changes = expunge(transaction.connection, wanted)
        if changes:
            append(transaction, TOPIC, [{"changes": changes}])
        return removed

    def indexer(self, transaction: Transaction) -> Indexer:
        """Return what resources are indexed by, with the SearchParameters that are stored now."""
        self._search.stored_parameters.refresh(transaction.connection)
        return self._search.indexer

    def labels(self, transaction: Transaction, resource_type: str | None) -> JsonObject:
        """Return a Meta of the labels in use by resources of `resource_type`, of all types when None."""
        types = R4_RESOURCE_TYPES if resource_type is None else (resource_type,)
        return labels_in_use(transaction.connection, types, self.readable_rows(transaction, types, "r"))
