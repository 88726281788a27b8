"""Deleting what is no longer needed: old rows, and the content of settled orders."""

from datetime import timedelta

from sqlalchemy import and_, delete, or_, update

from elks_mcp.domain.orders import ACCEPTED, NEVER_SENT, UNFINISHED, OrderState
from elks_mcp.store.alert_cleanup import delete_old_alerts
from elks_mcp.store.approval import expire_waiting
from elks_mcp.store.arrivals import delete_old_arrivals
from elks_mcp.store.batch_cleanup import end_old_batches
from elks_mcp.store.calls import delete_old_calls
from elks_mcp.store.claims import expire_queued
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import orders
from elks_mcp.store.db.transactions import deciding
from elks_mcp.store.heartbeats import delete_dead
from elks_mcp.store.known_numbers import record_sent
from elks_mcp.store.schedule import expire_missed
from elks_mcp.store.taint import delete_old_taint

ROWS_KEPT = timedelta(days=90)
"""How long the row of an order is kept, without its content."""

UNKNOWN_TEXT_KEPT = timedelta(days=7)
"""How long the content of an unknown order is kept, so that a person can decide about it."""


_SETTLED = (*ACCEPTED, *NEVER_SENT)


class Cleanup:
    """Deletes what one account no longer needs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @deciding
    def delete_expired(self, tx: Tx) -> None:
        """Delete old rows, and erase content whose retention is over."""
        expire_waiting(tx)
        expire_queued(tx)
        expire_missed(tx)
        ours = orders.c.account_id == tx.account_id
        old = and_(ours, orders.c.changed_at < tx.now - ROWS_KEPT, orders.c.state.not_in(UNFINISHED))
        record_sent(tx, old)
        tx.execute(delete(orders).where(old))
        end_old_batches(tx, ROWS_KEPT)
        delete_old_alerts(tx, ROWS_KEPT)
        delete_old_arrivals(tx)
        delete_old_taint(tx)
        delete_dead(tx)
        delete_old_calls(tx)
        unneeded = or_(
            and_(orders.c.state.in_(_SETTLED), orders.c.changed_at <= tx.now - self._database.retention),
            and_(orders.c.state == OrderState.UNKNOWN, orders.c.changed_at < tx.now - UNKNOWN_TEXT_KEPT),
        )
        tx.execute(update(orders).where(ours, orders.c.content.is_not(None), unneeded).values(content=None))
