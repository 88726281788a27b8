"""What one caller may use of a shared server, so that the others still get through.

A caller is an agent, with one token or several. All who call without a token are one caller.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum

from elks_mcp.errors import OverLimit
from elks_mcp.runtime.clock import Clock

_MINUTE = 60.0
_MOST_CALLS = 512
_SOON, _LATER = timedelta(seconds=5), timedelta(seconds=60)


class Use(StrEnum):
    """What is limited, as an error names it."""

    CALLS = "requests under way"
    BODIES = "requests whose body has not arrived yet"
    STREAMS = "streams and subscriptions"
    SESSIONS = "sessions"
    WAITS = "waits for a reply"
    PROVIDER_REQUESTS = "requests to 46elks a minute"


UsageLimits = Mapping[Use, int]
"""The most of each; what is not named is not limited."""

UNLIMITED: UsageLimits = {}
"""For a server with one client: there is nobody to take anything from."""


def limits_per_caller(connections: int, *, sms_per_minute: int) -> UsageLimits:
    """Return what one caller may use of a server: half of its connections at most.

    Args:
        connections: how many the server has.
        sms_per_minute: its pace. A caller may ask 46elks about each text six times, and 600 times at least.
    """
    calls = min(_MOST_CALLS, connections // 2)
    return {
        Use.CALLS: calls,
        Use.BODIES: calls // 4,
        Use.STREAMS: calls // 2,
        Use.WAITS: calls * 3 // 8,
        Use.SESSIONS: 1000,
        Use.PROVIDER_REQUESTS: max(600, 6 * sms_per_minute),
    }


class CallerUsage:
    """What one caller uses now."""

    def __init__(self, most: UsageLimits, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._used: Counter[Use] = Counter()
        self._minute_ends = 0.0

    @contextmanager
    def hold(self, use: Use, *, counted_elsewhere: int = 0) -> Iterator[None]:
        """Use one more until the context ends. `besides`: uses that are counted elsewhere.

        Raises:
            OverLimit: the caller uses as many as it may.
        """
        most = self._most.get(use)
        if most is not None and self._used[use] + counted_elsewhere >= most:
            raise OverLimit(
                f"This caller has {most} {use}, as many as one may.",
                hint=_HINTS.get(use, "Let some of them end first."),
                retry_after=_LATER if use is Use.SESSIONS else _SOON,
            )
        self._used[use] += 1
        try:
            yield
        finally:
            self._used[use] -= 1

    def count_provider_request(self) -> None:
        """Count a request to 46elks.

        Raises:
            OverLimit: the caller has caused as many in this minute as it may.
        """
        most, now = self._most.get(Use.PROVIDER_REQUESTS), self._clock.counted()
        if most is None:
            return
        if now >= self._minute_ends:
            self._used[Use.PROVIDER_REQUESTS], self._minute_ends = 0, now + _MINUTE
        if self._used[Use.PROVIDER_REQUESTS] >= most:
            raise OverLimit(
                f"This caller has caused {most} requests to 46elks within a minute, as many as one may.",
                hint="Ask for more in one call, or less often.",
                retry_after=timedelta(seconds=self._minute_ends - now),
            )
        self._used[Use.PROVIDER_REQUESTS] += 1


class UsageTracker:
    """The shares of all callers."""

    def __init__(self, most: UsageLimits, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._shares: dict[str, CallerUsage] = {}

    def for_caller(self, caller: str) -> CallerUsage:
        """Return the share of a caller; "" is whoever calls without a token."""
        return self._shares.setdefault(caller, CallerUsage(self._most, self._clock))


_HINTS = {
    Use.SESSIONS: "End those not used any more (DELETE /mcp); an idle one ends after 30 minutes.",
    Use.STREAMS: "Close a stream, or unsubscribe from a resource, first.",
    Use.WAITS: "Wait without `from` for everybody's replies in one call, or let another wait end first.",
}
