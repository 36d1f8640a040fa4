"""The statements of projects."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from hie.core.access import Role
from hie.core.db.database import Transaction
from hie.privacy.deidentification import Dates


class Project(NamedTuple):
    """A project as it is stored; `regions` is how far down region is told (2: city, 1: state, 0: not)."""

    id: UUID
    title: str
    reason: str
    purpose: str
    roles: tuple[Role, ...]
    k: int
    dates: Dates
    regions: int
    secret: bytes | None
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
    ended_by: str | None = None
    ended_at: datetime | None = None

    @property
    def state(self) -> str:
        """Where it stands: "proposed", "approved" or "ended"."""
        if self.ended_at is not None:
            return "ended"
        return "proposed" if self.approved_at is None else "approved"


_COLUMNS: Final = (
    "id, title, reason, purpose, roles, k, dates, regions, secret, proposed_by, proposed_at,"
    " approved_by, approved_at, ended_by, ended_at"
)
_INSERT: Final = f"""
INSERT INTO privacy_project ({_COLUMNS})
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, NULL, NULL, NULL, NULL)
"""  # noqa: S608 - names of our own
_ALL: Final = f"SELECT {_COLUMNS} FROM privacy_project ORDER BY proposed_at DESC, id LIMIT %s"  # noqa: S608 - likewise
_ONE: Final = f"SELECT {_COLUMNS} FROM privacy_project WHERE id = %s"  # noqa: S608 - likewise
_APPROVE: Final = """
UPDATE privacy_project SET approved_by = %s, approved_at = %s
WHERE id = %s AND approved_at IS NULL AND ended_at IS NULL AND proposed_by <> %s
"""
_END: Final = """
UPDATE privacy_project SET ended_by = %s, ended_at = %s, secret = NULL WHERE id = %s AND ended_at IS NULL
"""


def insert(transaction: Transaction, project: Project) -> None:
    """Store a project that is proposed."""
    given = (*project[:4], [role.value for role in project.roles], *project[5:11])
    transaction.connection.execute(_INSERT, given)


def latest(transaction: Transaction, limit: int) -> list[Project]:
    """Return at most `limit` projects, the last proposed first."""
    return [_project(row) for row in transaction.connection.execute(_ALL, (limit,))]


def find(transaction: Transaction, identity: UUID) -> Project | None:
    """Return the project, None where there is none."""
    row = transaction.connection.execute(_ONE, (identity,)).fetchone()
    return None if row is None else _project(row)


def approve(transaction: Transaction, identity: UUID, who: str, now: datetime) -> bool:
    """Approve a project that somebody else proposed and that has not ended; return whether that was done."""
    return transaction.connection.execute(_APPROVE, (who, now, identity, who)).rowcount == 1


def end(transaction: Transaction, identity: UUID, who: str, now: datetime) -> bool:
    """End a project and destroy its key; return whether that was done."""
    return transaction.connection.execute(_END, (who, now, identity)).rowcount == 1


def _project(row: Sequence[object]) -> Project:
    made = Project(*row)  # type: ignore[arg-type] # the columns in their order
    return made._replace(roles=tuple(Role(each) for each in made.roles))
