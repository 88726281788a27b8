"""A door that leads to whoever is behind it. It can be shut, and then connections are really refused."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

_HERE = "127.0.0.1"
_LOST = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


@dataclass
class Front:
    """A port that leads to the one behind it, while it is open; 0 is nobody's."""

    behind: Callable[[], int]
    _knocked: anyio.Event = field(default_factory=anyio.Event)
    _shut: anyio.Event = field(default_factory=anyio.Event)
    _opened: anyio.Event = field(default_factory=anyio.Event)

    async def run(self, *, task_status: TaskStatus[int]) -> None:
        """Let connections in; tell the port."""
        port = 0
        async with anyio.create_task_group() as guests:
            while True:
                async with await anyio.create_tcp_listener(local_host=_HERE, local_port=port) as listener:
                    if not port:
                        port = listener.extra(SocketAttribute.local_port)  # noqa: S610  (this is no Django)
                        task_status.started(port)
                    async with anyio.create_task_group() as door:
                        door.start_soon(listener.serve, self._lead, guests)
                        await self._shut.wait()
                        door.cancel_scope.cancel()
                await self._opened.wait()

    async def refuse(self, seconds: float) -> None:
        """Refuse connections for a while; who is inside stays."""
        opened = self._opened
        self._shut.set()
        await anyio.sleep(seconds)
        self._shut, self._opened = anyio.Event(), anyio.Event()
        opened.set()

    async def knock(self) -> None:
        """Wait until somebody connects, who is about to ask for something."""
        await self._knocked.wait()

    async def _lead(self, outside: SocketStream) -> None:
        knocked, self._knocked = self._knocked, anyio.Event()
        knocked.set()
        try:
            inside = await anyio.connect_tcp(_HERE, self.behind())
        except OSError:  # nobody is behind the door any more
            await outside.aclose()
            return
        async with outside, inside, anyio.create_task_group() as both:
            both.start_soon(_pass_on, outside, inside)
            await _pass_on(inside, outside)
            both.cancel_scope.cancel()


async def _pass_on(one: SocketStream, other: SocketStream) -> None:
    """Pass on what comes; who hangs up on one side hangs up on the other."""
    try:
        async for data in one:
            await other.send(data)
    except _LOST:
        pass
    await other.aclose()
