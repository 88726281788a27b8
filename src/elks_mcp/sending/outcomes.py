"""Carry out a planned text, and wait for its outcome."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from elks_mcp.domain.orders import Order
from elks_mcp.errors import StateUnavailable
from elks_mcp.sending.plan import Decision, DryRunOnly, NeedsApproval, Planned, Planner, Ready, Repeated


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """The order of a planned text, after the wait for its outcome."""

    planned: Repeated | NeedsApproval | Ready
    order: Order
    is_repeat: bool
    """Whether an earlier request placed the order."""

    is_approved_elsewhere: bool
    """Whether a person approved the order elsewhere, before the question here was answered."""


async def carry_out(
    planner: Planner, planned: Planned, decision: Decision, within: timedelta
) -> DryRunOnly | SendOutcome:
    """Send what was planned, unless it lacks approval, and return its outcome.

    If the store cannot be read meanwhile, the order is as it was placed.

    Args:
        planner: the planner that made the plan.
        planned: the plan.
        decision: what a person decided, if the plan needs approval.
        within: how long to wait for the outcome.

    Raises:
        ElksError: nothing was sent, and nothing will be.
    """
    if isinstance(planned, DryRunOnly):
        return planned
    placed = await planner.carry_out(planned, decision)
    order = placed.order
    with suppress(StateUnavailable):
        order = await planner.outbox.wait(order, within)
    elsewhere = isinstance(planned, NeedsApproval) and decision is not Decision.APPROVED
    return SendOutcome(planned, order, is_repeat=placed.is_repeat, is_approved_elsewhere=elsewhere)
