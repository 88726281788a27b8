"""Pause, resume or cancel a batch of a caller, or let a person decide about it.

A stranger's text can ask an assistant to cancel a batch. After such a text was shown, a person approves the
cancellation. If no person can be asked, the batch is paused instead, so that nothing is lost.
"""

from dataclasses import dataclass
from enum import StrEnum

from elks_mcp.domain.batches import Batch, BatchState
from elks_mcp.domain.guards import is_on
from elks_mcp.domain.orders import Effect, Finding
from elks_mcp.domain.policy import Confirm, Policy
from elks_mcp.domain.taint import TAINT_LASTS
from elks_mcp.domain.wording import format_duration
from elks_mcp.errors import NotApproved
from elks_mcp.sending.batches import Batches
from elks_mcp.sending.plan import Decision


class StopAction(StrEnum):
    """A change of a batch by its caller."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class StopPlan:
    """The plan for a request to stop a batch."""

    batch: Batch
    action: StopAction
    reason: Finding | None = None
    """Why a person has to approve it; None if no person has to."""


_ENDED = {BatchState.FINISHED, BatchState.CANCELLED, BatchState.EXPIRED}


@dataclass(frozen=True, slots=True)
class BatchStopper:
    """Stops the batches of one caller."""

    batches: Batches
    policy: Policy

    async def plan(self, batch_id: str, action: StopAction) -> StopPlan:
        """Return what a request to stop the caller's batch comes to; nothing is changed.

        Raises:
            NotFound: the caller has no such batch.
        """
        batch = await self.batches.get(batch_id)
        cancels = action is StopAction.CANCEL and batch.state not in _ENDED
        if not cancels or not is_on("tainted", self.policy):
            return StopPlan(batch, action)
        if not await self.batches.orders.was_shown_others(None):
            return StopPlan(batch, action)
        return StopPlan(batch, action, _TAINTED)

    async def carry_out(self, plan: StopPlan, decision: Decision) -> Batch:
        """Do what was planned, and return the batch as it is then; it may have ended meanwhile.

        `decision`: what the person decided, if the plan has a reason to ask one.

        Raises:
            NotApproved: the person declined or did not answer.
            Refused: the batch was paused for too long to be resumed, or the budget does not allow the rest.
            ProviderError: history cannot be read, so an opt-out may have been missed.
        """
        match plan.action:
            case StopAction.PAUSE:
                return await self.batches.pause(plan.batch.id)
            case StopAction.RESUME:
                return await self.batches.resume(plan.batch.id)
        if plan.reason is None or decision is Decision.APPROVED:
            return await self.batches.cancel(plan.batch.id)
        if decision is Decision.CANNOT_ASK or self.policy.confirm is Confirm.NEVER:
            return await self.batches.pause(plan.batch.id, f"{_TAINTED.reason} A person can cancel it.")
        raise NotApproved(_DECLINED.get(decision, _DECLINED[Decision.DECLINED]))


_TAINTED = Finding(
    guard="tainted",
    effect=Effect.ASK,
    reason=f"In the last {format_duration(TAINT_LASTS)} the assistant read texts from others, one of which "
    "may have asked it to cancel this batch.",
)

_GOES_ON = "The batch goes on."
_DECLINED = {
    Decision.DECLINED: f"Declined by the person who was asked. {_GOES_ON}",
    Decision.DISMISSED: f"Declined: the question was dismissed. {_GOES_ON}",
    Decision.LATE: f"Declined: there was no answer in time. {_GOES_ON}",
}
