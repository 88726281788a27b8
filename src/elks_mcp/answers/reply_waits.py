"""Wait for incoming texts, for every interface."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from elks_mcp.answers.history import HistoryEntry, ReplyAnswer
from elks_mcp.answers.people import People
from elks_mcp.answers.results import AskAnswer, SendAnswer
from elks_mcp.app import App
from elks_mcp.domain.models import Direction, Message, Scope
from elks_mcp.domain.orders import Order
from elks_mcp.domain.phone import Number, SenderId, written
from elks_mcp.errors import ElksError, InvalidInput, NotFound, ProviderError
from elks_mcp.inbound.received_cache import PendingRead
from elks_mcp.store import Arrival, Wanted

BETWEEN_PROGRESS = timedelta(seconds=5)
"""How often a wait reports its progress."""

_SHOWN_WITHIN, _BETWEEN_TRIES = timedelta(seconds=10), timedelta(seconds=1)
"""How long, and how often, to ask 46elks for a received text that its history does not show yet."""


@dataclass(frozen=True, slots=True)
class ReplyWait:
    """One wait for a text, by an interface."""

    app: App
    reading: PendingRead
    seconds: float
    show: Callable[[App, Message], Awaitable[HistoryEntry]]
    """Returns a text that came in as the reader sees it."""

    report_progress: Callable[[float], Awaitable[None]]
    """Called every few seconds with the seconds waited."""

    can_continue: bool = True
    """Whether the caller can wait further with a cursor; otherwise the answer has none."""


async def wait_for_answer(waiting: ReplyWait, sent: SendAnswer) -> AskAnswer:
    """Wait for the answer to a question that was just sent."""
    if sent.order_id is None:
        return AskAnswer(sent=sent)
    try:
        order = await waiting.app.orders.find_order(sent.order_id)
        if order is None:
            return AskAnswer(sent=sent)
        waiting.reading.wanted = await _want_answer(waiting.app, order)
        return AskAnswer(sent=sent, reply=await _wait(waiting))
    except ElksError as error:  # the text was sent nevertheless
        return AskAnswer(sent=sent, note=f"Waiting for the answer failed: {error.explain()}")


async def wait_for_text(waiting: ReplyWait, sender: str, after: str) -> ReplyAnswer:
    """Wait for a text from a number, or from any for "".

    `after`: a cursor, or the id of an order or message. "": the latest text to that number, or from now on.

    Raises:
        InvalidInput, NotFound: the arguments name no cursor, order or message.
        ProviderError: 46elks' history cannot be read.
    """
    waiting.reading.wanted = await _read_wanted(waiting.app, sender, after)
    await waiting.app.contacts.read_leniently()
    await waiting.app.replies.refresh()
    return await _wait(waiting)


async def _read_wanted(app: App, sender: str, after: str) -> Wanted:
    """Return which texts to wait for, read from the caller's arguments.

    Raises:
        InvalidInput, NotFound: the arguments name no cursor, order or message.
    """
    number = await app.recipients.find(sender) if sender else None
    if not _may_read(app):
        return await _read_own(app, number, after.strip())
    if position := _CURSOR.fullmatch(after.strip()):
        return await app.replies.criteria.after(int(position.group(1)), number)
    if after:
        order = await app.orders.find_order(after.strip())
        if order is None:
            raise _no_cursor(after)
        return await app.replies.criteria.reply_to(order, number)
    if number and (latest := await _find_latest(app, number)):
        return await app.replies.criteria.reply_to(latest)
    return await app.replies.criteria.from_now(number)


async def _find_latest(app: App, to: Number) -> Order | None:
    """Find the caller's latest order to a number that 46elks accepted."""
    store = await app.storage.open()
    return await store.orders.find_latest(to, app.caller.agent)


_CURSOR = re.compile(r"c-([0-9]{1,15})")


def _may_read(app: App) -> bool:
    return Scope.READ in app.caller.scopes


def _no_cursor(after: str) -> InvalidInput:
    return InvalidInput(
        f"{after[:40]!r} is neither a cursor nor the id of an order or message.",
        hint="Give a cursor, or the id of an order or message, from an earlier answer; or leave it out.",
    )


async def _want_answer(app: App, order: Order) -> Wanted:
    return await (
        app.replies.criteria.reply_to(order) if _may_read(app) else app.replies.criteria.own_reply_to(order)
    )


async def _read_own(app: App, number: Number | None, after: str) -> Wanted:
    """Return which texts to wait for, if the caller may read only answers to their own texts.

    Raises:
        InvalidInput, NotFound: the arguments do not name a text of the caller that can be answered.
    """
    order = None if _CURSOR.fullmatch(after) else await app.orders.find_order(after) if after else None
    if order is None and number is None:
        raise InvalidInput(
            "This token does not have the scope read, so it cannot wait for a text from just any number.",
            hint="Give the id of your order (O-…), or a number that you texted.",
        )
    position = await _read_position(app, after) if after and order is None else 0
    if order is None and number:
        order = await _find_latest(app, number)
    if order is None or order.to is None or (number and order.to != number):
        raise InvalidInput(
            "You have sent no such text to that number.",
            hint="Without the scope read, you can wait only for answers to your own texts.",
        )
    if isinstance(order.sender, SenderId):
        raise InvalidInput(
            f"The recipient cannot answer a text from a name such as {order.sender.name}.",
            hint="Wait for the answer to a text from a number.",
        )
    return await app.replies.criteria.own_reply_to(order, after=position)


async def _read_position(app: App, after: str) -> int:
    """Return the position that a cursor of either kind names.

    Raises:
        InvalidInput: the text is not a cursor.
    """
    if cursor := _CURSOR.fullmatch(after):
        return int(cursor.group(1))
    position = await app.replies.criteria.find_position_of(after)
    if position is None:
        raise _no_cursor(after)
    return position


async def _wait(waiting: ReplyWait) -> ReplyAnswer:
    """Wait for a text, and report progress every few seconds."""
    app, reading, seconds = waiting.app, waiting.reading, waiting.seconds
    began = app.clock.now()
    end = began + timedelta(seconds=seconds)
    seen = max(reading.wanted.after, await app.replies.find_latest_position())
    unreadable = ""
    while True:
        wanted = reading.wanted
        if arrival := await app.replies.wait(wanted, min(end - app.clock.now(), BETWEEN_PROGRESS)):
            answer = await _receive(waiting, arrival, end)
            if isinstance(answer, ReplyAnswer):
                return answer
            unreadable = answer or unreadable
            reading.wanted = wanted._replace(after=arrival.position)
            continue
        waited = (app.clock.now() - began).total_seconds()
        await waiting.report_progress(min(waited, seconds))
        if waited >= seconds or app.replies.is_over:
            break
    note = unreadable or app.replies.history_error or (_HIDDEN if wanted.known_only else "")
    if app.replies.is_over:
        note = f"{_STOPPING} {_WAIT_AGAIN}" if waiting.can_continue else _STOPPING
    return _answer(waiting, wanted, seen, None, note)


async def _receive(waiting: ReplyWait, arrival: Arrival, end: datetime) -> ReplyAnswer | str:
    """Return the answer for a text that arrived; a note or "" if it may not be the right one."""
    app, wanted = waiting.app, waiting.reading.wanted
    if not await app.replies.criteria.is_for_caller(arrival, wanted):
        return ""
    try:
        message = await _fetch(app, arrival.message_id, min(end, app.clock.now() + _SHOWN_WITHIN))
        message = message.model_copy(update={"direction": Direction.INBOUND, "status": "received"})
    except (ProviderError, NotFound, InvalidInput) as error:
        why = _NO_ID if isinstance(error, InvalidInput) else error.explain()
        if wanted.answered:  # it may be to another number of the account
            return f"A text may have arrived. {why}"
        note = f"46elks does not return its text: {why} The account's history may show it later."
        return _answer(waiting, wanted, arrival.position, None, note, status="received")
    if wanted.answered and message.to != written(wanted.answered.sender):
        return ""
    entry = await waiting.show(app, message)
    app.replies.received.mark_read(arrival)
    return _answer(waiting, wanted, arrival.position, entry, status="received")


async def _fetch(app: App, message_id: str, end: datetime) -> Message:
    """Return a text that arrived, from a webhook or from history; try until `end` at the latest.

    Raises:
        ProviderError, NotFound: 46elks does not return it.
        InvalidInput: its id cannot be used in a request to 46elks.
    """
    while True:
        if received := app.replies.received.find(message_id):
            return received
        try:
            return await app.client.get_message(message_id)
        except (ProviderError, NotFound):
            again_at = app.clock.now() + _BETWEEN_TRIES
            if again_at > end or app.replies.is_over:
                raise
        await app.clock.sleep_until(again_at)


def _answer(
    waiting: ReplyWait,
    wanted: Wanted,
    position: int,
    message: HistoryEntry | None,
    note: str = "",
    *,
    status: Literal["received", "no_reply"] = "no_reply",
) -> ReplyAnswer:
    cursor = f"c-{position}"
    if wanted.answered:  # a position would reveal how many texts other callers received
        cursor = message.id if message else wanted.answered.id
    return ReplyAnswer(
        status=status,
        message=message,
        sender=wanted.sender.e164 if wanted.sender else None,
        from_name=_find_name(waiting.app, wanted, message),
        cursor=cursor if waiting.can_continue else "",
        note=note,
    )


def _find_name(app: App, wanted: Wanted, message: HistoryEntry | None) -> str | None:
    """Return the name of the contact who wrote, or who is waited for."""
    people = People(app.contacts.known)
    party = message.sender if message else wanted.sender.e164 if wanted.sender else None
    return people.find_label(party) or people.find_name(party) if party else None


_NO_ID = "Its id has a form that cannot be used in a request to 46elks."
_STOPPING = "The server is stopping."
_WAIT_AGAIN = "Wait again later, or on another server, with the cursor."
_HIDDEN = "Texts from numbers that were never texted are hidden (ELKS_INBOUND=known)."
