"""Connections on which no request arrives: they are closed, and never keep others from being served."""

import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream
from mcp import Client

from elks_mcp.sandbox import Sandbox
from elks_mcp.settings import load
from elks_mcp.store.storage import find_hasher
from elks_mcp.web.connections import HEAD_WITHIN, count_allowed
from tests.cli.test_http import serving
from tests.sandbox.serving import serve
from tests.support.clocks import HANG, ManualClock
from tests.support.connecting import PHONE, box_on, call, data, live, new_box, until
from tests.support.web import Site, http_client, post, site

pytestmark = pytest.mark.anyio

_HALF = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-"
_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")


# ── a process with few descriptors ──


@contextmanager
def half_open(url: str, count: int) -> Iterator[list[socket.socket]]:
    """Open connections, and send half the head of a request on every other one."""
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        stalled = [
            stack.enter_context(socket.create_connection((host, int(port)), timeout=HANG))
            for _ in range(count)
        ]
        for each in stalled[::2]:
            each.sendall(_HALF)
        yield stalled


@_posix
async def test_three_hundred_half_open_connections_at_256_descriptors_stop_neither_webhooks_nor_sending(
    tmp_path: Path,
) -> None:
    """P12: an incoming text is received; and an order goes out."""
    box = new_box()
    limited = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")
    async with serve(box) as there:
        environ = live(box, ELKS_API_BASE_URL=f"{there}/a1", ELKS_STATE_DIR=str(tmp_path))
        with (
            serving(tmp_path, before=limited, **environ) as (_, ours),
            half_open(ours, 300),
        ):
            answer = await _receive(box, environ, ours)
            assert (answer.status_code, answer.content) == (204, b"")
            async with Client(f"{ours}/mcp") as client:
                sent = await call(client, "send_sms", to=PHONE, message="Hej")
            assert (sent.is_error, len(box.accepted)) == (False, 1)


async def _receive(box: Sandbox, environ: dict[str, str], url: str) -> httpx2.Response:
    """Post an incoming text as 46elks does."""
    secret = find_hasher(load(environ).settings.state_location()).of("secret", "webhook sms", "0")
    form = {
        "direction": "incoming",
        "id": f"s{1:032x}",
        "from": PHONE,
        "to": box.number,
        "created": "2026-11-23T12:00:00.000000",
        "message": "Ja",
    }
    return await post(f"{url}/hooks/{secret}/sms", form)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the limits of another process")
async def test_the_soft_limit_of_descriptors_is_raised_at_the_start(tmp_path: Path) -> None:
    limited = ("sh", "-c", 'ulimit -Sn 256 && ulimit -Hn 700; exec "$@"', "sh")
    with serving(tmp_path, before=limited) as (process, _):
        assert _soft_limit(process) == 700


def _soft_limit(process: subprocess.Popen[str]) -> int:
    limits = Path(f"/proc/{process.pid}/limits").read_text(encoding="ascii")
    [line] = [each for each in limits.splitlines() if each.startswith("Max open files")]
    return int(line.split()[3])


def test_some_descriptors_are_in_reserve_however_few_there_are() -> None:
    assert [count_allowed(each) for each in (64, 256, 1024, 65_536)] == [32, 128, 896, 65_408]


# ── a connection that brings no request ──


Kind = Callable[[SocketStream, ManualClock], Awaitable[None]]


async def _nothing(_: SocketStream, __: ManualClock) -> None:
    pass


async def _half_a_head(stream: SocketStream, _: ManualClock) -> None:
    await stream.send(_HALF)


async def _a_head_byte_by_byte(stream: SocketStream, clock: ManualClock) -> None:
    for byte in b"GET /healthz HTTP/1.1\r\nx-more: x\r\n":
        await stream.send(bytes([byte]))
        clock.advance(HEAD_WITHIN / 100)


async def _one_request_and_nothing_after_it(stream: SocketStream, _: ManualClock) -> None:
    await stream.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert b"200 OK" in await stream.receive()


async def _a_body_that_nobody_reads(stream: SocketStream, clock: ManualClock) -> None:
    """Go on with the body after the answer: uvicorn itself stops its clock then."""
    await stream.send(b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n")
    assert b"404 Not Found" in await stream.receive()
    for _ in range(50):
        await stream.send(b"x")
        clock.advance(HEAD_WITHIN / 100)


_KINDS = (_nothing, _half_a_head, _a_head_byte_by_byte, _one_request_and_nothing_after_it)


@pytest.mark.parametrize("kind", [*_KINDS, _a_body_that_nobody_reads])
async def test_a_connection_that_brings_no_request_in_time_is_closed(kind: Kind) -> None:
    clock = ManualClock()
    async with site(new_box(), connection_clock=clock) as where, await _connect(where) as stream:
        with anyio.fail_after(HANG):
            await kind(stream, clock)
            await until(lambda: clock.has_calls)
            clock.advance(HEAD_WITHIN)
            assert await _rest(stream) == b""


async def test_a_request_that_is_being_answered_is_not_cut_off() -> None:
    clock, answers = ManualClock(), list[dict[str, Any]]()
    box = box_on(clock)
    async with (
        site(box, clock=clock, connection_clock=clock) as where,
        where.client() as client,
        anyio.create_task_group() as tasks,
    ):

        async def wait() -> None:
            answers.append(data(await call(client, "wait_for_reply", timeout=60)))

        tasks.start_soon(wait)
        await until(lambda: where.app.replies.waiting_count == 1)
        clock.advance(HEAD_WITHIN * 2)
        box.receive(PHONE, "Ja")
        await until(lambda: bool(answers), clock=clock)
    assert answers[0]["message"]["untrustedText"] == "Ja"


async def test_with_too_many_connections_the_longest_waiting_one_is_closed() -> None:
    clock = ManualClock()
    async with site(new_box(), connections=4, connection_clock=clock, limits={}) as where:
        stalled = [await _connect(where) for _ in range(4)]
        await stalled[0].send(_HALF)
        async with http_client() as client:
            assert (await client.get(f"{where.url}/healthz")).status_code == 200
        with anyio.fail_after(HANG):
            assert await _rest(stalled[0]) == b""
            for each in stalled[1:]:
                await _one_request_and_nothing_after_it(each, clock)
        for each in stalled:
            await each.aclose()


async def test_if_every_connection_is_being_answered_only_a_further_one_is_closed() -> None:
    clock, answers = ManualClock(), list[int]()
    async with (
        site(box_on(clock), clock=clock, connections=4, limits={}) as where,
        anyio.create_task_group() as tasks,
    ):

        async def wait() -> None:
            async with where.client() as client:
                await call(client, "wait_for_reply", timeout=60)
                answers.append(1)

        async def crowd() -> None:
            await until(lambda: where.app.replies.waiting_count == 4)
            async with await _connect(where) as fifth:
                with anyio.fail_after(HANG):
                    assert await _rest(fifth) == b""
            clock.advance(timedelta(minutes=1))

        for _ in range(4):
            tasks.start_soon(wait)
        await crowd()
    assert len(answers) == 4


async def _connect(where: Site) -> SocketStream:
    return await anyio.connect_tcp("127.0.0.1", int(where.url.rpartition(":")[2]))


async def _rest(stream: SocketStream) -> bytes:
    """Read until the server closes the connection."""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        return await stream.receive()
    return b""
