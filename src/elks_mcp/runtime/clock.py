"""The clock, passed in as an object so that tests can control the time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta, tzinfo
from time import monotonic
from typing import TypeVar

import anyio

from elks_mcp.runtime.tasks import unwrapped

T = TypeVar("T")


class Deadline:
    """The end of a period, by the wall clock or the monotonic clock, whichever reaches it first.

    The wall clock may be set back, and the monotonic clock stands still while the machine sleeps.
    """

    def __init__(self, clock: "Clock", time: timedelta) -> None:
        self._clock = clock
        self._until = clock.now() + time
        self._counted_until = clock.counted() + time.total_seconds()

    @property
    def has_passed(self) -> bool:
        """Whether the period is over."""
        return self._clock.now() > self._until or self._clock.counted() > self._counted_until


def in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    """Return a moment in a time zone; None is the machine's zone, which needs no zone database."""
    try:
        return moment.astimezone(zone)
    except (OSError, OverflowError, ValueError):  # a year that the zone, or the machine, cannot convert
        return moment


_NOT_PLACES = ("right/", "posix/", "factory", "localtime", "posixrules")
"""Files of a zone database that are not the zone of a place, in lower case: some file systems ignore case.

Those in `right/` count leap seconds; `localtime` is the zone of the machine.
"""


def parse_zone(name: str) -> tzinfo:
    """Return the time zone with an IANA name, as `Europe/Stockholm`.

    Raises:
        ValueError: the zone is unknown, or the machine has no zone database.
    """
    from zoneinfo import ZoneInfo  # noqa: PLC0415  (only needed where a zone is named)

    name = name.strip()
    if name.casefold().startswith(_NOT_PLACES):
        raise ValueError(name)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a name, or a directory of the database
        raise ValueError(name) from None


def list_zones() -> set[str]:
    """Return the names of all time zones, which is none if the machine has no zone database."""
    from zoneinfo import available_timezones  # noqa: PLC0415  (only needed if a zone is unknown)

    return {each for each in available_timezones() if not each.casefold().startswith(_NOT_PLACES)}


class Clock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    def counted(self) -> float:
        """Return seconds since a fixed moment; unlike `now`, they never go back."""
        return monotonic()

    async def sleep_until(self, moment: datetime) -> None:
        """Wait until a moment; return immediately if it has passed."""
        await anyio.sleep(max(0.0, (moment - self.now()).total_seconds()))

    def fail_after(self, limit: timedelta) -> AbstractContextManager[object]:
        """Cancel the body of the context once `limit` has passed.

        Raises:
            TimeoutError: the body was cancelled.
        """
        return anyio.fail_after(limit.total_seconds())

    def call_later(self, delay: timedelta, call: Callable[[], None]) -> None:
        """Call a function of the running event loop once `delay` has passed."""
        asyncio.get_running_loop().call_later(delay.total_seconds(), call)

    async def wait_for(self, waiting: Awaitable[T], *, until: datetime) -> T | None:
        """Wait for an awaitable, at most until a moment; return None if the moment comes first."""
        result: T | None = None
        with unwrapped():
            async with anyio.create_task_group() as race:

                async def stop() -> None:
                    await self.sleep_until(until)
                    race.cancel_scope.cancel()

                race.start_soon(stop)
                result = await waiting
                race.cancel_scope.cancel()
        return result
