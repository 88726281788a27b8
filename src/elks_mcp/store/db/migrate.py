"""Creating the tables, or migrating older ones. Alembic is loaded only for migrations."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from elks_mcp.errors import Misconfigured
from elks_mcp.store.db.schema import metadata

HEAD = "0021"
"""The newest migration. A test checks that."""

_LOCK = 46_046
"""The number of the advisory lock that a process holds while it migrates a PostgreSQL."""


def migrate(connection: Connection) -> None:
    """Create the tables, or run the missing migrations, within the open transaction.

    If several processes start at the same time, one of them migrates and the others wait.

    Raises:
        Misconfigured: A newer version of elks-mcp created the tables.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = _version(connection)
    if version is None:
        _create(connection)
    elif version != HEAD:
        upgrade(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def _create(connection: Connection) -> None:
    """Create the tables as all migrations together do. A test compares the two."""
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Run the missing migrations, up to and including `to`.

    Raises:
        Misconfigured: A newer version of elks-mcp created the tables.
    """
    from alembic import command  # noqa: PLC0415  (takes 250 ms, and is needed once per database)
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError:
        raise Misconfigured(
            "The database was made by a newer version of elks-mcp.",
            hint="Update elks-mcp, or restore the backup that was made before the upgrade.",
        ) from None
