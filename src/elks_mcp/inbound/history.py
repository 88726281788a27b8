"""What others wrote to the account, as far as it bears on sending: who said STOP, who is known.

Before a text really goes out 46elks' history is read from where it was read before. Whoever reads
history for another reason lets the inbox hear it too.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import anyio

from elks_mcp.domain.conversation import LastSent, find_opt_words, find_replies
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.opt_outs import OptWord, find_opt_word
from elks_mcp.domain.phone import is_e164
from elks_mcp.elks.client import ElksClient
from elks_mcp.runtime.clock import Clock
from elks_mcp.store import Storage

log = logging.getLogger(__name__)

FRESH = timedelta(seconds=60)
"""How long a look is good for before a text goes out."""

_OVERLAP = timedelta(minutes=2)
"""How far a look goes back behind the last: what is slow to appear has an earlier time."""


class HistoryReader:
    """Listens to history."""

    def __init__(
        self, client: ElksClient, storage: Storage, clock: Clock, *, hides_unknown: bool = False
    ) -> None:
        self._client = client
        self._storage = storage
        self._clock = clock
        self.hides_unknown = hides_unknown
        """Whether texts from numbers that nothing was ever sent to stay hidden."""
        self._looking = anyio.Lock()
        self._looked_at: datetime | None = None

    async def refresh(self, good_for: timedelta = FRESH) -> None:
        """Read what is new, unless this process or another did so a short while ago.

        Raises:
            ProviderError: history cannot be read; then nobody knows who said STOP, and nothing is sent.
            StateUnavailable, Misconfigured: it cannot be remembered.
        """
        async with self._looking:
            now = self._clock.now()
            if self._looked_at and timedelta() <= now - self._looked_at < good_for:
                return
            events = (await self._storage.open()).inbound
            heard = await events.find_position()
            if heard.age is not None and timedelta() <= heard.age < good_for:
                self._looked_at = now - heard.age
                return
            listing = await self._client.list_since(heard.until - _OVERLAP if heard.until else None)
            if not listing.complete:
                log.warning("history is longer than is read: an older STOP is not known")
            theirs = now + self._client.skew
            newest = max((each.created_at for each in listing.messages if each.created_at), default=theirs)
            has_gaps = any(row.may_be_stop for row in listing.unread)
            until = min(newest, theirs)  # a time that is yet to come would pass over what comes before it
            await events.record(listing.messages, until=until, at=heard.now, has_gaps=has_gaps)
            self._looked_at = now

    async def read_words(self, messages: Sequence[Message]) -> dict[str, OptWord]:
        """Return which of these texts opt out, or may, by their ids; also if nothing is remembered yet."""
        if not any(find_opt_word(each.text or "") for each in messages if _is_inbound(each)):
            return {}
        if self._storage.exists:
            return await (await self._storage.open()).opt_outs.read_words(messages)
        return find_opt_words(messages, self._clock.now(), lambda _, __: LastSent())

    async def find_replies(self, messages: Sequence[Message]) -> frozenset[str]:
        """Return the ids of received texts whose sender was texted before, by all that is known."""
        inbound = [each for each in messages if _is_inbound(each) and is_e164(each.sender)]
        if not inbound:
            return frozenset()
        answers = find_replies(messages, self._clock.now())
        if not self._storage.exists:
            return answers
        return await (await self._storage.open()).arrivals.find_replies(inbound, answers)

    async def record(self, messages: Sequence[Message]) -> None:
        """Take note of messages that were read for another reason, if anything is remembered here yet.

        What opts out, or may, opens the store, so that other processes hear of it too.
        """
        if self._storage.is_open or (self._storage.exists and any(map(_may_opt_out, messages))):
            await (await self._storage.open()).inbound.record(messages)

    async def without_hidden(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Leave out what an assistant may not read.

        Raises:
            ProviderError, StateUnavailable, Misconfigured: nobody knows who was written to.
        """
        if not self.hides_unknown:
            return tuple(messages)
        await self.refresh()  # which also tells who was ever written to
        senders = {each.sender for each in messages if _is_inbound(each)}
        known = await (await self._storage.open()).arrivals.find_known(senders)
        return tuple(each for each in messages if each.sender in known or not _is_inbound(each))


def _may_opt_out(message: Message) -> bool:
    return _is_inbound(message) and find_opt_word(message.text or "") in {OptWord.STOP, OptWord.MAYBE}


def _is_inbound(message: Message) -> bool:
    return message.direction is Direction.INBOUND
