"""Queuing the rows of a batch as orders, when it is started and when it is resumed."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, and_, func, or_, select

from elks_mcp.domain.batches import ALREADY_SENT, BatchPlan, BatchRow, find_last_slot, generalize_reason
from elks_mcp.domain.models import Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import ORDER_LATENESS, Draft, Estimate, OrderState, Quote
from elks_mcp.domain.phone import Number
from elks_mcp.domain.send_times import find_morning
from elks_mcp.domain.taint import ShownText
from elks_mcp.errors import Refused
from elks_mcp.store.batch_recall import recall_all
from elks_mcp.store.db.changes import close, erase_content
from elks_mcp.store.db.codes import make_code
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.rows import build_order
from elks_mcp.store.db.schema import orders
from elks_mcp.store.pace import find_slot
from elks_mcp.store.totals import DAY, find_spent_around
from elks_mcp.store.values import BatchChecks, Covered, DraftCheck, Pace, SumCheck


class _Slot(NamedTuple):
    """When a row goes out."""

    at: datetime
    is_later: bool
    latest: datetime
    """When it is too late for it."""


def place_rows(
    tx: Tx, plan: BatchPlan, checks: BatchChecks, shown: Collection[ShownText]
) -> list[dict[str, Any]]:
    """Return the orders that the rows of a plan, at least one, become."""
    drafts = [plan.draft(row) for row in plan.rows]
    slots = _find_slots(tx, [(draft.to, draft.send_at) for draft in drafts], checks.pace, plan.lateness)
    known = recall_all(tx, drafts, [slot.at for slot in slots], shown)
    placed: list[dict[str, Any]] = []
    to_them = Counter[str]()
    for row, draft, slot, recall, covered in zip(
        plan.rows, drafts, slots, known.recalls, known.covered, strict=True
    ):
        counted = recall.counting(to_them[row.to.e164])
        why_not = "" if plan.again else _explain(covered)
        why_not = why_not or _refuse(checks.row, draft, row, counted)
        to_them[row.to.e164] += not why_not
        quote = Quote(
            draft=draft,
            estimate=Estimate(price=row.price, parts=row.parts),
            findings=(),
            quoted_at=plan.planned_at,
        )
        placed.append(_build_row(tx, quote, slot, why_not) | {"batch_id": plan.id, "batch_row": row.row})
    return placed


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
    slots = []
    for number, (to, send_at) in enumerate(texts):
        slot = find_last_slot(first, before + number + 1, pace.gap)
        at = find_send_time(tx, to, send_at, slot, at_night=pace.at_night)
        latest = send_at + lateness if send_at else at + late_by
        slots.append(_Slot(at, at > tx.now, latest))
    return slots


def _count_before(tx: Tx) -> int:
    """Return how many orders go out before a batch: queued, or waiting for the morning."""
    waits = and_(orders.c.state == OrderState.SCHEDULED, orders.c.send_at.is_(None))
    before = and_(orders.c.account_id == tx.account_id, or_(orders.c.state == OrderState.QUEUED, waits))
    return int(tx.execute(select(func.count()).where(before)).scalar_one())


def _explain(covered: Covered | None) -> str:
    return f"{ALREADY_SENT} in {covered.batch_id or covered.order_id}." if covered else ""


def _refuse(check: DraftCheck, draft: Draft, row: BatchRow, known: Recall) -> str:
    refusal = check(draft, row.price, known)
    return generalize_reason(refusal.reason, draft.to) if refusal else ""


def _build_row(tx: Tx, quote: Quote, slot: _Slot, why_not: str) -> dict[str, Any]:
    state = OrderState.SCHEDULED if slot.is_later else OrderState.QUEUED
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
        "charged_at": slot.at,
        "unreported": False,
        "priority": 1,
        **(erase_content(tx) if why_not else {}),
    }


def reserve(tx: Tx, rows: Iterable[Mapping[str, Any]], currency: str, check: SumCheck) -> None:
    """Check the budget for the sum of these rows, once for each time at which some go out.

    Raises:
        Refused: The budget does not allow it.
    """
    sums: dict[datetime, int] = {}
    for row in rows:
        sums[row["charged_at"]] = sums.get(row["charged_at"], 0) + row["charge"]
    for at in sums:
        near = sum(charge for other, charge in sums.items() if abs(other - at) < DAY)
        spent = find_spent_around(tx, at)
        if why_not := check(Money(near, currency), Money(spent, currency)):
            raise Refused(why_not, guards=("daily_budget",))


def resume_rows(tx: Tx, rows: Collection[Row[Any]], pace: Pace) -> dict[str, dict[str, Any]]:
    """Return the changes that queue paused rows again, by the ids of their orders.

    Rows whose send time is over end as expired.
    """
    left = [row for row in rows if not _expire_late(tx, row)]
    times = [(Number(row.recipient), row.send_at) for row in left]
    slots = _find_slots(tx, times, pace, timedelta())
    return {row.id: _build_resumed(tx, row, slot) for row, slot in zip(left, slots, strict=True)}


def _expire_late(tx: Tx, row: Row[Any]) -> bool:
    """End a row whose send time is over. Return whether it was ended."""
    if row.send_at is None or row.expires_at >= tx.now:
        return False
    close(tx, row, OrderState.EXPIRED, PAUSED_AT_ITS_TIME, unreported=True)
    return True


PAUSED_AT_ITS_TIME = "The batch was paused at its time."


def _build_resumed(tx: Tx, row: Row[Any], slot: _Slot) -> dict[str, Any]:
    return {
        "state": OrderState.SCHEDULED if slot.is_later else OrderState.QUEUED,
        "due_at": slot.at,
        "expires_at": row.expires_at if row.send_at else slot.latest,
        "charge": row.price,
        "charged_at": slot.at,
        "changed_at": tx.now,
    }
