"""A clock whose hands the test turns."""

from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel

from elks_mcp.clock import Clock


class ManualClock(Clock):
    """Time that passes only when told to. Who sleeps wakes when their moment has come."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, anyio.Event]] = []

    def now(self) -> datetime:
        """Tell the time that was set."""
        return self._now

    async def sleep_until(self, moment: datetime) -> None:
        """Sleep until somebody advances the clock that far."""
        if moment <= self._now:
            await anyio.lowlevel.checkpoint()
            return
        woken = anyio.Event()
        self._sleepers.append((moment, woken))
        await woken.wait()

    def advance(self, time: timedelta) -> None:
        """Let time pass, and wake whoever's moment has come."""
        self._now += time
        for moment, woken in self._sleepers:
            if moment <= self._now:
                woken.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._now]
