"""Record incoming texts and delivery reports, with all consequences, in one transaction.

Messages and reports may come by webhook or by polling, in any order and any number of times. A message is
known by its id, the latest STOP or START counts, and a delivery status never goes back.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, delete, insert, select, update

from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.orders import OrderState, Receipt, Report
from elks_mcp.store.acknowledgements import record_acknowledgements
from elks_mcp.store.arrivals import find_stored, record_arrivals
from elks_mcp.store.db.changes import accept, alter, change
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import accounts, orders, parked
from elks_mcp.store.db.transactions import deciding, reading
from elks_mcp.store.known_numbers import record_numbers
from elks_mcp.store.opt_outs import read_new_words, record_opt_outs
from elks_mcp.store.self_caused import find_self_caused

PARKED_FOR = timedelta(minutes=10)
"""How long a report about an unknown message is kept for its order."""

_STATES = {"delivered": OrderState.DELIVERED, "failed": OrderState.FAILED}


class HistoryPosition(NamedTuple):
    """How far 46elks' history was read."""

    until: datetime | None
    """The time of the newest message then, by 46elks' clock; None if history was never read."""

    age: timedelta | None
    """How long ago history was read."""

    now: datetime
    """The time of this answer, by the database's clock."""


class InboundStore:
    """Records messages and delivery reports. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def find_position(self, tx: Tx) -> HistoryPosition:
        """Return how far history was read for this account, by any process."""
        row = tx.first(select(accounts).where(accounts.c.id == tx.account_id))
        read_at = row.history_read_at if row else None
        return HistoryPosition(
            until=row.history_read_until if row else None,
            age=tx.now - read_at if read_at else None,
            now=tx.now,
        )

    @deciding
    def record(
        self,
        tx: Tx,
        messages: Iterable[Message],
        *,
        until: datetime | None = None,
        at: datetime | None = None,
        has_gaps: bool = False,
    ) -> None:
        """Record messages: their senders and recipients, opt-outs, received texts and deliveries.

        `until` is how far history was read, by 46elks' clock, and `at` when that reading began. `has_gaps`
        says that history held a row that cannot be read and may be a STOP.
        """
        messages = _with_likely_times(tx, messages)
        _record_messages(tx, messages)
        for message in messages:
            if message.status in _STATES:
                _record_report(tx, Report(message_id=message.id, status=message.status))
        if until:
            ours = update(accounts).where(accounts.c.id == tx.account_id)
            gap = {"unread_at": tx.now} if has_gaps else {}
            tx.execute(ours.values(history_read_until=until, history_read_at=at or tx.now, **gap))

    @deciding
    def record_webhooks(self, tx: Tx, messages: Iterable[Message], reports: Iterable[Report]) -> list[Report]:
        """Record the messages and reports of webhooks. Return the reports that were parked.

        A report that carries our order's id proves that 46elks accepted the order, even if the answer to the
        POST was lost. A status never goes back, and "delivered" is final. A report about an unknown message
        is parked.
        """
        _record_messages(tx, _with_likely_times(tx, messages))
        unknown = [report for report in reports if not _record_report(tx, report)]
        for report in unknown:
            _park(tx, report)
        return unknown

    @deciding
    def retry_parked(self, tx: Tx) -> int:
        """Record parked reports whose order is known by now, and delete old ones.

        Return how many are left.
        """
        left = 0
        ours = parked.c.account_id == tx.account_id
        for row in tx.all(select(parked).where(ours)):
            is_over = row.parked_at < tx.now - PARKED_FOR
            if is_over or _record_report(tx, Report(message_id=row.message_id, status=row.status)):
                tx.execute(delete(parked).where(ours, parked.c.message_id == row.message_id))
            else:
                left += 1
        return left


def _record_messages(tx: Tx, messages: tuple[Message, ...]) -> None:
    """Record what follows from messages. One that the account may have caused can only opt out."""
    stored = find_stored(tx, [each.id for each in messages if each.direction is Direction.INBOUND])
    caused = find_self_caused(tx, messages, stored)
    in_order = sorted(messages, key=lambda each: (each.created_at or tx.now, each.id))
    words = read_new_words(tx, in_order, stored, caused)
    record_numbers(tx, [each for each in in_order if each.id not in caused], words)
    record_opt_outs(tx, in_order, words)
    record_acknowledgements(tx, in_order, stored, caused)
    record_arrivals(tx, messages, stored, caused)


def _with_likely_times(tx: Tx, messages: Iterable[Message]) -> tuple[Message, ...]:
    """Remove times in the future: a START of the year 2999 would outweigh any STOP."""
    latest = tx.now + timedelta(days=1)
    return tuple(
        each.model_copy(update={"created_at": None}) if each.created_at and each.created_at > latest else each
        for each in messages
    )


def _park(tx: Tx, report: Report) -> None:
    """Park a report. If several are about one message, the most final one stays."""
    ours = and_(parked.c.account_id == tx.account_id, parked.c.message_id == report.message_id)
    known = tx.first(select(parked).where(ours))
    if known is None:
        row = {"account_id": tx.account_id, "message_id": report.message_id}
        tx.execute(insert(parked).values(**row, status=report.status, parked_at=tx.now))
    elif known.status not in _STATES or report.status == "delivered":
        tx.execute(update(parked).where(ours).values(status=report.status))


def _record_report(tx: Tx, report: Report) -> bool:
    ours = select(orders).filter_by(account_id=tx.account_id).with_for_update()
    row = tx.first(ours.where(orders.c.message_id == report.message_id))
    if row is None and report.order_id:
        row = tx.first(ours.where(orders.c.id == report.order_id))
        if row is not None and row.message_id is None:
            accept(tx, row.id, Receipt(message_id=report.message_id, status=report.status))
            tx.announce()
        elif row is not None and row.message_id != report.message_id:
            return False
    if row is None:
        return False
    state = _STATES.get(report.status)
    if state is None and row.message_status == "created":
        alter(tx, row.id, message_status=report.status)
    if state and row.state != OrderState.DELIVERED:
        status_reason = "" if state is OrderState.DELIVERED else row.status_reason
        change(tx, row.id, state=state, message_status=report.status, status_reason=status_reason)
        if state != row.state:
            tx.announce()
    return True
