"""Limits the log lines for warnings that anyone on the network can cause.

The first warning of a burst is logged, and then a sum each minute. Otherwise a stranger could fill the log
with a line for each refused request.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio

from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background

log = logging.getLogger(__name__)

_MINUTE = timedelta(minutes=1)


class Bursts:
    """Logs the first warning of each kind, and then the number of further ones each minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._more: Counter[str] = Counter()
        """Warnings since the last line, by kind; each kind in it is in a burst."""
        self._began = anyio.Event()

    def note(self, what: str, detail: str = "") -> None:
        """Log a warning, or count it if one of its kind was logged within the last minute.

        Args:
            what: the kind, a fixed text without anything that a stranger wrote: each new kind is a new line.
            detail: details of this warning, logged only with the first of a burst.
        """
        if what in self._more:
            self._more[what] += 1
            return
        self._more[what] = 0
        log.warning("%s", f"{what} {detail}" if detail else what)
        self._began.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Log the sums each minute while the context lasts, and the last ones at its end."""
        async with background() as tasks:
            tasks.start_soon(self._sum_up_each_minute)
            try:
                yield
            finally:
                self._sum_up()

    async def _sum_up_each_minute(self) -> None:
        while True:
            if not self._more:
                self._began = anyio.Event()
                await self._began.wait()
            await self._clock.sleep_until(self._clock.now() + _MINUTE)
            self._sum_up()

    def _sum_up(self) -> None:
        """Log the sum of each burst; a burst without further warnings is over."""
        for what, more in self._more.items():
            if more:
                log.warning("%s", f"{what} {more} more since the last line about it.", extra={"more": more})
        self._more = Counter(dict.fromkeys(+self._more, 0))
