"""Serve a sandbox with uvicorn on a socket that listens already.

This module loads uvicorn, so it is imported only when a sandbox is about to be served.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import uvicorn

from elks_mcp.sandbox.sandbox import Sandbox

_MOMENT = 0.5
"""Seconds. A request that still runs then is cancelled at the end of the process."""


class SandboxServer(uvicorn.Server):
    """A server for a sandbox that ends the requests it delays when it is stopped."""

    def __init__(self, box: Sandbox, **more: Any) -> None:
        """Build the server. `more`: further options of `uvicorn.Config`."""
        super().__init__(uvicorn.Config(box.app, ws="none", date_header=False, **more))
        self._box = box

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._box.release()
        await super().shutdown(sockets)


async def serve_until_cancelled(box: Sandbox, listener: socket.socket) -> None:
    """Serve a sandbox that runs already, as one task of a program that does something else.

    The program keeps its signal handlers and its logging, and nothing is printed. When the task is cancelled,
    the port and all connections are closed without waiting for a request: a page of events has no end.
    """
    server = _GuestServer(box, log_config=None, access_log=False, server_header=False, lifespan="off")
    try:
        await server.serve([listener])
    finally:
        server.drop(listener)
        with anyio.CancelScope(
            shield=True
        ):  # or the end of the loop cancels them, which is logged as an error
            await server.wait_for_requests()


class _GuestServer(SandboxServer):
    """A server inside a program that has its own signal handlers and ends it by cancelling."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the program."""
        yield

    async def main_loop(self) -> None:
        """Wait to be cancelled; uvicorn's own loop would wake the process ten times a second."""
        await anyio.sleep_forever()

    def drop(self, listener: socket.socket) -> None:
        """Close the port and all connections immediately, which ends their requests."""
        self._box.release()
        for server in getattr(self, "servers", ()):  # set by `startup`
            server.close()
        listener.close()
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()

    async def wait_for_requests(self) -> None:
        """Wait a moment until the requests have ended whose connections were closed."""
        if tasks := tuple(self.server_state.tasks):
            await asyncio.wait(tasks, timeout=_MOMENT)
