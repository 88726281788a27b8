"""A message on its way out, which becomes more certain in steps.

Draft → Quote → Approval → Order → Receipt. Each step is a frozen value.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, SerializeAsAny

from elks_mcp.domain.models import Frozen
from elks_mcp.domain.money import Money
from elks_mcp.domain.payloads import Payload, Sms, require_sms
from elks_mcp.domain.phone import Number, Sender

ORDER_LATENESS = timedelta(hours=1)
"""How late an order may still go out: behind others, through pauses, failed attempts and server downtime."""


class Draft(Frozen):
    """A message that a caller wants to send: well-formed, but not checked otherwise."""

    to: Number
    payload: SerializeAsAny[Payload]
    """The content for the recipient. Its class is the kind of the order."""

    sender: Sender
    idempotency_key: str | None = None
    caller: str = ""
    """The caller's name. The same text, or key, from two callers is two texts, or keys."""

    asks: bool = False
    """Whether the caller waits for an answer, however the text is worded."""

    send_at: AwareDatetime | None = None
    """When it is to go out; None for immediately."""

    lateness: timedelta = ORDER_LATENESS
    """How long after `send_at` it may still go out."""

    @property
    def kind(self) -> str:
        """The kind of order that the draft becomes, for example "sms"."""
        return self.payload.kind

    @property
    def text(self) -> str:
        """The words of the payload; "" if it has none."""
        return self.payload.text or ""

    @property
    def sms(self) -> Sms:
        """The payload of a draft that must be an SMS."""
        return require_sms(self.payload)


class Effect(StrEnum):
    """The effect of a finding."""

    REFUSE = "refuse"
    ASK = "ask"
    WARN = "warn"


class Finding(Frozen):
    """The finding of one guard about one draft."""

    guard: str
    effect: Effect
    reason: Annotated[str, Field(repr=False)]
    quote: Annotated[str, Field(repr=False)] = ""
    """The text that the finding is about: cleaned, one short line. Stored only while a person is asked."""

    @property
    def in_words(self) -> str:
        """The reason, with the quotation."""
        return f'{self.reason} They wrote: "{self.quote}"' if self.quote else self.reason


class Estimate(Frozen):
    """46elks' answer to what a message would cost."""

    price: Money
    parts: int | None = None
    """46elks' own count of parts, if it gives one."""


class Quote(Frozen):
    """A draft with its price and the guards' findings. A dry run ends here."""

    draft: Draft
    estimate: Estimate
    findings: tuple[Finding, ...]
    quoted_at: AwareDatetime

    @property
    def parts(self) -> int:
        """How many parts it is billed as: by 46elks' count, or ours if it gives none."""
        return self.estimate.parts or self.draft.payload.parts


def of_effect(findings: tuple[Finding, ...], effect: Effect) -> tuple[Finding, ...]:
    """List the findings of one effect, in the guards' order."""
    return tuple(finding for finding in findings if finding.effect is effect)


class Approver(StrEnum):
    """The approver of a quote: the policy, a person at the client, or one in a terminal."""

    POLICY = "policy"
    PERSON = "person"
    TERMINAL = "terminal"


class Approval(Frozen):
    """The approval that exactly one quote needs: its recipient, sender, payload and price.

    The policy approves by making an `Approval`. For a person, the order waits.
    """

    quote: Quote
    approver: Approver


class OrderState(StrEnum):
    """How far an order is on its way out."""

    WAITING = "waiting"
    """A person has to approve it."""

    SCHEDULED = "scheduled"
    """It is queued once its send time has come."""

    PAUSED = "paused"
    """Its batch is paused."""

    QUEUED = "queued"
    SENDING = "sending"
    IN_DOUBT = "in doubt"
    """46elks may have accepted it or not; history is being read to find out."""

    UNKNOWN = "unknown"
    """It cannot be found out whether 46elks accepted it; a person decides."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


UNFINISHED = frozenset(
    {
        OrderState.WAITING,
        OrderState.SCHEDULED,
        OrderState.PAUSED,
        OrderState.QUEUED,
        OrderState.SENDING,
        OrderState.IN_DOUBT,
    }
)
"""The states in which a server still has something to do."""

MAY_HAVE_LEFT = frozenset({OrderState.SENDING, OrderState.IN_DOUBT})
"""The unfinished states in which 46elks may have the order already."""

CANCELLABLE = UNFINISHED - MAY_HAVE_LEFT
"""The states in which nothing was handed over, so that an order can still be cancelled for good."""

CANCELLED_BY_CALLER = "The caller cancelled it."

ACCEPTED = frozenset({OrderState.SENT, OrderState.DELIVERED, OrderState.FAILED})
"""The states in which 46elks accepted the order and charged for it."""

NEVER_SENT = frozenset({OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED})
"""The states in which nothing was sent and nothing will be."""


class Receipt(Frozen):
    """46elks' answer that it accepted a message and charged for it."""

    message_id: str
    status: str
    created_at: AwareDatetime | None = None
    cost: Money | None = None
    parts: int | None = None


def parse_order_number(text: str) -> str | None:
    """Return an order's number (`O-…`, or `A-…` for its approval) as it is stored, or None."""
    number = text.strip().upper()
    return number if number.startswith(("O-", "A-")) else None


class Order(Frozen):
    """An approved quote on its way out, or one that waits for approval."""

    id: str
    state: OrderState
    to: Number | None
    """None if a person asked to be forgotten."""

    sender: Sender
    payload: SerializeAsAny[Payload]
    """The content for the recipient. Its private fields are None once the order is settled."""

    parts: int
    """How many parts it is billed as."""

    price: Money
    findings: tuple[Finding, ...]
    approver: Approver
    approval_code: str | None = None
    """The code by which a person approves it, if it waits or waited for one."""

    placed_at: AwareDatetime
    changed_at: AwareDatetime
    send_at: AwareDatetime | None = None
    """When it is to go out, if the caller named a time."""

    expires_at: AwareDatetime | None = None
    """When it is too late to send it. While it waits for a person, this holds only for a send time."""

    not_before: AwareDatetime | None = None
    """When it is tried again, if 46elks put it off."""

    attempts: int = 0
    receipt: Receipt | None = None
    status_reason: str = ""
    """The reason given by 46elks, the network or a guard, unless the order was simply sent."""

    caller: str = ""
    """The name of the caller who placed it."""

    batch_id: str | None = None
    """The batch that it is a row of."""

    @property
    def kind(self) -> str:
        """The kind of the order, for example "sms"."""
        return self.payload.kind

    @property
    def text(self) -> str | None:
        """The words of the payload. None once the order is settled, or if it has none."""
        return self.payload.text

    @property
    def sms(self) -> Sms:
        """The payload of an order that must be an SMS."""
        return require_sms(self.payload)

    @property
    def cost(self) -> Money:
        """The charge by 46elks, or the price if it names no cost above 0. A failed call may be free."""
        charged = self.receipt.cost if self.receipt else None
        is_free = self.kind == "call" and self.state is OrderState.FAILED
        return charged if charged and (charged.units > 0 or is_free) else self.price

    @property
    def is_overcharged(self) -> bool:
        """Whether 46elks charged more than it had quoted."""
        return self.cost.units > self.price.units

    @property
    def has_failed_unsent(self) -> bool:
        """Whether 46elks accepted it and said in the same answer that it failed: nothing was sent."""
        return self.state is OrderState.FAILED and bool(self.status_reason) and self.kind != "call"

    @property
    def is_moving(self) -> bool:
        """Whether it is about to be settled: queued for the first time, or being sent."""
        if self.state is OrderState.QUEUED:
            return self.not_before is None
        return self.state is OrderState.SENDING


class Claim(Frozen):
    """Permission to send one order once: the only thing that the dispatcher accepts."""

    order_id: str
    attempt: int
    lease: str
    """The token of this claim. A worker that comes back after its lease ended holds an old token."""

    draft: Draft
    currency: str
    wait: timedelta
    """How long until the order's slot in the pace."""


class Report(Frozen):
    """46elks' delivery report about a message."""

    message_id: str
    status: str
    order_id: str | None = None
    """Our own order id, if the report carries it."""
