"""Search: composites, canonical units, sort keys, full text, SearchParameter resources; history by type."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply the change."""
    _history()
    _columns()
    _composite()
    _text()
    _ranges()
    op.create_table(
        "active_search_parameter",
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, comment="of type, expression, targets and components"),
        sa.PrimaryKeyConstraint("resource_type", "code", name="active_search_parameter_pkey"),
    )


def _history() -> None:
    op.create_index("resource_type_last_updated", "resource", ["type", "last_updated"], unique=False)
    op.alter_column(
        "resource",
        "method",
        existing_type=sa.SmallInteger(),
        existing_nullable=False,
        existing_comment="what made this version: 1 POST, 2 PUT, 3 DELETE",
        comment="what made this version: 1 POST, 2 PUT, 3 DELETE, 4 PATCH",
    )
    op.add_column("resource_history", sa.Column("type", sa.SmallInteger(), nullable=True))
    op.execute("UPDATE resource_history h SET type = r.type FROM resource r WHERE r.rid = h.rid")
    op.alter_column("resource_history", "type", existing_type=sa.SmallInteger(), nullable=False)
    op.create_index(
        "resource_history_type_seq",
        "resource_history",
        ["type", sa.literal_column("seq DESC")],
        unique=False,
    )
    op.create_index(
        "resource_history_last_updated",
        "resource_history",
        ["last_updated"],
        unique=False,
        postgresql_using="brin",
    )


def _columns() -> None:
    op.add_column(
        "ix_token",
        sa.Column(
            "code",
            sa.Text(collation="C"),
            nullable=True,
            comment="the code as written, cut; what `_sort` goes by",
        ),
    )
    op.add_column(
        "ix_string",
        sa.Column(
            "sort_key",
            sa.Text(collation="C"),
            nullable=True,
            comment="the pinyin of a text with ideographs; null: sorted by norm",
        ),
    )
    op.add_column(
        "ix_quantity",
        sa.Column(
            "canonical_hash", sa.BigInteger(), nullable=True, comment="the canonical unit of a UCUM unit"
        ),
    )
    op.add_column("ix_quantity", sa.Column("canonical_lo", sa.Numeric(), nullable=True))
    op.add_column("ix_quantity", sa.Column("canonical_hi", sa.Numeric(), nullable=True))
    op.create_index(
        "ix_quantity_canonical",
        "ix_quantity",
        ["param", "canonical_hash", "canonical_lo", "canonical_hi"],
        unique=False,
        postgresql_include=["rid", "seq"],
        postgresql_where=sa.text("canonical_hash IS NOT NULL"),
    )

    for table, name, columns, low in (
        ("ix_number", "hi", ["hi"], "lo"),
        ("ix_quantity", "hi", ["hi"], "lo"),
        ("ix_quantity", "canonical_hi", ["canonical_hash", "canonical_hi"], "canonical_lo"),
    ):
        op.create_index(
            f"{table}_{name}",
            table,
            ["param", *columns],
            unique=False,
            postgresql_include=[low, "rid", "seq"],
            postgresql_where=sa.text(f"{low} <> {name}"),
        )


def _ranges() -> None:
    """Let the indexes of ranges hold what is collected from them."""
    for table, name, columns, included in (
        ("ix_string", "norm", ["norm", sa.literal_column("seq DESC")], ["rid"]),
        ("ix_date", "lo", ["lo", "hi", "rid"], ["seq"]),
        ("ix_date", "hi", ["hi", "lo", "rid"], ["seq"]),
        ("ix_number", "lo", ["lo", "hi"], ["rid", "seq"]),
        ("ix_quantity", "lo", ["lo", "hi"], ["rid", "seq"]),
    ):
        op.drop_index(f"{table}_{name}", table_name=table)
        op.create_index(
            f"{table}_{name}", table, ["param", *columns], unique=False, postgresql_include=included
        )


def _composite() -> None:
    op.create_table(
        "ix_composite",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("key_hash", sa.BigInteger(), nullable=False),
        sa.Column(
            "first_hash", sa.BigInteger(), nullable=False, comment="the first component that is a hash"
        ),
        sa.Column("first_system", sa.Integer(), nullable=False),
        sa.Column(
            "second_hash",
            sa.BigInteger(),
            nullable=True,
            comment="code, target or uri; of a quantity the code of its unit",
        ),
        sa.Column("second_system", sa.Integer(), nullable=True),
        sa.Column("unit_hash", sa.BigInteger(), nullable=True),
        sa.Column("lo", sa.Numeric(), nullable=True, comment="number, quantity, or microseconds since 1970"),
        sa.Column("hi", sa.Numeric(), nullable=True),
        sa.Column("canonical_hash", sa.BigInteger(), nullable=True),
        sa.Column("canonical_lo", sa.Numeric(), nullable=True),
        sa.Column("canonical_hi", sa.Numeric(), nullable=True),
        sa.Column("norm", sa.Text(collation="C"), nullable=True),
        sa.Column("third_hash", sa.BigInteger(), nullable=True),
        sa.Column("third_system", sa.Integer(), nullable=True),
        sa.Column("third_lo", sa.Numeric(), nullable=True),
        sa.Column("third_hi", sa.Numeric(), nullable=True),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_composite_rid", "ix_composite", ["rid"], unique=False)
    op.create_index(
        "ix_composite_key",
        "ix_composite",
        ["param", "key_hash", sa.literal_column("seq DESC")],
        unique=False,
        postgresql_include=["rid"],
    )
    for name, columns in (
        ("lo", ["lo", "hi"]),
        ("canonical", ["canonical_hash", "canonical_lo", "canonical_hi"]),
        ("norm", ["norm"]),
        ("hi", ["hi"]),
        ("canonical_hi", ["canonical_hash", "canonical_hi"]),
    ):
        is_span = {"hi": "lo <> hi", "canonical_hi": "canonical_lo <> canonical_hi"}
        low = {"hi": ["lo"], "canonical_hi": ["canonical_lo"]}.get(name, [])
        op.create_index(
            f"ix_composite_{name}",
            "ix_composite",
            ["param", "key_hash", *columns],
            unique=False,
            postgresql_include=[] if name == "norm" else [*low, "rid", "seq", "first_system"],
            postgresql_where=sa.text(is_span.get(name, f"{columns[0]} IS NOT NULL")),
        )
    op.execute(
        "CREATE STATISTICS ix_composite_param_key (mcv, ndistinct) ON param, key_hash FROM ix_composite"
    )


def _text() -> None:
    op.create_table(
        "ix_text",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_text_rid", "ix_text", ["rid"], unique=False)
    op.create_index(
        "ix_text_words",
        "ix_text",
        ["words"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
