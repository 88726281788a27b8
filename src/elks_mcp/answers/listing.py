"""Lists of the account's texts: those that may be shown and fit, and what is left out."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from elks_mcp.answers.history import HistoryAnswer, HistoryEntry
from elks_mcp.answers.people import read_people
from elks_mcp.answers.text_list import ListStyle, TextListAnswer, count_fitting, list_text
from elks_mcp.app import App
from elks_mcp.domain.models import Direction, HistoryFilter, Listing, Message
from elks_mcp.domain.periods import parse_period
from elks_mcp.domain.wording import format_count
from elks_mcp.runtime.clock import in_zone

HowToContinue = Callable[[str], str]
"""Returns how to list the texts before a time, in the words of an interface, to follow "For older texts"."""


class TextQuery(NamedTuple):
    """Which texts a caller wants, as the caller writes it; "" is any."""

    direction: str = "both"
    person: str = ""
    """A number or a contact's name."""

    since: str = ""
    until: str = ""


async def read_filter(app: App, query: TextQuery) -> HistoryFilter:
    """Return a query as a filter.

    Raises:
        InvalidInput: a time or the person cannot be read, or can mean two.
        Misconfigured: the contacts cannot be read.
    """
    period = parse_period(query.since, query.until, app.policy.time_zone)
    return HistoryFilter(
        direction=None if query.direction == "both" else Direction(query.direction),
        parties=await _find_parties(app, query.person) if query.person else (),
        since=period.since,
        until=period.until,
    )


async def _find_parties(app: App, person: str) -> tuple[str, ...]:
    return tuple(number.e164 for number in await app.recipients.find_all(person))


class Listed(NamedTuple):
    """An answer with texts, and the texts that it shows."""

    answer: TextListAnswer
    shown: tuple[Message, ...]


async def report_list(app: App, listing: Listing, parties: Sequence[str] = ()) -> Listed:
    """Record texts, and return those that may be read and fit in one answer.

    `parties`: the numbers of the one person whose texts they are. If there are several, each text names its
    own.
    """
    await app.history.record(listing.messages)
    readable = await app.history.without_hidden(listing.messages)
    entries = await report_readable(app, readable, among=listing.messages)
    style = await read_style(app, names_party=len(parties) != 1)
    texts = tuple(list_text(entry, style) for entry in entries)
    count = count_fitting(texts)
    older = _find_older(readable[count:]) or listing.older_from
    answer = TextListAnswer(
        count=count,
        person=style.people.label_person(parties),
        now=style.now_in_words,
        zone=style.zone_in_words,
        older_until=_format_until(older, style.zone) if older else "",
        note=" ".join(_describe_omissions(listing, readable, count)),
        messages=texts[:count],
    )
    return Listed(answer, readable[:count])


async def read_style(app: App, *, names_party: bool = True) -> ListStyle:
    """Return how lists name people and times now.

    Raises:
        Misconfigured: the contacts cannot be read.
    """
    zone = app.policy.time_zone
    return ListStyle(await read_people(app), zone, in_zone(app.clock.now(), zone), names_party)


async def report_history(app: App, listing: Listing, how: HowToContinue) -> HistoryAnswer:
    """Record texts, and return those that may be read, with all that is known of each."""
    await app.history.record(listing.messages)
    readable = await app.history.without_hidden(listing.messages)
    entries = await report_readable(app, readable, among=listing.messages)
    notes = _describe_omissions(listing, readable, len(readable))
    notes += _explain_older(listing, app.policy.time_zone, how)
    return HistoryAnswer(count=len(entries), messages=entries, note=" ".join(notes))


async def report_readable(
    app: App, shown: Sequence[Message], *, among: Sequence[Message]
) -> tuple[HistoryEntry, ...]:
    """Return the entries of texts that may be read.

    `among`: all texts that were read with them, since a reply is known by the text before it.
    """
    opt_words, replies = await app.history.read_words(among), await app.history.find_replies(among)
    return tuple(HistoryEntry.of(each, opt_words.get(each.id), is_reply=each.id in replies) for each in shown)


def hide(message: Message) -> Message:
    """Return a text that may not be read: without its content and any name of its sender."""
    name_hidden = {"sender": ""} if message.sender_is_name else {}
    return message.model_copy(update={"text": "", **name_hidden})


def describe_omissions(listing: Listing, zone: tzinfo | None, how: HowToContinue) -> str:
    """Return sentences on what was not read: older texts, and texts that cannot be read."""
    notes = _describe_omissions(listing, listing.messages, len(listing.messages))
    return " ".join([*notes, *_explain_older(listing, zone, how)])


def _describe_omissions(listing: Listing, readable: Sequence[Message], shown: int) -> list[str]:
    """Return sentences on what an answer leaves out."""
    notes = []
    if shown < len(readable):
        notes.append(f"The answer would be too long, so it has {shown} of {len(readable)} texts.")
    elif not listing.complete:
        notes.append(f"The search stopped after {listing.pages} pages of 46elks' history.")
    if listing.left_out:
        texts = format_count(listing.left_out, "text")
        notes.append(
            f"Left out: {texts} that 46elks sent in an unreadable form; see 46elks.com for what is missing."
        )
    if hidden := len(listing.messages) - len(readable):
        texts = format_count(hidden, "text")
        notes.append(f"Hidden: {texts} from numbers that were never texted (ELKS_INBOUND=known).")
    return notes


def _explain_older(listing: Listing, zone: tzinfo | None, how: HowToContinue) -> list[str]:
    """Return how to continue a search that stopped early."""
    if listing.complete or listing.older_from is None:
        return []
    return [f"For older texts {how(_format_until(listing.older_from, zone))}."]


def _find_older(left: Sequence[Message]) -> datetime | None:
    """Return the moment before which the texts are that an answer has no room for."""
    newest = next((each.created_at for each in left if each.created_at), None)
    return newest + _MILLISECOND if newest else None


_MILLISECOND = timedelta(milliseconds=1)
"""The precision of 46elks' times. `until` is exclusive, so one is added to it."""


def _format_until(moment: datetime, zone: tzinfo | None) -> str:
    return in_zone(moment, zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")
