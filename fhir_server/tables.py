"""The tables of the repository: resources, their superseded versions, and typed index rows.

A resource is one row whose `body` is its JSON text as the client gave it, with
meta.versionId and meta.lastUpdated already in it, so that a read is a copy of bytes;
or the envelope of that text (`fhir_server.store.bodies`).
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
from sqlalchemy.dialects.postgresql import TSVECTOR
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
    Column(
        "method",
        SmallInteger,
        nullable=False,
        comment="what made this version: 1 POST, 2 PUT, 3 DELETE, 4 PATCH",
    ),
    Column("is_deleted", Boolean, nullable=False),
    Column("last_updated", DateTime(timezone=True), nullable=False),
    Column(
        "digest",
        LargeBinary,
        nullable=False,
        comment="16 bytes of blake2b over the content without meta.versionId and meta.lastUpdated;"
        " where encryption is on 17, keyed",
    ),
    Column("body", LargeBinary, comment="JSON text, or its envelope; null when deleted"),
    UniqueConstraint("type", "id", name="resource_type_id"),
    postgresql_with={"fillfactor": 90},
)
Index("resource_type_seq", resource.c.type, resource.c.seq.desc())
Index("resource_key_hash", resource.c.key_hash)
Index("resource_type_last_updated", resource.c.type, resource.c.last_updated)

resource_history = Table(
    "resource_history",
    _METADATA,
    Column("rid", BigInteger, nullable=False),
    Column("type", SmallInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("method", SmallInteger, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("last_updated", DateTime(timezone=True), nullable=False),
    Column("body", LargeBinary, comment="JSON text, or its envelope"),
    PrimaryKeyConstraint("rid", "version", name="resource_history_pkey"),
    comment="superseded versions only",
)
Index("resource_history_seq", resource_history.c.seq.desc())
Index("resource_history_type_seq", resource_history.c.type, resource_history.c.seq.desc())
# Versions are appended in the order of time, which is what a block range index needs.
Index("resource_history_last_updated", resource_history.c.last_updated, postgresql_using="brin")


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
    Column("code", Text(collation="C"), comment="the code as written, cut; what `_sort` goes by"),
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
    Column(
        "sort_key", Text(collation="C"), comment="the pinyin of a text with ideographs; null: sorted by norm"
    ),
)
# The collation "C" makes this index serve LIKE 'prefix%' without text_pattern_ops.
Index(
    "ix_string_norm",
    ix_string.c.param,
    ix_string.c.norm,
    ix_string.c.seq.desc(),
    postgresql_include=["rid"],
)

ix_date = _index_table(
    "ix_date",
    Column("lo", DateTime(timezone=True), nullable=False),
    Column("hi", DateTime(timezone=True), nullable=False),
)
# Indexes of ranges hold rid and seq, so that collecting what lies in a range reads no table.
Index(
    "ix_date_lo",
    ix_date.c.param,
    ix_date.c.lo,
    ix_date.c.hi,
    ix_date.c.rid,
    postgresql_include=["seq"],
)
Index(
    "ix_date_hi",
    ix_date.c.param,
    ix_date.c.hi,
    ix_date.c.lo,
    ix_date.c.rid,
    postgresql_include=["seq"],
)

ix_number = _index_table(
    "ix_number",
    Column("lo", Numeric, nullable=False),
    Column("hi", Numeric, nullable=False),
)
Index(
    "ix_number_lo",
    ix_number.c.param,
    ix_number.c.lo,
    ix_number.c.hi,
    postgresql_include=["rid", "seq"],
)
# The few that are spans and not points have to be found by both ends.
Index(
    "ix_number_hi",
    ix_number.c.param,
    ix_number.c.hi,
    postgresql_include=["lo", "rid", "seq"],
    postgresql_where=ix_number.c.lo != ix_number.c.hi,
)

ix_quantity = _index_table(
    "ix_quantity",
    Column("lo", Numeric, nullable=False),
    Column("hi", Numeric, nullable=False),
    Column("system_hash", Integer, nullable=False),
    Column("code_hash", BigInteger, nullable=False, comment="the code of the unit"),
    Column("unit_hash", BigInteger, nullable=False, comment="the unit as people write it"),
    Column("canonical_hash", BigInteger, comment="the canonical unit of a UCUM unit"),
    Column("canonical_lo", Numeric),
    Column("canonical_hi", Numeric),
)
Index(
    "ix_quantity_lo",
    ix_quantity.c.param,
    ix_quantity.c.lo,
    ix_quantity.c.hi,
    postgresql_include=["rid", "seq"],
)
Index(
    "ix_quantity_hi",
    ix_quantity.c.param,
    ix_quantity.c.hi,
    postgresql_include=["lo", "rid", "seq"],
    postgresql_where=ix_quantity.c.lo != ix_quantity.c.hi,
)
Index(
    "ix_quantity_canonical_hi",
    ix_quantity.c.param,
    ix_quantity.c.canonical_hash,
    ix_quantity.c.canonical_hi,
    postgresql_include=["canonical_lo", "rid", "seq"],
    postgresql_where=ix_quantity.c.canonical_lo != ix_quantity.c.canonical_hi,
)
Index(
    "ix_quantity_canonical",
    ix_quantity.c.param,
    ix_quantity.c.canonical_hash,
    ix_quantity.c.canonical_lo,
    ix_quantity.c.canonical_hi,
    postgresql_include=["rid", "seq"],
    postgresql_where=ix_quantity.c.canonical_hash.is_not(None),
)

ix_uri = _index_table(
    "ix_uri",
    Column("uri_hash", BigInteger, nullable=False),
    Column("uri", Text(collation="C"), nullable=False),
)
Index("ix_uri_hash", ix_uri.c.param, ix_uri.c.uri_hash, ix_uri.c.seq.desc())

# One row for each combination of values inside one element (https://hl7.org/fhir/R4/search.html#composite).
# `key_hash` stands for all components that are compared by equality, so that its index is newest first.
ix_composite = _index_table(
    "ix_composite",
    Column("key_hash", BigInteger, nullable=False),
    Column("first_hash", BigInteger, nullable=False, comment="the first component that is a hash"),
    Column("first_system", Integer, nullable=False),
    Column("second_hash", BigInteger, comment="code, target or uri; of a quantity the code of its unit"),
    Column("second_system", Integer),
    Column("unit_hash", BigInteger),
    Column("lo", Numeric, comment="number, quantity, or microseconds since 1970"),
    Column("hi", Numeric),
    Column("canonical_hash", BigInteger),
    Column("canonical_lo", Numeric),
    Column("canonical_hi", Numeric),
    Column("norm", Text(collation="C")),
    Column("third_hash", BigInteger),
    Column("third_system", Integer),
    Column("third_lo", Numeric),
    Column("third_hi", Numeric),
)
Index(
    "ix_composite_key",
    ix_composite.c.param,
    ix_composite.c.key_hash,
    ix_composite.c.seq.desc(),
    postgresql_include=["rid"],
)
Index(
    "ix_composite_lo",
    ix_composite.c.param,
    ix_composite.c.key_hash,
    ix_composite.c.lo,
    ix_composite.c.hi,
    postgresql_include=["rid", "seq", "first_system"],
    postgresql_where=ix_composite.c.lo.is_not(None),
)
Index(
    "ix_composite_hi",
    ix_composite.c.param,
    ix_composite.c.key_hash,
    ix_composite.c.hi,
    postgresql_include=["lo", "rid", "seq", "first_system"],
    postgresql_where=ix_composite.c.lo != ix_composite.c.hi,
)
Index(
    "ix_composite_canonical_hi",
    ix_composite.c.param,
    ix_composite.c.key_hash,
    ix_composite.c.canonical_hash,
    ix_composite.c.canonical_hi,
    postgresql_include=["canonical_lo", "rid", "seq", "first_system"],
    postgresql_where=ix_composite.c.canonical_lo != ix_composite.c.canonical_hi,
)
Index(
    "ix_composite_canonical",
    ix_composite.c.param,
    ix_composite.c.key_hash,
    ix_composite.c.canonical_hash,
    ix_composite.c.canonical_lo,
    ix_composite.c.canonical_hi,
    postgresql_include=["rid", "seq", "first_system"],
    postgresql_where=ix_composite.c.canonical_hash.is_not(None),
)
Index(
    "ix_composite_norm",
    ix_composite.c.param,
    ix_composite.c.key_hash,
    ix_composite.c.norm,
    postgresql_where=ix_composite.c.norm.is_not(None),
)

# Behind the others: the worker writes it (`fhir_server.full_text`), where full text is on.
ix_text = _index_table("ix_text", Column("words", TSVECTOR, nullable=False))
# The list of pending entries (kB) makes a row cost 42 microseconds and not 100, and no writer cleans it up;
# every search reads it, so it is short.
Index(
    "ix_text_words", ix_text.c.words, postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 512}
)

INDEX_TABLES: Final[tuple[Table, ...]] = (
    ix_token,
    ix_reference,
    ix_string,
    ix_date,
    ix_number,
    ix_quantity,
    ix_uri,
    ix_composite,
    ix_text,
)

# What contained resources there are; their values stand in the index tables (`fhir_server.index.contained`).
contained = Table(
    "contained",
    _METADATA,
    Column(
        "rid",
        BigInteger,
        nullable=False,
        comment="its rid and seq in the index tables, of negative param",
    ),
    Column("container", BigInteger, nullable=False, comment="resource.rid"),
    Column("container_type", SmallInteger, nullable=False),
    Column("type", SmallInteger, nullable=False),
    Column("id", Text(collation="C")),
    Column(
        "key_hash",
        BigInteger,
        nullable=False,
        comment='hash64 of "#id", which references of its container carry',
    ),
)
# Not unique: rows that take the place of their like are written by one statement, in no order.
Index("contained_rid", contained.c.rid)
Index("contained_container", contained.c.container)
Index("contained_type", contained.c.type, contained.c.container_type, contained.c.rid)

# Which definitions of SearchParameter resources the whole index holds; one that is not here waits for
# `$reindex` (https://hl7.org/fhir/R4/searchparameter.html).
active_search_parameter = Table(
    "active_search_parameter",
    _METADATA,
    Column("resource_type", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("digest", Text, nullable=False, comment="of type, expression, targets and components"),
    PrimaryKeyConstraint("resource_type", "code", name="active_search_parameter_pkey"),
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
    (
        ix_composite,
        "CREATE STATISTICS ix_composite_param_key (mcv, ndistinct) ON param, key_hash FROM ix_composite",
    ),
):
    listen(_table, "after_create", DDL(_statistics))  # type: ignore[no-untyped-call] # SQLAlchemy has no hints for it
