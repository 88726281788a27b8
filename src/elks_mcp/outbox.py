"""The queue of orders and the worker that hands them to 46elks, one POST each.

    queued ──claim──→ sending ──POST──┬→ sent
      ↑                               ├→ rejected   46elks said no
      ├───────────────────────────────┼→ queued     surely not accepted: no connection, or 429
      │                               └→ in doubt   nobody knows; never sent again by a machine
      └→ expired    not accepted for ten minutes, or not even tried for an hour

The POST runs in the worker's task, never in the caller's: who hangs up cancels only the wait.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Self
from weakref import WeakValueDictionary

import anyio
from anyio.abc import TaskGroup

from elks_mcp.api import Api
from elks_mcp.clock import Clock
from elks_mcp.dispatch import Dispatcher
from elks_mcp.errors import NoAnswer, ProviderError, Throttled, Unreachable
from elks_mcp.models import Order, OrderState
from elks_mcp.store import MemoryStore

log = logging.getLogger(__name__)

KEPT_TRYING = timedelta(minutes=10)
"""How long a text that 46elks surely did not accept is offered again."""

KEPT_WAITING = timedelta(hours=1)
"""How long a text waits for its first turn: behind many others, or while the machine sleeps."""

_AFTER_429 = timedelta(minutes=1)
_AT_LEAST = timedelta(seconds=1)
"""The shortest wait after a 429: `Retry-After: 0` is no leave to hammer."""

_AFTER_NO_CONNECTION = timedelta(seconds=5)
_WINDOW = timedelta(seconds=60.06)
"""A minute and a thousandth: N texts spread over it are never more than N in any minute."""


class Outbox:
    """Sends what is queued, in order, at most `per_minute` (1–100,000) texts a minute."""

    def __init__(self, store: MemoryStore, dispatcher: Dispatcher, clock: Clock, *, per_minute: int) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._clock = clock
        self._gap = _WINDOW / per_minute
        self._woken = anyio.Event()
        self._news: WeakValueDictionary[str, anyio.Event] = WeakValueDictionary()
        """What waits for an order's news holds its event; with the last of them it goes."""

    @classmethod
    def over(cls, api: Api, store: MemoryStore, clock: Clock, *, per_minute: int) -> Self:
        """Make one that sends through `api`. Nobody else need know what opens the money door."""
        return cls(store, Dispatcher(api), clock, per_minute=per_minute)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the worker. At the end what is under way is finished, and what waits is given up."""
        failure: Exception | None = None
        try:
            async with anyio.create_task_group() as posts, anyio.create_task_group() as worker:
                worker.start_soon(self._work, posts)
                try:
                    yield
                except Exception as error:  # noqa: BLE001  (raised again outside, where no group wraps it)
                    failure = error
                worker.cancel_scope.cancel()
        finally:
            if lost := await self._store.list_queued():
                log.warning("stopped with texts unsent", extra={"orders": [order.id for order in lost]})
        if failure:
            raise failure

    def wake(self) -> None:
        """Say that there is something to send."""
        self._woken.set()

    async def wait(self, order_id: str, within: timedelta) -> Order:
        """Wait until an order is settled or put off, or the time is up; return how it stands."""
        # Listening comes before looking, so that nothing can be settled unheard in between.
        news = self._news.setdefault(order_id, anyio.Event())
        order = await self._store.get_order(order_id)
        if not _is_moving(order):
            return order
        await self._clock.wait_for(news.wait(), until=self._clock.now() + within)
        return await self._store.get_order(order_id)

    async def _work(self, posts: TaskGroup) -> None:
        while True:
            # Listening comes before looking, here too.
            self._woken = anyio.Event()
            look_again = await self._send_next(posts)
            if look_again is None:
                await self._woken.wait()
            elif look_again > self._clock.now():
                await self._clock.wait_for(self._woken.wait(), until=look_again)

    async def _send_next(self, posts: TaskGroup) -> datetime | None:
        """Send the text whose turn it is, if it may go out now; say when to look again, if ever."""
        queued = await self._store.list_queued()
        if not queued:
            return None
        order, now = queued[0], self._clock.now()
        if order.not_before and order.not_before > now:
            return order.not_before
        if now - order.placed_at > (KEPT_TRYING if order.not_before else KEPT_WAITING):
            await self._put_down(order, state=OrderState.EXPIRED, fault=order.fault or "Its turn never came.")
            return now
        slot = await self._store.take_slot(now, self._gap)
        if slot > now:
            return slot
        with anyio.CancelScope(shield=True):  # what is claimed is sent, even if we are stopped just now
            posts.start_soon(self._send, await self._put_down(order, state=OrderState.SENDING))
        return now

    async def _send(self, order: Order) -> None:
        """Post, and put down what came of it. A POST that has begun is never cut off from here."""
        with anyio.CancelScope(shield=True):
            try:
                receipt = await self._dispatcher.send(order)
            except ProviderError as error:
                await self._put_down(order, **await self._outcome(error))
            except Exception:
                log.exception("a send ended in a bug; nobody knows whether it went out")
                await self._put_down(
                    order, state=OrderState.IN_DOUBT, fault="This server has a fault of its own."
                )
            else:
                await self._put_down(order, state=OrderState.SENT, receipt=receipt, fault="")

    async def _outcome(self, error: ProviderError) -> dict[str, Any]:
        """Say what an error means for the order: waiting is only for what surely was not accepted."""
        if isinstance(error, NoAnswer):
            return {"state": OrderState.IN_DOUBT, "fault": str(error)}
        if not isinstance(error, Throttled | Unreachable):
            return {"state": OrderState.REJECTED, "fault": error.explain()}
        wait = _AFTER_NO_CONNECTION
        if isinstance(error, Throttled):
            wait = _AFTER_429 if error.retry_after is None else max(error.retry_after, _AT_LEAST)
        again_at = self._clock.now() + wait
        await self._store.hold_until(again_at)
        return {"state": OrderState.QUEUED, "fault": str(error), "not_before": again_at}

    async def _put_down(self, order: Order, **changes: Any) -> Order:
        changed = order.model_copy(update=changes)
        await self._store.settle_order(changed)
        if not _is_moving(changed):
            if news := self._news.pop(order.id, None):
                news.set()
            self.wake()
        return changed


def _is_moving(order: Order) -> bool:
    """Tell whether an order is about to be settled: queued for the first time, or under way."""
    if order.state is OrderState.QUEUED:
        return order.not_before is None
    return order.state is OrderState.SENDING
