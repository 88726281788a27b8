"""Changes of an order's row that several transactions share: ending and accepting it."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    Executable,
    Row,
    and_,
    bindparam,
    case,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from elks_mcp.domain.escalation import OPEN_STATES
from elks_mcp.domain.kinds import CALL
from elks_mcp.domain.orders import Order, OrderState, Receipt
from elks_mcp.errors import StateUnavailable
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.moments import NOW
from elks_mcp.store.db.rows import IN_ORDER, parse_findings, parse_order, without_quotes, write_findings
from elks_mcp.store.db.schema import alert_attempts, alerts, batches, is_one_of, orders

WAS_CANCELLED = "The batch was cancelled."
ALERT_IS_OVER = "The alert was over."


def close(
    tx: Tx, row: Row[Any], state: OrderState, status_reason: str, *, unreported: bool | None = None
) -> Order:
    """End an order that was not sent: erase its content and release its share of the budget.

    `unreported`: whether its caller has to be informed that it was not sent at its time. None: if it has one.
    """
    unused = row.state == OrderState.WAITING  # the key of an order that was never queued may be used again
    changes = {
        "state": state,
        "status_reason": status_reason,
        "charge": 0,
        "changed_at": tx.now,
        "lease": None,
        "unreported": row.send_at is not None if unreported is None else unreported,
    }
    if unused:
        findings = write_findings(without_quotes(parse_findings(row.findings)))
        changes |= {"key_hash": None, "findings": findings}
    return change(tx, row.id, **changes, **erase_content(tx))


def queue_again(tx: Tx, row: Row[Any], due_at: datetime, **changes: Any) -> Order:
    """Queue an order again that 46elks certainly did not accept, unless its batch was stopped.

    `due_at`: when it is tried, but not before its send time.
    """
    again = {"state": OrderState.QUEUED, "due_at": max(due_at, row.send_at or due_at)} | changes
    again |= {"lease": None, "changed_at": tx.now} | find_obstacle(tx, row)
    return change(tx, row.id, **again)


def find_obstacle(tx: Tx, row: Row[Any]) -> dict[str, Any]:
    """Return the changes of an order that its batch or alert keeps from going back to the queue.

    The batch is paused, or was cancelled, or the alert is over. Without these changes, an order that was
    being sent at that moment would go out later in spite of it.
    """
    if row.batch_id is None:
        return _end_with_alert(tx, row)
    stops = select(batches.c.paused_at, batches.c.cancelled_at).where(batches.c.id == row.batch_id)
    batch = tx.execute(stops).one()
    if batch.cancelled_at:
        ended = {"state": OrderState.CANCELLED, "charge": 0, "status_reason": WAS_CANCELLED}
        return ended | erase_content(tx)
    return {"state": OrderState.PAUSED, "charge": 0} if batch.paused_at else {}


def is_of_ended_alert() -> ColumnElement[bool]:
    """Build the condition that an order is one of an alert that is over."""
    its = alert_attempts.c.order_id == orders.c.id, alert_attempts.c.alert_id == alerts.c.id
    return exists().where(*its, ~is_one_of(alerts.c.state, OPEN_STATES))


def _end_with_alert(tx: Tx, row: Row[Any]) -> dict[str, Any]:
    """Return the changes that cancel an order whose alert is over."""
    if tx.first(select(orders.c.id).where(orders.c.id == row.id, is_of_ended_alert())) is None:
        return {}
    ended = {"state": OrderState.CANCELLED, "charge": 0, "status_reason": ALERT_IS_OVER}
    return ended | erase_content(tx)


def erase_content(tx: Tx) -> dict[str, None]:
    """Return the change that erases a settled order's content, unless texts are kept."""
    return {} if tx.keeps_texts else {"content": None}


def change(tx: Tx, order_id: str, **changes: Any) -> Order:
    """Change an order's row and return the order in its new state."""
    statement = _build_change(frozenset(changes), returning=True)
    return parse_order(tx, tx.execute(statement, changes | {"which": order_id}).one())


def alter(tx: Tx, order_id: str, **changes: Any) -> None:
    """Change an order's row without reading it back."""
    alter_all(tx, {order_id: changes})


def alter_all(tx: Tx, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Change rows, by their orders' ids. All changes must name the same columns."""
    values = [{**row, "which": order_id} for order_id, row in changes.items()]
    columns = frozenset(values[0]) - {"which"}
    tx.execute(_build_change(columns, returning=False), values if len(values) > 1 else values[0])


@cache
def _build_change(columns: frozenset[str], *, returning: bool) -> Executable:
    """Build the statement that changes these columns, once: building it is the slow part."""
    values: dict[str, Any] = {column: bindparam(column) for column in columns}
    changed = update(orders).where(orders.c.id == bindparam("which")).values(values)
    return changed.returning(*IN_ORDER) if returning else changed


class MessageTaken(Exception):
    """Another order is recorded as the owner of the message."""


def accept(tx: Tx, order_id: str, receipt: Receipt) -> Order | None:
    """Record that 46elks accepted an order, whatever state the order is in.

    An order whose receipt says that it failed has failed: 46elks charges for it and sends nothing.

    A message belongs to one order. If history made another order its owner, that order becomes unknown again.
    Nothing changes if the order is gone or was accepted before.

    Raises:
        StateUnavailable: Another order was given the message at the same moment. Trying again helps.
    """
    row = tx.execute(_TO_BE_ACCEPTED, {"which": order_id}).first()
    if row is None or row.message_id is not None:
        return None
    # Only with the row locked: before that, another transaction could be recording the message.
    values = {"account": tx.account_id, "message": receipt.message_id}
    if owner := tx.execute(_OWNER, values).first():
        alter(tx, owner.id, state=OrderState.UNKNOWN, message_id=None, status_reason=_WAS_ANOTHERS)
    try:
        return accept_unshared(tx, order_id, receipt)
    except MessageTaken:
        raise StateUnavailable(
            "Another order was given the same message at the same moment.",
            hint="The server looks for it again by itself. Do not send it again.",
        ) from None


def accept_unshared(tx: Tx, order_id: str, receipt: Receipt) -> Order | None:
    """Record in one statement that 46elks accepted an order, if no other has the message.

    Raises:
        MessageTaken: Another order has it, and nothing was recorded.
    """
    has_failed = receipt.status == "failed"
    values = {
        "which": order_id,
        "state": OrderState.FAILED if has_failed else OrderState.SENT,
        "status_reason": _FAILED if has_failed else "",
        "message": receipt.message_id,
        "status": receipt.status,
        "accepted_at": receipt.created_at,
        "cost": receipt.cost.units if receipt.cost else None,
        "parts": receipt.parts,
        "has_failed": has_failed,
        "keeps_content": tx.keeps_texts,
        "now": tx.known_now,
    }
    try:
        row = tx.execute(_ACCEPT, values).first()
    except IntegrityError:
        raise MessageTaken from None
    return parse_order(tx, row) if row else None


_TO_BE_ACCEPTED = select(orders.c.message_id).where(orders.c.id == bindparam("which")).with_for_update()
_OWNER = select(orders.c.id).where(
    orders.c.account_id == bindparam("account"), orders.c.message_id == bindparam("message")
)
_FAILED = "46elks accepted it and reported that it failed, without a reason."
_WAS_ANOTHERS = "The message found in history belongs to another order."

LEFT_BY = case((orders.c.due_at < NOW, orders.c.due_at), else_=NOW)
"""The latest moment at which an order that is being sent can have left: now, or its lease's end.

From then on its charge counts for 24 hours. Counted from the claim, those of a text that left late would end
before 46elks' do.
"""

_COST: BindParameter[int | None] = bindparam("cost", type_=orders.c.cost.type)
_ACCEPTED_AT: BindParameter[Any] = bindparam("accepted_at", type_=orders.c.accepted_at.type)
_IS_FAILED_CALL = and_(bindparam("has_failed", type_=Boolean), orders.c.kind == CALL)
_ACCEPT = (
    update(orders)
    .where(orders.c.id == bindparam("which"), orders.c.message_id.is_(None))
    .values(
        state=bindparam("state"),
        message_id=bindparam("message"),
        message_status=bindparam("status"),
        accepted_at=_ACCEPTED_AT,
        cost=case((_IS_FAILED_CALL, func.coalesce(_COST, 0)), else_=_COST),
        parts=func.coalesce(bindparam("parts"), orders.c.parts),
        charged_at=case(
            (orders.c.state == OrderState.SENDING, LEFT_BY),
            (orders.c.charged_at < _ACCEPTED_AT, _ACCEPTED_AT),  # later than the attempt, as history says
            else_=orders.c.charged_at,
        ),
        charge=case(
            (_COST > 0, _COST),
            (_IS_FAILED_CALL, 0),  # nobody was connected
            else_=orders.c.price,  # a cost of 0 or less is none
        ),
        changed_at=NOW,
        status_reason=bindparam("status_reason"),
        unreported=and_(bindparam("has_failed", type_=Boolean), orders.c.send_at.is_not(None)),
        content=case((bindparam("keeps_content", type_=Boolean), orders.c.content)),
    )
    .returning(*IN_ORDER)
)
