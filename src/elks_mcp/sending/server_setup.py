"""The server's configuration, as far as sending depends on it."""

from typing import Protocol

from elks_mcp.store import Storage


class ServerSetup(Protocol):
    """The server's configuration, as far as sending depends on it; `App` is one."""

    def require_account(self, *, sender: bool = False) -> None:
        """Raise Misconfigured if credentials, or with `sender` the default sender, are missing."""
        ...

    def require_clear_names(self) -> None:
        """Raise Misconfigured if a variable is set whose name is nearly that of a setting."""
        ...

    @property
    def approval_page(self) -> str | None:
        """The address of a page on which a person can approve what waits, if there is one."""
        ...

    def command(self, words: str) -> str:
        """Return an `elks-mcp` command about this server's state, to end a sentence with."""
        ...


def can_wait(storage: Storage, setup: ServerSetup) -> bool:
    """Return whether a person can approve a text outside the client."""
    return storage.location.is_durable or setup.approval_page is not None
