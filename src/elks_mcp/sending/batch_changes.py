"""Pause, resume or cancel a batch of a caller, or let a person decide that.

A stranger's text can ask an assistant to cancel a batch, or to resume one. After such a text was shown, a
person approves that. If no person can be asked, a batch is paused instead of cancelled, so that nothing is
lost. If a person paused a batch, only a person resumes it.
"""

from dataclasses import dataclass
from typing import Literal

from elks_mcp.domain.approval import NEVER_ASKS
from elks_mcp.domain.batches import PAUSED_BY_CALLER, PAUSED_BY_PERSON, Batch, BatchState
from elks_mcp.domain.guards import is_on
from elks_mcp.domain.orders import Effect, Finding
from elks_mcp.domain.policy import Confirm, Policy
from elks_mcp.domain.taint import describe_taint
from elks_mcp.errors import NotApproved
from elks_mcp.sending.batches import Batches
from elks_mcp.sending.plan import Decision, explain_decline

BatchChange = Literal["pause", "resume", "cancel"]
"""A change of a batch by its caller."""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """The plan for a request to change a batch."""

    batch: Batch
    change: BatchChange
    reason: Finding | None = None
    """Why a person has to approve it; None if no person has to."""

    pause_reason: str = PAUSED_BY_CALLER


_ENDED = {BatchState.FINISHED, BatchState.CANCELLED, BatchState.EXPIRED}


@dataclass(frozen=True, slots=True)
class BatchChanges:
    """Pauses, resumes and cancels the batches of one caller."""

    batches: Batches
    policy: Policy

    async def plan(self, batch_id: str, change: BatchChange) -> PlannedChange:
        """Return what a request to change the caller's batch would do; nothing is changed.

        Raises:
            NotFound: the caller has no such batch.
            NotApproved: a person has to approve a resumption, and the operator allows no questions.
        """
        batch = await self.batches.get(batch_id)
        reason = await self._find_reason(batch, change)
        if reason is None or self.policy.confirm is not Confirm.NEVER:
            return PlannedChange(batch, change, reason)
        return self._plan_unasked(batch, change, reason, NEVER_ASKS)

    def _plan_unasked(
        self, batch: Batch, change: BatchChange, reason: Finding, obstacle: str
    ) -> PlannedChange:
        """Return the pause that replaces a cancellation about which no person can be asked."""
        if change == "resume":
            command = self.batches.planner.setup.command(f"batch resume {batch.id}")
            raise NotApproved(f"{reason.reason} {obstacle}", hint=f"{_BY_HAND} {command}")
        return PlannedChange(batch, "pause", pause_reason=f"{reason.reason} A person can cancel it.")

    async def _find_reason(self, batch: Batch, change: BatchChange) -> Finding | None:
        """Return why a person has to approve it; None if no person has to."""
        cancels = change == "cancel" and batch.state not in _ENDED
        resumes = change == "resume" and batch.state is BatchState.PAUSED
        if resumes and batch.is_paused_by_person:
            return Finding(guard="paused", effect=Effect.ASK, reason=PAUSED_BY_PERSON)
        if not (cancels or resumes) or not is_on("tainted", self.policy):
            return None
        if not await self.batches.planner.orders.was_shown_others(None):
            return None
        reason = describe_taint(f"{change} this batch")
        return Finding(guard="tainted", effect=Effect.ASK, reason=reason)

    async def carry_out(self, plan: PlannedChange, decision: Decision) -> Batch:
        """Do what was planned, and return the batch in its new state; it may have ended meanwhile.

        `decision`: what the person decided, if the plan has a reason to ask one.

        Raises:
            NotApproved: the person declined or did not answer, or no person can be asked about a resumption.
            Refused: the batch was paused for too long to be resumed, or the budget does not allow the rest.
            ProviderError: history cannot be read, so an opt-out may have been missed.
        """
        batch = plan.batch
        if plan.reason and decision is not Decision.APPROVED:
            if decision is not Decision.CANNOT_ASK:
                raise NotApproved(explain_decline(decision, _UNCHANGED[plan.change]))
            plan = self._plan_unasked(batch, plan.change, plan.reason, "This client cannot ask a person.")
        match plan.change:
            case "pause":
                return await self.batches.pause(batch.id, plan.pause_reason)
            case "resume":
                return await self.batches.resume(batch.id)
        return await self.batches.cancel(batch.id)


_BY_HAND = "A person can resume it in a terminal:"

_UNCHANGED = {"cancel": "The batch continues.", "resume": "The batch stays paused."}
