"""The tables of the repository: resources, their superseded versions, and typed index rows.

A resource is one row whose `body` is its JSON text as the client gave it, with
meta.versionId and meta.lastUpdated already in it, so that a read is a copy of bytes.
What a search asks for stands in narrow, integer-keyed index tables whose indexes end
in `seq`, newest first, so that a page is the first rows of an index.

`type` is 1 + the position in `R4_RESOURCE_TYPES`; `param` and the hashes are those of
`fhir_server.index.hashing`. Not here: statements (`fhir_server.store`, `fhir_server.search`).
"""

from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.event import listen
from sqlalchemy.schema import SchemaItem
from sqlmodel import SQLModel

_METADATA = SQLModel.metadata

# One value for each version of any resource: the order of results, cursors and snapshots.
# Its order is the order of assignment, not of commit. No cache: a session that held values
# back would give a later version of a resource a smaller one.
resource_seq = Sequence("resource_seq", data_type=BigInteger, metadata=_METADATA)

resource = Table(
    "resource",
    _METADATA,
    Column("rid", BigInteger, primary_key=True, autoincrement=False, comment="the seq of the first version"),
    Column("type", SmallInteger, nullable=False),
    Column("id", Text(collation="C"), nullable=False),
    Column("key_hash", BigInteger, nullable=False, comment='hash64 of "Type/id", which references carry'),
    Column("version", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("method", SmallInteger, nullable=False, comment="what made this version: 1 POST, 2 PUT, 3 DELETE"),
    Column("is_deleted", Boolean, nullable=False),
    Column("last_updated", DateTime(timezone=True), nullable=False),
    Column(
        "digest",
        LargeBinary,
        nullable=False,
        comment="16 bytes of blake2b over the content without meta.versionId and meta.lastUpdated",
    ),
    Column("body", Text, comment="null when deleted"),
    UniqueConstraint("type", "id", name="resource_type_id"),
    postgresql_with={"fillfactor": 90},
)
Index("resource_type_seq", resource.c.type, resource.c.seq.desc())
Index("resource_key_hash", resource.c.key_hash)

resource_history = Table(
    "resource_history",
    _METADATA,
    Column("rid", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("method", SmallInteger, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("last_updated", DateTime(timezone=True), nullable=False),
    Column("body", Text),
    PrimaryKeyConstraint("rid", "version", name="resource_history_pkey"),
    comment="superseded versions only",
)
Index("resource_history_seq", resource_history.c.seq.desc())


def _index_table(name: str, *columns: SchemaItem) -> Table:
    table = Table(
        name,
        _METADATA,
        Column("param", Integer, nullable=False),
        *columns,
        Column("rid", BigInteger, nullable=False),
        Column("seq", BigInteger, nullable=False),
    )
    Index(f"{name}_rid", table.c.rid)
    return table


ix_token = _index_table(
    "ix_token",
    Column("code_hash", BigInteger, nullable=False),
    Column("system_hash", Integer, nullable=False),
)
Index(
    "ix_token_code",
    ix_token.c.param,
    ix_token.c.code_hash,
    ix_token.c.seq.desc(),
    postgresql_include=["system_hash", "rid"],
)

ix_reference = _index_table(
    "ix_reference",
    Column("target_hash", BigInteger, nullable=False, comment='hash64 of "Type/id" or of the absolute URL'),
    Column("target_type", SmallInteger),
)
Index(
    "ix_reference_target",
    ix_reference.c.param,
    ix_reference.c.target_hash,
    ix_reference.c.seq.desc(),
    postgresql_include=["rid"],
)

ix_string = _index_table(
    "ix_string",
    Column("norm", Text(collation="C"), nullable=False),
    Column("exact", Text(collation="C"), nullable=False),
)
# The collation "C" makes this index serve LIKE 'prefix%' without text_pattern_ops.
Index("ix_string_norm", ix_string.c.param, ix_string.c.norm, ix_string.c.seq.desc())

ix_date = _index_table(
    "ix_date",
    Column("lo", DateTime(timezone=True), nullable=False),
    Column("hi", DateTime(timezone=True), nullable=False),
)
Index("ix_date_lo", ix_date.c.param, ix_date.c.lo, ix_date.c.hi, ix_date.c.rid)
Index("ix_date_hi", ix_date.c.param, ix_date.c.hi, ix_date.c.lo, ix_date.c.rid)

ix_number = _index_table(
    "ix_number",
    Column("lo", Numeric, nullable=False),
    Column("hi", Numeric, nullable=False),
)
Index("ix_number_lo", ix_number.c.param, ix_number.c.lo, ix_number.c.hi)

ix_quantity = _index_table(
    "ix_quantity",
    Column("lo", Numeric, nullable=False),
    Column("hi", Numeric, nullable=False),
    Column("system_hash", Integer, nullable=False),
    Column("code_hash", BigInteger, nullable=False, comment="the code of the unit"),
    Column("unit_hash", BigInteger, nullable=False, comment="the unit as people write it"),
)
Index("ix_quantity_lo", ix_quantity.c.param, ix_quantity.c.lo, ix_quantity.c.hi)

ix_uri = _index_table(
    "ix_uri",
    Column("uri_hash", BigInteger, nullable=False),
    Column("uri", Text(collation="C"), nullable=False),
)
Index("ix_uri_hash", ix_uri.c.param, ix_uri.c.uri_hash, ix_uri.c.seq.desc())

INDEX_TABLES: Final[tuple[Table, ...]] = (
    ix_token,
    ix_reference,
    ix_string,
    ix_date,
    ix_number,
    ix_quantity,
    ix_uri,
)

# Without them the planner takes the frequency of a code to be independent of its parameter.
for _table, _statistics in (
    (ix_token, "CREATE STATISTICS ix_token_param_code (mcv, ndistinct) ON param, code_hash FROM ix_token"),
    (
        ix_reference,
        (
            "CREATE STATISTICS ix_reference_param_target (mcv, ndistinct)"
            " ON param, target_hash FROM ix_reference"
        ),
    ),
):
    listen(_table, "after_create", DDL(_statistics))  # type: ignore[no-untyped-call] # SQLAlchemy has no hints for it
