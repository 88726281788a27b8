"""Administration: what an operator does with the alerts of a database, for all accounts.

Nothing is sent from here, and no credentials are needed: a server starts what was approved, by its own rules.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, select, update

from elks_mcp.domain.alerts import AckMeans, Alert, AlertPlan
from elks_mcp.domain.escalation import AlertState
from elks_mcp.store.alert_digits import list_late_digits
from elks_mcp.store.alert_ending import acknowledge, end_alert
from elks_mcp.store.alert_rows import (
    check_alert_digest,
    has_alert_number,
    parse_alert,
    parse_alert_plan,
    unknown_alert,
)
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import accounts, alerts
from elks_mcp.store.db.transactions import reading, writing
from elks_mcp.store.location import AccountKey


class AlertRecord(NamedTuple):
    """An alert with its account."""

    alert: Alert
    plan: AlertPlan | None
    """None if it is not stored any more."""

    owner: AccountKey
    left: timedelta
    """How long until it is too late to approve it, or until it ends by itself."""


class AlertAdmin:
    """The alerts of all accounts of a database. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def find(self, tx: Tx, number: str) -> AlertRecord | None:
        """Return an alert by its id or approval code; None if there is none."""
        row = tx.first(_all().where(has_alert_number(number)))
        return _build_record(tx, row) if row else None

    @writing
    def examine(self, tx: Tx, number: str) -> AlertRecord | None:
        """Return an alert by its id or approval code, with a digit that was pressed after its end.

        None if there is none.
        """

        def record_late(row: Row[Any]) -> None:
            for late in list_late_digits(tx):
                if late.alert_id == row.id:
                    acknowledge(tx, row, AckMeans.CALL, late.number_hash)

        is_known = tx.first(_all().where(has_alert_number(number))) is not None
        return _change(tx, number, record_late) if is_known else None

    @reading
    def list_waiting(self, tx: Tx) -> list[AlertRecord]:
        """List the alerts that wait for a person outside the client or, once approved, for a server."""
        waits = alerts.c.state == AlertState.WAITING, alerts.c.approval_code.is_not(None)
        rows = tx.all(_all().where(*waits, alerts.c.ends_at > tx.now).order_by(alerts.c.created_at))
        return [_build_record(tx, row) for row in rows]

    @reading
    def list_latest(self, tx: Tx, limit: int) -> list[AlertRecord]:
        """List alerts, the latest first."""
        latest = _all().order_by(alerts.c.created_at.desc(), alerts.c.id)
        return [_build_record(tx, row) for row in tx.all(latest.limit(limit))]

    @writing
    def approve(self, tx: Tx, number: str, digest: str) -> AlertRecord:
        """Mark a waiting alert as approved by a person, and return it in its new state.

        An alert that does not wait is not changed. `digest`: of the plan that the person saw.

        Raises:
            NotFound: There is no such alert.
            Refused: Its plan is another one.
        """

        def mark(row: Row[Any]) -> None:
            if row.state == AlertState.WAITING and row.ends_at > tx.now and row.approved_at is None:
                check_alert_digest(parse_alert_plan(tx, row), digest)
                tx.execute(update(alerts).where(alerts.c.id == row.id).values(approved_at=tx.now))

        return _change(tx, number, mark)

    @writing
    def acknowledge(self, tx: Tx, number: str) -> AlertRecord:
        """Acknowledge an alert for a person, and return it in its new state. Raises NotFound."""
        return _change(tx, number, lambda row: acknowledge(tx, row, AckMeans.PERSON, None))

    @writing
    def end(self, tx: Tx, number: str, reason: str) -> AlertRecord:
        """End an alert that runs or waits, and return it in its new state. Raises NotFound."""

        def end(row: Row[Any]) -> None:
            unused = {"key_hash": None} if row.state == AlertState.WAITING else {}
            end_alert(tx, row, AlertState.ENDED, reason=reason, **unused)

        return _change(tx, number, end)


def _all() -> Select[Any]:
    return select(alerts, accounts.c.base_url, accounts.c.username).join(accounts)


def _change(tx: Tx, number: str, change: Callable[[Row[Any]], object]) -> AlertRecord:
    """Change an alert, with it and its account locked against other transactions, and return it."""
    found = _all().where(has_alert_number(number))
    row = tx.first(found)
    if row is None:
        raise unknown_alert()
    tx.account_id = row.account_id
    tx.lock()
    change(tx.all(found.with_for_update(of=alerts))[0])
    return _build_record(tx, tx.all(found)[0])


def _build_record(tx: Tx, row: Row[Any]) -> AlertRecord:
    return AlertRecord(
        alert=parse_alert(tx, row),
        plan=parse_alert_plan(tx, row) if row.plan else None,
        owner=AccountKey(row.base_url, row.username),
        left=row.ends_at - tx.now,
    )
