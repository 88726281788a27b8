"""News of orders, for those in this process who wait for some."""

from weakref import WeakValueDictionary

import anyio

from elks_mcp.domain.orders import Order


class OrderUpdate:
    """What somebody waits to hear of an order."""

    def __init__(self) -> None:
        self.arrived = anyio.Event()
        self.order: Order | None = None
        """How it stands now; None where that has to be looked up."""


class OrderWaiters:
    """Where news are announced, and who waits for them listens."""

    def __init__(self) -> None:
        self._awaited: WeakValueDictionary[str, OrderUpdate] = WeakValueDictionary()
        """Who waits for an order's news holds them; with the last of them they go."""
        self._untouched: set[str] = set()

    def expect(self, order_id: str) -> None:
        """Say that nothing became of an order since it was placed: until there are news, nobody need look."""
        self._untouched.add(order_id)

    def is_untouched(self, order_id: str) -> bool:
        """Tell whether an order is expected, and there were no news of it here."""
        return order_id in self._untouched

    def forget(self, order_id: str) -> None:
        """Expect nothing any more."""
        self._untouched.discard(order_id)

    def subscribe(self, order_id: str) -> OrderUpdate:
        """Listen for news of an order. This comes before looking, so that nothing happens unheard."""
        return self._awaited.setdefault(order_id, OrderUpdate())

    def notify(self, order_id: str, order: Order | None = None) -> None:
        """Tell all who wait for an order that something became of it."""
        self._untouched.discard(order_id)
        if news := self._awaited.pop(order_id, None):
            news.order = order
            news.arrived.set()

    def notify_all(self) -> None:
        """Tell everybody to look for themselves."""
        for order_id in list(self._awaited):
            self.notify(order_id)
