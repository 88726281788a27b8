"""The queue: who may send which order now, and what came of it.

    queued ──claim──→ sending ──settle──┬→ sent
      ↑                  │              ├→ rejected
      ├──────────────────┼──────────────┼→ queued
      │                  └──lapse───────┴→ in doubt

A claim is committed before a byte leaves. It carries a lease: a token that fences off whoever wakes up
after its time.
"""

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    RowMapping,
    Select,
    Update,
    and_,
    bindparam,
    exists,
    func,
    select,
    update,
)

from elks_mcp.models import UNFINISHED, Claim, OrderState, Receipt
from elks_mcp.store.answers import Check, Idle, Outlook, Pace, PauseReason, Prospect
from elks_mcp.store.book import change, close, parse_draft, parse_price, without_text
from elks_mcp.store.database import Database, Tx, deciding, reading, writing
from elks_mcp.store.people import recall
from elks_mcp.store.schema import accounts, contacts, orders

KEPT = timedelta(hours=1)
"""How long a text is offered: behind many others, past pauses and failed tries, while no server runs."""


class Queue:
    """What is to be sent, shared by all processes on this database. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @deciding
    def claim(self, tx: Tx, pace: Pace, check: Check, *, only: Collection[str] | None = None) -> Claim | Idle:
        """Take the order whose turn it is and the right to send it once; or say how long to wait.

        `check` is heard once more: who said STOP in the meantime gets nothing, and a budget that was
        lowered holds. `only`: none but these orders.
        """
        if idle := _idle(tx, pace):
            return idle
        while row := _next(tx, only):
            if claim := _claim(tx, row, pace, check):
                return claim
        return _nothing_due(tx, only)

    @reading
    def may_send(self, tx: Tx, claim: Claim) -> bool:
        """Tell whether a claim still holds, and its recipient has not said STOP since. Ask last of all."""
        return tx.first(select(orders.c.id).where(_held(claim), ~_opted_out())) is not None

    @writing
    def settle_sent(self, tx: Tx, claim: Claim, receipt: Receipt) -> None:
        """Put down that 46elks accepted it. That counts, whoever holds the order by now."""
        row = tx.first(_row(claim))
        if row is not None:
            accept(tx, row, receipt)

    @writing
    def settle_rejected(self, tx: Tx, claim: Claim, fault: str) -> None:
        """Put down that 46elks said no."""
        if row := _find_tried(tx, claim):
            close(tx, row, OrderState.REJECTED, fault)

    @writing
    def withdraw(self, tx: Tx, claim: Claim) -> None:
        """Give a claim back unused: nothing left this machine."""
        if row := _find_tried(tx, claim):
            if tx.first(select(orders.c.id).where(orders.c.id == row.id, _opted_out())):
                close(tx, row, OrderState.CANCELLED, "The recipient said STOP.")
            else:
                again = {"lease": None, "due_at": tx.now, "changed_at": tx.now}
                change(tx, row.id, state=OrderState.QUEUED, **again)

    @deciding
    def put_back(self, tx: Tx, claim: Claim, fault: str, reason: PauseReason, time: timedelta) -> None:
        """Queue it again, since 46elks surely did not accept it, and let nothing be sent for a while."""
        _pause(tx, reason, time)
        if row := _find_tried(tx, claim):
            due = {"due_at": tx.now + time, "changed_at": tx.now}
            change(tx, row.id, state=OrderState.QUEUED, fault=fault, lease=None, **due)

    @writing
    def settle_doubt(self, tx: Tx, claim: Claim, fault: str) -> None:
        """Put down that nobody knows whether 46elks accepted it."""
        if tx.first(_row(claim).where(_held(claim))):
            _doubt(tx, claim.order_id, fault)

    @reading
    def look(self, tx: Tx) -> Outlook:
        """See what there is to do, without changing anything."""
        unfinished = (
            select(
                orders.c.state,
                func.min(orders.c.due_at).label("due_at"),
                func.max(orders.c.approved_at).label("approved_at"),
            )
            .where(orders.c.account_id == bindparam("account"), orders.c.state.in_(UNFINISHED))
            .group_by(orders.c.state)
        )
        rows = tx.all(unfinished.params(account=tx.account_id))
        overdue = {row.state for row in rows if row.due_at <= tx.now}
        later = [max(row.due_at - tx.now, timedelta()) for row in rows if row.state != OrderState.QUEUED]
        approved = any(row.state == OrderState.WAITING and row.approved_at for row in rows)
        return Outlook(
            lapsed=OrderState.SENDING in overdue,
            approved=approved or OrderState.WAITING in overdue,
            queued=OrderState.QUEUED in overdue,
            doubtful=OrderState.IN_DOUBT in overdue,
            again_in=min(later, default=None),
            waiting=any(row.state == OrderState.WAITING for row in rows),
        )

    @deciding
    def lapse(self, tx: Tx) -> None:
        """Put in doubt what was being sent by somebody who is gone."""
        sending = select(orders.c.id).filter_by(account_id=tx.account_id, state=OrderState.SENDING)
        for row in tx.all(sending.where(orders.c.due_at <= tx.now).with_for_update()):
            _doubt(tx, row.id, "The server stopped while it was sending this.")

    @deciding
    def pause(self, tx: Tx, reason: PauseReason, time: timedelta) -> None:
        """Let nothing be sent for a while."""
        _pause(tx, reason, time)

    @deciding
    def resume(self, tx: Tx) -> None:
        """Let texts go out again."""
        tx.execute(_account(tx).values(pause_reason=None, paused_until=None))

    @reading
    def find_pause(self, tx: Tx) -> PauseReason | None:
        """Say why nothing is sent for now, if so."""
        return _paused(tx.shared, tx.now)

    @reading
    def foresee(self, tx: Tx, order_id: str, pace: Pace) -> Prospect | None:
        """Say when an order may go out; None where it is not queued."""
        row = tx.first(select(orders).where(orders.c.id == order_id, _queued(tx, None)))
        if row is None:
            return None
        before = select(func.count()).where(_queued(tx, None), orders.c.due_at < row.due_at)
        counted = tx.first(before)
        ahead, account = counted[0] if counted else 0, tx.shared
        pause = _paused(account, tx.now)
        moments = [
            tx.now,
            row.due_at,
            account["next_send_at"],
            account["paused_until"] if pause else None,
        ]
        free = max(moment for moment in moments if moment)
        return Prospect(at=free + ahead * pace.gap, ahead=ahead, pause=pause)


def _read_account(tx: Tx) -> RowMapping:
    return (tx.execute(select(accounts).where(accounts.c.id == tx.account_id))).mappings().one()


def accept(tx: Tx, row: Row[Any], receipt: Receipt) -> None:
    """Put down that 46elks accepted an order, on whatever evidence; proof outweighs what was thought.

    A message belongs to one order: where history made us take it for another order's, that is unknown again.
    """
    if row.message_id is not None:
        return
    owner = select(orders.c.id).filter_by(account_id=tx.account_id, message_id=receipt.message_id)
    if other := tx.first(owner):
        change(tx, other.id, state=OrderState.UNKNOWN, message_id=None, fault=_ANOTHERS)
    change(
        tx,
        row.id,
        state=OrderState.SENT,
        message_id=receipt.message_id,
        message_status=receipt.status,
        accepted_at=receipt.created_at,
        cost=receipt.cost.units if receipt.cost else None,
        parts=receipt.parts or row.parts,
        charge=receipt.cost.units if receipt.cost else row.price,
        changed_at=tx.now,
        fault="",
        **without_text(tx),
    )


_ANOTHERS = "What history showed of it turned out to be another order's."


def _idle(tx: Tx, pace: Pace) -> Idle | None:
    """Say what stands in the way of sending anything now: a pause, or the pace."""
    shared = tx.shared
    if reason := _paused(shared, tx.now):
        return Idle(max(shared["paused_until"] - tx.now, timedelta()), reason)
    slot = _slot(tx, pace)
    if slot <= tx.now + pace.ahead:
        return None
    if slot < shared["next_send_at"]:
        tx.execute(_account(tx).values(next_send_at=slot))  # else it would stay as far off as it is now
    return Idle(slot - tx.now)


def _paused(account: RowMapping, now: datetime) -> PauseReason | None:
    if account["pause_reason"] is None:
        return None
    reason = PauseReason(account["pause_reason"])
    return None if reason.ends_by_itself and account["paused_until"] <= now else reason


def _slot(tx: Tx, pace: Pace) -> datetime:
    """Say when the next text may go out. Where the clock was put back, no further off than by pace."""
    slot = tx.shared["next_send_at"] or tx.now
    is_credible = slot <= tx.now + pace.ahead + _LONGEST_GAP
    return max(tx.now, slot) if is_credible else tx.now + pace.gap


_LONGEST_GAP = timedelta(seconds=61)
"""No pace sends less than one text a minute; a slot further off was given before the clock was put back."""


def _next(tx: Tx, only: Collection[str] | None) -> Row[Any] | None:
    turn = select(orders).where(_queued(tx, only), orders.c.due_at <= tx.now).order_by(orders.c.due_at)
    return tx.first(turn.limit(1).with_for_update(skip_locked=True))


def _nothing_due(tx: Tx, only: Collection[str] | None) -> Idle:
    row = tx.first(select(func.min(orders.c.due_at)).where(_queued(tx, only)))
    return Idle(max(row[0] - tx.now, timedelta())) if row and row[0] else Idle(None)


def _queued(tx: Tx, only: Collection[str] | None) -> ColumnElement[bool]:
    queued = and_(orders.c.account_id == tx.account_id, orders.c.state == OrderState.QUEUED)
    return queued if only is None else and_(queued, orders.c.id.in_(only))


def _claim(tx: Tx, row: Row[Any], pace: Pace, check: Check) -> Claim | None:
    """Claim an order, or end it where it may not go out any more."""
    if tx.now - row.placed_at > KEPT:
        _expire(tx, row)
        return None
    draft = parse_draft(row)
    if why_not := check(draft, parse_price(row), recall(tx, draft, besides=row.id)):
        close(tx, row, OrderState.CANCELLED, why_not)
        return None
    lease, send_at = secrets.token_hex(16), _slot(tx, pace)
    tx.execute(_account(tx).values(next_send_at=send_at + pace.gap))
    change(
        tx,
        row.id,
        state=OrderState.SENDING,
        lease=lease,
        due_at=tx.now + pace.lease,
        attempts=row.attempts + 1,
        attempted_at=tx.now,
        absent_at=None,
        charged_at=tx.now,
        changed_at=tx.now,
    )
    return Claim(
        order_id=row.id,
        attempt=row.attempts + 1,
        lease=lease,
        draft=draft,
        currency=row.currency,
        wait=send_at - tx.now,
    )


def expire_queued(tx: Tx) -> None:
    """End what was queued for so long that nobody wants it sent any more."""
    queued = select(orders).where(_queued(tx, None), orders.c.placed_at < tx.now - KEPT)
    for row in tx.all(queued.with_for_update()):
        _expire(tx, row)


def _expire(tx: Tx, row: Row[Any]) -> None:
    close(tx, row, OrderState.EXPIRED, row.fault or "Its turn never came.")


def _account(tx: Tx) -> Update:
    return update(accounts).where(accounts.c.id == tx.account_id)


def _pause(tx: Tx, reason: PauseReason, time: timedelta) -> None:
    """Pause; of two pauses the longer one counts, and one that does not end by itself."""
    known, until = tx.shared, tx.now + time
    if current := _paused(known, tx.now):
        until = max(until, known["paused_until"])
        reason = current if reason.ends_by_itself else reason
    tx.execute(_account(tx).values(pause_reason=reason, paused_until=until))


def _opted_out() -> ColumnElement[bool]:
    """Say of an order that its recipient said STOP."""
    return exists().where(
        contacts.c.account_id == orders.c.account_id,
        contacts.c.number_hash == orders.c.recipient_hash,
        contacts.c.opted_out,
    )


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        orders.c.id == claim.order_id, orders.c.lease == claim.lease, orders.c.state == OrderState.SENDING
    )


def _find_tried(tx: Tx, claim: Claim) -> Row[Any] | None:
    """Find the order of a claim, as long as this attempt is the one that counts."""
    in_play = orders.c.state.in_((OrderState.SENDING, OrderState.IN_DOUBT))
    return tx.first(_row(claim).where(orders.c.lease == claim.lease, in_play))


def _row(claim: Claim) -> Select[Any]:
    return select(orders).where(orders.c.id == claim.order_id).with_for_update()


def _doubt(tx: Tx, order_id: str, fault: str) -> None:
    change(tx, order_id, state=OrderState.IN_DOUBT, fault=fault, due_at=tx.now, changed_at=tx.now)
