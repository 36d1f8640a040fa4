"""The access policy applied to the store: which resources a requester may read, what it may do.

Every method of `fhir_server.service.Repository` goes through this; the policy itself is another's
(`hie.core.ports.AccessPolicy`). Filters are search parameters, so that one rule serves searches,
reads and writes alike: of many resources as a condition of the statement, of one as a function of its rows
(`fhir_server.search.ruling`).
"""
# ruff: noqa: S608 - the text is made of selections, every value is a parameter

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import Final, Literal

from fhir_server.index.hashing import reference_key
from fhir_server.ports import ResourceSearch
from fhir_server.search.ruling import Marks, Ruling
from fhir_server.search.sql import Sql, all_of, any_of
from fhir_server.store.identity import TYPE_NUMBER, is_id
from fhir_server.store.marks import look_at, read_marked
from fhir_server.store.read import read
from hie.core.access import Attempt, Filters, Readable
from hie.core.db.database import Transaction
from hie.core.errors import DeletedError, ForbiddenError, NotFoundError
from hie.core.ports import AccessPolicy, StoredResource
from hie.core.smart_scopes import for_letter

Letter = Literal["r", "s"]
"""SMART's read (with vread and history of one resource), and search (with histories of many)."""

_READING: Final = frozenset({"read", "history"})
# What decides about the records of others; every other change is of the resource itself.
_DECIDING: Final = frozenset({"Consent"})
_PATIENT: Final = "Patient"


class Access:
    """Asks the policy on behalf of the requester of a transaction."""

    def __init__(
        self, policy: AccessPolicy, search: ResourceSearch, reserved: Collection[tuple[str, str]] = ()
    ) -> None:
        """Take the policy, what evaluates its search parameters, and what only the server itself changes.

        `reserved` are types and ids.
        """
        self._policy = policy
        self._search = search
        self._facts = search.facts
        self._reserved = frozenset(reserved)

    def readable(self, transaction: Transaction, resource_type: str) -> Readable:
        """Return what the requester may read of `resource_type`."""
        return self._policy.readable(transaction.requester, resource_type)

    def filters(self, transaction: Transaction, letter: Letter | None = None) -> Filters:
        """Return what the requester may read, by resource type; with `letter` only by that interaction."""
        requester = transaction.requester
        return partial(self._policy.readable, requester if letter is None else for_letter(requester, letter))

    def decide(self, transaction: Transaction, attempt: Attempt) -> None:
        """Raise ForbiddenError unless the requester may do what it attempts."""
        if (
            (attempt.resource_type, attempt.resource_id) in self._reserved
            and attempt.interaction not in _READING
            and transaction.requester.kind != "system"
        ):
            name = f"{attempt.resource_type}/{attempt.resource_id}"
            raise ForbiddenError(f"`{name}` is part of the server and not changed by others")
        if attempt.interaction not in _READING:
            self._forget(attempt)
        self._policy.decide(
            transaction.requester, replace(attempt, selects=partial(self._selects, transaction))
        )

    def _forget(self, attempt: Attempt) -> None:
        """Forget the facts that a change may make untrue, so that this process heeds it at once."""
        if attempt.resource_type in _DECIDING:
            self._facts.forget()
        elif attempt.resource_type and attempt.resource_id:
            self._facts.forget(reference_key(attempt.resource_type, attempt.resource_id))

    def _selects(
        self, transaction: Transaction, resource_type: str, resource_id: str, wanted: Readable
    ) -> bool:
        if not is_id(resource_id):
            return False
        if resource_type == _PATIENT:
            # As a whole by facts, which others have asked for already.
            ruling = self._ruling(transaction, resource_type, lambda _: wanted, has_rows=False)
            marks = Marks(reference_key(resource_type, resource_id))
            return ruling is None or self._shows(transaction, ruling, marks)
        ruling = self._ruling(transaction, resource_type, lambda _: wanted)
        if ruling is None:
            return True
        found = look_at(transaction.connection, resource_type, resource_id, ruling.tokens, ruling.references)
        return found is not None and not found.is_deleted and self._shows(transaction, ruling, found.marks)

    def _ruling(
        self, transaction: Transaction, resource_type: str, filters: Filters, *, has_rows: bool = True
    ) -> Ruling | None:
        """Return what `filters` say of resources of a type; None where that is everything."""
        rule = self._search.rule(transaction, resource_type, filters)
        if rule is None:
            return None
        return self._facts.ruling(rule, TYPE_NUMBER[resource_type], has_rows=has_rows)

    def _shows(self, transaction: Transaction, ruling: Ruling, marks: Marks) -> bool:
        return self._facts.decide(transaction, ruling, marks)

    def read(self, transaction: Transaction, attempt: Attempt) -> StoredResource:
        """Return the current version of the resource that `attempt` names, if the requester may read it.

        Raises NotFoundError, also for what may not be read, and DeletedError.
        """
        resource_type, resource_id = attempt.resource_type or "", attempt.resource_id or ""
        ruling = self._ruling(transaction, resource_type, self.filters(transaction, "r"))
        if ruling is None:
            return read(transaction.connection, resource_type, resource_id)
        found = read_marked(
            transaction.connection, resource_type, resource_id, ruling.tokens, ruling.references
        )
        if found is not None and found.stored is not None:
            if self._shows(transaction, ruling, found.marks):
                return found.stored
        elif found is not None and self.permits(transaction, attempt):
            raise DeletedError(f"`{resource_type}/{resource_id}` was deleted")
        raise NotFoundError(f"`{resource_type}/{resource_id}` does not exist")

    def may_read(
        self, transaction: Transaction, resource_type: str, resource_id: str, letter: Letter | None = "r"
    ) -> bool:
        """Say whether the requester may read the current version of a resource; of a deleted one it is no.

        Without `letter`, by whichever interaction.
        """
        ruling = self._ruling(transaction, resource_type, self.filters(transaction, letter))
        tokens, references = ("{}", "{}") if ruling is None else (ruling.tokens, ruling.references)
        found = look_at(transaction.connection, resource_type, resource_id, tokens, references)
        if found is None or found.is_deleted:
            return False
        return ruling is None or self._shows(transaction, ruling, found.marks)

    def predicate(
        self,
        transaction: Transaction,
        resource_types: Iterable[str],
        alias: str,
        *,
        letter: Letter | None = None,
        deleted_too: bool = False,
    ) -> Sql:
        """Return whether a row ``alias`` of `resource`, one of `resource_types`, may be read.

        No filter finds a deleted resource; with `deleted_too` the predicate lets it pass, and the
        caller asks `permits`.
        """
        if deleted_too:
            either = self.predicate(transaction, resource_types, alias, letter=letter)
            return any_of([either, Sql(f"{alias}.is_deleted")]) if either.text != "true" else either
        hidden: list[int] = []
        parts: list[Sql] = []
        filters = self.filters(transaction, letter)
        for name in resource_types:
            readable = filters(name)
            if readable.is_nothing:
                hidden.append(TYPE_NUMBER[name])
            elif not readable.is_everything:
                found = self._search.selection(transaction, name, (), filters=filters)
                text = f"({alias}.type <> %s OR {alias}.rid IN (SELECT s.rid FROM ({found.text}) AS s))"
                parts.append(Sql(text, (TYPE_NUMBER[name], *found.params)))
        if hidden:
            parts.append(Sql(f"{alias}.type <> ALL(%s::smallint[])", (hidden,)))
        return all_of(parts)

    def require(
        self,
        transaction: Transaction,
        attempt: Attempt,
        is_deleted: Callable[[], bool],
    ) -> None:
        """Raise NotFoundError unless the requester may read the resource that `attempt` names.

        Its current version decides, also for earlier versions. Of a deleted resource, which no
        search finds, the policy's `decide` says. What may not be read is answered as what never was.
        """
        resource_type, resource_id = attempt.resource_type or "", attempt.resource_id or ""
        if self.filters(transaction, "r")(resource_type).is_everything or self.may_read(
            transaction, resource_type, resource_id
        ):
            return
        if is_deleted() and self.permits(transaction, attempt):
            return
        raise NotFoundError(f"`{resource_type}/{resource_id}` does not exist")

    def permits(self, transaction: Transaction, attempt: Attempt) -> bool:
        """Say whether `decide` lets `attempt` pass."""
        try:
            self.decide(transaction, attempt)
        except ForbiddenError:
            return False
        return True
