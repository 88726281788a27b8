"""Converting alerts to rows, and rows to alerts."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Row, func, or_, select

from elks_mcp.domain.alerts import AckMeans, Alert, AlertAttempt, AlertPlan
from elks_mcp.domain.escalation import AlertState, Means
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approver, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.errors import NotFound, Refused
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import alert_attempts, alerts, orders


def write_alert_plan(plan: AlertPlan) -> str:
    """Return a plan as JSON."""
    written = json.loads(plan.model_dump_json(exclude={"spoken"}))
    spoken = json.loads(plan.spoken.model_dump_json()) if plan.spoken else None
    return json.dumps(written | {"spoken": spoken}, ensure_ascii=False, separators=(",", ":"))


def parse_alert_plan(tx: Tx, row: Row[Any]) -> AlertPlan:
    """Return the plan of an alert's row.

    Raises:
        NotFound: it was deleted.
    """
    if row.plan is None:
        raise NotFound(f"The path of {row.id} was deleted.", hint="It is deleted a day after the end.")
    written = json.loads(row.plan)
    spoken = written.pop("spoken")
    plan = AlertPlan.model_validate_json(json.dumps(written))
    if spoken is None:
        return plan
    return plan.model_copy(update={"spoken": tx.kinds[spoken["kind"]].payload.model_validate(spoken)})


def check_alert_digest(plan: AlertPlan, digest: str) -> None:
    """Check that a plan is the one with this digest.

    Raises:
        Refused: it is not.
    """
    if plan.digest != digest:
        raise Refused(f"{plan.id} is not the alert that was approved.", hint="Raise the alert again.")


def has_alert_number(number: str) -> ColumnElement[bool]:
    """Return the condition for the alert with this id or approval code, in any case."""
    return or_(*(column == number.strip().upper() for column in (alerts.c.id, alerts.c.approval_code)))


def get_alert_row(tx: Tx, number: str, *, caller: str | None = None, lock: bool = False) -> Row[Any]:
    """Return the row of an alert of the account, by its id or approval code.

    Raises:
        NotFound: there is no such alert, or it is another caller's.
    """
    found = select(alerts).where(alerts.c.account_id == tx.account_id, has_alert_number(number))
    if caller is not None:
        found = found.where(alerts.c.caller == caller)
    if row := tx.first(found.with_for_update() if lock else found):
        return row
    raise unknown_alert()


def unknown_alert() -> NotFound:
    """Return the error about an id or approval code that no alert has."""
    return NotFound("No alert has that id.", hint=f"To list them: {show_command('escalation list')}.")


def parse_alert(tx: Tx, row: Row[Any]) -> Alert:
    """Return the alert of a row, with its attempts."""
    plan = parse_alert_plan(tx, row) if row.plan else None
    people = {tx.hasher.number(each.e164): each for each in plan.path.people} if plan else {}
    attempts = tuple(_list_attempts(tx, row.id, people))
    known = people | {tx.hasher.number(each.to.e164): each.to for each in attempts if each.to}
    return Alert(
        id=row.id,
        caller=row.caller,
        policy=row.policy,
        state=AlertState(row.state),
        approver=Approver(row.approver),
        approval_code=row.approval_code,
        is_approved=row.approved_at is not None,
        created_at=row.created_at,
        started_at=row.started_at,
        ends_at=row.ends_at,
        ended_at=row.ended_at,
        reason=row.reason,
        position=row.position,
        path=plan.path if plan else None,
        next_at=row.next_at,
        most=Money(row.most, row.currency),
        spent=Money(sum_charges(tx, row.id), row.currency),
        attempts=attempts,
        acknowledged_by=known.get(row.acknowledged_by),
        acknowledged_how=AckMeans(row.acknowledged_how) if row.acknowledged_how else None,
        late_by=known.get(row.late_by),
        late_at=row.late_at,
    )


def sum_charges(tx: Tx, alert_id: str) -> int:
    """Return what an alert's orders have cost, or hold of the budget, in units."""
    charged = select(func.coalesce(func.sum(orders.c.charge), 0)).join(
        alert_attempts, alert_attempts.c.order_id == orders.c.id
    )
    return int(tx.execute(charged.where(alert_attempts.c.alert_id == alert_id)).scalar_one())


def _list_attempts(tx: Tx, alert_id: str, people: dict[str, Number]) -> Iterable[AlertAttempt]:
    its = select(alert_attempts, orders.c.recipient, orders.c.state).outerjoin(
        orders, orders.c.id == alert_attempts.c.order_id
    )
    in_order = alert_attempts.c.position, alert_attempts.c.number
    for row in tx.all(its.where(alert_attempts.c.alert_id == alert_id).order_by(*in_order)):
        to = Number(row.recipient) if row.recipient else people.get(row.recipient_hash)
        yield AlertAttempt(
            position=row.position,
            to=to,
            means=Means(row.means),
            at=row.at,
            order_id=row.order_id,
            order_state=OrderState(row.state) if row.state else None,
            skipped=row.skipped,
            wrong_codes=row.wrong_codes,
        )
