"""Which versions the index of words may lack.

A write leaves nothing here: its version has a number (`resource_seq`) that lies in the open range. The
worker moves the beginning of that range behind what is settled, in ranges that can be indexed side by
side, and removes each with the transaction that indexes its versions.
"""

from sqlalchemy import DDL, BigInteger, CheckConstraint, Column, PrimaryKeyConstraint, Table
from sqlalchemy.event import listen
from sqlmodel import SQLModel

full_text_range = Table(
    "full_text_range",
    SQLModel.metadata,
    Column("above", BigInteger, nullable=False, autoincrement=False),
    Column("last", BigInteger, comment="null: all there will be"),
    CheckConstraint("last > above", name="full_text_range_order"),
    PrimaryKeyConstraint("above", name="full_text_range_pkey"),
    comment="values of resource_seq, above < seq <= last, whose current versions may lack their words",
)
listen(full_text_range, "after_create", DDL("INSERT INTO full_text_range (above) VALUES (0)"))  # type: ignore[no-untyped-call] # SQLAlchemy has no hints for it
