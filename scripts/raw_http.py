"""HTTP requests as bytes, so that the client costs less than the server."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

_VERSION = "2026-07-28"


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    url: str
    pid: int


@contextmanager
def serving(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[Served]:
    """Run a server that prints its address on standard error, and stop it at the end."""
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, encoding="utf-8") as process:
        try:
            said = process.stderr.readline() if process.stderr else ""
            found = re.search(r"serving at (\S+)/mcp", said)
            if not found:
                raise RuntimeError(f"The server did not start: {said}")
            yield Served(found[1], process.pid)
        finally:
            process.terminate()


def write_request(method: str, params: Mapping[str, object], *, token: str = "") -> bytes:
    """Return the bytes of a request of the newer era."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}})
    asked_for = params.get("name") or params.get("uri")
    headers = {
        "Host": "localhost:80",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": _VERSION,
        "Mcp-Method": method,
        **({"Mcp-Name": str(asked_for)} if asked_for else {}),
        **({"Authorization": f"Bearer {token}"} if token else {}),
    }
    return write_http("/mcp", headers, body.encode())


def write_http(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the bytes of a POST."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def call(places: Sequence[Served], request: bytes, *, clients: int, calls: int) -> float:
    """Make `calls` calls over `clients` connections, and return the calls per second.

    Raises:
        RuntimeError: an answer was a protocol error.
    """
    left = calls

    async def client(location: Served) -> None:
        nonlocal left
        connection = await Connection.open(location.url)
        while left > 0:
            left -= 1
            status, body = await connection.ask(request)
            if status != 200 or b'"error"' in body:  # noqa: PLR2004
                raise RuntimeError(f"{status}: {body!r}")
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(client(places[number % len(places)]) for number in range(clients)))
    return calls / (time.perf_counter() - began)


class Connection:
    """A kept connection, with as little of HTTP as is needed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open a connection to a server on this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", urlsplit(url).port))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request, and return the status and the whole body of its answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        if length := re.search(rb"content-length: (\d+)", head, re.IGNORECASE):
            return status, await self._reader.readexactly(int(length[1]))
        body = b""
        while status != 204:  # noqa: PLR2004
            size = int((await self._reader.readline()).strip(), 16)
            chunk = await self._reader.readexactly(size + 2)
            if size == 0:
                break
            body += chunk[:-2]
        return status, body

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()
