"""A client whose transport keeps every message that the server sends."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self

from mcp import Client, StdioServerParameters
from mcp.client._memory import InMemoryTransport
from mcp.client._transport import TransportStreams
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from elks_mcp.sandbox import Sandbox
from tests.sandbox.serving import serve
from tests.support.connecting import Person, in_process
from tests.support.web import http_client, site

Way = Literal["memory auto", "memory legacy", "stdio auto", "http auto", "http legacy"]

Frame = dict[str, Any]


class _Recorder:
    """A stream of messages that keeps each one."""

    def __init__(self, messages: Any, frames: list[Frame]) -> None:
        self._messages = messages
        self._frames = frames

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message."""
        message: SessionMessage | Exception = await self._messages.receive()
        if isinstance(message, SessionMessage):
            self._frames.append(message.message.model_dump(mode="json", by_alias=True, exclude_none=True))
        return message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._messages, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        await self._messages.__aenter__()
        return await self.receive()

    async def __aenter__(self) -> Self:
        await self._messages.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._messages.__aexit__(kind, error, trace)


@asynccontextmanager
async def _recording(
    transport: AbstractAsyncContextManager[TransportStreams], frames: list[Frame]
) -> AsyncIterator[TransportStreams]:
    async with transport as (messages, requests):
        yield _Recorder(messages, frames), requests


@asynccontextmanager
async def recorded(
    environ: Mapping[str, str],
    box: Sandbox | None,
    way: Way,
    frames: list[Frame],
    person: Person | None = None,
) -> AsyncIterator[Client]:
    """Connect a client to a server; `frames` gets every message that the server sends."""
    where, mode = way.split()
    async with AsyncExitStack() as stack:
        transport: AbstractAsyncContextManager[TransportStreams]
        if where == "memory":
            transport = InMemoryTransport(in_process(environ, box))
        elif where == "stdio":
            url = {"ELKS_API_BASE_URL": f"{await stack.enter_async_context(serve(box))}/a1"} if box else {}
            program = {"command": sys.executable, "args": ["-m", "elks_mcp"], "env": {**environ, **url}}
            transport = stdio_client(StdioServerParameters.model_validate(program))
        else:
            assert box
            served = await stack.enter_async_context(site(box, environ=environ))
            http = await stack.enter_async_context(http_client())
            transport = streamable_http_client(f"{served.url}/mcp", http_client=http)
        yield await stack.enter_async_context(
            Client(_recording(transport, frames), mode=mode, elicitation_callback=person)
        )
