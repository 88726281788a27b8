"""Batches that are paused only because the server that sent them ended, as at a restart.

Another server continues them, as long as none of their texts is too late.
"""

from sqlalchemy import ColumnElement, and_, exists, select, update

from elks_mcp.domain.batches import SERVER_ENDED
from elks_mcp.domain.orders import OrderState
from elks_mcp.store.batch_placing import resume_rows
from elks_mcp.store.batch_progress import get_row
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import batches, orders
from elks_mcp.store.db.transactions import deciding, reading
from elks_mcp.store.values import BatchChecks


class BatchInterruptions:
    """The interrupted batches of one account. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def list_interrupted(self, tx: Tx) -> list[str]:
        """List the batches that can be continued."""
        return list(tx.execute(select(batches.c.id).where(is_interrupted(tx))).scalars())

    @deciding
    def continue_interrupted(self, tx: Tx, batch_id: str, checks: BatchChecks) -> bool:
        """Queue the rows of an interrupted batch again, at their times; return whether it was one.

        Raises:
            Refused: The budget does not allow them any more.
        """
        if not tx.first(select(batches.c.id).where(batches.c.id == batch_id, is_interrupted(tx))):
            return False
        resume_rows(tx, get_row(tx, batch_id, lock=True, plan=True), checks, at_their_times=True)
        tx.execute(update(batches).where(batches.c.id == batch_id).values(paused_at=None, pause_reason=""))
        return True

    @deciding
    def leave_paused(self, tx: Tx, batch_id: str, reason: str) -> None:
        """Leave an interrupted batch to a person, for this reason."""
        left = update(batches).where(batches.c.id == batch_id, is_interrupted(tx))
        tx.execute(left.values(pause_reason=reason))


def is_interrupted(tx: Tx) -> ColumnElement[bool]:
    """Build the condition that a batch can be continued: none of its texts is too late."""
    c, left = batches.c, and_(orders.c.batch_id == batches.c.id, orders.c.state == OrderState.PAUSED)
    is_paused = and_(c.paused_at.is_not(None), c.cancelled_at.is_(None), c.pause_reason == SERVER_ENDED)
    is_late = exists().where(left, orders.c.expires_at < tx.now)
    return and_(c.account_id == tx.account_id, is_paused, exists().where(left), ~is_late)
