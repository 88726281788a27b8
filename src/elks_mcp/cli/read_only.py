"""The whole, put together for looking at it: whatever is queued stays queued."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from elks_mcp.app import App, open_app
from elks_mcp.settings import Configuration


@asynccontextmanager
async def open_read_only(configuration: Configuration) -> AsyncIterator[App]:
    """Open what a server would open, with an outbox that sends nothing."""
    settings = configuration.settings
    idle = replace(configuration, settings=settings.model_copy(update={"read_only": True}))
    async with open_app(idle) as app:
        yield replace(app, configuration=configuration, policy=configuration.policy)
