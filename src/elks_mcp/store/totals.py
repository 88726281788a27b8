"""Sums over one account's orders: what it spent, and how many are in each state."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select

from elks_mcp.domain.orders import OrderState
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import orders
from elks_mcp.store.db.transactions import reading
from elks_mcp.store.known_numbers import DAY


class Totals(NamedTuple):
    """The sums that matter for an account's next text, whoever the recipient is."""

    spent: int
    """Charged or reserved in the last 24 hours, in ten-thousandths of the account's currency."""

    counts: Mapping[OrderState, int]
    waiting: timedelta
    """How long the oldest queued order has been waiting."""

    history_read_until: datetime | None
    """Up to which time 46elks' history was read for STOPs; None if it never was."""


class TotalsStore:
    """Computes the sums of one account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def sum_up(self, tx: Tx) -> Totals:
        """Return the account's sums as of now."""
        ours = orders.c.account_id == tx.account_id
        charged = select(func.coalesce(func.sum(orders.c.charge), 0))
        spent = tx.execute(charged.where(ours, orders.c.charged_at > tx.now - DAY)).scalar_one()
        states = select(orders.c.state, func.count().label("number")).where(ours).group_by(orders.c.state)
        queued = select(func.min(orders.c.placed_at)).where(ours, orders.c.state == OrderState.QUEUED)
        oldest = tx.execute(queued).scalar_one()
        return Totals(
            spent=int(spent),
            counts={OrderState(row.state): row.number for row in tx.all(states)},
            waiting=tx.now - oldest if oldest else timedelta(),
            history_read_until=tx.shared["history_read_until"],
        )
