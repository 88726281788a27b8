"""A cache of incoming texts from webhooks, in memory, for the calls that wait for them.

46elks may take a while to show a text in its history, so the text is taken from its webhook.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from elks_mcp.domain.models import Message
from elks_mcp.runtime.clock import Clock
from elks_mcp.store import Arrival, Wanted

_MAX_TEXTS, _KEPT_FOR = 1000, timedelta(minutes=10)
"""How many texts are kept in memory, and for how long."""


class PendingRead:
    """A call that waits for a text. Until it sets `wanted`, every text counts as wanted."""

    def __init__(self) -> None:
        self.wanted = Wanted()


class ReceivedTexts:
    """Keeps at most 1,000 incoming texts, each until it was read or for 10 minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._texts: OrderedDict[str, tuple[datetime, Message]] = OrderedDict()
        """By 46elks' id: when the text was received here, and the text."""
        self._pending: set[PendingRead] = set()
        self._read: dict[str, Arrival] = {}
        """Texts of `_texts` that a call has returned, by 46elks' id."""

    def add(self, messages: Iterable[Message]) -> None:
        """Keep texts that were just received, in place of the oldest if there are too many."""
        now = self._clock.now()
        for message in messages:
            self._texts[message.id] = now, message
            self._texts.move_to_end(message.id)
        while len(self._texts) > _MAX_TEXTS:
            self._texts.popitem(last=False)

    def find(self, message_id: str) -> Message | None:
        """Return a text by 46elks' id; None if it is not stored here, or no longer."""
        _, message = self._texts.get(message_id, (None, None))
        return message

    @contextmanager
    def pending_read(self) -> Iterator[PendingRead]:
        """Keep what a call waits for until the context ends, even if another call reads it."""
        pending = PendingRead()
        self._pending.add(pending)
        try:
            yield pending
        finally:
            self._pending.remove(pending)
            self._delete_read()

    def mark_read(self, arrival: Arrival) -> None:
        """Record that a call returns a text. It is deleted once no other call waits for it."""
        self._read[arrival.message_id] = arrival

    def delete_expired(self) -> None:
        """Delete the texts that were received more than 10 minutes ago."""
        limit = self._clock.now() - _KEPT_FOR
        for id_ in [id_ for id_, (at, _) in self._texts.items() if at <= limit]:
            del self._texts[id_]

    def _delete_read(self) -> None:
        for arrival in list(self._read.values()):
            if not any(pending.wanted.is_met_by(arrival) for pending in self._pending):
                del self._read[arrival.message_id]
                self._texts.pop(arrival.message_id, None)
