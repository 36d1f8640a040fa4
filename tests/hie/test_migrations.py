"""The migrations make exactly the schema that the tables of the code describe."""

import re

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from hie import wiring
from hie.migrations import upgrade

CATALOGUE = """
SELECT 'column', c.table_name, c.column_name,
    concat_ws(' ', c.data_type, c.is_nullable, c.column_default, c.collation_name)
FROM information_schema.columns c WHERE c.table_schema = 'public'
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'sequence', sequencename, '', data_type::text FROM pg_sequences WHERE schemaname = 'public'
UNION ALL SELECT 'statistics', stxrelid::regclass::text, stxname, pg_get_statisticsobjdef(oid)
FROM pg_statistic_ext WHERE stxnamespace = 'public'::regnamespace
UNION ALL SELECT 'options', relname, '', reloptions::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL
ORDER BY 1, 2, 3
"""


def _catalogue(connection: Connection) -> list[tuple[str, ...]]:
    return [
        tuple(map(str, row)) for row in connection.execute(text(CATALOGUE)) if row[1] != "alembic_version"
    ]


def test_migrated_database_is_the_schema_of_the_code(database_url: str, server_url: str) -> None:
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    made = make_url(database_url).database + "_made"  # type: ignore[operator] # the fixture names a database
    with psycopg.connect(server_url, autocommit=True) as maintenance:
        maintenance.execute(f'CREATE DATABASE "{made}"')
        plain = create_engine(make_url(database_url).set(drivername="postgresql+psycopg", database=made))
        try:
            wiring.schema().create_all(plain)
            with engine.connect() as migrated, plain.connect() as created:
                assert compare_metadata(MigrationContext.configure(migrated), wiring.schema()) == []
                assert _catalogue(migrated) == _catalogue(created)
        finally:
            plain.dispose()
            engine.dispose()
            maintenance.execute(f'DROP DATABASE "{made}" WITH (FORCE)')


def test_migrating_again_changes_nothing(database_url: str) -> None:
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        before = _catalogue(connection)
    assert re.fullmatch(r"\d{4}", upgrade(database_url))
    with engine.connect() as connection:
        assert _catalogue(connection) == before
    engine.dispose()
