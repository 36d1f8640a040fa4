"""Turns the operations of one Bundle into versions to write, in the order that FHIR prescribes.

https://hl7.org/fhir/R4/http.html#trules: deletes, creates, updates and patches; then
references are resolved. Nothing is written here, and the access policy decides on every
operation: what is stored was looked up before, and versions go to a `Draft`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.index.rows import IndexRows
from fhir_server.ports import ResourceIndexer
from fhir_server.store.content import canonical, content, digest_of
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER, new_id
from fhir_server.store.lookup import Key
from fhir_server.store.write import Method
from fhir_server.transaction.criteria import Criteria
from fhir_server.transaction.entry import PROCESSING_ORDER, Check, Operation, checked
from fhir_server.transaction.merge import merged
from fhir_server.transaction.overlay import Draft, State, Version
from fhir_server.transaction.patch import Patch
from fhir_server.transaction.permission import Permission
from fhir_server.transaction.references import ReferenceRewriter
from fhir_server.transaction.selection import Searched, Selection, several
from hie.core.errors import (
    ConflictError,
    DeletedError,
    ExchangeError,
    ForbiddenError,
    InvalidResourceError,
    Issue,
    NestedTooDeeplyError,
    NotFoundError,
    RequestError,
    VersionConflictError,
)
from hie.core.fhir.json import JsonObject
from hie.core.fhir.nesting import is_deeper
from hie.core.labels import Labeller
from hie.core.ports import Derivation

NO_ROWS = IndexRows()
_NO_DIGEST = bytes(16)
_METHODS = {"POST": Method.POST, "PUT": Method.PUT, "PATCH": Method.PATCH}
# The one way to take a label away; what it leaves is left so.
_LABEL_REMOVAL = "$meta-delete"


@dataclass(slots=True)
class Outcome:
    """What becomes of one operation; `last_updated` and `body` are known once the version is written.

    `others` are the further resources that a conditional delete removes.
    """

    status: int
    key: Key
    version: int
    is_changed: bool
    last_updated: datetime | None = None
    body: bytes | None = None
    others: tuple["Outcome", ...] = ()

    @property
    def type(self) -> str:
        """The resource type."""
        return TYPE_NAME[self.key[0]]

    @property
    def id(self) -> str:
        """The resource's id."""
        return self.key[1]


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every Bundle: how content is checked and indexed, how many one delete may remove.

    `max_nesting` is how many levels of objects and arrays a patch may leave behind; `derivations` see what
    is written, `labeller` which security labels it carries.
    """

    check: Check
    indexer: ResourceIndexer
    delete_limit: int
    max_nesting: int
    derivations: Sequence[Derivation] = ()
    labeller: Labeller | None = None


class Plan:
    """The plan of one Bundle."""

    def __init__(
        self, draft: Draft, searched: Searched, rules: Rules, permission: Permission, now: datetime
    ) -> None:
        """Take the draft to change, and what was looked up; `now` is for new ids."""
        self._draft = draft
        self._rules = rules
        self._permission = permission
        self._now = now
        self._claimed: set[Key] = set()
        self._selection = Selection(draft, searched, rules.indexer, permission)

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
                case "PATCH":
                    keys[number] = self._identity_of_patch(operation)
                case _:
                    keys[number] = self._identity_of_update(operation)
        targets = {
            operation.full_url: f"{TYPE_NAME[keys[number][0]]}/{keys[number][1]}"
            for number, operation in enumerate(operations)
            if operation.full_url and number in keys
        }
        self._selection.will_write(
            [(operations[n], keys[n]) for n in order if n in keys and n not in outcomes]
        )
        rewriter = ReferenceRewriter(targets, self._selection.reference)
        for number in order:
            if number not in outcomes:
                outcomes[number] = self._write(operations[number], keys[number], rewriter)
        return [outcomes[number] for number in range(len(operations))]

    def _delete(self, operation: Operation) -> Outcome:
        number = TYPE_NUMBER[operation.type]
        if operation.criteria is None:
            return self._delete_one(operation, (number, operation.id or ""))
        found = self._selection.every(operation.criteria)
        if not found:
            self._permission.decide("delete", (number, ""), None, self._draft)
            return Outcome(204, (number, ""), 0, is_changed=False)
        if len(found) > self._rules.delete_limit:
            if self._rules.delete_limit == 1:
                raise several(operation, operation.criteria)
            raise ConflictError(
                f"The criteria {operation.criteria} select more than the {self._rules.delete_limit} resources"
                " that one request may delete",
                expression=operation.at("request.url"),
            )
        first, *others = [self._delete_one(operation, key) for key in found]
        first.others = tuple(others)
        return first

    def _delete_one(self, operation: Operation, key: Key) -> Outcome:
        self._claim(key, operation)
        self._permission.decide("delete", key, None, self._draft)
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
            found = self._selection.one(operation, condition)
            if found is not None:
                self._permission.decide("create", found, operation.resource, self._draft)
                if self._permission.hides(found, self._draft):
                    raise ForbiddenError(
                        f"The criteria {condition} select a resource that the requester may not read",
                        expression=operation.at("request.ifNoneExist"),
                    )
                version = self._draft.state(found).version or 1
                return Outcome(200, found, version, is_changed=False, last_updated=self._stored_time(found))
        key = (TYPE_NUMBER[operation.type], new_id(self._now))
        self._claim(key, operation)
        if condition is not None:
            self._selection.will_make(condition, key)
        return key

    def _identity_of_update(self, operation: Operation) -> Key:
        number = TYPE_NUMBER[operation.type]
        if operation.criteria is None:
            key = (number, operation.id or "")
        else:
            key = self._identity_of_conditional_update(operation, operation.criteria)
        self._claim(key, operation)
        return key

    def _identity_of_conditional_update(self, operation: Operation, condition: Criteria) -> Key:
        """https://hl7.org/fhir/R4/http.html#cond-update."""
        given = (operation.resource or {}).get("id")
        found = self._selection.one(operation, condition)
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
        self._selection.will_make(condition, key)
        if self._draft.state(key).is_present:
            self._permission.decide("update", key, operation.resource, self._draft)
            raise ConflictError(
                f"`{operation.type}/{given}` exists, but the criteria {condition} do not select it",
                expression=at,
            )
        return key

    def _identity_of_patch(self, operation: Operation) -> Key:
        """https://hl7.org/fhir/R4/http.html#patch; what may not be read is as if it were not there."""
        number, at = TYPE_NUMBER[operation.type], operation.at("request.url")
        interaction = operation.patch.interaction if operation.patch else "patch"
        if operation.criteria is not None:
            found = self._selection.one(operation, operation.criteria)
            if found is None:
                self._permission.decide(interaction, (number, ""), None, self._draft)
                raise NotFoundError(f"The criteria {operation.criteria} select no resource", expression=at)
            key = found
        else:
            key = (number, operation.id or "")
        self._claim(key, operation)
        state = self._draft.state(key)
        if state.is_present and not self._permission.hides(key, self._draft):
            return key
        self._permission.decide(interaction, key, None, self._draft)
        name = f"`{operation.type}/{key[1]}`"
        if not state.is_present and state.version and not self._permission.hides(key, self._draft):
            raise DeletedError(f"{name} was deleted", expression=at)
        raise NotFoundError(f"{name} does not exist", expression=at)

    def _write(self, operation: Operation, key: Key, rewriter: ReferenceRewriter) -> Outcome:
        state = self._draft.state(key)
        resource, interaction = operation.resource or {}, "create" if operation.method == "POST" else "update"
        if operation.patch is not None:
            self._check_version(state, operation)
            resource, interaction = (
                self._patched(operation, key, operation.patch),
                operation.patch.interaction,
            )
        at = operation.at("resource") or operation.type
        resource = rewriter.rewrite(resource, operation.full_url, at)
        if operation.merge is not None and state.is_present:
            if self._permission.hides(key, self._draft):
                raise ForbiddenError(
                    f"`{operation.type}/{key[1]}` may not be read, so nothing can be merged with it"
                )
            resource = merged(self._draft.content(key) or {}, resource, operation.merge)
        made, text = self._labelled(content(resource, key[1]), state, interaction)
        self._permission.decide(interaction, key, made, self._draft)
        self._check_version(state, operation)
        fingerprint = digest_of(text)
        if state.is_present and state.has_content(fingerprint):
            return Outcome(200, key, state.version, is_changed=False, last_updated=self._stored_time(key))
        rows = self._rules.indexer.index(made)
        version = Version(state.version + 1, _METHODS[operation.method], made, fingerprint, rows)
        self._draft.add(key, version)
        return Outcome(200 if state.is_present else 201, key, version.number, is_changed=True)

    def _labelled(self, made: JsonObject, state: State, interaction: str) -> tuple[JsonObject, bytes]:
        """Return `made` with its security labels, and its canonical text."""
        labeller, text = self._rules.labeller, canonical(made)
        if labeller is None or interaction == _LABEL_REMOVAL:
            return made, text
        labelled = labeller.own(made, text)
        if labeller.is_lasting and state.is_present:
            stored = self._permission.stored(state.key, self._draft)
            labelled = labelled if stored is None else labeller.kept(labelled, stored)
        return (made, text) if labelled is made else (labelled, canonical(labelled))

    def _patched(self, operation: Operation, key: Key, patch: Patch) -> JsonObject:
        """Return the valid result of `patch`; it may change neither type nor id."""
        try:
            resource = patch.apply(self._draft.content(key) or {})
            if is_deeper(resource, self._rules.max_nesting):
                raise NestedTooDeeplyError(
                    f"The patch nests the resource more than {self._rules.max_nesting} levels deep"
                )
            for name, value in (("resourceType", operation.type), ("id", key[1])):
                if resource.get(name) != value:
                    message = f"A patch may not change `{name}`, which is `{value}`"
                    raise InvalidResourceError(
                        [Issue("error", "invalid", message, f"{operation.type}.{name}")]
                    )
            return checked(resource, operation.type, self._rules.check)
        except ExchangeError as error:
            error.expression = error.expression or operation.at("resource")
            raise

    def _claim(self, key: Key, operation: Operation) -> None:
        if key in self._claimed:
            raise ConflictError(
                f"The Bundle changes `{TYPE_NAME[key[0]]}/{key[1]}` more than once",
                expression=operation.at("request.url"),
            )
        self._claimed.add(key)

    def _check_version(self, state: State, operation: Operation) -> None:
        """Check If-Match and If-None-Match (https://hl7.org/fhir/R4/http.html#concurrency)."""
        name, current = f"`{TYPE_NAME[state.key[0]]}/{state.key[1]}`", state.version or "none"
        wanted, unwanted = operation.if_match, operation.if_none_match
        if wanted is not None and not (state.is_present and wanted.names(state.version)):
            raise VersionConflictError(
                f"If-Match names version {wanted} of {name}, the current version is {current}",
                expression=operation.at("request.ifMatch"),
            )
        if unwanted is not None and state.is_present and unwanted.names(state.version):
            raise VersionConflictError(
                f"If-None-Match names version {unwanted} of {name}, the current version is {current}",
                expression=operation.at("request.ifNoneMatch"),
            )

    def _stored_time(self, key: Key) -> datetime | None:
        state = self._draft.state(key)
        return state.row.last_updated if state.row is not None and not state.versions else None
