"""What quotes, orders and messages look like as answers."""

from elks_mcp.errors import NotSent, ProviderError
from elks_mcp.mcp_server.answers import (
    Amount,
    Costly,
    EstimateAnswer,
    Found,
    SendAnswer,
    StatusAnswer,
    costly_in_words,
    time_in_words,
)
from elks_mcp.models import Direction, Draft, Effect, Message, Order, OrderState, Quote
from elks_mcp.phone import Number, written
from elks_mcp.policy import Mode, Policy
from elks_mcp.text import cheaper, dear_characters, measure, without_dear

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
    return _send_answer(quote, policy, f"Dry run: nothing was sent ({why}).")


def report_order(order: Order, policy: Policy, *, repeated: bool = False) -> SendAnswer:
    """Answer a send whose order was placed, by what is known of it now.

    Raises:
        NotSent: nothing was sent, and nothing will be.
    """
    if order.state in {OrderState.REJECTED, OrderState.EXPIRED}:
        raise NotSent(_order_meaning(order))
    before = "This was asked for before, under the same idempotencyKey; nothing new was sent. "
    return _send_answer(
        order.quote,
        policy,
        f"{order.state.capitalize()}: {before if repeated else ''}{_order_meaning(order)}",
        order=order,
        repeated=repeated,
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
        costly=Costly.each(dear_characters(text)),
        cheaper_text=shorter if saves else None,
        price_without=_price_without(quote),
        findings=Found.each(quote.findings),
        would_be_refused=bool(quote.of(Effect.REFUSE)),
        notes=_reminders(quote.draft, policy),
    )


def report_message(message: Message, order: Order | None) -> StatusAnswer:
    """Answer a question for a message that 46elks knows."""
    return StatusAnswer(
        status=message.status,
        meaning=_MEANINGS.get(message.status, "that is 46elks' word; its documentation does not explain it."),
        message_id=message.id,
        order_id=order.id if order else None,
        direction=message.direction,
        sender=message.sender,
        to=message.to,
        created_at=message.created_at,
        delivered_at=message.delivered_at,
        cost=Amount.of(message.cost) if message.cost else None,
        parts=message.parts,
    )


def report_unsent(order: Order) -> StatusAnswer:
    """Answer a question for an order that 46elks has not confirmed."""
    draft = order.quote.draft
    return StatusAnswer(
        status=order.state,
        meaning=_order_meaning(order),
        message_id=None,
        order_id=order.id,
        direction=Direction.OUTBOUND,
        sender=written(draft.sender),
        to=draft.to.e164,
        created_at=order.placed_at,
        parts=order.quote.size.parts,
    )


def add_our_count(error: ProviderError, draft: Draft) -> ProviderError:
    """Add to a failed pricing what can be said without 46elks."""
    size = measure(draft.text)
    error.hint = (
        f"{error.hint} By our own count the text takes {size.parts} part(s) in {size.encoding}.".strip()
    )
    return error


def _send_answer(
    quote: Quote, policy: Policy, summary: str, *, order: Order | None = None, repeated: bool = False
) -> SendAnswer:
    draft, receipt = quote.draft, order.receipt if order else None
    mode = Mode.LIVE if order else Mode.DRY_RUN
    return SendAnswer.model_validate(
        {
            "status": order.state.replace(" ", "_") if order else "dry_run",
            "mode": Mode.SANDBOX if policy.simulated else mode,
            "order_id": order.id if order else None,
            "message_id": receipt.message_id if receipt else None,
            "to": draft.to.e164,
            "country": draft.to.country,
            "sender": written(draft.sender),
            "parts": quote.parts,
            "encoding": quote.size.encoding,
            "price": Amount.of(receipt.cost if receipt and receipt.cost else quote.estimate.price),
            "findings": Found.each(quote.findings),
            "deduplicated": repeated,
            "summary": summary,
            "notes": _notes(quote, policy),
        }
    )


def _order_meaning(order: Order) -> str:
    """Say what is known of an order, and what that asks for."""
    match order.state:
        case OrderState.SENT:
            return "46elks accepted it; whether it is delivered comes later."
        case OrderState.QUEUED:
            return _waiting(order)
        case OrderState.SENDING:
            return "it is being handed to 46elks; do not send it again."
        case OrderState.IN_DOUBT:
            look = "get_sms_messages shows in a minute or two whether it was"
            return f"{order.fault} It may have been sent: do not send it again; {look}."
        case OrderState.EXPIRED:
            return f"it was given up, since 46elks did not take it in time. {order.fault}"
        case _:
            return order.fault


def _waiting(order: Order) -> str:
    if order.not_before is None:
        turn = "it waits for its turn, behind other texts or a pause that 46elks asked for"
        return f"{turn}, and goes out by itself while this server runs; do not send it again."
    again = f"It is tried again by itself at about {time_in_words(order.not_before)}, while this server runs"
    return f"{order.fault} {again}; do not send it again."


def _notes(quote: Quote, policy: Policy) -> tuple[str, ...]:
    """Say what is worth knowing about a text on its way: dear characters only where they cost."""
    price, without = Amount.of(quote.estimate.price), _price_without(quote)
    costly = Costly.each(dear_characters(quote.draft.text))
    dear = without is not None and without.amount < price.amount
    notes = (costly_in_words(costly, price, without),) if dear and without else ()
    return (*notes, *_reminders(quote.draft, policy))


def _price_without(quote: Quote) -> Amount | None:
    """Price a text without its dear characters: 46elks bills by the part, so by its parts."""
    plain = without_dear(quote.draft.text)
    if plain == quote.draft.text:
        return None
    return Amount.of(quote.estimate.price.split(quote.parts).times(measure(plain).parts))


def _reminders(draft: Draft, policy: Policy) -> tuple[str, ...]:
    """Say what cannot be checked from here."""
    reminders = []
    if isinstance(draft.sender, Number) and draft.sender not in {policy.sender, *policy.allowed_senders}:
        reminders.append(
            "A number as sender must be the account's own, or one its owner agreed to have used."
        )
    if draft.flash:
        reminders.append("iPhones show a flash message as an ordinary SMS.")
    return tuple(reminders)
