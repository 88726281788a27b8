"""The PostgreSQL that the tests run on."""

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from tests.support.postgres import new_database, postgres_database, postgres_url, running_postgres

__all__ = ["postgres_database", "postgres_url"]

OWNER = """
from tests.support.postgres import running_postgres
with running_postgres() as url:
    print(url, flush=True)
    input()
"""


def ask(url: str, question: str) -> list[str]:
    """Ask a database, and return the first column of what it answers."""
    with psycopg.connect(url) as connection:
        return [str(row[0]) for row in connection.execute(question.encode())]


def directory_of(url: str) -> Path:
    """Return the directory of the server at *url*."""
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def test_the_test_server_is_a_new_postgres_with_durable_writes(postgres_url: str) -> None:
    [version] = ask(postgres_url, "show server_version")
    assert int(version.partition(".")[0]) >= 18
    assert ask(postgres_url, "show fsync") == ask(postgres_url, "show synchronous_commit") == ["on"]
    assert ask(postgres_url, "show listen_addresses") == [""]


def test_test_databases_are_empty_and_independent(postgres_url: str, postgres_database: str) -> None:
    other = new_database(postgres_url)
    with psycopg.connect(postgres_database) as connection:
        connection.execute("create table orders (id int)")
    tables = "select tablename from pg_tables where schemaname = 'public'"
    assert (ask(postgres_database, tables), ask(other, tables)) == (["orders"], [])


@pytest.mark.usefixtures("postgres_url")  # which skips where there is none
def test_a_test_server_leaves_nothing_behind_even_if_a_test_fails() -> None:
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(psycopg.errors.DivisionByZero))
        url = stack.enter_context(running_postgres())
        ask(url, "select 1 / 0")
    with pytest.raises(psycopg.OperationalError):
        ask(url, "select 1")
    assert not directory_of(url).exists()


@pytest.mark.usefixtures("postgres_url")
def test_a_test_server_ends_when_its_owner_is_killed() -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout
        url = owner.stdout.readline().strip()
        assert ask(url, "select 1") == ["1"]
        owner.kill()
        owner.communicate(timeout=30)  # the shell, which holds the server, holds standard error too
    try:
        with pytest.raises(psycopg.OperationalError):
            ask(url, "select 1")
        assert not (directory_of(url) / "data" / "postmaster.pid").exists()
    finally:
        shutil.rmtree(directory_of(url))
