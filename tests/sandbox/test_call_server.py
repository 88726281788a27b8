"""Calls with a real web server on this machine, and a sandbox that carries out what is due by itself."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from elks_mcp.sandbox import ManualClock, Sandbox, build_wav
from tests.support.clocks import HANG

from .calling import MENU, PRESSES_1, SECOND, call, show

pytestmark = pytest.mark.anyio


class LocalSite:
    """A web server at `address` that gives a menu at /call, its sound at /menu.wav, and nothing elsewhere."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.asked: list[str] = []
        self.ended = anyio.Event()

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Answer one request."""
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
            method, path = head.decode().split()[:2]
            self.asked.append(f"{method} {path}")
            content = self._find(path)
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
            if path == "/end":
                self.ended.set()

    def _find(self, path: str) -> bytes:
        if path == "/menu.wav":
            return build_wav(4 * SECOND)
        menu = MENU | {"ivr": f"{self.address}/menu.wav", "next": f"{self.address}/done"}
        return json.dumps(menu).encode() if path == "/call" else b""


@asynccontextmanager
async def open_site(box: Sandbox) -> AsyncIterator[LocalSite]:
    """Serve a site of this machine that *box* may call."""
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django
        site = LocalSite(port)
        box.webhook_ports.add(port)
        group.start_soon(listener.serve, site.serve)
        yield site
        group.cancel_scope.cancel()


async def test_a_call_is_controlled_by_a_web_server_of_this_machine() -> None:
    box = Sandbox(clock=ManualClock())
    async with open_site(box) as site:
        made = await call(box, PRESSES_1, f"{site.address}/call", whenhangup=f"{site.address}/end")
        box.clock.advance(60 * SECOND)
        with anyio.fail_after(HANG):
            await box.settle()
    assert site.asked == ["POST /call", "GET /menu.wav", "POST /done", "POST /end"]
    assert (await show(box, made["id"]))["actions"][0]["result"] == "1"
    assert [audio.content for audio in box.calls.audio] == [build_wav(4 * SECOND)]


async def test_a_sandbox_that_runs_carries_out_a_call_by_itself() -> None:
    box = Sandbox(clock=ManualClock())
    async with open_site(box) as site, box.running():
        made = await call(box, PRESSES_1, f"{site.address}/call", whenhangup=f"{site.address}/end")
        box.clock.advance(60 * SECOND)
        with anyio.fail_after(HANG):
            await site.ended.wait()
    assert (await show(box, made["id"]))["duration"] == 2
