"""The money door: the calls to 46elks that cost. Only the outbox may open it."""

from elks_mcp import wire
from elks_mcp.api import Api
from elks_mcp.models import Order, Receipt


class Dispatcher:
    """Hands orders to 46elks, each exactly once per call: nothing here tries again."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def send(self, order: Order) -> Receipt:
        """Send an order's text, now.

        Raises:
            Unreachable, Throttled: it was surely not accepted.
            Unauthorized, Rejected: 46elks said no.
            NoAnswer: nobody knows whether it was accepted.
        """
        body = await self._api.post("/sms", wire.build_sms(order.quote.draft, dry_run=False))
        return wire.parse_receipt(body, order.quote.estimate.price.currency)
