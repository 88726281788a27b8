"""A server over HTTP, one of several that share a database."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import anyio
import httpx2

from crash.server import Server, start_program

_VERSION = "2026-07-28"
_BETWEEN_LOOKS = 0.05
_HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": _VERSION}
_META = {
    "io.modelcontextprotocol/protocolVersion": _VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "crash-test", "version": "1"},
}


@dataclass
class Replica(Server):
    """A server, and its client."""

    port: int = 0
    _client: httpx2.AsyncClient = field(
        default_factory=lambda: httpx2.AsyncClient(
            trust_env=False, timeout=None, limits=httpx2.Limits(max_connections=None)
        )
    )

    @classmethod
    async def start(cls, environ: Mapping[str, str], log: Path, port: int) -> Self:
        """Start a server."""
        return cls(await start_program(environ, log, "serve", "--http", "--port", f"{port}"), log, port=port)

    async def read(self) -> None:
        """Wait until the server has ended."""
        await self.process.wait()
        self.is_gone = True
        await self._client.aclose()

    async def greet(self) -> None:
        """Wait until the server accepts requests, if it lives that long."""
        while not self.is_gone:
            if await self._serves():
                self.greeted.set()
                return
            await anyio.sleep(_BETWEEN_LOOKS)

    async def _serves(self) -> bool:
        try:
            return (await self._client.get(f"http://127.0.0.1:{self.port}/healthz")).is_success
        except (httpx2.TransportError, RuntimeError):
            return False

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Call a tool and return its result; None if the server ended first."""
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": dict(arguments), "_meta": _META},
        }
        headers = {**_HEADERS, "mcp-method": "tools/call", "mcp-name": tool}
        try:
            answer = await self._client.post(f"http://127.0.0.1:{self.port}/mcp", json=body, headers=headers)
        except (httpx2.TransportError, RuntimeError):  # the latter if the client was closed meanwhile
            return None
        return _read_result(answer.raise_for_status())

    async def close(self) -> int:
        """Send SIGTERM, as an operator does, and return the exit code."""
        self.process.terminate()
        return await self.process.wait()


def find_free_port() -> int:
    """Return a port that no program of this machine uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _read_result(answer: httpx2.Response) -> dict[str, Any]:
    """Read a result; a late one is the last event of a stream."""
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        [*_, text] = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    result: dict[str, Any] = json.loads(text)["result"]
    return result
