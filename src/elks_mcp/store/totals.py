"""Sums over one account's orders: what it spent, and how many are in each state."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import BindParameter, ScalarSelect, bindparam, func, select, true

from elks_mcp.domain.orders import OrderState
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import ago, orders
from elks_mcp.store.db.transactions import reading

DAY = timedelta(hours=24)
"""The time that the daily budget covers."""

_spenders = orders.alias("spenders")


def sum_spent(*, excluded_order: BindParameter[str] | None = None) -> ScalarSelect[int]:
    """Build the sum of what an account was charged, or reserved, in the last 24 hours.

    The query's parameter `account` is the account's id. `excluded_order` is the parameter with the id of an
    order that does not count.
    """
    counted = true() if excluded_order is None else _spenders.c.id != excluded_order
    ours = _spenders.c.account_id == bindparam("account")
    total = select(func.coalesce(func.sum(_spenders.c.charge), 0))
    return total.where(ours, counted, _spenders.c.charged_at > ago(DAY)).scalar_subquery()


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
        spent = tx.execute(select(sum_spent()), {"account": tx.account_id, "now": tx.now}).scalar_one()
        states = select(orders.c.state, func.count().label("number")).where(ours).group_by(orders.c.state)
        queued = select(func.min(orders.c.placed_at)).where(ours, orders.c.state == OrderState.QUEUED)
        oldest = tx.execute(queued).scalar_one()
        return Totals(
            spent=int(spent),
            counts={OrderState(row.state): row.number for row in tx.all(states)},
            waiting=tx.now - oldest if oldest else timedelta(),
            history_read_until=tx.shared["history_read_until"],
        )
