"""What others wrote to the account, as far as it bears on sending: who said STOP, who is known.

Before a text really goes out 46elks' history is read from where it was read before. Whoever reads
history for another reason lets the inbox hear it too.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import anyio

from elks_mcp.client import ElksClient
from elks_mcp.clock import Clock
from elks_mcp.models import Direction, Message, Report
from elks_mcp.opt_out import OptWord, find_word
from elks_mcp.store import Storage

log = logging.getLogger(__name__)

FRESH = timedelta(seconds=60)
"""How long a look is good for."""

_OVERLAP = timedelta(minutes=2)
"""How far a look goes back behind the last: what is slow to appear has an earlier time."""


class Inbox:
    """Listens to history."""

    def __init__(self, client: ElksClient, storage: Storage, clock: Clock) -> None:
        self._client = client
        self._storage = storage
        self._clock = clock
        self._looking = anyio.Lock()
        self._looked_at: datetime | None = None

    async def look(self) -> None:
        """Read what is new, unless this process just did.

        Raises:
            ProviderError: history cannot be read; then nobody knows who said STOP, and nothing is sent.
            StateUnavailable, Misconfigured: it cannot be remembered.
        """
        async with self._looking:
            now = self._clock.now()
            if self._looked_at and timedelta() <= now - self._looked_at < FRESH:
                return
            people = (await self._storage.open()).people
            heard_until = await people.heard_until()
            listing = await self._client.list_since(heard_until - _OVERLAP if heard_until else None)
            if not listing.complete:
                log.warning("history is longer than is read: an older STOP is not known")
            theirs = now + self._client.skew
            newest = max((each.created_at for each in listing.messages if each.created_at), default=theirs)
            await people.hear(listing.messages, until=newest)
            self._looked_at = now

    async def hear(self, messages: Sequence[Message]) -> None:
        """Take note of messages that were read for another reason, if anything is remembered here yet.

        A STOP opens the store, so that other processes hear of it too.
        """
        if self._storage.is_open or (self._storage.exists and any(map(_is_stop, messages))):
            store = await self._storage.open()
            await store.people.hear(messages)
            if arrived := [_report(each) for each in messages if each.status in _LAST_WORDS]:
                await store.reports.hear(arrived)


def _is_stop(message: Message) -> bool:
    inbound = message.direction is Direction.INBOUND
    return inbound and find_word(message.text or "") is OptWord.STOP


_LAST_WORDS = frozenset({"delivered", "failed"})


def _report(message: Message) -> Report:
    return Report(message_id=message.id, status=message.status)
