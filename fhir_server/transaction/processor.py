"""Applies batches of Bundles in the caller's transaction, each Bundle whole or not at all.

The steps, each one round trip for the whole batch: look up what the Bundles
name, under locks for what is to be created; plan; lock what is to be changed;
write behind one savepoint. When the database refuses the batch, its Bundles
are applied one by one, so that only the guilty one fails.

Locks are taken in one order by everybody: keys to be created (advisory, sorted
by hash), then rows (sorted by rid).
"""

from collections.abc import Sequence

import psycopg
from psycopg import errors

from fhir_server.index.hashing import hash64, reference_key
from fhir_server.ports import ResourceIndexer, ResourceSearch
from fhir_server.store.content import body, instant, to_milliseconds
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER
from fhir_server.store.lookup import (
    Found,
    Key,
    Token,
    lock_keys,
    lock_rows_and_take_numbers,
    look_up,
    read_bodies,
)
from fhir_server.store.write import Written, write_versions
from fhir_server.transaction.group import Group, Wanted
from fhir_server.transaction.overlay import Draft, Overlay, State
from fhir_server.transaction.plan import NotLookedUpError, Plan
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ConflictError, ExchangeError, LockError, RequestError
from hie.core.outbox import append

TOPIC = "fhir.changed"

# How often a batch is planned anew because somebody changed a resource between look-up and lock.
_ATTEMPTS = 5


class TransactionProcessor:
    """Applies groups of operations."""

    def __init__(self, indexer: ResourceIndexer, search: ResourceSearch, clock: Clock) -> None:
        """Take what indexes and searches resources, and the clock of meta.lastUpdated."""
        self._indexer = indexer
        self._search = search
        self._clock = clock

    def apply(self, transaction: Transaction, groups: Sequence[Group]) -> None:
        """Apply `groups` in order; each gets its outcomes or its error.

        Raises LockError when the database ended the transaction to resolve a deadlock: the
        caller rolls back and may apply the same groups again.
        """
        run: list[Group] = []
        try:
            for group in groups:
                if group.wanted.searches:
                    # A search sees only what is written.
                    self._apply_run(transaction, run)
                    self._apply_run(transaction, [group])
                    run = []
                else:
                    run.append(group)
            self._apply_run(transaction, run)
        except (errors.DeadlockDetected, errors.SerializationFailure) as error:
            raise LockError("Another transaction holds what this one needs; try again") from error

    def _apply_run(self, transaction: Transaction, run: Sequence[Group]) -> None:
        groups = [group for group in run if group.error is None]
        if not groups:
            return
        wanted = Wanted()
        for group in groups:
            wanted.merge(group.wanted)
        for _ in range(_ATTEMPTS):
            found = Found()
            try:
                searched = self._run_searches(transaction, wanted)
            except RequestError as error:
                groups[0].error = error
                return
            _look_up_locked(transaction, found, wanted)
            read_bodies(transaction.connection, found, _to_merge(groups, found, searched))
            overlay = Overlay(found)
            if not self._plan(groups, overlay, searched):
                # The groups name more now, perhaps what takes a search: divide them anew.
                self.apply(transaction, groups)
                return
            states = overlay.changed()
            if not states:
                return
            numbers = _lock(transaction, states)
            if numbers is not None:
                self._write_or_divide(transaction, groups, states, numbers)
                return
        for group in groups:
            group.outcomes = ()
            group.error = ConflictError("The resources are being changed by others; try again")

    def _plan(
        self, groups: Sequence[Group], overlay: Overlay, searched: dict[tuple[str, str], list[Key]]
    ) -> bool:
        """Give each group its outcomes or error; False when references must be looked up first."""
        now = self._clock.now()
        is_complete = True
        for group in groups:
            draft = Draft(overlay)
            group.outcomes, group.error = (), None
            try:
                group.outcomes = Plan(draft, searched, self._indexer, now).make(group.operations)
            except NotLookedUpError:
                group.add_references()
                is_complete = False
            except ExchangeError as error:
                group.error = error
            else:
                draft.keep()
        return is_complete

    def _run_searches(self, transaction: Transaction, wanted: Wanted) -> dict[tuple[str, str], list[Key]]:
        if not wanted.searches:
            return {}
        lock_keys(transaction.connection, [hash64(f"{kind}?{query}") for kind, query in wanted.searches])
        matches: dict[tuple[str, str], list[Key]] = {}
        keys: dict[Key, None] = {}
        for name, criteria in wanted.searches.items():
            page = self._search.search(transaction, criteria.type, [*criteria.parameters, ("_count", "2")])
            matches[name] = [
                (TYPE_NUMBER[entry.resource.type], entry.resource.id)
                for entry in page.entries
                if entry.mode == "match"
            ]
            keys.update(dict.fromkeys(matches[name]))
        wanted.keys.update(keys)
        return matches

    def _write_or_divide(
        self, transaction: Transaction, groups: Sequence[Group], states: Sequence[State], numbers: list[int]
    ) -> None:
        try:
            self._write(transaction, groups, states, numbers)
        except (psycopg.DataError, psycopg.IntegrityError, errors.ProgramLimitExceeded) as error:
            transaction.connection.execute("ROLLBACK TO SAVEPOINT fhir_write")
            if len(groups) == 1:
                groups[0].outcomes, groups[0].error = (), _refusal(error)
                return
            for group in groups:
                if group.error is None:
                    self._apply_run(transaction, [group])

    def _write(
        self, transaction: Transaction, groups: Sequence[Group], states: Sequence[State], numbers: list[int]
    ) -> None:
        now = to_milliseconds(self._clock.now())
        inserted, updated, superseded, bodies = _render(states, numbers, instant(now))
        statement = write_versions(
            inserted=inserted, updated=updated, superseded=superseded, last_updated=now
        )
        connection = transaction.connection
        with connection.pipeline():
            connection.execute("SAVEPOINT fhir_write")
            statement.execute(connection)
            events = [event for event in (_event(group) for group in groups) if event]
            if events:
                append(transaction, TOPIC, events)
            connection.execute("RELEASE SAVEPOINT fhir_write")
        for group in groups:
            for outcome in group.outcomes:
                if outcome.last_updated is None:
                    outcome.last_updated = now
                    outcome.body = bodies.get((outcome.key, outcome.version))


def _look_up_locked(transaction: Transaction, found: Found, wanted: Wanted) -> None:
    """Look up what is wanted; what is absent and may be created is locked and looked up again."""
    connection = transaction.connection
    if not wanted.keys and not wanted.identifiers:
        return
    look_up(connection, found, list(wanted.keys), list(wanted.identifiers))
    keys = [key for key in wanted.keys if key not in found.rows]
    identifiers = [identifier for identifier in wanted.creating if not found.matches[identifier]]
    if keys or identifiers:
        hashes = [reference_key(TYPE_NAME[key[0]], key[1]) for key in keys]
        hashes += [_lock_hash(identifier.token) for identifier in identifiers]
        with connection.pipeline():
            lock_keys(connection, hashes)
            look_up(connection, found, keys, identifiers)


def _lock_hash(token: Token) -> int:
    return token.code_hash ^ (token.param << 32 | token.system_hash & 0xFFFFFFFF)


def _to_merge(groups: Sequence[Group], found: Found, searched: dict[tuple[str, str], list[Key]]) -> list[int]:
    """Return the stored resources that merging updates meet."""
    keys: dict[Key, None] = {}
    for group in groups:
        for operation in group.operations:
            if operation.merge is None:
                continue
            criteria = operation.criteria
            if criteria is None:
                keys[TYPE_NUMBER[operation.type], operation.id or ""] = None
            elif criteria.identifier is not None:
                keys.update(dict.fromkeys(found.matches.get(criteria.identifier, ())))
            else:
                keys.update(dict.fromkeys(searched.get((criteria.type, criteria.query), ())))
    return [found.rows[key].rid for key in keys if key in found.rows]


def _lock(transaction: Transaction, states: Sequence[State]) -> list[int] | None:
    """Lock the stored resources of `states`, number their versions; None when one has changed meanwhile."""
    expected = {state.row.rid: state.row.version for state in states if state.row is not None}
    count = sum(len(state.versions) for state in states)
    versions, numbers = lock_rows_and_take_numbers(transaction, expected, count)
    return numbers if versions == expected else None


def _render(
    states: Sequence[State], numbers: list[int], last_updated: str
) -> tuple[list[Written], list[Written], list[Written], dict[tuple[Key, int], str | None]]:
    """Return versions to insert, to update and to put into the history, and all bodies."""
    inserted: list[Written] = []
    updated: list[Written] = []
    superseded: list[Written] = []
    bodies: dict[tuple[Key, int], str | None] = {}
    taken = iter(numbers)
    for state in states:
        rid = state.row.rid if state.row is not None else None
        current = inserted if rid is None else updated
        for version in state.versions:
            seq = next(taken)
            rid = seq if rid is None else rid
            text = None if version.content is None else body(version.content, version.number, last_updated)
            bodies[state.key, version.number] = text
            target = current if version is state.versions[-1] else superseded
            target.append(
                Written(
                    rid, state.key, version.number, seq, version.method, version.digest, text, version.rows
                )
            )
    return inserted, updated, superseded, bodies


def _event(group: Group) -> dict[str, list[dict[str, str | int]]] | None:
    changes: list[dict[str, str | int]] = [
        {"type": outcome.type, "id": outcome.id, "version": outcome.version, "method": operation.method}
        for operation, outcome in zip(group.operations, group.outcomes, strict=False)
        if outcome.is_changed
    ]
    return {"changes": changes} if changes else None


def _refusal(error: psycopg.Error) -> ExchangeError:
    """Return what the database's refusal means, without the values that its own message quotes."""
    if isinstance(error, psycopg.IntegrityError):
        return ConflictError(f"The change violates the constraint `{error.diag.constraint_name}`")
    return RequestError(f"The database cannot store the content (SQLSTATE {error.sqlstate or '22021'})")
