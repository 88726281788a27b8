"""The state as commands use it.

It is opened for each query, so that nothing is locked while a person decides.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio

from elks_mcp.errors import NotFound
from elks_mcp.settings import Configuration

if TYPE_CHECKING:
    from elks_mcp.store.db.database import Database

T = TypeVar("T")


class State:
    """The state that a command reads and changes. Reading does not create it."""

    def __init__(self, configuration: Configuration) -> None:
        self.location = configuration.settings.state_location()

    @property
    def exists(self) -> bool:
        """Whether there is state to read."""
        return self.location.exists

    @property
    def description(self) -> str:
        """The location, for people, without a database's URL, which can contain a password."""
        if self.location.url:
            return "the PostgreSQL that ELKS_DATABASE_URL names"
        return str(self.location.folder) if self.location.folder else "memory (ELKS_SANDBOX)"

    @property
    def absence(self) -> str:
        """A sentence for people which says that there is no state."""
        if self.location.folder is None:
            return "With ELKS_SANDBOX, state is in the memory of the server, so this command cannot read it."
        return f"{self.description} has no state: no order was ever placed there."

    def query(self, work: Callable[["Database"], Awaitable[T]]) -> T:
        """Open the state and return what `work` returns.

        Raises:
            NotFound: there is no state.
            StateUnavailable, Misconfigured: the state cannot be used.
        """
        if not self.exists:
            raise NotFound(self.absence, hint="--state-dir or ELKS_STATE_DIR names another directory.")
        return anyio.run(self.query_async, work)

    def query_or_create(self, work: Callable[["Database"], Awaitable[T]]) -> T:
        """Open the state, created if it does not exist yet, and return what `work` returns.

        Raises:
            NotFound: the state is in the memory of a server.
            StateUnavailable, Misconfigured: the state cannot be used.
        """
        if not self.location.is_durable:
            raise NotFound(self.absence, hint="Unset ELKS_SANDBOX, or restart the server.")
        return anyio.run(self.query_async, work)

    async def query_async(self, work: Callable[["Database"], Awaitable[T]]) -> T:
        """Do as `query` does, in a running event loop, and without a check whether there is state."""
        from elks_mcp.store.admin import open_database  # noqa: PLC0415  (slow, and often there is no state)

        async with open_database(self.location) as database:
            return await work(database)
