"""The repository: FHIR resources, versioned and searchable, behind the `ResourceStore` port.

Composes what the packages beside it do; holds no SQL and no rule of its own.
Every method works in the caller's transaction and never commits.
"""

from collections.abc import Sequence
from datetime import datetime

from fhir_server.ports import ResourceIndexer
from fhir_server.search.service import SearchService
from fhir_server.store import read as reading
from fhir_server.transaction.entry import Operation, checked, read_entries, read_operation
from fhir_server.transaction.group import Group
from fhir_server.transaction.plan import Outcome
from fhir_server.transaction.processor import TransactionProcessor
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, InternalError, Issue, MethodNotAllowedError
from hie.core.fhir.json import Json, JsonObject
from hie.core.ports import EntryResult, SearchPage, StoredResource, TransactionResult, Validator
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
        clock: Clock,
    ) -> None:
        """Take the parts; `validation` says how every write is checked."""
        self._validator = validator
        self._validation = validation
        self.search_service = search
        self._processor = TransactionProcessor(indexer, search, clock)

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
                groups[number] = Group(self._operations(bundle))
            except ExchangeError as error:
                results[number] = TransactionResult((), error)
        self._processor.apply(transaction, list(groups.values()))
        for number, group in groups.items():
            results[number] = _result(group)
        return [result for result in results if result is not None]

    def apply(
        self, transaction: Transaction, groups: Sequence[Sequence[Operation]]
    ) -> list[list[Outcome] | ExchangeError]:
        """Apply each group whole or not at all; return its outcomes, or the error that undid it.

        The resources must have been checked; GET is no operation here.
        """
        results: list[list[Outcome] | ExchangeError | Group] = []
        for operations in groups:
            try:
                results.append(Group(operations))
            except ExchangeError as error:
                results.append(error)
        self._processor.apply(transaction, [result for result in results if isinstance(result, Group)])
        return [
            (result.error or list(result.outcomes)) if isinstance(result, Group) else result
            for result in results
        ]

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

    def checked(self, resource: Json, resource_type: str, *, expression: str = "") -> JsonObject:
        """Return `resource` if it is a valid `resource_type`; raises RequestError or InvalidResourceError."""
        return checked(resource, resource_type, self.check, expression=expression)

    def read(self, transaction: Transaction, resource_type: str, resource_id: str) -> StoredResource:
        """Return the current version; raises NotFoundError or DeletedError."""
        return reading.read(transaction.connection, resource_type, resource_id)

    def vread(
        self, transaction: Transaction, resource_type: str, resource_id: str, version: int
    ) -> StoredResource:
        """Return version `version`; raises NotFoundError or DeletedError."""
        return reading.vread(transaction.connection, resource_type, resource_id, version)

    def history(
        self,
        transaction: Transaction,
        resource_type: str,
        resource_id: str,
        *,
        count: int,
        since: datetime | None = None,
        before: int | None = None,
    ) -> reading.HistoryPage:
        """Return versions of one resource, newest first; raises NotFoundError."""
        return reading.history(
            transaction.connection, resource_type, resource_id, count=count, since=since, before=before
        )

    def search(
        self, transaction: Transaction, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> SearchPage:
        """Return one page of the search ``resource_type?parameters``; raises RequestError for a bad one."""
        return self.search_service.search(transaction, resource_type, parameters)

    def _operations(self, bundle: JsonObject) -> list[Operation]:
        operations = [
            read_operation(entry, position, self.check)
            for position, entry in enumerate(read_entries(bundle, ("transaction",)))
        ]
        for operation in operations:
            if operation.method == "GET":
                raise MethodNotAllowedError(
                    "A GET in a transaction is answered over HTTP only",
                    expression=operation.at("request.method"),
                )
        return operations


def _result(group: Group) -> TransactionResult:
    if group.error is not None:
        return TransactionResult((), group.error)
    if len(group.outcomes) != len(group.operations):
        return TransactionResult((), InternalError("The Bundle was not applied"))
    return TransactionResult(
        tuple(
            EntryResult(outcome.status, outcome.type, outcome.id, outcome.version, outcome.is_changed)
            for outcome in group.outcomes
        )
    )
