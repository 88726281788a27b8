"""Claims: taking the orders that are due, and ending those that may not go out."""

import secrets
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, func, or_, select, update

from elks_mcp.domain.batches import generalize_reason
from elks_mcp.domain.models import OptOut, Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import ORDER_LATENESS, Claim, Draft, OrderState, Quote
from elks_mcp.domain.phone import Number
from elks_mcp.store.audio_calls import find_audio_use, plays_audio
from elks_mcp.store.batch_pauses import pause_batch, wait_for_morning
from elks_mcp.store.db.changes import alter_all, close
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.moments import NOW, Moment, shifted
from elks_mcp.store.db.rows import parse_draft, parse_price
from elks_mcp.store.db.schema import is_one_of, orders
from elks_mcp.store.opt_outs import opted_out_at
from elks_mcp.store.pace import find_idle, find_slot, take_slots
from elks_mcp.store.totals import DAY, find_own_peak, list_sent, sum_sent
from elks_mcp.store.values import DraftCheck, Idle, Pace


def claim_due(
    tx: Tx, pace: Pace, check: DraftCheck, *, most: int, only: Collection[str] | None
) -> list[Claim] | Idle:
    """Claim the orders that are due, or return how long to wait."""
    if idle := find_idle(tx, pace):
        return idle
    for _ in range(_MOST_HELD_BACK):
        rows = _next(tx, pace, most=most, only=only)
        if not rows:
            return _nothing_due(tx, pace, only)
        if claims := _claim_all(tx, rows, pace, check):
            return claims
    return Idle(timedelta())


_MOST_HELD_BACK = 50
"""How many orders one transaction ends because they may not go out: it holds the account's lock."""


def _next(tx: Tx, pace: Pace, *, most: int, only: Collection[str] | None) -> Sequence[Row[Any]]:
    query = _build_next(frozenset(tx.kinds), serves_audio=pace.serves_audio)
    query = query if only is None else query.where(orders.c.id.in_(only))
    return tx.execute(query, {"account": tx.account_id, "now": tx.now, "most": most}).all()


@cache
def _build_next(kinds: frozenset[str], *, serves_audio: bool) -> Select[Any]:
    """Build, once, the query for the orders that are due, each with what the other orders spent."""
    o = orders.c
    facts = (o.id, o.state, o.recipient, o.sender, o.price, o.currency, o.kind, o.content, o.details)
    history = (o.send_at, _EXPIRES_AT.label("expires_at"), o.batch_id, o.attempts, o.status_reason)
    recalled = (opted_out_at().label("opted_out_at"), sum_sent().label("spent"))
    due = and_(
        o.account_id == bindparam("account"),
        o.state == OrderState.QUEUED,
        o.due_at <= NOW,
        is_one_of(o.kind, kinds),
    )
    query = (
        select(*facts, *history, *recalled).where(due).order_by(o.priority, o.due_at).limit(bindparam("most"))
    )
    query = query if serves_audio else query.where(~plays_audio())
    return query.with_for_update(of=orders, skip_locked=True)


def _nothing_due(tx: Tx, pace: Pace, only: Collection[str] | None) -> Idle:
    which = is_queued(tx) if only is None else and_(is_queued(tx), orders.c.id.in_(only))
    which = which if pace.serves_audio else and_(which, ~plays_audio())
    row = tx.first(select(func.min(orders.c.due_at)).where(which))
    return Idle(max(row[0] - tx.now, timedelta())) if row and row[0] else Idle(None)


def is_queued(tx: Tx) -> ColumnElement[bool]:
    """Build the condition that an order of this account, of a known kind, is queued."""
    ours = orders.c.account_id == tx.account_id, is_one_of(orders.c.kind, tx.kinds)
    return and_(*ours, orders.c.state == OrderState.QUEUED)


def _claim_all(tx: Tx, rows: Iterable[Row[Any]], pace: Pace, check: DraftCheck) -> list[Claim]:
    """Claim orders, each with a slot of the pace, as long as the next slot may be taken.

    Stop at the first order that may not go out any more, and end it. The orders claimed before count as
    spent.
    """
    slots = _Slots(tx, pace)
    claims: list[Claim] = []
    claimed = 0
    for row in rows:
        if not slots.is_free:
            break
        draft = parse_draft(tx, row)
        if _is_held_back(tx, row, draft, pace, check, spent=int(row.spent) + claimed):
            break
        claimed += row.price
        claims.append(slots.take(row.id, draft, row.currency, row.attempts + 1))
    if claims:
        alter_all(tx, {claim.order_id: _sending(tx, claim, pace) for claim in claims})
        take_slots(tx, slots.next)
    return claims


class _Slots:
    """The slots of the pace, from the next one on."""

    def __init__(self, tx: Tx, pace: Pace) -> None:
        self._now, self._pace = tx.now, pace
        self.next = find_slot(tx, pace)

    @property
    def is_free(self) -> bool:
        """Whether the next slot may be taken now."""
        return self.next <= self._now + self._pace.ahead

    def take(self, order_id: str, draft: Draft, currency: str, attempt: int) -> Claim:
        """Take the next slot for an order, and return the claim."""
        claim = Claim(
            order_id=order_id,
            attempt=attempt,
            lease=secrets.token_hex(16),
            draft=draft,
            currency=currency,
            wait=self.next - self._now,
        )
        self.next += self._pace.gap
        return claim


def claim_new(tx: Tx, row: dict[str, Any], quote: Quote, pace: Pace) -> Claim | None:
    """Claim an order that is just being placed, with nothing queued before it, if it may go.

    The claim is added to `row`, which is not written yet.
    """
    is_left = not pace.serves_audio and find_audio_use(row["kind"], row["details"])
    if is_left or find_idle(tx, pace):
        return None
    slots = _Slots(tx, pace)
    claim = slots.take(row["id"], quote.draft, row["currency"], attempt=1)
    take_slots(tx, slots.next)
    row |= _sending(tx, claim, pace)
    return claim


def _sending(tx: Tx, claim: Claim, pace: Pace) -> dict[str, Any]:
    """Return the columns that say that an order is being sent."""
    return {
        "state": OrderState.SENDING,
        "lease": claim.lease,
        "due_at": tx.now + pace.lease,
        "attempts": claim.attempt,
        "attempted_at": tx.now,
        "provider_attempted_at": pace.provider_now,
        "attempted_as": tx.account.sends_as,
        "is_hidden": claim.draft.kind in pace.hides,
        "absent_at": None,
        "charged_at": tx.now,
        "changed_at": tx.now,
    }


def _is_held_back(tx: Tx, row: Row[Any], draft: Draft, pace: Pace, check: DraftCheck, *, spent: int) -> bool:
    """End an order that may not go out, or put it off. Return whether it is not sent now.

    `spent`: what was charged in the last 24 hours for what was sent or is being sent.
    """
    if tx.now > row.expires_at:
        _end_late(tx, row)
        return True
    if not pace.at_night and wait_for_morning(tx, row):
        return True
    opt_out = OptOut(at=row.opted_out_at) if row.opted_out_at else None
    recall = Recall(opted_out=opt_out is not None, opt_out=opt_out, spent=spent)
    why_not = check(draft, parse_price(row), recall)
    lowered = _explain_lowered(tx, row, draft, recall, check) if why_not else ""
    can_wait = why_not and why_not.guards == {"daily_budget"} and not lowered
    if can_wait and _wait_for_budget(tx, row, draft, recall, check):
        return True
    if why_not and row.batch_id and "daily_budget" in why_not.guards:
        pause_batch(tx, row.batch_id, lowered or _OVER_BUDGET)
    elif why_not:
        reason = generalize_reason(why_not.reason, Number(row.recipient)) if row.batch_id else why_not.reason
        close(tx, row, OrderState.CANCELLED, reason)
    return why_not is not None


def _explain_lowered(tx: Tx, row: Row[Any], draft: Draft, recall: Recall, check: DraftCheck) -> str:
    """Return that the daily budget was lowered below what a batch alone costs; "" if it was not.

    The batch did fit at its start. Since its texts may leave later than planned, shorter periods are summed.
    """
    if row.batch_id is None:
        return ""
    own = find_own_peak(tx, row.batch_id, DAY - ORDER_LATENESS)
    alone = recall.model_copy(update={"spent": max(0, own - row.price)})
    refusal = check(draft, parse_price(row), alone)
    if refusal is None or refusal.budget is None:
        return ""
    return (
        f"The daily budget, ELKS_BUDGET_PER_DAY, was lowered to {refusal.budget}, and its texts cost "
        f"{Money(own, row.currency)}."
    )


def _wait_for_budget(tx: Tx, row: Row[Any], draft: Draft, recall: Recall, check: DraftCheck) -> bool:
    """Put off a row of a batch, or a scheduled text, for which the budget is free again in time.

    The texts of the day before may have left a little later than planned, and so count a little longer. The
    other rows of the batch that are due are put off as well. Return whether it was put off.
    """
    if row.batch_id is None and row.send_at is None:
        return False
    price, over = parse_price(row), list_sent(tx, row.expires_at)
    left = [recall.spent - freed for freed in accumulate(charge for _, charge in over)]
    number = bisect_left(
        left, True, key=lambda spent: check(draft, price, recall.model_copy(update={"spent": spent})) is None
    )
    if number == len(over):
        return False
    due_at = min(max(over[number][0] + DAY, tx.now + _SHORTEST_WAIT), row.expires_at)
    its_batch = and_(orders.c.batch_id == row.batch_id, orders.c.state == OrderState.QUEUED)
    which = its_batch if row.batch_id else orders.c.id == row.id
    tx.execute(
        update(orders).where(which, orders.c.due_at < due_at).values(due_at=due_at, status_reason=USED_UP)
    )
    return True


USED_UP = "The daily budget was used up."
"""Why an order is put off until the budget is free again."""

_SHORTEST_WAIT = timedelta(seconds=20)
"""How long a batch waits at least for its budget, so that its rows are not put off one by one."""


def expire_queued(tx: Tx) -> None:
    """End the queued orders that are too late. A batch that has no send time is paused instead."""
    late = select(orders).where(is_queued(tx), tx.now > _EXPIRES_AT)
    batch_ids = late.with_only_columns(orders.c.batch_id).where(orders.c.send_at.is_(None)).distinct()
    for row in tx.all(batch_ids.where(orders.c.batch_id.is_not(None))):
        pause_batch(tx, row.batch_id, NOT_SENT)
    for row in tx.all(late.with_for_update()):
        _expire(tx, row)


def is_before(priority: int, due_at: datetime) -> ColumnElement[bool]:
    """Build the condition that an order goes out before one with this priority that is due then."""
    o = orders.c
    return or_(o.priority < priority, and_(o.priority == priority, o.due_at < due_at))


def _end_late(tx: Tx, row: Row[Any]) -> None:
    """End an order for which it is too late; a batch that has no send time is paused instead."""
    if row.batch_id and row.send_at is None:
        pause_batch(tx, row.batch_id, NOT_SENT)
    else:
        _expire(tx, row)


_OVER_BUDGET = "The daily budget, ELKS_BUDGET_PER_DAY, does not allow all of its texts any more."
NOT_SENT = (
    "Its texts could not be sent for an hour: no server that may send was running, or 46elks accepted none."
)
NOT_CALLED = "No server made it that has a public address (ELKS_PUBLIC_URL): 46elks fetches its audio there."


def _expire(tx: Tx, row: Row[Any]) -> None:
    too_late = "It could not be sent at its time." if row.send_at else "It was still queued after an hour."
    if find_audio_use(row.kind, row.details):
        too_late = f"{too_late} {NOT_CALLED}"
    close(tx, row, OrderState.EXPIRED, row.status_reason or too_late)


_EXPIRES_AT = func.coalesce(orders.c.expires_at, shifted(orders.c.placed_at, ORDER_LATENESS), type_=Moment)
"""When it is too late to send an order. Older versions, which may share the database, do not store it."""
