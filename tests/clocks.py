"""A clock whose hands the test turns."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import anyio.to_thread

from elks_mcp import sandbox
from elks_mcp.clock import Clock


class ManualClock(Clock):
    """Time that passes only when told to. Who sleeps wakes when their moment has come."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._counted = timedelta()
        self._sleepers: list[tuple[datetime, anyio.Event]] = []
        self._slept = anyio.Event()

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
        self._slept.set()
        try:
            await sleeper[1].wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def advance(self, time: timedelta) -> None:
        """Let time pass, and wake whoever's moment has come."""
        self._now += time
        self._counted += max(time, timedelta())
        for moment, woken in self._sleepers:
            if moment <= self._now:
                woken.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._now]

    @property
    def somebody_sleeps(self) -> bool:
        """Whether there is anybody to wake."""
        return bool(self._sleepers)

    @property
    def next_at(self) -> datetime | None:
        """When the first of those who sleep now wants to be woken."""
        return min((moment for moment, _ in self._sleepers), default=None)

    async def next_alarm(self) -> datetime:
        """Wait until somebody sleeps, and tell when the first of them wants to be woken."""
        while not self._sleepers:
            self._slept = anyio.Event()
            await self._slept.wait()
        return min(moment for moment, _ in self._sleepers)

    async def advance_to_next_alarm(self) -> None:
        """Let time pass until the first sleeper wakes."""
        self.advance(max(await self.next_alarm() - self._now, timedelta()))


class SandboxClock(sandbox.Clock):
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


_STEPS_OF_REST = 30
"""Rounds of the event loop; nothing takes so many to get from one database call or request to the next."""


async def at_rest(
    is_busy: Callable[[], bool], threads: Callable[[], Iterable[anyio.CapacityLimiter]] = tuple
) -> None:
    """Wait until nothing goes on any more: no thread works, nobody is busy, and nobody gets busy."""
    loading = anyio.to_thread.current_default_thread_limiter()
    calm = 0
    while calm < _STEPS_OF_REST:
        for limiter in threads():
            while limiter.borrowed_tokens or limiter.statistics().tasks_waiting:
                calm = 0
                async with limiter:  # whoever was there before has had their turn
                    pass
        await anyio.lowlevel.checkpoint()
        calm = 0 if loading.borrowed_tokens or is_busy() else calm + 1
