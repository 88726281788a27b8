"""The calls that cost more than the upper bound that was reserved for them, of all accounts."""

from datetime import timedelta

from sqlalchemy import func, select

from elks_mcp.domain.kinds import CALL
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import orders
from elks_mcp.store.db.transactions import reading

LOOKS_BACK = timedelta(days=30)
"""How old a call may be."""


class CallCosts:
    """The costs of calls in a database. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def count_overcharged(self, tx: Tx) -> int:
        """Count the calls of the last 30 days that cost more than their upper bounds."""
        found = select(func.count().label("number")).where(
            orders.c.kind == CALL,
            orders.c.cost > orders.c.price,
            orders.c.charged_at > tx.now - LOOKS_BACK,
        )
        return int(tx.execute(found).one().number)
