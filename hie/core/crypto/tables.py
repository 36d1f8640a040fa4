"""The tables of keys: key-encryption keys by name, data keys wrapped by them.

No key stands here in the clear. A data key that was destroyed leaves its row without the key, so that what it
sealed is known as destroyed and not as damaged. Not here: statements (`hie.core.crypto.queries`).
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlmodel import SQLModel

_METADATA = SQLModel.metadata

key_encryption_key: Final = Table(
    "key_encryption_key",
    _METADATA,
    Column("id", Text(collation="C"), primary_key=True, comment="as the provider knows it"),
    Column("provider", Text(collation="C"), nullable=False, comment="file, environment, ..."),
    Column("is_current", Boolean, nullable=False, comment="new data keys are wrapped by it"),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
Index(
    "key_encryption_key_current",
    key_encryption_key.c.is_current,
    unique=True,
    postgresql_where=key_encryption_key.c.is_current,
)

data_key: Final = Table(
    "data_key",
    _METADATA,
    Column("id", BigInteger, Identity(), primary_key=True, comment="what headers of envelopes name"),
    Column("scope", Text(collation="C"), nullable=False, comment="what it protects: Patient/1, system, ..."),
    Column(
        "version",
        Integer,
        nullable=False,
        comment="1, 2 ...; the newest of the suite that is not destroyed seals",
    ),
    Column("algorithm", SmallInteger, nullable=False, comment="1: AES-256-GCM, 2: SM4-GCM"),
    Column("key_encryption_key_id", Text(collation="C"), ForeignKey("key_encryption_key.id")),
    Column("wrapped", LargeBinary, comment="null once it is destroyed"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("destroyed_at", DateTime(timezone=True)),
    UniqueConstraint("scope", "version", name="data_key_scope_version"),
    CheckConstraint(
        "(wrapped IS NULL) = (destroyed_at IS NOT NULL)"
        " AND (wrapped IS NULL) = (key_encryption_key_id IS NULL)",
        name="data_key_destroyed",
    ),
)
# Rotation asks which keys the old one still wraps.
Index("data_key_key_encryption_key", data_key.c.key_encryption_key_id, data_key.c.id)
