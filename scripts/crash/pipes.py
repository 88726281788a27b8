"""A server on pipes, as a client on the same machine runs it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from crash.server import GONE, Server, start_program

_LONGEST_LINE = 1_000_000
_HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "crash-test", "version": "1"},
}


@dataclass(slots=True)
class _Reply:
    come: anyio.Event = field(default_factory=anyio.Event)
    message: dict[str, Any] | None = None


@dataclass
class ServerOnPipes(Server):
    """A server, and the requests that its client still waits for."""

    _waiting: dict[int, _Reply] = field(default_factory=dict)
    _last_id: int = 0
    _writing: anyio.Lock = field(default_factory=anyio.Lock)

    @classmethod
    async def start(cls, environ: Mapping[str, str], log: Path) -> Self:
        """Start a server."""
        return cls(await start_program(environ, log), log)

    async def read(self) -> None:
        """Read the server's output until it ends."""
        if self.process.stdout is None:
            raise RuntimeError("it has no standard output")
        lines = BufferedByteReceiveStream(self.process.stdout)
        try:
            while True:
                self._receive(json.loads(await lines.receive_until(b"\n", _LONGEST_LINE)))
        except GONE:
            self.is_gone = True
        for reply in self._waiting.values():
            reply.come.set()

    async def greet(self) -> None:
        """Initialize the session, if the server lives that long."""
        if await self._ask("initialize", _HELLO):
            await self._write({"method": "notifications/initialized"})
            self.greeted.set()

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Call a tool and return its result; None if the server ended first."""
        answer = await self._ask("tools/call", {"name": tool, "arguments": dict(arguments)})
        result: dict[str, Any] | None = answer and answer.get("result")
        return result

    async def close(self) -> int:
        """Close the server's standard input, wait for its end, and return its exit code."""
        if self.process.stdin:
            await self.process.stdin.aclose()
        return await self.process.wait()

    async def _ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        self._last_id += 1
        number, reply = self._last_id, _Reply()
        self._waiting[number] = reply
        await self._write({"id": number, "method": method, "params": params})
        if not self.is_gone:
            await reply.come.wait()
        del self._waiting[number]
        return reply.message

    async def _write(self, message: Mapping[str, Any]) -> None:
        line = json.dumps({"jsonrpc": "2.0", **message}) + "\n"
        try:
            async with self._writing:
                if self.process.stdin:
                    await self.process.stdin.send(line.encode())
        except GONE:
            self.is_gone = True

    def _receive(self, message: dict[str, Any]) -> None:
        if reply := self._waiting.get(message.get("id", 0)):
            reply.message = message
            reply.come.set()
