"""Callers, what is stored about a number, 46elks' history, and the account: frozen values.

The values of an outgoing text (`Draft` to `Receipt`) are in `domain/orders.py`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import is_plain_number


class Frozen(BaseModel):
    """A value that cannot be changed, only replaced by another one."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Scope(StrEnum):
    """A permission of a caller."""

    READ = "read"
    """Read the account's texts, received ones included."""

    SEND = "send"
    """Send texts, follow the caller's own texts, and read the answers to them."""

    METRICS = "metrics"
    """Read the server's metrics at `/metrics`. This scope opens no tool."""


class Caller(Frozen):
    """The holder of a token, by the token's name; without tokens, anyone who reaches the server."""

    name: str = ""
    scopes: frozenset[Scope] = frozenset(Scope)
    agent: str = ""
    """Which assistant it is. Tokens of one agent share orders, idempotency keys, limits and taint."""

    token: str = ""
    """The token's id. Another token of the same name has another id."""


class Taint(Frozen):
    """The caller's model was shown texts from others than the recipient in the last 30 minutes."""

    created_at: AwareDatetime
    """When the oldest of these texts was written."""

    texted: int = 0
    """How many numbers, apart from the writers and the recipient, were texted in these 30 minutes."""


class OptOut(Frozen):
    """When a number opted out, or may have, and which text says so."""

    at: AwareDatetime
    message_id: str | None = None
    """46elks' id of that text; None if a person recorded the opt-out, or another account received it."""

    by_person: bool = False
    reason: Annotated[str, Field(repr=False)] = ""
    """The reason given by the person who recorded it."""


class Recall(Frozen):
    """Stored facts that matter for a draft."""

    opted_out: bool = False
    opt_out: OptOut | None = None
    """The opt-out, if more than the fact is known."""

    maybe_opted_out: OptOut | None = None
    """The latest text from the recipient, if it is likely to be an opt-out."""

    is_known: bool = False
    """Whether anything was ever sent to the recipient, or received from it."""

    texts_in_10_minutes: int = 0
    """How many texts to the recipient wait for a person, or went out in the last 10 minutes.

    If the recipient wrote within these 10 minutes, only later texts count.
    """

    texts_in_24_hours: int = 0
    """How many texts to the recipient wait for a person, or went out in the last 24 hours."""

    spent: int = 0
    """Charged or reserved in the last 24 hours, in ten-thousandths of the account's currency."""

    repeated: str | None = None
    """The id of an order for the same text to the same number, from the last 15 minutes."""

    unread: bool = False
    """Whether history held a row in the last 7 days that cannot be read and may be a STOP from any number."""

    first_sent_at: AwareDatetime | None = None
    """When the first text was sent to the recipient, if ever."""

    taint: Taint | None = None

    def counting(self, more: int) -> Self:
        """Return the same facts with more texts to the recipient, which go out at the same time."""
        if not more:
            return self
        later = {
            "texts_in_10_minutes": self.texts_in_10_minutes + more,
            "texts_in_24_hours": self.texts_in_24_hours + more,
        }
        return self.model_copy(update=later)


class Direction(StrEnum):
    """Which way a message went, seen from the account."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Message(Frozen):
    """A text in 46elks' history. `status` is 46elks' word, or "received" for inbound ones."""

    id: str
    direction: Direction
    sender: str
    to: str
    created_at: AwareDatetime | None
    status: str
    text: Annotated[str | None, Field(repr=False)] = None
    delivered_at: AwareDatetime | None = None
    cost: Money | None = None
    parts: int | None = None
    is_reply: bool = False
    """Whether 46elks sent it as the answer of a webhook."""

    is_picture: bool = False
    """Whether it is a picture message (MMS). `text` holds its words."""

    image_ids: tuple[str, ...] = ()
    """46elks' ids of its pictures, as far as they are known."""

    image_digests: tuple[str, ...] = ()
    """The SHA-1 of its pictures in hexadecimal, in the order of `image_ids`; empty if they were not read."""

    @property
    def sender_is_name(self) -> bool:
        """Whether the sender is a name, which the writer of the text chose, instead of a number."""
        return self.direction is Direction.INBOUND and not is_plain_number(self.sender)

    @property
    def party(self) -> str:
        """The number at the other end, or the name that its sender chose."""
        return self.sender if self.direction is Direction.INBOUND else self.to


class ImageFacts(Frozen):
    """The facts of one picture at 46elks."""

    digest: str
    """Its SHA-1 in hexadecimal; "" if that cannot be read."""

    size: int | None
    """Bytes."""


class UnreadRow(Frozen):
    """A row of history in which something that matters cannot be read."""

    mark: str
    """A hash of the whole row. It identifies the row even if its id cannot be read."""

    not_after: AwareDatetime | None
    """The time of the row above it, which is not older; None for the first row of a page."""

    is_left_out: bool
    """Whether it has no `Message`, because its id or its direction cannot be read."""

    may_be_stop: bool
    """Whether it may be a STOP that was not recorded, or one whose sender is unknown."""

    may_be_sent: bool
    """Whether it may be a text that the account sent."""


class Page(Frozen):
    """One page of history, newest first. `older_from` is where the next page starts, if any."""

    messages: tuple[Message, ...]
    older_from: datetime | None = None
    unread: tuple[UnreadRow, ...] = ()


class HistoryFilter(Frozen):
    """Which messages of history are wanted: all, unless a field says otherwise."""

    direction: Direction | None = None
    parties: tuple[str, ...] = ()
    """The numbers of the person at the other end, in E.164; empty for any person."""

    since: AwareDatetime | None = None
    """Only messages from this moment of 46elks' time on."""

    until: AwareDatetime | None = None
    """Only messages before this moment of 46elks' time."""

    def includes(self, message: Message) -> bool:
        """Return whether a message of a page before `until` is wanted. One without a time may be."""
        return (
            self.direction in {None, message.direction}
            and (not self.parties or message.party in self.parties)
            and not (self.since and message.created_at and message.created_at < self.since)
        )

    def may_include(self, row: UnreadRow) -> bool:
        """Return whether a row that cannot be read may be a wanted message."""
        if self.since and row.not_after and row.not_after < self.since:
            return False
        return {Direction.INBOUND: row.may_be_stop, Direction.OUTBOUND: row.may_be_sent, None: True}[
            self.direction
        ]


EVERYTHING = HistoryFilter()


class Listing(Frozen):
    """Messages found in history, newest first."""

    messages: tuple[Message, ...]
    complete: bool = True
    """Whether the search ended by itself, and not after the most pages."""

    older_from: datetime | None = None
    """The moment before which there may be more that is wanted; None if there is nothing more."""

    unread: tuple[UnreadRow, ...] = ()
    pages: int = 0
    """How many pages of history were read."""

    @property
    def left_out(self) -> int:
        """How many rows are missing from `messages`, because they cannot be read."""
        return sum(row.is_left_out for row in self.unread)


class AccountNumbers(Frozen):
    """The account's own numbers in E.164, as far as they are known."""

    configured: frozenset[str] = frozenset()
    """The numbers in `ELKS_PHONE_NUMBER` and `ELKS_ALLOWED_SENDERS`."""

    listed: frozenset[str] | None = None
    """The numbers that 46elks lists; None if the list was never read."""

    read_error: str = ""
    """Why the last attempt to read the list failed, if it did."""

    def __contains__(self, number: str) -> bool:
        """Return whether a number is one of the account's own."""
        return number in self.configured or number in (self.listed or ())


class Account(Frozen):
    """The account's id and balance. The holder's name, e-mail and phone are not read."""

    id: str
    balance: Money
