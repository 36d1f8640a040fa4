"""Turns the operations of one Bundle into versions to write, in the order that FHIR prescribes.

https://hl7.org/fhir/R4/http.html#trules: deletes, creates, updates; then
references are resolved. Nothing is read or written here: what is stored was
looked up before, and versions go to a `Draft`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.index.rows import IndexRows
from fhir_server.ports import ResourceIndexer
from fhir_server.store.content import content, digest
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER, new_id
from fhir_server.store.lookup import Identifier, Key
from fhir_server.store.write import Method
from fhir_server.transaction.criteria import Criteria, parse
from fhir_server.transaction.entry import PROCESSING_ORDER, Operation
from fhir_server.transaction.merge import merged
from fhir_server.transaction.overlay import Draft, State, Version, holds
from fhir_server.transaction.references import ReferenceRewriter
from hie.core.errors import (
    ConflictError,
    InvalidReferenceError,
    MultipleMatchesError,
    RequestError,
    VersionConflictError,
)
from hie.core.fhir.json import JsonObject

NO_ROWS = IndexRows()
_NO_DIGEST = bytes(16)

Searched = Mapping[tuple[str, str], list[Key]]
"""The matches of criteria that are not one identifier, by type and query."""


class NotLookedUpError(Exception):
    """A conditional reference was met whose criteria were not looked up."""


@dataclass(slots=True)
class Outcome:
    """What becomes of one operation; `last_updated` and `body` are known once the version is written."""

    status: int
    key: Key
    version: int
    is_changed: bool
    last_updated: datetime | None = None
    body: str | None = None

    @property
    def type(self) -> str:
        """The resource type."""
        return TYPE_NAME[self.key[0]]

    @property
    def id(self) -> str:
        """The resource's id."""
        return self.key[1]


class Plan:
    """The plan of one Bundle."""

    def __init__(self, draft: Draft, searched: Searched, indexer: ResourceIndexer, now: datetime) -> None:
        """Take the draft to change, and what was looked up; `now` is for new ids."""
        self._draft = draft
        self._searched = searched
        self._indexer = indexer
        self._now = now
        self._claimed: set[Key] = set()
        self._matched_here: dict[tuple[str, str], Key] = {}
        self._writes: list[tuple[Operation, Key]] = []
        self._incoming: list[tuple[Key, JsonObject, IndexRows]] | None = None
        self._resolved: dict[tuple[str, str], str] = {}

    def make(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Return an outcome for each operation, in request order; GET is none here.

        Raises the ExchangeError that fails them all, or NotLookedUpError.
        """
        outcomes: dict[int, Outcome] = {}
        order = sorted(range(len(operations)), key=lambda n: PROCESSING_ORDER[operations[n].method])
        keys: dict[int, Key] = {}
        for number in order:
            operation = operations[number]
            match operation.method:
                case "DELETE":
                    outcomes[number] = self._delete(operation)
                case "POST":
                    key = self._identity_of_create(operation)
                    if isinstance(key, Outcome):
                        outcomes[number] = key
                        key = key.key
                    keys[number] = key
                case _:
                    keys[number] = self._identity_of_update(operation)
        targets = {
            operation.full_url: f"{TYPE_NAME[keys[number][0]]}/{keys[number][1]}"
            for number, operation in enumerate(operations)
            if operation.full_url and number in keys
        }
        self._writes = [(operations[n], keys[n]) for n in order if n in keys and n not in outcomes]
        rewriter = ReferenceRewriter(targets, self._resolve_reference)
        for number in order:
            if number not in outcomes:
                outcomes[number] = self._write(operations[number], keys[number], rewriter)
        return [outcomes[number] for number in range(len(operations))]

    def _delete(self, operation: Operation) -> Outcome:
        if operation.criteria is not None:
            found = self._match(operation, operation.criteria)
            if found is None:
                return Outcome(204, (TYPE_NUMBER[operation.type], ""), 0, is_changed=False)
            key = found
        else:
            key = (TYPE_NUMBER[operation.type], operation.id or "")
        self._claim(key, operation)
        state = self._draft.state(key)
        self._check_version(state, operation)
        if not state.is_present:
            return Outcome(204, key, state.version, is_changed=False)
        version = Version(state.version + 1, Method.DELETE, None, _NO_DIGEST, NO_ROWS)
        self._draft.add(key, version)
        return Outcome(204, key, version.number, is_changed=True)

    def _identity_of_create(self, operation: Operation) -> Key | Outcome:
        """Return the identity that a create gets, or its outcome when ifNoneExist found a resource."""
        condition = operation.criteria
        if condition is not None:
            found = self._match(operation, condition)
            if found is not None:
                version = self._draft.state(found).version or 1
                return Outcome(200, found, version, is_changed=False, last_updated=self._stored_time(found))
        key = (TYPE_NUMBER[operation.type], new_id(self._now))
        self._claim(key, operation)
        if condition is not None:
            self._matched_here[condition.type, condition.query] = key
        return key

    def _identity_of_update(self, operation: Operation) -> Key:
        number = TYPE_NUMBER[operation.type]
        if operation.criteria is None:
            key = (number, operation.id or "")
        else:
            key = self._identity_of_conditional_update(operation, operation.criteria)
        self._claim(key, operation)
        self._check_version(self._draft.state(key), operation)
        return key

    def _identity_of_conditional_update(self, operation: Operation, condition: Criteria) -> Key:
        """https://hl7.org/fhir/R4/http.html#cond-update."""
        given = (operation.resource or {}).get("id")
        found = self._match(operation, condition)
        at = operation.at("resource.id") or f"{operation.type}.id"
        if found is not None:
            if given is not None and given != found[1]:
                raise RequestError(
                    f"The resource's id is `{given}`, but the criteria {condition} select"
                    f" `{operation.type}/{found[1]}`",
                    expression=at,
                )
            return found
        key = (TYPE_NUMBER[operation.type], given or new_id(self._now))
        self._matched_here[condition.type, condition.query] = key
        if self._draft.state(key).is_present:
            raise ConflictError(
                f"`{operation.type}/{given}` exists, but the criteria {condition} do not select it",
                expression=at,
            )
        return key

    def _write(self, operation: Operation, key: Key, rewriter: ReferenceRewriter) -> Outcome:
        resource = rewriter.rewrite(
            operation.resource or {}, operation.full_url, operation.at("resource") or operation.type
        )
        state = self._draft.state(key)
        if operation.merge is not None and state.is_present:
            resource = merged(self._draft.content(key) or {}, resource, operation.merge)
        made = content(resource, key[1])
        fingerprint = digest(made)
        if state.is_present and fingerprint == state.digest:
            return Outcome(200, key, state.version, is_changed=False, last_updated=self._stored_time(key))
        method = Method.POST if operation.method == "POST" else Method.PUT
        version = Version(state.version + 1, method, made, fingerprint, self._indexer.index(made))
        self._draft.add(key, version)
        return Outcome(200 if state.is_present else 201, key, version.number, is_changed=True)

    def _match(self, operation: Operation, condition: Criteria) -> Key | None:
        """Return the one resource that `condition` selects, None when there is none.

        What an earlier entry of the same Bundle makes under the same condition is that resource already.
        """
        same = self._matched_here.get((condition.type, condition.query))
        if same is not None:
            return same
        found = self._select(condition)
        if len(found) > 1:
            at = operation.at("request.ifNoneExist" if operation.method == "POST" else "request.url")
            raise MultipleMatchesError(
                f"The criteria {condition} select more than one resource", expression=at
            )
        return found[0] if found else None

    def _select(self, condition: Criteria) -> list[Key]:
        if condition.identifier is not None:
            if not self._draft.is_looked_up(condition.identifier):
                raise NotLookedUpError
            return self._draft.matches(condition.identifier)
        found = self._searched.get((condition.type, condition.query))
        if found is None:
            raise NotLookedUpError
        return [key for key in found if self._draft.state(key).is_present]

    def _resolve_reference(self, resource_type: str, query: str) -> str:
        reference = self._resolved.get((resource_type, query))
        if reference is not None:
            return reference
        condition = parse(resource_type, query)
        found = self._select(condition)
        if condition.identifier is not None:
            mine = {key for _, key in self._writes}
            found = [key for key in found if key not in mine] + self._coming(condition.identifier)
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

    def _claim(self, key: Key, operation: Operation) -> None:
        if key in self._claimed:
            raise ConflictError(
                f"The Bundle changes `{TYPE_NAME[key[0]]}/{key[1]}` more than once",
                expression=operation.at("request.url"),
            )
        self._claimed.add(key)

    def _check_version(self, state: State, operation: Operation) -> None:
        wanted = operation.if_match
        if wanted is not None and (not state.is_present or wanted != state.version):
            raise VersionConflictError(
                f"If-Match names version {wanted} of `{TYPE_NAME[state.key[0]]}/{state.key[1]}`,"
                f" the current version is {state.version or 'none'}",
                expression=operation.at("request.ifMatch"),
            )

    def _stored_time(self, key: Key) -> datetime | None:
        state = self._draft.state(key)
        return state.row.last_updated if state.row is not None and not state.versions else None
