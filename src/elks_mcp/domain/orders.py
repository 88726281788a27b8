"""A message on its way out, as values: Draft → Quote → Approval → Order → Receipt."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from elks_mcp.domain.models import Frozen
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import Number, Sender
from elks_mcp.domain.text import Encoding, Size


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
