"""What the criteria of one Bundle select: of what is stored, and of what the Bundle itself makes.

https://hl7.org/fhir/R4/http.html#cond-update, #trefs. What is stored was looked up before.

What the requester may not read: criteria on one identifier see it, because a second resource
with one business identifier is what they exist to prevent, and a conditional create is refused
then; all other criteria, and conditional references, do not, or they would tell what is in it.
"""

from collections.abc import Mapping, Sequence

from fhir_server.index.rows import IndexRows
from fhir_server.ports import ResourceIndexer
from fhir_server.store.lookup import Identifier, Key
from fhir_server.transaction.criteria import Criteria, parse
from fhir_server.transaction.entry import Operation
from fhir_server.transaction.overlay import Draft, holds
from fhir_server.transaction.permission import Permission
from hie.core.errors import InvalidReferenceError, MultipleMatchesError
from hie.core.fhir.json import JsonObject

Searched = Mapping[tuple[str, str], list[Key]]
"""The matches of criteria that are not one identifier, by type and query."""


class NotLookedUpError(Exception):
    """A conditional reference was met whose criteria were not looked up."""


class Selection:
    """The criteria of one Bundle, evaluated."""

    def __init__(
        self, draft: Draft, searched: Searched, indexer: ResourceIndexer, permission: Permission
    ) -> None:
        """Take what the Bundle sees, what was looked up, and what may be read."""
        self._draft = draft
        self._searched = searched
        self._indexer = indexer
        self._permission = permission
        self._made_here: dict[tuple[str, str], Key] = {}
        self._writes: Sequence[tuple[Operation, Key]] = ()
        self._incoming: list[tuple[Key, JsonObject, IndexRows]] | None = None
        self._resolved: dict[tuple[str, str], str] = {}

    def will_make(self, condition: Criteria, key: Key) -> None:
        """Let `condition` select `key`, which this Bundle makes, from now on."""
        self._made_here[condition.type, condition.query] = key

    def will_write(self, writes: Sequence[tuple[Operation, Key]]) -> None:
        """Take what this Bundle writes: conditional references may mean it."""
        self._writes = writes

    def one(self, operation: Operation, condition: Criteria) -> Key | None:
        """Return the one resource that `condition` selects, None when there is none.

        What an earlier entry of the same Bundle makes under the same condition is that resource already.
        Raises MultipleMatchesError.
        """
        same = self._made_here.get((condition.type, condition.query))
        if same is not None:
            return same
        found = self.every(condition)
        if len(found) > 1:
            raise several(operation, condition)
        return found[0] if found else None

    def every(self, condition: Criteria) -> list[Key]:
        """Return what `condition` selects of what is stored; for DELETE look it up by search."""
        searched = self._searched.get((condition.type, condition.query))
        if searched is not None:
            return [key for key in searched if self._draft.state(key).is_present]
        if condition.identifier is None or not self._draft.is_looked_up(condition.identifier):
            raise NotLookedUpError
        return self._draft.matches(condition.identifier)

    def reference(self, resource_type: str, query: str) -> str:
        """Return the reference ``Type/id`` that a conditional reference means; raises when not one."""
        reference = self._resolved.get((resource_type, query))
        if reference is not None:
            return reference
        condition = parse(resource_type, query)
        found = self.every(condition)
        if condition.identifier is not None:
            mine = {key for _, key in self._writes}
            found = [key for key in found if key not in mine] + self._coming(condition.identifier)
            found = [key for key in found if key in mine or not self._permission.hides(key, self._draft)]
        if not found:
            raise InvalidReferenceError(f"The conditional reference {condition} selects no resource")
        if len(found) > 1:
            raise MultipleMatchesError(
                f"The conditional reference {condition} selects more than one resource"
            )
        reference = f"{resource_type}/{found[0][1]}"
        self._resolved[resource_type, query] = reference
        return reference

    def _coming(self, identifier: Identifier) -> list[Key]:
        """Return the resources of this Bundle that will hold `identifier`."""
        if self._incoming is None:
            given = [(key, operation.resource or {}) for operation, key in self._writes]
            self._incoming = [(key, resource, self._indexer.index(resource)) for key, resource in given]
        return [key for key, resource, rows in self._incoming if holds(resource, rows, identifier)]


def several(operation: Operation, condition: Criteria) -> MultipleMatchesError:
    """Return the error of criteria that must select one resource and select more."""
    at = operation.at("request.ifNoneExist" if operation.method == "POST" else "request.url")
    return MultipleMatchesError(f"The criteria {condition} select more than one resource", expression=at)
