"""The table of consent rules: what `rules` makes of each stored Consent, for conditions of searches."""

from typing import Final

from sqlalchemy import Boolean, Column, DateTime, Index, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import SQLModel


def _id(name: str) -> Column[str]:
    return Column(name, Text(collation="C"), nullable=False)


def _codes(name: str) -> Column[list[str]]:
    return Column(name, ARRAY(Text(collation="C")), comment="null: any")


consent_rule: Final = Table(
    "consent_rule",
    SQLModel.metadata,
    _id("consent"),
    _id("patient"),
    Column("depth", SmallInteger, nullable=False, comment="the deepest rule that applies decides"),
    Column("is_denied", Boolean, nullable=False),
    _codes("parties"),
    _codes("purposes"),
    _codes("classes"),
    _codes("labels"),
    Column("since", DateTime(timezone=True)),
    Column("until", DateTime(timezone=True)),
    Index("consent_rule_patient", "patient", "consent"),
    Index("consent_rule_consent", "consent"),
    Index("consent_rule_parties", "parties", postgresql_using="gin"),
)
