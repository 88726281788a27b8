"""Build answers from quotes, orders and messages."""

from elks_mcp.answers.people import People
from elks_mcp.answers.results import Costly, EstimateAnswer, Found, SendAnswer, StatusAnswer, costly_in_words
from elks_mcp.answers.sandbox import find_phones_page, is_simulated
from elks_mcp.answers.schedule import SendForecast
from elks_mcp.app import App
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import NEVER_SENT, Effect, Order, OrderState, Quote, of_effect
from elks_mcp.domain.phone import Number, Sender, written
from elks_mcp.domain.policy import Mode, Policy
from elks_mcp.domain.send_times import describe_send_time, format_send_time
from elks_mcp.domain.signature import explain_cost, remove_signature, sign
from elks_mcp.domain.text import cheaper, expensive_characters, measure, without_expensive
from elks_mcp.domain.wording import format_count, format_time_in
from elks_mcp.errors import NotSent
from elks_mcp.store import PauseReason, QueueEstimate

_MEANINGS = {
    "created": "46elks has accepted it, but has not passed it on yet.",
    "sent": "passed on to the phone's operator, but not delivered to the phone yet; it may be switched off.",
    "delivered": "it reached the phone.",
    "failed": "it did not reach the phone; 46elks gives no reason. Check the number and the sender.",
    "received": "it was sent to this account.",
}


def report_dry_run(app: App, quote: Quote) -> SendAnswer:
    """Return the answer for a request that ends with its price."""
    policy = app.policy
    if policy.read_only:
        why = "this server is read-only"
    elif policy.dry_run:
        why = "this server is in dry run; its operator can set DRY_RUN=false"
    else:
        why = "as asked"
    draft, price = quote.draft, quote.estimate.price
    when = format_send_time(draft.send_at, draft.to, policy.time_zone) if draft.send_at else ""
    return SendAnswer(
        status="dry_run",
        mode=Mode.SANDBOX if is_simulated(app) else Mode.DRY_RUN,
        send_at=draft.send_at,
        to=draft.to.e164,
        to_name=_find_name(app, draft.to),
        country=draft.to.country,
        sender=written(draft.sender),
        parts=quote.parts,
        encoding=draft.sms.encoding,
        price=price,
        findings=Found.each(quote.findings),
        summary=f"Dry run: nothing was sent ({why})." + (f" It would go out on {when}." if when else ""),
        notes=_notes(draft.text, price, quote.parts)
        + _reminders(draft.sender, policy, flash=draft.sms.flash),
    )


def report_order(
    app: App, order: Order, text: str, forecast: SendForecast, *, repeated: bool = False
) -> SendAnswer:
    """Return the answer for a request whose order was placed.

    `text` is needed since a settled order no longer holds it. `repeated`: an earlier call placed the order.

    Raises:
        NotSent: nothing was sent, and nothing will be.
    """
    meaning = _order_meaning(app, order, forecast)
    if order.state in {*NEVER_SENT, OrderState.WAITING} or order.has_failed_unsent:  # another call paused it
        raise NotSent(meaning)
    if repeated:
        meaning = f"This repeats an earlier call; nothing new was sent. {meaning[:1].upper()}{meaning[1:]}"
    receipt, policy = order.receipt, app.policy
    return SendAnswer(
        status=order.state.replace(" ", "_"),
        mode=Mode.SANDBOX if is_simulated(app) else Mode.LIVE,
        order_id=order.id,
        message_id=receipt.message_id if receipt else None,
        send_at=order.send_at,
        to=order.to.e164 if order.to else "",
        to_name=_find_name(app, order.to),
        country=order.to.country if order.to else "",
        sender=written(order.sender),
        parts=order.parts,
        encoding=order.sms.encoding,
        price=order.cost,
        findings=() if repeated else Found.each(order.findings),
        deduplicated=repeated,
        summary=f"{order.state.capitalize()}: {meaning}",
        notes=(
            *_overcharge(order),
            *_notes(text, order.price, order.parts),
            *_reminders(order.sender, policy, flash=order.sms.flash),
            *_where_to_look(app),
        ),
    )


def _find_name(app: App, number: Number | None) -> str | None:
    """Return the name of a contact as of the last reading; reading the file now could fail."""
    return app.contacts.known.find_name(number) if number else None


def _where_to_look(app: App) -> tuple[str, ...]:
    page = find_phones_page(app)
    return (f"See it arrive: {page}",) if page else ()


def report_estimate(app: App, quote: Quote) -> EstimateAnswer:
    """Return the answer for a request that asks only for the price."""
    text, size = quote.draft.text, quote.draft.sms.size
    signature = app.policy.signature
    shorter = cheaper(remove_signature(text, signature))
    saves = measure(sign(shorter, signature)).parts < size.parts
    return EstimateAnswer(
        to_name=_find_name(app, quote.draft.to),
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
    return StatusAnswer(
        status=status,
        meaning=" ".join([meaning, *(_overcharge(order) if order else ())]),
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


def _overcharge(order: Order) -> tuple[str, ...]:
    """Return a note if 46elks charged more than it had quoted."""
    if not order.is_overcharged:
        return ()
    charged = f"46elks charged {order.cost} for it and had quoted {order.price}"
    return (f"{charged}; the daily budget counts the charge.",)


def report_unsent(app: App, order: Order, forecast: SendForecast) -> StatusAnswer:
    """Return the status of an order that 46elks has not confirmed."""
    return StatusAnswer(
        status=order.state,
        meaning=_order_meaning(app, order, forecast),
        message_id=None,
        order_id=order.id,
        direction=Direction.OUTBOUND,
        sender=written(order.sender),
        to=order.to.e164 if order.to else "",
        to_name=_find_name(app, order.to),
        created_at=order.placed_at,
        send_at=order.send_at,
        parts=order.parts,
    )


def _order_meaning(app: App, order: Order, forecast: SendForecast) -> str:
    """Return what the state of an order means, and what to do."""
    match order.state:
        case OrderState.WAITING | OrderState.SCHEDULED | OrderState.QUEUED:
            return _describe_wait(app, order, forecast)
        case OrderState.IN_DOUBT:
            look = "46elks' history is being read to find out; ask for its status in a few minutes"
            return f"{order.status_reason} It may have been sent: do not send it again; {look}."
        case OrderState.UNKNOWN:
            decide = app.command(f"outbox resolve {order.id} --sent")
            return (
                f"{order.status_reason} Whether it was sent is unknown: do not send it again. A person can "
                "look at 46elks.com, under SMS history, and then record in a terminal that it was sent "
                f"(--sent) or was not (--not-sent): {decide}"
            )
        case OrderState.EXPIRED:
            return f"it could not be sent in time, and will not be sent. {order.status_reason}"
        case _:
            settled = _SETTLED.get(order.state, order.status_reason)
            return _explain_failure(order) if order.has_failed_unsent else settled


def _describe_wait(app: App, order: Order, forecast: SendForecast) -> str:
    if order.state is OrderState.WAITING:
        page = f" on {app.approval_page}" if app.approval_page else ""
        return f"a person has to approve it{page} (approval {order.approval_code}); do not send it again."
    if order.state is OrderState.SCHEDULED:
        when = describe_send_time(order, app.policy.time_zone)
        return f"it goes out on {when}. It can be cancelled until then. {forecast.who_sends}".rstrip()
    return _waiting(order, forecast.estimate, app.policy)


def _explain_failure(order: Order) -> str:
    counts = f"The daily budget counts {order.cost} for it"
    return f"{order.status_reason} {counts}. Check the number and the sender before you send it again."


_SETTLED = {
    OrderState.SENDING: "it is being handed to 46elks; do not send it again.",
    OrderState.SENT: "46elks accepted it; the delivery report comes later.",
    OrderState.DELIVERED: "it reached the phone.",
    OrderState.FAILED: "46elks accepted it, but it did not reach the phone.",
}


def _waiting(order: Order, estimate: QueueEstimate | None, policy: Policy) -> str:
    """Return why an order waits, and until about when."""
    pause = estimate.pause if estimate else None
    ahead = estimate.ahead if estimate else 0
    behind = f"it is behind {format_count(ahead, 'other text')} in the queue." if ahead else ""
    why = order.status_reason or (_PAUSES[pause] if pause else behind) or "it is waiting in the queue."
    if pause in _PAUSE_ENDS:
        when = f", {_PAUSE_ENDS[pause]} within an hour,"
    else:
        when = f", at about {format_time_in(policy.time_zone, estimate.at)}," if estimate else ""
    if not policy.live:
        return f"{why} It will be sent when a live server runs; this one does not send from the queue."
    return f"{why} It will be sent automatically{when} while a server runs; do not send it again."


_PAUSES = {
    PauseReason.THROTTLED: "46elks asked for a pause.",
    PauseReason.UNREACHABLE: "46elks cannot be reached at the moment.",
    PauseReason.NO_FUNDS: "The 46elks account has no money.",
    PauseReason.CREDENTIALS: "46elks no longer accepts the API credentials.",
    PauseReason.TROUBLE: "46elks did not answer several times in a row.",
}

_PAUSE_ENDS = {
    PauseReason.NO_FUNDS: "when the account is topped up at 46elks.com",
    PauseReason.CREDENTIALS: "when ELKS_API_USERNAME and ELKS_API_PASSWORD are corrected",
    PauseReason.TROUBLE: "when 46elks answers again",
}
"""Conditions that end the pauses which do not end after a time."""


def explain_pause(pause: PauseReason) -> str:
    """Return why sending is paused, and what ends that."""
    ends = f" It continues {_PAUSE_ENDS[pause]}." if pause in _PAUSE_ENDS else ""
    return f"Sending is paused. {_PAUSES[pause]}{ends}"


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
