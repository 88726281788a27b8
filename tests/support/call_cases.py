"""Helpers shared by the tests of calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import Client

from elks_mcp.sandbox import Sandbox
from elks_mcp.sandbox.voice.call_log import StoredCall
from tests.support.clocks import ManualClock
from tests.support.connecting import PHONE, call, until
from tests.support.speech import find_espeak
from tests.support.web import Site
from tests.support.webhook_cases import webhook_site

WORDS = "Driften är nere. Tryck 1."
CALLING = {
    "ELKS_TOOLSETS": "sms,calls,account,policy",
    "ELKS_CALL_PRICE_PER_MINUTE": "0.80",
    "ELKS_TTS_COMMAND": "espeak-ng",
    "ELKS_GUARDS_OFF": "night",
}

POLLED = {
    "ELKS_TOOLSETS": "sms,calls,account,policy",
    "ELKS_CALL_PRICE_PER_MINUTE": "0.80",
    "ELKS_TTS_46ELKS": "true",
    "ELKS_GUARDS_OFF": "night,first_contact",
}
"""For a server that 46elks cannot reach, so that it asks 46elks how calls end."""


def called(box: Sandbox) -> list[dict[str, str]]:
    """List the forms of POST /calls that reached 46elks."""
    made = (each for each in box.requests if each.method == "POST" and each.path.endswith("/calls"))
    return [dict(each.form) for each in made]


@asynccontextmanager
async def calling_site(
    clock: ManualClock | None = None, **environ: str
) -> AsyncIterator[tuple[Sandbox, Site]]:
    """Serve, with everything that calls need, and a sandbox whose phones ring."""
    find_espeak()
    async with webhook_site(clock, **{**CALLING, **environ}) as (box, served):
        yield box, served


async def rings(box: Sandbox) -> StoredCall:
    """Wait until a phone rings, and return the call."""
    await until(lambda: bool(box.calls.ringing))
    return box.calls.ringing[0]


@asynccontextmanager
async def making_call(client: Client, **arguments: Any) -> AsyncIterator[list[Any]]:
    """Call a phone meanwhile; the answer is in the list once the context has ended."""
    answers: list[Any] = []

    async def make() -> None:
        answers.append(await call(client, "call_phone", **{"to": PHONE, "say": WORDS, "ask": 1, **arguments}))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(make)
        yield answers
