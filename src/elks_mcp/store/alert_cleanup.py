"""Deleting what alerts no longer need, and what they say about one person."""

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, or_, select, update

from elks_mcp.domain.batches import PLAN_KEPT
from elks_mcp.domain.escalation import OPEN_STATES
from elks_mcp.domain.phone import Number
from elks_mcp.errors import Refused
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store.alert_ending import expire_alerts
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import alert_attempts, alerts, is_one_of


def delete_old_alerts(tx: Tx, kept: timedelta) -> None:
    """Delete the plans of alerts that ended a day ago, and alerts that ended `kept` ago."""
    expire_alerts(tx)
    ours = alerts.c.account_id == tx.account_id
    over = and_(ours, alerts.c.plan.is_not(None), alerts.c.ended_at < tx.now - PLAN_KEPT)
    tx.execute(update(alerts).where(over).values(plan=None))
    old = and_(ours, alerts.c.ended_at < tx.now - kept)
    tx.execute(delete(alert_attempts).where(alert_attempts.c.alert_id.in_(select(alerts.c.id).where(old))))
    tx.execute(delete(alerts).where(old))


def list_alerts_about(tx: Tx, account_id: int, number: Number) -> list[dict[str, Any]]:
    """Return what an account's alerts say about a number."""
    number_hash = tx.hasher.number(number.e164)
    its = alert_attempts.c.alert_id == alerts.c.id, alert_attempts.c.recipient_hash == number_hash
    answered = or_(alerts.c.acknowledged_by == number_hash, alerts.c.late_by == number_hash)
    concerned = or_(exists().where(*its), answered, alerts.c.plan.contains(f'"{number.e164}"'))
    rows = tx.all(select(alerts).where(alerts.c.account_id == account_id, concerned))
    return [
        {
            "alert": row.id,
            "state": row.state,
            "created_at": row.created_at,
            "acknowledged": row.acknowledged_by == number_hash,
            "acknowledged_late": row.late_by == number_hash,
            "on_path": bool(row.plan and _names(row.plan, number)),
        }
        for row in rows
    ]


def check_no_open_alert(tx: Tx, number: Number) -> None:
    """Check that no alert that runs or waits is to reach a number.

    Raises:
        Refused: there is one.
    """
    is_open = is_one_of(alerts.c.state, OPEN_STATES)
    rows = tx.all(select(alerts.c.id, alerts.c.plan).where(is_open))
    if named := [row.id for row in rows if row.plan and _names(row.plan, number)]:
        raise Refused(
            f"Alerts that are not over are to reach this number: {', '.join(named)}. Nothing was removed.",
            hint=f"To end one: {show_command('escalation end E-…')}.",
        )


def forget_in_alerts(tx: Tx, number: Number) -> None:
    """Delete what alerts that are over say about a number."""
    number_hash = tx.hasher.number(number.e164)
    theirs = alert_attempts.c.recipient_hash == number_hash
    tx.execute(update(alert_attempts).where(theirs).values(recipient_hash=None, skipped=""))
    for column in (alerts.c.acknowledged_by, alerts.c.late_by):
        tx.execute(update(alerts).where(column == number_hash).values({column: None}))
    for row in tx.all(select(alerts.c.id, alerts.c.plan).where(alerts.c.plan.is_not(None))):
        if _names(row.plan, number):
            tx.execute(update(alerts).where(alerts.c.id == row.id).values(plan=None))


def _names(plan: str, number: Number) -> bool:
    """Return whether a plan, as JSON, is to reach a number, or left it out."""
    written = json.loads(plan)
    people = [each for stage in written["path"]["stages"] for each in stage["people"]]
    return any(each["to"]["e164"] == number.e164 for each in [*people, *written["left_out"]])
