"""A TCP forwarder that can be closed, so that connections are really refused."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

_HERE = "127.0.0.1"
_LOST = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


@dataclass
class Front:
    """A port that forwards to the port that `behind` returns; 0 if there is none at the moment."""

    behind: Callable[[], int]
    _connected: anyio.Event = field(default_factory=anyio.Event)
    _shut: anyio.Event = field(default_factory=anyio.Event)
    _opened: anyio.Event = field(default_factory=anyio.Event)

    async def run(self, *, task_status: TaskStatus[int]) -> None:
        """Accept connections, and report the port when started."""
        port = 0
        async with anyio.create_task_group() as forwarding:
            while True:
                async with await anyio.create_tcp_listener(local_host=_HERE, local_port=port) as listener:
                    if not port:
                        port = listener.extra(SocketAttribute.local_port)  # noqa: S610  (this is no Django)
                        task_status.started(port)
                    async with anyio.create_task_group() as listening:
                        listening.start_soon(listener.serve, self._forward, forwarding)
                        await self._shut.wait()
                        listening.cancel_scope.cancel()
                await self._opened.wait()

    async def refuse(self, seconds: float) -> None:
        """Refuse new connections for some seconds; open ones stay."""
        opened = self._opened
        self._shut.set()
        await anyio.sleep(seconds)
        self._shut, self._opened = anyio.Event(), anyio.Event()
        opened.set()

    async def connection(self) -> None:
        """Wait until a client connects, which is about to send a request."""
        await self._connected.wait()

    async def _forward(self, outside: SocketStream) -> None:
        connected, self._connected = self._connected, anyio.Event()
        connected.set()
        try:
            inside = await anyio.connect_tcp(_HERE, self.behind())
        except OSError:  # the server behind is gone
            await outside.aclose()
            return
        async with outside, inside, anyio.create_task_group() as both:
            both.start_soon(_copy, outside, inside)
            await _copy(inside, outside)
            both.cancel_scope.cancel()


async def _copy(one: SocketStream, other: SocketStream) -> None:
    """Forward data one way; the end of one side ends the other."""
    try:
        async for data in one:
            await other.send(data)
    except _LOST:
        pass
    await other.aclose()
