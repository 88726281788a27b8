"""The messages of the account and its history, read backwards in time."""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal
from uuid import uuid4

MessageDirection = Literal["outgoing", "incoming", "outgoing-reply"]
MessageStatus = Literal["created", "sent", "delivered", "failed"]

PAGE_LIMIT = 100
_ORDER = count()


def new_id(kind: str) -> str:
    """Make an id as 46elks does: a letter for the *kind* and 32 hexadecimal digits."""
    return kind + uuid4().hex


def to_milliseconds(at: datetime) -> datetime:
    """Round *at* to the whole milliseconds that 46elks stores."""
    return at.replace(microsecond=0) + timedelta(milliseconds=round(at.microsecond / 1000))


@dataclass(slots=True, eq=False)
class StoredMessage:
    """One SMS as the account's log holds it.

    ``created_at`` is as exact as the clock that made it; only the answer to the POST shows it in full.
    ``cost`` is in ten-thousandths of the account's currency. Incoming messages have no ``status``.
    """

    direction: MessageDirection
    sender: str
    to: str
    text: str
    created_at: datetime
    parts: int
    cost: int
    status: MessageStatus | None = None
    delivered_at: datetime | None = None
    flash: bool = False
    dontlog: bool = False
    whendelivered: str | None = None
    id: str = field(default_factory=lambda: new_id("s"))
    order: int = field(default_factory=_ORDER.__next__, repr=False)

    @property
    def stored_at(self) -> datetime:
        """When it was created, to the millisecond: what history shows, sorts and compares by."""
        return to_milliseconds(self.created_at)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One answer of history, newest first, and where the next older page starts."""

    messages: list[StoredMessage]
    next: datetime | None


class MessageLog:
    """Every message of the account, incoming and outgoing."""

    def __init__(self) -> None:
        self._messages: list[StoredMessage] = []

    def __iter__(self) -> Iterator[StoredMessage]:
        """Go through the messages, oldest first."""
        return iter(self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: StoredMessage) -> None:
        """Put *message* where its time belongs."""
        insort(self._messages, message, key=lambda m: (m.stored_at, m.order))

    def find(self, message_id: str) -> StoredMessage | None:
        """Return the message with this id, or None."""
        return next((message for message in self._messages if message.id == message_id), None)

    def delete(self, message: StoredMessage) -> None:
        """Forget *message*."""
        self._messages.remove(message)

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()

    def page(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        to: str | None = None,
        limit: int = PAGE_LIMIT,
        hidden_since: datetime | None = None,
    ) -> HistoryPage:
        """Read one page, newest first.

        *start* is the newer bound and *end* the older one, both exclusive (docs/sms-history). ``next`` is the
        time of the page's last message. As *start* means strictly before, messages of that very millisecond
        that did not fit on the page are never shown: a client has to overlap its pages to see them.
        Outgoing messages from *hidden_since* on are left out, as by a history that lags.
        """
        found = [
            message
            for message in reversed(self._messages)
            if (start is None or message.stored_at < start)
            and (end is None or message.stored_at > end)
            and (to is None or message.to == to)
            and not is_hidden(message, hidden_since)
        ]
        shown = found[: max(1, min(limit, PAGE_LIMIT))]
        return HistoryPage(shown, shown[-1].stored_at if len(found) > len(shown) else None)


def is_hidden(message: StoredMessage, since: datetime | None) -> bool:
    """Tell whether a history that lags, and shows nothing sent from *since* on, leaves out *message*."""
    return since is not None and message.direction != "incoming" and message.created_at > since


def parse_time(written: str) -> datetime:
    """Read a time as 46elks takes it: ISO 8601, UTC, with or without fraction and ``Z``.

    Raises:
        ValueError: it is not a time.
    """
    at = datetime.fromisoformat(written)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def format_time(at: datetime) -> str:
    """Write *at* as 46elks writes ``created`` and ``next``: microseconds, UTC, no zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def format_seconds(at: datetime) -> str:
    """Write *at* as 46elks writes ``delivered`` in history: whole seconds and a ``Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
