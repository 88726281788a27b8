"""A clock that the test advances, and a check that this process is at rest."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
from anyio._backends import _asyncio

from elks_mcp import sandbox
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.store.db import notifications

HANG = 300
"""Seconds after which a hanging test fails: the only real time that a test may measure."""


class ManualClock(Clock):
    """A clock that only `advance` moves, which wakes sleepers and ends time limits."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._counted = timedelta()
        self._sleepers: list[tuple[datetime, anyio.Event]] = []
        self._limits: list[tuple[timedelta, anyio.CancelScope]] = []
        self._calls: list[tuple[timedelta, Callable[[], None]]] = []
        self._alarm_set = anyio.Event()

    def now(self) -> datetime:
        """Return the time that was set."""
        return self._now

    def counted(self) -> float:
        """Return the seconds by which the clock was advanced; putting it back does not reduce them."""
        return self._counted.total_seconds()

    async def sleep_until(self, moment: datetime) -> None:
        """Sleep until the clock is advanced that far."""
        if moment <= self._now:
            await anyio.lowlevel.checkpoint()
            return
        sleeper = (moment, anyio.Event())
        self._sleepers.append(sleeper)
        self._alarm_set.set()
        try:
            await sleeper[1].wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    @contextmanager
    def fail_after(self, limit: timedelta) -> Iterator[None]:
        """Cancel the body of the context once the clock was advanced by `limit`.

        Raises:
            TimeoutError: the body was cancelled.
        """
        with anyio.CancelScope() as scope:
            alarm = (self._counted + limit, scope)
            self._limits.append(alarm)
            self._alarm_set.set()
            try:
                yield
            finally:
                self._limits.remove(alarm)
        if scope.cancelled_caught:
            raise TimeoutError

    def call_later(self, delay: timedelta, call: Callable[[], None]) -> None:
        """Call a function once the clock was advanced by `delay`; this does not count as an alarm."""
        self._calls.append((self._counted + delay, call))

    @property
    def has_calls(self) -> bool:
        """Whether a call is scheduled."""
        return bool(self._calls)

    def advance(self, time: timedelta) -> None:
        """Advance the clock, and ring every alarm that is due."""
        self._now += time
        self._counted += max(time, timedelta())
        for moment, woken in self._sleepers:
            if moment <= self._now:
                woken.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._now]
        for limit, scope in self._limits:
            if limit <= self._counted:
                scope.cancel()
        due = [call for moment, call in self._calls if moment <= self._counted]
        self._calls = [(moment, call) for moment, call in self._calls if moment > self._counted]
        for call in due:
            call()

    @property
    def next_at(self) -> datetime | None:
        """The time of the next alarm, which wakes a sleeper or ends a limit; None if none is set."""
        sleepers = [moment for moment, _ in self._sleepers]
        limits = [
            self._now + limit - self._counted for limit, scope in self._limits if not scope.cancel_called
        ]
        return min(sleepers + limits, default=None)

    async def next_alarm(self) -> datetime:
        """Wait until an alarm is set, and return the time of the next one."""
        while (moment := self.next_at) is None:
            self._alarm_set = anyio.Event()
            await self._alarm_set.wait()
        return moment

    async def advance_to_next_alarm(self) -> None:
        """Advance the clock to the next alarm."""
        self.advance(max(await self.next_alarm() - self._now, timedelta()))


class SandboxClock(sandbox.SimulatedClock):
    """The server's clock for a sandbox, so that both record the same times."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """Return the shared time."""
        return self._clock.now()

    def advance(self, step: timedelta) -> None:
        """Advance the clock of both."""
        self._clock.advance(step)

    async def wait_until(self, at: datetime) -> None:
        """Sleep until the clock is advanced that far."""
        await self._clock.sleep_until(at)


_watchers = anyio.lowlevel.RunVar[int]("_watchers", 0)
"""The number of tasks of an event loop that are in `at_rest`."""

_A_LITTLE = 0.005
"""Seconds to wait for one thread, since it may itself wait for another. No result depends on the value."""


async def at_rest() -> None:
    """Return once all tasks wait for a clock, an event, a socket or a subprocess.

    Data that is still on its way over a socket or from a subprocess is not detected. A test that uses one
    waits for the expected result instead (`until`).

    The event loop is at rest if no other callback is ready when this task runs:

    * A turn of the loop takes callbacks from the front of `_ready`, and only those that were in it at the
      beginning of the turn. So the rest of the turn, and all callbacks that became ready in it, are still in
      `_ready`. Each other task in this function has exactly one step in there.
    * When a thread of anyio's finishes, the loop calls `_report_result` (thread-safe, so it is in `_ready`
      before the thread does anything else), and only that marks the thread as idle. So a thread whose result
      was not handled yet counts as busy, and there is no moment between busy and ready.
    * A transaction that has no thread yet waits for the limiter. A busy thread holds the limiter, or its
      release has made the transaction ready.
    """
    loop = asyncio.get_running_loop()
    _watchers.set(_watchers.get() + 1)
    try:
        while True:
            await anyio.lowlevel.checkpoint()
            if len(loop._ready) >= _watchers.get():  # type: ignore[attr-defined]
                continue
            if not (busy := _list_busy_threads()):
                return
            # The loop has nothing to do, and by running it would only slow the thread.
            jobs = busy[0].queue
            with jobs.all_tasks_done:
                if jobs.unfinished_tasks:
                    jobs.all_tasks_done.wait(_A_LITTLE)
    finally:
        _watchers.set(_watchers.get() - 1)


def _list_busy_threads() -> list[_asyncio.WorkerThread]:
    """List the busy threads of this event loop, without one that listens to PostgreSQL."""
    try:
        busy = _asyncio._threadpool_workers.get() - set(_asyncio._threadpool_idle_workers.get())
    except LookupError:  # no thread was ever needed
        return []
    listening = sum(map(_listens, asyncio.all_tasks())) if busy else 0
    return list(busy) if len(busy) > listening else []


def _listens(task: asyncio.Task[Any]) -> bool:
    """Return whether a task listens to PostgreSQL, for which it always keeps a thread busy."""
    awaited: Any = task.get_coro()
    while awaited is not None:
        if getattr(awaited, "cr_code", None) is notifications._listen.__code__:
            return True
        awaited = getattr(awaited, "cr_await", None)
    return False


@asynccontextmanager
async def autojump(clock: ManualClock) -> AsyncIterator[None]:
    """Advance the clock to its next alarm whenever this process is at rest.

    This is what trio's MockClock can do. The body of the context takes as much of the clock's time as it
    needs, and no real time. Use it only for work in this process (see `at_rest`): the clock would advance
    while data is on a socket.
    """
    async with background() as tasks:
        tasks.start_soon(keep_jumping, clock)
        yield


async def keep_jumping(clock: ManualClock) -> None:
    """Advance the clock to its next alarm whenever this process is at rest (see `autojump`)."""
    while True:
        await clock.next_alarm()
        await at_rest()
        if clock.next_at:  # the alarm may have been removed meanwhile
            await clock.advance_to_next_alarm()


async def pass_time(clock: ManualClock, time: timedelta) -> None:
    """Advance the clock alarm by alarm, and wait after each until this process is at rest."""
    end = clock.now() + time
    await at_rest()
    while clock.next_at and clock.next_at <= end:
        await clock.advance_to_next_alarm()
        await at_rest()
    clock.advance(max(end - clock.now(), timedelta()))
    await at_rest()
