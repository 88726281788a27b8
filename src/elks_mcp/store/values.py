"""What the store answers and is asked with, besides orders: values that need no database to be loaded."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from elks_mcp.domain.models import Caller, Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Claim, Draft, Order
from elks_mcp.domain.phone import Number

DraftCheck = Callable[[Draft, Money, Recall], str]
"""Says why a draft of a price may not go out, by what is remembered now; "" where it may."""


class PauseReason(StrEnum):
    """Why nothing is sent for a while."""

    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    NO_FUNDS = "no funds"
    CREDENTIALS = "credentials"
    TROUBLE = "trouble"

    @property
    def ends_by_itself(self) -> bool:
        """Whether the next text may be tried when the time is up, or a free question must go well first."""
        return self in {PauseReason.THROTTLED, PauseReason.UNREACHABLE}


class Idle(NamedTuple):
    """There is nothing to send now."""

    wait: timedelta | None
    """How long until there may be; None where nothing is queued."""

    pause: PauseReason | None = None
    """Why sending is paused, where it is. With no time left to wait, 46elks has to be asked."""


class QueueEstimate(NamedTuple):
    """When a queued order may go out, as things are."""

    at: datetime
    ahead: int
    """How many go before it."""

    pause: PauseReason | None = None


class Issued(NamedTuple):
    """A token, by its number; what opens the door is not known any more."""

    id: str
    caller: Caller
    created_at: datetime
    revoked_at: datetime | None


class KnownTokens(NamedTuple):
    """The tokens of a state, as one account sees them."""

    valid: Mapping[str, Caller]
    """Who calls with the account's own valid tokens, by their hashes."""

    foreign: Mapping[str, str]
    """Other accounts' valid tokens, by their hashes: name and account, in words."""

    any_made: bool
    """Whether a token of any account was ever made, revoked ones included."""


class DueWork(NamedTuple):
    """What there is to do, by what is overdue."""

    lapsed: bool
    """Somebody who was sending is gone."""

    approved: bool
    """A person approved something in a terminal."""

    overdue: bool
    """Something waited too long for a person, or for a server after that."""

    queued: int
    """The turn of so many has come."""

    doubtful: bool
    """History has to be read for something."""

    again_in: timedelta | None
    """When something more will be; None where nothing will."""

    waiting: bool
    """A person is asked, and may answer in a terminal any moment."""


class Pace(NamedTuple):
    """How often, and for how long at most, somebody may be sending."""

    gap: timedelta
    """From one text to the next."""

    lease: timedelta
    """From claiming to having an answer."""

    ahead: timedelta = timedelta(0)
    """How early a slot may be taken; who takes it waits for it."""


class PriorOrders(NamedTuple):
    """What came before a draft."""

    repeated: Order | None
    """The order it would only repeat: placed with its key, or, without a key, the same a short while ago."""

    waiting: Order | None
    """The order for exactly this that waits for a person."""

    recall: Recall


class Placed(NamedTuple):
    """An order, and whether it was there before."""

    order: Order
    is_repeat: bool
    claim: Claim | None = None
    """The right to send it now, where that was wanted and its turn has come."""


class Arrival(NamedTuple):
    """A text that came in."""

    position: int
    """It counts up, in the order in which we heard of them."""

    message_id: str
    sender_hash: str | None
    """None where the sender is a name."""

    received_at: datetime
    """By 46elks' clock."""

    is_known: bool
    """Something was ever sent to its sender."""


class Wanted(NamedTuple):
    """Which text somebody waits for."""

    sender: Number | None = None
    """None: anybody's."""

    sender_hash: str | None = None
    """How the sender is kept."""

    after: int = 0
    """Later than this position."""

    since: datetime | None = None
    """Not received before."""

    known_only: bool = False
    """Only from numbers that something was sent to."""

    answered: Order | None = None
    """Only what answers this order and can be meant for nobody but its caller."""

    def is_met_by(self, arrival: Arrival) -> bool:
        """Tell whether it is this one."""
        return (
            arrival.position > self.after
            and self.sender_hash in {None, arrival.sender_hash}
            and (self.since is None or arrival.received_at >= self.since)
            and (arrival.is_known or not self.known_only)
        )
