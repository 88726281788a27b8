"""Waiting for incoming texts.

While calls wait, one task reads 46elks' history and the store for all of them, so that many waits cost no
more requests than one.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
from anyio.abc import TaskGroup

from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import ElksError, log_errors
from elks_mcp.inbound.criteria import ReplyCriteria
from elks_mcp.inbound.history import HistoryReader
from elks_mcp.inbound.received_cache import ReceivedTexts
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.store import Arrival, Storage, Wanted

log = logging.getLogger(__name__)

_POLL_INTERVAL, _POLL_INTERVAL_WITH_NOTIFICATIONS = timedelta(milliseconds=200), timedelta(seconds=5)
"""Poll interval for texts that other processes record: without LISTEN/NOTIFY, and with it."""


_PAUSE_AFTER_ERROR = timedelta(minutes=1)
"""How long nothing is read after a failure while no call waits, so that an outage does not fill the log."""


class _Waiter:
    """A call that waits, and the text it gets."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.done = anyio.Event()
        self.arrival: Arrival | None = None

    def offer(self, arrival: Arrival) -> None:
        """Take a text if it is the first one that is wanted."""
        if self.arrival is None and self.wanted.is_met_by(arrival):
            self.arrival = arrival
            self.done.set()


class Replies:
    """Delivers incoming texts to the calls that wait for them."""

    def __init__(
        self,
        client: ElksClient,
        storage: Storage,
        history: HistoryReader,
        clock: Clock,
        poll: Callable[[], timedelta],
    ) -> None:
        """Build it. `poll` returns how often 46elks' history is read now while calls wait."""
        self.criteria = ReplyCriteria(client, storage, history, poll)
        self.received = ReceivedTexts(clock)
        self._storage = storage
        self._history = history
        self._clock = clock
        self._poll = poll
        self._waiters: set[_Waiter] = set()
        self._delivered_to: int | None = None
        """The position of the latest text that was offered to waiters; None while no call waits."""
        self._starting = anyio.Lock()
        self._tasks: TaskGroup | None = None
        self.history_error = ""
        """Why 46elks' history could not be read the last time, for the caller; "" if it could."""
        self.is_over = False
        """Whether the server is stopping, so that no call can wait any more."""

    @property
    def poll(self) -> timedelta:
        """How often 46elks' history is read while calls wait."""
        return self._poll()

    @property
    def waiting_count(self) -> int:
        """How many calls wait for a text."""
        return len(self._waiters)

    def stop(self) -> None:
        """End all waits without a text, and let no call wait from now on."""
        self.is_over = True
        self._storage.notifier.notify()
        for waiter in self._waiters:
            waiter.done.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver texts to the calls that wait, until the context ends."""
        async with background() as self._tasks:
            yield
        self._tasks = None

    async def refresh(self) -> None:
        """Read 46elks' history, unless it was read within the last poll interval.

        Raises:
            ProviderError: it cannot be read.
            StateUnavailable, Misconfigured: the state cannot be used.
        """
        await self._history.refresh(self.poll)

    async def keep_receiving(self) -> None:
        """Read 46elks' history every poll interval until cancelled, also while no call waits.

        Opt-outs and answers are then recorded, and other processes on the same state are notified.
        """
        while True:
            is_read = await self._try_refresh()
            pause = self.poll if is_read else max(self.poll, _PAUSE_AFTER_ERROR)
            await self._clock.sleep_until(self._clock.now() + pause)

    async def find_latest_position(self) -> int:
        """Return the position of the latest incoming text; 0 if there is none."""
        return await (await self._storage.open()).arrivals.find_last()

    async def wait(self, wanted: Wanted, within: timedelta) -> Arrival | None:
        """Wait for a text, and return it; None if none came in time, or the server is stopping.

        Raises:
            StateUnavailable, Misconfigured: the state cannot be used.
        """
        store = await self._storage.open()
        waiter = _Waiter(wanted)
        deadline = self._clock.now() + within
        try:
            await self._start_waiting(waiter)
            if found := await store.arrivals.find_first(wanted):
                return found
            if not self.is_over:
                await self._clock.wait_for(waiter.done.wait(), until=deadline)
        finally:
            self._waiters.discard(waiter)
        return waiter.arrival

    async def _start_waiting(self, waiter: _Waiter) -> None:
        """Offer a waiter every text from now on, so that a search of the stored ones leaves no gap."""
        self._waiters.add(waiter)
        async with self._starting:
            if self._delivered_to is None and self._tasks:
                self._delivered_to = await self.find_latest_position()
                self._tasks.start_soon(self._deliver_while_waiting, self._delivered_to)

    async def _deliver_while_waiting(self, position: int) -> None:
        """Deliver the texts after a position, for as long as a call waits."""
        read_history_at = self._clock.now()
        while self._waiters:
            now = self._clock.now()
            if now >= read_history_at:
                read_history_at = now if await self._try_refresh() else now + self.poll
            notifier = self._storage.notifier
            notified = notifier.next_event
            position = await self._try_deliver(position)
            interval = min(
                _POLL_INTERVAL_WITH_NOTIFICATIONS if notifier.receives_from_others else _POLL_INTERVAL,
                self.poll,
            )
            await self._clock.wait_for(notified.wait(), until=self._clock.now() + interval)
        self._delivered_to = None

    async def _try_refresh(self) -> bool:
        """Read 46elks' history if it is due; return whether that was possible."""
        with log_errors(log, "History cannot be read") as caught:
            await self.refresh()
        error = caught.error
        self.history_error = error.explain() if isinstance(error, ElksError) else _UNEXPECTED if error else ""
        return error is None

    async def _try_deliver(self, position: int) -> int:
        """Offer the texts after a position to the waiters; return the position of the last one."""
        arrivals: list[Arrival] = []
        with log_errors(log, "Incoming texts cannot be delivered", level=logging.ERROR):
            arrivals = await (await self._storage.open()).arrivals.list_after(position)
        for arrival in arrivals:
            for waiter in self._waiters:
                waiter.offer(arrival)
        return arrivals[-1].position if arrivals else position


_UNEXPECTED = "Unexpected error in elks-mcp; its log has the details."
