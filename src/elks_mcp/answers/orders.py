"""The common part of answers about orders of every kind: the outcome, and its meaning."""

from typing import Any

from elks_mcp.answers.results import Found
from elks_mcp.answers.sandbox import find_phones_page, is_simulated
from elks_mcp.answers.schedule import SendForecast
from elks_mcp.app import App
from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.kinds import MMS
from elks_mcp.domain.orders import NEVER_SENT, Order, OrderState, Quote
from elks_mcp.domain.phone import Number, written
from elks_mcp.domain.policy import Mode, Policy
from elks_mcp.domain.send_times import describe_send_time, format_send_time
from elks_mcp.domain.wording import format_count, format_time_in
from elks_mcp.errors import NotSent
from elks_mcp.store import PauseReason, QueueEstimate


def outline_quote(app: App, quote: Quote) -> dict[str, Any]:
    """Return the fields of an answer of any kind, for a request that ends with its price."""
    policy = app.policy
    if policy.read_only:
        why = "this server is read-only"
    elif policy.dry_run:
        why = "this server is in dry run; its operator can set DRY_RUN=false"
    else:
        why = "as asked"
    draft = quote.draft
    when = format_send_time(draft.send_at, draft.to, policy.time_zone) if draft.send_at else ""
    return {
        "status": "dry_run",
        "mode": Mode.SANDBOX if is_simulated(app) else Mode.DRY_RUN,
        "send_at": draft.send_at,
        "to": draft.to.e164,
        "to_name": find_contact_name(app, draft.to),
        "country": draft.to.country,
        "sender": written(draft.sender),
        "price": quote.estimate.price,
        "findings": Found.each(quote.findings),
        "summary": f"Dry run: nothing was sent ({why})." + (f" It would go out on {when}." if when else ""),
    }


def outline_order(app: App, order: Order, forecast: SendForecast, *, repeated: bool) -> dict[str, Any]:
    """Return the fields of an answer of any kind, for a request whose order was placed.

    Raises:
        NotSent: nothing was sent, and nothing will be.
    """
    meaning = explain_order(app, order, forecast)
    if order.state in {*NEVER_SENT, OrderState.WAITING} or order.has_failed_unsent:  # another call paused it
        raise NotSent(meaning)
    if repeated:
        meaning = f"This repeats an earlier call; nothing new was sent. {meaning[:1].upper()}{meaning[1:]}"
    return {
        "status": order.state.replace(" ", "_"),
        "mode": Mode.SANDBOX if is_simulated(app) else Mode.LIVE,
        "order_id": order.id,
        "message_id": order.receipt.message_id if order.receipt else None,
        "send_at": order.send_at,
        "to": order.to.e164 if order.to else "",
        "to_name": find_contact_name(app, order.to),
        "country": order.to.country if order.to else "",
        "sender": written(order.sender),
        "price": order.cost,
        "findings": () if repeated else Found.each(order.findings),
        "deduplicated": repeated,
        "summary": f"{order.state.capitalize()}: {meaning}",
    }


def find_contact_name(app: App, number: Number | None) -> str | None:
    """Return the name of a contact as of the last reading; reading the file now could fail."""
    return app.contacts.known.find_name(number) if number else None


def where_to_look(app: App) -> tuple[str, ...]:
    page = find_phones_page(app)
    return (f"See it arrive: {page}",) if page else ()


def note_overcharge(order: Order) -> tuple[str, ...]:
    """Return a note if 46elks charged more than it had quoted."""
    if not order.is_overcharged:
        return ()
    charged = f"46elks charged {order.cost} for it and had quoted {order.price}"
    return (f"{charged}; the daily budget counts the charge.",)


def explain_order(app: App, order: Order, forecast: SendForecast) -> str:
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
            if order.kind == MMS and order.state is OrderState.SENT:
                settled = "46elks accepted it."
            return _explain_failure(order) if order.has_failed_unsent else settled


def _describe_wait(app: App, order: Order, forecast: SendForecast) -> str:
    if order.state is OrderState.WAITING:
        page = f" on {app.approval_page}" if app.approval_page else ""
        return f"a person has to approve it{page} (approval {order.approval_code}); do not send it again."
    if order.state is OrderState.SCHEDULED:
        when = describe_send_time(order, app.policy.time_zone)
        return f"it goes out on {when}. It can be cancelled until then. {forecast.who_sends}".rstrip()
    if isinstance(order.payload, Call) and order.payload.audio and not app.calls.is_reachable:
        return _NO_ADDRESS
    return _waiting(order, forecast.estimate, app.policy)


_NO_ADDRESS = (
    "46elks fetches what it plays from a server with a public address. This server has none, since "
    "ELKS_PUBLIC_URL is not set. Another server on the same state that has one makes the call, if it runs "
    "within an hour. Do not call again."
)


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
    PauseReason.NO_FUNDS: "The 46elks account has no money, or its cap at 46elks is used up.",
    PauseReason.CREDENTIALS: "46elks no longer accepts the API credentials.",
    PauseReason.TROUBLE: "46elks did not answer several times in a row.",
}


_PAUSE_ENDS = {
    PauseReason.NO_FUNDS: "when the account is topped up at 46elks.com (or its cap is raised)",
    PauseReason.CREDENTIALS: "when ELKS_API_USERNAME and ELKS_API_PASSWORD are corrected",
    PauseReason.TROUBLE: "when 46elks answers again",
}
"""Conditions that end the pauses which do not end after a time."""


def explain_pause(pause: PauseReason) -> str:
    """Return why sending is paused, and what ends that."""
    ends = f" It continues {_PAUSE_ENDS[pause]}." if pause in _PAUSE_ENDS else ""
    return f"Sending is paused. {_PAUSES[pause]}{ends}"
