"""Connections and transactions, for hot SQL and for SQLModel alike.

`Transaction.connection` is the psycopg connection (raw SQL), `Transaction.session` a
SQLModel session on the same connection. Only whoever opened `Database.transaction()`
commits, by leaving it. Who only reads opens `Database.reading()`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, LiteralString, Protocol, Self, cast

import psycopg
from sqlalchemy import Connection as SQLAlchemyConnection
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection
from sqlmodel import Session

from hie.core.access import SYSTEM, Requester
from hie.core.audit.record import Record
from hie.core.audit.trail import CURRENT, Step
from hie.core.errors import ConnectionLostError, UnavailableError

if TYPE_CHECKING:
    from hie.core.crypto.text_cipher import TextCipher

# A plan made while a table was empty and then kept halves the throughput once
# the table has grown (measured: 357 to 163 messages a second), so every
# execution is planned for its values. A server left at its defaults prices a look-up down an index as on
# a turning disk and compiles statements of a millisecond: whatever its configuration, plans are ours.
_SERVER_OPTIONS = "-c plan_cache_mode=force_custom_plan -c random_page_cost=1.1 -c jit=off -c timezone=UTC"
# Searches say in their text what their plan depends on; planning them anew costs a quarter of PostgreSQL's
# share. A plan made on an empty table stays right, since it may not read tables from end to end.
_READER_OPTIONS = (
    " -c default_transaction_read_only=on -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
)
# Where a connection keeps the cipher of what is stored by it (`hie.core.crypto.text_cipher`).
CIPHER: Final = "_text_cipher"


class Connected(Protocol):
    """A transaction, as far as statements need one."""

    @property
    def connection(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """Its connection."""
        ...


class Recorder(Protocol):
    """Records in the audit trail what transactions do (`hie.core.audit.commits`)."""

    def insertion(
        self, transaction: "Transaction", steps: Sequence[Step]
    ) -> tuple[LiteralString, tuple[object, ...]]:
        """Return the INSERT that records `steps`, and its parameters, for a statement of `transaction`."""
        ...

    def before_commit(self, transaction: "Transaction") -> None:
        """Record what `transaction` did and is not recorded yet."""
        ...


class Transaction:
    """One transaction: raw SQL by `connection`, SQLModel by `session`, on behalf of `requester`."""

    def __init__(self, engine: Engine, pooled: PoolProxiedConnection, requester: Requester = SYSTEM) -> None:
        """Take the connection of the pool of `engine` that it runs on, and who asks for it."""
        self._engine = engine
        self._pooled = pooled
        self.requester = requester
        self.is_last = False
        self.connection = cast("psycopg.Connection[tuple[Any, ...]]", pooled.driver_connection)
        self.trail = CURRENT.get()
        """The audit trail of the request that it works for, if it works for one."""
        self.steps: list[Step] = []
        self.records: list[Record] = []
        self.recorder: Recorder | None = None
        self.recorded = 0
        """How many of its statements recorded what they changed."""
        self.has_written = False
        """Whether it wrote resources, which may yet be rolled back."""

    def retire(self) -> None:
        """Have the connection closed behind this transaction, and not used again.

        libpq keeps the buffer of the longest message that a connection ever sent: after a statement of tens
        of megabytes that is more than all else it holds. Connecting takes some milliseconds.
        """
        self.is_last = True

    @cached_property
    def session(self) -> Session:
        """The SQLModel session of this transaction; flushed when it ends."""
        # Made only where it is used: SQLAlchemy's own transaction costs 50 µs, the raw connection 10.
        bound = SQLAlchemyConnection(self._engine, connection=self._pooled)
        bound.begin()
        return Session(bind=bound, autoflush=True, expire_on_commit=False)

    def saw(self, resources: Iterable[tuple[str, str]]) -> None:
        """Note that resources, by type and id, are shown to the requester."""
        if self.trail is not None:
            self.trail.seen.extend(resources)

    def note(self, step: Step) -> None:
        """Note an interaction; one that changes something is recorded by this transaction."""
        self.steps.append(step)

    def record(self, record: Record) -> None:
        """Add `record` to the audit trail if, and only if, this transaction is committed."""
        self.records.append(record)

    def _flush(self) -> None:
        if "session" in self.__dict__:
            self.session.flush()


class Database:
    """Two pools of connections to one PostgreSQL database: one for transactions, one for reading."""

    def __init__(self, engine: Engine, readers: Engine) -> None:
        """Take the engines; `from_url` makes them."""
        self.engine = engine
        self._readers = readers
        self.recorder: Recorder | None = None
        """What records transactions, where there is an audit trail."""
        self.cipher: TextCipher | None = None
        """What seals and opens stored texts; None: they are stored as they are."""

    @classmethod
    def from_url(cls, url: str, *, pool_size: int = 4, statement_timeout_seconds: float = 30.0) -> Self:
        """Return a database at `url` (``postgresql://...``), not yet connected; each pool has `pool_size`."""
        options = f"{_SERVER_OPTIONS} -c statement_timeout={int(statement_timeout_seconds * 1000)}"
        return cls(
            _engine(url, pool_size, options=options),
            _engine(url, pool_size, options=options + _READER_OPTIONS, autocommit=True),
        )

    @contextmanager
    def transaction(self, *, requester: Requester = SYSTEM) -> Iterator[Transaction]:
        """Open a transaction for `requester`; commit it on a clean exit, roll it back on an exception.

        Raises UnavailableError when the server does not answer. A constraint
        that fails at COMMIT raises psycopg's error here, before the caller can answer anyone.
        """
        with _work(self.engine, requester, self.cipher) as transaction:
            transaction.recorder = self.recorder
            yield transaction
            transaction._flush()  # noqa: SLF001 - the two classes are one thing
            if self.recorder is not None:
                self.recorder.before_commit(transaction)
            transaction.connection.commit()

    @contextmanager
    def reading(self, *, requester: Requester = SYSTEM) -> Iterator[Transaction]:
        """Open what `requester` reads by: each statement is a transaction of its own and may not write.

        Under READ COMMITTED a statement has its own snapshot in any case; without BEGIN and COMMIT a
        read of one resource costs 83 µs in place of 134. Raises UnavailableError when the server does
        not answer, and psycopg's ReadOnlySqlTransaction for a statement that writes.
        """
        with _work(self._readers, requester, self.cipher) as transaction:
            yield transaction
            if transaction.trail is not None:
                transaction.trail.steps += transaction.steps

    def close(self) -> None:
        """Close every connection of the pools."""
        self.engine.dispose()
        self._readers.dispose()

    def __enter__(self) -> Self:
        """Return the database itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pools."""
        self.close()


def _engine(url: str, pool_size: int, **connect_args: object) -> Engine:
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=False,
        connect_args={"prepare_threshold": 2, **connect_args},
    )


@contextmanager
def _work(engine: Engine, requester: Requester, cipher: "TextCipher | None") -> Iterator[Transaction]:
    """Take a connection of `engine`; what is not committed is rolled back on an exception."""
    try:
        pooled = engine.raw_connection()
    except (psycopg.OperationalError, OperationalError, PoolTimeoutError) as error:
        raise UnavailableError("The database does not answer") from error
    transaction = Transaction(engine, pooled, requester)
    vars(transaction.connection)[CIPHER] = cipher
    try:
        yield transaction
    except (psycopg.OperationalError, OperationalError) as error:
        raise _lost(pooled, error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _lost(pooled, error) from error
        pooled.rollback()
        # raw SQL raises psycopg's errors; the session must raise the same
        raise (error.orig or error) from error
    except BaseException:
        pooled.rollback()
        raise
    finally:
        if transaction.is_last and pooled.is_valid:
            pooled.invalidate()
        pooled.close()


def _lost(pooled: PoolProxiedConnection, error: Exception) -> UnavailableError:
    """Drop the connection; return the error that says whether it was broken."""
    connection = pooled.driver_connection
    is_broken = connection is None or connection.closed
    pooled.invalidate(error)
    kind = ConnectionLostError if is_broken else UnavailableError
    return kind("The database ended the transaction")
