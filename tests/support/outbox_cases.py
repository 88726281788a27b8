"""Helpers shared by the tests of the outbox."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.lowlevel

from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.orders import Claim, Effect, Finding, Receipt
from elks_mcp.elks.dispatch import Dispatcher
from elks_mcp.elks.send_gate import SendPermission, require
from elks_mcp.sandbox import Fault
from tests.support.provider import (
    OURS,
    PHONE,
    Backend,
    posts,
)

SECOND = timedelta(seconds=1)


MINUTE = timedelta(minutes=1)


LONG = timedelta(days=1)


READ = Finding(guard="tainted", effect=Effect.ASK, reason="Texts of others were read.")


FAULTS = (
    Fault.DROP_BEFORE,
    Fault.DROP_AFTER,
    Fault.ERROR_BEFORE,
    Fault.ERROR_AFTER,
    Fault.HALF_BODY,
    Fault.MISSING_ID,
    Fault.TOO_MANY_REQUESTS,
    Fault.CONNECTION_REFUSED,
    Fault.FORBIDDEN,
    Fault.ACCEPT_LATE_DROP,
    Fault.LATENCY,
    Fault.HANG,
)
"""The faults that a text can meet."""


LATE = {Fault.ACCEPT_LATE_DROP, Fault.LATENCY, Fault.HANG}
"""The faults that take some time."""


class Held(Dispatcher):
    """A dispatcher that has asked whether it may post, and does so only when it is let."""

    let: anyio.Event
    begun: anyio.Event

    async def send(self, claim: Claim, permission: SendPermission) -> Receipt:
        require(await permission.holds())
        self.begun.set()
        await self.let.wait()
        return await super().send(claim, OnlyInTime(permission))


class OnlyInTime:
    """A permission that was asked for before, and may only run out by now."""

    def __init__(self, permission: SendPermission) -> None:
        self._permission = permission

    async def holds(self) -> bool:
        return self.is_in_time()

    def is_in_time(self) -> bool:
        return self._permission.is_in_time()


def holding(folder: Path, beside: Backend | None = None, per_minute: int = 95) -> tuple[Backend, Held]:
    """Make a backend whose posts are held."""
    backend = Backend(folder, beside=beside, dispatcher=Held, per_minute=per_minute)
    assert isinstance(backend.dispatcher, Held)
    backend.dispatcher.let, backend.dispatcher.begun = anyio.Event(), anyio.Event()
    return backend, backend.dispatcher


def messages(backend: Backend) -> Counter[str]:
    """Count the texts that reached 46elks to be sent."""
    return Counter(post.form["message"] for post in posts(backend.box))


async def is_true(value: bool) -> bool:
    return value


def inbound(message_id: str, text: str, backend: Backend) -> Message:
    return Message(
        id=message_id,
        direction=Direction.INBOUND,
        sender=PHONE.e164,
        to=OURS.e164,
        created_at=backend.clock.now(),
        status="received",
        text=text,
    )


async def answer() -> str:
    await anyio.lowlevel.checkpoint()
    return "done"


async def fail() -> str:
    await anyio.lowlevel.checkpoint()
    raise LookupError("failed")
