"""What 46elks tells us, put down with all that follows from it, in one transaction.

It may come by any road, in any order and as often as it likes: a message is known by its id, the later
STOP or START counts, and a delivery never goes back.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select, update

from elks_mcp.models import Message, OrderState, Receipt, Report
from elks_mcp.store.arrivals import note_arrivals
from elks_mcp.store.changes import accept, change
from elks_mcp.store.database import Database, Tx, deciding, reading, writing
from elks_mcp.store.people import note_messages
from elks_mcp.store.schema import accounts, orders

_STATES = {"delivered": OrderState.DELIVERED, "failed": OrderState.FAILED}


class Heard(NamedTuple):
    """How far 46elks' history was read."""

    until: datetime | None
    """The time of the newest message then, by 46elks' clock; None where it never was."""

    age: timedelta | None
    """How long ago that was."""

    now: datetime
    """The time of this answer, by the database's clock."""


class Events:
    """Takes note of messages and delivery reports. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def find_heard(self, tx: Tx) -> Heard:
        """Say how far history was read, by whoever read it last for this account."""
        row = tx.first(select(accounts).where(accounts.c.id == tx.account_id))
        looked_at = row.looked_at if row else None
        return Heard(
            until=row.heard_until if row else None,
            age=tx.now - looked_at if looked_at else None,
            now=tx.now,
        )

    @deciding
    def hear(
        self,
        tx: Tx,
        messages: Iterable[Message],
        *,
        until: datetime | None = None,
        at: datetime | None = None,
    ) -> None:
        """Take note of messages: who wrote, to whom, who said STOP, what came in, what was delivered.

        `until`: history was read without a gap up to then, from a moment `at` on.
        """
        messages = tuple(messages)
        note_messages(tx, messages)
        note_arrivals(tx, messages)
        for message in messages:
            if message.status in _STATES:
                _hear(tx, Report(message_id=message.id, status=message.status))
        if until:
            ours = update(accounts).where(accounts.c.id == tx.account_id)
            tx.execute(ours.values(heard_until=until, looked_at=at or tx.now))

    @writing
    def hear_reports(self, tx: Tx, reports: Iterable[Report]) -> list[Report]:
        """Put down delivery reports; return those that are about no order of ours.

        A report that carries our order's number proves that 46elks accepted it, even if its answer to
        us was lost. A status never goes back, and delivered is the last word.
        """
        return [report for report in reports if not _hear(tx, report)]


def _hear(tx: Tx, report: Report) -> bool:
    ours = select(orders).filter_by(account_id=tx.account_id).with_for_update()
    row = tx.first(ours.where(orders.c.message_id == report.message_id))
    if row is None and report.order_id:
        row = tx.first(ours.where(orders.c.id == report.order_id))
        if row is not None and row.message_id is None:
            accept(tx, row.id, Receipt(message_id=report.message_id, status=report.status))
        elif row is not None and row.message_id != report.message_id:
            return False
    if row is None:
        return False
    state = _STATES.get(report.status)
    if state and row.state != OrderState.DELIVERED:
        change(tx, row.id, state=state, message_status=report.status)
    return True
