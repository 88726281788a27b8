"""46elks' history, read for opt-outs and for the numbers that were texted before.

Before a live text goes out, history is read from the point that the last read reached. Messages read for
another reason are recorded as well.
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
"""The age up to which a read of history suffices before a text goes out."""

_OVERLAP = timedelta(minutes=2)
"""How far a read reaches back before the last one, for messages that were slow to appear."""


class HistoryReader:
    """Reads 46elks' history into the store, and answers what it says about incoming texts."""

    def __init__(
        self, client: ElksClient, storage: Storage, clock: Clock, *, hides_unknown: bool = False
    ) -> None:
        self._client = client
        self._storage = storage
        self._clock = clock
        self.hides_unknown = hides_unknown
        """Whether texts from numbers that were never texted stay hidden."""
        self._refreshing = anyio.Lock()
        self._refreshed_at: datetime | None = None

    async def refresh(self, good_for: timedelta = FRESH) -> None:
        """Record new messages, unless this or another process did so within `good_for`.

        Raises:
            ProviderError: history cannot be read. New opt-outs are then unknown, so nothing may be sent.
            StateUnavailable, Misconfigured: the state cannot be used.
        """
        async with self._refreshing:
            now = self._clock.now()
            if self._refreshed_at and timedelta() <= now - self._refreshed_at < good_for:
                return
            events = (await self._storage.open()).inbound
            last = await events.find_position()
            if last.age is not None and timedelta() <= last.age < good_for:
                self._refreshed_at = now - last.age
                return
            listing = await self._client.list_since(last.until - _OVERLAP if last.until else None)
            if not listing.complete:
                log.warning("History is longer than is read, so older opt-outs are not known.")
            provider_now = now + self._client.skew
            newest = max(
                (each.created_at for each in listing.messages if each.created_at), default=provider_now
            )
            has_gaps = any(row.may_be_stop for row in listing.unread)
            until = min(newest, provider_now)  # a time in the future would skip the messages before it
            await events.record(listing.messages, until=until, at=last.now, has_gaps=has_gaps)
            self._refreshed_at = now

    async def read_words(self, messages: Sequence[Message]) -> dict[str, OptWord]:
        """Return by id which of these texts opt out, or may; works without a stored state, too."""
        if not any(find_opt_word(each.text or "") for each in messages if _is_inbound(each)):
            return {}
        if self._storage.exists:
            return await (await self._storage.open()).opt_outs.read_words(messages)
        return find_opt_words(messages, self._clock.now(), lambda _, __: LastSent())

    async def find_replies(self, messages: Sequence[Message]) -> frozenset[str]:
        """Return the ids of incoming texts whose sender was texted before."""
        inbound = [each for each in messages if _is_inbound(each) and is_e164(each.sender)]
        if not inbound:
            return frozenset()
        answers = find_replies(messages, self._clock.now())
        if not self._storage.exists:
            return answers
        return await (await self._storage.open()).arrivals.find_replies(inbound, answers)

    async def record(self, messages: Sequence[Message]) -> None:
        """Record messages that were read for another reason, if the store is open.

        If the state exists, an opt-out, also a possible one, opens the store, so that other processes learn
        of it.
        """
        if self._storage.is_open or (self._storage.exists and any(map(_may_opt_out, messages))):
            await (await self._storage.open()).inbound.record(messages)

    async def without_hidden(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Return the messages that an assistant may read.

        Raises:
            ProviderError, StateUnavailable, Misconfigured: it is not known which numbers were texted.
        """
        if not self.hides_unknown:
            return tuple(messages)
        await self.refresh()  # which also records the numbers that were texted
        senders = {each.sender for each in messages if _is_inbound(each)}
        known = await (await self._storage.open()).arrivals.find_known(senders)
        return tuple(each for each in messages if each.sender in known or not _is_inbound(each))


def _may_opt_out(message: Message) -> bool:
    return _is_inbound(message) and find_opt_word(message.text or "") in {OptWord.STOP, OptWord.MAYBE}


def _is_inbound(message: Message) -> bool:
    return message.direction is Direction.INBOUND
