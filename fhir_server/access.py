"""The access policy applied to the store: which resources a requester may read, what it may do.

Every method of `fhir_server.service.Repository` goes through this; the policy itself is another's
(`hie.core.ports.AccessPolicy`). Filters are search parameters, so that one rule serves searches,
reads and writes alike.
"""
# ruff: noqa: S608 - the text is made of selections, every value is a parameter

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from fhir_server.ports import ResourceSearch
from fhir_server.search.sql import Sql, all_of, any_of
from fhir_server.store.identity import TYPE_NUMBER, is_id
from hie.core.access import Attempt, Filters, Readable, Requester
from hie.core.db.database import Transaction
from hie.core.errors import ForbiddenError, NotFoundError
from hie.core.ports import AccessPolicy

_READING: Final = frozenset({"read", "history"})
# That a resource may be read is known for so long: what another process withdraws, this one shows until then.
_SEEN_SECONDS: Final = 1.0
_MOST_SEEN: Final = 65_536
# What decides about other resources, and is to be heeded at once by the process that writes it.
_DECIDING: Final = frozenset({"Consent", "Patient"})


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
        self._reserved = frozenset(reserved)
        self._seen: dict[tuple[str, str], dict[Requester | int, tuple[float, object]]] = {}

    def readable(self, transaction: Transaction, resource_type: str) -> Readable:
        """Return what the requester may read of `resource_type`."""
        return self._policy.readable(transaction.requester, resource_type)

    def filters(self, transaction: Transaction) -> Filters:
        """Return what the requester may read, by resource type."""
        return partial(self._policy.readable, transaction.requester)

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
            if attempt.resource_type in _DECIDING:
                self._seen.clear()
            else:
                self._seen.pop((attempt.resource_type or "", attempt.resource_id or ""), None)
        self._policy.decide(
            transaction.requester, replace(attempt, selects=partial(self._selects, transaction))
        )

    def _selects(
        self, transaction: Transaction, resource_type: str, resource_id: str, wanted: Readable
    ) -> bool:
        # By its identity: to compare what policies say costs more than to ask.
        if not is_id(resource_id) or self._is_seen(resource_type, resource_id, id(wanted)):
            return is_id(resource_id)
        found = self._search.selection(
            transaction, resource_type, [("_id", resource_id)], filters=lambda _: wanted
        )
        rows = transaction.connection.execute(f"{found.text} LIMIT 1", found.params)
        if rows.fetchone() is None:
            return False
        self._note(resource_type, resource_id, id(wanted), wanted)
        return True

    def _is_seen(self, resource_type: str, resource_id: str, who: Requester | int) -> bool:
        found = self._seen.get((resource_type, resource_id), {}).get(who)
        return found is not None and time.monotonic() < found[0]

    def _note(self, resource_type: str, resource_id: str, who: Requester | int, kept: object) -> None:
        """Remember that `who`, a requester or the identity of `kept`, was let pass."""
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        until = time.monotonic() + _SEEN_SECONDS
        self._seen.setdefault((resource_type, resource_id), {})[who] = until, kept

    def readable_ids(self, transaction: Transaction, resource_type: str, ids: Iterable[str]) -> set[str]:
        """Return those of `ids` whose current version the requester may read; deleted ones never."""
        wanted = [each for each in ids if is_id(each)]
        readable = self.readable(transaction, resource_type)
        if readable.is_nothing or not wanted:
            return set()
        found = self._search.selection(
            transaction, resource_type, [("_id", ",".join(wanted))], filters=self.filters(transaction)
        )
        rows = transaction.connection.execute(
            f"SELECT r.id FROM ({found.text}) AS s JOIN resource r ON r.rid = s.rid",
            found.params,
        )
        return {row[0] for row in rows}

    def predicate(
        self,
        transaction: Transaction,
        resource_types: Iterable[str],
        alias: str,
        *,
        deleted_too: bool = False,
    ) -> Sql:
        """Return whether a row ``alias`` of `resource`, one of `resource_types`, may be read.

        No filter finds a deleted resource; with `deleted_too` the predicate lets it pass, and the
        caller asks `permits`.
        """
        if deleted_too:
            either = self.predicate(transaction, resource_types, alias)
            return any_of([either, Sql(f"{alias}.is_deleted")]) if either.text != "true" else either
        hidden: list[int] = []
        parts: list[Sql] = []
        for name in resource_types:
            readable = self.readable(transaction, name)
            if readable.is_nothing:
                hidden.append(TYPE_NUMBER[name])
            elif not readable.is_everything:
                found = self._search.selection(transaction, name, (), filters=self.filters(transaction))
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
        requester = transaction.requester
        if self._is_seen(resource_type, resource_id, requester):
            return
        if self.readable_ids(transaction, resource_type, (resource_id,)):
            self._note(resource_type, resource_id, requester, None)
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
