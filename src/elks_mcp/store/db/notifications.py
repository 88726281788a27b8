"""Waking those who wait for something to change: here, and in other processes on the same PostgreSQL."""

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from psycopg import Connection

CHANNEL = "elks_mcp"
"""On which a transaction says that something came in, or was delivered; with the account's number."""

_PATIENCE = 0.5
"""Seconds after which the ear looks up, at the latest: so long stopping may take."""

_AGAIN = 1.0
"""Seconds between two attempts to hear again."""

_WITHIN, _ALIVE = 5, 30
"""Seconds for connecting, and after which a silent peer is asked whether it is there."""


class Notifier:
    """Rings when something changed. Who waits takes `next_event` first, then looks, then waits for it."""

    def __init__(self) -> None:
        self.next_event = anyio.Event()
        self.receives_from_others = False
        """Whether it rings as well when another process changes something."""

    def notify(self) -> None:
        """Wake everybody."""
        rung, self.next_event = self.next_event, anyio.Event()
        rung.set()


async def listen_for_notifications(notifier: Notifier, url: str, account_id: int) -> None:
    """Ring the bell whenever another process announces a change, for ever; a lost connection is made anew."""
    from psycopg import Error  # noqa: PLC0415  (only where there is a PostgreSQL)

    thread = anyio.CapacityLimiter(1)  # of its own, since it is always in use
    while True:
        with suppress(Error, OSError):
            await _listen(notifier, url, str(account_id), thread)
        notifier.receives_from_others = False
        await anyio.sleep(_AGAIN)


async def _listen(notifier: Notifier, url: str, account: str, thread: anyio.CapacityLimiter) -> None:
    connection = await anyio.to_thread.run_sync(_connect, url, limiter=thread)
    try:
        notifier.receives_from_others = True
        notifier.notify()  # whatever was announced before nobody heard
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
    """Wait a moment; tell whether something was announced for the account."""
    heard = connection.notifies(timeout=_PATIENCE, stop_after=1)
    return any(each.payload == account for each in heard)
