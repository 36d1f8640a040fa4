"""Connections and transactions, for hot SQL and for SQLModel alike.

One pool, one transaction: `Transaction.connection` is the psycopg connection
(raw SQL), `Transaction.session` a SQLModel session on the same connection.
Only whoever opened `Database.transaction()` commits, by leaving it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import Any, Self, cast

import psycopg
from sqlalchemy import Connection as SQLAlchemyConnection
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import Session

from hie.core.errors import UnavailableError

# A plan made while a table was empty and then kept halves the throughput once
# the table has grown (measured: 357 to 163 messages a second), so every
# execution is planned for its values.
_SERVER_OPTIONS = "-c plan_cache_mode=force_custom_plan -c timezone=UTC"


class Transaction:
    """One transaction: raw SQL by `connection`, SQLModel by `session`."""

    def __init__(self, bound: SQLAlchemyConnection) -> None:
        """Take the open SQLAlchemy connection that the transaction runs on."""
        self._bound = bound
        self.connection = cast("psycopg.Connection[tuple[Any, ...]]", bound.connection.driver_connection)

    @cached_property
    def session(self) -> Session:
        """The SQLModel session of this transaction; flushed when it ends."""
        return Session(bind=self._bound, autoflush=True, expire_on_commit=False)

    def _flush(self) -> None:
        if "session" in self.__dict__:
            self.session.flush()


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(self, engine: Engine) -> None:
        """Take the engine; `from_url` makes it."""
        self.engine = engine

    @classmethod
    def from_url(cls, url: str, *, pool_size: int = 4, statement_timeout_seconds: float = 30.0) -> Self:
        """Return a database at `url` (``postgresql://...``), not yet connected."""
        target = make_url(url).set(drivername="postgresql+psycopg")
        timeout = f" -c statement_timeout={int(statement_timeout_seconds * 1000)}"
        engine = create_engine(
            target,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            pool_pre_ping=False,
            connect_args={"options": _SERVER_OPTIONS + timeout, "prepare_threshold": 2},
        )
        return cls(engine)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction; commit it on a clean exit, roll it back on an exception.

        Raises UnavailableError when the server does not answer. A constraint
        that fails at COMMIT raises psycopg's error here, before the caller can answer anyone.
        """
        try:
            bound = self.engine.connect()
        except (OperationalError, TimeoutError) as error:
            raise UnavailableError("The database does not answer") from error
        with bound:
            bound.begin()
            transaction = Transaction(bound)
            try:
                yield transaction
                transaction._flush()  # noqa: SLF001 - the two classes are one thing
                bound.commit()
            except (psycopg.OperationalError, OperationalError) as error:
                bound.invalidate(error)
                raise UnavailableError("The database ended the transaction") from error
            except DBAPIError as error:
                bound.rollback()
                if error.connection_invalidated:
                    raise UnavailableError("The database ended the transaction") from error
                # raw SQL raises psycopg's errors; the commit and the session must raise the same
                raise (error.orig or error) from error
            except BaseException:
                bound.rollback()
                raise

    def close(self) -> None:
        """Close every connection of the pool."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        """Return the database itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool."""
        self.close()
