"""Digits that were pressed in the calls of an alert.

A webhook may come to another process than the one that carries the alert on, which is not informed of it. So
whichever process looks at the alert later finds the digit here.
"""

from typing import NamedTuple

from sqlalchemy import func, or_, select

from elks_mcp.domain.alerts import AckMeans
from elks_mcp.domain.batches import PLAN_KEPT
from elks_mcp.domain.escalation import ACKNOWLEDGING_DIGIT, OPEN_STATES
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import alert_attempts, alerts, calls


class LateDigit(NamedTuple):
    """A digit that acknowledges an alert that is over."""

    alert_id: str
    order_id: str
    number_hash: str
    """The hash of the number that was called."""


def find_pressed(tx: Tx, alert_id: str) -> str | None:
    """Return the order of a call in which an alert was acknowledged; None if it was not in any."""
    pressed = (
        select(alert_attempts.c.order_id)
        .join(calls, calls.c.order_id == alert_attempts.c.order_id)
        .where(alert_attempts.c.alert_id == alert_id, calls.c.digits == ACKNOWLEDGING_DIGIT)
    )
    in_order = alert_attempts.c.position, alert_attempts.c.number
    return tx.execute(pressed.order_by(*in_order).limit(1)).scalar()


def list_late_digits(tx: Tx) -> list[LateDigit]:
    """List the digits that came after the end of alerts of the last day, and have no record.

    An alert with a late acknowledgement is left out, and so is a person who acknowledged in time.
    """
    pressed = (
        select(alerts.c.id, alert_attempts.c.order_id, alert_attempts.c.recipient_hash)
        .join(alert_attempts, alert_attempts.c.alert_id == alerts.c.id)
        .join(calls, calls.c.order_id == alert_attempts.c.order_id)
    )
    is_over = alerts.c.state.not_in(OPEN_STATES), alerts.c.ended_at > tx.now - PLAN_KEPT
    by_another = or_(
        func.coalesce(alerts.c.acknowledged_how, "") != AckMeans.CALL,
        func.coalesce(alerts.c.acknowledged_by, "") != alert_attempts.c.recipient_hash,
    )
    is_late = calls.c.digits == ACKNOWLEDGING_DIGIT, alerts.c.late_at.is_(None), by_another
    rows = tx.all(pressed.where(alerts.c.account_id == tx.account_id, *is_over, *is_late))
    return [LateDigit(row.id, row.order_id, row.recipient_hash) for row in rows if row.recipient_hash]
