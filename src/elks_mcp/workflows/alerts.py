"""Raise alerts once they are approved, follow them, and end them.

`Alerts.prepare` says what a request would do. If that is `AlertNeedsApproval`, the interface asks a person in
its own way, and `Alerts.start` does the rest.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from elks_mcp.domain.alerts import ALERT_APPROVAL_TIMEOUT, Alert, AlertPlan
from elks_mcp.domain.approval import check_liftable, choose_approver, reasons_to_ask
from elks_mcp.domain.escalation import OPEN_STATES, AlertState
from elks_mcp.domain.guards import is_on
from elks_mcp.domain.orders import Approver, Effect, Finding
from elks_mcp.domain.policy import Confirm
from elks_mcp.domain.taint import describe_taint
from elks_mcp.domain.wording import format_duration
from elks_mcp.errors import Misconfigured, NotApproved
from elks_mcp.sending.plan import ANSWER_WITHIN, Decision, Planner, explain_decline
from elks_mcp.sending.server_setup import check_can_wait, locate_approval
from elks_mcp.workflows.alert_plans import AlertPlanner, AlertRequest


@dataclass(frozen=True, slots=True)
class AlertDryRun:
    """The request ends with its price; nobody is alerted."""

    plan: AlertPlan


@dataclass(frozen=True, slots=True)
class AlertRepeated:
    """The request repeats an earlier one, which raised this alert."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class AlertNeedsApproval:
    """The alert is stored and waits for a person, for these reasons (at least one)."""

    plan: AlertPlan
    reasons: tuple[Finding, ...]
    approver: Approver


@dataclass(frozen=True, slots=True)
class AlertReady:
    """The alert can be raised without asking a person."""

    plan: AlertPlan
    request: AlertRequest


AlertPrepared = AlertDryRun | AlertRepeated | AlertNeedsApproval | AlertReady


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alerts of one caller."""

    alert_planner: AlertPlanner
    find_carrier: Callable[[], Awaitable[bool]]
    """Returns whether a server runs that carries alerts on: this one, or another on the same state."""

    wake: Callable[[], None]
    """Makes this server, if it carries alerts on, look at them now."""

    @property
    def planner(self) -> Planner:
        """Plans the caller's single texts."""
        return self.alert_planner.planner

    @property
    def caller(self) -> str:
        """The caller's name."""
        return self.alert_planner.caller

    # ── raising ──

    async def prepare(
        self, request: AlertRequest, *, can_ask: bool, is_answer: bool = False
    ) -> AlertPrepared:
        """Return what a request would do; the alert is stored if a person has to approve it.

        `is_answer`: whether the call already carries a person's answer.

        Raises:
            InvalidInput, Refused, ProviderError: as `AlertPlanner.build` does.
            NotApproved: a person has to approve it and no person can be asked, or the server is in dry run.
            Misconfigured: no server runs that would carry it on, or settings are missing.
        """
        policy = self.planner.policy
        if request.dry_run or not policy.live:
            if request.dry_run is False:
                check_liftable(policy, can_ask=True, undone="alert anybody")
            return AlertDryRun(await self.alert_planner.build(request))
        self.planner.setup.require_clear_names()
        await self._require_carrier()
        store = await self.planner.storage.open()
        prior = await store.alerts.find_prior(self.caller, request.identity, request.idempotency_key)
        if prior.repeated:
            return AlertRepeated(prior.repeated)
        if prior.waiting and (is_answer or not self._is_late(prior.waiting)):
            return await self._ask_about(prior.waiting)
        if prior.waiting:
            await store.alerts.end(prior.waiting.id, "A new question replaced this one.")
        plan = await self.alert_planner.build(request)
        approver = choose_approver(policy, self._list_reasons(plan), can_ask=can_ask)
        if approver is Approver.POLICY:
            return AlertReady(plan, request)
        if approver is Approver.TERMINAL:
            why = " ".join(each.in_words for each in self._list_reasons(plan))
            check_can_wait(self.planner.storage, self.planner.setup, why, "Raise it")
        stored = await store.alerts.add(plan, approver, request.identity, request.idempotency_key)
        return await self._ask_about(stored)

    async def start(self, prepared: AlertNeedsApproval | AlertReady, decision: Decision) -> Alert:
        """Start an alert that needs no approval or was approved.

        Raises:
            NotApproved: the person declined or did not answer, or has to approve it in a terminal.
            Refused: the alert changed since it was approved.
        """
        store = await self.planner.storage.open()
        if isinstance(prepared, AlertReady):
            request, check = prepared.request, self.planner.orders.checks.recheck_row_unasked
            alert = await store.alerts.raise_unasked(
                prepared.plan, request.identity, request.idempotency_key, check
            )
        else:
            await self._require(prepared, decision)
            plan = prepared.plan
            alert = await store.alerts.start(plan.id, plan.digest, prepared.approver)
        self.wake()
        return alert

    async def _ask_about(self, plan: AlertPlan) -> AlertNeedsApproval:
        store = await self.planner.storage.open()
        alert = await store.alerts.get(plan.id)
        return AlertNeedsApproval(plan, self._list_reasons(plan), alert.approver)

    def _list_reasons(self, plan: AlertPlan) -> tuple[Finding, ...]:
        simulated = self.planner.orders.checks.is_simulated()
        return reasons_to_ask(self.planner.policy, plan.findings, lifts_dry_run=False, simulated=simulated)

    def _is_late(self, plan: AlertPlan) -> bool:
        """Return whether the time to answer at the client is over."""
        return self.planner.clock.now() - plan.planned_at > ANSWER_WITHIN

    async def _require(self, needed: AlertNeedsApproval, decision: Decision) -> None:
        """Check that a person approved the alert. One that is declined is ended.

        Raises:
            NotApproved: no person approved it.
        """
        is_here = needed.approver is Approver.PERSON
        if decision is Decision.APPROVED and is_here and self._is_late(needed.plan):
            decision = Decision.LATE
        if decision is Decision.APPROVED:
            return
        store = await self.planner.storage.open()
        if decision is not Decision.CANNOT_ASK:
            await store.alerts.end(needed.plan.id, explain_decline(decision))
            raise NotApproved(explain_decline(decision))
        waiting = await store.alerts.get(needed.plan.id)
        raise NotApproved(
            self.explain_waiting(needed, waiting, "This client cannot ask a person"),
            hint=f"Tell the user that. A server then starts it; follow it with check_alert ({waiting.id}).",
        )

    def explain_waiting(self, needed: AlertNeedsApproval, waiting: Alert, obstacle: str) -> str:
        """Return why an alert waits, and where and until when a person can approve it.

        `obstacle`: why no person can be asked here, without a full stop.
        """
        setup, why = self.planner.setup, " ".join(each.in_words for each in needed.reasons)
        where = locate_approval(waiting.approval_code, setup.command, setup.approval_page)
        within = format_duration(ALERT_APPROVAL_TIMEOUT)
        return (
            f"Waiting for approval {waiting.approval_code}. {why} {obstacle}, so someone must approve it "
            f"within {within} {where}"
        )

    async def _require_carrier(self) -> None:
        """Check that a server runs that carries alerts on.

        Raises:
            Misconfigured: none does.
        """
        if not await self.find_carrier():
            raise Misconfigured(
                "A long-running server carries alerts on, and none is running, so nobody was alerted.",
                hint="The operator can start one with the same settings, and with escalation in "
                "ELKS_TOOLSETS: `elks-mcp serve`.",
            )

    # ── following and ending ──

    async def get(self, alert_id: str) -> Alert:
        """Return the caller's alert, with a digit that was pressed after its end.

        Raises:
            NotFound: the caller has no such alert.
        """
        store = await self.planner.storage.open()
        alert = await store.alerts.get(alert_id, caller=self.caller)
        if alert.state in OPEN_STATES or alert.late_at:
            return alert
        for late in await store.alert_runs.list_late_digits():
            if late.alert_id == alert.id:
                return await store.alerts.acknowledge(alert.id, late.order_id)
        return alert

    async def find_reason_to_ask(self, alert: Alert) -> Finding | None:
        """Return why a person has to approve the end of an alert; None if no person has to.

        A stranger's text that the model was shown may have asked for silence.

        Raises:
            NotApproved: a person has to, and the operator allows no question.
        """
        policy = self.planner.policy
        if alert.state is not AlertState.RUNNING or not is_on("tainted", policy):
            return None
        if not await self.planner.orders.was_shown_others(None):
            return None
        reason = describe_taint("end this alert")
        if policy.confirm is Confirm.NEVER:
            raise NotApproved(
                f"{reason} This server may not ask a person (ELKS_CONFIRM=never).", hint=_BY_HAND
            )
        return Finding(guard="tainted", effect=Effect.ASK, reason=reason)

    async def end(self, alert: Alert, reason: Finding | None, decision: Decision) -> Alert:
        """End the caller's alert, and return it in its new state.

        `reason`: why a person was asked; None if no person was.

        Raises:
            NotApproved: the person declined, did not answer or cannot be asked. The alert goes on.
        """
        if reason and decision is Decision.CANNOT_ASK:
            command = self.planner.setup.command(f"escalation end {alert.id}")
            raise NotApproved(
                f"{reason.reason} This client cannot ask a person, so the alert goes on.",
                hint=f"A person can end it in a terminal: {command}",
            )
        if reason and decision is not Decision.APPROVED:
            raise NotApproved(explain_decline(decision, "The alert goes on."))
        store = await self.planner.storage.open()
        return await store.alerts.end(alert.id, ENDED_BY_CALLER)


ENDED_BY_CALLER = "The caller ended it."
ENDED_BY_PERSON = "A person ended it."
_BY_HAND = "A person can end it in a terminal with `elks-mcp escalation end`."
