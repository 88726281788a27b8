"""Carrying alerts on: each stage is placed once, by one process, and none is skipped.

The orders of a stage and the alert's new position are one transaction. A crash before its commit leaves the
alert where it was, and after a later crash the stage is done.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, func, insert, select, update

from elks_mcp.domain.alerts import Alert, AlertPlan
from elks_mcp.domain.batches import generalize_reason
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.orders import Approval, Approver, Estimate, Quote
from elks_mcp.store.alert_digits import LateDigit, list_late_digits
from elks_mcp.store.alert_ending import end_alert, expire_alerts
from elks_mcp.store.alert_rows import get_alert_row, parse_alert, parse_alert_plan, sum_charges
from elks_mcp.store.alerts import is_alert_of
from elks_mcp.store.batch_recall import recall_all
from elks_mcp.store.db.codes import make_code
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import alert_attempts, alerts, orders
from elks_mcp.store.db.transactions import deciding, reading
from elks_mcp.store.orders import build_new_row
from elks_mcp.store.values import DraftCheck


class PlacedStage(NamedTuple):
    """The result of placing a stage."""

    order_ids: tuple[str, ...]
    skipped: tuple[str, ...]
    """Why people were skipped, each reason with its guards' names."""


class AlertRuns:
    """The running alerts of one account. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def list_running(self, tx: Tx) -> list[Alert]:
        """List the alerts that run, the oldest first."""
        running = select(alerts).where(is_alert_of(tx, AlertState.RUNNING))
        return [parse_alert(tx, row) for row in tx.all(running.order_by(alerts.c.started_at, alerts.c.id))]

    @reading
    def list_approved(self, tx: Tx) -> list[AlertPlan]:
        """List the plans of waiting alerts that a person approved outside the client."""
        waiting = select(alerts).where(is_alert_of(tx, AlertState.WAITING), alerts.c.approved_at.is_not(None))
        return [parse_alert_plan(tx, row) for row in tx.all(waiting.where(alerts.c.ends_at > tx.now))]

    @reading
    def find_now(self, tx: Tx) -> datetime:
        """Return the time by the database's clock, which all servers share."""
        return tx.now

    @deciding
    def place(self, tx: Tx, alert_id: str, position: int, check: DraftCheck) -> PlacedStage | None:
        """Place the orders of a stage, and move the alert on to the next one.

        A person whom `check` refuses, or for whom the rest of the cost cap does not suffice, is skipped. The
        alert's own orders do not count for `velocity`: its path has bounds of its own.
        Return None if the alert is over, or another process placed the stage.
        """
        row = _find_running(tx, alert_id, position)
        if row is None:
            return None
        plan = parse_alert_plan(tx, row)
        stage, left = plan.path.stage(position), row.most - sum_charges(tx, alert_id)
        placed: list[str] = []
        skipped: list[str] = []
        for number, person in enumerate(stage.people):
            why_not = (
                _OVER_CAP if person.price.units > left else _find_refusal(tx, plan, (position, number), check)
            )
            order_id = None if why_not else _place_order(tx, row, plan, (position, number))
            if order_id:
                left -= person.price.units
                placed.append(order_id)
            else:
                skipped.append(why_not)
            _add_attempt(tx, row, plan, (position, number), {"order_id": order_id, "skipped": why_not})
        moved = {"position": position + 1, "next_at": tx.now + stage.wait}
        tx.execute(update(alerts).where(alerts.c.id == alert_id).values(**moved))
        return PlacedStage(tuple(placed), tuple(skipped))

    @deciding
    def finish(self, tx: Tx, alert_id: str, position: int, state: AlertState, reason: str) -> bool:
        """End an alert that nobody acknowledged; return whether this call did.

        `position`: where it was when that was decided. If it has moved on since, nothing happens.
        """
        row = _find_running(tx, alert_id, position)
        return row is not None and end_alert(tx, row, state, reason=reason)

    @deciding
    def take_unreported(self, tx: Tx) -> list[Alert]:
        """Return the alerts that ended, each once, to whichever process asks first."""
        ours = alerts.c.account_id == tx.account_id
        rows = tx.all(select(alerts).where(ours, alerts.c.unreported).with_for_update())
        if rows:
            taken = alerts.c.id.in_([row.id for row in rows])
            tx.execute(update(alerts).where(taken).values(unreported=False))
        return [parse_alert(tx, row) for row in rows]

    @reading
    def has_open(self, tx: Tx) -> bool:
        """Return whether there is something to do: an alert that runs, waits, or was not reported."""
        ours = alerts.c.account_id == tx.account_id
        is_open = is_alert_of(tx, AlertState.RUNNING) | is_alert_of(tx, AlertState.WAITING)
        return tx.first(select(alerts.c.id).where(ours, is_open | alerts.c.unreported).limit(1)) is not None

    @reading
    def list_late_digits(self, tx: Tx) -> list[LateDigit]:
        """List the digits that acknowledge alerts that are over, and are not recorded as late."""
        return list_late_digits(tx)

    @deciding
    def expire(self, tx: Tx) -> None:
        """End the alerts that waited too long for a person or, once approved, for a server."""
        expire_alerts(tx)

    @reading
    def count(self, tx: Tx) -> Mapping[AlertState, int]:
        """Count the alerts in each state, those of the last 90 days."""
        counted = select(alerts.c.state, func.count().label("number"))
        rows = tx.all(counted.where(alerts.c.account_id == tx.account_id).group_by(alerts.c.state))
        return {AlertState(row.state): row.number for row in rows}


_OVER_CAP = "The rest of the alert's cost cap does not suffice."


def _find_running(tx: Tx, alert_id: str, position: int) -> Row[Any] | None:
    """Lock and return an alert, if it runs and its next stage is the one at this position."""
    row = get_alert_row(tx, alert_id, lock=True)
    return row if row.state == AlertState.RUNNING and row.position == position else None


def _find_refusal(tx: Tx, plan: AlertPlan, place: tuple[int, int], check: DraftCheck) -> str:
    draft, person = plan.draft(*place), plan.path.stage(place[0]).people[place[1]]
    [known] = recall_all(tx, [draft], [tx.now], (), alert_id=plan.id).recalls
    refusal = check(draft, person.price, known)
    return generalize_reason(refusal.reason, person.to) if refusal else ""


def _place_order(tx: Tx, row: Row[Any], plan: AlertPlan, place: tuple[int, int]) -> str:
    person = plan.path.stage(place[0]).people[place[1]]
    estimate = Estimate(price=person.price, parts=person.parts)
    quote = Quote(draft=plan.draft(*place), estimate=estimate, findings=(), quoted_at=plan.planned_at)
    order_id = f"O-{make_code(8)}"
    new = build_new_row(tx, Approval(quote=quote, approver=Approver(row.approver)), waits=False)
    tx.execute(insert(orders), new | {"id": order_id})
    return order_id


def _add_attempt(
    tx: Tx, row: Row[Any], plan: AlertPlan, place: tuple[int, int], outcome: Mapping[str, Any]
) -> None:
    position, number = place
    stage = plan.path.stage(position)
    tx.execute(
        insert(alert_attempts).values(
            alert_id=row.id,
            position=position,
            number=number,
            means=stage.means,
            at=tx.now,
            recipient_hash=tx.hasher.number(stage.people[number].to.e164),
            **outcome,
        )
    )
