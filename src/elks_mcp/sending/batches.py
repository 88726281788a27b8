"""Start planned batches once they are approved, follow them, and stop them.

`BatchPlanner` plans a batch. `Batches.prepare` says what starting it would do. If that is
`BatchNeedsApproval`, the interface asks a person in its own way, and `Batches.start` does the rest.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import anyio.lowlevel

from elks_mcp.domain.approval import choose_approver
from elks_mcp.domain.batch_questions import list_reasons
from elks_mcp.domain.batches import PAUSED_BY_CALLER, PLAN_KEPT, Batch, BatchPlan, BatchRow, BatchState
from elks_mcp.domain.orders import Approver, Estimate, Finding
from elks_mcp.domain.wording import format_duration
from elks_mcp.errors import NotApproved, Refused
from elks_mcp.sending.batch_rows import list_new_reasons
from elks_mcp.sending.plan import Decision, Planner, explain_decline
from elks_mcp.sending.server_setup import check_can_wait, locate_approval

_FOLLOW_INTERVAL = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class BatchDryRun:
    """The server is in dry run: the start ends with the price."""

    plan: BatchPlan


@dataclass(frozen=True, slots=True)
class BatchRepeated:
    """The batch was started before."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class BatchNeedsApproval:
    """A person has to approve the plan, for these reasons (at least one)."""

    plan: BatchPlan
    reasons: tuple[Finding, ...]
    approver: Approver


@dataclass(frozen=True, slots=True)
class BatchReady:
    """The plan can be started without asking a person, or a person approved it before."""

    plan: BatchPlan
    approver: Approver = Approver.POLICY


BatchPrepared = BatchDryRun | BatchRepeated | BatchNeedsApproval | BatchReady


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of one caller."""

    planner: Planner
    """Plans the caller's single texts. A batch uses what it uses."""

    caller: str = ""

    # ── starting ──

    async def prepare(self, batch_id: str, *, can_ask: bool) -> BatchPrepared:
        """Return what starting the caller's batch would do; nothing is changed.

        Raises:
            NotFound: the caller has no such batch.
            NotApproved: a person has to approve it, and the operator allows no question.
            Refused: the plan expired or was cancelled, or has no rows.
            ProviderError: history cannot be read, so a recipient may have objected.
        """
        store = await self.planner.storage.open()
        batch = await self.get(batch_id)
        if batch.started_at:
            return BatchRepeated(batch)
        if batch.state in {BatchState.EXPIRED, BatchState.CANCELLED}:
            raise Refused(f"{batch.id} is {batch.state}.", hint="Plan the batch again.")
        plan = await store.batches.get_plan(batch.id, caller=self.caller)
        if plan.is_started:  # by another call, a moment ago
            return BatchRepeated(await self.get(batch_id))
        if not plan.rows:
            raise Refused(f"{plan.id} has no row that can be sent.", hint="Plan it again.")
        if not self.planner.policy.live:
            return BatchDryRun(plan)
        self.planner.setup.require_clear_names()
        if batch.is_approved:
            return BatchReady(plan, Approver.TERMINAL)
        reasons = list_reasons(self.planner.policy, plan, await self._find_new_reasons(plan))
        approver = choose_approver(self.planner.policy, reasons, can_ask=can_ask)
        if approver is Approver.POLICY:
            return BatchReady(plan)
        return BatchNeedsApproval(plan, reasons, approver)

    async def start(self, prepared: BatchNeedsApproval | BatchReady, decision: Decision) -> Batch:
        """Place the orders of a batch that needs no approval or was approved.

        Cancelling the caller cannot leave the outcome open.

        Raises:
            NotApproved: the person declined, or has to approve it in a terminal.
            Refused: a guard refuses the whole batch by now, or the plan changed or expired.
            ProviderError: history cannot be read, so an opt-out may have been missed.
        """
        if isinstance(prepared, BatchNeedsApproval):
            await self._require(prepared, decision)
        return await self.start_approved(prepared.plan, prepared.approver)

    async def start_approved(self, plan: BatchPlan, approver: Approver) -> Batch:
        """Place the orders of a plan that was approved. Raises the errors of `start`."""
        self._require_live("started")
        store, shown = await self.planner.storage.open(), self.planner.orders.quotes.shown
        started = await self.planner.outbox.batch_starts.start(store, plan, approver, shown)
        self.planner.outbox.wake(sends_batch=True)
        return started

    def _require_live(self, outcome: str) -> None:
        """Check that this process may send. `outcome`: what happens to no batch otherwise."""
        if not self.planner.policy.live:
            raise Refused(f"The server is in dry run, so no batch is {outcome}.", hint=_TURN_LIVE)
        self.planner.setup.require_clear_names()

    async def _require(self, needed: BatchNeedsApproval, decision: Decision) -> None:
        """Check that a person approved the start.

        Raises:
            NotApproved: no person did.
        """
        if decision is Decision.APPROVED:
            return
        if decision is not Decision.CANNOT_ASK:
            raise NotApproved(explain_decline(decision))
        waiting = await self.wait_for_person(needed)
        raise NotApproved(
            self.explain_waiting(needed, waiting, "This client cannot ask a person"),
            hint=f"Tell the user that. A server then starts it; follow it with check_batch ({waiting.id}).",
        )

    def explain_waiting(self, needed: BatchNeedsApproval, waiting: Batch, obstacle: str) -> str:
        """Return why a batch waits, and where and until when a person can approve it.

        `obstacle`: as in `Planner.explain_waiting`.
        """
        setup, why = self.planner.setup, " ".join(each.reason for each in needed.reasons)
        where = locate_approval(waiting.approval_code, setup.command, setup.approval_page)
        return (
            f"Waiting for approval {waiting.approval_code}. {why} {obstacle}, so someone must approve it "
            f"within {format_duration(PLAN_KEPT)} of the plan {where}"
        )

    async def wait_for_person(self, needed: BatchNeedsApproval) -> Batch:
        """Let a batch wait for a person outside the client, and return it with its approval code.

        Raises:
            NotApproved: no person outside the client could approve it.
        """
        why = " ".join(each.reason for each in needed.reasons)
        check_can_wait(self.planner.storage, self.planner.setup, why, "Start it")
        store = await self.planner.storage.open()
        return await store.batch_approvals.ask(needed.plan.id)

    async def _find_new_reasons(self, plan: BatchPlan) -> tuple[Finding, ...]:
        """Return why a person has to be asked because of what was received or shown since the plan."""
        await self.planner.refresh_history()
        store, drafts = await self.planner.storage.open(), [plan.draft(row) for row in plan.rows]
        at_night = self.planner.outbox.pace.at_night
        recalled = await store.batches.recall(drafts, self.planner.orders.quotes.shown, at_night=at_night)
        found: list[tuple[BatchRow, Finding]] = []
        for draft, row, recall in zip(drafts, plan.rows, recalled.recalls, strict=True):
            await anyio.lowlevel.checkpoint()  # a long batch must not keep others from sending
            findings = self.planner.orders.checks.find(draft, Estimate(price=row.price), recall, live=True)
            found += [(row, each) for each in findings]
        return list_new_reasons(plan, found)

    # ── following and stopping ──

    async def get(self, batch_id: str) -> Batch:
        """Return the caller's batch and how far it is.

        Raises:
            NotFound: the caller has no such batch.
        """
        store = await self.planner.storage.open()
        return await store.batches.get(batch_id, caller=self.caller, pace=self.planner.outbox.pace)

    async def follow(
        self, batch_id: str, within: timedelta, report: Callable[[Batch], Awaitable[None]]
    ) -> Batch:
        """Wait until no text of a batch is about to leave, or the time is up; return the batch then.

        Rows that are scheduled are not waited for. `report`: called with the batch about every second.
        """
        deadline, batch = self.planner.clock.now() + within, await self.get(batch_id)
        while batch.is_moving and self.planner.clock.now() < deadline:
            await report(batch)
            await self.planner.clock.sleep_until(min(deadline, self.planner.clock.now() + _FOLLOW_INTERVAL))
            batch = await self.get(batch_id)
        return batch

    async def pause(self, batch_id: str, why: str = PAUSED_BY_CALLER) -> Batch:
        """Pause the rows of the caller's batch that have not left.

        Raises:
            NotFound: the caller has no such batch.
        """
        batch = await self.get(batch_id)
        store = await self.planner.storage.open()
        return await store.batches.pause(batch.id, why)

    async def resume(self, batch_id: str) -> Batch:
        """Resume the rows of the caller's paused batch.

        Raises:
            NotFound: the caller has no such batch.
            Refused: the server is in dry run; the batch was cancelled, or paused for too long; a price rose;
                or the budget does not allow the rest.
            Misconfigured: a variable is set whose name is nearly that of a setting.
            ProviderError: 46elks cannot price the texts, or history cannot be read.
        """
        self._require_live("resumed")
        batch, store = await self.get(batch_id), await self.planner.storage.open()
        resumed = await self.planner.outbox.batch_starts.resume(store, batch)
        self.planner.outbox.wake(sends_batch=True)
        return resumed

    async def cancel(self, batch_id: str) -> Batch:
        """End the rows of the caller's batch that have not left.

        Raises:
            NotFound: the caller has no such batch.
        """
        batch = await self.get(batch_id)
        store = await self.planner.storage.open()
        return await store.batches.cancel(batch.id)


_TURN_LIVE = "The operator can set DRY_RUN=false to send for real."
