"""The things this product is about, each a frozen value.

A message becomes more certain in steps: Draft → Quote → Approval → Order → Receipt. What
46elks keeps of it afterwards is a Message.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import Number, Sender, is_plain_number
from elks_mcp.domain.text import Encoding, Size


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


class Draft(Frozen):
    """What somebody wants sent; well-formed, and nothing more is known."""

    to: Number
    text: Annotated[str, Field(repr=False)]
    sender: Sender
    flash: bool = False
    idempotency_key: str | None = None
    caller: str = ""
    """By whose name; the same text, or key, of two callers is two texts, or keys."""

    asks: bool = False
    """Whether an answer is waited for, however the text is worded."""


class Effect(StrEnum):
    """What a guard wants done about what it found."""

    REFUSE = "refuse"
    ASK = "ask"
    WARN = "warn"


class Finding(Frozen):
    """What one guard has to say about one draft."""

    guard: str
    effect: Effect
    reason: Annotated[str, Field(repr=False)]
    quote: Annotated[str, Field(repr=False)] = ""
    """The stranger's words that it is about: cleaned, one short line; kept only while a person is asked."""

    @property
    def in_words(self) -> str:
        """The reason, with the quotation."""
        return f'{self.reason} They wrote: "{self.quote}"' if self.quote else self.reason


class Estimate(Frozen):
    """What 46elks says a text would cost. `parts` is its own count, where it gives one."""

    price: Money
    parts: int | None = None


class Quote(Frozen):
    """A draft with its price and what the guards found. A dry run ends here."""

    draft: Draft
    size: Size
    estimate: Estimate
    findings: tuple[Finding, ...]
    quoted_at: AwareDatetime

    @property
    def parts(self) -> int:
        """How many parts it is billed as: by 46elks' count, or ours where it gives none."""
        return self.estimate.parts or self.size.parts


def of_effect(findings: tuple[Finding, ...], effect: Effect) -> tuple[Finding, ...]:
    """List the findings of one effect, in the guards' order."""
    return tuple(finding for finding in findings if finding.effect is effect)


class Approver(StrEnum):
    """Who agrees that a quote is sent: policy by itself, a person at the client, or one in a terminal."""

    POLICY = "policy"
    PERSON = "person"
    TERMINAL = "terminal"


class Approval(Frozen):
    """Who has to agree to exactly one quote: its recipient, sender, text and price.

    Policy agrees by making one; for a person the order waits.
    """

    quote: Quote
    approver: Approver


class OrderState(StrEnum):
    """Where an order is on its way out."""

    WAITING = "waiting"
    """For a person's yes."""

    QUEUED = "queued"
    SENDING = "sending"
    IN_DOUBT = "in doubt"
    """46elks may have taken it or not; history is being read to find out."""

    UNKNOWN = "unknown"
    """It cannot be found out; a person decides."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


UNFINISHED = frozenset({OrderState.WAITING, OrderState.QUEUED, OrderState.SENDING, OrderState.IN_DOUBT})
"""What a server still has to do something about."""

ACCEPTED = frozenset({OrderState.SENT, OrderState.DELIVERED, OrderState.FAILED})
"""46elks took it and charged for it."""

NEVER_SENT = frozenset({OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED})
"""Nothing went out and nothing will."""


class Receipt(Frozen):
    """46elks' word that it accepted a text and charged for it."""

    message_id: str
    status: str
    created_at: AwareDatetime | None = None
    cost: Money | None = None
    parts: int | None = None


class Order(Frozen):
    """An approved quote on its way out, or one that waits for approval."""

    id: str
    state: OrderState
    to: Number | None
    """None where a person asked to be forgotten."""

    sender: Sender
    text: Annotated[str | None, Field(repr=False)]
    """None once it is settled: it is kept only as long as it may be needed to send."""

    flash: bool
    parts: int
    encoding: Encoding
    price: Money
    findings: tuple[Finding, ...]
    approver: Approver
    approval: str | None = None
    """The number a person approves it by, where it waits or waited for one."""

    placed_at: AwareDatetime
    changed_at: AwareDatetime
    not_before: AwareDatetime | None = None
    """When it is tried again, where 46elks put it off."""

    attempts: int = 0
    receipt: Receipt | None = None
    fault: str = ""
    """What 46elks, the network or a guard said, where the order was not simply sent."""

    caller: str = ""
    """Whose it is."""

    @property
    def cost(self) -> Money:
        """What the order costs: what 46elks charged, or the price where it names no cost above 0."""
        charged = self.receipt.cost if self.receipt else None
        return charged if charged and charged.units > 0 else self.price

    @property
    def is_overcharged(self) -> bool:
        """Whether 46elks charged more than it had quoted."""
        return self.cost.units > self.price.units

    @property
    def has_failed_at_once(self) -> bool:
        """Whether 46elks took it and said in its answer that it failed: nothing was sent."""
        return self.state is OrderState.FAILED and bool(self.fault)

    @property
    def is_moving(self) -> bool:
        """Whether it is about to be settled: queued for the first time, or under way."""
        if self.state is OrderState.QUEUED:
            return self.not_before is None
        return self.state is OrderState.SENDING


class Claim(Frozen):
    """The right to send one order's text once: the only thing the dispatcher accepts."""

    order_id: str
    attempt: int
    lease: str
    """Which claim it is; whoever comes back after its time holds an old one."""

    draft: Draft
    currency: str
    wait: timedelta
    """How long until its turn in the pace."""


class Report(Frozen):
    """46elks' word about a text's delivery. `order_id` is our own number, where it carries that back."""

    message_id: str
    status: str
    order_id: str | None = None


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
