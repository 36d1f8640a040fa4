"""The tables of identities outside: attempts to sign in, whose account an identity is, codes to link one.

Secrets stand here as digests. Not here: statements.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, ForeignKey, Index, LargeBinary
from sqlmodel import Field, SQLModel


def _moment() -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=False)


def _account(*, is_optional: bool = False) -> Column[UUID]:
    return Column(ForeignKey("identity_account.id", ondelete="CASCADE"), nullable=is_optional)


class OutsideAttempt(SQLModel, table=True):
    """One way to a provider and back, named by its `state`; deleted by its use.

    It is the browser's that has the cookie of `browser`. With `account_id` it links that account.
    """

    __tablename__ = "identity_outside_attempt"
    __table_args__ = (Index("identity_outside_attempt_expires", "expires_at"),)

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    provider: str
    browser: bytes
    nonce: str
    verifier: str
    back: str
    account_id: UUID | None = Field(default=None, sa_column=_account(is_optional=True))
    expires_at: datetime = Field(sa_column=_moment())


class OutsideBinding(SQLModel, table=True):
    """Whose account the person `subject` of a provider is, and how that was found.

    `proof` is "claim", "account", "card-desk" or "staff".
    """

    __tablename__ = "identity_outside_binding"
    __table_args__ = (Index("identity_outside_binding_account", "account_id"),)

    provider: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    account_id: UUID = Field(sa_column=_account())
    proof: str
    bound_at: datetime = Field(sa_column=_moment())


class OutsideCode(SQLModel, table=True):
    """A person of a provider who is nobody's account yet; the code is shown to a card desk, once.

    With `proven` the person may also type the number whose digest the provider vouched for.
    """

    __tablename__ = "identity_outside_code"
    __table_args__ = (Index("identity_outside_code_expires", "expires_at"),)

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    provider: str
    subject: str
    browser: bytes
    proven: str = ""
    failures: int = 0
    expires_at: datetime = Field(sa_column=_moment())
