"""Alembic's environment: it runs inside the open transaction of a given connection."""

from alembic import context

from elks_mcp.store.db.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
