"""Queuing the rows of a batch as orders, when it is started and when it is resumed."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, and_, func, or_, select

from elks_mcp.domain.batches import ALREADY_SENT, BatchPlan, find_last_slot, generalize_reason
from elks_mcp.domain.models import Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import ORDER_LATENESS, Draft, Estimate, OrderState, Quote
from elks_mcp.domain.phone import Number
from elks_mcp.domain.send_times import find_morning
from elks_mcp.domain.taint import ShownText
from elks_mcp.errors import Refused
from elks_mcp.store.batch_recall import recall_all
from elks_mcp.store.db.changes import alter_all, close, erase_content
from elks_mcp.store.db.codes import make_code
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.rows import build_order, parse_draft, parse_price
from elks_mcp.store.db.schema import orders
from elks_mcp.store.pace import find_slot
from elks_mcp.store.totals import find_fullest_day
from elks_mcp.store.values import BatchChecks, Covered, DraftCheck, Pace, SumCheck


class _Slot(NamedTuple):
    """When a row goes out."""

    at: datetime
    charged_at: datetime
    """When its charge counts: with the row's slot of the pace, as far as that is known."""

    latest: datetime
    """When it is too late for it."""


class _DueText(NamedTuple):
    """A text of a batch that is about to be queued."""

    draft: Draft
    price: Money
    slot: _Slot


def place_rows(
    tx: Tx, plan: BatchPlan, checks: BatchChecks, shown: Collection[ShownText]
) -> list[dict[str, Any]]:
    """Return the orders that the rows of a plan, at least one, become."""
    drafts = [plan.draft(row) for row in plan.rows]
    slots = _find_slots(tx, [(draft.to, draft.send_at) for draft in drafts], checks.pace, plan.lateness)
    texts = [_DueText(*each) for each in zip(drafts, (row.price for row in plan.rows), slots, strict=True)]
    refusals = _list_refusals(tx, texts, checks, shown, again=plan.again)
    placed = []
    for row, text, why_not in zip(plan.rows, texts, refusals, strict=True):
        estimate = Estimate(price=row.price, parts=row.parts)
        quote = Quote(draft=text.draft, estimate=estimate, findings=(), quoted_at=plan.planned_at)
        order = _build_row(tx, quote, text.slot, why_not)
        placed.append(order | {"batch_id": plan.id, "batch_row": row.row})
    return placed


def _list_refusals(
    tx: Tx,
    texts: Sequence[_DueText],
    checks: BatchChecks,
    shown: Collection[ShownText] = (),
    *,
    again: bool,
    resumed: str | None = None,
) -> list[str]:
    """Return why each of these texts may not go out; "" if it may.

    `again`: whether one goes out that an earlier order covers. `resumed`: the batch whose paused rows they
    are, so that those do not count as other texts.
    """
    drafts, moments = [each.draft for each in texts], [each.slot.at for each in texts]
    known = recall_all(tx, drafts, moments, shown, resumed=resumed)
    to_them = Counter[str]()
    refusals = []
    for (draft, price, _), recall, covered in zip(texts, known.recalls, known.covered, strict=True):
        counted = recall.counting(to_them[draft.to.e164])
        why_not = "" if again or not checks.dedupes else _explain(covered)
        why_not = why_not or _refuse(checks.row, draft, price, counted)
        to_them[draft.to.e164] += not why_not
        refusals.append(why_not)
    return refusals


def find_send_time(
    tx: Tx, to: Number, send_at: datetime | None, slot: datetime, *, at_night: bool
) -> datetime:
    """Return when a text of a batch goes out: at its time, or now unless its slot is at night."""
    if send_at or at_night:
        return max(send_at or tx.now, tx.now)
    return find_morning(to, max(slot, tx.now)) or tx.now


def _find_slots(
    tx: Tx, texts: Collection[tuple[Number, datetime | None]], pace: Pace, lateness: timedelta
) -> list[_Slot]:
    """Return when these texts go out. `lateness`: how late one with a send time may go out.

    The hour that a text without a send time may be late counts from its slot, behind all that is queued.
    """
    first, before = find_slot(tx, pace), _count_before(tx)
    late_by = find_last_slot(tx.now, before + len(texts), pace.gap) - tx.now + ORDER_LATENESS
    at_that_time = Counter[datetime]()
    slots = []
    for number, (to, send_at) in enumerate(texts):
        slot = find_last_slot(first, before + number + 1, pace.gap)
        at = find_send_time(tx, to, send_at, slot, at_night=pace.at_night)
        at_that_time[at] += 1
        charged_at = slot if at == tx.now else find_last_slot(at, at_that_time[at], pace.gap)
        slots.append(_Slot(at, charged_at, send_at + lateness if send_at else at + late_by))
    return slots


def _count_before(tx: Tx) -> int:
    """Return how many orders go out before a batch: queued, or waiting for the morning."""
    waits = and_(orders.c.state == OrderState.SCHEDULED, orders.c.send_at.is_(None))
    before = and_(orders.c.account_id == tx.account_id, or_(orders.c.state == OrderState.QUEUED, waits))
    return int(tx.execute(select(func.count()).where(before)).scalar_one())


def _explain(covered: Covered | None) -> str:
    return f"{ALREADY_SENT} in {covered.batch_id or covered.order_id}." if covered else ""


def _refuse(check: DraftCheck, draft: Draft, price: Money, known: Recall) -> str:
    refusal = check(draft, price, known)
    return generalize_reason(refusal.reason, draft.to) if refusal else ""


def _build_row(tx: Tx, quote: Quote, slot: _Slot, why_not: str) -> dict[str, Any]:
    state = _find_state(tx, slot)
    return {
        **build_order(tx, quote),
        "id": f"O-{make_code(8)}",
        "state": OrderState.CANCELLED if why_not else state,
        "status_reason": why_not,
        "approval_code": None,
        "placed_at": tx.now,
        "changed_at": tx.now,
        "due_at": slot.at,
        "expires_at": slot.latest,
        "charge": 0 if why_not else quote.estimate.price.units,
        "charged_at": slot.charged_at,
        "unreported": False,
        "priority": 1,
        **(erase_content(tx) if why_not else {}),
    }


def _find_state(tx: Tx, slot: _Slot) -> OrderState:
    return OrderState.SCHEDULED if slot.at > tx.now else OrderState.QUEUED


def reserve(tx: Tx, rows: Iterable[Mapping[str, Any]], currency: str, check: SumCheck) -> None:
    """Check the budget for these rows in all 24 hours in which some go out.

    Raises:
        Refused: The budget does not allow it.
    """
    charges = [(row["charged_at"], row["charge"]) for row in rows if row["charge"]]
    if why_not := explain_excess(tx, charges, currency, check):
        raise Refused(why_not, guards=("daily_budget",))


def explain_excess(tx: Tx, charges: Collection[tuple[datetime, int]], currency: str, check: SumCheck) -> str:
    """Return why the budget does not allow these charges at their moments; "" if it does."""
    if not charges:
        return ""
    day = find_fullest_day(tx, charges)
    return check(Money(day.new, currency), Money(day.others, currency))


def find_excess(
    tx: Tx, drafts: Collection[Draft], prices: Collection[Money], pace: Pace, check: SumCheck
) -> str:
    """Return why the budget does not allow drafts at the times they go out; "" if it does."""
    slots = _find_slots(tx, [(each.to, each.send_at) for each in drafts], pace, timedelta())
    charges = [
        (slot.charged_at, price.units) for slot, price in zip(slots, prices, strict=True) if price.units
    ]
    return explain_excess(tx, charges, next(iter(prices)).currency, check) if charges else ""


def resume_rows(tx: Tx, batch: Row[Any], checks: BatchChecks, *, at_their_times: bool) -> None:
    """Queue the paused rows of a batch again, with their share of the budget.

    A row that may not go out by now, such as one whose recipient opted out since, ends as cancelled. Rows
    whose send time is over end as expired. `at_their_times`: the rows keep their times. Otherwise those
    without a send time get new ones.

    Raises:
        Refused: The budget does not allow them.
    """
    theirs = select(orders).where(orders.c.batch_id == batch.id, orders.c.state == OrderState.PAUSED)
    paused = tx.all(theirs.order_by(orders.c.batch_row).with_for_update())
    left = [row for row in paused if not _expire_late(tx, row)]
    if not left:
        return
    if at_their_times:
        slots = [_keep_slot(tx, row) for row in left]
    else:
        times = [(Number(row.recipient), row.send_at) for row in left]
        slots = _find_slots(tx, times, checks.pace, timedelta())
    texts = [
        _DueText(parse_draft(tx, row), parse_price(row), slot) for row, slot in zip(left, slots, strict=True)
    ]
    again = json.loads(batch.plan)["again"]
    refusals = _list_refusals(tx, texts, checks, again=again, resumed=batch.id)
    queued = {}
    for row, text, why_not in zip(left, texts, refusals, strict=True):
        if why_not:
            close(tx, row, OrderState.CANCELLED, why_not)
        else:
            queued[row.id] = _build_resumed(tx, row, text.slot)
    reserve(tx, queued.values(), batch.currency, checks.total)
    if queued:
        alter_all(tx, queued)


def _keep_slot(tx: Tx, row: Row[Any]) -> _Slot:
    at = max(row.due_at, tx.now)
    return _Slot(at, max(row.charged_at, at), row.expires_at)


def _expire_late(tx: Tx, row: Row[Any]) -> bool:
    """End a row whose send time is over. Return whether it was ended."""
    if row.send_at is None or row.expires_at >= tx.now:
        return False
    close(tx, row, OrderState.EXPIRED, PAUSED_AT_ITS_TIME, unreported=True)
    return True


PAUSED_AT_ITS_TIME = "The batch was paused at its time."


def _build_resumed(tx: Tx, row: Row[Any], slot: _Slot) -> dict[str, Any]:
    return {
        "state": _find_state(tx, slot),
        "due_at": slot.at,
        "expires_at": row.expires_at if row.send_at else slot.latest,
        "charge": row.price,
        "charged_at": slot.charged_at,
        "changed_at": tx.now,
    }
