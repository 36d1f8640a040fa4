"""What every interaction works on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from zoneinfo import ZoneInfo

from fastapi import Request

from fhir_server.graphql.limits import Limits
from fhir_server.jobs.service import Jobs
from fhir_server.service import Repository
from fhir_server.transaction.plan import Outcome
from hie.core.access import ANONYMOUS, Requester
from hie.core.clock import Clock
from hie.core.db.database import Database, Transaction
from hie.core.errors import ConnectionLostError, LockError, NestedTooDeeplyError, NotFoundError
from hie.core.fhir.json import Json, loads
from hie.core.ports import CodeTranslator, PatientMatcher, Terminology

_ATTEMPTS = 3
# After a restart of the database every idle connection of the pool is broken.
_READING_ATTEMPTS = 8
_CONTAINERS = (dict, list)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Server:
    """The repository, its database, and what the settings say of HTTP."""

    repository: Repository
    database: Database
    base_url: str
    max_body_bytes: int
    page_size: int
    page_size_limit: int
    jobs: Jobs
    max_bundle_entries: int
    max_nesting: int
    zone: ZoneInfo
    clock: Clock
    terminology: Terminology | None = None
    translator: CodeTranslator | None = None
    matcher: PatientMatcher | None = None
    import_sources: tuple[str, ...] = ()
    import_body_bytes: int = 16 * 1024**3
    graphql: Limits = field(default_factory=Limits)

    def body_of(self, transaction: Transaction, made: Outcome) -> bytes | None:
        """Return the stored body behind `made`, None for a deletion, or where it may not be read."""
        if made.body is not None:
            return made.body.encode()
        if not made.id or made.status == 204:  # noqa: PLR2004 - No Content
            return None
        try:
            stored = self.repository.vread(transaction, made.type, made.id, made.version)
        except NotFoundError:
            return None
        made.last_updated = stored.last_updated
        return stored.body

    def read_json(self, text: bytes) -> Json:
        """Return the value of a body; raises MalformedJSONError and NestedTooDeeplyError."""
        value = loads(text, has_unique_names=False)
        # So few brackets cannot be nested too deeply: most bodies end here.
        if text.count(b"{") + text.count(b"[") > self.max_nesting and _is_deeper(value, self.max_nesting):
            raise NestedTooDeeplyError(f"The body is nested more than {self.max_nesting} levels deep")
        return value

    def run(self, request: Request, work: Callable[[Transaction], _Result]) -> _Result:
        """Return what `work` returns for the requester of `request`, after its transaction is committed.

        The unit of work of one request lies inside its endpoint and not in a dependency: an answer
        exists only after COMMIT, and no request waits for a thread while it holds a connection.
        A transaction that the database ended to resolve a deadlock is run again; then LockError
        is raised.
        """
        requester = requester_of(request)
        for _ in range(_ATTEMPTS - 1):
            try:
                with self.database.transaction(requester=requester) as transaction:
                    return work(transaction)
            except LockError:
                continue
        with self.database.transaction(requester=requester) as transaction:
            return work(transaction)

    def look(self, request: Request, work: Callable[[Transaction], _Result]) -> _Result:
        """Return what `work` returns for the requester of `request`; it reads only.

        Without a transaction around its statements, which would give each a snapshot of its own as well.
        What met a connection that was broken since it was last used is read again on another.
        """
        requester = requester_of(request)
        for _ in range(_READING_ATTEMPTS - 1):
            try:
                with self.database.reading(requester=requester) as reading:
                    return work(reading)
            except ConnectionLostError:
                continue
        with self.database.reading(requester=requester) as reading:
            return work(reading)


def requester_of(request: Request) -> Requester:
    """Return who sent `request`, as authentication left it in its state; nobody known without it."""
    requester: Requester = getattr(request.state, "requester", ANONYMOUS)
    return requester


def _is_deeper(value: Json, levels: int) -> bool:
    """Say whether `value` is nested deeper than `levels`."""
    current = [value] if type(value) in _CONTAINERS else []
    depth = 0
    while current:
        depth += 1
        if depth > levels:
            return True
        current = [
            inner
            for outer in current
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
    return False
