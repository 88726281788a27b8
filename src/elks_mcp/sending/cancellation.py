"""Cancel an order of a caller that has not left, or let a person decide about it.

A stranger's text can ask an assistant to cancel a text to another person. After such a text was shown, a
person approves the cancellation. If no person can be asked, the order is paused: it waits for approval, so
that a person can still have it sent. An order that a person approved is not paused, so that an assistant
cannot undo the approval.
"""

from dataclasses import dataclass

from elks_mcp.domain.approval import NEVER_ASKS
from elks_mcp.domain.guards import is_on
from elks_mcp.domain.orders import CANCELLABLE, CANCELLED_BY_CALLER, Effect, Finding, Order
from elks_mcp.domain.policy import Confirm, Policy
from elks_mcp.domain.taint import TAINT_LASTS, describe_taint
from elks_mcp.domain.wording import format_duration
from elks_mcp.errors import NotApproved, NotFound
from elks_mcp.sending.orders import Orders
from elks_mcp.sending.outbox import Outbox
from elks_mcp.sending.plan import Decision, explain_decline
from elks_mcp.sending.server_setup import ServerSetup, check_can_wait
from elks_mcp.store import Storage


@dataclass(frozen=True, slots=True)
class CancelPlan:
    """The plan for a request to cancel an order."""

    order: Order
    reason: Finding | None = None
    """Why a person has to approve it; None if the order can be cancelled without, or not at all."""


@dataclass(frozen=True, slots=True)
class Canceller:
    """Cancels orders of one caller."""

    orders: Orders
    outbox: Outbox
    storage: Storage
    policy: Policy
    setup: ServerSetup

    async def plan(self, number: str) -> CancelPlan:
        """Return what cancelling the caller's order with this id would do; nothing is changed.

        Raises:
            NotFound: the caller has no such order.
            NotApproved: a person has to approve it, and the operator allows no question.
        """
        order = await self.orders.find_order(number.strip())
        if order is None:
            raise NotFound("No order has that id.", hint="Give the id of one of your orders (O-…).")
        if order.state not in CANCELLABLE or not is_on("tainted", self.policy):
            return CancelPlan(order)
        if not await self.orders.was_shown_others(order.to):
            return CancelPlan(order)
        if self.policy.confirm is Confirm.NEVER:
            raise NotApproved(
                f"{_TAINTED.reason} {NEVER_ASKS}",
                hint=f"A person can cancel it in a terminal: {self.setup.command(f'cancel {order.id}')} "
                f"Or try again after these {_MINUTES}.",
            )
        return CancelPlan(order, _TAINTED)

    async def carry_out(self, plan: CancelPlan, decision: Decision) -> Order:
        """Cancel or pause the order of a plan, and return it in its new state.

        `decision`: what the person decided, if the plan has a reason to ask one.

        Raises:
            NotApproved: the person declined or did not answer, or no person can decide.
            Refused: too many orders of the caller wait for a person.
        """
        order = plan.order
        if order.state not in CANCELLABLE:
            return order
        if plan.reason is None or decision is Decision.APPROVED:
            return await self.outbox.cancel(order, CANCELLED_BY_CALLER)
        if decision is not Decision.CANNOT_ASK:
            raise NotApproved(explain_decline(decision, _GOES_OUT))
        check_can_wait(self.storage, self.setup, plan.reason.reason, "Cancel it")
        paused = await self.outbox.pause(order, plan.reason)
        if paused is None:
            raise NotApproved(
                f"A person approved this text, and no person can be asked here. {_GOES_OUT}",
                hint=f"A person can cancel it in a terminal: {self.setup.command(f'cancel {order.id}')}",
            )
        return paused


_MINUTES = format_duration(TAINT_LASTS)

_TAINTED = Finding(
    guard="tainted",
    effect=Effect.ASK,
    reason=describe_taint("cancel this text"),
)

_GOES_OUT = "The text is sent as planned."
