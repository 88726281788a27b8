"""Ask a person to approve a text, or its cancellation, in both eras of the protocol.

`plan` and `ask` are resolvers: the SDK runs them before `send_sms`, and in the newer era again in each round.
The question therefore depends only on the order, not on the time or the balance. `plan_cancel` and
`ask_about_cancel` are the same for `cancel_sms`.
"""

from datetime import timedelta
from typing import Annotated, Any, TypeVar

from mcp.server.elicitation import AcceptedElicitation, CancelledElicitation
from mcp.server.mcpserver import Context, Elicit, Resolve
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, Field

from elks_mcp.app import App
from elks_mcp.domain.approval import write_cancel_question, write_question
from elks_mcp.errors import NotApproved
from elks_mcp.runtime.tasks import background
from elks_mcp.sending.cancellation import CancelPlan
from elks_mcp.sending.plan import ANSWER_WITHIN, Decision, NeedsApproval, Planned
from elks_mcp.sending.send_requests import SendRequest, SmsRequest

ConsentForm = TypeVar("ConsentForm", bound=BaseModel)

RESOLVED = AcceptedElicitation[Any]
"""The class in which the SDK wraps what a resolver returns; pydantic rebuilds it if nothing refers to it."""

_BETWEEN_PROGRESS = timedelta(seconds=5)


class OneBoxForm(BaseModel):
    """A form with one box, which a person ticks to approve."""


class Consent(OneBoxForm):
    """The form that a person fills in."""

    send: bool = Field(title="Send it?", description="Send exactly this text to exactly this number.")


class MmsConsent(OneBoxForm):
    """The form about an MMS."""

    send: bool = Field(title="Send it?", description="Send exactly this picture to exactly this number.")


class CallConsent(OneBoxForm):
    """The form about a call."""

    call: bool = Field(title="Call?", description="Make exactly this call to exactly this number.")


class CancelConsent(OneBoxForm):
    """The form about a cancellation."""

    cancel: bool = Field(title="Cancel it?", description="Cancel exactly this text, which is then not sent.")


async def plan(  # noqa: PLR0913, PLR0917  (the arguments of the tool, which the SDK passes by name)
    to: str,
    message: str,
    sender: str,
    flashsms: str | None,
    dry_run: bool | None,
    idempotency_key: str,
    send_at: str,
    time_zone: str,
    ctx: Context[App],
) -> Planned:
    """Return the plan for a call of `send_sms`."""
    request = SmsRequest(
        to=to,
        message=message,
        sender=sender,
        flash=flashsms == "yes",
        dry_run=dry_run,
        idempotency_key=idempotency_key,
        send_at=send_at,
        time_zone=time_zone,
    )
    return await plan_request(request, ctx)


async def plan_request(request: SendRequest, ctx: Context[App]) -> Planned:
    """Return the plan for a request. Raises the errors of `Planner.plan`."""
    planner = ctx.request_context.lifespan_context.planner
    return await planner.plan(request, can_ask=can_ask(ctx), is_answer=ctx.request_state is not None)


async def ask(planned: Annotated[Planned, Resolve(plan)], ctx: Context[App]) -> Decision | Elicit[Consent]:
    """Ask a person about a call of `send_sms`, if one has to approve it."""
    return await ask_person(planned, ctx, Consent)


async def ask_person(
    planned: Planned, ctx: Context[App], form: type[ConsentForm]
) -> Decision | Elicit[ConsentForm]:
    """Ask a person, if one has to approve what was planned. Raises the errors of `show_form`."""
    if not isinstance(planned, NeedsApproval):
        return Decision.NOT_NEEDED
    app = ctx.request_context.lifespan_context
    contacts, zone = app.contacts.known, app.policy.time_zone
    return await show_form(ctx, write_question(planned.order, planned.reasons, contacts, zone), form)


async def plan_cancel(order_id: str, ctx: Context[App]) -> CancelPlan:
    """Return the plan for a call of `cancel_sms`."""
    return await ctx.request_context.lifespan_context.canceller.plan(order_id)


async def ask_about_cancel(
    planned: Annotated[CancelPlan, Resolve(plan_cancel)], ctx: Context[App]
) -> Decision | Elicit[CancelConsent]:
    """Ask a person about a call of `cancel_sms`, if one has to approve it."""
    if planned.reason is None:
        return Decision.NOT_NEEDED
    app = ctx.request_context.lifespan_context
    contacts, zone = app.contacts.known, app.policy.time_zone
    question = write_cancel_question(planned.order, planned.reason, contacts, zone)
    return await show_form(ctx, question, CancelConsent)


async def show_form(
    ctx: Context[App], question: str, form: type[ConsentForm]
) -> Decision | Elicit[ConsentForm]:
    """Ask a person if the client can.

    In the newer era of the protocol the SDK asks, in the older this function.

    Raises:
        NotApproved: the client failed to get an answer.
    """
    if not can_ask(ctx):
        return Decision.CANNOT_ASK
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return Elicit(question, form)
    app = ctx.request_context.lifespan_context
    try:
        async with background() as tasks:
            tasks.start_soon(_report_progress, app, ctx)
            asking = ctx.elicit(question, form)
            return read_decision(await app.clock.wait_for(asking, until=app.clock.now() + ANSWER_WITHIN))
    except (MCPError, ValueError):
        raise NotApproved("The client could not get a person's answer.", hint=_ASK_AGAIN) from None


_ASK_AGAIN = "Tell the person what the question was about, and call it again if they want that."


async def _report_progress(app: App, ctx: Context[App]) -> None:
    """Report progress every few seconds, so that the client does not time out."""
    began = app.clock.now()
    while True:
        await app.clock.sleep_until(app.clock.now() + _BETWEEN_PROGRESS)
        waited = (app.clock.now() - began).total_seconds()
        await ctx.report_progress(waited, ANSWER_WITHIN.total_seconds(), "Waiting for a person's answer.")


def can_ask(ctx: Context[App]) -> bool:
    """Return whether the client can show a form to a person."""
    capabilities = ctx.client_capabilities
    capability = capabilities.elicitation if capabilities else None
    if capability is None or (capability.form is None and capability.url is not None):
        return False
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or ctx.session.can_send_request


def read_decision(asked: object) -> Decision:
    """Return the decision in an answer of either era. None means that no answer came in time."""
    if isinstance(asked, AcceptedElicitation):
        return read_decision(asked.data)
    if isinstance(asked, Decision):
        return asked
    if isinstance(asked, OneBoxForm):
        (is_ticked,) = asked.model_dump().values()
        return Decision.APPROVED if is_ticked else Decision.DECLINED
    if asked is None:
        return Decision.LATE
    return Decision.DISMISSED if isinstance(asked, CancelledElicitation) else Decision.DECLINED
