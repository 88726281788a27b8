"""Notifying waiters of changes: in this process, and in others on the same PostgreSQL."""

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from psycopg import Connection

CHANNEL = "elks_mcp"
"""The channel on which a transaction announces received or delivered texts, with the account's id."""

_PATIENCE = 0.5
"""Seconds for one wait: stopping takes that long at most."""

_AGAIN = 1.0
"""Seconds between two attempts to connect."""

_WITHIN, _ALIVE = 5, 30
"""Seconds for connecting, and until a silent peer is probed."""


class Notifier:
    """Notifies waiters of changes.

    A waiter takes `next_event` first, then checks, then waits for the event.
    """

    def __init__(self) -> None:
        self.next_event = anyio.Event()
        self.receives_from_others = False
        """Whether waiters are also notified of changes by other processes."""

    def notify(self) -> None:
        """Notify all waiters."""
        event, self.next_event = self.next_event, anyio.Event()
        event.set()


async def listen_for_notifications(notifier: Notifier, url: str, account_id: int) -> None:
    """Notify waiters whenever another process announces a change. Reconnect forever if need be."""
    from psycopg import Error  # noqa: PLC0415  (only needed with PostgreSQL)

    thread = anyio.CapacityLimiter(1)  # a limiter of its own, because it is always in use
    while True:
        with suppress(Error, OSError):
            await _listen(notifier, url, str(account_id), thread)
        notifier.receives_from_others = False
        await anyio.sleep(_AGAIN)


async def _listen(notifier: Notifier, url: str, account: str, thread: anyio.CapacityLimiter) -> None:
    connection = await anyio.to_thread.run_sync(_connect, url, limiter=thread)
    try:
        notifier.receives_from_others = True
        notifier.notify()  # announcements before this moment were missed
        while True:
            if await anyio.to_thread.run_sync(_receive, connection, account, limiter=thread):
                notifier.notify()
    finally:
        notifier.receives_from_others = False
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(connection.close, limiter=thread)


def _connect(url: str) -> "Connection":
    from psycopg import connect  # noqa: PLC0415

    connection = connect(
        url,
        autocommit=True,
        application_name="elks-mcp notifications",
        connect_timeout=_WITHIN,
        keepalives_idle=_ALIVE,
    )
    connection.execute(f"LISTEN {CHANNEL}".encode())
    return connection


def _receive(connection: "Connection", account: str) -> bool:
    """Wait at most `_PATIENCE` seconds; return whether a change of the account was announced."""
    received = connection.notifies(timeout=_PATIENCE, stop_after=1)
    return any(each.payload == account for each in received)
