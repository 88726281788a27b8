"""The sandbox's clock: the machine's, or one that a test advances."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import anyio

# Not a round number on purpose: 46elks answers a POST with microseconds and later GETs with milliseconds.
MANUAL_START = datetime(2026, 1, 15, 12, 0, 0, 429_389, tzinfo=UTC)


class NotManualError(RuntimeError):
    """The machine's own clock cannot be advanced."""


class SimulatedClock(ABC):
    """The clock that the sandbox reads."""

    @abstractmethod
    def now(self) -> datetime:
        """Return the time as an aware datetime in UTC."""

    @abstractmethod
    def advance(self, step: timedelta) -> None:
        """Advance the clock by `step`.

        Raises:
            NotManualError: this is the machine's clock.
            ValueError: `step` is negative.
        """

    @abstractmethod
    async def wait_until(self, at: datetime) -> None:
        """Return once the clock shows `at` or later."""


class SystemClock(SimulatedClock):
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)

    def advance(self, step: timedelta) -> None:
        """Raise `NotManualError`: the machine's clock cannot be advanced."""
        raise NotManualError(f"The machine's clock cannot be advanced by {step}. Use a ManualClock.")

    async def wait_until(self, at: datetime) -> None:
        """Wait in real time."""
        while (left := (at - self.now()).total_seconds()) > 0:  # noqa: ASYNC110  (a sleep may end early)
            await anyio.sleep(left)


class ManualClock(SimulatedClock):
    """A clock that stands still until it is advanced; for tests."""

    def __init__(self, start: datetime = MANUAL_START) -> None:
        if start.tzinfo is None:
            raise ValueError("The start of a ManualClock needs a time zone, for example UTC.")
        self._now = start.astimezone(UTC)
        self._moved = anyio.Event()

    def now(self) -> datetime:
        """Return the time that the clock was last advanced to."""
        return self._now

    def advance(self, step: timedelta) -> None:
        """Advance the clock by `step` and wake everything that waits for it."""
        if step < timedelta(0):
            raise ValueError("A clock cannot go back.")
        self._now += step
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    async def wait_until(self, at: datetime) -> None:
        """Wait until the clock has been advanced to `at` or later."""
        while self._now < at:
            await self._moved.wait()


async def first_of(*waits: Callable[[], Awaitable[object]]) -> None:
    """Wait until one of `waits` ends, and cancel the others."""
    async with anyio.create_task_group() as group:

        async def run(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            group.cancel_scope.cancel()

        for wait in waits:
            group.start_soon(run, wait)
