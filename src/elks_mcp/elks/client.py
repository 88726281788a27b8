"""The calls to 46elks that are free: prices, history, account, numbers."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from elks_mcp.domain.kinds import MMS, SMS
from elks_mcp.domain.models import (
    EVERYTHING,
    Account,
    HistoryFilter,
    Listing,
    Message,
    Page,
    UnreadRow,
)
from elks_mcp.domain.money import Money
from elks_mcp.domain.numbers import NumberChange, OwnNumber
from elks_mcp.domain.orders import Draft, Estimate
from elks_mcp.elks import wire
from elks_mcp.elks.call_client import CallClient
from elks_mcp.elks.history_pages import OVERLAP, GetPage, HistoryPages, MergedHistories, OneHistory
from elks_mcp.elks.image_reader import ImageReader
from elks_mcp.elks.kinds_read import KindsRead, find_past_price
from elks_mcp.elks.paid_endpoints import ENDPOINTS, DryRunPrice, Endpoints, PastPrice
from elks_mcp.elks.transport import Api
from elks_mcp.errors import InvalidInput, NotFound, Rejected

log = logging.getLogger(__name__)

MOST_PAGES = 50
MOST_READ = MOST_PAGES * wire.PAGE_SIZE
"""The most messages that a search for opt-outs reads; one that finds nothing has to end."""

LISTED_PAGES, COUNTED_PAGES = 5, 20
"""The most pages of one list, and of one period that is counted.

Each page is a request to 46elks, and the caller can continue from the last.
"""

_MESSAGE_ID = r"[A-Za-z0-9]{8,64}"


class ElksClient:
    """The free calls to 46elks. Each raises a `ProviderError` if it fails.

    `most_pages` is how many pages of history `list_since` reads at most.
    """

    def __init__(
        self,
        api: Api,
        count: Callable[[], None] = lambda: None,
        known: "_SharedAnswers | None" = None,
        *,
        most_pages: int = MOST_PAGES,
        endpoints: Endpoints = ENDPOINTS,
        kinds: KindsRead | None = None,
    ) -> None:
        self._api = api
        self._count = count
        self._known = known or _SharedAnswers()
        self._most_pages = most_pages
        self._endpoints = endpoints
        self._kinds = kinds or KindsRead()
        self.provider_clock = api.provider_clock
        """46elks' clock."""
        self.images = ImageReader(self._get)
        """The pictures of MMS."""
        self.calls = CallClient(api, count, self.get_currency)

    def counted(self, count: Callable[[], None]) -> "ElksClient":
        """Return this client for one caller.

        `count` is called before each request, and may refuse it.
        """
        return ElksClient(
            self._api,
            count,
            self._known,
            most_pages=self._most_pages,
            endpoints=self._endpoints,
            kinds=self._kinds,
        )

    @property
    def last_price(self) -> Money | None:
        """The price of one part of a text, as of the last estimate; None before the first one."""
        return self._known.last_price

    @property
    def is_simulated(self) -> bool:
        """Whether a sandbox on this machine takes the place of 46elks.

        False before the account was read. This changes words and the poll interval, and no rule.
        """
        return self._known.claims_sandbox and self._api.is_on_this_machine

    async def get_account(self) -> Account:
        """Return the account with its balance and currency."""
        account = wire.parse_account(await self._get_me())
        self._known.currency = account.balance.currency
        return account

    async def get_currency(self) -> str:
        """Return the account's currency, which prices lack; it is requested once.

        It is "" if 46elks refuses the request: whether a subaccount may make it is not documented.
        """
        if self._known.currency is not None:
            return self._known.currency
        try:
            self._known.currency = wire.parse_currency(await self._get_me())
        except Rejected:
            return ""
        return self._known.currency

    async def get_estimate(self, draft: Draft) -> Estimate:
        """Return what a draft would cost. Nothing is sent, and nothing charged.

        A kind without a dry run is priced without a request, since its POST would really send.
        """
        currency, endpoint = await self.get_currency(), self._endpoints[draft.kind]
        if isinstance(endpoint.price, PastPrice):
            read = self._page_reader(draft.kind, wire.PAGE_SIZE)
            set_by_operator = self._kinds.prices.get(draft.kind)
            return await find_past_price(endpoint.price, draft.kind, set_by_operator, currency, read)
        if not isinstance(endpoint.price, DryRunPrice):
            return endpoint.price(draft, currency)
        body = await self._ask(endpoint.path, {**endpoint.build(draft), **endpoint.price.field})
        estimate = endpoint.price.parse(body, currency)
        if draft.kind == SMS:
            self._known.last_price = estimate.price.split(max(1, estimate.parts or 1))
        return estimate

    async def get_message(self, message_id: str) -> Message:
        """Return one message by 46elks' id.

        Raises:
            InvalidInput: `message_id` cannot be the id of a message.
            NotFound: 46elks has no message with this id.
        """
        if not re.fullmatch(_MESSAGE_ID, message_id):
            raise InvalidInput(
                f"{message_id[:80]!r} is not a message id.",
                hint="Give 46elks' id (s and 32 digits and letters a–f) or an order id (O-…).",
            )
        currency = await self.get_currency()
        paths = ["/mms", "/sms"] if wire.is_picture_id(message_id) else ["/sms", "/mms"]
        for path in paths if self._kinds.mms else ["/sms"]:
            try:
                return wire.parse_message(await self._get(f"{path}/{message_id}"), currency)
            except Rejected as error:
                if error.status != 404:  # noqa: PLR2004
                    raise
        raise self._no_message(message_id)

    async def list_messages(
        self, limit: int, wanted: HistoryFilter = EVERYTHING, *, most_pages: int = LISTED_PAGES
    ) -> Listing:
        """Return the newest messages that are wanted, newest first.

        46elks filters neither by direction nor by sender, so pages are read and filtered here, until there
        are enough, or the rest is older than `wanted.since`. `Listing.older_from` is where to continue.

        Args:
            limit: the most messages to return.
            wanted: which messages.
            most_pages: after how many pages the search stops.
        """
        filters = wanted.direction is not None or bool(wanted.parties)
        # One more than the limit shows where to continue.
        size = wire.PAGE_SIZE if filters else limit + 1
        pages = self._pages(size, most=most_pages, before=wanted.until)
        found: list[Message] = []
        while (
            len(found) < limit
            and not pages.are_older_than(wanted.since)
            and (new := await pages.read_next()) is not None
        ):
            found += [message for message in new if wanted.includes(message)]
        at_end = pages.ended or pages.are_older_than(wanted.since)
        left = next((each.created_at for each in found[limit:] if each.created_at), None)
        return Listing(
            messages=tuple(found[:limit]),
            complete=len(found) >= limit or at_end,
            older_from=left + OVERLAP if left else None if at_end else pages.before,
            unread=self._log_unread(row for row in pages.unread if wanted.may_include(row)),
            pages=most_pages - pages.left,
        )

    async def list_since(self, moment: datetime | None, kind: str = "") -> Listing:
        """Return all messages after a moment of 46elks' time, newest first; all of history if None.

        `kind`: only the history of one kind of order, with the digests of the pictures that were sent.

        A row that cannot be read is listed in `unread` unless it is certainly older. This relies on the order
        of history alone, not on a filter of 46elks. It stops after `most_pages` pages, with `complete` False.
        """
        pages = self._pages(wire.PAGE_SIZE, most=self._most_pages, kind=kind)
        found: list[Message] = []
        while (new := await pages.read_next()) is not None:
            found += new
            if pages.are_older_than(moment):
                break
        complete = pages.ended or pages.are_older_than(moment)
        newer = (row for row in pages.unread if not (moment and row.not_after and row.not_after < moment))
        if kind == MMS:
            found = [await self.images.add_digests(message) for message in found]
        return Listing(messages=tuple(found), complete=complete, unread=self._log_unread(newer))

    async def list_numbers(self, *, ended: bool = False) -> tuple[OwnNumber, ...]:
        """Return the account's own numbers. `ended`: also those whose rental has ended."""
        listed = wire.parse_numbers(await self._get("/numbers"))
        return tuple(each for each in listed if each.is_active or ended)

    async def configure_number(self, number: OwnNumber, change: NumberChange) -> None:
        """Change where 46elks sends what a number receives."""
        await self._ask(f"/numbers/{number.id}", wire.build_number(change))

    @property
    def skew(self) -> timedelta:
        """How far 46elks' clock is ahead of ours, as of its last answer."""
        return self.provider_clock.skew

    def _no_message(self, message_id: str) -> NotFound:
        """Return the error for an id that 46elks does not know."""
        if wire.is_picture_id(message_id) and not self._kinds.mms:
            return NotFound(
                "That is a picture message (MMS), which this server does not read.",
                hint="Its operator can add the toolset mms to ELKS_TOOLSETS.",
            )
        return NotFound(
            "46elks has no message with that id.",
            hint="Check the id; the account's history lists the latest messages.",
        )

    def _log_unread(self, rows: Iterable[UnreadRow]) -> tuple[UnreadRow, ...]:
        """Log rows of history that cannot be read, each once, and return them all."""
        unread = tuple(rows)
        if new := {row.mark for row in unread} - self._known.logged:
            log.warning("Unreadable rows of 46elks' history are left out: %d", len(new))
            self._known.logged |= new
        return unread

    async def _get_me(self) -> bytes:
        body = await self._get("/me")
        self._known.claims_sandbox = wire.parse_sandbox(body)
        return body

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        self._count()
        return await self._api.get(path, query)

    async def _ask(self, path: str, form: Mapping[str, str]) -> bytes:
        self._count()
        return await self._api.ask(path, form)

    def _pages(self, size: int, *, most: int, before: datetime | None = None, kind: str = "") -> HistoryPages:
        if kind or not self._kinds.mms:
            return OneHistory(self._page_reader(kind or SMS, size), most, before)
        histories = [OneHistory(self._page_reader(each, size), most, before) for each in (SMS, MMS)]
        return MergedHistories(histories, most)

    def _page_reader(self, kind: str, size: int) -> GetPage:
        async def get(before: datetime | None) -> Page:
            currency = await self.get_currency()
            query = wire.build_history_query(limit=size, before=before)
            return wire.parse_page(await self._get(ENDPOINTS[kind].path, query), currency)

        return get


class _SharedAnswers:
    """Answers of 46elks that all callers share."""

    def __init__(self) -> None:
        self.currency: str | None = None
        self.last_price: Money | None = None
        self.claims_sandbox = False
        self.logged: set[str] = set()
        """Marks of the unreadable rows of history that were logged already."""
