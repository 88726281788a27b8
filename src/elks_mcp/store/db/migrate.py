"""Making the tables, and bringing older ones up to date; Alembic is loaded only for the latter."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from elks_mcp.errors import Misconfigured
from elks_mcp.store.db.schema import metadata

HEAD = "0011"
"""The newest migration; a test sees that it is."""

_LOCK = 46_046
"""Any number, the same for all: who migrates a PostgreSQL holds it."""


def migrate(connection: Connection) -> None:
    """Make the tables, or run the migrations that are missing, within the open transaction.

    Of several processes, one does.

    Raises:
        Misconfigured: a newer version of this program made the tables.
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
    """Make what all migrations together make; a test compares the two."""
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Run the migrations that are missing.

    Raises:
        Misconfigured: a newer version of this program made the tables.
    """
    from alembic import command  # noqa: PLC0415  (a quarter of a second, wanted once in the life of a database)
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError:
        raise Misconfigured(
            "The database was made by a newer version of elks-mcp.", hint="Update this one."
        ) from None
