"""The server's configuration, as far as sending depends on it."""

from collections.abc import Callable
from typing import Protocol

from elks_mcp.errors import NotApproved
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


def check_can_wait(storage: Storage, setup: ServerSetup, why: str, action: str) -> None:
    """Check that a person can approve a text outside the client.

    `why`: why one has to. `action`: what the caller asked for, in the imperative, such as "Send it".

    Raises:
        NotApproved: no person can.
    """
    if not can_wait(storage, setup):
        raise NotApproved(
            f"{why} No person can be asked here, and no terminal reaches the sandbox.",
            hint=f"{action} where a person can be asked, or use the sandbox's page (ELKS_SANDBOX_PAGE=on).",
        )


def name_approval_place(page: str | None) -> str:
    """Return where a person can approve what waits outside the client. `page`: `approval_page`."""
    return f"on the sandbox's page, {page}" if page else "in a terminal"


def locate_approval(code: str | None, command: Callable[[str], str], page: str | None) -> str:
    """Return where, and by which command, a person approves what waits: a sentence's end.

    `code`: its approval code. `command` and `page`: those of `ServerSetup`.
    """
    place = name_approval_place(page)
    return f"{place}." if page else f"{place}: {command(f'approve {code}')}"
