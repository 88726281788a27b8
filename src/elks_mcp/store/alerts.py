"""Alerts: raising them, approving them, finding them, and ending them.

    waiting ──approval──→ running ──┬→ acknowledged
       └→ expired                   ├→ unanswered, failed
                                    └→ ended

Nothing leads back: an alert that is over is never opened again.
"""

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, func, insert, or_, select, update

from elks_mcp.domain.alerts import ALERT_APPROVAL_TIMEOUT, AckMeans, Alert, AlertPlan
from elks_mcp.domain.batches import PLAN_KEPT
from elks_mcp.domain.escalation import OPEN_STATES, AlertState
from elks_mcp.domain.models import Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approver, Draft
from elks_mcp.errors import InvalidInput, NotApproved, Refused
from elks_mcp.store.alert_ending import acknowledge, end_alert, expire_alerts, find_called
from elks_mcp.store.alert_rows import (
    check_alert_digest,
    get_alert_row,
    parse_alert,
    parse_alert_plan,
    write_alert_plan,
)
from elks_mcp.store.approval import new_approval_code
from elks_mcp.store.audio_expiry import keep_audio_of_alert
from elks_mcp.store.batch_recall import recall_all
from elks_mcp.store.db.codes import make_code
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.rows import without_quotes
from elks_mcp.store.db.schema import alert_attempts, alerts, is_one_of
from elks_mcp.store.db.transactions import deciding, reading
from elks_mcp.store.values import DraftCheck

MOST_OPEN_ALERTS = 20
"""How many alerts of one caller may run or wait at the same time."""

_CODES = 10_000


class PriorAlert(NamedTuple):
    """The earlier alert that a request repeats."""

    repeated: Alert | None
    """The alert with its key, or one with the same message and policy that is running."""

    waiting: AlertPlan | None
    """The plan of the same alert that waits for a person."""


class AlertStore:
    """The alerts of one account. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def find_prior(self, tx: Tx, caller: str, identity: tuple[str, ...], key: str) -> PriorAlert:
        """Return what a request repeats. `identity`: what makes two requests the same one.

        Raises:
            InvalidInput: the key was used for another alert.
        """
        row = _find_prior(tx, caller, identity, key)
        if row is None or (row.state == AlertState.WAITING and row.ends_at <= tx.now):
            return PriorAlert(None, None)
        if row.state == AlertState.WAITING and row.approved_at is None:
            return PriorAlert(None, parse_alert_plan(tx, row))
        return PriorAlert(parse_alert(tx, row), None)

    @deciding
    def add(
        self, tx: Tx, plan: AlertPlan, approver: Approver, identity: tuple[str, ...], key: str
    ) -> AlertPlan:
        """Store an alert that waits for a person, under a new id and code, and return its plan.

        An alert for the same request that waits already is returned instead. A terminal gets a code of
        approval.

        Raises:
            InvalidInput: the key was used for another alert.
            Refused: the caller has too many alerts that run or wait.
        """
        expire_alerts(tx)
        prior = _find_prior(tx, plan.caller, identity, key)
        if prior is not None:
            return parse_alert_plan(tx, prior)
        named = _name(tx, plan)
        _insert(tx, named, approver, identity, key)
        return named

    @deciding
    def raise_unasked(
        self,
        tx: Tx,
        plan: AlertPlan,
        identity: tuple[str, ...],
        key: str,
        check: Callable[[Draft, Any, Recall], Any],
    ) -> Alert:
        """Store and start an alert that no person has to approve, or return the one that it repeats.

        Raises:
            InvalidInput: the key was used for another alert.
            NotApproved: `check` says that a person has to approve it by now.
            Refused: the caller has too many alerts that run or wait.
        """
        expire_alerts(tx)
        prior = _find_prior(tx, plan.caller, identity, key)
        if prior is not None and prior.state != AlertState.WAITING:
            return parse_alert(tx, prior)
        if prior is not None:
            raise NotApproved(f"{prior.id} is the same alert, and waits. A person can approve it.")
        _check_people(tx, plan, check)
        named = _name(tx, plan)
        _insert(tx, named, Approver.POLICY, identity, key)
        _start(tx, get_alert_row(tx, named.id), Approver.POLICY)
        return parse_alert(tx, get_alert_row(tx, named.id))

    @deciding
    def start(self, tx: Tx, alert_id: str, digest: str, approver: Approver) -> Alert:
        """Start a waiting alert that a person approved, unless it was started, and return it.

        `digest`: the hash of what was approved. An alert that waited too long is expired.

        Raises:
            NotFound: there is no such alert.
            Refused: it is not the one that was approved.
        """
        expire_alerts(tx)
        row = get_alert_row(tx, alert_id, lock=True)
        if row.state == AlertState.WAITING:
            check_alert_digest(parse_alert_plan(tx, row), digest)
            _start(tx, row, approver)
        return parse_alert(tx, get_alert_row(tx, alert_id))

    @reading
    def get(self, tx: Tx, number: str, *, caller: str | None = None) -> Alert:
        """Return an alert by its id or approval code. Raises NotFound."""
        return parse_alert(tx, get_alert_row(tx, number, caller=caller))

    @reading
    def find_of_order(self, tx: Tx, order_id: str) -> Alert | None:
        """Return the alert that placed an order; None if no alert did."""
        its = select(alerts).join(alert_attempts).where(alert_attempts.c.order_id == order_id)
        row = tx.first(its.where(alerts.c.account_id == tx.account_id))
        return parse_alert(tx, row) if row else None

    @reading
    def get_plan(self, tx: Tx, number: str, *, caller: str | None = None) -> AlertPlan:
        """Return the plan of an alert by its id or approval code. Raises NotFound."""
        return parse_alert_plan(tx, get_alert_row(tx, number, caller=caller))

    @reading
    def list_latest(self, tx: Tx, limit: int, caller: str | None = None) -> list[Alert]:
        """List alerts, the latest first; with `caller`, only theirs."""
        ours = select(alerts).where(alerts.c.account_id == tx.account_id)
        ours = ours if caller is None else ours.where(alerts.c.caller == caller)
        rows = tx.all(ours.order_by(alerts.c.created_at.desc(), alerts.c.id).limit(limit))
        return [parse_alert(tx, row) for row in rows]

    @deciding
    def end(self, tx: Tx, number: str, reason: str) -> Alert:
        """End an alert that runs or waits, and return it in its new state. Raises NotFound."""
        row = get_alert_row(tx, number, lock=True)
        unused = {"key_hash": None} if row.state == AlertState.WAITING else {}
        end_alert(tx, row, AlertState.ENDED, reason=reason, **unused)
        return parse_alert(tx, get_alert_row(tx, number))

    @deciding
    def acknowledge(self, tx: Tx, number: str, order_id: str | None = None) -> Alert:
        """Acknowledge a running alert for a person, and return it in its new state.

        `order_id`: the call in which the digit was pressed; None for a person at a terminal or on a page. An
        alert that is over is not opened again: the acknowledgement is recorded as late.

        Raises:
            NotFound: there is no such alert.
        """
        row = get_alert_row(tx, number, lock=True)
        acknowledge(tx, row, AckMeans.CALL if order_id else AckMeans.PERSON, find_called(tx, order_id))
        return parse_alert(tx, get_alert_row(tx, number))


def _find_prior(tx: Tx, caller: str, identity: tuple[str, ...], key: str) -> Row[Any] | None:
    """Return the alert that has the key of a request, or an open one that is the same."""
    ours = alerts.c.account_id == tx.account_id
    same = _fingerprint(tx, caller, identity)
    if key:
        row = tx.first(select(alerts).where(ours, alerts.c.key_hash == _hash_key(tx, caller, key)))
        if row is not None and row.fingerprint != same:
            raise InvalidInput(
                "The idempotency key was used before, with another alert.",
                hint="Use a new key for a new alert.",
            )
        if row is not None:
            return row
    is_open = is_one_of(alerts.c.state, OPEN_STATES)
    alike = select(alerts).where(ours, is_open, alerts.c.fingerprint == same)
    return tx.first(alike.order_by(alerts.c.created_at).limit(1))


def _name(tx: Tx, plan: AlertPlan) -> AlertPlan:
    """Return a plan with an id, and with a code that no other alert has had for a day."""
    theirs = is_one_of(alerts.c.state, OPEN_STATES), alerts.c.caller == plan.caller
    count = select(func.count()).select_from(alerts).where(alerts.c.account_id == tx.account_id, *theirs)
    if tx.execute(count).scalar_one() >= MOST_OPEN_ALERTS:
        raise Refused(
            f"{MOST_OPEN_ALERTS} alerts of this caller run or wait for a person, which is the limit.",
            hint="End one of them.",
        )
    in_use = or_(is_one_of(alerts.c.state, OPEN_STATES), alerts.c.ended_at > tx.now - PLAN_KEPT)
    used = select(alerts.c.code).where(alerts.c.account_id == tx.account_id, in_use)
    taken = set(tx.execute(used).scalars())
    free = [code for number in range(1, _CODES) if (code := f"{number:04}") not in taken]
    if not free:
        raise Refused("All codes of alerts are in use.", hint="Wait until an alert ended a day ago.")
    return plan.model_copy(
        update={"id": f"E-{make_code(8)}", "code": secrets.choice(free), "planned_at": tx.now}
    )


def _insert(tx: Tx, plan: AlertPlan, approver: Approver, identity: tuple[str, ...], key: str) -> None:
    tx.execute(
        insert(alerts).values(
            id=plan.id,
            account_id=tx.account_id,
            caller=plan.caller,
            policy=plan.policy,
            state=AlertState.WAITING,
            code=plan.code,
            plan=write_alert_plan(plan),
            digest=plan.digest,
            most=plan.most.units,
            currency=plan.most.currency,
            fingerprint=_fingerprint(tx, plan.caller, identity),
            key_hash=_hash_key(tx, plan.caller, key) if key else None,
            approver=approver,
            approval_code=new_approval_code(tx) if approver is Approver.TERMINAL else None,
            created_at=tx.now,
            ends_at=tx.now + ALERT_APPROVAL_TIMEOUT,
        )
    )


def _start(tx: Tx, row: Row[Any], approver: Approver) -> None:
    plan = parse_alert_plan(tx, row)
    kept = plan.model_copy(update={"findings": without_quotes(plan.findings)})
    started = {"state": AlertState.RUNNING, "approver": approver, "started_at": tx.now, "next_at": tx.now}
    started |= {"ends_at": tx.now + plan.time_cap, "plan": write_alert_plan(kept)}
    tx.execute(update(alerts).where(alerts.c.id == row.id).values(**started))
    keep_audio_of_alert(tx, plan.spoken, plan.time_cap)


def _check_people(tx: Tx, plan: AlertPlan, check: DraftCheck) -> None:
    """Run a check on one draft for each person of the path. Its refusals are left to the stages."""
    places: dict[str, tuple[Draft, Money]] = {}
    for position, stage in enumerate(plan.path.stages):
        for number, each in enumerate(stage.people):
            places.setdefault(each.to.e164, (plan.draft(position, number), each.price))
    drafts = [draft for draft, _ in places.values()]
    known = recall_all(tx, drafts, [tx.now] * len(drafts), ())
    for (draft, price), recalled in zip(places.values(), known.recalls, strict=True):
        check(draft, price, recalled)


def _fingerprint(tx: Tx, caller: str, identity: tuple[str, ...]) -> str:
    return tx.hasher.of("alert", caller, *identity)


def _hash_key(tx: Tx, caller: str, key: str) -> str:
    return tx.hasher.of("alert key", caller, key)


def is_alert_of(tx: Tx, state: AlertState) -> ColumnElement[bool]:
    """Return the condition for the account's alerts in a state."""
    return (alerts.c.account_id == tx.account_id) & (alerts.c.state == state)
