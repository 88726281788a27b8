"""The schedule: orders that go out later, and those that were not sent at their time.

    scheduled ──send time──→ queued ──→ … as in the queue
        └──too late──→ expired

An order is never queued before its send time, by the database's clock, and never later than its lateness.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, update

from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import CANCELLED_BY_CALLER, Draft, Finding, Order, OrderState
from elks_mcp.runtime.clock import Deadline
from elks_mcp.store.approval import let_wait
from elks_mcp.store.batch_pauses import pause_batch, pause_if_refused
from elks_mcp.store.db.changes import WAS_CANCELLED, alter, close
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.moments import Moment
from elks_mcp.store.db.rows import parse_draft, parse_order, parse_price
from elks_mcp.store.db.schema import is_one_of, orders
from elks_mcp.store.db.transactions import deciding, reading, writing

_MISSED = "It was too late to send it: no server that may send was running in time, or 46elks did not answer."
_CHECK_INTERVAL = timedelta(seconds=1)
"""How often a caller's unreported orders are checked, at most."""

_MOST_RELEASED = 500
"""The most orders that are released with one transaction."""


class DueOrder(NamedTuple):
    """A scheduled order whose send time has come, and the price at which it was approved."""

    id: str
    draft: Draft
    price: Money
    batch_id: str | None
    """The batch that it is a row of."""


class ScheduledBatch(NamedTuple):
    """Rows of a batch that go out later, or that were not sent at their time."""

    id: str
    first_at: datetime
    """When the first of them goes out, or was to go out."""

    texts: int
    why: str = ""
    """Why they were not sent."""

    are_unknown: bool = False
    """Whether they may have been sent."""


class Schedule:
    """The scheduled orders of one account. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._checked: dict[str, Deadline] = {}
        """Callers whose unreported orders were checked, and until when they are not checked again."""

    @reading
    def list_due(self, tx: Tx, skipped: int = 0) -> list[DueOrder]:
        """List orders whose send time has come, the earliest first: 500 after those skipped."""
        due = select(orders).where(_is_due(tx)).order_by(orders.c.due_at, orders.c.id)
        rows = tx.all(due.offset(skipped).limit(_MOST_RELEASED))
        return [DueOrder(row.id, parse_draft(tx, row), parse_price(row), row.batch_id) for row in rows]

    @deciding
    def release(self, tx: Tx, order_ids: Collection[str]) -> int:
        """Queue these orders, as far as they are still scheduled and due, and return how many."""
        released = update(orders).where(orders.c.id.in_(order_ids), _is_due(tx))
        return tx.execute(released.values(state=OrderState.QUEUED, changed_at=tx.now)).rowcount

    @deciding
    def hold(self, tx: Tx, order_id: str, price: Money, reason: Finding) -> Order | None:
        """Let an order that costs more by now wait for a person, if it is still due.

        Its caller is informed, as of one that was not sent.

        Raises:
            Refused: Too many orders of its caller wait for a person.
        """
        row = _find_due(tx, order_id)
        if row is None:
            return None
        why = f"{reason.reason} A person has to approve it."
        return let_wait(tx, row, reason, price=price.units, status_reason=why, unreported=True)

    @deciding
    def reject(self, tx: Tx, order_id: str, status_reason: str) -> tuple[Order | None, bool]:
        """Record that 46elks refuses an order already when it is priced, if it is still due.

        For a row of a batch, that is an attempt. Return the order, and whether its batch was paused.
        """
        row = _find_due(tx, order_id)
        if row is None:
            return None, False
        order = close(tx, row, OrderState.REJECTED, status_reason)
        if row.batch_id is None:
            return order, False
        alter(tx, order_id, attempted_at=tx.now)
        return order, pause_if_refused(tx, row.batch_id)

    @deciding
    def expire_missed(self, tx: Tx) -> list[Order]:
        """End the scheduled orders for which it is too late, and return them."""
        return expire_missed(tx)

    @reading
    def count_at(self, tx: Tx, at: datetime) -> int:
        """Return how many orders are scheduled for exactly this time."""
        return count_at(tx, at)

    @reading
    def list_upcoming(self, tx: Tx, limit: int, caller: str) -> list[Order]:
        """List the caller's scheduled orders, the earliest first, without the rows of batches."""
        theirs = _scheduled(tx).where(orders.c.caller == caller, orders.c.batch_id.is_(None))
        rows = tx.all(theirs.order_by(orders.c.due_at, orders.c.id).limit(limit))
        return [parse_order(tx, row) for row in rows]

    @reading
    def list_batches(self, tx: Tx, caller: str) -> list[ScheduledBatch]:
        """List the scheduled rows of the caller's batches by batch, the earliest first.

        Rows that wait for the morning are scheduled, too.
        """
        o = orders.c
        rows = _is_scheduled(tx), o.caller == caller, o.batch_id.is_not(None)
        facts = o.batch_id, func.min(o.due_at, type_=Moment).label("first_at"), func.count().label("texts")
        found = tx.all(select(*facts).where(*rows).group_by(o.batch_id).order_by(facts[1], o.batch_id))
        return [ScheduledBatch(row.batch_id, row.first_at, row.texts) for row in found]

    @reading
    def list_missed_batches(self, tx: Tx, since: datetime, caller: str) -> list[ScheduledBatch]:
        """List the rows that `list_missed` leaves out, by batch and reason, the latest first."""
        o = orders.c
        facts = o.batch_id, func.min(o.send_at, type_=Moment).label("first_at"), func.count().label("texts")
        is_unknown = (o.state == OrderState.UNKNOWN).label("is_unknown")
        missed = select(*facts, o.status_reason, is_unknown)
        missed = missed.where(_is_missed(tx, since, caller), o.batch_id.is_not(None))
        alike = missed.group_by(o.batch_id, o.status_reason, is_unknown)
        found = tx.all(alike.order_by(facts[1].desc(), o.batch_id))
        return [
            ScheduledBatch(row.batch_id, row.first_at, row.texts, row.status_reason, bool(row.is_unknown))
            for row in found
        ]

    @reading
    def list_missed(self, tx: Tx, since: datetime, caller: str) -> list[Order]:
        """List the caller's orders that were not sent at their time, without rows of batches.

        The latest is first.

        `since`: the earliest of these times.
        """
        missed = select(orders).where(_is_missed(tx, since, caller), orders.c.batch_id.is_(None))
        return [parse_order(tx, row) for row in tx.all(missed.order_by(orders.c.send_at.desc()))]

    async def take_unreported(self, caller: str) -> list[Order]:
        """Return the caller's orders that were not sent at their time, each once.

        Nothing is locked if there are none, and then nothing is read for a second: every call of a tool asks,
        and many ask at the same time.
        """
        until = self._checked.get(caller)
        if until and not until.has_passed:
            return []
        self._checked[caller] = Deadline(self._database.clock, _CHECK_INTERVAL)
        may_be_more = True
        try:
            may_be_more = await self._has_unreported(caller)
            return await self._take_unreported(caller) if may_be_more else []
        finally:
            if may_be_more:
                self._checked.pop(caller, None)

    @reading
    def _has_unreported(self, tx: Tx, caller: str) -> bool:
        return tx.first(select(orders.c.id).where(_is_unreported(tx, caller)).limit(1)) is not None

    @writing
    def _take_unreported(self, tx: Tx, caller: str) -> list[Order]:
        theirs = select(orders).where(_is_unreported(tx, caller)).order_by(orders.c.send_at, orders.c.id)
        rows = tx.all(theirs.with_for_update())
        taken = orders.c.id.in_([row.id for row in rows])
        tx.execute(update(orders).where(taken).values(unreported=False))
        return [parse_order(tx, row) for row in rows]


def plan_times(tx: Tx, draft: Draft) -> dict[str, Any]:
    """Return the columns that say when an approved order goes out, and when its charge counts."""
    goes_at = max(draft.send_at or tx.now, tx.now)
    return {
        "state": OrderState.SCHEDULED if goes_at > tx.now else OrderState.QUEUED,
        "due_at": goes_at,
        "expires_at": (draft.send_at or tx.now) + draft.lateness,
        "charged_at": goes_at,
    }


def count_at(tx: Tx, at: datetime) -> int:
    """Return how many orders are scheduled for exactly this time."""
    return int(
        tx.execute(
            select(func.count()).select_from(orders).where(_is_scheduled(tx), orders.c.due_at == at)
        ).scalar_one()
    )


def expire_missed(tx: Tx) -> list[Order]:
    """End the scheduled orders for which it is too late, and return them."""
    missed = tx.all(_scheduled(tx).where(orders.c.expires_at < tx.now).with_for_update())
    for batch_id in {row.batch_id for row in missed if row.batch_id and row.send_at is None}:
        pause_batch(tx, batch_id, _MISSED)
    return [close(tx, row, OrderState.EXPIRED, _MISSED) for row in missed if row.send_at]


def _scheduled(tx: Tx) -> Select[Any]:
    return select(orders).where(_is_scheduled(tx))


def _find_due(tx: Tx, order_id: str) -> Row[Any] | None:
    return tx.first(select(orders).where(orders.c.id == order_id, _is_due(tx)).with_for_update())


def _is_due(tx: Tx) -> ColumnElement[bool]:
    """Build the condition that the time of a scheduled order has come, and is not over."""
    return and_(_is_scheduled(tx), orders.c.due_at <= tx.now, orders.c.expires_at >= tx.now)


def _is_missed(tx: Tx, since: datetime, caller: str) -> ColumnElement[bool]:
    """Build the condition that a caller's order was not sent at its time, `since` or later.

    One that is unknown may have been sent. One that was cancelled before its time, or by its caller,
    was not missed.
    """
    o = orders.c
    theirs = and_(o.account_id == tx.account_id, o.caller == caller, o.send_at >= since)
    was_wanted = ~is_one_of(o.status_reason, (WAS_CANCELLED, CANCELLED_BY_CALLER))
    was_stopped = and_(o.state == OrderState.CANCELLED, o.changed_at >= o.send_at, was_wanted)
    return and_(theirs, or_(is_one_of(o.state, _MISSED_STATES), was_stopped))


_MISSED_STATES = (OrderState.EXPIRED, OrderState.REJECTED, OrderState.UNKNOWN)


def _is_unreported(tx: Tx, caller: str) -> ColumnElement[bool]:
    return and_(orders.c.account_id == tx.account_id, orders.c.caller == caller, orders.c.unreported)


def _is_scheduled(tx: Tx) -> ColumnElement[bool]:
    """Build the condition that an order of this account, of a known kind, is scheduled."""
    ours = orders.c.account_id == tx.account_id
    return and_(ours, orders.c.state == OrderState.SCHEDULED, is_one_of(orders.c.kind, tx.kinds))
