"""Check that the HTTP server's memory does not grow under calls, waits and webhooks.

The database is SQLite, in a folder of its own; 46elks is the sandbox in a process of its own. POSIX only.

    uv run python scripts/soak.py [--seconds 300]
"""

import argparse
import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median

from bench_http import SERVE, Webhooks
from bench_sending import Figure, report, setups
from bench_sessions import compile_all, simulated_46elks
from raw_http import Connection, Served, serving, write_request

_WARM_UP = 0.4
"""The share of the time after which memory may not grow any more."""

_MOST_GROWTH = 5.0
_PAUSE = 0.02
_CALLERS, _WAITERS = 10, 10

_CALLS: tuple[tuple[str, dict[str, object]], ...] = (
    ("tools/list", {}),
    ("tools/call", {"name": "send_sms", "arguments": {"to": "+46701740605", "message": "Hej"}}),
    ("tools/call", {"name": "get_sms_messages", "arguments": {"limit": 5}}),
    ("tools/call", {"name": "explain_policy", "arguments": {}}),
    ("tools/call", {"name": "estimate_sms_cost", "arguments": {"to": "x", "message": "Hej"}}),
    ("resources/read", {"uri": "elks://inbox"}),
)
_WAIT: tuple[str, dict[str, object]] = ("tools/call", {"name": "wait_for_reply", "arguments": {"timeout": 2}})


def main() -> int:
    """Run the clients, and return the exit code: 1 if memory grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    seconds: float = parser.parse_args().seconds
    compile_all()
    with simulated_46elks() as environ, setups(["sqlite"]) as [location]:
        # The pace is high, since without tokens all callers are one, with one share of requests to 46elks.
        pace = {"ELKS_SMS_PER_MINUTE": "100000"}
        ours = {**environ, **location.environ, **pace, "ELKS_LOG_LEVEL": "WARNING"}
        with serving(SERVE, ours) as server:
            soak = _Soak(server, Webhooks(ours))
            sizes = asyncio.run(soak.run(seconds))
    later = sizes[int(len(sizes) * _WARM_UP) :]
    half = len(later) // 2
    before, after = median(later[:half]), median(later[half:])
    how = f"{soak.count} requests in {seconds:.0f} s; {before:.1f} and {after:.1f} MiB after the warm-up"
    figure = Figure("memory grows by", 100 * (after / before - 1), "%", how, most=_MOST_GROWTH)
    report([figure])
    return 0 if figure.reached else 1


class _Soak:
    """All clients of the server."""

    def __init__(self, server: Served, webhooks: Webhooks) -> None:
        self._server = server
        self._webhooks = webhooks
        self.count = 0

    async def run(self, seconds: float) -> list[float]:
        """Run all clients for some seconds, and return the server's memory each second, in MiB."""
        until = time.monotonic() + seconds
        sizes: list[float] = []

        async def measure() -> None:
            sizes.append(_measure_size(self._server.pid))
            await asyncio.sleep(1)  # noqa: TID251  (time is what is measured)

        work = [measure, self._send_webhooks, *[self._call] * _CALLERS, *[self._wait] * _WAITERS]
        await asyncio.gather(*(self._repeat(each, until) for each in work))
        return sizes

    async def _repeat(self, work: Callable[[], Awaitable[None]], until: float) -> None:
        while time.monotonic() < until:
            await work()

    async def _call(self) -> None:
        """Connect, make one call of each kind, and disconnect."""
        connection = await Connection.open(self._server.url)
        for method, params in _CALLS:
            await self._ask(connection, write_request(method, params), 200)
            await asyncio.sleep(_PAUSE)  # noqa: TID251  (real clients pause)
        connection.close()

    async def _wait(self) -> None:
        connection = await Connection.open(self._server.url)
        for method, params in itertools.repeat(_WAIT, 5):
            await self._ask(connection, write_request(method, params), 200)
        connection.close()

    async def _send_webhooks(self) -> None:
        connection = await Connection.open(self._server.url)
        for request in self._webhooks.write(20):
            await self._ask(connection, request, 204)
            await asyncio.sleep(_PAUSE)  # noqa: TID251  (webhooks arrive one after another)
        connection.close()

    async def _ask(self, connection: Connection, request: bytes, wanted: int) -> None:
        status, body = await connection.ask(request)
        self.count += 1
        if status != wanted:
            raise RuntimeError(f"{status}: {body!r}")


def _measure_size(pid: int) -> float:
    command = ["ps", "-o", "rss=", "-p", f"{pid}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(printed.stdout) / 1024


if __name__ == "__main__":
    sys.exit(main())
