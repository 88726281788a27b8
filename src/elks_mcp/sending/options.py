"""Options of an outbox: pace, time limits, and functions it calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from elks_mcp.domain.callbacks import FindCallbacks
from elks_mcp.store import Pace

LEASE_SPARE = timedelta(seconds=5)
"""How much longer a lease lasts than one request. The request must begin within this time."""

_WINDOW = timedelta(seconds=60.06)
"""A minute and a thousandth: with N slots spread over it, no minute has more than N."""

_AHEAD = timedelta(milliseconds=20)
"""How early a slot of the pace may be taken, so that a fast pace takes several in one transaction."""

MOST_CLAIMED = 16
"""Orders claimed in one transaction, at most. After a crash, all of them must be looked up in history."""


class RefreshHistory(Protocol):
    """Reads incoming texts, unless that was done within `good_for`; by default, within a minute."""

    def __call__(self, good_for: timedelta = ...) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class OutboxOptions:
    """Options of an outbox."""

    per_minute: float
    """Texts a minute (1–100,000)."""

    timeout: timedelta
    """Time limit of one request to 46elks."""

    quiet: timedelta
    """How long after an attempt a text may still appear in history (0 or more)."""

    only_own: bool = False
    """Send only orders handed over in this process. In dry run a person may release single texts, no more."""

    refresh_history: "RefreshHistory | None" = None
    """Reads incoming texts for opt-outs, unless that was just done. If it fails, nothing is sent."""

    find_callbacks: FindCallbacks | None = None
    """Returns the addresses of this server that 46elks calls about an order."""

    follow_calls: Callable[[], Awaitable[None]] | None = None
    """Asks 46elks about the calls that go on, until their ends are known."""

    at_night: bool = False
    """Whether rows of batches that have no send time go out at night, too."""

    hides: frozenset[str] = frozenset()
    """The kinds of orders whose content 46elks is asked not to store."""

    find_provider_now: Callable[[], datetime | None] = lambda: None
    """Returns the time by 46elks' clock; None if 46elks has not answered yet."""

    @property
    def pace(self) -> Pace:
        """How often a text may be sent, how long sending one may take, and what this server leaves."""
        return Pace(
            gap=_WINDOW / self.per_minute,
            lease=self.timeout + LEASE_SPARE,
            ahead=_AHEAD,
            at_night=self.at_night,
            hides=self.hides,
            provider_now=self.find_provider_now(),
            serves_audio=bool(self.find_callbacks and self.find_callbacks.serves_audio),
        )

    @property
    def claim_size(self) -> int:
        """How many orders to claim in one transaction: as many as the pace has slots ready."""
        return min(1 + _AHEAD // self.pace.gap, MOST_CLAIMED)
