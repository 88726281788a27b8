"""Measure the HTTP server: tool calls beside a bare server, webhooks that are kept, and how soon they are.

46elks is the sandbox in a process of its own; PostgreSQL is a real one, started for this. Both servers answer
the same questions of the newer era, with 50 clients, in turns within one run.

    uv run python scripts/bench_http.py [--json FILE|-] [--strict]
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode, urlsplit

from bench import compile_all, simulated_46elks
from bench_sending import Figure, Setup, report, setups, write_json

from elks_mcp.settings import load
from elks_mcp.store.storage import find_hasher

_BARE = Path(__file__).parent / "bench_servers" / "bare_http.py"
_CLIENTS, _CALLS, _ROUNDS = 50, 1000, 4
_WEBHOOKS, _RATE, _SECONDS = 5000, 200, 10
_VERSION = "2026-07-28"


def main() -> int:
    """Measure, report, and give the exit code: 1 where a target is missed and `--strict` was given."""
    options = _parse_options()
    compile_all()
    figures: list[Figure] = []
    with simulated_46elks() as environ, setups(options.databases) as places:
        for place in places:
            figures += _measure(place, environ)
    report(figures)
    if options.json:
        write_json(options.json, figures)
    return int(options.strict and any(figure.reached is False for figure in figures))


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write all figures here; - is standard output")
    parser.add_argument("--strict", action="store_true", help="fail where a target is missed")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres"])
    return parser.parse_args()


def _measure(place: Setup, environ: Mapping[str, str]) -> list[Figure]:
    ours = {**environ, **place.environ, "DRY_RUN": "false", "ELKS_LOG_LEVEL": "WARNING"}
    with (
        _serving([sys.executable, "-m", "elks_mcp", "serve", "--http", "--port", "0"], ours) as url,
        _serving([sys.executable, str(_BARE)], environ) as bare,
    ):
        return [*_compare(place, url, bare), *asyncio.run(_measure_webhooks(place, url, ours))]


@contextmanager
def _serving(command: list[str], environ: Mapping[str, str]) -> Iterator[str]:
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, encoding="utf-8") as process:
        try:
            said = process.stderr.readline() if process.stderr else ""
            found = re.search(r"serving at (\S+)/mcp", said)
            if not found:
                raise RuntimeError(f"it does not serve: {said}")
            yield found[1]
        finally:
            process.terminate()


# ── tool calls ──


def _compare(place: Setup, url: str, bare: str) -> list[Figure]:
    """Ask both in turns, since the machine's speed changes."""
    figures = []
    pairs = {
        "tools/list": (_request("tools/list", {}),) * 2,
        "a tool without 46elks": (
            _request("tools/call", {"name": "send_sms", "arguments": {"to": "x", "message": "Hej"}}),
            _request("tools/call", {"name": "ping", "arguments": {}}),
        ),
    }
    for name, (our_request, their_request) in pairs.items():
        ratios, speeds = [], []
        for _ in range(_ROUNDS):
            ours = asyncio.run(_call(url, our_request))
            theirs = asyncio.run(_call(bare, their_request))
            ratios.append(ours / theirs)
            speeds.append(ours)
        how = f"{_CLIENTS} clients, {median(speeds):.0f} a second; median of {_ROUNDS} turns"
        figures.append(
            Figure(f"{name} beside a bare server ({place.name})", median(ratios), "x", how, least=0.8)
        )
    return figures


def _request(method: str, params: dict[str, object]) -> bytes:
    """Write a request of the newer era, as it goes over the wire."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}})
    headers = {
        "Host": "localhost:80",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": _VERSION,
        "Mcp-Method": method,
        **({"Mcp-Name": str(params["name"])} if "name" in params else {}),
    }
    return _http("/mcp", headers, body.encode())


def _http(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _call(url: str, request: bytes) -> float:
    """Make so many calls over as many connections as there are clients; say how many a second."""
    left = _CALLS

    async def client() -> None:
        nonlocal left
        connection = await _Connection.open(url)
        while left > 0:
            left -= 1
            status, body = await connection.ask(request)
            if status != 200 or b'"error"' in body:  # noqa: PLR2004
                raise RuntimeError(f"{status}: {body!r}")
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return _CALLS / (time.perf_counter() - began)


class _Connection:
    """One that is kept; as little of HTTP as is needed, so that asking costs less than answering."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> "_Connection":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", urlsplit(url).port))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request, and read its answer whole."""
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
        """Close it."""
        self._writer.close()


# ── webhooks ──


async def _measure_webhooks(place: Setup, url: str, environ: Mapping[str, str]) -> list[Figure]:
    secret = find_hasher(load(environ).settings.place()).of("secret", "webhook sms", "0")
    number = environ["ELKS_PHONE_NUMBER"]
    created = time.strftime("%Y-%m-%dT%H:%M:%S.000000", time.gmtime())

    def build(run: str, index: int) -> bytes:
        form = {
            "direction": "incoming",
            "id": f"s{run}{index:031x}",
            "from": f"+4670174{index % 100 + 605:04}",
            "to": number,
            "created": created,
            "message": "Ja, jag kommer",
        }
        kind = {"Host": "localhost:80", "Content-Type": "application/x-www-form-urlencoded"}
        return _http(f"/hooks/{secret}/sms", kind, urlencode(form).encode())

    speed = await _at_once(url, [build("a", index) for index in range(_WEBHOOKS)])
    times = await _at_a_rate(url, [build("b", index) for index in range(_RATE * _SECONDS)])
    p99 = quantiles(times, n=100)[98] * 1000
    is_shared = place.name != "SQLite"
    how = f"{_WEBHOOKS} over {_CLIENTS} connections, each answered when it is committed"
    return [
        Figure(f"webhooks kept ({place.name})", speed, "/s", how, least=1000 if is_shared else 0),
        Figure(
            f"a webhook, p99 ({place.name})",
            p99,
            "ms",
            f"{_RATE} a second for {_SECONDS} s, whenever they are answered",
            most=150 if is_shared else 0,
        ),
    ]


def _check_kept(status: int, body: bytes) -> None:
    if (status, body) != (204, b""):
        raise RuntimeError(f"{status}: {body!r}")


async def _at_once(url: str, requests: list[bytes]) -> float:
    async def client() -> None:
        connection = await _Connection.open(url)
        while requests:
            status, body = await connection.ask(requests.pop())
            _check_kept(status, body)
        connection.close()

    total = len(requests)
    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return total / (time.perf_counter() - began)


async def _at_a_rate(url: str, requests: list[bytes]) -> list[float]:
    """Send at fixed moments, whether or not earlier ones were answered; take the time from those moments."""
    idle = [await _Connection.open(url) for _ in range(_CLIENTS)]
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    for connection in idle:
        free.put_nowait(connection)
    times: list[float] = []
    began = time.perf_counter()

    async def send(index: int, request: bytes) -> None:
        due = began + index / _RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))  # noqa: TID251  (time is what is measured)
        connection = await free.get()
        status, body = await connection.ask(request)
        _check_kept(status, body)
        times.append(time.perf_counter() - due)
        free.put_nowait(connection)

    await asyncio.gather(*(send(index, request) for index, request in enumerate(requests)))
    for connection in idle:
        connection.close()
    return times


if __name__ == "__main__":
    sys.exit(main())
