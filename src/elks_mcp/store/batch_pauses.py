"""Pauses of batches: by a person, because of an obstacle, or for the night."""

import re
from typing import Any

from sqlalchemy import Row, func, literal, or_, select, update

from elks_mcp.domain.batches import SERVER_ENDED
from elks_mcp.domain.orders import ACCEPTED, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.domain.send_times import find_morning
from elks_mcp.store.db.changes import alter_all
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.moments import Moment
from elks_mcp.store.db.schema import batches, is_one_of, orders

MOST_REFUSALS = 5
"""If 46elks refuses this number of rows in a row, for the same reason, the batch is paused."""

_WAITING_TO_GO = (OrderState.QUEUED, OrderState.SCHEDULED)
_LONG_NUMBER = re.compile(r"\+?\d{5,}")


def pause_batch(tx: Tx, batch_id: str, reason: str) -> None:
    """Pause the rows of a batch that wait to be sent, and release their share of the budget.

    Rows that are being sent are finished. A batch that is paused keeps its first reason, unless
    that is the end of a server: the next server would continue it.
    """
    c = batches.c
    may_go_on = or_(c.paused_at.is_(None), c.pause_reason == SERVER_ENDED)
    pause = update(batches).where(c.id == batch_id, may_go_on)
    tx.execute(
        pause.values(paused_at=func.coalesce(c.paused_at, literal(tx.now, Moment)), pause_reason=reason)
    )
    waiting = is_one_of(orders.c.state, _WAITING_TO_GO)
    paused = update(orders).where(orders.c.batch_id == batch_id, waiting)
    tx.execute(paused.values(state=OrderState.PAUSED, charge=0, changed_at=tx.now))


def pause_if_refused(tx: Tx, batch_id: str) -> bool:
    """Pause a batch if 46elks refused its last five rows for the same reason.

    Return whether it was paused.
    """
    ended = is_one_of(orders.c.state, (*ACCEPTED, OrderState.REJECTED))
    latest = select(orders.c.state, orders.c.status_reason).where(orders.c.batch_id == batch_id, ended)
    rows = tx.all(latest.order_by(orders.c.attempted_at.desc()).limit(MOST_REFUSALS))
    reasons = {_LONG_NUMBER.sub("the number", row.status_reason) for row in rows}
    are_refused = all(row.state == OrderState.REJECTED for row in rows)
    if len(rows) < MOST_REFUSALS or not are_refused or len(reasons) > 1:
        return False
    pause_batch(tx, batch_id, f"46elks refused {MOST_REFUSALS} texts in a row: {reasons.pop()}")
    return True


def wait_for_morning(tx: Tx, row: Row[Any]) -> bool:
    """Schedule the queued rows of a batch for which it is night. Return whether `row` is one.

    A single text, or one that has a send time, goes out at night.
    """
    if row.batch_id is None or row.send_at is not None or not find_morning(Number(row.recipient), tx.now):
        return False
    queued = select(orders.c.id, orders.c.recipient, orders.c.expires_at).where(
        orders.c.batch_id == row.batch_id, orders.c.state == OrderState.QUEUED
    )
    mornings = {each: find_morning(Number(each.recipient), tx.now) for each in tx.all(queued)}
    alter_all(
        tx,
        {
            each.id: {
                "state": OrderState.SCHEDULED,
                "due_at": morning,
                "charged_at": morning,
                "expires_at": each.expires_at + (morning - tx.now),
                "changed_at": tx.now,
            }
            for each, morning in mornings.items()
            if morning
        },
    )
    return True
