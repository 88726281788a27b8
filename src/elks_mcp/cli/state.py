"""What commands ask the state: opened for each question, so that nobody waits while a person thinks."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from elks_mcp.errors import NotFound
from elks_mcp.settings import Configuration
from elks_mcp.store.admin import open_database
from elks_mcp.store.db.database import Database

T = TypeVar("T")


class State:
    """The state that a command is about. One that is not there is not made by looking."""

    def __init__(self, configuration: Configuration) -> None:
        self.place = configuration.settings.state_location()

    @property
    def exists(self) -> bool:
        """Whether there is anything to ask."""
        return self.place.exists

    @property
    def whereabouts(self) -> str:
        """Say where it is; the address of a database is not shown, since it can hold a password."""
        if self.place.url:
            return "the PostgreSQL that ELKS_DATABASE_URL names"
        return str(self.place.folder) if self.place.folder else "memory (ELKS_SANDBOX)"

    @property
    def absence(self) -> str:
        """Say that there is none."""
        if self.place.folder is None:
            return "With ELKS_SANDBOX state is in the memory of the server: nobody else sees it."
        return f"There is no state in {self.whereabouts}: nothing was ever ordered there."

    def ask(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Open it and ask.

        Raises:
            NotFound: there is none.
            StateUnavailable, Misconfigured: it cannot be used.
        """
        if not self.exists:
            raise NotFound(self.absence, hint="--state-dir or ELKS_STATE_DIR names another directory.")
        return anyio.run(self.ask_soon, work)

    def ask_or_make(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Open it, or make it if there is none yet, and ask.

        Raises:
            NotFound: it is in the memory of a server.
            StateUnavailable, Misconfigured: it cannot be used.
        """
        if not self.place.is_durable:
            raise NotFound(self.absence)
        return anyio.run(self.ask_soon, work)

    async def ask_soon(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Open it and ask, where there is an event loop already."""
        async with open_database(self.place) as database:
            return await work(database)
