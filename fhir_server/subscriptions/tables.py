"""The tables of subscriptions: how each stands, the events it is told of, tokens of websockets.

The Subscription resource is the repository's; here is what the server does about it. Events of a
subscription are numbered without gap (`event_count` is the last number); `delivered` is the last one that
its endpoint has taken, so that what lies between is its queue. A subscription is worked by whoever holds
its lease: `claim` counts the holders. Not here: statements (`journal`, `queries`).
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Sequence,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from hie.core.fhir.json import JsonObject

# A new value whenever what a subscription asks for, or whether it listens, changes.
subscription_revision = Sequence("subscription_revision", data_type=BigInteger, metadata=SQLModel.metadata)


def _moment(*, is_required: bool = False) -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=not is_required)


def _number(name: str, default: int | None = 0) -> Column[int]:
    return Column(
        name, BigInteger, nullable=False, server_default=None if default is None else text(str(default))
    )


class SubscriptionRow(SQLModel, table=True):
    """One subscription as the server works it; `resource` is what a client asked for as `version`."""

    __tablename__ = "subscription"
    __table_args__ = (
        CheckConstraint("status IN ('requested', 'active', 'error', 'off')", name="subscription_status"),
        CheckConstraint("delivered BETWEEN 0 AND event_count", name="subscription_delivered"),
        Index("subscription_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("subscription_ends", "ends_at", postgresql_where=text("ends_at IS NOT NULL")),
    )

    id: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    version: int
    status: str
    channel: str
    resource: JsonObject = Field(sa_column=Column(JSONB, nullable=False))
    requester: JsonObject = Field(sa_column=Column(JSONB, nullable=False))
    revision: int = Field(sa_column=_number("revision", None))
    event_count: int = Field(default=0, sa_column=_number("event_count"))
    delivered: int = Field(default=0, sa_column=_number("delivered"))
    attempts: int = 0
    claim: int = Field(default=0, sa_column=_number("claim"))
    error: str | None = None
    activated_at: datetime | None = Field(default=None, sa_column=_moment())
    failed_at: datetime | None = Field(default=None, sa_column=_moment())
    due_at: datetime | None = Field(default=None, sa_column=_moment())
    leased_until: datetime | None = Field(default=None, sa_column=_moment())
    ends_at: datetime | None = Field(default=None, sa_column=_moment())


class SubscriptionEventRow(SQLModel, table=True):
    """One event of one subscription: the version of a resource that made it, and how it was made."""

    __tablename__ = "subscription_event"
    __table_args__ = (Index("subscription_event_occurred", "occurred_at"),)

    subscription_id: str = Field(
        sa_column=Column(
            Text(collation="C"), ForeignKey("subscription.id", ondelete="CASCADE"), primary_key=True
        )
    )
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    resource_type: str
    resource_id: str
    resource_version: int
    method: str
    occurred_at: datetime = Field(sa_column=_moment(is_required=True))


class SubscriptionTokenRow(SQLModel, table=True):
    """What a websocket may be bound to: `digest` is of the token, which is not kept."""

    __tablename__ = "subscription_token"
    __table_args__ = (Index("subscription_token_expires", "expires_at"),)

    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    subscription_ids: list[str] = Field(sa_column=Column(ARRAY(Text()), nullable=False))
    requester: JsonObject = Field(sa_column=Column(JSONB, nullable=False))
    expires_at: datetime = Field(sa_column=_moment(is_required=True))
