"""Build answers from quotes, orders and messages."""

from elks_mcp.answers.orders import (
    explain_order,
    find_contact_name,
    note_overcharge,
    outline_order,
    outline_quote,
    where_to_look,
)
from elks_mcp.answers.people import People
from elks_mcp.answers.results import Costly, EstimateAnswer, Found, SendAnswer, StatusAnswer, costly_in_words
from elks_mcp.answers.schedule import SendForecast
from elks_mcp.app import App
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Effect, Order, Quote, of_effect
from elks_mcp.domain.phone import Number, Sender, written
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.signature import explain_cost, remove_signature, sign
from elks_mcp.domain.text import cheaper, expensive_characters, measure, without_expensive

_MEANINGS = {
    "created": "46elks has accepted it, but has not passed it on yet.",
    "sent": "passed on to the phone's operator, but not delivered to the phone yet; it may be switched off.",
    "delivered": "it reached the phone.",
    "failed": "it did not reach the phone; 46elks gives no reason. Check the number and the sender.",
    "received": "it was sent to this account.",
}


def report_dry_run(app: App, quote: Quote) -> SendAnswer:
    """Return the answer for a request to send a text that ends with its price."""
    draft, policy = quote.draft, app.policy
    return SendAnswer(
        **outline_quote(app, quote),
        parts=quote.parts,
        encoding=draft.sms.encoding,
        notes=_notes(draft.text, quote.estimate.price, quote.parts)
        + _reminders(draft.sender, policy, flash=draft.sms.flash),
    )


def report_order(
    app: App, order: Order, text: str, forecast: SendForecast, *, repeated: bool = False
) -> SendAnswer:
    """Return the answer for a request to send a text, whose order was placed.

    `text` is needed since a settled order no longer holds it. `repeated`: an earlier call placed the order.

    Raises:
        NotSent: nothing was sent, and nothing will be.
    """
    return SendAnswer(
        **outline_order(app, order, forecast, repeated=repeated),
        parts=order.parts,
        encoding=order.sms.encoding,
        notes=(
            *note_overcharge(order),
            *_notes(text, order.price, order.parts),
            *_reminders(order.sender, app.policy, flash=order.sms.flash),
            *where_to_look(app),
        ),
    )


def report_estimate(app: App, quote: Quote) -> EstimateAnswer:
    """Return the answer for a request that asks only for the price."""
    text, size = quote.draft.text, quote.draft.sms.size
    signature = app.policy.signature
    shorter = cheaper(remove_signature(text, signature))
    saves = measure(sign(shorter, signature)).parts < size.parts
    return EstimateAnswer(
        to_name=find_contact_name(app, quote.draft.to),
        price=quote.estimate.price,
        parts=size.parts,
        provider_parts=quote.estimate.parts,
        encoding=size.encoding,
        units=size.units,
        costly=Costly.each(expensive_characters(text)),
        cheaper_text=shorter if saves else None,
        price_without=_price_without(text, quote.estimate.price, quote.parts),
        findings=Found.each(quote.findings),
        would_be_refused=bool(of_effect(quote.findings, Effect.REFUSE)),
        notes=_reminders(quote.draft.sender, app.policy, flash=False),
    )


def report_message(message: Message, order: Order | None, people: People) -> StatusAnswer:
    """Return the status of a message that 46elks knows. `order`: its order, if there is one."""
    status = _find_newest(message, order)
    meaning = _MEANINGS.get(status, "46elks' documentation does not explain this status.")
    if message.is_picture and status == "sent":
        meaning = "passed on to the phone's operator; 46elks reports no delivery of an MMS."
    return StatusAnswer(
        status=status,
        meaning=" ".join([meaning, *(note_overcharge(order) if order else ())]),
        message_id=message.id,
        order_id=order.id if order else None,
        direction=message.direction,
        sender=None if message.sender_is_name else message.sender,
        untrusted_from=message.sender if message.sender_is_name else None,
        from_name=None if message.sender_is_name else people.find_name(message.sender),
        to=message.to,
        to_name=people.find_name(message.to),
        created_at=message.created_at,
        delivered_at=message.delivered_at,
        cost=message.cost,
        parts=message.parts,
    )


def _find_newest(message: Message, order: Order | None) -> str:
    """Return the latest known status; 46elks' history can be older than its own delivery report."""
    known = [order.receipt.status] if order and order.receipt else []
    return max([message.status, *known], key=_rank)


def _rank(status: str) -> int:
    """Return the rank of a status; an undocumented one is later than sent, but not final."""
    return {"created": 0, "sent": 1, "failed": 3, "delivered": 4}.get(status, 2)


def report_unsent(app: App, order: Order, forecast: SendForecast) -> StatusAnswer:
    """Return the status of an order that 46elks has not confirmed."""
    return StatusAnswer(
        status=order.state,
        meaning=explain_order(app, order, forecast),
        message_id=None,
        order_id=order.id,
        direction=Direction.OUTBOUND,
        sender=written(order.sender),
        to=order.to.e164 if order.to else "",
        to_name=find_contact_name(app, order.to),
        created_at=order.placed_at,
        send_at=order.send_at,
        parts=order.parts,
    )


def _notes(text: str, price: Money, parts: int) -> tuple[str, ...]:
    """Return a note about the characters that make a text expensive, if they cost something."""
    without = _price_without(text, price, parts)
    if without is None or price <= without:
        return ()
    return (costly_in_words(Costly.each(expensive_characters(text)), price, without),)


def _price_without(text: str, price: Money, parts: int) -> Money | None:
    """Return the price of a text without its expensive characters; 46elks bills by the part."""
    plain = without_expensive(text)
    return None if plain == text else price.split(parts).times(measure(plain).parts)


def _reminders(sender: Sender, policy: Policy, *, flash: bool) -> tuple[str, ...]:
    """Return notes about what this server adds, and what it cannot check."""
    reminders = []
    if isinstance(sender, Number) and sender not in {policy.sender, *policy.allowed_senders}:
        reminders.append(
            "A number as sender must be the account's own, or one whose owner has agreed to its use."
        )
    if policy.signature:
        reminders.append("It ends with the operator's signature, which counts in its parts and its price.")
        if cost := explain_cost(policy.signature):
            reminders.append(f"In the signature {cost} Only the operator can change it (ELKS_SIGNATURE).")
    if flash:
        reminders.append("iPhones show a flash message as an ordinary SMS.")
    return tuple(reminders)
