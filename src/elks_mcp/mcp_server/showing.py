"""What happens to texts before they are shown, whoever asks for them."""

from collections.abc import Sequence

from elks_mcp.app import App
from elks_mcp.models import Message
from elks_mcp.strangers import shown_from


async def show(app: App, messages: Sequence[Message]) -> tuple[Message, ...]:
    """Take note of texts, leave out what may not be read, and remember whose words were shown."""
    await app.inbox.hear(messages)
    shown = await app.inbox.without_hidden(messages)
    await note_shown(app, shown)
    return shown


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
        await (await app.storage.open()).shown.note(app.caller.name, texts)
