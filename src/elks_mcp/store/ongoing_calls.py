"""The calls that go on: 46elks accepted them, and is asked how they end."""

from datetime import timedelta

from sqlalchemy import Select, select

from elks_mcp.domain.orders import OrderState
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import calls, orders

FOLLOWED_FOR = timedelta(hours=1)
"""How long a call without an end is asked about. After that its outcome is unknown."""


def list_ongoing(tx: Tx) -> Select[tuple[str, str]]:
    """Build the query for the orders and the ids of calls that are asked about.

    Their ends are not known, and they are recent. The query begins with the calls, which are few.
    """
    return (
        select(orders.c.id, orders.c.message_id)
        .select_from(calls.join(orders, orders.c.id == calls.c.order_id))
        .where(calls.c.account_id == tx.account_id, calls.c.ended_at.is_(None))
        .where(orders.c.state == OrderState.SENT, orders.c.changed_at > tx.now - FOLLOWED_FOR)
    )
