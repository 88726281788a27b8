"""Ending alerts: nothing of them goes out any more, and nothing opens them again."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, or_, select, update

from elks_mcp.domain.alerts import AckMeans
from elks_mcp.domain.escalation import OPEN_STATES, AlertState
from elks_mcp.domain.orders import OrderState
from elks_mcp.store.alert_digits import find_pressed
from elks_mcp.store.alert_rows import parse_alert, parse_alert_plan, write_alert_plan
from elks_mcp.store.audio_expiry import release_audio
from elks_mcp.store.db.changes import ALERT_IS_OVER, erase_content
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import alert_attempts, alerts, is_one_of, orders


def end_alert(tx: Tx, row: Row[Any], state: AlertState, **changes: Any) -> bool:
    """End an alert, and cancel its orders that have not left. Return whether it was open.

    The caller's words are deleted, unless texts are kept. The audio of its calls expires soon.
    """
    if row.state not in OPEN_STATES:
        return False
    plan = parse_alert_plan(tx, row)
    kept = plan if tx.keeps_texts else plan.without_message()
    ended = {"state": state, "ended_at": tx.now, "next_at": None, "plan": write_alert_plan(kept)}
    ended |= {"unreported": row.started_at is not None}
    tx.execute(update(alerts).where(alerts.c.id == row.id).values(**ended, **changes))
    _cancel_orders(tx, row.id)
    release_audio(tx, plan.spoken)
    tx.announce()
    return True


def acknowledge(tx: Tx, row: Row[Any], how: AckMeans, number_hash: str | None) -> None:
    """Acknowledge an alert that runs; one that is over gets a late acknowledgement.

    A person who acknowledged it in time, or pressed the digit late, changes nothing by doing so again.
    """
    if row.state == AlertState.RUNNING:
        done = {"acknowledged_by": number_hash, "acknowledged_how": how}
        end_alert(tx, row, AlertState.ACKNOWLEDGED, **done)
    elif row.state not in OPEN_STATES and not _is_repeat(row, how, number_hash):
        late = {"late_by": number_hash, "late_at": tx.now}
        tx.execute(update(alerts).where(alerts.c.id == row.id).values(**late))


def _is_repeat(row: Row[Any], how: AckMeans, number_hash: str | None) -> bool:
    """Return whether this person acknowledged it before: each report of a call has its digit."""
    in_time = row.state == AlertState.ACKNOWLEDGED and row.acknowledged_by == number_hash
    again_late = how is AckMeans.CALL and row.late_at is not None and row.late_by == number_hash
    return again_late or (in_time and (number_hash is not None or row.acknowledged_how == how))


def find_called(tx: Tx, order_id: str | None) -> str | None:
    """Return the hash of the number that a call of an alert reached; None without an order."""
    if order_id is None:
        return None
    hashes = select(alert_attempts.c.recipient_hash).where(alert_attempts.c.order_id == order_id)
    return tx.execute(hashes).scalars().first()


def _cancel_orders(tx: Tx, alert_id: str) -> None:
    its = exists().where(alert_attempts.c.order_id == orders.c.id, alert_attempts.c.alert_id == alert_id)
    which = its, is_one_of(orders.c.state, _NOT_LEFT)
    cancelled = {"state": OrderState.CANCELLED, "status_reason": ALERT_IS_OVER, "charge": 0}
    tx.execute(
        update(orders).where(*which).values(**cancelled, changed_at=tx.now, lease=None, **erase_content(tx))
    )


_NOT_LEFT = (OrderState.WAITING, OrderState.SCHEDULED, OrderState.QUEUED)


def expire_alerts(tx: Tx) -> None:
    """End the alerts that waited too long for a person, or for a server.

    One that no server carried on ends as with a server: acknowledged if somebody pressed the digit in a call,
    else unanswered, or failed if nobody was reached.
    """
    overdue = select(alerts).where(_is_overdue(tx)).with_for_update()
    for row in tx.all(overdue):
        if row.state == AlertState.RUNNING and (order_id := find_pressed(tx, row.id)):
            acknowledge(tx, row, AckMeans.CALL, find_called(tx, order_id))
            continue
        state = AlertState.EXPIRED
        why = "No server ran to start it in time." if row.approved_at else "No person approved it in time."
        if row.state == AlertState.RUNNING:
            state = AlertState.UNANSWERED if parse_alert(tx, row).has_reached else AlertState.FAILED
            why = "No server ran to carry it on."
        end_alert(tx, row, state, reason=why, key_hash=None)


def _is_overdue(tx: Tx) -> ColumnElement[bool]:
    waits = and_(alerts.c.state == AlertState.WAITING, alerts.c.ends_at <= tx.now)
    is_left = and_(alerts.c.state == AlertState.RUNNING, alerts.c.ends_at <= tx.now - _LEFT_AFTER)
    return and_(alerts.c.account_id == tx.account_id, or_(waits, is_left))


_LEFT_AFTER = timedelta(hours=1)
"""How long after its time cap a running alert is ended that no server carries on."""
