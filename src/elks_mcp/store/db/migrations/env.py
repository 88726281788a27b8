"""Alembic's environment: it runs on a given connection, inside that connection's open transaction."""

from alembic import context

from elks_mcp.store.db.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
