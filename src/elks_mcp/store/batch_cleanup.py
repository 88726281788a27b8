"""Ending the rows of batches that were paused for too long, and deleting plans."""

from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update

from elks_mcp.domain.batches import PLAN_KEPT, RESUMABLE_FOR
from elks_mcp.domain.orders import UNFINISHED, OrderState
from elks_mcp.store.batch_placing import PAUSED_AT_ITS_TIME
from elks_mcp.store.db.changes import erase_content
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import batches, is_one_of, orders

_PAUSED_TOO_LONG = "The batch was paused for more than 24 hours."


def end_old_batches(tx: Tx, kept: timedelta) -> None:
    """End paused rows for which it is too late, and delete plans that are not needed.

    `kept`: how long the row of a batch is kept, without its plan.
    """
    _expire_paused(tx)
    _delete_plans(tx)
    is_left = select(orders.c.id).where(orders.c.batch_id == batches.c.id).exists()
    old = and_(batches.c.account_id == tx.account_id, batches.c.planned_at < tx.now - kept)
    tx.execute(delete(batches).where(old, batches.c.plan.is_(None), ~is_left))


def _expire_paused(tx: Tx) -> None:
    """End paused rows whose send time is over, or whose batch was paused for more than 24 hours."""
    paused = and_(orders.c.account_id == tx.account_id, orders.c.state == OrderState.PAUSED)
    is_timed = orders.c.send_at.is_not(None)
    missed = and_(paused, is_timed, orders.c.expires_at < tx.now)
    long_paused = select(batches.c.id).where(batches.c.paused_at < tx.now - RESUMABLE_FOR)
    overdue = and_(paused, orders.c.batch_id.in_(long_paused))
    for late, why in ((missed, PAUSED_AT_ITS_TIME), (overdue, _PAUSED_TOO_LONG)):
        ended: dict[str, Any] = {"state": OrderState.EXPIRED, "status_reason": why, "charge": 0}
        ended |= {"lease": None, "changed_at": tx.now, "unreported": is_timed, **erase_content(tx)}
        tx.execute(update(orders).where(late).values(ended))


def _delete_plans(tx: Tx) -> None:
    """Delete the plans that can no longer be started, and those whose last row ended a day ago."""
    is_needed = or_(is_one_of(orders.c.state, UNFINISHED), orders.c.changed_at > tx.now - PLAN_KEPT)
    needed = select(func.count()).where(orders.c.batch_id == batches.c.id, is_needed).scalar_subquery()
    ours = batches.c.account_id == tx.account_id
    unneeded = and_(ours, batches.c.planned_at < tx.now - PLAN_KEPT, batches.c.plan.is_not(None))
    tx.execute(update(batches).where(unneeded, needed == 0).values(plan=None))
