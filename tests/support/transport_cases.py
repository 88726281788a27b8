"""Helpers shared by the tests of the transport."""

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute, SocketStream, TaskGroup
from pydantic import SecretStr

from elks_mcp.elks.credentials import Credentials
from elks_mcp.elks.transport import Api
from elks_mcp.errors import (
    ProviderError,
)
from elks_mcp.runtime.clock import Clock
from tests.support.clocks import HANG, ManualClock

Handler = Callable[["Peer", SocketStream], Awaitable[None]]


PASSWORD = "c0ffee" * 5


FORM = {"from": "+46701740699", "to": "+46701740605", "message": "Hej!"}


LIMIT = timedelta(seconds=HANG)
"""By the clock of a test, which it turns; connecting alone may take a share of it in real time."""


REPLY = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{"id": "s1"}'


RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends a reset."""


class Peer:
    """A TCP server with a handler for each connection; the last one serves the rest too."""

    def __init__(self, handlers: tuple[Handler, ...], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/a1"
        self.port = port
        self.connections = 0
        self.requests: list[bytes] = []
        self.drip = anyio.Semaphore(0)
        self.dripped = 0
        self._handlers = handlers

    def has_requests(self, number: int) -> bool:
        return len(self.requests) >= number

    def has_dripped(self, number: int) -> bool:
        return self.dripped >= number

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        handler = self._handlers[min(self.connections, len(self._handlers)) - 1]
        async with stream:
            # The client may hang up whenever it likes.
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await handler(self, stream)


@asynccontextmanager
async def peer(*handlers: Handler) -> AsyncIterator[Peer]:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        server = Peer(handlers, listener.extra_attributes[SocketAttribute.local_port]())
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, server.serve)
            yield server
            group.cancel_scope.cancel()


async def read_request(server: Peer, stream: SocketStream) -> None:
    """Read one request whole, and note it down."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += await stream.receive()
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(
        dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:]).get(b"content-length", 0)
    )
    while len(body) < length:
        body += await stream.receive()
    server.requests.append(got)


def answering(*replies: bytes) -> Handler:
    """Answer one request after the other on one connection, then close it."""

    async def handle(server: Peer, stream: SocketStream) -> None:
        for each in replies:
            await read_request(server, stream)
            await stream.send(each)

    return handle


async def closing(server: "Peer", stream: SocketStream) -> None:
    """Read one request and hang up."""
    await read_request(server, stream)


async def resetting(server: "Peer", stream: SocketStream) -> None:
    """Read one request and reset the connection."""
    await read_request(server, stream)
    raw = stream.extra_attributes[SocketAttribute.raw_socket]()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


async def hanging(server: "Peer", stream: SocketStream) -> None:
    """Read what comes and never answer."""
    await read_request(server, stream)
    await stream.receive()


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


@asynccontextmanager
async def api_to(url: str, limit: timedelta = LIMIT, *, clock: Clock | None = None) -> AsyncIterator[Api]:
    """Build a transport on which time stands still, unless the test turns the clock."""
    api = Api(
        Credentials("u1", SecretStr(PASSWORD)), base_url=url, timeout=limit, clock=clock or ManualClock()
    )
    with anyio.fail_after(HANG):
        yield api
        await api.aclose()


class Asking:
    """A request that is under way while the test goes on."""

    def __init__(self, tasks: TaskGroup, call: Awaitable[bytes]) -> None:
        self.failure: ProviderError | None = None
        tasks.start_soon(self._run, call)

    async def _run(self, call: Awaitable[bytes]) -> None:
        self.failure = await failure_of(call)


async def failure_of(call: Awaitable[bytes]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await call
    return caught.value
