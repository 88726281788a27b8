"""Acknowledging alerts by text, in the transaction that records the text.

A text acknowledges an alert only if it comes from a number that this alert texted or called, after that, and
holds the alert's code. A text that the account may have caused itself never does.

"After" compares two times of 46elks if it can, so a wrong clock of this machine does not matter.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, case, func, select, true, update

from elks_mcp.domain.acknowledgements import MOST_WRONG_CODES, find_code
from elks_mcp.domain.alerts import AckMeans
from elks_mcp.domain.batches import PLAN_KEPT
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.orders import NEVER_SENT, OrderState
from elks_mcp.domain.phone import is_e164
from elks_mcp.store.alert_ending import acknowledge
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.moments import shifted
from elks_mcp.store.db.schema import alert_attempts, alerts, orders

_CLOCK_ERROR = timedelta(minutes=1)
"""How far the clocks of 46elks' own machines may differ."""

_LIKELY = timedelta(hours=1)
"""How far 46elks' time of an order may be from that of our attempt and still be used."""

_LARGE_CLOCK_ERROR = PLAN_KEPT / 2
"""How far the database's clock and 46elks' may differ.

A code is not used again before `PLAN_KEPT` after the end of its alert. So within this time, a text with the
code of an alert was not written for an earlier one.
"""


def record_acknowledgements(
    tx: Tx, messages: Iterable[Message], stored: Collection[str], caused: Collection[str]
) -> None:
    """Record which of these texts acknowledge an alert.

    `messages`: in the order in which they were written. `stored`: the ids of those that were received before.
    `caused`: the ids of those that the account may have sent itself.
    """
    codes = {
        each.id: code
        for each in messages
        if each.direction is Direction.INBOUND and each.id not in caused and is_e164(each.sender)
        if each.id not in stored and (code := find_code(each.text or ""))
    }
    for each in messages:
        if each.id in codes:
            _record_code(tx, tx.hasher.number(each.sender), codes[each.id], each.created_at)


def _record_code(tx: Tx, number_hash: str, code: str, received_at: datetime | None) -> None:
    asked = _list_asked(tx, number_hash, received_at)
    meant = [row for row in asked if row.code == code]
    for row in meant:
        if row.wrong_codes < MOST_WRONG_CODES:
            acknowledge(tx, row, AckMeans.TEXT, number_hash)
    if meant:
        return
    running = [row.id for row in asked if row.state == AlertState.RUNNING]
    if running:
        theirs = alert_attempts.c.recipient_hash == number_hash, alert_attempts.c.alert_id.in_(running)
        counted = {"wrong_codes": alert_attempts.c.wrong_codes + 1}
        tx.execute(update(alert_attempts).where(*theirs).values(**counted))


def _list_asked(tx: Tx, number_hash: str, received_at: datetime | None) -> list[Row[Any]]:
    """Lock and list the alerts of the last day that reached a number before a moment.

    `received_at`: by 46elks' clock; None if 46elks named no time.
    """
    wrong_codes = func.max(alert_attempts.c.wrong_codes).label("wrong_codes")
    reached = (
        select(alert_attempts.c.alert_id, wrong_codes)
        .join(orders, orders.c.id == alert_attempts.c.order_id)
        .where(
            alert_attempts.c.recipient_hash == number_hash,
            _is_before(received_at),
            orders.c.state.not_in(_NOT_OUT),
        )
        .group_by(alert_attempts.c.alert_id)
        .subquery()
    )
    recent = alerts.c.ended_at.is_(None) | (alerts.c.ended_at > tx.now - PLAN_KEPT)
    asked = select(alerts, reached.c.wrong_codes).join(reached, reached.c.alert_id == alerts.c.id)
    ours = asked.where(alerts.c.account_id == tx.account_id, recent)
    return list(tx.all(ours.order_by(alerts.c.id).with_for_update(of=alerts)))


def _is_before(received_at: datetime | None) -> ColumnElement[bool]:
    """Build the condition that an attempt came before a moment, by 46elks' clock.

    The time at which 46elks accepted the order decides. It is unknown while the order is being sent or in
    doubt, and not used if it is unlikely. Then the database's clock decides.
    """
    if received_at is None:
        return true()
    accepted_at, tried_at = orders.c.accepted_at, orders.c.attempted_at
    is_likely = accepted_at.between(shifted(tried_at, -_LIKELY), shifted(tried_at, _LIKELY))
    return case(
        (is_likely, accepted_at <= received_at + _CLOCK_ERROR),
        else_=alert_attempts.c.at <= received_at + _LARGE_CLOCK_ERROR,
    )


_NOT_OUT = (*NEVER_SENT, OrderState.WAITING, OrderState.QUEUED)
