"""Wait for the outcome of orders, and notify the callers in this process that wait."""

from datetime import timedelta
from weakref import WeakValueDictionary

import anyio

from elks_mcp.domain.orders import Order, OrderState
from elks_mcp.runtime.clock import Clock
from elks_mcp.store import Storage

_POLL_INTERVAL = timedelta(milliseconds=250)
"""How often the store is read while waiting: another process may be sending the order."""


class OrderUpdate:
    """The next change of one order, shared by the callers that wait for it."""

    def __init__(self) -> None:
        self.arrived = anyio.Event()
        self.order: Order | None = None
        """The order after the change; None if it has to be read from the store."""


class OrderWaiters:
    """Callers that wait for orders."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._awaited: WeakValueDictionary[str, OrderUpdate] = WeakValueDictionary()
        """Kept alive by the callers that wait; an entry goes with the last of them."""

        self._untouched: set[str] = set()

    def expect(self, order_id: str) -> None:
        """Note that an order was just placed, so a wait need not read it before a change."""
        self._untouched.add(order_id)

    def is_untouched(self, order_id: str) -> bool:
        """Return whether an order was placed here and has not changed since."""
        return order_id in self._untouched

    def notify(self, order_id: str, order: Order | None = None) -> None:
        """Notify all callers that wait for an order. `order`: its new state, if known."""
        self._untouched.discard(order_id)
        if update := self._awaited.pop(order_id, None):
            update.order = order
            update.arrived.set()

    def notify_all(self) -> None:
        """Have every waiting caller read its order from the store."""
        for order_id in list(self._awaited):
            self.notify(order_id)

    async def wait(self, order: Order, within: timedelta) -> Order:
        """Wait until an order is settled or put off, or the time is up; return its state then."""
        try:
            return await self._wait(order, within)
        finally:
            self._untouched.discard(order.id)

    async def _wait(self, order: Order, within: timedelta) -> Order:
        deadline, update = self._clock.now() + within, self._subscribe(order.id)
        store = await self._storage.open()
        if not self.is_untouched(order.id):
            order = await store.orders.get(order.id)
        while order.is_moving and (now := self._clock.now()) < deadline:
            await self._clock.wait_for(update.arrived.wait(), until=min(deadline, now + _POLL_INTERVAL))
            changed, update = update.order, self._subscribe(order.id)
            order = changed or await store.orders.get(order.id)
            if order.state is OrderState.QUEUED and await store.queue.find_pause():
                break
        return order

    def _subscribe(self, order_id: str) -> OrderUpdate:
        """Subscribe to the next change, before reading the order, so that no change is missed."""
        return self._awaited.setdefault(order_id, OrderUpdate())
