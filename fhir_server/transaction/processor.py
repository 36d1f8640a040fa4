"""Applies batches of Bundles in the caller's transaction, each Bundle whole or not at all.

The steps, each one round trip for the whole batch: look up what the Bundles
name, under locks for what is to be created; plan; lock what is to be changed;
write behind one savepoint. When the database refuses the batch, its Bundles
are applied one by one, so that only the guilty one fails.

Locks are taken in one order by everybody: keys to be created (advisory, sorted
by hash), then rows (sorted by rid).
"""

from collections.abc import Iterator, Sequence

import psycopg
from psycopg import errors

from fhir_server.access import Access
from fhir_server.index.hashing import reference_key
from fhir_server.ports import ResourceSearch
from fhir_server.store.content import body, instant, to_milliseconds
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER
from fhir_server.store.lookup import (
    Found,
    Key,
    find_and_lock,
    lock_keys,
    lock_rows_and_take_numbers,
    look_up,
    read_bodies,
)
from fhir_server.store.sealing import sealed
from fhir_server.store.write import Statement, Written, write_versions
from fhir_server.transaction.group import Group, Wanted
from fhir_server.transaction.inheritance import Inheriting, inherit
from fhir_server.transaction.overlay import Draft, Overlay, State
from fhir_server.transaction.permission import Permission
from fhir_server.transaction.plan import Outcome, Plan, Rules
from fhir_server.transaction.selection import NotLookedUpError
from fhir_server.transaction.steps import steps_of
from hie.core.access import Requester
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ConflictError, ExchangeError, LockError, RequestError
from hie.core.fhir.json import JsonObject
from hie.core.outbox import insertion

TOPIC = "fhir.changed"

# How often a batch is planned anew because somebody changed a resource between look-up and lock.
_ATTEMPTS = 5
# Bytes of content in one statement, behind which its connection is not kept.
_LARGE = 2_000_000


class TransactionProcessor:
    """Applies groups of operations."""

    def __init__(self, rules: Rules, search: ResourceSearch, access: Access, clock: Clock) -> None:
        """Take what holds for every Bundle, what searches, who may, and the clock of meta.lastUpdated."""
        self._rules = rules
        self._search = search
        self._access = access
        self._clock = clock
        labeller = rules.labeller
        self._inheriting = (
            Inheriting(labeller, rules.indexer) if labeller is not None and labeller.is_lasting else None
        )

    def apply(self, transaction: Transaction, groups: Sequence[Group], *, is_alone: bool = False) -> None:
        """Apply `groups` in order; each gets its outcomes or its error.

        `is_alone` says that the caller rolls back if the only group has an error: then no savepoint is set.
        Raises LockError when the database ended the transaction to resolve a deadlock: the
        caller rolls back and may apply the same groups again.
        """
        run: list[Group] = []
        try:
            for group in groups:
                if group.wanted.searches:
                    # A search sees only what is written.
                    self._apply_run(transaction, run)
                    self._apply_run(transaction, [group], is_alone=is_alone)
                    run = []
                else:
                    run.append(group)
            self._apply_run(transaction, run, is_alone=is_alone)
        except (errors.DeadlockDetected, errors.SerializationFailure) as error:
            raise LockError("Another transaction holds what this one needs; try again") from error

    def _apply_run(self, transaction: Transaction, run: Sequence[Group], *, is_alone: bool = False) -> None:
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
            _look_up_locked(transaction, found, wanted, is_alone=is_alone)
            read_bodies(transaction.connection, found, _to_change(groups, found, searched))
            overlay = Overlay(found)
            permission = Permission(self._access, transaction, found)
            if not self._plan(groups, overlay, searched, permission):
                # The groups name more now, perhaps what takes a search: divide them anew.
                self.apply(transaction, groups, is_alone=is_alone)
                return
            if self._inheriting is not None:
                inherit(transaction.connection, overlay, self._inheriting)
            states = overlay.changed()
            if not states:
                return
            numbers = _lock(transaction, found, states)
            if numbers is not None:
                transaction.has_written = True
                self._write_or_divide(transaction, groups, states, numbers, is_alone=is_alone)
                return
        for group in groups:
            group.outcomes = ()
            group.error = ConflictError("The resources are being changed by others; try again")

    def _plan(
        self,
        groups: Sequence[Group],
        overlay: Overlay,
        searched: dict[tuple[str, str], list[Key]],
        permission: Permission,
    ) -> bool:
        """Give each group its outcomes or error; False when references must be looked up first."""
        now = self._clock.now()
        is_complete = True
        for group in groups:
            draft = Draft(overlay)
            group.outcomes, group.error = (), None
            try:
                group.outcomes = Plan(draft, searched, self._rules, permission, now).make(group.operations)
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
        connection = transaction.connection
        own = [key for criteria in wanted.searches.values() for key in criteria.locks]
        lock_keys(connection, [*own, *wanted.locks])
        filters = self._access.filters(transaction)
        matches: dict[tuple[str, str], list[Key]] = {}
        for name, criteria in wanted.searches.items():
            found = self._search.selection(transaction, criteria.type, criteria.selecting, filters=filters)
            # One more than may be changed tells that there are too many.
            rows = connection.execute(
                f"SELECT r.type, r.id FROM ({found.text} LIMIT %s) AS s JOIN resource r ON r.rid = s.rid",  # noqa: S608 - a selection
                (*found.params, self._rules.delete_limit + 1),
            )
            matches[name] = [(row[0], row[1]) for row in rows]
            wanted.keys.update(dict.fromkeys(matches[name]))
        return matches

    def _write_or_divide(
        self,
        transaction: Transaction,
        groups: Sequence[Group],
        states: Sequence[State],
        numbers: list[int],
        *,
        is_alone: bool,
    ) -> None:
        try:
            self._write(transaction, groups, states, numbers, is_alone=is_alone)
        except (psycopg.DataError, psycopg.IntegrityError, errors.ProgramLimitExceeded) as error:
            if not is_alone:
                transaction.connection.execute("ROLLBACK TO SAVEPOINT fhir_write")
            if len(groups) == 1:
                groups[0].outcomes, groups[0].error = (), _refusal(error)
                return
            for group in groups:
                if group.error is None:
                    self._apply_run(transaction, [group])

    def _write(
        self,
        transaction: Transaction,
        groups: Sequence[Group],
        states: Sequence[State],
        numbers: list[int],
        *,
        is_alone: bool,
    ) -> None:
        now = to_milliseconds(self._clock.now())
        inserted, updated, superseded, bodies = _render(states, numbers, instant(now))
        connection = transaction.connection
        stored = sealed(connection, inserted, updated, superseded)
        statement = write_versions(
            inserted=stored[0], updated=stored[1], superseded=stored[2], last_updated=now
        )
        requester = transaction.requester
        events = [event for event in (_event(group, requester) for group in groups) if event]
        if events:
            text, parameters = insertion(TOPIC, events)
            statement.add(text, *parameters)
        _record(statement, transaction, groups if is_alone else ())
        if sum(len(text) for text in bodies.values() if text is not None) > _LARGE:
            transaction.retire()
        if is_alone:
            statement.execute(connection)
        else:
            with connection.pipeline():
                connection.execute("SAVEPOINT fhir_write")
                statement.execute(connection)
                connection.execute("RELEASE SAVEPOINT fhir_write")
        for group in groups:
            for outcome in _every(group.outcomes):
                if outcome.last_updated is None:
                    outcome.last_updated = now
                    outcome.body = bodies.get((outcome.key, outcome.version))
        for derivation in self._rules.derivations:
            for state in states:
                if TYPE_NAME[state.key[0]] in derivation.resource_types:
                    derivation.derive(
                        transaction, TYPE_NAME[state.key[0]], state.key[1], state.versions[-1].content
                    )


def _record(statement: Statement, transaction: Transaction, groups: Sequence[Group]) -> None:
    """Add what the audit trail says of `groups` to the statement that writes them: no round trip."""
    if groups and transaction.recorder is not None:
        steps = [step for group in groups for step in steps_of(group.operations, group.outcomes)]
        text, parameters = transaction.recorder.insertion(transaction, steps)
        statement.add(text, *parameters)
        transaction.recorded += 1


def _look_up_locked(transaction: Transaction, found: Found, wanted: Wanted, *, is_alone: bool) -> None:
    """Look up what is wanted; what is absent and may be created is locked and looked up again."""
    connection = transaction.connection
    if not wanted.keys and not wanted.identifiers:
        return
    if is_alone and len(wanted.keys) == 1 and not wanted.identifiers and not wanted.searches:
        # One lock cannot be taken in the wrong order; this saves the round trip of `_lock`.
        find_and_lock(connection, found, next(iter(wanted.keys)))
    else:
        look_up(connection, found, list(wanted.keys), list(wanted.identifiers))
    keys = [key for key in wanted.keys if key not in found.rows]
    identifiers = [identifier for identifier in wanted.creating if not found.matches[identifier]]
    if keys or identifiers:
        hashes = [reference_key(TYPE_NAME[key[0]], key[1]) for key in keys]
        for identifier in identifiers:
            hashes += (identifier.lock, *wanted.creating[identifier])
        with connection.pipeline():
            lock_keys(connection, hashes)
            look_up(connection, found, keys, identifiers)


def _every(outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    for outcome in outcomes:
        yield outcome
        yield from outcome.others


def _to_change(
    groups: Sequence[Group], found: Found, searched: dict[tuple[str, str], list[Key]]
) -> list[int]:
    """Return the stored resources whose content merging updates and patches start from."""
    keys: dict[Key, None] = {}
    for group in groups:
        for operation in group.operations:
            if operation.merge is None and operation.patch is None:
                continue
            criteria = operation.criteria
            if criteria is None:
                keys[TYPE_NUMBER[operation.type], operation.id or ""] = None
            elif criteria.identifier is not None:
                keys.update(dict.fromkeys(found.matches.get(criteria.identifier, ())))
            else:
                keys.update(dict.fromkeys(searched.get((criteria.type, criteria.query), ())))
    return [found.rows[key].rid for key in keys if key in found.rows]


def _lock(transaction: Transaction, found: Found, states: Sequence[State]) -> list[int] | None:
    """Lock the stored resources of `states`, number their versions; None when one has changed meanwhile."""
    if found.locked is not None and len(states) == 1 and len(states[0].versions) == 1:
        row = states[0].row
        if row is not None and row.rid == found.locked[0]:
            return [found.locked[1]]
    expected = {state.row.rid: state.row.version for state in states if state.row is not None}
    count = sum(len(state.versions) for state in states)
    versions, numbers = lock_rows_and_take_numbers(transaction, expected, count)
    return numbers if versions == expected else None


def _render(
    states: Sequence[State], numbers: list[int], last_updated: str
) -> tuple[list[Written], list[Written], list[Written], dict[tuple[Key, int], bytes | None]]:
    """Return versions to insert, to update and to put into the history, and all bodies."""
    inserted: list[Written] = []
    updated: list[Written] = []
    superseded: list[Written] = []
    bodies: dict[tuple[Key, int], bytes | None] = {}
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


def _event(group: Group, requester: Requester) -> JsonObject | None:
    changes: list[JsonObject] = [
        {"type": outcome.type, "id": outcome.id, "version": outcome.version, "method": operation.method}
        for operation, made in zip(group.operations, group.outcomes, strict=False)
        for outcome in (made, *made.others)
        if outcome.is_changed
    ]
    if not changes:
        return None
    event: JsonObject = {"changes": changes}
    if any(change["type"] == "Subscription" for change in changes):
        # whoever asks to be told is told what he may read
        event["requester"] = requester.as_json()
    return event


def _refusal(error: psycopg.Error) -> ExchangeError:
    """Return what the database's refusal means, without the values that its own message quotes."""
    if isinstance(error, psycopg.IntegrityError):
        return ConflictError(f"The change violates the constraint `{error.diag.constraint_name}`")
    return RequestError(f"The database cannot store the content (SQLSTATE {error.sqlstate or '22021'})")
