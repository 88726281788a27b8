"""Carry alerts on until somebody answers. A long-running server does, and no other process.

Each look is: read the account's latest texts, and take the next step of each running alert. A step is one
transaction in the store, so several servers can look at the same time, and any of them can be killed.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from elks_mcp.domain.alerts import Alert
from elks_mcp.domain.escalation import (
    ACKNOWLEDGING_DIGIT,
    AcknowledgeByDigit,
    AlertAction,
    AlertState,
    AttemptOutcome,
    EndAlert,
    Means,
    PlaceStage,
    WaitUntil,
    find_action,
)
from elks_mcp.domain.orders import Approver
from elks_mcp.errors import NotFound, Refused, log_errors
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.metrics import Counters, as_label
from elks_mcp.runtime.tasks import background
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.sending.options import RefreshHistory
from elks_mcp.sending.outbox import Outbox
from elks_mcp.sending.plan import Planner
from elks_mcp.store import Storage
from elks_mcp.workflows.alert_plans import AlertPlanner, PeopleInGroups, PrepareCall
from elks_mcp.workflows.alerts import Alerts
from elks_mcp.workflows.policy_files import load_policies

if TYPE_CHECKING:
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)

_IDLE = timedelta(seconds=2)
"""How often the store is looked at while no alert is open: another process may raise one."""

_SOONEST = timedelta(milliseconds=50)

FindDigits = Callable[[str], Awaitable[str | None]]
"""Returns the digits that were pressed in the call of an order; None while that is unknown."""


async def find_no_digits(order_id: str) -> str | None:  # noqa: ARG001
    """Return that no digits are known: no call can be placed."""
    return None


@dataclass(frozen=True, slots=True)
class EscalationParts:
    """The parts of a server that alerts are carried on with."""

    storage: Storage
    outbox: Outbox
    checks: DraftChecks
    clock: Clock
    counters: Counters
    refresh_history: RefreshHistory
    poll: Callable[[], timedelta]
    """Returns how often the account's texts are read while an alert runs."""

    find_digits: FindDigits = find_no_digits
    prepare_call: PrepareCall | None = None
    """Prepares what the calls of an alert say; None if no call can be placed."""

    call_listeners: list[Callable[[str], None]] | None = None
    """Functions that are called with the id of an order when something new is known about its call."""


class Escalations:
    """Carries on the alerts of one account.

    `is_enabled`: whether this server may, and offers alerts.
    """

    def __init__(self, parts: EscalationParts, *, is_enabled: bool) -> None:
        self._parts = parts
        self.is_enabled = is_enabled
        self.is_running = False
        """Whether this process carries alerts on now."""
        self._woken = anyio.Event()
        self._reported_blocks: set[tuple[str, str]] = set()
        self._changed_calls: set[str] = set()
        """Orders whose calls may have acknowledged an alert, also one that is over by now."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry alerts on until the context ends, if this server may."""
        if not self.is_enabled or self.is_running:
            yield
            return
        self.is_running = self._parts.outbox.heartbeat.escalates = True
        listeners = [] if self._parts.call_listeners is None else self._parts.call_listeners
        listeners.append(self._note_call)
        try:
            async with background() as tasks:
                tasks.start_soon(self._work)
                yield
        finally:
            listeners.remove(self._note_call)
            self.is_running = self._parts.outbox.heartbeat.escalates = False

    async def is_carried_on(self) -> bool:
        """Return whether this server, or another on the same state, carries alerts on."""
        if self.is_running:
            return True
        if not self._parts.storage.exists:
            return False
        store = await self._parts.storage.open()
        return await store.heartbeats.find_escalating() is not None

    def alerts(self, planner: Planner, contacts: PeopleInGroups, path: Path | None, caller: str) -> Alerts:
        """Return what raises, follows and ends a caller's alerts. `path`: of the policy file."""
        load, prepare = partial(load_policies, path), self._parts.prepare_call
        alert_planner = AlertPlanner(planner, contacts, load, caller, prepare)
        return Alerts(alert_planner, self.is_carried_on, self.wake)

    def wake(self) -> None:
        """Look at the alerts now."""
        self._woken.set()

    def _note_call(self, order_id: str) -> None:
        self._changed_calls.add(order_id)
        self.wake()

    async def _work(self) -> None:
        clock = self._parts.clock
        while True:
            self._woken = anyio.Event()  # before looking, so that no change is missed
            wait = self._parts.poll()
            with log_errors(log, "Alerts cannot be carried on for now", level=logging.ERROR):
                wait = await self.look()
            await clock.wait_for(self._woken.wait(), until=clock.now() + wait)

    async def look(self) -> timedelta:
        """Take the next step of each alert, and return how long until there may be another."""
        parts = self._parts
        store = await parts.storage.open()
        await self._read_calls(store)
        if not await store.alert_runs.has_open():
            return _IDLE
        await store.alert_runs.expire()
        await self._start_approved(store)
        running = await store.alert_runs.list_running()
        if running:
            with log_errors(log, "Texts that may acknowledge an alert cannot be read"):
                await parts.refresh_history(parts.poll())
            running = await store.alert_runs.list_running()
        waits = [parts.poll()]
        for alert in running:
            with log_errors(log, "An alert cannot be carried on for now", level=logging.ERROR):
                waits.append(await self._carry_on(store, alert))
        await self._report_ended(store)
        return min(waits)

    async def _read_calls(self, store: "Store") -> None:
        """Acknowledge the alerts in whose calls the digit was pressed, in time or late."""
        for order_id in list(self._changed_calls):
            digits = await self._parts.find_digits(order_id)
            if digits == ACKNOWLEDGING_DIGIT and (alert := await store.alerts.find_of_order(order_id)):
                await store.alerts.acknowledge(alert.id, order_id)
            self._changed_calls.discard(order_id)
        for late in await store.alert_runs.list_late_digits():  # another process recorded them
            await store.alerts.acknowledge(late.alert_id, late.order_id)

    async def _start_approved(self, store: "Store") -> None:
        """Start the alerts that a person approved outside the client."""
        for plan in await store.alert_runs.list_approved():
            try:
                await store.alerts.start(plan.id, plan.digest, Approver.TERMINAL)
            except (NotFound, Refused) as error:
                log.warning("%s was approved and cannot be started: %s", plan.id, error)

    async def _carry_on(self, store: "Store", alert: Alert) -> timedelta:
        """Do what is due for an alert, and return how long until something else is."""
        self._report_blocked(alert)
        while True:
            now = await store.alert_runs.find_now()
            action = await self._find_action(alert, now)
            if isinstance(action, WaitUntil):
                return max(action.at - now, _SOONEST)
            if action is None:
                return self._parts.poll()
            await self._take(store, alert, action)
            alert = await store.alerts.get(alert.id)

    async def _find_action(self, alert: Alert, now: datetime) -> AlertAction | None:
        if alert.path is None:
            return None
        calls = [each.order_id for each in alert.attempts if each.means is Means.CALL and each.order_id]
        outcomes = [
            AttemptOutcome(order_id=each, digits=await self._parts.find_digits(each)) for each in calls
        ]
        return find_action(alert.path, alert.progress.model_copy(update={"calls": tuple(outcomes)}), now)

    async def _take(self, store: "Store", alert: Alert, action: AlertAction) -> None:
        match action:
            case PlaceStage(position=position):
                await self._place(store, alert, position)
            case EndAlert(state=state, reason=reason):
                await store.alert_runs.finish(alert.id, alert.position, state, reason)
            case AcknowledgeByDigit(order_id=order_id):
                await store.alerts.acknowledge(alert.id, order_id)

    async def _place(self, store: "Store", alert: Alert, position: int) -> None:
        with anyio.CancelScope(shield=True):
            placed = await store.alert_runs.place(alert.id, position, self._parts.checks.recheck_step)
        if placed is None:
            return
        if placed.order_ids:
            self._parts.outbox.wake()
        for outcome, number in (("placed", len(placed.order_ids)), ("skipped", len(placed.skipped))):
            for _ in range(number):
                self._parts.counters.count("elks_mcp_alert_attempts_total", outcome=outcome)
        if placed.skipped:
            log.warning("Step %d of the alert %s skips %d.", position + 1, alert.id, len(placed.skipped))

    async def _report_ended(self, store: "Store") -> None:
        """Log and count the alerts that ended, each in one process."""
        for alert in await store.alert_runs.take_unreported():
            self._parts.counters.count("elks_mcp_alerts_total", outcome=as_label(alert.state))
            if alert.state in _NOBODY_ANSWERED:
                log.warning("The alert %s ended and nobody acknowledged it: %s", alert.id, alert.reason)
            else:
                log.info("The alert %s is %s.", alert.id, alert.state)

    def _report_blocked(self, alert: Alert) -> None:
        """Log once that a number sent too many wrong codes to acknowledge an alert by text."""
        for each in alert.blocked:
            key = alert.id, each.order_id or ""
            if key not in self._reported_blocks:
                self._reported_blocks.add(key)
                log.warning("A number on the path of the alert %s sent too many wrong codes.", alert.id)


_NOBODY_ANSWERED = frozenset({AlertState.UNANSWERED, AlertState.FAILED})
