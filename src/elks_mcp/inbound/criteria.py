"""Criteria for the incoming text that a call waits for."""

from collections.abc import Callable
from datetime import datetime, timedelta

from elks_mcp.domain.orders import Order
from elks_mcp.domain.phone import Number
from elks_mcp.elks.client import ElksClient
from elks_mcp.inbound.history import HistoryReader
from elks_mcp.store import Arrival, Storage, Wanted

_TIME_TOLERANCE = timedelta(seconds=1)
"""How much the times that 46elks gives for one event in different places may differ."""

_MAX_CLOCK_DIFFERENCE = timedelta(hours=1)
"""How far 46elks' time of a text may be from ours; one that is further off is ignored."""


class ReplyCriteria:
    """Builds the criteria of a wait. `poll` returns how old the last read of history may be."""

    def __init__(
        self, client: ElksClient, storage: Storage, history: HistoryReader, poll: Callable[[], timedelta]
    ) -> None:
        self._client = client
        self._storage = storage
        self._history = history
        self._poll = poll

    async def after(self, position: int, sender: Number | None) -> Wanted:
        """Return the criteria for the first text after a position; None: from any sender."""
        return await self._build(sender, after=position)

    async def from_now(self, sender: Number | None) -> Wanted:
        """Return the criteria for the next text that comes in; None: from any sender.

        Raises:
            ProviderError: 46elks' history cannot be read.
            StateUnavailable, Misconfigured: the state cannot be used.
        """
        await self._history.refresh(self._poll())
        return await self.after(await (await self._storage.open()).arrivals.find_last(), sender)

    async def reply_to(self, order: Order, sender: Number | None = None) -> Wanted:
        """Return the criteria for the first text since an order; None: from its recipient."""
        skew, accepted_at = self._client.skew, order.receipt.created_at if order.receipt else None
        since = order.placed_at + skew
        latest = order.changed_at + skew + _MAX_CLOCK_DIFFERENCE
        if accepted_at and since - _MAX_CLOCK_DIFFERENCE < accepted_at < latest:
            since = accepted_at
        return await self._build(sender or order.to, since=since - _TIME_TOLERANCE)

    async def own_reply_to(self, order: Order, *, after: int = 0) -> Wanted:
        """Return the criteria for a text that can only answer this order; see `is_for_caller`."""
        since = order.placed_at + self._client.skew - _TIME_TOLERANCE
        wanted = await self._build(order.to, after=after, since=since)
        return wanted._replace(answered=order)

    async def is_for_caller(self, arrival: Arrival, wanted: Wanted) -> bool:
        """Return whether a text that came in may be shown to the caller that waits for it."""
        if wanted.answered is None:
            return True
        arrivals = (await self._storage.open()).arrivals
        return await arrivals.is_answer(arrival, wanted.answered, self._client.skew)

    async def find_position_of(self, message_id: str) -> int | None:
        """Return the position of an incoming text by 46elks' id; None if there is none by that id."""
        return await (await self._storage.open()).arrivals.find_position(message_id)

    async def _build(self, sender: Number | None, *, after: int = 0, since: datetime | None = None) -> Wanted:
        arrivals = (await self._storage.open()).arrivals
        sender_hash = arrivals.hash_of(sender) if sender else None
        return Wanted(sender, sender_hash, after, since, known_only=self._history.hides_unknown)
