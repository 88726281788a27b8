"""What happens to texts before they are shown, whoever asks for them."""

from collections.abc import Sequence
from datetime import UTC

from elks_mcp.app import App
from elks_mcp.client import LISTED_PAGES
from elks_mcp.mcp_server.answers import HistoryEntry
from elks_mcp.models import Listing, Message
from elks_mcp.strangers import shown_from


def explain_unread(listing: Listing) -> str:
    """Return how many texts of a list cannot be read; "" if all can."""
    if not listing.left_out:
        return ""
    texts = "1 text" if listing.left_out == 1 else f"{listing.left_out} texts"
    return f"Left out: {texts}, since 46elks' answer cannot be read there; 46elks.com shows what is missing."


async def show(app: App, messages: Sequence[Message]) -> tuple[HistoryEntry, ...]:
    """Take note of texts, leave out what may not be read, and remember whose words were shown."""
    await app.inbox.hear(messages)
    shown = await app.inbox.without_hidden(messages)
    return await _describe(app, shown, among=messages)


async def show_all(app: App, messages: Sequence[Message]) -> tuple[HistoryEntry, ...]:
    """Show texts that may be read, and remember whose words were shown."""
    return await _describe(app, messages, among=messages)


async def _describe(
    app: App, shown: Sequence[Message], *, among: Sequence[Message]
) -> tuple[HistoryEntry, ...]:
    """Describe texts, and remember whose words were shown. `among`: all that were read together with them."""
    words, replies = await app.inbox.read_words(among), await app.inbox.find_replies(among)
    await note_shown(app, shown)
    return tuple(HistoryEntry.of(each, words.get(each.id), is_reply=each.id in replies) for each in shown)


async def show_status(app: App, message: Message) -> Message:
    """Take note of a text whose status is shown; a received one counts as shown, as in a list."""
    await app.inbox.hear([message])
    if not await app.inbox.without_hidden([message]):
        return hide(message)
    await note_shown(app, [message])
    return message


def hide(message: Message) -> Message:
    """Leave of a text that may not be read what 46elks says about it."""
    name_hidden = {"sender": ""} if message.sender_is_name else {}
    return message.model_copy(update={"text": None, **name_hidden})


def remark(listing: Listing, shown: int) -> str:
    """Say what a list leaves out: what was not looked at, and what is hidden."""
    remarks = [] if listing.complete else [_stopped(listing)]
    remarks += [unread] if (unread := explain_unread(listing)) else []
    if hidden := len(listing.messages) - shown:
        remarks.append(f"{hidden} from numbers that were never written to are hidden (ELKS_INBOUND=known).")
    return " ".join(remarks)


def _stopped(listing: Listing) -> str:
    stopped = f"The search stopped after {LISTED_PAGES} pages of 46elks' history"
    if listing.older_from is None:
        return f"{stopped}."
    moment = listing.older_from.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f"{stopped}: for older texts call get_sms_messages again with until={moment}."


async def note_shown(app: App, messages: Sequence[Message]) -> None:
    """Remember whose words are shown to the caller's model; all servers on a PostgreSQL remember it.

    On a file each server has a client of its own, which the words of another never reached.

    Raises:
        StateUnavailable: it cannot be remembered, so nothing may be shown.
    """
    now = app.clock.now()
    app.strangers.note(messages, now)
    texts = shown_from(messages, now)
    if texts and app.storage.place.url:
        await (await app.storage.open()).shown.note(app.caller.agent, texts)
