"""Approval by a person: which orders wait for one, how long, how many, and by which code."""

from typing import Any

from sqlalchemy import Row, exists, func, or_, select

from elks_mcp.domain.approval import APPROVAL_TIMEOUT
from elks_mcp.domain.orders import Approver, Finding, Order, OrderState
from elks_mcp.domain.wording import format_duration
from elks_mcp.errors import Refused
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store.db.changes import change, close
from elks_mcp.store.db.codes import make_code
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.rows import parse_findings, write_findings
from elks_mcp.store.db.schema import alerts, batches, orders

MOST_WAITING = 20
"""How many orders of one caller may wait for a person: about what one can read before they expire."""


def expire_waiting(tx: Tx) -> None:
    """End the orders that waited too long for a person or, once approved, for a server."""
    overdue = select(orders).filter_by(account_id=tx.account_id, state=OrderState.WAITING)
    for row in tx.all(overdue.where(orders.c.due_at <= tx.now)):
        expire(tx, row)


def expire(tx: Tx, row: Row[Any]) -> None:
    """End one order that waited too long."""
    why = "No server ran to send it in time." if row.approved_at else "No person approved it in time."
    close(tx, row, OrderState.EXPIRED, why)


def let_wait(tx: Tx, row: Row[Any], reason: Finding, **changes: Any) -> Order:
    """Let an order that has not left wait for a person, under a new approval code.

    Its share of the budget is released until a person approves it.

    Raises:
        Refused: Too many orders of its caller wait for a person.
    """
    if row.state != OrderState.WAITING:
        check_room(tx, row.caller)
    due_at = tx.now + APPROVAL_TIMEOUT
    return change(
        tx,
        row.id,
        state=OrderState.WAITING,
        approver=Approver.TERMINAL,
        approval_code=new_approval_code(tx),
        approved_at=None,
        findings=write_findings((*parse_findings(row.findings), reason)),
        charge=0,
        due_at=min(due_at, row.expires_at) if row.send_at else due_at,
        changed_at=tx.now,
        **changes,
    )


def check_room(tx: Tx, caller: str) -> None:
    """Check that one more order of a caller may wait for a person.

    Raises:
        Refused: `MOST_WAITING` orders of the caller wait already.
    """
    theirs = select(func.count()).select_from(orders).filter_by(account_id=tx.account_id, caller=caller)
    waiting = theirs.where(orders.c.state == OrderState.WAITING, orders.c.due_at > tx.now)
    if tx.execute(waiting).scalar_one() >= MOST_WAITING:
        raise Refused(
            f"{MOST_WAITING} texts of this caller already wait for a person, which is the limit.",
            hint=f"A person can list them: {show_command('pending')}. Approving or cancelling one "
            "makes room for another. Texts that no person approves expire after "
            f"{format_duration(APPROVAL_TIMEOUT)}.",
        )


def new_approval_code(tx: Tx) -> str:
    """Return a code that a person can type, and that nothing else here ever had."""
    while True:
        code = f"A-{make_code(4)}"
        is_used = or_(*(exists().where(table.c.approval_code == code) for table in (orders, batches, alerts)))
        if not tx.all(select(is_used))[0][0]:
            return code
