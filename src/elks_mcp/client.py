"""Every call to 46elks that cannot cost money."""

import re
from datetime import datetime, timedelta

from elks_mcp import wire
from elks_mcp.api import Api
from elks_mcp.errors import InvalidInput, NotFound, Rejected
from elks_mcp.models import Account, Direction, Draft, Estimate, Listing, Message, Page
from elks_mcp.money import Money

MOST_PAGES = 50
MOST_READ = MOST_PAGES * wire.PAGE_SIZE
"""How far back a search goes. One that finds nothing must end some time."""

_OVERLAP = timedelta(milliseconds=1)
"""Pages overlap, since `next` is a moment and several messages can share one."""

_MESSAGE_ID = r"[A-Za-z0-9]{8,64}"


class ElksClient:
    """Free questions to 46elks: prices, history, account. Each raises a ProviderError where it fails."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._currency: str | None = None
        self.last_price: Money | None = None
        """What one part cost by the last estimate, if there was one."""

    async def get_account(self) -> Account:
        """Ask for balance and currency."""
        account = wire.parse_account(await self._api.get("/me"))
        self._currency = account.balance.currency
        return account

    async def get_currency(self) -> str:
        """Name the account's currency, which prices come without; asked for once.

        It is "" where 46elks does not tell: whether a subaccount may ask is not documented.
        """
        if self._currency is not None:
            return self._currency
        try:
            return (await self.get_account()).balance.currency
        except Rejected:
            return ""

    async def get_estimate(self, draft: Draft) -> Estimate:
        """Ask what a text would cost (`dryrun=yes`): nothing is sent, nothing charged."""
        currency = await self.get_currency()
        body = await self._api.post("/sms", wire.build_sms(draft, dry_run=True))
        estimate = wire.parse_estimate(body, currency)
        self.last_price = estimate.price.split(max(1, estimate.parts or 1))
        return estimate

    async def get_message(self, message_id: str) -> Message:
        """Ask for one message by 46elks' id.

        Raises:
            InvalidInput: it cannot be an id of a message.
            NotFound: 46elks has no such message.
        """
        if not re.fullmatch(_MESSAGE_ID, message_id):
            raise InvalidInput(
                f"{message_id[:80]!r} is not a message id.",
                hint="Give 46elks' id (s and 32 digits and letters a–f) or an order number (O-…).",
            )
        currency = await self.get_currency()
        try:
            return wire.parse_message(await self._api.get(f"/sms/{message_id}"), currency)
        except Rejected as error:
            if error.status != 404:  # noqa: PLR2004
                raise
            raise NotFound(
                "46elks knows no message by that id.",
                hint="Check the id; get_sms_messages lists the latest ones.",
            ) from None

    async def list_messages(self, limit: int, direction: Direction | None = None) -> Listing:
        """List the newest messages, `limit` of them (1–100), newest first.

        46elks cannot filter by direction, so this does, reading no page more than needed. It gives
        up after `MOST_PAGES` pages.
        """
        page_size = limit if direction is None else wire.PAGE_SIZE
        read: dict[str, Message] = {}
        found: list[Message] = []
        before: datetime | None = None
        for _ in range(MOST_PAGES):
            page = await self._get_page(page_size, before)
            new = {message.id: message for message in page.messages if message.id not in read}
            read |= new
            found = [message for message in read.values() if direction in {None, message.direction}]
            if len(found) >= limit or page.older_from is None:
                return Listing(messages=tuple(found[:limit]))
            if not new and before == page.older_from:
                break  # 46elks repeats itself; that would not end
            # Where overlapping brought nothing, more texts than fit on a page share one moment.
            before = page.older_from + _OVERLAP if new else page.older_from
        return Listing(messages=tuple(found), complete=False)

    async def _get_page(self, limit: int, before: datetime | None) -> Page:
        currency = await self.get_currency()
        query = wire.build_history_query(limit=limit, before=before)
        return wire.parse_page(await self._api.get("/sms", query), currency)
