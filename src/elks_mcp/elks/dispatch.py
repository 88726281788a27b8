"""The money door: the calls to 46elks that cost. Only the outbox may open it."""

from collections.abc import Awaitable, Callable

from elks_mcp.domain.orders import Claim, Receipt
from elks_mcp.elks import wire
from elks_mcp.elks.handover import SendPermission
from elks_mcp.elks.transport import Api


class Dispatcher:
    """Hands claimed orders to 46elks, each exactly once per call: nothing here tries again.

    `report_to` makes the address for the delivery report, from the order's number.
    """

    def __init__(self, api: Api, report_to: Callable[[str], Awaitable[str]] | None = None) -> None:
        self._api = api
        self._report_to = report_to

    async def send(self, claim: Claim, right: SendPermission) -> Receipt:
        """Send a claimed order's text, now. The right is asked for just before the first byte leaves.

        Raises:
            TooLate: the right is gone; nothing was sent.
            Unreachable, Throttled: it was surely not accepted.
            Unauthorized, Rejected: 46elks said no.
            NoAnswer: nobody knows whether it was accepted.
        """
        report_to = await self._report_to(claim.order_id) if self._report_to else None
        form = wire.build_sms(claim.draft, dry_run=False, report_to=report_to)
        return wire.parse_receipt(await self._api.post("/sms", form, right=right), claim.currency)
