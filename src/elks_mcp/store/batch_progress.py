"""How far batches are, by the states of their orders."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, func, or_, select

from elks_mcp.domain.batches import PLAN_KEPT, Batch, BatchState, find_last_slot
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import ACCEPTED, NEVER_SENT, UNFINISHED, Approver, OrderState
from elks_mcp.errors import NotFound
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store.claims import USED_UP, is_queued
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.moments import Moment
from elks_mcp.store.db.schema import batches, is_one_of, orders
from elks_mcp.store.pace import find_slot
from elks_mcp.store.values import Pace


def select_batches(*, plan: bool) -> Select[Any]:
    """Select batches. Without `plan`, which can be large, that column is "" if there is a plan."""
    others = [column for column in batches.c if column is not batches.c.plan]
    return select(batches) if plan else select(*others, case((batches.c.plan.is_not(None), "")).label("plan"))


def has_number(number: str) -> ColumnElement[bool]:
    """Return the condition for the batch with this id or approval code, in any case."""
    return or_(*(column == number.strip().upper() for column in (batches.c.id, batches.c.approval_code)))


def get_row(
    tx: Tx, number: str, *, caller: str | None = None, lock: bool = False, plan: bool = False
) -> Row[Any]:
    """Return the row of a batch, by its id or approval code. `plan`: as in `select_batches`.

    Raises:
        NotFound: There is no such batch, or it is another caller's.
    """
    found = select_batches(plan=plan).where(batches.c.account_id == tx.account_id, has_number(number))
    if caller is not None:
        found = found.where(batches.c.caller == caller)
    if row := tx.first(found.with_for_update() if lock else found):
        return row
    raise unknown_batch()


def unknown_batch() -> NotFound:
    """Return the error about an id or approval code that no batch has."""
    return NotFound("No batch has that id.", hint=f"To list them: {show_command('batch list')}.")


def parse_batch(tx: Tx, row: Row[Any], pace: Pace | None) -> Batch:
    counts = count_rows(tx, row.id) if row.started_at else {}
    state = find_state(tx, row, counts)
    charged = select(func.coalesce(func.sum(orders.c.charge), 0)).where(orders.c.batch_id == row.id)
    spent = charged.where(is_one_of(orders.c.state, ACCEPTED))
    return Batch(
        id=row.id,
        caller=row.caller,
        name=row.name,
        state=state,
        approval_code=row.approval_code,
        approver=Approver(row.approver) if row.approver else None,
        is_approved=row.approved_at is not None,
        planned_at=row.planned_at,
        started_at=row.started_at,
        send_at=row.send_at,
        paused_at=row.paused_at,
        pause_reason=row.pause_reason,
        left_out=row.left_out,
        counts=counts,
        failures=_count_failures(tx, row.id) if counts else {},
        spent=Money(int(tx.execute(spent).scalar_one()) if counts else 0, row.currency),
        total=Money(row.total, row.currency),
        waits_until=_find_wait(tx, row) if pace and state is BatchState.RUNNING else None,
        last_at=_find_last(tx, row, pace) if pace and state is BatchState.RUNNING else None,
    )


def count_rows(tx: Tx, batch_id: str) -> dict[OrderState, int]:
    counted = select(orders.c.state, func.count().label("number")).where(orders.c.batch_id == batch_id)
    return {OrderState(row.state): row.number for row in tx.all(counted.group_by(orders.c.state))}


def _count_failures(tx: Tx, batch_id: str) -> dict[str, int]:
    failed = is_one_of(orders.c.state, (*NEVER_SENT, OrderState.FAILED))
    counted = select(orders.c.status_reason, func.count().label("number"))
    counted = counted.where(orders.c.batch_id == batch_id, failed).group_by(orders.c.status_reason)
    return {row.status_reason: row.number for row in tx.all(counted.order_by(func.count().desc()))}


def find_state(tx: Tx, row: Row[Any], counts: Mapping[OrderState, int]) -> BatchState:
    is_unfinished = any(counts.get(each) for each in UNFINISHED)
    if row.started_at is None:
        if row.cancelled_at:
            return BatchState.CANCELLED
        if row.plan is None or tx.now - row.planned_at > PLAN_KEPT:
            return BatchState.EXPIRED
        return BatchState.WAITING if row.approval_code else BatchState.PLANNED
    if row.cancelled_at:
        return BatchState.CANCELLED
    if is_unfinished:
        return BatchState.PAUSED if row.paused_at else BatchState.RUNNING
    return BatchState.FINISHED


def _find_wait(tx: Tx, row: Row[Any]) -> datetime | None:
    """Return until when the next row of a running batch waits for the daily budget, if it does."""
    o = orders.c
    put_off = (
        o.batch_id == row.id,
        o.state == OrderState.QUEUED,
        o.status_reason == USED_UP,
        o.due_at > tx.now,
    )
    until: datetime | None = tx.execute(select(func.min(o.due_at, type_=Moment)).where(*put_off)).scalar_one()
    return until


def _find_last(tx: Tx, row: Row[Any], pace: Pace) -> datetime | None:
    """Return about when the last row of a running batch goes out."""
    still = is_one_of(orders.c.state, (OrderState.QUEUED, OrderState.SCHEDULED))
    theirs = select(func.count().label("left"), func.max(orders.c.due_at, type_=Moment).label("last_due"))
    found = tx.execute(theirs.where(orders.c.batch_id == row.id, still)).one()
    if not found.left:
        return None
    before = tx.execute(select(func.count()).where(is_queued(tx))).scalar_one()
    start = max(find_slot(tx, pace), found.last_due)
    return find_last_slot(start, max(found.left, before), pace.gap)
