"""Texts on their way to the model: recorded, hidden if need be, and noted as shown (taint)."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from elks_mcp.answers.history import HistoryAnswer, HistoryEntry, count_fitting
from elks_mcp.app import App
from elks_mcp.domain.models import Listing, Message
from elks_mcp.domain.taint import list_shown_texts
from elks_mcp.domain.wording import format_count
from elks_mcp.elks.client import LISTED_PAGES
from elks_mcp.runtime.clock import in_zone


def explain_unread(listing: Listing) -> str:
    """Return a sentence on the texts of a list that cannot be read; "" if all can."""
    if not listing.left_out:
        return ""
    texts = format_count(listing.left_out, "text")
    return f"Left out: {texts} that 46elks sent in an unreadable form; see 46elks.com for what is missing."


async def show_list(app: App, listing: Listing) -> HistoryAnswer:
    """Record texts, and return those that may be read and fit in one answer."""
    await app.history.record(listing.messages)
    readable = await app.history.without_hidden(listing.messages)
    entries = await _build_entries(app, readable, among=listing.messages)
    count = count_fitting(entries)
    await record_shown(app, readable[:count])
    note = _describe_all_omissions(listing, readable, count, app.policy.time_zone)
    return HistoryAnswer(count=count, messages=entries[:count], note=note)


async def show_message(app: App, message: Message) -> HistoryEntry:
    """Record a text and return it; if it may not be read, without its content."""
    await app.history.record([message])
    if not await app.history.without_hidden([message]):
        return HistoryEntry.of(hide(message))
    return await show_readable(app, message)


async def show_readable(app: App, message: Message) -> HistoryEntry:
    """Return a text that may be read, and record that it was shown to the model."""
    (entry,) = await _build_entries(app, [message], among=[message])
    await record_shown(app, [message])
    return entry


async def _build_entries(
    app: App, shown: Sequence[Message], *, among: Sequence[Message]
) -> tuple[HistoryEntry, ...]:
    """Return the entries of texts.

    `among`: all texts that were read with them, since a reply is known by the text before it.
    """
    opt_words, replies = await app.history.read_words(among), await app.history.find_replies(among)
    return tuple(HistoryEntry.of(each, opt_words.get(each.id), is_reply=each.id in replies) for each in shown)


async def show_status(app: App, message: Message) -> Message:
    """Record a text whose status is shown. An incoming one counts as shown to the model."""
    await app.history.record([message])
    if not await app.history.without_hidden([message]):
        return hide(message)
    await record_shown(app, [message])
    return message


def hide(message: Message) -> Message:
    """Return a text that may not be read: without its content and any name of its sender."""
    name_hidden = {"sender": ""} if message.sender_is_name else {}
    return message.model_copy(update={"text": "", **name_hidden})


def describe_omissions(listing: Listing, zone: tzinfo | None) -> str:
    """Return sentences on what a list leaves out: older texts, and texts that cannot be read."""
    older = "" if listing.complete else _explain_page_limit(listing, zone)
    return f"{older} {explain_unread(listing)}".strip()


def _describe_all_omissions(
    listing: Listing, readable: Sequence[Message], shown: int, zone: tzinfo | None
) -> str:
    """Return sentences on what an answer leaves out, hidden and truncated texts included."""
    notes = [describe_omissions(listing, zone)]
    if left := readable[shown:]:
        notes = [_explain_truncation(left, shown, len(readable), zone), explain_unread(listing)]
    if hidden := len(listing.messages) - len(readable):
        texts = format_count(hidden, "text")
        notes.append(f"Hidden: {texts} from numbers that were never texted (ELKS_INBOUND=known).")
    return " ".join(note for note in notes if note)


def _explain_truncation(left: Sequence[Message], shown: int, found: int, zone: tzinfo | None) -> str:
    """Return a sentence on a list that was truncated, and on how to get the rest."""
    truncated = f"The answer would be too long, so it has {shown} of {found} texts"
    times = [each.created_at for each in left if each.created_at]
    if not times:
        return f"{truncated}."
    until = _format_until(times[0] + _MILLISECOND, zone)
    return f"{truncated}. For the others call get_sms_messages again with until={until}."


_MILLISECOND = timedelta(milliseconds=1)
"""The precision of 46elks' times. `until` is exclusive, so one is added to it."""


def _format_until(moment: datetime, zone: tzinfo | None) -> str:
    return in_zone(moment, zone).isoformat().replace("+00:00", "Z")


def _explain_page_limit(listing: Listing, zone: tzinfo | None) -> str:
    stopped = f"The search stopped after {LISTED_PAGES} pages of 46elks' history"
    if listing.older_from is None:
        return f"{stopped}."
    until = _format_until(listing.older_from, zone)
    return f"{stopped}. For older texts call get_sms_messages again with until={until}."


async def record_shown(app: App, messages: Sequence[Message]) -> None:
    """Record whose texts are shown to the caller's model, on PostgreSQL for all replicas.

    With SQLite the memory of this process suffices: no other process shows texts to its callers.

    Raises:
        StateUnavailable: it cannot be recorded, so the texts may not be shown.
    """
    now = app.clock.now()
    app.taint_log.record(messages, now)
    texts = list_shown_texts(messages, now)
    if texts and app.storage.location.url:
        await (await app.storage.open()).taint.record(app.caller.agent, texts)
