"""The calls to 46elks that are free: prices, history, account, numbers."""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta

from elks_mcp.domain.kinds import SMS
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
from elks_mcp.elks.paid_endpoints import ENDPOINTS, DryRunPrice, Endpoints
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

_OVERLAP = timedelta(milliseconds=1)
"""Pages overlap, since `next` is a moment that several messages can share."""

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
    ) -> None:
        self._api = api
        self._count = count
        self._known = known or _SharedAnswers()
        self._most_pages = most_pages
        self._endpoints = endpoints

    def counted(self, count: Callable[[], None]) -> "ElksClient":
        """Return this client for one caller.

        `count` is called before each request, and may refuse it.
        """
        return ElksClient(
            self._api, count, self._known, most_pages=self._most_pages, endpoints=self._endpoints
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
        try:
            return wire.parse_message(await self._get(f"/sms/{message_id}"), currency)
        except Rejected as error:
            if error.status != 404:  # noqa: PLR2004
                raise
            if wire.is_picture_id(message_id):
                raise NotFound(
                    "That is a picture message (MMS), which this server cannot show yet.",
                    hint="Open it on 46elks.com.",
                ) from None
            raise NotFound(
                "46elks has no message with that id.",
                hint="Check the id; the account's history lists the latest messages.",
            ) from None

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
            older_from=left + _OVERLAP if left else None if at_end else pages.before,
            unread=self._log_unread(row for row in pages.unread if wanted.may_include(row)),
            pages=most_pages - pages.left,
        )

    async def list_since(self, moment: datetime | None) -> Listing:
        """Return all messages after a moment of 46elks' time, newest first; all of history if None.

        A row that cannot be read is listed in `unread` unless it is certainly older. This relies on the order
        of history alone, not on a filter of 46elks. It stops after `most_pages` pages, with `complete` False.
        """
        pages = self._pages(wire.PAGE_SIZE, most=self._most_pages)
        found: list[Message] = []
        while (new := await pages.read_next()) is not None:
            found += new
            if pages.are_older_than(moment):
                break
        complete = pages.ended or pages.are_older_than(moment)
        newer = (row for row in pages.unread if not (moment and row.not_after and row.not_after < moment))
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
        return self._api.skew

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

    def _pages(self, size: int, *, most: int, before: datetime | None = None) -> "_Pages":
        async def get(before: datetime | None) -> Page:
            currency = await self.get_currency()
            query = wire.build_history_query(limit=size, before=before)
            return wire.parse_page(await self._get("/sms", query), currency)

        return _Pages(get, most, before)


class _SharedAnswers:
    """Answers of 46elks that all callers share."""

    def __init__(self) -> None:
        self.currency: str | None = None
        self.last_price: Money | None = None
        self.claims_sandbox = False
        self.logged: set[str] = set()
        """Marks of the unreadable rows of history that were logged already."""


class _Pages:
    """Reads history by pages, newest first, each message once; `before` starts the next page."""

    def __init__(
        self, get: Callable[[datetime | None], Awaitable[Page]], most: int, before: datetime | None
    ) -> None:
        self._get = get
        self._read: set[str] = set()
        self.left = most
        """How many pages may still be read."""
        self.before = before
        self._unread: dict[str, UnreadRow] = {}
        self.older_from: datetime | None = None
        """No message that was not read yet is newer than this moment."""
        self.ended = False
        """Whether the end of history was reached."""

    def are_older_than(self, moment: datetime | None) -> bool:
        """Return whether every message that was not read yet is older than a moment."""
        return moment is not None and self.older_from is not None and self.older_from < moment

    async def read_next(self) -> list[Message] | None:
        """Return the new messages of the next page; None at the end, or after the most pages."""
        if self.ended or not self.left:
            return None
        page = await self._get(self.before)
        new = {message.id: message for message in page.messages if message.id not in self._read}
        self._read |= new.keys()
        self._unread = {row.mark: row for row in page.unread} | self._unread
        self.older_from = page.older_from
        self.left -= 1
        self._move_on(page.older_from, repeated=not new)
        return list(new.values())

    @property
    def unread(self) -> Iterable[UnreadRow]:
        """The rows that could not be read, each once although pages overlap."""
        return self._unread.values()

    def _move_on(self, older_from: datetime | None, *, repeated: bool) -> None:
        if older_from is None:
            self.ended = True
        elif repeated and self.before == older_from:
            self.left = 0  # 46elks returned the same page again, and would forever
        else:
            # If the overlap brought nothing new, more messages than fit on a page share one moment.
            self.before = older_from if repeated else older_from + _OVERLAP
