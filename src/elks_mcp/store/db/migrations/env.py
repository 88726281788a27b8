"""How Alembic runs: over the connection it is given, inside the transaction that is open there."""

from alembic import context

from elks_mcp.store.db.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
