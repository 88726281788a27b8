"""How an outbox works: its pace, its patience, and what it asks of others."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from elks_mcp.store import Pace

LEASE_SPARE = timedelta(seconds=5)
"""What a lease lasts longer than one request: in this time the request must have begun."""

_WINDOW = timedelta(seconds=60.06)
"""A minute and a thousandth: of N slots spread over it never more than N are in any minute."""

_AHEAD = timedelta(milliseconds=20)
"""How early a slot of the pace is taken, so that a fast pace takes several at once."""

MOST_AT_ONCE = 16
"""Orders claimed in one transaction, at most. After a crash, all of them have to be looked for in history."""


@dataclass(frozen=True, slots=True)
class OutboxOptions:
    """How an outbox works."""

    per_minute: int
    """Texts (1–100,000)."""

    timeout: timedelta
    """What one request may take."""

    quiet: timedelta
    """How long after an attempt a text may still turn up in history (0 or more)."""

    only_own: bool = False
    """Send only what is handed over here: in a dry run a person lets single texts out, never the queue."""

    refresh_history: Callable[[], Awaitable[None]] | None = None
    """Reads who said STOP, unless that was done just now; fails where it cannot, and then nothing is sent."""

    report_address: Callable[[str], Awaitable[str]] | None = None
    """Makes the address for the delivery report of an order, by its number."""

    @property
    def pace(self) -> Pace:
        """How often, and for how long at most, we may be sending."""
        return Pace(gap=_WINDOW / self.per_minute, lease=self.timeout + LEASE_SPARE, ahead=_AHEAD)

    @property
    def at_once(self) -> int:
        """How many orders to claim in one transaction: as many as the pace lets out at a time."""
        return min(1 + _AHEAD // self.pace.gap, MOST_AT_ONCE)
