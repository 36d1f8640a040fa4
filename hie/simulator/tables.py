"""What the database remembers of the demo city."""

from datetime import date, datetime

from sqlalchemy import DateTime
from sqlmodel import Field, SQLModel


class DemoCity(SQLModel, table=True):
    """The demo city of this database: its seed, its last day and moment, and when it was complete."""

    __tablename__ = "demo_city"

    seed: int = Field(primary_key=True)
    last_day: date
    until: datetime = Field(sa_type=DateTime(timezone=True))
    filled_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
