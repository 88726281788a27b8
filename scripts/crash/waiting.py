"""Callers that wait for answers while the servers are killed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import anyio

from crash.server import Server
from elks_mcp.sandbox import Sandbox

_LONGEST = 20
_LATEST_ANSWER = 3.0

FindServer = Callable[[], Awaitable[Server]]


@dataclass
class Waiter:
    """A caller that repeatedly waits for the answers of one phone, at any running server."""

    phone: str
    box: Sandbox
    random: Random
    wanted: list[str] = field(default_factory=list)
    """The answers of the phone, in order."""

    received: list[str] = field(default_factory=list)
    harmed: list[str] = field(default_factory=list)
    """Results of servers that were not killed, and that were neither an answer nor "none yet"."""

    interrupted: int = 0
    """Calls that a kill left without an answer."""

    is_waiting: bool = False
    _cursor: str = "c-0"

    async def run(self, find_server: FindServer, is_over: Callable[[], bool]) -> None:
        """Wait for one answer after another, until `is_over`."""
        while not is_over():
            self.is_waiting = True
            async with anyio.create_task_group() as both:
                both.start_soon(self._answer)
                await self._receive(find_server)
            self.is_waiting = False

    async def _answer(self) -> None:
        await anyio.sleep(self.random.uniform(0, _LATEST_ANSWER))
        text = f"Answer {len(self.wanted)} from {self.phone}"
        self.wanted.append(text)
        self.box.receive(self.phone, text)

    async def _receive(self, find_server: FindServer) -> None:
        while True:
            server = await find_server()
            arguments = {"from": self.phone, "after": self._cursor, "timeout": _LONGEST}
            result = await server.call("wait_for_reply", arguments)
            if result is None:
                self.interrupted += 1
                continue
            if result.get("isError"):
                self.harmed.append(result["content"][0]["text"])
                continue
            answer = result["structuredContent"]
            if answer["status"] == "received" and answer["message"] is None:
                continue  # 46elks did not show it in time: continue from the cursor before it
            self._cursor = answer["cursor"]
            if answer["status"] == "received":
                self.received.append(answer["message"]["untrustedText"])
                return
