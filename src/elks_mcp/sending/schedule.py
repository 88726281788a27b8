"""Queue scheduled orders when their time has come, at a price that was approved."""

import logging
from enum import Enum, auto
from typing import TYPE_CHECKING

from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Effect, Finding
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import OutOfFunds, ProviderError, Refused, Rejected
from elks_mcp.sending.prices import PriceClass, price_class
from elks_mcp.sending.waiters import OrderWaiters

if TYPE_CHECKING:
    from elks_mcp.store.schedule import DueOrder
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)


class ScheduledSends:
    """Releases the scheduled orders of one account.

    If a price rose meanwhile, a single text waits for a person, and a batch is paused.
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
        paused: set[str | None] = set()
        while prices.are_available and (due := await store.schedule.list_due(left)):
            ready = []
            for order in due:
                if order.batch_id in paused:
                    continue
                match await self._judge(store, order, prices):
                    case _DueDecision.READY:
                        ready.append(order.id)
                    case _DueDecision.LEFT:
                        left += 1
                    case _DueDecision.PAUSED:
                        paused.add(order.batch_id)
            released += await store.schedule.release(ready) if ready else 0
        return released

    async def expire_missed(self, store: "Store") -> None:
        """End the orders for which it is too late, and log them."""
        for order in await store.schedule.expire_missed():
            log.warning("%s was not sent: it is too late for its send time", order.id)
            self._waiters.notify(order.id, order)

    async def _judge(self, store: "Store", due: "DueOrder", prices: "_Prices") -> "_DueDecision":
        """Decide about an order by its price. End it if 46elks refuses it already."""
        try:
            price = await prices.find(due.draft)
        except Rejected as error:
            log.warning("46elks does not price %s, so it is not sent: %s", due.id, error)
            order, is_paused = await store.schedule.reject(due.id, error.explain())
            self._waiters.notify(due.id, order)
            return _DueDecision.PAUSED if is_paused else _DueDecision.ENDED
        if price is None or price.currency != due.price.currency:
            return _DueDecision.LEFT
        if price <= due.price:
            return _DueDecision.READY
        return await self._hold(store, due, price)

    async def _hold(self, store: "Store", due: "DueOrder", price: Money) -> "_DueDecision":
        """Pause the batch of an order, or let it wait for a person, unless too many wait already."""
        why = f"It costs {price} now, and {due.price} was approved."
        if due.batch_id:
            await store.batches.pause(due.batch_id, why)
            return _DueDecision.PAUSED
        reason = Finding(guard="price", effect=Effect.ASK, reason=why)
        try:
            order = await store.schedule.hold(due.id, price, reason)
        except Refused as error:
            log.warning("%s cannot wait for a person: %s", due.id, error)
            return _DueDecision.LEFT
        log.warning("%s waits for a person: it costs %s, and %s was approved", due.id, price, due.price)
        self._waiters.notify(due.id, order)
        return _DueDecision.ENDED


class _DueDecision(Enum):
    """The decision about an order whose send time has come."""

    READY = auto()
    LEFT = auto()
    """It stays scheduled."""

    ENDED = auto()
    """It waits for a person, or was refused."""

    PAUSED = auto()
    """Its batch was paused, so none of its rows is due any more."""


class _Prices:
    """46elks' prices. It is asked once for each country, sender and number of parts."""

    def __init__(self, client: ElksClient) -> None:
        self._client = client
        self._known: dict[PriceClass, Money] = {}
        self.are_available = True
        """Whether 46elks answers. After a request that failed, it is not asked again."""

    async def find(self, draft: Draft) -> Money | None:
        """Return what a draft costs; None if 46elks does not tell now.

        Raises:
            Rejected: 46elks refuses this draft, and would refuse to send it.
        """
        kind = price_class(draft)
        if kind not in self._known and self.are_available:
            try:
                self._known[kind] = (await self._client.get_estimate(draft)).price
            except ProviderError as error:
                if isinstance(error, Rejected) and not isinstance(error, OutOfFunds):
                    raise
                log.warning("Scheduled texts cannot be priced for now: %s", error)
                self.are_available = False
        return self._known.get(kind)
