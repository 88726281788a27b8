"""Asking a person, in both eras of the protocol.

`plan` and `ask` are resolvers: the SDK runs them before `send_sms`, and in the newer era once more
in each round. The question therefore hangs on nothing but the order that waits: no clock, no balance.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from mcp.server.elicitation import AcceptedElicitation, CancelledElicitation, ElicitationResult
from mcp.server.mcpserver import Context, Elicit, Resolve
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, Field

from elks_mcp.app import App
from elks_mcp.domain.approval import write_question
from elks_mcp.domain.orders import Approval, Approver, Draft, Effect, Finding, Order, Quote
from elks_mcp.domain.policy import check_liftable, reasons_to_ask, who_agrees
from elks_mcp.errors import NotApproved
from elks_mcp.runtime.tasks import background
from elks_mcp.store import Placed

ANSWER_WITHIN = timedelta(minutes=5)
"""No answer in this time is a no."""

_BETWEEN_PROGRESS = timedelta(seconds=5)


class Consent(BaseModel):
    """The form a person fills in."""

    send: bool = Field(title="Send it?", description="Send exactly this text to exactly this number.")


class Agreement(StrEnum):
    """What came of asking."""

    NOT_NEEDED = "not needed"
    CANNOT_ASK = "the client cannot ask"
    YES = "yes"
    NO = "no"
    DISMISSED = "dismissed"
    LATE = "no answer in time"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call of send_sms comes to, before anybody is asked. Without `live` it ends there."""

    quote: Quote
    live: bool


@dataclass(frozen=True, slots=True)
class Request:
    """An order that waits for a person's yes, and why it does."""

    order: Order
    reasons: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A call that only repeats one made before."""

    order: Order


async def plan(
    to: str,
    message: str,
    sender: str,
    flashsms: str | None,
    dry_run: bool | None,
    idempotency_key: str,
    ctx: Context[App],
) -> Plan | Request | Repeat:
    """Work out what is asked for, what it costs, and who has to agree."""
    app = ctx.request_context.lifespan_context
    app.require_account(sender=not sender)
    draft = app.orders.draft(to, message, sender, flash=flashsms == "yes", key=idempotency_key)
    return await plan_draft(draft, dry_run, ctx)


async def plan_draft(draft: Draft, dry_run: bool | None, ctx: Context[App]) -> Plan | Request | Repeat:
    """Work out what a draft comes to."""
    app = ctx.request_context.lifespan_context
    lifts = dry_run is False and not app.policy.live
    if not lifts and (dry_run or not app.policy.live):
        return Plan(await app.orders.quote(draft, live=False), live=False)
    app.require_clear_names()
    if lifts:
        check_liftable(app.policy, can_ask=can_ask(ctx))
    await app.history.refresh()
    prior = await app.orders.find_prior(draft)
    if prior.repeated:
        return Repeat(prior.repeated)
    if prior.waiting and await _still_asked(app, prior.waiting, ctx):
        return _request(app, prior.waiting, lifts=lifts)
    quote = await app.orders.quote(draft, live=True, recall=prior.recall)
    return await _plan_live(app, quote, lifts=lifts, can_ask=can_ask(ctx))


async def _still_asked(app: App, waiting: Order, ctx: Context[App]) -> bool:
    """Tell whether an order that waits may be asked about again.

    One that was left alone for too long is not: its answer would be late before anybody saw the question.
    """
    is_answer = ctx.request_state is not None
    if is_answer or not can_ask(ctx) or not _is_late(app, waiting):
        return True
    await app.orders.cancel(waiting, "It was asked about anew.")
    return False


def _is_late(app: App, order: Order) -> bool:
    """Tell whether a question put when the order was placed has lost its time; a terminal's has longer."""
    return order.approver is Approver.PERSON and app.clock.now() - order.placed_at > ANSWER_WITHIN


async def _plan_live(app: App, quote: Quote, *, lifts: bool, can_ask: bool) -> Plan | Request | Repeat:
    reasons = reasons_to_ask(app.policy, quote.findings, lifts_dry_run=lifts)
    approver = who_agrees(app.policy, reasons, can_ask=can_ask)
    if approver is Approver.POLICY:
        return Plan(quote, live=True)
    if approver is Approver.TERMINAL and not app.storage.location.is_durable:
        raise NotApproved(
            f"{_in_words(reasons)} This client cannot ask anybody, and no terminal reaches the sandbox.",
            hint="Use a client that supports elicitation.",
        )
    placed = await app.orders.place(Approval(quote=quote, approver=approver))
    app.outbox.wake()
    return Repeat(placed.order) if placed.is_repeat else _request(app, placed.order, lifts=lifts)


def _request(app: App, order: Order, *, lifts: bool) -> Request:
    reasons = reasons_to_ask(app.policy, order.findings, lifts_dry_run=lifts)
    return Request(order, reasons or (_ASKED_BEFORE,))


async def ask(
    planned: Annotated[Plan | Request | Repeat, Resolve(plan)], ctx: Context[App]
) -> Agreement | Elicit[Consent]:
    """Ask a person, where one has to agree."""
    return await put_before_person(planned, ctx)


async def put_before_person(
    planned: Plan | Request | Repeat, ctx: Context[App]
) -> Agreement | Elicit[Consent]:
    """Have a person asked, where one has to agree: by the SDK in the newer era, here in the older."""
    if not isinstance(planned, Request):
        return Agreement.NOT_NEEDED
    if not can_ask(ctx):
        return Agreement.CANNOT_ASK
    app = ctx.request_context.lifespan_context
    question = write_question(planned.order, planned.reasons)
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return Elicit(question, Consent)
    try:
        async with background() as tasks:
            tasks.start_soon(_tell_client, app, ctx)
            asking = ctx.elicit(question, Consent)
            return _read(await app.clock.wait_for(asking, until=app.clock.now() + ANSWER_WITHIN))
    except (MCPError, ValueError):
        raise NotApproved("The client could not get a person's answer.") from None


async def _tell_client(app: App, ctx: Context[App]) -> None:
    """Tell the client every few seconds that a person is asked, or it gives up the call."""
    began = app.clock.now()
    while True:
        await app.clock.sleep_until(app.clock.now() + _BETWEEN_PROGRESS)
        waited = (app.clock.now() - began).total_seconds()
        await ctx.report_progress(waited, ANSWER_WITHIN.total_seconds(), "Waiting for a person's answer.")


async def require_agreement(app: App, request: Request, asked: ElicitationResult[Consent]) -> Placed:
    """Let the order go, if whoever had to agree did.

    Raises:
        NotApproved: the answer was no, or came too late, or did not come; or only a terminal can give it.
        ProviderError: nobody knows whether the recipient said STOP in the meantime.
    """
    agreed, order = _read(asked), request.order
    if agreed is Agreement.CANNOT_ASK:
        raise NotApproved(_say_how_to_approve(app, request))
    if agreed is Agreement.YES and _is_late(app, order):
        agreed = Agreement.LATE
    if agreed is not Agreement.YES:
        await app.orders.cancel(order, _REFUSALS[agreed])
        raise NotApproved(_REFUSALS[agreed])
    await app.history.refresh()  # a person takes minutes, and in these the recipient may say STOP
    return await app.orders.approve(order)


def _say_how_to_approve(app: App, request: Request) -> str:
    """Say that a person has to agree in a terminal, and with which words."""
    order, command = request.order, app.command(f"approve {request.order.approval}")
    return (
        f"waiting for approval {order.approval}. {_in_words(request.reasons)} This client cannot ask a "
        f"person, so one has to agree in a terminal within 30 minutes: {command} "
        f"Tell the user that, and ask check_sms_status ({order.id}) afterwards; do not send it again."
    )


def _in_words(reasons: tuple[Finding, ...]) -> str:
    return " ".join(reason.in_words for reason in reasons)


def can_ask(ctx: Context[App]) -> bool:
    """Tell whether the client can put a form before a person."""
    capability = ctx.client_capabilities.elicitation if ctx.client_capabilities else None
    if capability is None or (capability.form is None and capability.url is not None):
        return False
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or ctx.session.can_send_request


def _read(asked: object) -> Agreement:
    """Bring the answers of both eras, and no question at all, to one word."""
    if isinstance(asked, AcceptedElicitation):
        return _read(asked.data)
    if isinstance(asked, Agreement):
        return asked
    if isinstance(asked, Consent):
        return Agreement.YES if asked.send else Agreement.NO
    if asked is None:
        return Agreement.LATE
    return Agreement.DISMISSED if isinstance(asked, CancelledElicitation) else Agreement.NO


_ASKED_BEFORE = Finding(
    guard="confirm", effect=Effect.ASK, reason="It was asked for under other rules, and waits for a person."
)

_REFUSALS = {
    Agreement.NO: "declined; the person who was asked said no. Do not ask again unless they want it.",
    Agreement.DISMISSED: "declined; the question was dismissed. Tell the person what it was about.",
    Agreement.LATE: "declined, since nobody answered within 5 minutes. Ask again when somebody is there.",
}
