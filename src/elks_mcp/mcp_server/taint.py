"""What happens to texts before they are shown, whoever asks for them."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from elks_mcp.answers.results import HistoryAnswer, HistoryEntry, count_fitting
from elks_mcp.app import App
from elks_mcp.domain.models import Listing, Message
from elks_mcp.domain.taint import shown_from
from elks_mcp.elks.client import LISTED_PAGES
from elks_mcp.runtime.clock import in_zone


def explain_unread(listing: Listing) -> str:
    """Return how many texts of a list cannot be read; "" if all can."""
    if not listing.left_out:
        return ""
    texts = "1 text" if listing.left_out == 1 else f"{listing.left_out} texts"
    return f"Left out: {texts}, since 46elks' answer cannot be read there; 46elks.com shows what is missing."


async def show_list(app: App, listing: Listing) -> HistoryAnswer:
    """Take note of texts, leave out what may not be read and what would make the answer too long."""
    await app.history.record(listing.messages)
    readable = await app.history.without_hidden(listing.messages)
    entries = await _describe(app, readable, among=listing.messages)
    count = count_fitting(entries)
    await record_shown(app, readable[:count])
    note = _remark(listing, readable, count, app.policy.time_zone)
    return HistoryAnswer(count=count, messages=entries[:count], note=note)


async def show_message(app: App, message: Message) -> HistoryEntry:
    """Take note of a text and show it; of one that may not be read, only what 46elks says about it."""
    await app.history.record([message])
    if not await app.history.without_hidden([message]):
        return HistoryEntry.of(hide(message))
    return await show_readable(app, message)


async def show_readable(app: App, message: Message) -> HistoryEntry:
    """Show a text that may be read, and remember whose words were shown."""
    (entry,) = await _describe(app, [message], among=[message])
    await record_shown(app, [message])
    return entry


async def _describe(
    app: App, shown: Sequence[Message], *, among: Sequence[Message]
) -> tuple[HistoryEntry, ...]:
    """Describe texts. `among`: all that were read together with them."""
    words, replies = await app.history.read_words(among), await app.history.find_replies(among)
    return tuple(HistoryEntry.of(each, words.get(each.id), is_reply=each.id in replies) for each in shown)


async def show_status(app: App, message: Message) -> Message:
    """Take note of a text whose status is shown; a received one counts as shown, as in a list."""
    await app.history.record([message])
    if not await app.history.without_hidden([message]):
        return hide(message)
    await record_shown(app, [message])
    return message


def hide(message: Message) -> Message:
    """Leave of a text that may not be read what 46elks says about it."""
    name_hidden = {"sender": ""} if message.sender_is_name else {}
    return message.model_copy(update={"text": "", **name_hidden})


def describe_omissions(listing: Listing, zone: tzinfo | None) -> str:
    """Say what a list leaves out: what was not looked at, and what cannot be read."""
    stopped = "" if listing.complete else _stopped(listing, zone)
    return f"{stopped} {explain_unread(listing)}".strip()


def _remark(listing: Listing, readable: Sequence[Message], shown: int, zone: tzinfo | None) -> str:
    """Say what an answer leaves out of a list: hidden texts, and those that do not fit."""
    remarks = [describe_omissions(listing, zone)]
    if left := readable[shown:]:
        remarks = [_cut(left, shown, len(readable), zone), explain_unread(listing)]
    if hidden := len(listing.messages) - len(readable):
        remarks.append(f"{hidden} from numbers that were never written to are hidden (ELKS_INBOUND=known).")
    return " ".join(each for each in remarks if each)


def _cut(left: Sequence[Message], shown: int, found: int, zone: tzinfo | None) -> str:
    """Say that a list was cut, and how to go on."""
    cut = f"The answer would be too long, so it holds {shown} of {found} texts"
    times = [each.created_at for each in left if each.created_at]
    if not times:
        return f"{cut}."
    until = _write_until(times[0] + _MILLISECOND, zone)
    return f"{cut}: for the others call get_sms_messages again with until={until}."


_MILLISECOND = timedelta(milliseconds=1)
"""46elks' times are that exact, and `until` leaves out its own moment."""


def _write_until(moment: datetime, zone: tzinfo | None) -> str:
    return in_zone(moment, zone).isoformat().replace("+00:00", "Z")


def _stopped(listing: Listing, zone: tzinfo | None) -> str:
    stopped = f"The search stopped after {LISTED_PAGES} pages of 46elks' history"
    if listing.older_from is None:
        return f"{stopped}."
    until = _write_until(listing.older_from, zone)
    return f"{stopped}: for older texts call get_sms_messages again with until={until}."


async def record_shown(app: App, messages: Sequence[Message]) -> None:
    """Remember whose words are shown to the caller's model; all servers on a PostgreSQL remember it.

    On a file each server has a client of its own, which the words of another never reached.

    Raises:
        StateUnavailable: it cannot be remembered, so nothing may be shown.
    """
    now = app.clock.now()
    app.taint_log.record(messages, now)
    texts = shown_from(messages, now)
    if texts and app.storage.location.url:
        await (await app.storage.open()).taint.record(app.caller.agent, texts)
