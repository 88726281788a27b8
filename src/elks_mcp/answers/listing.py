"""Lists of the account's texts: the ones that may be read and fit, and what is left out."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from elks_mcp.answers.history import HistoryAnswer, HistoryEntry, count_fitting
from elks_mcp.app import App
from elks_mcp.domain.models import Listing, Message
from elks_mcp.domain.wording import format_count
from elks_mcp.elks.client import LISTED_PAGES
from elks_mcp.runtime.clock import in_zone

HowToContinue = Callable[[str], str]
"""Returns how to list the texts before a time, in the words of an interface, to follow "For the others"."""


class Listed(NamedTuple):
    """An answer with texts, and the texts that it shows."""

    answer: HistoryAnswer
    shown: tuple[Message, ...]


async def report_list(app: App, listing: Listing, how: HowToContinue) -> Listed:
    """Record texts, and return those that may be read and fit in one answer."""
    await app.history.record(listing.messages)
    readable = await app.history.without_hidden(listing.messages)
    entries = await report_readable(app, readable, among=listing.messages)
    count = count_fitting(entries)
    note = _describe_all_omissions(listing, readable, count, _OwnWords(app.policy.time_zone, how))
    return Listed(HistoryAnswer(count=count, messages=entries[:count], note=note), readable[:count])


async def report_readable(
    app: App, shown: Sequence[Message], *, among: Sequence[Message]
) -> tuple[HistoryEntry, ...]:
    """Return the entries of texts that may be read.

    `among`: all texts that were read with them, since a reply is known by the text before it.
    """
    opt_words, replies = await app.history.read_words(among), await app.history.find_replies(among)
    return tuple(HistoryEntry.of(each, opt_words.get(each.id), is_reply=each.id in replies) for each in shown)


def explain_unread(listing: Listing) -> str:
    """Return a sentence on the texts of a list that cannot be read; "" if all can."""
    if not listing.left_out:
        return ""
    texts = format_count(listing.left_out, "text")
    return f"Left out: {texts} that 46elks sent in an unreadable form; see 46elks.com for what is missing."


class _OwnWords(NamedTuple):
    """The words of one interface: its time zone, and how to continue a list there."""

    zone: tzinfo | None
    how: HowToContinue


def hide(message: Message) -> Message:
    """Return a text that may not be read: without its content and any name of its sender."""
    name_hidden = {"sender": ""} if message.sender_is_name else {}
    return message.model_copy(update={"text": "", **name_hidden})


def describe_omissions(listing: Listing, zone: tzinfo | None, how: HowToContinue) -> str:
    """Return sentences on what a list leaves out: older texts, and texts that cannot be read."""
    return _describe_omissions(listing, _OwnWords(zone, how))


def _describe_omissions(listing: Listing, words: _OwnWords) -> str:
    older = "" if listing.complete else _explain_page_limit(listing, words)
    return f"{older} {explain_unread(listing)}".strip()


def _describe_all_omissions(
    listing: Listing, readable: Sequence[Message], shown: int, words: _OwnWords
) -> str:
    """Return sentences on what an answer leaves out, hidden and truncated texts included."""
    notes = [_describe_omissions(listing, words)]
    if left := readable[shown:]:
        notes = [_explain_truncation(left, shown, len(readable), words), explain_unread(listing)]
    if hidden := len(listing.messages) - len(readable):
        texts = format_count(hidden, "text")
        notes.append(f"Hidden: {texts} from numbers that were never texted (ELKS_INBOUND=known).")
    return " ".join(note for note in notes if note)


def _explain_truncation(left: Sequence[Message], shown: int, found: int, words: _OwnWords) -> str:
    """Return a sentence on a list that was truncated, and on how to get the rest."""
    truncated = f"The answer would be too long, so it has {shown} of {found} texts"
    times = [each.created_at for each in left if each.created_at]
    if not times:
        return f"{truncated}."
    until = _format_until(times[0] + _MILLISECOND, words.zone)
    return f"{truncated}. For the others {words.how(until)}."


_MILLISECOND = timedelta(milliseconds=1)
"""The precision of 46elks' times. `until` is exclusive, so one is added to it."""


def _format_until(moment: datetime, zone: tzinfo | None) -> str:
    return in_zone(moment, zone).isoformat().replace("+00:00", "Z")


def _explain_page_limit(listing: Listing, words: _OwnWords) -> str:
    stopped = f"The search stopped after {LISTED_PAGES} pages of 46elks' history"
    if listing.older_from is None:
        return f"{stopped}."
    until = _format_until(listing.older_from, words.zone)
    return f"{stopped}. For older texts {words.how(until)}."
