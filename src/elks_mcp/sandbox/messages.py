"""The account's messages, and the pages of its history, newest first."""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal
from uuid import uuid4

from elks_mcp.sandbox.pictures import Picture

MessageDirection = Literal["outgoing", "incoming", "outgoing-reply"]
MessageStatus = Literal["created", "sent", "delivered", "failed"]

PAGE_LIMIT = 100
_ORDER = count()


def new_id(kind: str) -> str:
    """Return a new id in 46elks' form: a letter for the `kind` and 32 hexadecimal digits."""
    return kind + uuid4().hex


def to_milliseconds(at: datetime) -> datetime:
    """Return `at` rounded to the whole milliseconds that 46elks stores."""
    return at.replace(microsecond=0) + timedelta(milliseconds=round(at.microsecond / 1000))


@dataclass(slots=True, eq=False)
class StoredMessage:
    """One SMS or MMS in the account's log.

    `created_at` has the clock's precision, which only the answer to the POST shows. `cost` is in
    ten-thousandths of the account's currency. Incoming messages have no `status`. `reached` has the time of
    each status after `created`.
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
    reached: dict[MessageStatus, datetime] = field(default_factory=dict)
    flash: bool = False
    dontlog: bool = False
    is_unlisted: bool = False
    """Whether history does not have it."""
    whendelivered: str | None = None
    subaccount: str = ""
    """The id of the subaccount that sent it; "" for the account itself, and for incoming messages."""
    pictures: tuple[Picture, ...] = ()
    """The pictures of an MMS, which may have none."""
    is_mms: bool = False
    id: str = ""
    """By default a new one, of the kind."""
    order: int = field(default_factory=_ORDER.__next__, repr=False)

    def __post_init__(self) -> None:
        self.id = self.id or new_id("m" if self.is_mms else "s")

    @property
    def picture_ids(self) -> list[str]:
        """The id of each picture (docs/show-mms-id)."""
        return [f"{self.id}-i{index}" for index in range(len(self.pictures))]

    @property
    def stored_at(self) -> datetime:
        """The creation time to the millisecond, which history shows, sorts and filters by."""
        return to_milliseconds(self.created_at)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page of history, newest first, and the start of the next older page."""

    messages: list[StoredMessage]
    next: datetime | None


class MessageLog:
    """Every message of the account, incoming and outgoing."""

    def __init__(self) -> None:
        self._messages: list[StoredMessage] = []

    def __iter__(self) -> Iterator[StoredMessage]:
        """Iterate over the messages, oldest first."""
        return iter(self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: StoredMessage) -> None:
        """Insert `message` at the position of its time."""
        insort(self._messages, message, key=lambda m: (m.stored_at, m.order))

    def find(self, message_id: str) -> StoredMessage | None:
        """Return the message with this id, or None."""
        return next((message for message in self._messages if message.id == message_id), None)

    def only(self, *, sms: bool = False, mms: bool = False) -> "MessageLog":
        """Return a log with the same messages, of these kinds only."""
        kept = MessageLog()
        kept._messages = [message for message in self._messages if (mms if message.is_mms else sms)]
        return kept

    def delete(self, message: StoredMessage) -> None:
        """Delete `message`."""
        self._messages.remove(message)

    def clear(self) -> None:
        """Delete all messages."""
        self._messages.clear()

    def page(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        to: str | None = None,
        limit: int = PAGE_LIMIT,
        hidden_since: datetime | None = None,
        only_of: str | None = None,
    ) -> HistoryPage:
        """Return one page, newest first.

        `start` is the newer bound and `end` the older one, both exclusive (docs/sms-history). `next` is the
        time of the page's last message. Since `start` is exclusive, a message of that millisecond that did
        not fit on the page is on no page: a client has to overlap its pages to see it. Outgoing messages from
        `hidden_since` on are left out, as in a history that lags. `only_of` is the id of a subaccount whose
        messages are all that it shows.
        """
        found = [
            message
            for message in reversed(self._messages)
            if (start is None or message.stored_at < start)
            and (end is None or message.stored_at > end)
            and (to is None or message.to == to)
            and (only_of is None or message.subaccount == only_of)
            and not is_hidden(message, hidden_since)
        ]
        shown = found[: max(1, min(limit, PAGE_LIMIT))]
        return HistoryPage(shown, shown[-1].stored_at if len(found) > len(shown) else None)


def is_hidden(message: StoredMessage, since: datetime | None) -> bool:
    """Return whether a history that lacks what was sent after `since` lacks `message`."""
    if message.is_unlisted:
        return True
    return since is not None and message.direction != "incoming" and message.created_at > since


def parse_time(written: str) -> datetime:
    """Read a time that 46elks accepts: ISO 8601, UTC, with or without fraction and `Z`.

    Raises:
        ValueError: `written` is not a time.
    """
    at = datetime.fromisoformat(written)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def format_time(at: datetime) -> str:
    """Return `at` as 46elks writes `created` and `next`: microseconds, UTC, no zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def format_seconds(at: datetime) -> str:
    """Return `at` as 46elks writes `delivered` in history: whole seconds and a `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
