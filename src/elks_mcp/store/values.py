"""Values that go into and out of the store. They do not load any database library."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from elks_mcp.domain.batches import Batch
from elks_mcp.domain.calls import CallOutcome
from elks_mcp.domain.models import Caller, Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Claim, Draft, Order
from elks_mcp.domain.phone import Number


class Refusal(NamedTuple):
    """Why a draft may not go out."""

    reason: str
    guards: frozenset[str] = frozenset()
    """The guards that refuse it."""

    budget: Money | None = None
    """The daily budget, if that guard refuses it."""


DraftCheck = Callable[[Draft, Money, Recall], Refusal | None]
"""Returns why a draft at this price may not go out, by what is stored now; None if it may."""


class PauseReason(StrEnum):
    """Why sending is paused."""

    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    NO_FUNDS = "no funds"
    CREDENTIALS = "credentials"
    TROUBLE = "trouble"

    @property
    def ends_by_itself(self) -> bool:
        """Whether sending resumes when the time is up. Otherwise a free request must succeed first."""
        return self in {PauseReason.THROTTLED, PauseReason.UNREACHABLE}


class ServerKind(StrEnum):
    """A process that sends for an account, by what keeps it running."""

    SERVE = "serve"
    """`elks-mcp serve`"""

    HTTP = "http"
    """`elks-mcp serve --http`"""

    CLIENT = "client"
    """One that a client or a person at a terminal started, and that ends with them."""

    @property
    def command(self) -> str:
        """The command that starts such a server, without the program's name."""
        return "serve --http" if self is ServerKind.HTTP else "serve"


class Scheduled(NamedTuple):
    """The scheduled orders of one account."""

    total: int
    next_at: datetime | None
    """When the first of them is due; None if there are none."""


class Idle(NamedTuple):
    """Nothing can be sent now."""

    wait: timedelta | None
    """How long until something can be; None if nothing is queued."""

    pause: PauseReason | None = None
    """Why sending is paused, if it is. If `wait` is zero, a free request has to be tried."""


class QueueEstimate(NamedTuple):
    """When a queued order may go out, as of now."""

    at: datetime
    ahead: int
    """How many orders go out before it."""

    pause: PauseReason | None = None


class Issued(NamedTuple):
    """A token that was created. The secret itself is not stored."""

    id: str
    caller: Caller
    created_at: datetime
    revoked_at: datetime | None


class KnownTokens(NamedTuple):
    """The tokens in a database, as one account sees them."""

    valid: Mapping[str, Caller]
    """The callers with the account's own valid tokens, by the hashes of these tokens."""

    foreign: Mapping[str, str]
    """The name and account, in words, of other accounts' valid tokens, by their hashes."""

    any_made: bool
    """Whether a token of any account was ever created, revoked ones included."""


class DueWork(NamedTuple):
    """The work that is due, for the worker."""

    lapsed: bool
    """Whether the lease of an order that was being sent has ended."""

    approved: bool
    """Whether a person approved an order in a terminal."""

    overdue: bool
    """Whether an order waited too long for a person, or for a server after that."""

    scheduled: bool
    """Whether the send time of a scheduled order has come."""

    batches: bool
    """Whether a person approved a batch outside the client."""

    interrupted: bool
    """Whether a batch can go on whose server ended."""

    queued: int
    """How many queued orders are due."""

    doubtful: bool
    """Whether history has to be read for an order in doubt."""

    again_in: timedelta | None
    """How long until there is more to do; None if nothing is scheduled."""

    waiting: bool
    """Whether an order waits for a person, who may approve it in a terminal at any moment."""

    batched: bool
    """Whether a row of a batch is queued or being sent."""

    calls: bool
    """Whether a call goes on whose end has to be asked about."""


class Pace(NamedTuple):
    """How often texts are sent, and how long one attempt may take."""

    gap: timedelta
    """The time from one text to the next."""

    lease: timedelta
    """The longest time from claiming an order to having 46elks' answer."""

    ahead: timedelta = timedelta(0)
    """How early a slot may be taken. The worker that takes it waits until it begins."""

    at_night: bool = False
    """Whether rows of batches that have no send time go out at night, too."""

    hides: frozenset[str] = frozenset()
    """The kinds of orders whose content 46elks is asked not to store."""

    provider_now: datetime | None = None
    """The time by 46elks' clock just before a claim; None if 46elks has not answered yet."""

    serves_audio: bool = True
    """Whether 46elks can fetch from this server what calls play. If not, it leaves them to another."""


class PriorOrders(NamedTuple):
    """Earlier orders that matter for a draft."""

    repeated: Order | None
    """The order that it would repeat: one with its key; without a key, the same within 15 minutes."""

    waiting: Order | None
    """The order for exactly this draft that waits for a person."""

    recall: Recall


class Placed(NamedTuple):
    """An order that was placed or found."""

    order: Order
    is_repeat: bool
    """Whether the order was there before."""

    claim: Claim | None = None
    """The claim to send it now, if that was asked for and it is due."""


class Arrival(NamedTuple):
    """A text that was received."""

    position: int
    """A number that counts up in the order in which texts were recorded."""

    message_id: str
    sender_hash: str | None
    """None if the sender is a name."""

    received_at: datetime
    """By 46elks' clock."""

    is_known: bool
    """Whether anything was ever sent to its sender."""


class Wanted(NamedTuple):
    """Which received text a caller waits for."""

    sender: Number | None = None
    """None for any sender."""

    sender_hash: str | None = None
    """The hash under which the sender is stored."""

    after: int = 0
    """Only texts after this position."""

    since: datetime | None = None
    """Only texts received at this time or later."""

    known_only: bool = False
    """Only texts from numbers to which something was sent."""

    answered: Order | None = None
    """Only texts that answer this order and cannot be meant for another caller."""

    def is_met_by(self, arrival: Arrival) -> bool:
        """Return whether a text is the one that is waited for. `answered` is not checked here."""
        return (
            arrival.position > self.after
            and self.sender_hash in {None, arrival.sender_hash}
            and (self.since is None or arrival.received_at >= self.since)
            and (arrival.is_known or not self.known_only)
        )


class OwnCall(NamedTuple):
    """A call that a caller made."""

    order: Order
    call_id: str
    outcome: CallOutcome | None


SumCheck = Callable[[Money, Money], str]
"""Returns why a sum may not be spent beside what is spent already; "" if it may."""


class BatchChecks(NamedTuple):
    """The checks in the transaction that starts or resumes a batch."""

    row: DraftCheck
    """Every guard whose result may have changed since the plan, except the budget."""

    total: SumCheck
    """The budget, once for all rows that go out in the same 24 hours."""

    pace: Pace
    dedupes: bool = True
    """Whether a row is cancelled that an earlier order covers."""


class Covered(NamedTuple):
    """An earlier order that covers a row: the same text to the same number at about that time."""

    order_id: str
    batch_id: str | None


class BatchRecall(NamedTuple):
    """The stored facts about the drafts of a batch, in their order."""

    recalls: list[Recall]
    covered: list[Covered | None]


class StartedBatch(NamedTuple):
    """A batch that was started, by this call or by an earlier one."""

    batch: Batch
    is_repeat: bool
