"""Helpers shared by the tests of webhooks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2

from elks_mcp import sandbox
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import unwrapped
from elks_mcp.sandbox import Sandbox
from tests.support.clocks import ManualClock
from tests.support.connecting import PHONE, come_true
from tests.support.provider import api_of
from tests.support.web import Site, site

STRANGER = "+46701740690"


INCOMING = {
    "direction": "incoming",
    "id": "s" + "0" * 32,
    "from": PHONE,
    "message": "Hej på er ✈️",
    "created": "2026-11-26T07:00:00.000000",
}


def new_box(clock: Clock | None = None) -> Sandbox:
    """Make a sandbox whose time stands still, and began just now, as a clock has it."""
    return Sandbox(clock=sandbox.ManualClock((clock or Clock()).now()))


async def tell_number(box: Sandbox, url: str, field: str = "sms_url") -> None:
    """Have incoming texts, or MMS with `mms_url`, posted to an address of this machine."""
    box.webhook_ports.add(urlsplit(url).port or 0)
    api = api_of(box)
    [number] = (await _get(box, "/numbers"))["data"]
    await api.ask(f"/numbers/{number['id']}", {field: url})
    await api.aclose()


async def _get(box: Sandbox, path: str) -> Any:
    async with httpx2.AsyncClient(transport=box.transport()) as client:
        answer = await client.get(f"http://localhost/a1{path}", auth=(box.username, box.password))
        return answer.json()


@asynccontextmanager
async def webhook_site(
    clock: ManualClock | None = None, **environ: str
) -> AsyncIterator[tuple[Sandbox, Site]]:
    """Serve, with a sandbox that sends every webhook; the server uses `clock`, if given."""
    box = new_box(clock)
    async with site(box, clock=clock, environ=environ) as served:
        await tell_number(box, await served.hook("sms"))
        events = (await served.app.storage.open()).inbound

        async def has_caught_up() -> bool:
            return (await events.find_position()).age is not None

        await come_true(has_caught_up)
        with unwrapped():
            async with box.running():
                yield box, served


async def arrived(served: Site) -> list[str]:
    """List the ids of the texts that came in, in order."""
    arrivals = (await served.app.storage.open()).arrivals
    return [each.message_id for each in await arrivals.list_after(0)]
