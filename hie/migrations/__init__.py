"""The schema's history (Alembic); `upgrade` brings a database to the newest revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

# Two processes that start together must not migrate together.
_LOCK = 2575


def upgrade(url: str) -> str:
    """Migrate the database at `url` to the newest revision, in one transaction; return that revision."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            configuration = configure(connection)
            command.upgrade(configuration, "head")
            return str(ScriptDirectory.from_config(configuration).get_current_head())
    finally:
        engine.dispose()


def configure(connection: Connection) -> Config:
    """Return Alembic's configuration for `connection`; the migrations run on it and do not commit."""
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    configuration.attributes["connection"] = connection
    return configuration
