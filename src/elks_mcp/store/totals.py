"""Sums over one account's orders: what it spent, and how many are in each state."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    ScalarSelect,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
    union_all,
)

from elks_mcp.domain.orders import OrderState
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.moments import NOW, SEND_AT, Moment, shifted
from elks_mcp.store.db.schema import orders
from elks_mcp.store.db.transactions import reading

DAY = timedelta(hours=24)
"""The time that the daily budget covers."""

_spenders = orders.alias("spenders")


def sum_spent() -> ScalarSelect[int]:
    """Build the sum of what an account was charged, or reserved, in the last 24 hours.

    The query's parameter `account` is the account's id.
    """
    return _sum(_spenders.c.charge, and_(_is_ours(), is_spent(_spenders)))


def sum_sent() -> ScalarSelect[int]:
    """Build the sum that an account was charged in the last 24 hours, without queued orders.

    Reservations of queued orders do not count, since each is checked when it is claimed. The query's
    parameter `account` is the account's id.
    """
    return _sum(_spenders.c.charge, and_(_is_ours(), _is_sent()))


def list_sent(tx: Tx, until: datetime) -> Sequence[tuple[datetime, int]]:
    """List the moments and charges of `sum_sent` that no longer count at `until`, by age."""
    at, charge = _spenders.c.charged_at, _spenders.c.charge
    over = select(at, charge).where(_is_ours(), _is_sent(), charge > 0, at <= until - DAY).order_by(at)
    return [
        (row.charged_at, row.charge) for row in tx.execute(over, {"account": tx.account_id, "now": tx.now})
    ]


def _is_sent() -> ColumnElement[bool]:
    return and_(is_spent(_spenders), _spenders.c.state != OrderState.QUEUED)


def find_own_peak(tx: Tx, batch_id: str, length: timedelta) -> int:
    """Return the most that the texts of a batch alone cost in any period of this length."""
    theirs = select(orders.c.charged_at, orders.c.charge).where(
        orders.c.batch_id == batch_id, orders.c.charge > 0
    )
    changes = [(row.charged_at, FullestDay(row.charge, 0)) for row in tx.all(theirs)]
    changes.sort(key=lambda each: each[0])
    return max((day.new for day in _slide(changes, length)), default=0)


class FullestDay(NamedTuple):
    """The 24 hours with most spending of those in which something new is spent."""

    new: int
    others: int
    """Spent by other orders."""


def find_fullest_day(tx: Tx, new: Collection[tuple[datetime, int]]) -> FullestDay:
    """Return the fullest 24 hours if these charges, at least one, are added at their moments."""
    at, charge = orders.c.charged_at, orders.c.charge
    first, last = min(each for each, _ in new), max(each for each, _ in new)
    near = and_(orders.c.account_id == tx.account_id, charge > 0, at > first - DAY, at < last + DAY)
    others = tx.all(select(at, func.sum(charge).label("charge")).where(near).group_by(at))
    changes = [(moment, FullestDay(amount, 0)) for moment, amount in new]
    changes += [(row.charged_at, FullestDay(0, int(row.charge))) for row in others]
    changes.sort(key=lambda each: each[0])
    return max(_slide(changes, DAY), key=sum)


def _slide(changes: Sequence[tuple[datetime, FullestDay]], length: timedelta) -> Iterator[FullestDay]:
    """Yield the sums of the periods that end with each change, if something new is in them."""
    new = others = start = 0
    for moment, change in changes:
        new, others = new + change.new, others + change.others
        while changes[start][0] <= moment - length:
            new, others = new - changes[start][1].new, others - changes[start][1].others
            start += 1
        if new:
            yield FullestDay(new, others)


def is_spent(table: FromClause) -> ColumnElement[bool]:
    """Build the condition that the charge of an order in `table` counts now.

    A charge in the future is that of a scheduled order, and counts later. Otherwise the clock was put back
    after the charge, which counts already.
    """
    at, state = table.c.charged_at, table.c.state
    has_come = or_(at <= NOW, state != OrderState.SCHEDULED)
    return and_(at > shifted(NOW, -DAY), at < shifted(NOW, DAY), has_come)


class Peak(NamedTuple):
    """The largest sum of amounts in any period of a length that contains `SEND_AT`, in SQL."""

    moment: ColumnElement[datetime]
    """When an amount counts."""

    amount: ColumnElement[int]
    counted: ColumnElement[bool]
    """Which rows count, at whatever time."""

    later: ColumnElement[bool]
    """Which of them come later than `SEND_AT`, by less than the length. An index finds them."""

    length: timedelta

    def has_later(self) -> ColumnElement[bool]:
        """Build the condition that anything comes later. If not, the peak is `sum_before`."""
        return exists().where(self.later)

    def sum_before(self) -> ScalarSelect[int]:
        """Build the sum of the period that ends at `SEND_AT`."""
        since = self.moment > shifted(SEND_AT, -self.length)
        return _sum(self.amount, and_(self.counted, since, self.moment <= SEND_AT))

    def find_largest(self) -> ScalarSelect[int]:
        """Build the largest sum of the periods that end at `SEND_AT` or later.

        Each amount is added at its moment, and subtracted when the period that begins there is over: each
        running sum is then that of the period that ends there.
        """
        moment, counted = self.moment, and_(self.counted, _is_within(self.moment, self.length))
        over = type_coerce(shifted(moment, self.length), Moment)
        begun = select(moment.label("at"), self.amount.label("change")).where(counted)
        ended = select(over.label("at"), (-self.amount).label("change")).where(counted)
        now = select(SEND_AT.label("at"), literal(0).label("change"))
        changes = union_all(begun, ended, now).subquery()
        total = func.sum(changes.c.change).over(order_by=changes.c.at)
        totals = select(changes.c.at, total.label("total")).subquery()
        return select(func.max(totals.c.total)).where(totals.c.at >= SEND_AT).scalar_subquery()


def peak_of_spending(*, excluding: bool = False) -> Peak:
    """Build the most that an account spends in any 24 hours that contain `SEND_AT`.

    The charge of a scheduled order counts at its time. The query's parameter `account` is the account's id.
    `excluding`: see `is_other`.
    """
    at, ours = _spenders.c.charged_at, and_(_is_ours(), is_other(_spenders, excluding=excluding))
    later = and_(ours, is_soon_after(at, DAY), _spenders.c.charge > 0)
    return Peak(at, _spenders.c.charge, ours, later, DAY)


def is_other(table: FromClause, *, excluding: bool) -> ColumnElement[bool]:
    """Build the condition that an order in `table` is not the one with the id `excluded_order`.

    Without `excluding`, the query has no such parameter, and all orders meet the condition: an index then has
    everything that a sum needs.
    """
    return table.c.id != bindparam("excluded_order") if excluding else true()


def find_spent_around(tx: Tx, moment: datetime) -> int:
    """Return the most that an account spends in any 24 hours that contain a moment."""
    values = {"account": tx.account_id, "now": tx.known_now, "send_at": moment}
    return int(tx.execute(_SPENT_AROUND, values).scalar_one())


def _is_within(moment: ColumnElement[datetime], length: timedelta) -> ColumnElement[bool]:
    """Build the condition that a period of this length can contain both a moment and `SEND_AT`."""
    return and_(moment > shifted(SEND_AT, -length), moment < shifted(SEND_AT, length))


def is_soon_after(moment: ColumnElement[datetime], length: timedelta) -> ColumnElement[bool]:
    """Build the condition that a moment is later than `SEND_AT`, by less than a length."""
    return and_(moment > SEND_AT, moment < shifted(SEND_AT, length))


def _sum(amount: ColumnElement[int], counted: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.coalesce(func.sum(amount), 0)).where(counted).scalar_subquery()


def _is_ours() -> ColumnElement[bool]:
    return _spenders.c.account_id == bindparam("account")


_SPENDING = peak_of_spending()
_SPENT_AROUND = select(case((_SPENDING.has_later(), _SPENDING.find_largest()), else_=_SPENDING.sum_before()))


class Totals(NamedTuple):
    """The sums that matter for an account's next text, for any recipient."""

    spent: int
    """Charged or reserved in the last 24 hours, in ten-thousandths of the account's currency."""

    counts: Mapping[OrderState, int]
    waiting: timedelta
    """How long the oldest queued order has been waiting, since it was placed or since its send time."""

    history_read_until: datetime | None
    """Up to which time 46elks' history was read for STOPs; None if it never was."""


class TotalsStore:
    """Computes the sums of one account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def sum_up(self, tx: Tx) -> Totals:
        """Return the account's sums as of now."""
        ours = orders.c.account_id == tx.account_id
        spent = tx.execute(select(sum_spent()), {"account": tx.account_id, "now": tx.now}).scalar_one()
        states = select(orders.c.state, func.count().label("number")).where(ours).group_by(orders.c.state)
        since = func.coalesce(orders.c.send_at, orders.c.placed_at, type_=Moment)
        queued = select(func.min(since, type_=Moment)).where(ours, orders.c.state == OrderState.QUEUED)
        oldest = tx.execute(queued).scalar_one()
        return Totals(
            spent=int(spent),
            counts={OrderState(row.state): row.number for row in tx.all(states)},
            waiting=tx.now - oldest if oldest else timedelta(),
            history_read_until=tx.shared["history_read_until"],
        )
