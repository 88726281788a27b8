"""Callers, what is remembered about a number, 46elks' history and the account, each a frozen value.

What is on its way out (`Draft` to `Receipt`) is in `domain/orders.py`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import is_plain_number


class Frozen(BaseModel):
    """A value that cannot be changed, only replaced by another."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Scope(StrEnum):
    """What a caller may do."""

    READ = "read"
    """See the account's texts, its inbox included."""

    SEND = "send"
    """Text, follow one's own texts, and read the answers to them."""

    METRICS = "metrics"
    """Read figures about the server, at `/metrics`. Opens no tool."""


class Caller(Frozen):
    """Who calls: the holder of a token, by the name it was made for; or, without any, whoever reaches us."""

    name: str = ""
    scopes: frozenset[Scope] = frozenset(Scope)
    agent: str = ""
    """Which assistant it is. Tokens of one agent share orders, keys, limits, and what a model was shown."""

    token: str = ""
    """The token's number; another token of the same name has another."""


class Taint(Frozen):
    """The caller's model was shown texts of others than the recipient in the last 30 minutes."""

    created_at: AwareDatetime
    """When the oldest of them was written."""

    texted: int = 0
    """How many others than their writers and the recipient were texted in these 30 minutes."""


class OptOut(Frozen):
    """When somebody opted out, or may have, and where that can be read."""

    at: AwareDatetime
    message_id: str | None = None
    """46elks' id of the text that says so; None if a person recorded it, or another account received it."""

    by_person: bool = False
    reason: Annotated[str, Field(repr=False)] = ""
    """What the person said who recorded it."""


class Recall(Frozen):
    """What is remembered that bears on a draft."""

    opted_out: bool = False
    opt_out: OptOut | None = None
    """The opt-out, if more is known about it."""

    maybe_opted_out: OptOut | None = None
    """The latest text from the recipient, if it is likely an opt-out."""

    is_known: bool = False
    """Something was ever sent to the recipient, or received from it."""

    lately: int = 0
    """Texts to the recipient that wait for a person, or of the last 10 minutes, or since it last wrote."""

    today: int = 0
    """Texts to the recipient that wait for a person, or of the last 24 hours."""

    spent: int = 0
    """Charged or reserved in the last 24 hours, in ten-thousandths of the account's currency."""

    repeated: str | None = None
    """The order that was placed for the same text to the same number a short while ago."""

    unread: bool = False
    """A row of history could not be read in the last days, and it may be a STOP, whoever's."""

    first_sent_at: AwareDatetime | None = None
    """When something was first sent to the recipient, if ever."""

    taint: Taint | None = None


class Direction(StrEnum):
    """Which way a message went, seen from the account."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Message(Frozen):
    """A text in 46elks' history. `status` is 46elks' word, or "received" for an inbound one."""

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
    """Sent by 46elks by itself, as the answer of a webhook."""

    is_picture: bool = False
    """A picture message (MMS). `text` is what it says besides; the pictures are not read."""

    @property
    def sender_is_name(self) -> bool:
        """Whether the sender is not a number but a name, which the writer of the text chose."""
        return self.direction is Direction.INBOUND and not is_plain_number(self.sender)


class UnreadRow(Frozen):
    """A row of history of which something that matters cannot be read."""

    mark: str
    """Which row: a hash of what it holds, since its id may be what cannot be read."""

    not_after: AwareDatetime | None
    """The time of the row above it, which is no older; None if it is the first of its page."""

    is_left_out: bool
    """Whether there is no message of it: its id or its direction cannot be read."""

    may_be_stop: bool
    """Whether it may be a STOP of which we do not know, or not from whom."""

    may_be_sent: bool
    """Whether it may be any text that was sent."""


class Page(Frozen):
    """One page of history, newest first. `older_from` is where the next one starts, if there is one."""

    messages: tuple[Message, ...]
    older_from: datetime | None = None
    unread: tuple[UnreadRow, ...] = ()


class Listing(Frozen):
    """Messages found in history, newest first.

    `complete` unless the search stopped before the end; then `older_from` is the moment to go on from.
    """

    messages: tuple[Message, ...]
    complete: bool = True
    older_from: datetime | None = None
    unread: tuple[UnreadRow, ...] = ()

    @property
    def left_out(self) -> int:
        """How many rows have no message here, since they cannot be read."""
        return sum(row.is_left_out for row in self.unread)


class OwnNumber(Frozen):
    """A number of the account's. `tells`: the address that is told of its incoming texts, or an action."""

    id: str
    number: str
    tells: Annotated[str, Field(repr=False)] = ""


class AccountNumbers(Frozen):
    """The account's own numbers, in E.164, as far as they are known."""

    configured: frozenset[str] = frozenset()
    """Those the operator named: `ELKS_PHONE_NUMBER`, `ELKS_ALLOWED_SENDERS`."""

    listed: frozenset[str] | None = None
    """Those 46elks lists; None if the list was never read."""

    fault: str = ""
    """Why the list could not be read the last time, if so."""

    def __contains__(self, number: str) -> bool:
        """Whether a number is one of them."""
        return number in self.configured or number in (self.listed or ())


class Account(Frozen):
    """What the account holds. The holder's name, e-mail and phone are not read."""

    id: str
    balance: Money
