"""Measure the HTTP server: tool calls beside a bare server, and the rate of webhooks.

46elks is the sandbox in a process of its own; PostgreSQL is a real one, started for this. Both servers list
the same tools and get the same requests, in the newer era, from 50 clients, in turns within one run.

    uv run --group dev python scripts/bench_http.py [--json FILE|-] [--strict]
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode

from bench_sending import Figure, Setup, report, setups, write_json
from bench_sessions import compile_all, simulated_46elks
from raw_http import Connection, Served, call, serving, write_http, write_request

from elks_mcp.settings import load
from elks_mcp.store.storage import find_hasher

_BARE = Path(__file__).parent / "bench_servers" / "bare_http.py"
_CLIENTS, _CALLS, _ROUNDS = 50, 1000, 4
_WEBHOOKS, _RATE, _SECONDS = 5000, 200, 10
SERVE = [sys.executable, "-m", "elks_mcp", "serve", "--http", "--port", "0"]

_TEXT = {"to": "x", "message": "Hej"}
_ESTIMATE_CALL = {"name": "estimate_sms_cost", "arguments": _TEXT}
_LIST = write_request("tools/list", {})
_ESTIMATE = write_request("tools/call", _ESTIMATE_CALL)
"""Refused for its number before a request to 46elks; the bare server answers "pong"."""

_SEND = write_request("tools/call", {"name": "send_sms", "arguments": _TEXT})
"""The same, through the code of a call that may return a question to a person."""


class Webhooks:
    """Writes webhooks about incoming texts, each with a new text."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        secret = find_hasher(load(environ).settings.state_location()).of("secret", "webhook sms", "0")
        self._path = f"/hooks/{secret}/sms"
        self._to = environ["ELKS_PHONE_NUMBER"]
        self._created = time.strftime("%Y-%m-%dT%H:%M:%S.000000", time.gmtime())
        self._count = 0

    def write(self, count: int) -> list[bytes]:
        """Return the requests of `count` more webhooks."""
        return [self._write_one() for _ in range(count)]

    def _write_one(self) -> bytes:
        self._count += 1
        form = {
            "direction": "incoming",
            "id": f"s{self._count:032x}",
            "from": f"+4670174{self._count % 95 + 605:04}",
            "to": self._to,
            "created": self._created,
            "message": "Ja, jag kommer",
        }
        kind = {"Host": "localhost:80", "Content-Type": "application/x-www-form-urlencoded"}
        return write_http(self._path, kind, urlencode(form).encode())


def main() -> int:
    """Measure, report, and return the exit code: 1 with `--strict` if a target is missed."""
    options = _parse_options()
    compile_all()
    figures: list[Figure] = []
    with simulated_46elks() as environ, setups(options.databases) as places:
        for setup in places:
            figures += _measure(setup, environ)
    report(figures)
    if options.json:
        write_json(options.json, figures)
    return int(options.strict and any(figure.reached is False for figure in figures))


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write all figures here; - is standard output")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres"])
    return parser.parse_args()


def _measure(setup: Setup, environ: Mapping[str, str]) -> list[Figure]:
    ours = {**environ, **setup.environ, "DRY_RUN": "false", "ELKS_LOG_LEVEL": "WARNING"}
    with serving(SERVE, ours) as server, serving([sys.executable, str(_BARE)], environ) as bare:
        webhooks = Webhooks(ours)
        figures = [*_compare(setup, server, bare), *_measure_webhooks(setup, server, webhooks)]
        if _is_shared(setup):
            with serving(SERVE, ours) as other:
                figures += _compare_replicas(setup, [server, other], webhooks)
        return [*figures, _compare_with_token(setup, server, bare, ours)]


# ── tool calls ──


def _compare(setup: Setup, server: Served, bare: Served) -> list[Figure]:
    return [
        _compare_one(f"{name} beside a bare server ({setup.name})", server, bare, (request, request), least)
        for name, request, least in (
            ("tools/list", _LIST, 0.8),
            ("a tool without 46elks", _ESTIMATE, 0.8),
            ("a tool that may ask a person", _SEND, 0),
        )
    ]


def _compare_with_token(setup: Setup, server: Served, bare: Served, environ: Mapping[str, str]) -> Figure:
    """Compare again with a token, which every request needs from here on."""
    command = [
        sys.executable,
        "-m",
        "elks_mcp",
        "token",
        "new",
        "bench",
        "--scope",
        "read",
        "--scope",
        "send",
    ]
    made = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    shown = write_request("tools/call", _ESTIMATE_CALL, token=made.stdout.strip())
    asyncio.run(_wait_for_token_check(server))
    name = f"the same with a token ({setup.name})"
    return _compare_one(name, server, bare, (shown, _ESTIMATE), 0)


async def _wait_for_token_check(server: Served) -> None:
    """Wait until the server refuses requests without a token."""
    connection = await Connection.open(server.url)
    while (await connection.ask(_LIST))[0] == 200:  # noqa: ASYNC110, PLR2004  (it is another process)
        await asyncio.sleep(0.1)  # noqa: TID251
    connection.close()


def _compare_one(
    name: str, server: Served, bare: Served, requests: tuple[bytes, bytes], least: float
) -> Figure:
    """Compare both servers in turns, since the machine's speed changes."""
    ratios, speeds = [], []
    for _ in range(_ROUNDS):
        ours, theirs = (
            asyncio.run(call([each], request, clients=_CLIENTS, calls=_CALLS))
            for each, request in zip((server, bare), requests, strict=True)
        )
        ratios.append(ours / theirs)
        speeds.append(ours)
    how = f"{_CLIENTS} clients, {median(speeds):.0f} a second; median of {_ROUNDS} turns"
    return Figure(name, median(ratios), "x", how, least=least)


def _compare_replicas(setup: Setup, both: list[Served], webhooks: Webhooks) -> list[Figure]:
    """Compare two replicas with one, in turns. All of them share the machine with the clients."""

    def call_some(servers: Sequence[Served]) -> float:
        return asyncio.run(call(servers, _ESTIMATE, clients=_CLIENTS, calls=_CALLS))

    def send_webhooks(servers: Sequence[Served]) -> float:
        return asyncio.run(_send_concurrently(servers, webhooks.write(_WEBHOOKS // _ROUNDS)))

    figures = []
    for name, ask in (("tool calls", call_some), ("webhooks", send_webhooks)):
        ratios = [ask(both) / ask(both[:1]) for _ in range(_ROUNDS)]
        how = f"{_CLIENTS} clients; {os.cpu_count()} cores for servers, PostgreSQL and clients together"
        figures.append(Figure(f"two replicas beside one, {name} ({setup.name})", median(ratios), "x", how))
    return figures


def _is_shared(setup: Setup) -> bool:
    return setup.name != "SQLite"


# ── webhooks ──


def _measure_webhooks(setup: Setup, server: Served, webhooks: Webhooks) -> list[Figure]:
    speed = asyncio.run(_send_concurrently([server], webhooks.write(_WEBHOOKS)))
    times = asyncio.run(_send_at_rate(server, webhooks.write(_RATE * _SECONDS)))
    p99 = quantiles(times, n=100)[98] * 1000
    how = f"{_WEBHOOKS} over {_CLIENTS} connections, each answered when it is committed"
    return [
        Figure(f"webhooks stored ({setup.name})", speed, "/s", how, least=1000 if _is_shared(setup) else 0),
        Figure(
            f"a webhook, p99 ({setup.name})",
            p99,
            "ms",
            f"{_RATE} a second for {_SECONDS} s, regardless of the answers",
            most=150 if _is_shared(setup) else 0,
        ),
    ]


def _check_stored(status: int, body: bytes) -> None:
    if (status, body) != (204, b""):
        raise RuntimeError(f"{status}: {body!r}")


async def _send_concurrently(servers: Sequence[Served], requests: list[bytes]) -> float:
    async def client(server: Served) -> None:
        connection = await Connection.open(server.url)
        while requests:
            status, body = await connection.ask(requests.pop())
            _check_stored(status, body)
        connection.close()

    total = len(requests)
    began = time.perf_counter()
    await asyncio.gather(*(client(servers[number % len(servers)]) for number in range(_CLIENTS)))
    return total / (time.perf_counter() - began)


async def _send_at_rate(server: Served, requests: list[bytes]) -> list[float]:
    """Send at fixed times, without waiting for answers, and return the delays from those times."""
    idle = [await Connection.open(server.url) for _ in range(_CLIENTS)]
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in idle:
        free.put_nowait(connection)
    times: list[float] = []
    began = time.perf_counter()

    async def send(index: int, request: bytes) -> None:
        due = began + index / _RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))  # noqa: TID251  (time is what is measured)
        connection = await free.get()
        status, body = await connection.ask(request)
        _check_stored(status, body)
        times.append(time.perf_counter() - due)
        free.put_nowait(connection)

    await asyncio.gather(*(send(index, request) for index, request in enumerate(requests)))
    for connection in idle:
        connection.close()
    return times


if __name__ == "__main__":
    sys.exit(main())
