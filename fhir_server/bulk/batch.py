"""Stores a batch of resources in one transaction: what is new as sets, everything else as any update.

The short way is for lines that are whole in themselves: no reference to resolve, an id that nobody has
yet or whose content is stored already. All other lines go through `Repository.apply`, so that there
is one place where versions, merges and conflicts are decided. Every line is checked by the validator
and asked of the access policy, on either way.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.types.json import Jsonb

from fhir_server.bulk.line import needs_resolution, read_line
from fhir_server.index.hashing import reference_key
from fhir_server.ports import ResourceIndexer
from fhir_server.service import Repository
from fhir_server.store.content import body, canonical, content, digest_of, instant, to_milliseconds
from fhir_server.store.identity import TYPE_NAME, check_id, new_id, type_number
from fhir_server.store.lookup import Found, Key, lock_keys, lock_rows_and_take_numbers, look_up
from fhir_server.store.sealing import sealed
from fhir_server.store.settled import announce
from fhir_server.store.write import Method, Written, write_versions
from fhir_server.transaction.entry import Operation
from fhir_server.transaction.processor import TOPIC
from hie.core.access import Attempt, Requester
from hie.core.audit.trail import Step
from hie.core.clock import Clock
from hie.core.db.database import Database, Transaction
from hie.core.errors import ExchangeError, Issue, LockError, RequestError
from hie.core.fhir.json import JsonObject, dumps
from hie.core.outbox import append

_ATTEMPTS: Final = 5
# One event for so many changes: a consumer that fails for one has few others to repeat.
_EVENT_CHANGES: Final = 100

_DONE: Final = "SELECT result FROM job_part WHERE job_id = %s AND number = %s"
_MARK: Final = "INSERT INTO job_part (job_id, number, result) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


@dataclass(slots=True)
class Failure:
    """A line that was not stored, by its number in the file, and the issues that say why."""

    line: int
    issues: list[JsonObject]


@dataclass(slots=True)
class BatchResult:
    """What became of a batch, in resources."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failures: list[Failure] = field(default_factory=list)

    @classmethod
    def from_json(cls, kept: JsonObject) -> "BatchResult":
        """Return what was kept of a result by `dataclasses.asdict`."""
        failures = [Failure(each["line"], each["issues"]) for each in kept["failures"]]
        return cls(kept["created"], kept["updated"], kept["unchanged"], failures)


class Part(NamedTuple):
    """A part of a job: of one job and number at most one transaction is committed."""

    job: UUID
    number: int


class _Line(NamedTuple):
    number: int
    operation: Operation
    key: Key
    content: JsonObject
    digest: bytes


class BatchImporter:
    """Stores batches; one in each process that imports."""

    def __init__(
        self,
        database: Database,
        repository: Repository,
        indexer: ResourceIndexer,
        clock: Clock,
        *,
        refresh: Callable[[Connection[tuple[Any, ...]]], None],
        max_nesting: int,
    ) -> None:
        """Take the parts of the process; `refresh` has the indexer know SearchParameters stored since.

        `max_nesting` is how many levels of objects and arrays a line may have.
        """
        self._database = database
        self._repository = repository
        self._indexer = indexer
        self._clock = clock
        self._refresh = refresh
        self._max_nesting = max_nesting

    def store(
        self,
        lines: Sequence[tuple[int, bytes]],
        *,
        requester: Requester,
        resource_type: str | None = None,
        part: Part | None = None,
    ) -> BatchResult:
        """Store numbered `lines` for `requester`, all of `resource_type` where that is given.

        A resource with an id is an update (as create), one without is a create. A line that fails leaves
        the others. With `part`, a batch that was stored before is not stored again, and its result is
        returned. Raises UnavailableError.
        """
        failures: list[Failure] = []
        read = [made for made in (self._read(line, resource_type, failures) for line in lines) if made]
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._store(read, failures, requester, part)
            except LockError:
                continue
        return self._store(read, failures, requester, part)

    def _read(
        self, line: tuple[int, bytes], resource_type: str | None, failures: list[Failure]
    ) -> _Line | None:
        number, text = line
        try:
            resource = read_line(text, self._max_nesting)
            name = resource["resourceType"]
            if resource_type is not None and name != resource_type:
                raise RequestError(
                    f"The resource is a {name}, but the file is said to hold {resource_type}",
                    expression="resourceType",
                )
            kind = type_number(name, expression="resourceType")
            self._repository.checked(resource, name)
            identity = resource.get("id")
            if identity is None:
                identity = new_id(self._clock.now())
                operation = Operation("POST", type=name, resource=resource)
            else:
                check_id(identity, expression=f"{name}.id")
                operation = Operation("PUT", type=name, id=identity, resource=resource)
        except ExchangeError as error:
            failures.append(_failure(number, error))
            return None
        made = content(resource, identity)
        text = canonical(made)
        labeller = self._repository.labeller
        labelled = made if labeller is None else labeller.own(made, text)
        if labelled is not made:
            made, text = labelled, canonical(labelled)
        return _Line(number, operation, (kind, identity), made, digest_of(text))

    def _store(
        self, lines: Sequence[_Line], failures: list[Failure], requester: Requester, part: Part | None
    ) -> BatchResult:
        result = BatchResult(failures=list(failures))
        with self._database.transaction(requester=requester) as transaction:
            connection = transaction.connection
            if part is not None:
                done = connection.execute(_DONE, part).fetchone()
                if done is not None:
                    return BatchResult.from_json(done[0])
            self._refresh(connection)
            self._apply(transaction, self._insert(transaction, lines, result), result)
            # The import is the interaction, and not each of its lines.
            transaction.steps[:] = [_step(result)] if result.created or result.updated else []
            result.failures.sort(key=lambda failure: failure.line)
            if part is not None:
                marked = connection.execute(_MARK, (*part, Jsonb(asdict(result), dumps=dumps)))
                if not marked.rowcount:
                    raise LockError(f"Part {part.number} of the job was stored by another process meanwhile")
        return result

    def _insert(self, transaction: Transaction, lines: Sequence[_Line], result: BatchResult) -> list[_Line]:
        """Insert the new resources among `lines`, and return the lines that are left to do."""
        connection = transaction.connection
        keys = {line.key: None for line in lines}
        lock_keys(connection, [reference_key(TYPE_NAME[kind], identity) for kind, identity in keys])
        found = Found()
        look_up(connection, found, list(keys), [])
        left: list[_Line] = []
        new: dict[Key, _Line] = {}
        for line in lines:
            row = found.rows.get(line.key)
            if line.key in new or (row is not None and (row.is_deleted or not row.has_content(line.digest))):
                left.append(line)
            elif self._is_permitted(transaction, line, result):
                if row is not None:
                    result.unchanged += 1
                else:
                    new[line.key] = line
        return [*self._write(transaction, list(new.values()), result), *left]

    def _is_permitted(self, transaction: Transaction, line: _Line, result: BatchResult) -> bool:
        interaction = "create" if line.operation.method == "POST" else "update"
        try:
            self._repository.decide(
                transaction, Attempt(interaction, line.operation.type, line.key[1], line.content)
            )
        except ExchangeError as error:
            result.failures.append(_failure(line.number, error))
            return False
        return True

    def _write(self, transaction: Transaction, lines: Sequence[_Line], result: BatchResult) -> list[_Line]:
        """Write resources that are not stored yet; return those that must go the long way."""
        announce(transaction.connection)
        now = to_milliseconds(self._clock.now())
        moment = instant(now)
        plain: list[tuple[_Line, bytes]] = []
        left: list[_Line] = []
        for line in lines:
            text = body(line.content, 1, moment)
            if needs_resolution(text):
                left.append(line)
            else:
                plain.append((line, text))
        if not plain:
            return left
        connection = transaction.connection
        _, numbers = lock_rows_and_take_numbers(transaction, (), len(plain))
        written = [self._version(line, text, seq) for (line, text), seq in zip(plain, numbers, strict=True)]
        statement = write_versions(
            inserted=sealed(connection, written)[0], updated=(), superseded=(), last_updated=now
        )
        try:
            with connection.transaction():
                statement.execute(connection)
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded):
            # One of them cannot be stored; the long way finds out which.
            return [*left, *(line for line, _ in plain)]
        changes = [_change(version) for version in written]
        events = [
            {"changes": changes[at : at + _EVENT_CHANGES]} for at in range(0, len(changes), _EVENT_CHANGES)
        ]
        append(transaction, TOPIC, events)
        result.created += len(plain)
        return left

    def _version(self, line: _Line, text: bytes, seq: int) -> Written:
        method = Method.POST if line.operation.method == "POST" else Method.PUT
        rows = self._indexer.index(line.content)
        return Written(seq, line.key, 1, seq, method, line.digest, text, rows)

    def _apply(self, transaction: Transaction, lines: Sequence[_Line], result: BatchResult) -> None:
        """Store `lines` as updates and creates one by one, in their order."""
        ordered = sorted(lines, key=lambda line: line.number)
        groups = [[line.operation] for line in ordered]
        for line, outcome in zip(ordered, self._repository.apply(transaction, groups), strict=True):
            if isinstance(outcome, ExchangeError):
                result.failures.append(_failure(line.number, outcome))
            elif not outcome[0].is_changed:
                result.unchanged += 1
            elif outcome[0].status == 201:  # noqa: PLR2004 - Created
                result.created += 1
            else:
                result.updated += 1


def _step(result: BatchResult) -> Step:
    return Step(
        "$import",
        "C",
        is_change=True,
        detail={"created": str(result.created), "updated": str(result.updated)},
    )


def _change(version: Written) -> JsonObject:
    return {
        "type": TYPE_NAME[version.key[0]],
        "id": version.key[1],
        "version": version.version,
        "method": "POST" if version.method == Method.POST else "PUT",
    }


def _failure(number: int, error: ExchangeError) -> Failure:
    return Failure(number, [_issue(issue) for issue in error.issues])


def _issue(issue: Issue) -> JsonObject:
    return {
        "severity": issue.severity,
        "code": issue.code,
        "message": issue.message,
        "expression": issue.expression,
    }
