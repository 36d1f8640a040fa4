"""What every interaction works on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fhir_server.service import Repository
from fhir_server.transaction.plan import Outcome
from hie.core.db.database import Database, Transaction
from hie.core.errors import LockError

_ATTEMPTS = 3

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

    def body_of(self, transaction: Transaction, made: Outcome) -> bytes | None:
        """Return the stored body behind `made`, None for a deletion."""
        if made.body is not None:
            return made.body.encode()
        if not made.id or made.status == 204:  # noqa: PLR2004 - No Content
            return None
        stored = self.repository.vread(transaction, made.type, made.id, made.version)
        made.last_updated = stored.last_updated
        return stored.body

    def run(self, work: Callable[[Transaction], _Result]) -> _Result:
        """Return what `work` returns, after its transaction is committed.

        The unit of work of one request lies inside its endpoint and not in a dependency: an answer
        exists only after COMMIT, and no request waits for a thread while it holds a connection.
        A transaction that the database ended to resolve a deadlock is run again; then LockError
        is raised.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                with self.database.transaction() as transaction:
                    return work(transaction)
            except LockError:
                continue
        with self.database.transaction() as transaction:
            return work(transaction)
