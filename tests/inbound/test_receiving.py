"""Receiving while no call waits, as `elks-mcp serve` does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.inbound.replies import Replies
from elks_mcp.runtime.tasks import background
from elks_mcp.sandbox import Fault
from elks_mcp.store.store import Store
from tests.support.provider import PHONE, Backend
from tests.support.reply_cases import MINUTE, SECOND

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def receiving(backend: Backend) -> AsyncIterator[Store]:
    """Receive every 10 seconds, in a process without waiting calls."""
    replies = Replies(
        backend.client, backend.storage, backend.history, backend.clock, lambda: timedelta(seconds=10)
    )
    async with backend.opened(), background() as tasks:
        tasks.start_soon(replies.keep_receiving)
        await backend.rest()
        yield await backend.storage.open()


async def test_opt_outs_and_answers_are_recorded_while_no_call_waits(tmp_path: Path) -> None:
    backend = Backend(tmp_path)
    async with receiving(backend) as store:
        for number, text in enumerate(("Ja", "STOP"), start=1):
            backend.box.receive(PHONE.e164, text)
            await backend.pass_time(10 * SECOND)
            assert await store.arrivals.find_last() == number
        assert [each.opted_out for each in await store.opt_outs.list_all()] == [True]


async def test_after_a_failure_history_is_read_a_minute_later(tmp_path: Path) -> None:
    backend = Backend(tmp_path)
    backend.box.faults.inject(Fault.FORBIDDEN, method="GET", times=None)
    async with receiving(backend) as store:
        backend.box.receive(PHONE.e164, "STOP")
        begun = backend.clock.now()
        await backend.pass_time(5 * MINUTE)
        read = backend.transport.tried("GET /a1/sms")
        assert [at - begun for at in read[-6:]] == [number * MINUTE for number in range(6)]
        backend.box.faults.clear()
        await backend.pass_time(MINUTE)
        assert await store.arrivals.find_last() == 1
