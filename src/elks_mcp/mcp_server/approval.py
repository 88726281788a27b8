"""Asking a person, in both eras of the protocol.

`plan` and `ask` are resolvers: the SDK runs them before `send_sms`, and in the newer era once more
in each round. The question therefore hangs on nothing but the kept quote: no clock, no balance.
"""

import re
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
from elks_mcp.errors import NotApproved
from elks_mcp.models import Approver, Effect, Finding, Order, Quote
from elks_mcp.phone import written
from elks_mcp.policy import check_liftable, reasons_to_ask, who_agrees
from elks_mcp.text import hides

ANSWER_WITHIN = timedelta(minutes=5)
"""No answer in this time is a no."""


class Consent(BaseModel):
    """The form a person fills in."""

    send: bool = Field(title="Send it?", description="Send exactly this text to exactly this number.")


class Agreement(StrEnum):
    """What came of asking."""

    NOT_NEEDED = "not needed"
    YES = "yes"
    NO = "no"
    DISMISSED = "dismissed"
    LATE = "no answer in time"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call of send_sms comes to, before anybody is asked. Without `live` it ends there."""

    quote: Quote
    live: bool
    approver: Approver = Approver.POLICY
    reasons: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """A call that only repeats one made before, by its idempotency key."""

    order: Order


async def plan(
    to: str,
    message: str,
    sender: str,
    flashsms: str | None,
    dry_run: bool | None,
    idempotency_key: str,
    ctx: Context[App],
) -> Plan | Repeat:
    """Work out what is asked for, what it costs, and who has to agree."""
    app = ctx.request_context.lifespan_context
    app.require_account(sender=not sender)
    draft = app.orders.draft(to, message, sender, flash=flashsms == "yes", key=idempotency_key)
    lifts = dry_run is False and not app.policy.live
    if not lifts and (dry_run or not app.policy.live):
        return Plan(await app.orders.quote(draft, live=False), live=False)
    app.require_clear_names()
    if lifts:
        check_liftable(app.policy, can_ask=can_ask(ctx))
    if repeated := await app.orders.find_repeated(draft):
        return Repeat(repeated)
    quote = await app.orders.quote(draft, live=True, answering=bool(ctx.input_responses))
    reasons = reasons_to_ask(app.policy, quote, lifts_dry_run=lifts)
    return Plan(
        quote, live=True, approver=who_agrees(app.policy, reasons, can_ask=can_ask(ctx)), reasons=reasons
    )


async def ask(
    planned: Annotated[Plan | Repeat, Resolve(plan)], ctx: Context[App]
) -> Agreement | Elicit[Consent]:
    """Ask a person, where one has to agree: by the SDK in the newer era, here in the older."""
    if isinstance(planned, Repeat) or planned.approver is not Approver.PERSON:
        return Agreement.NOT_NEEDED
    app = ctx.request_context.lifespan_context
    await app.orders.keep(planned.quote)
    question = put_question(planned.quote, planned.reasons)
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return Elicit(question, Consent)
    try:
        asking = ctx.elicit(question, Consent)
        return _read(await app.clock.wait_for(asking, until=app.clock.now() + ANSWER_WITHIN))
    except (MCPError, ValueError):
        raise NotApproved("The client could not get a person's answer.") from None


async def require_agreement(app: App, planned: Plan, asked: ElicitationResult[Consent]) -> None:
    """Check that whoever had to agree did.

    Raises:
        NotApproved: the answer was no, or came too late, or did not come.
    """
    agreed = _read(asked)
    quote = planned.quote
    if agreed is Agreement.YES and app.clock.now() - quote.quoted_at > ANSWER_WITHIN:
        agreed = Agreement.LATE
    if agreed in {Agreement.YES, Agreement.NOT_NEEDED}:
        return
    await app.orders.drop(quote)
    raise NotApproved(_REFUSALS[agreed])


def can_ask(ctx: Context[App]) -> bool:
    """Tell whether the client can put a form before a person."""
    capability = ctx.client_capabilities.elicitation if ctx.client_capabilities else None
    if capability is None or (capability.form is None and capability.url is not None):
        return False
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or ctx.session.can_send_request


_LINE_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")


def put_question(quote: Quote, reasons: tuple[Finding, ...]) -> str:
    """Write what a person has to know to agree; the same for the same quote, always.

    The text comes last and each of its lines behind a bar, so that no text can pass for what we say.
    """
    draft = quote.draft
    cost = f"{quote.parts} part{'s' if quote.parts > 1 else ''}, {quote.estimate.price}."
    hidden = " (there are invisible characters in it)" if hides(draft.text) else ""
    flash = " Shown as a flash message." if draft.flash else ""
    lines = [
        f"Send this text to {draft.to.e164} ({draft.to.country}) from {written(draft.sender)}?",
        f"{cost}{flash} Quote {quote.id}.",
        f"You are asked because of: {', '.join(reason.guard for reason in reasons)}.",
        *(f"- {reason.reason}" for reason in reasons),
        *(f"- Note: {warning.reason}" for warning in quote.of(Effect.WARN)),
        f"The text, behind a bar on each line{hidden}:",
        *(f"| {line}" for line in _LINE_BREAK.split(draft.text)),
    ]
    return "\n".join(lines)


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


_REFUSALS = {
    Agreement.NO: "declined; the person who was asked said no. Do not ask again unless they want it.",
    Agreement.DISMISSED: "declined; the question was dismissed. Tell the person what it was about.",
    Agreement.LATE: "declined, since nobody answered within 5 minutes. Ask again when somebody is there.",
}
