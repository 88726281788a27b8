"""The time, as something that can be handed in: tests turn the hands themselves."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from time import monotonic
from typing import Protocol, TypeVar

import anyio

from elks_mcp.runtime.tasks import unwrapped

T = TypeVar("T")


class Timer(Protocol):
    """A call that is to be made later."""

    def cancel(self) -> None:
        """Do not make the call any more."""


class Deadline:
    """The end of a time that was given, by whichever clock has gone further.

    The machine's clock may be put back, and its counter of seconds stands still while it sleeps.
    """

    def __init__(self, clock: "Clock", time: timedelta) -> None:
        self._clock = clock
        self._until = clock.now() + time
        self._counted_until = clock.counted() + time.total_seconds()

    @property
    def has_passed(self) -> bool:
        """Whether the time is over."""
        return self._clock.now() > self._until or self._clock.counted() > self._counted_until


def in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    """Return a moment as a zone writes it; None is the machine's own zone, which needs no zone database."""
    try:
        return moment.astimezone(zone)
    except (OSError, OverflowError, ValueError):  # a year that the zone, or the machine, cannot convert
        return moment


class Clock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Tell the time, in UTC."""
        return datetime.now(UTC)

    def counted(self) -> float:
        """Return seconds since a fixed moment. Unlike `now`, this never goes back."""
        return monotonic()

    async def sleep_until(self, moment: datetime) -> None:
        """Wait for a moment; one that has passed is not waited for."""
        await anyio.sleep(max(0.0, (moment - self.now()).total_seconds()))

    @contextmanager
    def fail_after(self, limit: timedelta) -> Iterator[None]:
        """Cancel what is done within the context once `limit` has passed.

        Raises:
            TimeoutError: it was cancelled.
        """
        with anyio.fail_after(limit.total_seconds()):
            yield

    def call_later(self, delay: timedelta, call: Callable[[], None]) -> Timer:
        """Call a function of the running event loop once `delay` has passed."""
        return asyncio.get_running_loop().call_later(delay.total_seconds(), call)

    async def wait_for(self, waiting: Awaitable[T], *, until: datetime) -> T | None:
        """Wait for something until a moment at the latest; None where that comes first."""
        result: T | None = None
        with unwrapped():
            async with anyio.create_task_group() as race:

                async def ring() -> None:
                    await self.sleep_until(until)
                    race.cancel_scope.cancel()

                race.start_soon(ring)
                result = await waiting
                race.cancel_scope.cancel()
        return result
