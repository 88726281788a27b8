"""An application that a command can read from, and that leaves the queue to servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from elks_mcp.app import App, open_app
from elks_mcp.sending.orders import Orders
from elks_mcp.settings import Configuration


@asynccontextmanager
async def open_read_only(configuration: Configuration) -> AsyncIterator[App]:
    """Open the application as a server does, with an outbox that leaves queued orders queued."""
    settings = configuration.settings
    idle = replace(configuration, settings=settings.model_copy(update={"read_only": True}))
    async with open_app(idle) as app:
        yield replace(app, configuration=configuration, policy=configuration.policy)


@asynccontextmanager
async def open_own_only(configuration: Configuration) -> AsyncIterator[App]:
    """Do the same, but send what the command itself places, by the operator's rules."""
    async with open_read_only(configuration) as app:
        checks = replace(app.orders.checks, policy=configuration.policy)
        yield replace(app, orders=Orders(app.client, app.storage, app.taint_log, checks))
