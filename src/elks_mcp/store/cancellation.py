"""Cancelling orders that have not left, or letting them wait for a person instead.

A claim locks the account as these transactions do, so an order is either cancelled or handed over, never
both.
"""

from typing import Any

from sqlalchemy import Row

from elks_mcp.domain.orders import CANCELLABLE, Finding, Order, OrderState
from elks_mcp.store.approval import let_wait
from elks_mcp.store.db.changes import close
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.rows import parse_order
from elks_mcp.store.db.transactions import deciding
from elks_mcp.store.orders import get_row


class CancellationStore:
    """Ends orders of one account before they leave. Each method is one transaction.

    `OrderAdmin.cancel` does it for the operator, in any account.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @deciding
    def cancel(self, tx: Tx, number: str, why: str) -> Order:
        """Cancel an order that has not left. Return the order in its new state.

        Raises:
            NotFound: There is no such order.
        """
        row = get_row(tx, number, lock=True)  # a report from 46elks may be recorded now
        return cancel_unless_left(tx, row, why)

    @deciding
    def pause(self, tx: Tx, number: str, reason: Finding) -> Order | None:
        """Let an order that has not left wait for a person. Return the order in its new state.

        An order that waits for a person already is not changed. Return None if a person approved the order:
        that approval stands.

        Raises:
            NotFound: There is no such order.
            Refused: Too many orders of its caller wait for a person.
        """
        row = get_row(tx, number, lock=True)
        if row.state not in CANCELLABLE:
            return parse_order(tx, row)
        if row.approved_at is not None:
            return None
        if row.state == OrderState.WAITING:
            return parse_order(tx, row)
        return let_wait(tx, row, reason)


def cancel_unless_left(tx: Tx, row: Row[Any], why: str) -> Order:
    """Cancel an order that has not left, and return it in its new state.

    The transaction has locked its account and its row.
    """
    if row.state not in CANCELLABLE:
        return parse_order(tx, row)
    return close(tx, row, OrderState.CANCELLED, why, unreported=False)
