"""Approval of one account's batches outside the client: in a terminal or on a page."""

from sqlalchemy import select, update

from elks_mcp.domain.batches import Batch, BatchState
from elks_mcp.store.approval import new_approval_code
from elks_mcp.store.batch_plans import is_approved
from elks_mcp.store.batch_progress import find_state, get_row, parse_batch
from elks_mcp.store.batches import cancel_unless_ended
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import batches
from elks_mcp.store.db.transactions import deciding, reading


class BatchApprovals:
    """The batches of one account that wait for a person, or for a server after that.

    `BatchAdmin` records the approval itself. Each method is one transaction.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @deciding
    def ask(self, tx: Tx, batch_id: str) -> Batch:
        """Let a plan wait for a person outside the client, and return it with its approval code."""
        row = get_row(tx, batch_id, lock=True)
        if find_state(tx, row, {}) is BatchState.PLANNED:
            code = new_approval_code(tx)
            tx.execute(update(batches).where(batches.c.id == row.id).values(approval_code=code))
            row = get_row(tx, batch_id)
        return parse_batch(tx, row, None)

    @reading
    def list_approved(self, tx: Tx) -> list[str]:
        """List the batches that a person approved outside the client, and that were not started."""
        return list(tx.execute(select(batches.c.id).where(*is_approved(tx))).scalars())

    @deciding
    def decline(self, tx: Tx, batch_id: str) -> Batch:
        """Cancel a batch that waits for approval, and return it in its new state."""
        row = get_row(tx, batch_id, lock=True)
        if find_state(tx, row, {}) is BatchState.WAITING and row.approved_at is None:
            cancel_unless_ended(tx, row)
        return parse_batch(tx, get_row(tx, batch_id), None)

    @deciding
    def reject(self, tx: Tx, batch_id: str, reason: str) -> None:
        """Record why an approved batch could not be started; it needs a new approval."""
        change = {"approved_at": None, "approval_code": None, "pause_reason": reason}
        not_started = update(batches).where(batches.c.id == batch_id, batches.c.started_at.is_(None))
        tx.execute(not_started.values(**change))
