"""What is remembered between calls: orders, and quotes that wait for a person's answer.

This one forgets when the process ends. Each method answers one question or makes one change
that nothing can come in between.
"""

from datetime import datetime, timedelta

from elks_mcp.errors import InvalidInput, NotApproved, NotFound
from elks_mcp.models import Approver, Draft, Order, OrderState, Quote

QUOTE_KEPT = timedelta(minutes=10)
"""How long a quote waits for an answer. The price is as good as it was for that long."""


class MemoryStore:
    """Orders and quotes of one process."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._queued: dict[str, Order] = {}
        self._by_key: dict[str, str] = {}
        self._quotes: dict[Draft, Quote] = {}
        self._next_send_at: datetime | None = None

    # ── quotes ──

    async def keep_quote(self, quote: Quote) -> None:
        """Keep a quote while a person thinks about it."""
        self._quotes[quote.draft] = quote

    async def find_quote(self, draft: Draft, now: datetime) -> Quote | None:
        """Find the quote kept for a draft; one older than `QUOTE_KEPT` is dropped."""
        self._quotes = {d: q for d, q in self._quotes.items() if now - q.quoted_at <= QUOTE_KEPT}
        return self._quotes.get(draft)

    async def drop_quote(self, draft: Draft) -> None:
        """Forget the quote kept for a draft, since the answer was no."""
        self._quotes.pop(draft, None)

    # ── orders ──

    async def place_order(self, order: Order) -> Order:
        """Put an order in the queue, or return the one already placed under the same key.

        A person's yes is good for one order: it uses up the quote that was kept for it.

        Raises:
            InvalidInput: the key was used for another message.
            NotApproved: the quote was used up before, or is too old.
        """
        draft = order.quote.draft
        if earlier := await self.find_order_by_key(draft):
            return earlier
        kept = await self.find_quote(draft, order.placed_at)
        if order.approver is Approver.PERSON and kept != order.quote:
            raise NotApproved("That answer was used before, or is too old; one yes is good for one text.")
        self._quotes.pop(draft, None)
        self._put(order)
        if draft.idempotency_key:
            self._by_key[draft.idempotency_key] = order.id
        return order

    async def find_order_by_key(self, draft: Draft) -> Order | None:
        """Find the order that was placed under a draft's idempotency key.

        Raises:
            InvalidInput: that order was for another message.
        """
        order_id = self._by_key.get(draft.idempotency_key or "")
        if order_id is None:
            return None
        order = self._orders[order_id]
        if differing := _differing(order.quote.draft, draft):
            raise InvalidInput(
                f"The idempotencyKey was used before, with another {', '.join(differing)}.",
                hint="Use a new key for a new message, or the same arguments to ask about the old one.",
            )
        return order

    async def get_order(self, order_id: str) -> Order:
        """Return an order.

        Raises:
            NotFound: there is none by that number.
        """
        if order := self._orders.get(order_id):
            return order
        raise NotFound(
            "There is no order by that number here.", hint="Orders are kept while the server runs."
        )

    async def find_order(self, number: str) -> Order | None:
        """Find an order by its own number or by 46elks' id for its message."""
        if order := self._orders.get(number):
            return order
        sent = (order for order in self._orders.values() if order.receipt)
        return next((order for order in sent if order.receipt and order.receipt.message_id == number), None)

    async def list_queued(self) -> tuple[Order, ...]:
        """List the orders that wait, the one whose turn it is first."""
        return tuple(sorted(self._queued.values(), key=lambda order: order.not_before or order.placed_at))

    async def take_slot(self, now: datetime, gap: timedelta) -> datetime:
        """Take the right to send one text now, `gap` before the next one; or say when there will be one.

        It is taken where the answer is not after `now`. A right to send later is not given: by
        then 46elks may have asked for a pause.
        """
        free = max(now, self._next_send_at or now)
        if free == now:
            self._next_send_at = now + gap
        return free

    async def hold_until(self, moment: datetime) -> None:
        """Let nothing be sent before a moment."""
        self._next_send_at = max(moment, self._next_send_at or moment)

    async def settle_order(self, order: Order) -> None:
        """Put down how an order stands now."""
        self._put(order)

    def _put(self, order: Order) -> None:
        self._orders[order.id] = order
        if order.state is OrderState.QUEUED:
            self._queued[order.id] = order
        else:
            self._queued.pop(order.id, None)


def _differing(one: Draft, other: Draft) -> list[str]:
    names = {"to": "to", "text": "message", "sender": "from", "flash": "flashsms"}
    return [word for field, word in names.items() if getattr(one, field) != getattr(other, field)]
