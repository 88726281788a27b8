"""Carry out a planned send and report the outcome, for every interface that sends."""

from contextlib import suppress

from elks_mcp.answers import build
from elks_mcp.answers.results import SendAnswer
from elks_mcp.answers.schedule import SendForecast, find_forecast
from elks_mcp.app import App
from elks_mcp.domain.orders import Order
from elks_mcp.domain.signature import sign
from elks_mcp.errors import StateUnavailable
from elks_mcp.sending.plan import Decision, DryRunOnly, NeedsApproval, Planned, Ready

_APPROVED_ELSEWHERE = "It was not approved here: a person approved it elsewhere before that."


async def carry_out(app: App, planned: Planned, decision: Decision, message: str) -> SendAnswer:
    """Send what was planned, unless it lacks approval, and report the outcome.

    `decision`: what a person decided, if the plan needs approval.

    Raises:
        ElksError: nothing was sent, and nothing will be.
    """
    if isinstance(planned, DryRunOnly):
        return build.report_dry_run(app, planned.quote)
    placed = await app.planner.carry_out(planned, decision)
    order, forecast = await _follow(app, placed.order)
    if isinstance(planned, Ready) and not placed.is_repeat:  # stored findings lack the quoted texts
        order = order.model_copy(update={"findings": planned.quote.findings})
    text = sign(message, app.policy.signature)
    answer = build.report_order(app, order, text, forecast, repeated=placed.is_repeat)
    if isinstance(planned, NeedsApproval) and decision is not Decision.APPROVED:
        return answer.model_copy(update={"notes": (*answer.notes, _APPROVED_ELSEWHERE)})
    return answer


async def _follow(app: App, order: Order) -> tuple[Order, SendForecast]:
    """Wait for the outcome of an order; if the store cannot be read, return it as it was placed."""
    with suppress(StateUnavailable):
        order = await app.outbox.wait(order, app.settle_time)
        return order, await find_forecast(app, order)
    return order, SendForecast()
