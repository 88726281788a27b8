"""What the servers remember: a folder with a SQLite file, or a database of a PostgreSQL of our own."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psycopg
from tests.postgres import new_database, running_postgres

from crash.plan import Plan

_ORDERS = "SELECT id, state, attempts FROM orders"
UNFINISHED = frozenset({"waiting", "queued", "sending", "in doubt"})


class Order(NamedTuple):
    """A row, as far as it is judged."""

    id: str
    state: str
    attempts: int


@dataclass(frozen=True, slots=True)
class State:
    """Where it is."""

    folder: Path
    url: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """Say where it is, as a server is told."""
        where = {"ELKS_STATE_DIR": str(self.folder / "state")}
        return where | (
            {"ELKS_DATABASE_URL": self.url, "ELKS_SECRET_KEY": "crash test " * 4} if self.url else {}
        )

    def read(self) -> list[Order]:
        """Read all orders there are."""
        if self.url:
            with psycopg.connect(self.url) as connection:
                return [Order(*row) for row in connection.execute(_ORDERS)]
        with closing(self._open()) as file:
            return [Order(*row) for row in file.execute(_ORDERS)]

    def check(self) -> str:
        """Let SQLite say whether its file is whole."""
        if self.url:
            return "ok"
        with closing(self._open()) as file:
            found: str = file.execute("PRAGMA integrity_check").fetchone()[0]
            return found

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / "state" / "outbox.sqlite3", timeout=30)


@contextmanager
def open_state(plan: Plan, folder: Path) -> Iterator[State]:
    """Make an empty one."""
    if plan.database == "sqlite":
        yield State(folder)
        return
    with running_postgres() as url:
        yield State(folder, new_database(url))
