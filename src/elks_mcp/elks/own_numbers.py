"""The account's phone numbers: those the operator configured, and those that 46elks lists."""

import logging
from datetime import datetime, timedelta

import anyio

from elks_mcp.domain.models import AccountNumbers
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import ElksError
from elks_mcp.runtime.clock import Clock

log = logging.getLogger(__name__)

_GOOD_FOR, _RETRY_AFTER = timedelta(hours=1), timedelta(minutes=1)


class OwnNumbers:
    """Reads `GET /numbers` when it is needed and caches the answer for an hour.

    `configured` are the numbers in E.164 that the operator configured. They count as well, since 46elks does
    not list a mobile that its owner verified as a sender (https://46elks.com/docs/list-numbers).
    """

    def __init__(self, client: ElksClient, clock: Clock, configured: frozenset[str] = frozenset()) -> None:
        self._client = client
        self._clock = clock
        self.known = AccountNumbers(configured=configured)
        """The numbers as of the last successful reading."""
        self._reading = anyio.Lock()
        self._read_again_at: datetime | None = None

    async def read(self) -> AccountNumbers:
        """Return the account's numbers; if reading fails, the last ones, with `read_error`."""
        async with self._reading:
            now = self._clock.now()
            if self._read_again_at is None or not now < self._read_again_at <= now + _GOOD_FOR:
                self._read_again_at = now + await self._try_read()
            return self.known

    async def _try_read(self) -> timedelta:
        """Read the list, and return how long to wait before reading it again."""
        try:
            listed = frozenset(each.number for each in await self._client.list_numbers())
        except ElksError as error:
            log.warning("The account's numbers cannot be read: %s", error)
            self.known = self.known.model_copy(update={"read_error": str(error)})
            return _RETRY_AFTER
        self.known = self.known.model_copy(update={"listed": listed, "read_error": ""})
        return _GOOD_FOR
