"""Opening connections to SQLite and PostgreSQL, and their settings."""

import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, StaticPool

from elks_mcp.errors import Misconfigured
from elks_mcp.store.location import StateLocation
from elks_mcp.store.private_files import close_to_others, make_private_file, make_private_folder

SAFE_WAL = (3, 51, 3)
"""From this version on, processes may share a write-ahead log (sqlite.org/wal.html, "WAL-reset bug")."""

_BUSY_SECONDS = 10
_POSTGRES_LIMITS = (
    "statement_timeout=10s",
    "lock_timeout=10s",
    "idle_in_transaction_session_timeout=20s",
)
"""Time limits, in place of which the options of the URL may set others."""

_POSTGRES_OPTIONS = (
    "synchronous_commit=on",
    "default_transaction_isolation=read\\ committed",
    "application_name=elks-mcp",
    "plan_cache_mode=force_generic_plan",
    "jit=off",
)

_PLACEHOLDERS: Final = "numeric_dollar"
"""PostgreSQL's own (`$1`), which `RawCursor` needs. psycopg parses a long query with others at each run."""

_KEEPALIVE = {
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""When a silent database counts as lost: in seconds, and in ms while a query is open."""


def open_engine(location: StateLocation) -> Engine:
    """Return the engine that opens connections to a location's database.

    Raises:
        Misconfigured: Its URL cannot be read, or its driver is not installed.
    """
    if location.url:
        return _open_postgres(location.url.get_secret_value())
    if location.file:
        make_private(location.file)
    engine = create_engine(
        f"sqlite:///{location.file or ':memory:'}",
        connect_args={"isolation_level": None, "timeout": _BUSY_SECONDS, "check_same_thread": False},
        poolclass=StaticPool,  # both engines have the same connection
        paramstyle="named",  # a value that a statement has many times is then passed once
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin)
    return engine


def _open_postgres(written: str) -> Engine:
    try:
        url = make_url(written).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise Misconfigured(
            "ELKS_DATABASE_URL cannot be read.", hint="It looks like postgresql://user:password@host/name."
        ) from None
    theirs = url.query.get("options", "")
    options = [  # the last one counts
        *(f"-c {each}" for each in _POSTGRES_LIMITS),
        *([theirs] if isinstance(theirs, str) else theirs),
        *(f"-c {each}" for each in _POSTGRES_OPTIONS),
    ]
    try:
        from psycopg import RawCursor  # noqa: PLC0415  (an extra)

        args = {
            "options": " ".join(options),
            "connect_timeout": _BUSY_SECONDS,
            "cursor_factory": RawCursor,
            **_KEEPALIVE,
        }
        return create_engine(url, poolclass=NullPool, connect_args=args, paramstyle=_PLACEHOLDERS)
    except ModuleNotFoundError:
        raise Misconfigured(
            "ELKS_DATABASE_URL needs the driver for PostgreSQL.",
            hint="Install elks-mcp[postgres]. In a clone, run `uv sync --extra postgres`.",
        ) from None


def without_lock(engine: Engine, location: StateLocation) -> Engine:
    """Return an engine whose transactions read without a lock.

    On PostgreSQL, each statement is committed on its own. At this level of isolation, each statement sees
    what is committed by then, so a transaction would only add two round trips. Connections of one engine
    must not be used for the other: their mode is set once.
    """
    options = {"isolation_level": "AUTOCOMMIT"} if location.url else {"begin": "BEGIN"}
    return engine.execution_options(**options)


def make_private(file: Path) -> None:
    """Create an empty database file that only its owner may read, and restrict its logs.

    Raises:
        Misconfigured: One of the files is a link or belongs to another user.
    """
    make_private_folder(file.parent)
    make_private_file(file)
    for beside in ("-wal", "-shm", "-journal"):  # SQLite creates them with the permissions of the database
        close_to_others(Path(f"{file}{beside}"))


def _set_up_sqlite(connection: Any, _: object) -> None:
    mode = "WAL" if sqlite3.sqlite_version_info >= SAFE_WAL else "DELETE"
    cursor = connection.cursor()
    for pragma in (
        f"journal_mode={mode}",
        "synchronous=FULL",
        "secure_delete=ON",
        "foreign_keys=ON",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Start writing transactions with BEGIN IMMEDIATE, to wait for the lock at the start."""
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"))
