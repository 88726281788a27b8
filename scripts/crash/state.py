"""The servers' state: a folder with a SQLite file, or a database in a PostgreSQL of our own."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, LiteralString, NamedTuple

import psycopg
from tests.support.postgres import new_database, running_postgres

from crash.plan import Plan

_LATEST_CLAIM = "SELECT max(attempted_at) FROM orders"
_BETWEEN_LOOKS = 0.002
UNFINISHED = frozenset({"waiting", "queued", "sending", "in doubt"})


class BatchOrder(NamedTuple):
    """The columns of an order that is a row of a batch."""

    batch_id: str
    row: int
    state: str
    attempts: int
    charge: int


class AlertRow(NamedTuple):
    """The columns of an alert that are judged."""

    id: str
    state: str
    ended_at: int | None
    late_at: int | None


class AttemptRow(NamedTuple):
    """One person of one step of an alert, and the order for them."""

    alert_id: str
    position: int
    at: int
    state: str | None
    tries: int | None
    charge: int | None


class Order(NamedTuple):
    """The columns of an order that are judged."""

    id: str
    state: str
    attempts: int


@dataclass(frozen=True, slots=True)
class State:
    """The location of the state."""

    folder: Path
    url: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """The variables that make a server use this state."""
        where = {"ELKS_STATE_DIR": str(self.folder / "state")}
        return where | (
            {"ELKS_DATABASE_URL": self.url, "ELKS_SECRET_KEY": "crash test " * 4} if self.url else {}
        )

    def read(self) -> list[Order]:
        """Read all orders."""
        with self._connected() as ask:
            return [Order(*row) for row in ask("SELECT id, state, attempts FROM orders")]

    def read_batches(self) -> list[BatchOrder]:
        """Read the rows of all batches."""
        with self._connected() as ask:
            rows = ask("SELECT batch_id, batch_row, state, attempts, charge FROM orders")
            return [BatchOrder(*row) for row in rows]

    def read_alerts(self) -> tuple[list[AlertRow], list[AttemptRow]]:
        """Read all alerts, and their attempts in order."""
        with self._connected() as ask:
            alerts = ask("SELECT id, state, ended_at, late_at FROM alerts")
            attempts = ask(
                "SELECT alert_id, position, at, orders.state, attempts, charge FROM alert_attempts "
                "LEFT JOIN orders ON orders.id = order_id ORDER BY alert_id, position, number"
            )
            return [AlertRow(*row) for row in alerts], [AttemptRow(*row) for row in attempts]

    def wait_for_claim(self, seconds: float) -> None:
        """Wait until a server claims an order, which it then sends immediately."""
        until = monotonic() + seconds
        missing = sqlite3.OperationalError, psycopg.errors.UndefinedTable
        with self._connected() as ask, suppress(*missing):  # it may be locked, or not there yet
            before = ask(_LATEST_CLAIM)
            while ask(_LATEST_CLAIM) == before and monotonic() < until:
                Event().wait(_BETWEEN_LOOKS)

    def check(self) -> str:
        """Return SQLite's own check of its file; "ok" on PostgreSQL."""
        if self.url:
            return "ok"
        with self._connected() as ask:
            return str(ask("PRAGMA integrity_check")[0][0])

    @contextmanager
    def _connected(self) -> Iterator[Callable[[LiteralString], list[Any]]]:
        if self.url:
            with psycopg.connect(self.url, autocommit=True) as server:
                yield lambda question: server.execute(question).fetchall()
            return
        with closing(sqlite3.connect(self.folder / "state" / "outbox.sqlite3", timeout=30)) as file:
            yield lambda question: file.execute(question).fetchall()


@contextmanager
def open_state(plan: Plan, folder: Path) -> Iterator[State]:
    """Create an empty state."""
    if plan.database == "sqlite":
        yield State(folder)
        return
    with running_postgres() as url:
        yield State(folder, new_database(url))
