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


class Bell:
    """Rings when something changed. Who waits takes `following` first, then looks, then waits for it."""

    def __init__(self) -> None:
        self.following = anyio.Event()
        self.hears_others = False
        """Whether it rings as well when another process changes something."""

    def ring(self) -> None:
        """Wake everybody."""
        rung, self.following = self.following, anyio.Event()
        rung.set()


async def hear_others(bell: Bell, url: str, account_id: int) -> None:
    """Ring the bell whenever another process announces a change, for ever; a lost connection is made anew."""
    from psycopg import Error  # noqa: PLC0415  (only where there is a PostgreSQL)

    thread = anyio.CapacityLimiter(1)  # of its own, since it is always in use
    while True:
        with suppress(Error, OSError):
            await _listen(bell, url, str(account_id), thread)
        bell.hears_others = False
        await anyio.sleep(_AGAIN)


async def _listen(bell: Bell, url: str, account: str, thread: anyio.CapacityLimiter) -> None:
    connection = await anyio.to_thread.run_sync(_connect, url, limiter=thread)
    try:
        bell.hears_others = True
        bell.ring()  # whatever was announced before nobody heard
        while True:
            if await anyio.to_thread.run_sync(_hear, connection, account, limiter=thread):
                bell.ring()
    finally:
        bell.hears_others = False
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(connection.close, limiter=thread)


def _connect(url: str) -> "Connection":
    from psycopg import connect  # noqa: PLC0415

    connection = connect(
        url, autocommit=True, application_name="elks-mcp ear", connect_timeout=_WITHIN, keepalives_idle=_ALIVE
    )
    connection.execute(f"LISTEN {CHANNEL}".encode())
    return connection


def _hear(connection: "Connection", account: str) -> bool:
    """Wait a moment; tell whether something was announced for the account."""
    heard = connection.notifies(timeout=_PATIENCE, stop_after=1)
    return any(each.payload == account for each in heard)
