"""The sandbox's time: the machine's own, or one that a test moves by hand."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import anyio

# Not a round number on purpose: 46elks answers a POST with microseconds and later GETs with milliseconds.
MANUAL_START = datetime(2026, 1, 15, 12, 0, 0, 429_389, tzinfo=UTC)


class NotManualError(RuntimeError):
    """Somebody tried to move the machine's own clock."""


class SimulatedClock(ABC):
    """What the sandbox asks for the time."""

    @abstractmethod
    def now(self) -> datetime:
        """Return the time as an aware datetime in UTC."""

    @abstractmethod
    def advance(self, step: timedelta) -> None:
        """Move the clock on by *step*.

        Raises:
            NotManualError: this clock is the machine's own.
            ValueError: *step* is negative.
        """

    @abstractmethod
    async def wait_until(self, at: datetime) -> None:
        """Return once the clock shows *at* or later."""


class SystemClock(SimulatedClock):
    """The machine's own clock; for people."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)

    def advance(self, step: timedelta) -> None:
        """Refuse: the machine's time is not ours to move."""
        raise NotManualError(f"this sandbox runs on the machine's clock, which cannot be moved by {step}")

    async def wait_until(self, at: datetime) -> None:
        """Wait in real time."""
        while (left := (at - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - a sleep may end a little early
            await anyio.sleep(left)


class ManualClock(SimulatedClock):
    """A clock that stands still until it is advanced; for tests."""

    def __init__(self, start: datetime = MANUAL_START) -> None:
        if start.tzinfo is None:
            raise ValueError("the start of a ManualClock needs a time zone, for example UTC")
        self._now = start.astimezone(UTC)
        self._moved = anyio.Event()

    def now(self) -> datetime:
        """Return the time the clock was last moved to."""
        return self._now

    def advance(self, step: timedelta) -> None:
        """Move the clock on by *step* and let everything go on that waited for it."""
        if step < timedelta(0):
            raise ValueError("time does not go back")
        self._now += step
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    async def wait_until(self, at: datetime) -> None:
        """Wait until somebody has advanced the clock to *at*."""
        while self._now < at:
            await self._moved.wait()


async def first_of(*waits: Callable[[], Awaitable[object]]) -> None:
    """Wait for whichever of *waits* ends first and cancel the others."""
    async with anyio.create_task_group() as group:

        async def run(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            group.cancel_scope.cancel()

        for wait in waits:
            group.start_soon(run, wait)
