"""A sandbox under a real server, on a port of the machine's choice."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import uvicorn

from elks_mcp.sandbox import Sandbox
from tests.support.clocks import HANG


class Server(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class SandboxServer(Server):
    """A server that ends the requests that hang and the open pages when it is stopped."""

    def __init__(self, config: uvicorn.Config, box: Sandbox) -> None:
        super().__init__(config)
        self._box = box

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._box.release()
        await super().shutdown(sockets)


@asynccontextmanager
async def serve(box: Sandbox, port: int = 0) -> AsyncIterator[str]:
    """Serve *box* on 127.0.0.1 and return its address; stop as Ctrl-C does."""
    config = uvicorn.Config(
        box.app, log_config=None, ws="none", timeout_graceful_shutdown=30, date_header=False
    )
    server = SandboxServer(config, box)
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            with anyio.fail_after(HANG):
                await server.ready.wait()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
