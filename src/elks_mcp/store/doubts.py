"""Orders that may have been sent: when 46elks' history is read, and what follows from it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, select

from elks_mcp.domain.call_doubts import MADE_WITHIN
from elks_mcp.domain.doubts import SKEW, Doubt, Verdict
from elks_mcp.domain.kinds import SMS
from elks_mcp.domain.models import Message
from elks_mcp.domain.orders import OrderState, Receipt
from elks_mcp.store.db.changes import accept, change, queue_again
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.rows import parse_draft
from elks_mcp.store.db.schema import orders
from elks_mcp.store.db.transactions import deciding, reading

LONGEST = timedelta(hours=1)
"""How long an order stays in doubt. History is not read after that: 46elks may have deleted rows by then."""

CLOCK_CHANGE = timedelta(minutes=30)
"""How far a clock may be set back while an order is in doubt whose attempt has no time of 46elks."""

_SHORTEST_WAIT, _LONGEST_WAIT = timedelta(seconds=1), timedelta(seconds=30)
"""The shortest and the longest time between two readings of history, before the quiet period is over."""

_WAS_ABSENT = "46elks had not accepted the first attempt."
_IS_ABSENT = "46elks' history does not show it. It is not tried again, since history may be incomplete."
_AMBIGUOUS = "46elks' history has a similar message, which cannot be matched to this order with certainty."
_TOO_LONG = "The outcome could not be determined within an hour."


class Doubts:
    """The orders of one kind that are in doubt. Each method is one transaction."""

    def __init__(self, database: Database, kind: str = SMS) -> None:
        self._database = database
        self._kind = kind

    def of(self, kind: str) -> "Doubts":
        """Return the doubts about orders of another kind."""
        return Doubts(self._database, kind)

    @reading
    def find_due(self, tx: Tx, skew: timedelta = timedelta(0)) -> tuple[datetime, datetime | None]:
        """Return the database time and, if a check is due, from when on history has to be read.

        That is the earliest attempt in doubt by 46elks' clock, due or not, so that every order that is judged
        is covered. `skew` is how far 46elks' clock is ahead of the database's.
        """
        times = orders.c.provider_attempted_at, orders.c.attempted_at, orders.c.due_at
        rows = tx.all(select(*times).where(_in_doubt(tx, self._kind)))
        if not any(row.due_at and row.due_at <= tx.now for row in rows):
            return tx.now, None
        begins = (since - uncertainty for since, uncertainty in (_find_beginning(row, skew) for row in rows))
        return tx.now, min(begins)

    @deciding
    def conclude(
        self,
        tx: Tx,
        history: Iterable[Message] | None,
        *,
        read_at: datetime,
        quiet: timedelta,
        skew: timedelta,
        has_gaps: bool = False,
    ) -> list[str]:
        """Decide the orders in doubt by history as read from `read_at` on. Return their ids.

        `history` is everything that was sent since the first attempt; None if it could not be read. `skew` is
        how far 46elks' clock is ahead of the database's. `has_gaps` says that history holds rows that cannot
        be read: each of them may be any message, so no order is absent.

        An order is absent by two readings. The first begins `quiet` after the attempt ended, or later. The
        second begins a second, or a tenth of `quiet`, after the first, whichever is longer. The time counts
        from the end of the attempt, because a process that stood still may have posted at the end of its
        lease. If the second reading shows something similar, the order becomes unknown.

        History as one API username sees it proves that a message was sent, and never that one of another
        username was not: it is not documented what a subaccount sees of its account, and the other way round.
        The same holds for a message whose content 46elks was asked not to store. Such an order waits for its
        delivery report, and becomes unknown without one.
        """
        rows = tx.all(select(orders).where(_in_doubt(tx, self._kind)).with_for_update())
        judge = tx.kinds[self._kind].judge
        verdicts: dict[str, Verdict] = {}
        if history is not None and judge:
            doubts, unowned = _prepare(tx, rows, history, self._kind, skew)
            verdicts = judge(doubts, unowned, has_gaps=has_gaps)
        for row in rows:
            verdict, quiet_until = _limit(tx, row, verdicts.get(row.id)), _find_end_of_quiet(row, skew, quiet)
            _apply(tx, row, verdict, read_at, quiet_until, _pause_between(quiet))
        return [row.id for row in rows]


def _in_doubt(tx: Tx, kind: str) -> ColumnElement[bool]:
    ours = orders.c.account_id == tx.account_id
    return and_(ours, orders.c.state == OrderState.IN_DOUBT, orders.c.kind == kind)


def _prepare(
    tx: Tx, rows: Iterable[Row[Any]], history: Iterable[Message], kind: str, skew: timedelta
) -> tuple[list[Doubt], list[Message]]:
    """Return the doubts that can be judged, and the messages that may belong to them.

    Calls that became unknown are judged with those in doubt. Messages that are known to belong to other
    orders are left out. So are doubts about a recipient to whom something is being sent: that message may
    be in history already, and only 46elks' answer will tell which of the two orders it belongs to.
    """
    messages = list(history)
    ours = select(orders).where(orders.c.account_id == tx.account_id)
    sending = tx.all(ours.where(orders.c.state == OrderState.SENDING, orders.c.kind == kind))
    known = tx.all(ours.where(orders.c.message_id.in_([each.id for each in messages])))
    busy, owned = {row.recipient for row in sending}, {row.message_id for row in known}
    doubts = [_build_doubt(tx, row, skew) for row in rows if row.recipient not in busy]
    if doubts and not tx.kinds[kind].is_tried_again:
        first = min(row.attempted_at for row in rows)
        doubts += [_build_doubt(tx, row, skew) for row in tx.all(_list_unknown(tx, kind, first))]
    unowned = [message for message in messages if message.id not in owned]
    return doubts, unowned


def _build_doubt(tx: Tx, row: Row[Any], skew: timedelta) -> Doubt:
    since, uncertainty = _find_beginning(row, skew)
    is_decided = row.state == OrderState.UNKNOWN
    return Doubt(
        order_id=row.id,
        draft=parse_draft(tx, row),
        since=since,
        until=None if is_decided else row.changed_at + skew,
        uncertainty=uncertainty,
        is_decided=is_decided,
    )


def _find_beginning(row: Row[Any], skew: timedelta) -> tuple[datetime, timedelta]:
    """Return when an attempt began by 46elks' clock, and how much earlier that may have been.

    The stored time is wrong if a clock was changed between 46elks' last answer and the attempt. That by the
    difference of the clocks now is wrong if one was changed since. So the earlier one is possible, too.
    """
    by_difference = row.attempted_at + skew
    if row.provider_attempted_at:
        return row.provider_attempted_at, max(row.provider_attempted_at - by_difference, timedelta(0))
    return by_difference, CLOCK_CHANGE


def _list_unknown(tx: Tx, kind: str, since: datetime) -> Select[Any]:
    """Build the query for unknown orders to which messages sent since a moment may belong.

    Orders of other kinds are tried again unless history has something similar.
    """
    unknown = select(orders).filter_by(
        account_id=tx.account_id, kind=kind, state=OrderState.UNKNOWN, message_id=None
    )
    is_near = orders.c.attempted_at > since - MADE_WITHIN - SKEW
    return unknown.where(is_near, orders.c.recipient.is_not(None), orders.c.content.is_not(None))


def _limit(tx: Tx, row: Row[Any], verdict: Verdict | None) -> Verdict | None:
    """Return a verdict, or None if it follows from what history may not show."""
    # Versions that had no column for it made every attempt with the username of the account.
    is_anothers = (row.attempted_as or tx.account.username) != tx.account.sends_as
    return None if verdict and not verdict.message and (is_anothers or row.is_hidden) else verdict


def _find_end_of_quiet(row: Row[Any], skew: timedelta, quiet: timedelta) -> datetime:
    """Return when the quiet period is over, by the database's clock and by 46elks'.

    Two clocks, because one that is set forward would end the period immediately.
    """
    by_database: datetime = row.changed_at + quiet
    if row.provider_attempted_at is None:
        return by_database
    tried = max(row.changed_at - row.attempted_at, timedelta(0))
    by_provider: datetime = row.provider_attempted_at - skew + tried + quiet
    return max(by_database, by_provider)


def _apply(
    tx: Tx,
    row: Row[Any],
    verdict: Verdict | None,
    read_at: datetime,
    quiet_until: datetime,
    pause: timedelta,
) -> None:
    if verdict and verdict.message:
        accept(tx, row.id, _receipt(verdict.message))
    elif tx.now - row.attempted_at > LONGEST:
        _end(tx, row, _TOO_LONG)
    elif verdict is None or read_at < quiet_until:
        change(tx, row.id, due_at=_next_reading(tx, row, quiet_until))
    elif verdict.is_absent:
        _apply_absence(tx, row, read_at, pause)
    elif read_at < (clear_by := quiet_until + pause):
        change(tx, row.id, absent_at=None, due_at=clear_by)
    else:
        _end(tx, row, _AMBIGUOUS)


def _apply_absence(tx: Tx, row: Row[Any], read_at: datetime, pause: timedelta) -> None:
    """Queue the order again at the second reading without it, if its kind may be tried again."""
    if row.absent_at is None:
        change(tx, row.id, absent_at=read_at, due_at=tx.now + pause)
    elif read_at < row.absent_at + pause:
        change(tx, row.id, due_at=row.absent_at + pause)
    elif tx.kinds[row.kind].is_tried_again:
        queue_again(tx, row, tx.now, status_reason=_WAS_ABSENT, absent_at=None)
    else:
        _end(tx, row, _IS_ABSENT)


def _end(tx: Tx, row: Row[Any], status_reason: str) -> None:
    change(
        tx,
        row.id,
        state=OrderState.UNKNOWN,
        status_reason=status_reason,
        charged_at=tx.now,  # 46elks may have accepted it at any moment until now
        lease=None,
        absent_at=None,
        due_at=tx.now,
        changed_at=tx.now,
        unreported=row.send_at is not None,
    )


def _next_reading(tx: Tx, row: Row[Any], quiet_until: datetime) -> datetime:
    """Return when to read next: less and less often, and at the end of the quiet period."""
    pause: timedelta = min(max((tx.now - row.attempted_at) / 2, _SHORTEST_WAIT), _LONGEST_WAIT)
    return min(tx.now + pause, quiet_until) if quiet_until > tx.now else tx.now + pause


def _pause_between(quiet: timedelta) -> timedelta:
    return max(_SHORTEST_WAIT, quiet / 10)


def _receipt(message: Message) -> Receipt:
    return Receipt(
        message_id=message.id,
        status=message.status,
        created_at=message.created_at,
        cost=message.cost,
        parts=message.parts,
    )
