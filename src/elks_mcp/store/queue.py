"""The queue: which orders are sent now, by which process, and how each attempt ended.

    queued ──claim──→ sending ──settle──┬→ sent
      ↑                  │              ├→ rejected
      ├──────────────────┼──────────────┼→ queued
      │                  └──lapse───────┴→ in doubt

A claim is committed before a byte leaves. It carries a lease, a token that stops a process that wakes up
after the lease has ended.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    Executable,
    Row,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)

from elks_mcp.domain.orders import UNFINISHED, Claim, Order, OrderState, Receipt
from elks_mcp.store.batch_interruptions import is_interrupted
from elks_mcp.store.batch_pauses import pause_if_refused
from elks_mcp.store.batch_plans import is_approved
from elks_mcp.store.claims import claim_due
from elks_mcp.store.db.changes import (
    LEFT_BY,
    MessageTaken,
    accept,
    accept_unshared,
    change,
    close,
    is_of_ended_alert,
    queue_again,
)
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.moments import NOW, Moment
from elks_mcp.store.db.schema import batches, is_one_of, orders
from elks_mcp.store.db.transactions import deciding, reading, writing, writing_once
from elks_mcp.store.ongoing_calls import list_ongoing
from elks_mcp.store.opt_outs import has_opted_out
from elks_mcp.store.pace import find_pause, pause, resume
from elks_mcp.store.values import DraftCheck, DueWork, Idle, Pace, PauseReason


class Queue:
    """The queue, shared by all processes on this database. Each method is one transaction.

    `settle_sent` runs a second one if another order has the same message.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @deciding
    def claim(
        self, tx: Tx, pace: Pace, check: DraftCheck, *, most: int = 1, only: Collection[str] | None = None
    ) -> list[Claim] | Idle:
        """Claim the orders that are due, each to be sent once; or return how long to wait.

        `check` runs once more, on opt-outs and spending only: a recipient who opted out in the meantime gets
        nothing, and a lowered budget holds. `most` is how many orders are claimed at most, as far as the pace
        allows. With `only`, no other orders are claimed. A call whose audio this server cannot serve is left
        to another one.
        """
        return claim_due(tx, pace, check, most=most, only=only)

    @reading
    def may_send(self, tx: Tx, claim: Claim) -> bool:
        """Return whether a claim still holds, and its order may still go out. Check this last.

        An order may not if its recipient has opted out, if its alert is over, or if it is too late for its
        send time.
        """
        values = {"order": claim.order_id, "token": claim.lease, "now": tx.known_now}
        return tx.execute(_MAY_SEND, values).first() is not None

    async def settle_sent(self, claim: Claim, receipt: Receipt) -> Order | None:
        """Record that 46elks accepted the order, even if another process holds it by now."""
        try:
            return await self._accept_unshared(claim, receipt)
        except MessageTaken:
            return await self._accept(claim, receipt)

    @writing_once
    def _accept_unshared(self, tx: Tx, claim: Claim, receipt: Receipt) -> Order | None:
        return accept_unshared(tx, claim.order_id, receipt)

    @writing
    def _accept(self, tx: Tx, claim: Claim, receipt: Receipt) -> Order | None:
        return accept(tx, claim.order_id, receipt)

    @deciding
    def settle_rejected(self, tx: Tx, claim: Claim, status_reason: str) -> Order | None:
        """Record that 46elks refused the order."""
        row = _find_tried(tx, claim)
        if row is None:
            return None
        order = close(tx, row, OrderState.REJECTED, status_reason)
        if row.batch_id:
            pause_if_refused(tx, row.batch_id)
        return order

    @deciding
    def withdraw(self, tx: Tx, claim: Claim) -> Order | None:
        """Give back a claim that was not used: nothing was sent."""
        row = _find_tried(tx, claim)
        if row is None:
            return None
        if tx.first(select(orders.c.id).where(orders.c.id == row.id, has_opted_out())):
            return close(tx, row, OrderState.CANCELLED, "The recipient opted out.")
        return queue_again(tx, row, tx.now)

    @deciding
    def put_back(
        self, tx: Tx, claim: Claim, status_reason: str, reason: PauseReason, time: timedelta
    ) -> Order | None:
        """Queue an order again that 46elks certainly did not accept, and pause for `time`."""
        pause(tx, reason, time)
        row = _find_tried(tx, claim)
        return queue_again(tx, row, tx.now + time, status_reason=status_reason) if row else None

    @writing
    def settle_doubt(self, tx: Tx, claim: Claim, status_reason: str) -> Order | None:
        """Record that it is not known whether 46elks accepted the order."""
        held = tx.execute(_HELD, {"order": claim.order_id, "token": claim.lease}).first()
        return _doubt(tx, claim.order_id, status_reason) if held else None

    @reading
    def find_due_work(self, tx: Tx) -> DueWork:
        """Return what there is to do, without changing anything."""
        question = _build_unfinished(frozenset(tx.kinds))
        rows = tx.execute(question, {"account": tx.account_id, "now": tx.now}).all()
        due = {row.state: row.due for row in rows if row.due}
        waiting = [row for row in rows if row.state == OrderState.WAITING]
        return DueWork(
            lapsed=OrderState.SENDING in due,
            approved=any(row.approved_at for row in waiting),
            overdue=OrderState.WAITING in due,
            scheduled=OrderState.SCHEDULED in due,
            batches=bool(tx.first(select(batches.c.id).where(*is_approved(tx)))),
            interrupted=bool(tx.first(select(batches.c.id).where(is_interrupted(tx)).limit(1))),
            queued=due.get(OrderState.QUEUED, 0),
            doubtful=OrderState.IN_DOUBT in due,
            again_in=min(_waits(rows, tx.now), default=None),
            waiting=bool(waiting),
            batched=any(row.priority for row in rows if row.state in _UNDER_WAY),
            calls=bool(tx.first(list_ongoing(tx).limit(1))),
        )

    @deciding
    def end_expired_leases(self, tx: Tx) -> None:
        """Put orders in doubt whose lease ended: the process that was sending them is gone."""
        sending = select(orders.c.id).filter_by(account_id=tx.account_id, state=OrderState.SENDING)
        for row in tx.all(sending.where(orders.c.due_at <= tx.now).with_for_update()):
            _doubt(tx, row.id, "The server stopped while it was sending this.")

    @deciding
    def pause(self, tx: Tx, reason: PauseReason, time: timedelta) -> None:
        """Pause sending for `time`."""
        pause(tx, reason, time)

    @deciding
    def resume(self, tx: Tx) -> None:
        """End the pause."""
        resume(tx)

    @reading
    def find_pause(self, tx: Tx) -> PauseReason | None:
        """Return why sending is paused, if it is."""
        return find_pause(tx)


def _waits(rows: Iterable[Row[Any]], now: datetime) -> Iterator[timedelta]:
    """Yield the time until the next thing to do in each state.

    Queued orders follow the pace. Scheduled ones that are due and cannot be queued are tried again later.
    """
    for row in rows:
        if row.due and row.state not in {OrderState.QUEUED, OrderState.SCHEDULED}:
            yield timedelta()
        if row.next_at:
            yield row.next_at - now


_UNDER_WAY = (OrderState.QUEUED, OrderState.SENDING)
_NOT_PAUSED = UNFINISHED - {OrderState.PAUSED}


@cache
def _build_unfinished(kinds: frozenset[str]) -> Executable:
    """Build, once, the query that sums up the unfinished orders of these kinds by their states."""
    now = bindparam("now", type_=Moment)
    return (
        select(
            orders.c.state,
            func.count(case((orders.c.due_at <= now, 1))).label("due"),
            func.min(case((orders.c.due_at > now, orders.c.due_at))).label("next_at"),
            func.max(orders.c.approved_at).label("approved_at"),
            func.max(orders.c.priority).label("priority"),
        )
        .where(
            orders.c.account_id == bindparam("account"),
            is_one_of(orders.c.state, _NOT_PAUSED),
        )
        .where(is_one_of(orders.c.kind, kinds))
        .group_by(orders.c.state)
    )


_IS_HELD = and_(
    orders.c.id == bindparam("order"),
    orders.c.lease == bindparam("token"),
    orders.c.state == OrderState.SENDING,
)
_IS_IN_TIME = or_(orders.c.send_at.is_(None), orders.c.expires_at >= NOW)
_MAY_SEND = select(orders.c.id).where(_IS_HELD, ~has_opted_out(), ~is_of_ended_alert(), _IS_IN_TIME)
_HELD = select(orders.c.id).where(_IS_HELD).with_for_update()


def _find_tried(tx: Tx, claim: Claim) -> Row[Any] | None:
    """Return the order of a claim, if this attempt is still the latest one."""
    in_play = is_one_of(orders.c.state, (OrderState.SENDING, OrderState.IN_DOUBT))
    tried = select(orders).where(orders.c.id == claim.order_id, orders.c.lease == claim.lease, in_play)
    return tx.first(tried.with_for_update())


def _doubt(tx: Tx, order_id: str, status_reason: str) -> Order:
    tx.execute(_DATE_CHARGE, {"order": order_id, "now": tx.known_now})
    return change(
        tx, order_id, state=OrderState.IN_DOUBT, status_reason=status_reason, due_at=tx.now, changed_at=tx.now
    )


_DATE_CHARGE = update(orders).where(orders.c.id == bindparam("order")).values(charged_at=LEFT_BY)
