"""One Bundle on its way through the processor: its operations, what they name, what became of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fhir_server.store.identity import TYPE_NUMBER
from fhir_server.transaction.criteria import Criteria, identifier_locks, parse
from fhir_server.transaction.entry import Operation
from fhir_server.transaction.references import conditional_references
from hie.core.errors import ExchangeError

if TYPE_CHECKING:
    from fhir_server.store.lookup import Identifier, Key
    from fhir_server.transaction.plan import Outcome


class Wanted:
    """What operations name: identities, identifiers, and criteria that need a search."""

    __slots__ = ("creating", "identifiers", "keys", "locks", "searches")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.keys: dict[Key, None] = {}
        self.identifiers: dict[Identifier, None] = {}
        self.creating: dict[Identifier, list[int]] = {}
        """Identifiers that make a resource where they find none, with the locks of that resource."""
        self.searches: dict[tuple[str, str], Criteria] = {}
        self.locks: dict[int, None] = {}
        """The locks of what the searches make and change."""

    def add(self, operation: Operation) -> None:
        """Add what `operation` names, but for its conditional references, which are rare."""
        if operation.id is not None:
            self.keys[TYPE_NUMBER[operation.type], operation.id] = None
        criteria = operation.criteria
        if criteria is None:
            return
        if criteria.identifier is None or operation.method == "DELETE":
            # A deletion may select many; the token index is asked for a few only.
            self.searches[criteria.type, criteria.query] = criteria
        else:
            self.identifiers[criteria.identifier] = None
        if operation.method in ("POST", "PUT"):
            self._add_creation(criteria, operation)

    def add_references(self, operation: Operation) -> None:
        """Add the conditional references of `operation`; raises RequestError for a bad one."""
        for resource_type, query in conditional_references(operation.resource or {}):
            if resource_type in TYPE_NUMBER:
                self._add_criteria(parse(resource_type, query))

    def merge(self, other: "Wanted") -> None:
        """Add what `other` names."""
        self.keys.update(other.keys)
        self.identifiers.update(other.identifiers)
        for identifier, locks in other.creating.items():
            self.creating[identifier] = [*self.creating.get(identifier, ()), *locks]
        self.searches.update(other.searches)
        self.locks.update(other.locks)

    def _add_creation(self, criteria: Criteria, operation: Operation) -> None:
        resource = operation.resource or {}
        locks = identifier_locks(operation.type, resource)
        if criteria.identifier is not None:
            self.creating.setdefault(criteria.identifier, []).extend(locks)
        else:
            self.locks.update(dict.fromkeys(locks))
        if operation.method == "PUT" and "id" in resource:
            self.keys[TYPE_NUMBER[operation.type], resource["id"]] = None

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
