"""One Bundle on its way through the processor: its operations, what they name, what became of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fhir_server.store.identity import TYPE_NUMBER
from fhir_server.transaction.criteria import Criteria, parse
from fhir_server.transaction.entry import Operation
from fhir_server.transaction.references import conditional_references
from hie.core.errors import ExchangeError

if TYPE_CHECKING:
    from fhir_server.store.lookup import Identifier, Key
    from fhir_server.transaction.plan import Outcome


class Wanted:
    """What operations name: identities, identifiers, and criteria that need a search."""

    __slots__ = ("creating", "identifiers", "keys", "searches")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.keys: dict[Key, None] = {}
        self.identifiers: dict[Identifier, None] = {}
        self.creating: dict[Identifier, None] = {}
        self.searches: dict[tuple[str, str], Criteria] = {}

    def add(self, operation: Operation) -> None:
        """Add what `operation` names, but for its conditional references, which are rare."""
        if operation.id is not None:
            self.keys[TYPE_NUMBER[operation.type], operation.id] = None
        if operation.criteria is not None:
            self._add_criteria(operation.criteria)
            if operation.method != "DELETE" and operation.criteria.identifier is not None:
                self.creating[operation.criteria.identifier] = None
            if operation.method == "PUT" and operation.resource and "id" in operation.resource:
                self.keys[TYPE_NUMBER[operation.type], operation.resource["id"]] = None

    def add_references(self, operation: Operation) -> None:
        """Add the conditional references of `operation`; raises RequestError for a bad one."""
        for resource_type, query in conditional_references(operation.resource or {}):
            if resource_type in TYPE_NUMBER:
                self._add_criteria(parse(resource_type, query))

    def merge(self, other: "Wanted") -> None:
        """Add what `other` names."""
        self.keys.update(other.keys)
        self.identifiers.update(other.identifiers)
        self.creating.update(other.creating)
        self.searches.update(other.searches)

    def _add_criteria(self, criteria: Criteria) -> None:
        if criteria.identifier is not None:
            self.identifiers[criteria.identifier] = None
        else:
            self.searches[criteria.type, criteria.query] = criteria


class Group:
    """One Bundle's operations, without GET, and what became of them: outcomes in order, or the error."""

    __slots__ = ("error", "operations", "outcomes", "wanted")

    def __init__(self, operations: Sequence[Operation]) -> None:
        """Take the operations, their resources checked."""
        self.operations = operations
        self.outcomes: Sequence[Outcome] = ()
        self.error: ExchangeError | None = None
        self.wanted = Wanted()
        for operation in operations:
            self.wanted.add(operation)

    def add_references(self) -> None:
        """Name what conditional references select too; one that cannot be read is the group's error."""
        try:
            for operation in self.operations:
                self.wanted.add_references(operation)
        except ExchangeError as error:
            self.error = error
