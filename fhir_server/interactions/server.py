"""What every interaction works on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from fastapi import Request
from starlette.routing import BaseRoute

from fhir_server.graphql.limits import Limits
from fhir_server.jobs.service import Jobs
from fhir_server.service import Repository
from fhir_server.transaction.plan import Outcome
from hie.core.access import ANONYMOUS, Requester
from hie.core.clock import Clock
from hie.core.db.database import Database, Transaction
from hie.core.deidentification import Deidentification
from hie.core.errors import ConnectionLostError, LockError, NotFoundError
from hie.core.fhir.json import Json, loads
from hie.core.fhir.nesting import check_nesting
from hie.core.personal_rights import Erasure
from hie.core.ports import CodeTranslator, PatientMatcher, Terminology

# Conditional requests lock what their searches find, so that some of many over the same resources meet again.
_ATTEMPTS = 8
# After a restart of the database every idle connection of the pool is broken.
_CONNECTIONS = 8

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Described:
    """A resource that says what the server can do: its type, its JSON, and an ETag of its content."""

    type: str
    text: bytes
    etag: str


class Describes(Protocol):
    """The capabilities interaction (`fhir_server.metadata`), which a batch may ask for too."""

    def serve(self, routes: Sequence[BaseRoute]) -> None:
        """Take the routes that are mounted, or will be until the first answer."""

    def describe(self, server: "Server", transaction: Transaction, mode: str | None) -> Described:
        """Return what the server can do, in the `mode` that is asked for; raises MalformedSearchError."""


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
    deidentification: Deidentification | None = None
    erasure: Erasure | None = None
    import_sources: tuple[str, ...] = ()
    import_body_bytes: int = 16 * 1024**3
    graphql: Limits = field(default_factory=Limits)
    metadata: Describes | None = None

    def body_of(self, transaction: Transaction, made: Outcome) -> bytes | None:
        """Return the stored body behind `made`, None for a deletion, or where it may not be read."""
        if made.body is not None:
            return made.body
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
        check_nesting(value, text, self.max_nesting)
        return value

    def run(self, request: Request, work: Callable[[Transaction], _Result]) -> _Result:
        """Return what `work` returns for the requester of `request`, after its transaction is committed.

        The unit of work of one request lies inside its endpoint and not in a dependency: an answer
        exists only after COMMIT, and no request waits for a thread while it holds a connection.
        A transaction that the database ended to resolve a deadlock is run again; then LockError
        is raised. So is one that met a connection that was broken since it was last used, unless its COMMIT
        was on the way: whether that was done nobody knows, and ConnectionLostError says so.
        """
        requester = requester_of(request)
        deadlocks = lost = 0
        while True:
            is_committing = False
            try:
                with self.database.transaction(requester=requester) as transaction:
                    result = work(transaction)
                    is_committing = True
            except LockError:
                deadlocks += 1
                if deadlocks == _ATTEMPTS:
                    raise
            except ConnectionLostError:
                lost += 1
                if is_committing or lost == _CONNECTIONS:
                    raise
            else:
                return result

    def look(self, request: Request, work: Callable[[Transaction], _Result]) -> _Result:
        """Return what `work` returns for the requester of `request`; it reads only.

        Without a transaction around its statements, which would give each a snapshot of its own as well.
        What met a connection that was broken since it was last used is read again on another.
        """
        requester = requester_of(request)
        for _ in range(_CONNECTIONS - 1):
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
