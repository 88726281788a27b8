"""Waiting for what somebody answers.

While anybody waits, one task reads what came in and hands it round; many who wait ask no more of 46elks
and of the store than one.
"""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta

import anyio
from anyio.abc import TaskGroup

from elks_mcp.domain.models import Message
from elks_mcp.domain.orders import Order
from elks_mcp.domain.phone import Number
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import ElksError
from elks_mcp.inbound.history import HistoryReader
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.store import Arrival, Storage, Wanted

log = logging.getLogger(__name__)

_POLL_INTERVAL, _POLL_INTERVAL_WITH_NOTIFICATIONS = timedelta(milliseconds=200), timedelta(seconds=5)
"""Between two looks into the store, where other processes put down what they heard: as long as they cannot
ring the bell, and where they can."""

_SAME_MOMENT = timedelta(seconds=1)
"""46elks' times are compared within this, since it tells one event's differently in different places."""


_LIKELY = timedelta(hours=1)
"""How far 46elks' time of a text may be from ours and be believed."""

_MOST_RECEIVED, _RECEIVED_KEPT = 1000, timedelta(minutes=10)
"""How many texts, and for how long, are at hand once 46elks told of them. They are in memory only."""


class _Waiter:
    """Somebody who waits."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.came = anyio.Event()
        self.arrival: Arrival | None = None

    def offer(self, arrival: Arrival) -> None:
        """Take the first text that is wanted."""
        if self.arrival is None and self.wanted.is_met_by(arrival):
            self.arrival = arrival
            self.came.set()


class Reading:
    """A call that waits for a text. Until it says which text it wants, it wants any."""

    def __init__(self) -> None:
        self.wanted = Wanted()


class Replies:
    """Hands texts that come in to those who wait for them. `poll`: how often 46elks' history is read then."""

    def __init__(
        self, client: ElksClient, storage: Storage, history: HistoryReader, clock: Clock, poll: timedelta
    ) -> None:
        self._client = client
        self._storage = storage
        self._history = history
        self._clock = clock
        self.poll = poll
        self._waiters: set[_Waiter] = set()
        self._received: OrderedDict[str, tuple[datetime, Message]] = OrderedDict()
        """What 46elks told here by itself, and when: it may not show it in its history yet."""
        self._readings: set[Reading] = set()
        self._read: dict[str, Arrival] = {}
        """Texts of `_told` that a call has returned, by 46elks' id."""
        self._seen: int | None = None
        """The position of the latest text that was handed round; None while nobody waits."""
        self._beginning = anyio.Lock()
        self._tasks: TaskGroup | None = None
        self.history_error = ""
        """Why history could not be read the last time, if so."""
        self.is_over = False
        """Whether nobody shall wait here any more."""

    @property
    def waiting_count(self) -> int:
        """How many calls wait for a text."""
        return len(self._waiters)

    def stop(self) -> None:
        """Let nobody wait any more: whoever does goes away with nothing."""
        self.is_over = True
        self._storage.notifier.notify()
        for waiter in self._waiters:
            waiter.came.set()

    def add_received(self, messages: Iterable[Message]) -> None:
        """Have the words of what just came in at hand for a while."""
        now = self._clock.now()
        for each in messages:
            self._received[each.id] = now, each
            self._received.move_to_end(each.id)
        while len(self._received) > _MOST_RECEIVED:
            self._received.popitem(last=False)

    def find_received(self, message_id: str) -> Message | None:
        """Return what was brought a short while ago, unless all calls that wait for it have it."""
        _, message = self._received.get(message_id, (None, None))
        return message

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Keep the texts that a call waits for, even if another call reads them, until the context ends."""
        reading = Reading()
        self._readings.add(reading)
        try:
            yield reading
        finally:
            self._readings.remove(reading)
            self._drop_read()

    def mark_read(self, arrival: Arrival) -> None:
        """Note that a call returns a text: it is deleted when no other call waits for it any more."""
        self._read[arrival.message_id] = arrival

    def _drop_read(self) -> None:
        """Delete the texts that were read and that no call waits for."""
        for arrival in list(self._read.values()):
            if not any(each.wanted.is_met_by(arrival) for each in self._readings):
                del self._read[arrival.message_id]
                self._received.pop(arrival.message_id, None)

    def delete_expired(self) -> None:
        """Let go of words that nobody came for."""
        too_old = self._clock.now() - _RECEIVED_KEPT
        for id_ in [id_ for id_, (at, _) in self._received.items() if at <= too_old]:
            del self._received[id_]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch while somebody waits, for as long as the context lasts."""
        async with background() as self._tasks:
            yield
        self._tasks = None

    async def refresh(self) -> None:
        """Read history, unless somebody did within the time from one reading to the next.

        Raises:
            ProviderError: it cannot be read.
            StateUnavailable, Misconfigured: it cannot be remembered.
        """
        await self._history.refresh(self.poll)

    async def find_position(self) -> int:
        """Say the position of the latest text that came in."""
        return await (await self._storage.open()).arrivals.find_last()

    async def after(self, position: int, sender: Number | None) -> Wanted:
        """Want what comes in after a position, from a number or from anybody."""
        return await self._want(sender, after=position)

    async def to(self, order: Order, sender: Number | None = None) -> Wanted:
        """Want an answer to an order, from its recipient or from whoever is named."""
        skew, theirs = self._client.skew, order.receipt.created_at if order.receipt else None
        since = order.placed_at + skew
        if theirs and since - _LIKELY < theirs < order.changed_at + skew + _LIKELY:
            since = theirs
        return await self._want(sender or order.to, since=since - _SAME_MOMENT)

    async def only_to(self, order: Order, *, after: int = 0) -> Wanted:
        """Want what answers an order and can be meant for nobody but its caller; `is_meant` tells."""
        since = order.placed_at + self._client.skew - _SAME_MOMENT
        wanted = await self._want(order.to, after=after, since=since)
        return wanted._replace(answered=order)

    async def is_meant(self, arrival: Arrival, wanted: Wanted) -> bool:
        """Return whether a text that came may be shown to whoever wants it."""
        if wanted.answered is None:
            return True
        arrivals = (await self._storage.open()).arrivals
        return await arrivals.is_answer(arrival, wanted.answered, self._client.skew)

    async def find_position_of(self, message_id: str) -> int | None:
        """Return the position of a text that came in, by 46elks' id; None if there is none by that id."""
        return await (await self._storage.open()).arrivals.find_position(message_id)

    async def from_now(self, sender: Number | None) -> Wanted:
        """Want whatever comes from now on, from a number or from anybody."""
        await self.refresh()
        return await self.after(await self.find_position(), sender)

    async def _want(self, sender: Number | None, *, after: int = 0, since: datetime | None = None) -> Wanted:
        arrivals = (await self._storage.open()).arrivals
        sender_hash = arrivals.hash_of(sender) if sender else None
        return Wanted(sender, sender_hash, after, since, known_only=self._history.hides_unknown)

    async def wait(self, wanted: Wanted, within: timedelta) -> Arrival | None:
        """Wait for a text; None where none came in time.

        Raises:
            StateUnavailable, Misconfigured: it cannot be looked up what came.
        """
        store = await self._storage.open()
        waiter = _Waiter(wanted)
        deadline = self._clock.now() + within
        try:
            await self._begin(waiter)
            if found := await store.arrivals.find_first(wanted):
                return found
            if not self.is_over:
                await self._clock.wait_for(waiter.came.wait(), until=deadline)
        finally:
            self._waiters.discard(waiter)
        return waiter.arrival

    async def _begin(self, waiter: _Waiter) -> None:
        """Let somebody wait: from here on nothing comes unseen, so what is there already may be looked up."""
        self._waiters.add(waiter)
        async with self._beginning:
            if self._seen is None and self._tasks:
                self._seen = await (await self._storage.open()).arrivals.find_last()
                self._tasks.start_soon(self._watch, self._seen)

    async def _watch(self, seen: int) -> None:
        """Hand round what comes in, until nobody waits any more."""
        look_at = self._clock.now()
        while self._waiters:
            now = self._clock.now()
            if now >= look_at:
                look_at = now if await self._try_refresh() else now + self.poll
            notifier = self._storage.notifier
            woken = notifier.next_event
            seen = await self._try_deliver(seen)
            breath = min(
                _POLL_INTERVAL_WITH_NOTIFICATIONS if notifier.receives_from_others else _POLL_INTERVAL,
                self.poll,
            )
            await self._clock.wait_for(woken.wait(), until=self._clock.now() + breath)
        self._seen = None

    async def _try_refresh(self) -> bool:
        """Read history, if that is due; tell whether it could be."""
        try:
            await self.refresh()
        except ElksError as error:
            self.history_error = error.explain()
            log.warning("history cannot be read for now: %s", error)
            return False
        except Exception:  # which would end the whole server
            self.history_error = "This server has a fault of its own; its log says where."
            log.exception("reading history has a fault of its own")
            return False
        self.history_error = ""
        return True

    async def _try_deliver(self, seen: int) -> int:
        """Hand round what came in after a position; say how far that is now."""
        try:
            arrivals = await (await self._storage.open()).arrivals.list_after(seen)
        except ElksError as error:
            log.error("what came in cannot be read for now: %s", error)  # noqa: TRY400  (its words are enough)
            return seen
        except Exception:  # which would end the whole server
            log.exception("handing round what came in has a fault of its own")
            return seen
        for arrival in arrivals:
            for waiter in self._waiters:
                waiter.offer(arrival)
        return arrivals[-1].position if arrivals else seen
