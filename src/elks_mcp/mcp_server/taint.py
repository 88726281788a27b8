"""Texts on their way to the model: recorded, hidden if need be, and noted as shown (taint)."""

from collections.abc import Sequence

from elks_mcp.answers.history import HistoryEntry
from elks_mcp.answers.listing import HowToContinue, hide, report_list, report_readable
from elks_mcp.answers.text_list import TextListAnswer
from elks_mcp.app import App
from elks_mcp.domain.models import Listing, Message
from elks_mcp.domain.taint import list_shown_texts

CALL_AGAIN: HowToContinue = "call again with until={}".format
"""How a model continues statistics."""


async def show_list(app: App, listing: Listing, parties: Sequence[str] = ()) -> TextListAnswer:
    """Record texts, and return those that may be read and fit in one answer.

    `parties`: the numbers of the one person whose texts they are.
    """
    listed = await report_list(app, listing, parties)
    await record_shown(app, listed.shown)
    return listed.answer


async def show_message(app: App, message: Message) -> HistoryEntry:
    """Record a text and return it; if it may not be read, without its content."""
    await app.history.record([message])
    if not await app.history.without_hidden([message]):
        return HistoryEntry.of(hide(message))
    return await show_readable(app, message)


async def show_readable(app: App, message: Message) -> HistoryEntry:
    """Return a text that may be read, and record that it was shown to the model."""
    (entry,) = await report_readable(app, [message], among=[message])
    await record_shown(app, [message])
    return entry


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
