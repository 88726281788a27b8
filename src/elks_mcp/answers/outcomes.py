"""Report the outcome of a planned text, for every interface that sends."""

from contextlib import suppress
from typing import TypeVar

from elks_mcp.answers import build
from elks_mcp.answers.results import OrderAnswer, SendAnswer
from elks_mcp.answers.schedule import SendForecast, find_forecast
from elks_mcp.app import App
from elks_mcp.domain.orders import Order
from elks_mcp.domain.signature import sign
from elks_mcp.errors import StateUnavailable
from elks_mcp.sending.outcomes import SendOutcome
from elks_mcp.sending.plan import DryRunOnly, Ready
from elks_mcp.sending.row_to_my_number import RowToMyNumber

AnyOrderAnswer = TypeVar("AnyOrderAnswer", bound=OrderAnswer)

_APPROVED_ELSEWHERE = "It was not approved here: a person approved it elsewhere before that."


async def report_outcome(app: App, outcome: DryRunOnly | SendOutcome, message: str) -> SendAnswer:
    """Return the answer about the outcome of a planned text.

    `message`: the text as the caller gave it.
    """
    if isinstance(outcome, DryRunOnly):
        return build.report_dry_run(app, outcome.quote)
    order, forecast = await read_order(app, outcome)
    text = sign(message, app.policy.signature)
    answer = build.report_order(app, order, text, forecast, repeated=outcome.is_repeat)
    return note_approval(answer, outcome)


async def read_order(app: App, outcome: SendOutcome) -> tuple[Order, SendForecast]:
    """Return the order with the findings of this request, and when it will be sent."""
    order, planned = outcome.order, outcome.planned
    forecast = SendForecast()
    with suppress(StateUnavailable):
        forecast = await find_forecast(app, order)
    if isinstance(planned, Ready) and not outcome.is_repeat:  # stored findings lack the quoted texts
        order = order.model_copy(update={"findings": planned.quote.findings})
    return order, forecast


def note_approval(answer: AnyOrderAnswer, outcome: SendOutcome) -> AnyOrderAnswer:
    """Return the answer, with a note if a person approved the order elsewhere."""
    if not outcome.is_approved_elsewhere:
        return answer
    return answer.model_copy(update={"notes": (*answer.notes, _APPROVED_ELSEWHERE)})


async def report_row_to_my_number(app: App, sent: RowToMyNumber) -> str:
    """Return whether a row's text went to the operator's own number; "" if no row was chosen."""
    if sent.row is None:
        return ""
    if sent.outcome is None:
        return f"Test: row {sent.row} was not sent. {sent.failure}"
    answer = await report_outcome(app, sent.outcome, sent.text)
    order = f" Order {answer.order_id}." if answer.order_id else ""
    return f"Test of row {sent.row}, to the operator's own number: {answer.summary}{order}"
