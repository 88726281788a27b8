"""The clock of the tests: when it advances, and when the process counts as at rest."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from elks_mcp.runtime.clock import Clock
from tests.support.clocks import HANG, ManualClock, at_rest, autojump, pass_time

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@asynccontextmanager
async def guarded() -> AsyncIterator[anyio.abc.TaskGroup]:
    """Run tasks concurrently, and fail if they hang."""
    with anyio.fail_after(HANG):
        async with anyio.create_task_group() as tasks:
            yield tasks


# ── at rest ──


async def test_at_rest_waits_for_a_task_of_many_steps() -> None:
    done = []

    async def work() -> None:
        for _ in range(500):
            await anyio.lowlevel.checkpoint()
        done.append(True)

    async with guarded() as tasks:
        tasks.start_soon(work)
        await at_rest()
        assert done


async def test_at_rest_waits_for_a_thread_and_its_consequences() -> None:
    done = []

    async def work() -> None:
        for _ in range(20):
            await anyio.to_thread.run_sync(threading.Event().wait, 0.001)
        done.append(True)

    async with guarded() as tasks:
        tasks.start_soon(work)
        await at_rest()
        assert done


async def test_at_rest_waits_for_a_thread_that_needs_the_event_loop() -> None:
    done = []

    def work() -> None:
        for _ in range(20):
            anyio.from_thread.run(anyio.lowlevel.checkpoint)
        done.append(True)

    async with guarded() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, work)
        await at_rest()
        assert done


async def test_at_rest_waits_for_tasks_that_queue_for_one_thread() -> None:
    done, limiter = [], anyio.CapacityLimiter(1)

    async def work(number: int) -> None:
        await anyio.to_thread.run_sync(threading.Event().wait, 0.001, limiter=limiter)
        done.append(number)

    async with guarded() as tasks:
        for number in range(20):
            tasks.start_soon(work, number)
        await at_rest()
        assert sorted(done) == list(range(20))


async def test_a_task_that_waits_for_an_event_is_at_rest() -> None:
    async with guarded() as tasks:
        tasks.start_soon(anyio.Event().wait)
        await at_rest()
        tasks.cancel_scope.cancel()


async def test_several_can_wait_for_rest_at_the_same_time() -> None:
    done = []

    async def work() -> None:
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        done.append("work")

    async def wait() -> None:
        await at_rest()
        done.append("rest")

    async with guarded() as tasks:
        for _ in range(3):
            tasks.start_soon(wait)
        tasks.start_soon(work)
    assert done == ["work", "rest", "rest", "rest"]


async def test_a_task_that_no_longer_waits_for_rest_does_not_block_others() -> None:
    async with guarded() as tasks:
        tasks.start_soon(at_rest)
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    with anyio.fail_after(HANG):
        await at_rest()


# ── time limits ──


async def test_a_limit_ends_when_the_clock_reaches_it_and_not_before(clock: ManualClock) -> None:
    ended = []

    async def wait() -> None:
        with pytest.raises(TimeoutError), clock.fail_after(SECOND):
            await anyio.Event().wait()
        ended.append(clock.now())

    begun = clock.now()
    async with guarded() as tasks:
        tasks.start_soon(wait)
        await pass_time(clock, SECOND - timedelta(microseconds=1))
        assert ended == []
        await pass_time(clock, timedelta(microseconds=1))
        assert ended == [begun + SECOND]


async def test_setting_the_clock_back_extends_no_limit(clock: ManualClock) -> None:
    async with guarded() as tasks:

        async def wait() -> None:
            with pytest.raises(TimeoutError), clock.fail_after(SECOND):
                await anyio.Event().wait()

        tasks.start_soon(wait)
        await at_rest()
        clock.advance(-timedelta(hours=1))
        await pass_time(clock, SECOND)


@pytest.mark.parametrize("new_clock", [Clock, ManualClock])
async def test_work_within_a_limit_is_not_cancelled(new_clock: type[Clock]) -> None:
    clock = new_clock()
    with clock.fail_after(timedelta(seconds=HANG)):
        await anyio.lowlevel.checkpoint()
    with pytest.raises(LookupError), clock.fail_after(timedelta(seconds=HANG)):
        raise LookupError
    if isinstance(clock, ManualClock):
        assert clock.next_at is None


async def test_the_real_clock_cancels_work_beyond_its_limit() -> None:
    with pytest.raises(TimeoutError), Clock().fail_after(timedelta(milliseconds=1)):
        await anyio.Event().wait()


# ── autojump ──


async def test_days_on_the_manual_clock_take_no_real_time(clock: ManualClock) -> None:
    begun = clock.now()
    with anyio.fail_after(HANG):
        async with autojump(clock):
            for _ in range(3):
                await clock.sleep_until(clock.now() + timedelta(days=1))
                await anyio.to_thread.run_sync(clock.now)
    assert clock.now() - begun == timedelta(days=3)


async def test_the_clock_does_not_move_while_work_is_under_way(clock: ManualClock) -> None:
    begun, seen = clock.now(), []

    async def work() -> None:
        for _ in range(10):
            await anyio.to_thread.run_sync(threading.Event().wait, 0.001)
            await anyio.lowlevel.checkpoint()
        seen.append(clock.now())

    async with guarded() as tasks, autojump(clock):
        tasks.start_soon(work)
        await clock.sleep_until(begun + SECOND)
        assert seen == [begun]


async def test_sleepers_wake_in_order_each_at_its_time(clock: ManualClock) -> None:
    begun, rung = clock.now(), []

    async def sleep(seconds: int) -> None:
        await clock.sleep_until(begun + seconds * SECOND)
        rung.append((clock.now() - begun) / SECOND)

    async with guarded() as tasks, autojump(clock):
        for seconds in (5, 1, 3):
            tasks.start_soon(sleep, seconds)
        with pytest.raises(TimeoutError), clock.fail_after(4 * SECOND):
            await anyio.Event().wait()
        assert rung == [1, 3]
        await clock.sleep_until(begun + 6 * SECOND)
    assert rung == [1, 3, 5]
