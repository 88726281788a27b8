"""What happens to texts before they are shown, whoever asks for them."""

from collections.abc import Sequence

from elks_mcp.app import App
from elks_mcp.models import Message


async def show(app: App, messages: Sequence[Message]) -> tuple[Message, ...]:
    """Take note of texts, leave out what may not be read, and remember whose words were shown."""
    await app.inbox.hear(messages)
    shown = await app.inbox.without_hidden(messages)
    app.strangers.note(shown, app.clock.now())
    return shown
