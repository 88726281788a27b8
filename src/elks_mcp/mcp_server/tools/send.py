"""What the tools that send have in common: from what was planned, and answered, to what came of it."""

from contextlib import suppress

import anyio
from mcp.server.elicitation import ElicitationResult

from elks_mcp.answers import build
from elks_mcp.answers.results import SendAnswer
from elks_mcp.app import App
from elks_mcp.domain.orders import Approval, Approver, Order
from elks_mcp.errors import StateUnavailable
from elks_mcp.mcp_server.approval import Consent, Plan, Repeat, Request, require_agreement
from elks_mcp.store import Placed, QueueEstimate


async def carry_out(
    app: App, planned: Plan | Request | Repeat, asked: ElicitationResult[Consent], message: str
) -> SendAnswer:
    """Send what was planned, if whoever had to agree did, and say what came of it.

    Raises:
        ElksError: nothing was sent, and nothing will be.
    """
    if isinstance(planned, Plan) and not planned.live:
        return build.report_dry_run(planned.quote, app.policy)
    placed = await _place(app, planned, asked)
    order, estimate = await _follow(app, placed.order)
    if isinstance(planned, Plan) and not placed.is_repeat:  # an order does not keep what they quote
        order = order.model_copy(update={"findings": planned.quote.findings})
    return build.report_order(app, order, message, estimate, repeated=placed.is_repeat)


async def _place(app: App, planned: Plan | Request | Repeat, asked: ElicitationResult[Consent]) -> Placed:
    if isinstance(planned, Repeat):
        return Placed(planned.order, is_repeat=True)
    if isinstance(planned, Plan):
        return await app.outbox.place(Approval(quote=planned.quote, approver=Approver.POLICY))
    with anyio.CancelScope(shield=True):  # who hangs up just now leaves no order behind that nobody sends
        placed = await require_agreement(app, planned, asked)
        if not placed.is_repeat:
            app.outbox.hand_over(placed.order)
    return placed


async def _follow(app: App, order: Order) -> tuple[Order, QueueEstimate | None]:
    """Wait for what comes of an order. That nobody can tell does not mean that it is not sent."""
    with suppress(StateUnavailable):
        order = await app.outbox.wait(order, app.settle_time)
        return order, await app.outbox.estimate(order)
    return order, None
