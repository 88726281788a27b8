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

IN_MEMORY = "With ELKS_SANDBOX, state is in the memory of the server, so this command cannot read it."
"""The text of commands that need the state of a real account."""


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
        return str(self.explain_absence())

    def explain_absence(self) -> NotFound:
        """Return the error of a command that needs the state if there is none."""
        if self.location.folder is None and not self.location.url:
            return NotFound(IN_MEMORY, hint="Unset ELKS_SANDBOX to read the state of a real account.")
        return NotFound(
            f"{self.location.folder} has no state: no order was ever placed there.",
            hint="--state-dir or ELKS_STATE_DIR names another directory.",
        )

    def query(self, work: Callable[["Database"], Awaitable[T]]) -> T:
        """Open the state and return what `work` returns.

        Raises:
            NotFound: there is no state.
            StateUnavailable, Misconfigured: the state cannot be used.
        """
        if not self.exists:
            raise self.explain_absence()
        return anyio.run(self.query_async, work)

    def query_or_create(self, work: Callable[["Database"], Awaitable[T]]) -> T:
        """Open the state, created if it does not exist yet, and return what `work` returns.

        Raises:
            NotFound: the state is in the memory of a server.
            StateUnavailable, Misconfigured: the state cannot be used.
        """
        if not self.location.is_durable:
            raise self.explain_absence()
        return anyio.run(self.query_async, work)

    async def query_async(self, work: Callable[["Database"], Awaitable[T]]) -> T:
        """Do as `query` does, in a running event loop, and without a check whether there is state."""
        from elks_mcp.store.admin import open_database  # noqa: PLC0415  (slow, and often there is no state)

        async with open_database(self.location) as database:
            return await work(database)
