"""Waiting for a text, in one process and in two."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from elks_mcp.domain.phone import Number
from elks_mcp.inbound.history import HistoryReader
from elks_mcp.inbound.replies import Replies
from elks_mcp.sandbox import Fault, Sandbox
from tests.support.clocks import ManualClock, at_rest
from tests.support.connecting import (
    ERAS,
    PHONE,
    Era,
    call,
    connected,
    data,
    live,
    until,
    words,
)
from tests.support.provider import Backend, gets
from tests.support.reply_cases import JA, MINUTE, SECOND, Calls, _in_time, _is_there, reply
from tests.support.web import site

pytestmark = pytest.mark.anyio


# ── waiting ──


async def test_a_reply_is_received_in_a_separate_process() -> None:
    async with connected({"ELKS_SANDBOX": "true"}, way="stdio") as client:
        answer = await call(client, "ask_by_sms", to=JA, message="Kommer du?")
    assert reply(answer)["message"]["untrustedText"] == "JA"


@pytest.mark.parametrize("era", ERAS)
async def test_a_waiting_call_gets_a_reply_within_one_poll(
    era: Era, box: Sandbox, clock: ManualClock
) -> None:
    calls = Calls()
    async with connected(live(box, ELKS_POLL_SECONDS="7"), box=box, way=era, clock=clock) as client:
        cursor = data(await call(client, "wait_for_reply", timeout=0))["cursor"]
        pages = len(gets(box, "/sms"))
        async with anyio.create_task_group() as group:
            group.start_soon(partial(calls.wait, "it", client, after=cursor, timeout=300))
            await until(lambda: len(gets(box, "/sms")) > pages, clock=clock)
            message, came_at = box.receive(PHONE, "Ja"), clock.now()
            await until(lambda: bool(calls.answers), clock=clock)
            assert clock.now() - came_at <= 7 * SECOND
    assert calls.answers["it"]["message"]["id"] == message.id


@pytest.mark.parametrize("era", ERAS)
async def test_over_http_without_webhooks_a_reply_is_read_from_history(
    era: Era, box: Sandbox, clock: ManualClock
) -> None:
    calls = Calls()
    async with (
        site(box, clock=clock, environ={"ELKS_PUBLIC_URL": ""}) as where,
        where.client(era) as client,
        anyio.create_task_group() as group,
    ):
        group.start_soon(partial(calls.wait, "it", client, timeout=300))
        await until(lambda: where.app.replies.waiting_count > 0)
        message = box.receive(PHONE, "Ja, åtta 😃")
        await until(lambda: bool(calls.answers), clock=clock)
    assert calls.answers["it"]["message"]["id"] == message.id
    assert calls.answers["it"]["message"]["untrustedText"] == message.text
    assert box.webhooks == []


async def test_a_waiting_call_reports_progress_and_ends_with_a_cursor(
    box: Sandbox, clock: ManualClock
) -> None:
    reports: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, total))

    async with connected(live(box), box=box, clock=clock) as client:
        answer = await _in_time(
            clock,
            lambda: client.call_tool("wait_for_reply", {"timeout": 20}, progress_callback=note),
        )
    passed = [progress for progress, _ in reports]
    assert passed == sorted(passed)
    assert passed[-1] == 20
    assert {total for _, total in reports} == {20}
    assert data(answer) == {"status": "no_reply", "message": None, "from": None, "cursor": "c-0", "note": ""}


async def test_many_waiting_calls_each_get_their_own_reply_with_shared_requests(
    box: Sandbox, clock: ManualClock
) -> None:
    calls = Calls()
    numbers = [f"+467017406{number:02}" for number in range(20, 80)]
    async with connected(live(box), box=box, clock=clock) as client:
        cursor = data(await call(client, "wait_for_reply", timeout=0))["cursor"]
        pages = len(gets(box, "/sms"))
        async with anyio.create_task_group() as group:
            for number in numbers:
                group.start_soon(partial(calls.wait, number, client, sender=number, after=cursor, timeout=60))
            await until(lambda: len(gets(box, "/sms")) > pages, clock=clock)
            for number in numbers:
                box.receive(number, f"I am {number}")
            await until(lambda: len(calls.answers) == len(numbers), clock=clock)
    said = {number: answer["message"]["untrustedText"] for number, answer in calls.answers.items()}
    assert said == {number: f"I am {number}" for number in numbers}
    assert len(gets(box, "/sms")) - pages < 10, "one reads for all"


async def test_history_is_polled_at_the_configured_interval_and_only_while_a_call_waits(
    box: Sandbox, clock: ManualClock
) -> None:
    environ = live(box, ELKS_POLL_SECONDS="7")
    async with connected(environ, box=box, clock=clock) as client:
        await _in_time(clock, lambda: call(client, "wait_for_reply", timeout=70))
        await at_rest()  # a reading that was begun while somebody waited
        pages = len(gets(box, "/sms"))
        assert 1 < pages <= 12
        for _ in range(100):
            clock.advance(MINUTE)
            await anyio.lowlevel.checkpoint()
        assert len(gets(box, "/sms")) == pages


async def test_the_answer_says_that_history_cannot_be_read(box: Sandbox, clock: ManualClock) -> None:
    async with connected(live(box), box=box, clock=clock) as client:
        await call(client, "wait_for_reply", timeout=0)
        clock.advance(MINUTE)
        box.faults.inject(Fault.ERROR_BEFORE, path="/sms")
        refused = await call(client, "wait_for_reply", timeout=0)
        assert refused.is_error
        assert "46elks failed with status 500" in words(refused)
        assert not (await call(client, "wait_for_reply", timeout=0)).is_error


async def test_an_error_while_waiting_is_reported_at_the_end_and_a_later_reply_is_still_found(
    box: Sandbox, clock: ManualClock
) -> None:
    async with connected(live(box), box=box, clock=clock) as client:
        await call(client, "send_sms", to=PHONE, message="Kommer du?")
        box.faults.inject(Fault.ERROR_BEFORE, path="/sms", skip=1, times=1000)
        wait = {"sender": PHONE, "timeout": 60}
        answer = data(await _in_time(clock, lambda: call(client, "wait_for_reply", **wait)))
        assert "46elks failed with status 500" in answer["note"]
        box.faults.clear()
        clock.advance(MINUTE)
        box.reply(PHONE, "Ja")
        wait["after"] = answer["cursor"]
        later = data(await _in_time(clock, lambda: call(client, "wait_for_reply", **wait)))
        assert later["message"]["untrustedText"] == "Ja"


async def test_a_cancelled_wait_leaves_nothing_in_memory(box: Sandbox, clock: ManualClock) -> None:
    async with connected(live(box, ELKS_POLL_SECONDS="10"), box=box, clock=clock) as client:
        async with anyio.create_task_group() as calls:
            calls.start_soon(lambda: call(client, "wait_for_reply", timeout=300))
            await until(lambda: len(gets(box, "/sms")) > 2, clock=clock)
            calls.cancel_scope.cancel()
        pages = len(gets(box, "/sms"))
        wait = {"timeout": 100, "after": "c-0", "sender": PHONE}
        await _in_time(clock, lambda: call(client, "wait_for_reply", **wait))
        assert len(gets(box, "/sms")) - pages <= 100 / 10 + 2, "one reads, not two"


# ── two processes ──


async def test_a_text_received_by_one_process_reaches_a_call_waiting_in_another(tmp_path: Path) -> None:
    async with Backend(tmp_path).opened() as backend, Backend(tmp_path, beside=backend).opened() as other:
        replies = Replies(other.client, other.storage, other.history, other.clock, lambda: 1000 * MINUTE)
        async with replies.running():
            await replies.refresh()
            wanted = await replies.criteria.after(0, Number(PHONE))
            found: list[Any] = []

            async def wait() -> None:
                found.append(await replies.wait(wanted, 10 * MINUTE))

            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await backend.rest()
                message = backend.box.receive(PHONE, "Ja")
                backend.clock.advance(2 * MINUTE)
                await backend.history.refresh()
                await backend.pass_until(lambda: _is_there(found))
    assert found[0].message_id == message.id
    assert len(gets(backend.box, "/sms")) == 2, "the one who waits has read history once, the other too"


async def test_an_unexpected_error_ends_the_wait_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(HistoryReader):
        async def refresh(self, good_for: timedelta = MINUTE) -> None:
            raise ValueError(PHONE)

    async with Backend(tmp_path).opened() as backend:
        history = Broken(backend.client, backend.storage, backend.clock)
        replies = Replies(backend.client, backend.storage, history, backend.clock, lambda: MINUTE)
        async with replies.running(), anyio.create_task_group() as group:
            found: list[Any] = []

            async def wait() -> None:
                found.append(await replies.wait(await replies.criteria.after(0, None), 2 * MINUTE))

            group.start_soon(wait)
            await backend.pass_until(lambda: _is_there(found))
        assert found == [None]
    assert "Unexpected error" in replies.history_error
    assert caplog.text.count("History cannot be read: unexpected error.") <= 3
