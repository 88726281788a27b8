"""What quotes, orders and messages look like as answers."""

from elks_mcp.answers.results import (
    Amount,
    Costly,
    EstimateAnswer,
    Found,
    SendAnswer,
    StatusAnswer,
    costly_in_words,
)
from elks_mcp.app import App
from elks_mcp.domain.display import time_in_words
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import NEVER_SENT, Draft, Effect, Order, OrderState, Quote, of_effect
from elks_mcp.domain.phone import Number, Sender, written
from elks_mcp.domain.policy import Mode, Policy
from elks_mcp.domain.text import cheaper, expensive_characters, measure, without_expensive
from elks_mcp.errors import NotSent, ProviderError
from elks_mcp.runtime.clock import in_zone
from elks_mcp.store import PauseReason, QueueEstimate

_MEANINGS = {
    "created": "46elks has accepted it and not passed it on yet.",
    "sent": "passed on to the phone's operator, but not delivered to the phone yet; it may be switched off.",
    "delivered": "it reached the phone.",
    "failed": "it did not reach the phone; 46elks gives no reason. Check the number and the sender.",
    "received": "somebody sent it to this account.",
}


def report_dry_run(quote: Quote, policy: Policy) -> SendAnswer:
    """Answer a send that ends at the quote."""
    if policy.read_only:
        why = "this server is read-only"
    elif policy.dry_run:
        why = "this server is in dry run, which its operator lifts with DRY_RUN=false"
    else:
        why = "as asked with dryRun=true"
    draft, price = quote.draft, quote.estimate.price
    return SendAnswer(
        status="dry_run",
        mode=Mode.SANDBOX if policy.simulated else Mode.DRY_RUN,
        to=draft.to.e164,
        country=draft.to.country,
        sender=written(draft.sender),
        parts=quote.parts,
        encoding=quote.size.encoding,
        price=Amount.of(price),
        findings=Found.each(quote.findings),
        summary=f"Dry run: nothing was sent ({why}).",
        notes=_notes(draft.text, price, quote.parts)
        + _reminders(draft.sender, policy, flash=draft.sms.flash),
    )


def report_order(
    app: App, order: Order, text: str, estimate: QueueEstimate | None, *, repeated: bool = False
) -> SendAnswer:
    """Answer a send whose order was placed, by what is known of it now.

    Raises:
        NotSent: nothing was sent, and nothing will be.
    """
    if order.state in NEVER_SENT or order.has_failed_at_once:
        raise NotSent(_order_meaning(app, order, estimate))
    meaning = _order_meaning(app, order, estimate)
    if repeated:
        meaning = f"This was asked for before; nothing new was sent. {meaning[:1].upper()}{meaning[1:]}"
    receipt, policy = order.receipt, app.policy
    return SendAnswer(
        status=order.state.replace(" ", "_"),
        mode=Mode.SANDBOX if policy.simulated else Mode.LIVE,
        order_id=order.id,
        message_id=receipt.message_id if receipt else None,
        to=order.to.e164 if order.to else "",
        country=order.to.country if order.to else "",
        sender=written(order.sender),
        parts=order.parts,
        encoding=order.sms.encoding,
        price=Amount.of(order.cost),
        findings=() if repeated else Found.each(order.findings),
        deduplicated=repeated,
        summary=f"{order.state.capitalize()}: {meaning}",
        notes=(
            *_overcharge(order),
            *_notes(text, order.price, order.parts),
            *_reminders(order.sender, policy, flash=order.sms.flash),
        ),
    )


def report_estimate(quote: Quote, policy: Policy) -> EstimateAnswer:
    """Answer a question for the price."""
    text = quote.draft.text
    shorter = cheaper(text)
    saves = measure(shorter).parts < quote.size.parts
    return EstimateAnswer(
        price=Amount.of(quote.estimate.price),
        parts=quote.size.parts,
        provider_parts=quote.estimate.parts,
        encoding=quote.size.encoding,
        units=quote.size.units,
        costly=Costly.each(expensive_characters(text)),
        cheaper_text=shorter if saves else None,
        price_without=_price_without(text, quote.estimate.price, quote.parts),
        findings=Found.each(quote.findings),
        would_be_refused=bool(of_effect(quote.findings, Effect.REFUSE)),
        notes=_reminders(quote.draft.sender, policy, flash=False),
    )


def report_message(message: Message, order: Order | None) -> StatusAnswer:
    """Answer a question for a message that 46elks knows."""
    status = _find_newest(message, order)
    meaning = _MEANINGS.get(status, "that is 46elks' word; its documentation does not explain it.")
    return StatusAnswer(
        status=status,
        meaning=" ".join([meaning, *(_overcharge(order) if order else ())]),
        message_id=message.id,
        order_id=order.id if order else None,
        direction=message.direction,
        sender=None if message.sender_is_name else message.sender,
        untrusted_from=message.sender if message.sender_is_name else None,
        to=message.to,
        created_at=message.created_at,
        delivered_at=message.delivered_at,
        cost=Amount.of(message.cost) if message.cost else None,
        parts=message.parts,
    )


def _find_newest(message: Message, order: Order | None) -> str:
    """Return the status that is furthest on: 46elks' history can be behind its own delivery report."""
    known = [order.receipt.status] if order and order.receipt else []
    return max([message.status, *known], key=_rank)


def _rank(status: str) -> int:
    """Return how far on a status is; one that 46elks does not document may be anywhere before the end."""
    return {"created": 0, "sent": 1, "failed": 3, "delivered": 4}.get(status, 2)


def _overcharge(order: Order) -> tuple[str, ...]:
    """Say that 46elks charged more than it had quoted, if it did."""
    if not order.is_overcharged:
        return ()
    charged = f"46elks charged {order.cost} for it and had quoted {order.price}"
    return (f"{charged}; the daily budget counts the charge.",)


def report_unsent(app: App, order: Order, estimate: QueueEstimate | None) -> StatusAnswer:
    """Answer a question for an order that 46elks has not confirmed."""
    return StatusAnswer(
        status=order.state,
        meaning=_order_meaning(app, order, estimate),
        message_id=None,
        order_id=order.id,
        direction=Direction.OUTBOUND,
        sender=written(order.sender),
        to=order.to.e164 if order.to else "",
        created_at=order.placed_at,
        parts=order.parts,
    )


def add_our_count(error: ProviderError, draft: Draft) -> ProviderError:
    """Add to a failed pricing what can be said without 46elks."""
    size = measure(draft.text)
    error.hint = (
        f"{error.hint} By our own count the text takes {size.parts} part(s) in {size.encoding}.".strip()
    )
    return error


def _order_meaning(app: App, order: Order, estimate: QueueEstimate | None) -> str:
    """Say what is known of an order, and what that asks for."""
    match order.state:
        case OrderState.WAITING:
            return f"a person has to agree first (approval {order.approval}); do not send it again."
        case OrderState.QUEUED:
            return _waiting(order, estimate, app.policy)
        case OrderState.IN_DOUBT:
            look = "its history is being read to find out; check_sms_status tells in some minutes"
            return f"{order.fault} It may have been sent: do not send it again; {look}."
        case OrderState.UNKNOWN:
            decide = app.command(f"outbox resolve {order.id} --sent")
            return (
                f"{order.fault} Nobody knows whether it was sent: do not send it again. A person can look at "
                "46elks.com, under SMS history, and then say in a terminal that it was sent (--sent) or was "
                f"not (--not-sent): {decide}"
            )
        case OrderState.EXPIRED:
            return f"it was given up, since it could not be sent in time. {order.fault}"
        case _:
            settled = _SETTLED.get(order.state, order.fault)
            return _failed_at_once(order) if order.has_failed_at_once else settled


def _failed_at_once(order: Order) -> str:
    counts = f"The daily budget counts {order.cost} for it"
    return f"{order.fault} {counts}. Check the number and the sender before you send it again."


_SETTLED = {
    OrderState.SENDING: "it is being handed to 46elks; do not send it again.",
    OrderState.SENT: "46elks accepted it; whether it is delivered comes later.",
    OrderState.DELIVERED: "it reached the phone.",
    OrderState.FAILED: "46elks accepted it, and it did not reach the phone.",
}


def _waiting(order: Order, estimate: QueueEstimate | None, policy: Policy) -> str:
    """Say why an order waits, and until about when."""
    pause = estimate.pause if estimate else None
    behind = f"it waits behind {estimate.ahead} others." if estimate and estimate.ahead else ""
    why = order.fault or (_PAUSES[pause] if pause else behind) or "it waits for its turn."
    if pause in _MENDED:
        when = f", {_MENDED[pause]} within an hour,"
    else:
        when = f", at about {time_in_words(in_zone(estimate.at, policy.time_zone))}," if estimate else ""
    if not policy.live:
        return f"{why} It goes out when a live server runs; this one sends nothing that is queued."
    return f"{why} It goes out by itself{when} while a server runs; do not send it again."


_PAUSES = {
    PauseReason.THROTTLED: "46elks asked for a pause.",
    PauseReason.UNREACHABLE: "46elks cannot be reached at the moment.",
    PauseReason.NO_FUNDS: "There is no money on the 46elks account.",
    PauseReason.CREDENTIALS: "46elks does not accept the API credentials any more.",
    PauseReason.TROUBLE: "46elks did not answer several times in a row.",
}

_MENDED = {
    PauseReason.NO_FUNDS: "when the account is topped up at 46elks.com",
    PauseReason.CREDENTIALS: "when ELKS_API_USERNAME and ELKS_API_PASSWORD are right again",
    PauseReason.TROUBLE: "when 46elks answers again",
}
"""What ends a pause that does not end by itself."""


def _notes(text: str, price: Money, parts: int) -> tuple[str, ...]:
    """Say which characters make a text dear, only where they cost."""
    without = _price_without(text, price, parts)
    if without is None or without.amount >= Amount.of(price).amount:
        return ()
    return (costly_in_words(Costly.each(expensive_characters(text)), Amount.of(price), without),)


def _price_without(text: str, price: Money, parts: int) -> Amount | None:
    """Price a text without its dear characters: 46elks bills by the part, so by its parts."""
    plain = without_expensive(text)
    return None if plain == text else Amount.of(price.split(parts).times(measure(plain).parts))


def _reminders(sender: Sender, policy: Policy, *, flash: bool) -> tuple[str, ...]:
    """Say what cannot be checked from here."""
    reminders = []
    if isinstance(sender, Number) and sender not in {policy.sender, *policy.allowed_senders}:
        reminders.append(
            "A number as sender must be the account's own, or one its owner agreed to have used."
        )
    if flash:
        reminders.append("iPhones show a flash message as an ordinary SMS.")
    return tuple(reminders)
