"""Administration: what an operator does with the orders of a database, for all its accounts.

Nothing is sent from here, and no credentials are needed: a server sends what was approved.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import anyio.to_thread
from sqlalchemy import Row, Select, case, func, or_, select, text, update

from elks_mcp.domain.approval import APPROVED_SEND_TIMEOUT
from elks_mcp.domain.orders import UNFINISHED, Approver, Order, OrderState, parse_order_number
from elks_mcp.errors import NotFound, Refused
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store.approval import expire_waiting
from elks_mcp.store.cancellation import cancel_unless_left
from elks_mcp.store.db.changes import change, close, erase_content
from elks_mcp.store.db.database import Database, Tx, list_accounts
from elks_mcp.store.db.rows import parse_order
from elks_mcp.store.db.schema import accounts, orders
from elks_mcp.store.db.transactions import reading, writing
from elks_mcp.store.location import AccountKey, StateLocation
from elks_mcp.store.storage import find_hasher
from elks_mcp.store.values import PauseReason, Scheduled

_OPEN = (*UNFINISHED, OrderState.UNKNOWN)
"""The states in which a server or a person still has something to do."""


class OrderRecord(NamedTuple):
    """An order with its account."""

    order: Order
    owner: AccountKey
    approved: bool
    """Whether a person approved it in a terminal."""

    left: timedelta
    """How long until it expires, if it is waiting."""


class Pause(NamedTuple):
    """An account for which sending is paused, and why."""

    owner: AccountKey
    reason: PauseReason


@asynccontextmanager
async def open_database(location: StateLocation, clock: Clock | None = None) -> AsyncIterator[Database]:
    """Open a database without choosing an account.

    Raises:
        StateUnavailable, Misconfigured: The database cannot be used.
    """
    hasher = await anyio.to_thread.run_sync(find_hasher, location)
    database = await Database.open(location, hasher, clock)
    try:
        yield database
    finally:
        await database.close()


class OrderAdmin:
    """The orders of all accounts of a database. Each method is one transaction.

    No server has to run: each method that looks at waiting orders ends those that waited too long.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @writing
    def get(self, tx: Tx, number: str) -> OrderRecord:
        """Return an order by its id or its approval code.

        Raises:
            NotFound: There is no such order.
        """
        return _build_record(tx, _decide_about(tx, number))

    @writing
    def list_waiting(self, tx: Tx) -> list[OrderRecord]:
        """List orders that wait for a person or, once approved, a server; next to expire first."""
        lock_all(tx)
        waiting = _all().where(orders.c.state == OrderState.WAITING)
        return [_build_record(tx, row) for row in tx.all(waiting.order_by(orders.c.due_at, orders.c.id))]

    @writing
    def list_orders(self, tx: Tx, limit: int) -> list[OrderRecord]:
        """List orders: first those that are unfinished or unknown, then by their latest change.

        Single texts come before the unfinished rows of batches, which are many.
        """
        lock_all(tx)
        is_open = orders.c.state.in_(_OPEN)
        single_first = case((is_open, orders.c.priority), else_=0)
        listed = _all().order_by(is_open.desc(), single_first, orders.c.changed_at.desc(), orders.c.id)
        return [_build_record(tx, row) for row in tx.all(listed.limit(limit))]

    @reading
    def count(self, tx: Tx) -> dict[OrderState, int]:
        """Count the orders in each state."""
        counted = select(orders.c.state, func.count().label("number")).group_by(orders.c.state)
        return {OrderState(row.state): row.number for row in tx.all(counted)}

    @reading
    def find_scheduled(self, tx: Tx, account: AccountKey) -> Scheduled:
        """Return how many orders of an account are scheduled, and when the first is due."""
        facts = func.count().label("total"), func.min(orders.c.due_at).label("next_at")
        theirs = select(*facts).select_from(orders.join(accounts))
        theirs = theirs.where(
            accounts.c.base_url == account.base_url,
            accounts.c.username == account.username,
            orders.c.state == OrderState.SCHEDULED,
        )
        row = tx.execute(theirs).one()
        return Scheduled(row.total, row.next_at)

    @reading
    def list_accounts(self, tx: Tx) -> list[AccountKey]:
        """List the accounts of the database."""
        return list_accounts(tx)

    @reading
    def list_pauses(self, tx: Tx) -> list[Pause]:
        """List the accounts for which sending is paused."""
        return _list_pauses(tx)

    @reading
    def describe(self, tx: Tx) -> str:
        """Return which database this is, and for SQLite how it keeps its journal."""
        if tx.is_postgres:
            return f"PostgreSQL {tx.execute(text('SHOW server_version')).scalar_one()}"
        journal = tx.execute(text("PRAGMA journal_mode")).scalar_one()
        return f"SQLite, {'write-ahead log' if journal == 'wal' else 'rollback journal'}"

    @writing
    def approve(self, tx: Tx, number: str) -> OrderRecord:
        """Mark a waiting order as approved by a person. Return the order in its new state.

        An order that does not wait any more, or was approved before, is not changed.

        Raises:
            NotFound: There is no such order.
        """
        row = _decide_about(tx, number)
        if row.state == OrderState.WAITING and row.approved_at is None:
            marks = {"approved_at": tx.now, "approver": Approver.TERMINAL}
            due_at = row.expires_at if row.send_at else tx.now + APPROVED_SEND_TIMEOUT
            change(tx, row.id, due_at=due_at, **marks)
        return _build_record(tx, _get(tx, row.id))

    @writing
    def cancel(self, tx: Tx, number: str) -> Order:
        """Cancel an order that has not left. Return the order in its new state.

        Raises:
            NotFound: There is no such order.
        """
        return cancel_unless_left(tx, _decide_about(tx, number), "A person cancelled it.")

    @writing
    def resolve(self, tx: Tx, number: str, *, sent: bool) -> Order:
        """Record what a person found out about an unknown order, and erase its content.

        A delivery report from 46elks may still arrive, and outweighs it.

        Raises:
            NotFound: There is no such order.
            Refused: The order is not unknown. While it is in doubt, history is still being read.
        """
        row = _decide_about(tx, number)
        if row.state != OrderState.UNKNOWN:
            raise Refused(
                f"{row.id} is {row.state}, not unknown; there is nothing to resolve.",
                hint=f"To list the orders: {show_command('outbox')}.",
            )
        if not sent:
            return close(tx, row, OrderState.CANCELLED, "A person found that it was not sent.")
        return change(
            tx, row.id, state=OrderState.SENT, status_reason="", changed_at=tx.now, **erase_content(tx)
        )

    @writing
    def resume(self, tx: Tx) -> list[Pause]:
        """End all pauses, and return those that were in force."""
        lock_all(tx)
        pauses = _list_pauses(tx)
        tx.execute(update(accounts).values(pause_reason=None, paused_until=None))
        return pauses


def lock_all(tx: Tx) -> None:
    """Lock all accounts, and end the orders that waited too long."""
    for account_id in tx.execute(select(accounts.c.id).order_by(accounts.c.id)).scalars().all():
        _lock(tx, account_id)


def _lock(tx: Tx, account_id: int) -> None:
    tx.account_id = account_id
    tx.lock()
    expire_waiting(tx)


def _decide_about(tx: Tx, number: str) -> Row[Any]:
    """Lock an order and its account against other transactions, and return the order."""
    _lock(tx, _get(tx, number).account_id)
    return _get(tx, number, lock=True)  # a report from 46elks may be recorded at this moment


def _all() -> Select[Any]:
    return select(orders, accounts.c.base_url, accounts.c.username).join(accounts)


def _get(tx: Tx, number: str, *, lock: bool = False) -> Row[Any]:
    number = parse_order_number(number) or number
    found = _all().where(or_(orders.c.id == number, orders.c.approval_code == number))
    if row := tx.first(found.with_for_update(of=orders) if lock else found):
        return row
    raise NotFound("No order has that id.", hint=f"To list them: {show_command('outbox')}.")


def _build_record(tx: Tx, row: Row[Any]) -> OrderRecord:
    return OrderRecord(
        order=parse_order(tx, row),
        owner=_owner(row),
        approved=row.approved_at is not None,
        left=row.due_at - tx.now,
    )


def _list_pauses(tx: Tx) -> list[Pause]:
    paused = select(accounts).where(accounts.c.pause_reason.is_not(None)).order_by(accounts.c.id)
    pauses = [(row, PauseReason(row.pause_reason)) for row in tx.all(paused)]
    return [
        Pause(_owner(row), reason)
        for row, reason in pauses
        if not reason.ends_by_itself or row.paused_until > tx.now
    ]


def _owner(row: Row[Any]) -> AccountKey:
    return AccountKey(row.base_url, row.username)
