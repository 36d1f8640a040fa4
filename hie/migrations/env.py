"""Alembic's entry: runs the revisions on the connection that `hie.migrations` hands over."""

from alembic import context

from hie import wiring

context.configure(connection=context.config.attributes["connection"], target_metadata=wiring.schema())
context.run_migrations()
