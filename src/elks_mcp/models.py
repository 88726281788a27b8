"""The things this product is about, each a frozen value.

A message becomes more certain in steps: Draft → Quote → Approval → Order → Receipt. What
46elks keeps of it afterwards is a Message.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from elks_mcp.money import Money
from elks_mcp.phone import Number, Sender
from elks_mcp.text import Size


class Frozen(BaseModel):
    """A value that cannot be changed, only replaced by another."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Draft(Frozen):
    """What somebody wants sent; well-formed, and nothing more is known."""

    to: Number
    text: Annotated[str, Field(repr=False)]
    sender: Sender
    flash: bool = False
    idempotency_key: str | None = None


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


class Estimate(Frozen):
    """What 46elks says a text would cost. `parts` is its own count, where it gives one."""

    price: Money
    parts: int | None = None


class Quote(Frozen):
    """A draft with its price and what the guards found. A dry run ends here."""

    id: str
    draft: Draft
    size: Size
    estimate: Estimate
    findings: tuple[Finding, ...]
    quoted_at: AwareDatetime

    @property
    def parts(self) -> int:
        """How many parts it is billed as: by 46elks' count, or ours where it gives none."""
        return self.estimate.parts or self.size.parts

    def of(self, effect: Effect) -> tuple[Finding, ...]:
        """List the findings of one effect, in the guards' order."""
        return tuple(finding for finding in self.findings if finding.effect is effect)


class Approver(StrEnum):
    """Who agreed that a quote is sent."""

    POLICY = "policy"
    PERSON = "person"


class Approval(Frozen):
    """Agreement to exactly one quote: its recipient, sender, text and price."""

    quote: Quote
    approver: Approver


class OrderState(StrEnum):
    """Where an order is on its way out. The last four are where it stays."""

    QUEUED = "queued"
    SENDING = "sending"
    IN_DOUBT = "in doubt"
    SENT = "sent"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Receipt(Frozen):
    """46elks' word that it accepted a text and charged for it."""

    message_id: str
    status: str
    created_at: AwareDatetime | None = None
    cost: Money | None = None
    parts: int | None = None


class Order(Frozen):
    """An approved quote on its way out: the only thing the dispatcher accepts."""

    id: str
    quote: Quote
    approver: Approver
    placed_at: AwareDatetime
    state: OrderState = OrderState.QUEUED
    receipt: Receipt | None = None
    fault: str = ""
    """What 46elks or the network said, where the order was not simply sent."""

    not_before: AwareDatetime | None = None
    """When it will be tried again, where it waits."""


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


class Page(Frozen):
    """One page of history, newest first. `older_from` is where the next one starts, if there is one."""

    messages: tuple[Message, ...]
    older_from: datetime | None = None


class Listing(Frozen):
    """Messages found in history, newest first. `complete` unless the search gave up before the end."""

    messages: tuple[Message, ...]
    complete: bool = True


class Account(Frozen):
    """What the account holds. The holder's name, e-mail and phone are not read."""

    id: str
    balance: Money
