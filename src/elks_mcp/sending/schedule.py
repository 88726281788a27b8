"""Queue scheduled orders when their time has come, at a price that was approved."""

import logging
from collections.abc import Hashable
from typing import TYPE_CHECKING

from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Effect, Finding
from elks_mcp.domain.phone import written
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import ProviderError, Refused, Rejected
from elks_mcp.sending.waiters import OrderWaiters

if TYPE_CHECKING:
    from elks_mcp.store.schedule import DueOrder
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)


class ScheduledSends:
    """Releases the scheduled orders of one account.

    An order whose price rose meanwhile waits for a person.
    """

    def __init__(self, client: ElksClient, waiters: OrderWaiters) -> None:
        self._client = client
        self._waiters = waiters

    async def release_due(self, store: "Store") -> int:
        """Queue the orders whose time has come, and return how many.

        An order without a price stays scheduled, and is tried again until it is too late.
        """
        prices = _Prices(self._client)
        released = left = 0
        while prices.are_available and (due := await store.schedule.list_due(left)):
            ready = []
            for order in due:
                price = await prices.find(order.draft)
                if price is None or price.currency != order.price.currency:
                    left += 1
                elif price <= order.price:
                    ready.append(order.id)
                elif not await self._try_hold(store, order, price):
                    left += 1
            released += await store.schedule.release(ready) if ready else 0
        return released

    async def expire_missed(self, store: "Store") -> None:
        """End the orders for which it is too late, and log them."""
        for order in await store.schedule.expire_missed():
            log.warning("%s was not sent: it is too late for its send time", order.id)
            self._waiters.notify(order.id, order)

    async def _try_hold(self, store: "Store", due: "DueOrder", price: Money) -> bool:
        """Let an order wait for a person, unless too many orders of its caller wait already."""
        reason = Finding(
            guard="price", effect=Effect.ASK, reason=f"It costs {price} now, and {due.price} was approved."
        )
        try:
            order = await store.schedule.hold(due.id, price, reason)
        except Refused as error:
            log.warning("%s cannot wait for a person: %s", due.id, error)
            return False
        log.warning("%s waits for a person: it costs %s, and %s was approved", due.id, price, due.price)
        self._waiters.notify(due.id, order)
        return True


class _Prices:
    """46elks' prices. It is asked once for each country, sender and number of parts."""

    def __init__(self, client: ElksClient) -> None:
        self._client = client
        self._known: dict[Hashable, Money | None] = {}
        self.are_available = True
        """Whether 46elks answers. After a request that failed, it is not asked again."""

    async def find(self, draft: Draft) -> Money | None:
        """Return what a draft costs; None if 46elks does not price it, or does not answer."""
        sort = draft.kind, draft.to.region, written(draft.sender), draft.payload.parts
        if sort not in self._known and self.are_available:
            self._known[sort] = await self._ask(draft)
        return self._known.get(sort)

    async def _ask(self, draft: Draft) -> Money | None:
        try:
            return (await self._client.get_estimate(draft)).price
        except ProviderError as error:
            log.warning("Scheduled texts cannot be priced for now: %s", error)
            self.are_available = isinstance(error, Rejected)
            return None
