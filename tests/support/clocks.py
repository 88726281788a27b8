"""A clock whose hands the test turns, and how to tell that nothing goes on any more."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
from anyio._backends import _asyncio

from elks_mcp import sandbox
from elks_mcp.runtime.clock import Clock, Timer
from elks_mcp.runtime.tasks import background
from elks_mcp.store.db import notifications

HANG = 300
"""Seconds after which a test that hangs is given up: the only real time that a test may measure."""


@dataclass
class _Call:
    moment: timedelta
    call: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ManualClock(Clock):
    """Time that passes only when told to. Sleepers wake and time limits end when their moment has come."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._counted = timedelta()
        self._sleepers: list[tuple[datetime, anyio.Event]] = []
        self._limits: list[tuple[timedelta, anyio.CancelScope]] = []
        self._calls: list[_Call] = []
        self._alarm_set = anyio.Event()

    def now(self) -> datetime:
        """Tell the time that was set."""
        return self._now

    def counted(self) -> float:
        """Return how many seconds the clock was advanced; putting it back takes none of them away."""
        return self._counted.total_seconds()

    async def sleep_until(self, moment: datetime) -> None:
        """Sleep until somebody advances the clock that far."""
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
        """Cancel what is done within the context once the clock was advanced by `limit`.

        Raises:
            TimeoutError: it was cancelled.
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

    def call_later(self, delay: timedelta, call: Callable[[], None]) -> Timer:
        """Call a function once the clock was advanced by `delay`; it is no alarm that time passes to."""
        later = _Call(self._counted + delay, call)
        self._calls.append(later)
        return later

    @property
    def has_calls(self) -> bool:
        """Whether a call is to be made later."""
        return not all(each.is_cancelled for each in self._calls)

    def advance(self, time: timedelta) -> None:
        """Let time pass, and ring every alarm whose moment has come."""
        self._now += time
        self._counted += max(time, timedelta())
        for moment, woken in self._sleepers:
            if moment <= self._now:
                woken.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._now]
        for limit, scope in self._limits:
            if limit <= self._counted:
                scope.cancel()
        due = [each for each in self._calls if each.moment <= self._counted]
        self._calls = [each for each in self._calls if each.moment > self._counted]
        for each in due:
            if not each.is_cancelled:
                each.call()

    @property
    def next_at(self) -> datetime | None:
        """When the next alarm rings: somebody wakes, or a time limit ends."""
        sleepers = [moment for moment, _ in self._sleepers]
        limits = [
            self._now + limit - self._counted for limit, scope in self._limits if not scope.cancel_called
        ]
        return min(sleepers + limits, default=None)

    async def next_alarm(self) -> datetime:
        """Wait until an alarm is set, and tell when the next one rings."""
        while (moment := self.next_at) is None:
            self._alarm_set = anyio.Event()
            await self._alarm_set.wait()
        return moment

    async def advance_to_next_alarm(self) -> None:
        """Let time pass until the next alarm rings."""
        self.advance(max(await self.next_alarm() - self._now, timedelta()))


class SandboxClock(sandbox.SimulatedClock):
    """The same time for a sandbox, so that it notes down when requests really came."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """Tell the shared time."""
        return self._clock.now()

    def advance(self, step: timedelta) -> None:
        """Let time pass for both."""
        self._clock.advance(step)

    async def wait_until(self, at: datetime) -> None:
        """Sleep until somebody advances the clock that far."""
        await self._clock.sleep_until(at)


_watchers = anyio.lowlevel.RunVar[int]("_watchers", 0)
"""How many tasks of an event loop are in `at_rest`."""

_A_LITTLE = 0.005
"""Seconds to wait for one thread, since it may itself wait for another; nothing depends on how long it is."""


async def at_rest() -> None:
    """Return once all that this process does waits for something: a clock, an event, a socket, a subprocess.

    What a socket or a subprocess brings is not seen before it is there. A test over one waits for what it
    expects instead (`until`).

    The event loop is at rest if, when this task has its turn, nothing else waits for one:

    * A turn takes callbacks from the front of `_ready`, and only as many as were in it at its beginning.
      So the rest of the turn, and all that was made ready in it, is still in `_ready`. Of each other task
      in this function, a step is always in there, and nothing else.
    * A thread of anyio's that finishes has the loop call `_report_result` (thread-safe, so it is in `_ready`
      before the thread does anything else), and only that puts it among the idle. So a thread whose result
      has not been dealt with counts as busy, and there is no moment between busy and ready.
    * A transaction that was asked for and has no thread yet waits for the limiter, which a busy thread holds,
      or whose release has made it ready.
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
            # The loop has nothing to do, and would only keep the thread from its work by turning.
            jobs = busy[0].queue
            with jobs.all_tasks_done:
                if jobs.unfinished_tasks:
                    jobs.all_tasks_done.wait(_A_LITTLE)
    finally:
        _watchers.set(_watchers.get() - 1)


def _list_busy_threads() -> list[_asyncio.WorkerThread]:
    """List the threads of this event loop that work; one that listens to PostgreSQL waits for a socket."""
    try:
        busy = _asyncio._threadpool_workers.get() - set(_asyncio._threadpool_idle_workers.get())
    except LookupError:  # no thread was ever needed
        return []
    listening = sum(map(_listens, asyncio.all_tasks())) if busy else 0
    return list(busy) if len(busy) > listening else []


def _listens(task: asyncio.Task[Any]) -> bool:
    """Tell whether a task listens to PostgreSQL, for which it always has a thread at work."""
    awaited: Any = task.get_coro()
    while awaited is not None:
        if getattr(awaited, "cr_code", None) is notifications._listen.__code__:
            return True
        awaited = getattr(awaited, "cr_await", None)
    return False


@asynccontextmanager
async def autojump(clock: ManualClock) -> AsyncIterator[None]:
    """Advance the clock to its next alarm whenever nothing else goes on, as trio's MockClock can.

    So what is awaited within the context takes as much of the clock's time as it needs, and no real time.
    It is for what happens in this process (see `at_rest`): time would pass while a byte is on a socket.
    """
    async with background() as tasks:
        tasks.start_soon(keep_jumping, clock)
        yield


async def keep_jumping(clock: ManualClock) -> None:
    """Advance the clock to its next alarm whenever nothing else goes on, for ever (see `autojump`)."""
    while True:
        await clock.next_alarm()
        await at_rest()
        if clock.next_at:  # it may be over meanwhile
            await clock.advance_to_next_alarm()


async def pass_time(clock: ManualClock, time: timedelta) -> None:
    """Let time pass, each alarm ringing in its moment, with all that this process does about it."""
    end = clock.now() + time
    await at_rest()
    while clock.next_at and clock.next_at <= end:
        await clock.advance_to_next_alarm()
        await at_rest()
    clock.advance(max(end - clock.now(), timedelta()))
    await at_rest()
