"""Bodies of resources and the journal as envelopes."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply the change."""
    for table, comment in (
        ("resource", "JSON text, or its envelope; null when deleted"),
        ("resource_history", "JSON text, or its envelope"),
    ):
        op.alter_column(
            table,
            "body",
            type_=sa.LargeBinary(),
            comment=comment,
            postgresql_using="convert_to(body, 'UTF8')",
        )
    op.alter_column(
        "resource",
        "digest",
        comment="16 bytes of blake2b over the content without meta.versionId and meta.lastUpdated;"
        " where encryption is on 17, keyed",
    )
    op.add_column(
        "journal", sa.Column("sent_at", sa.Text(), comment="MSH-7 as written; null when unreadable")
    )
    op.add_column(
        "journal",
        sa.Column(
            "is_sealed",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="raw and details are envelopes",
        ),
    )
    op.add_column(
        "journal",
        sa.Column(
            "details", sa.LargeBinary(), comment="envelope of error and report, which quote the message"
        ),
    )
    op.alter_column("journal", "raw", comment="the bytes of the block, or their envelope")
    # 'escape' makes text of any bytes and leaves ASCII as it is; MSH-1 is the separator.
    op.execute(
        """
        UPDATE journal SET sent_at = nullif(left(split_part(head, substr(head, 4, 1), 7), 64), '')
        FROM (
            SELECT id AS of, substring(encode(substring(raw FROM 1 FOR 512), 'escape') FROM 'MSH.*') AS head
            FROM journal
        ) AS f
        WHERE f.of = journal.id AND length(head) > 4
        """
    )
