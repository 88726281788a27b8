"""Limits on the use of a shared server by one caller, so that others can use it too.

A caller is an agent, which may have several tokens. All requests without a token belong to one caller.
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
    """A limited resource. The values are the words for it in errors."""

    CALLS = "requests under way"
    BODIES = "requests whose body has not arrived yet"
    STREAMS = "streams and subscriptions"
    SESSIONS = "sessions"
    WAITS = "waits for a reply"
    PROVIDER_REQUESTS = "requests to 46elks a minute"


UsageLimits = Mapping[Use, int]
"""The maximum of each resource. A resource that is not in it is unlimited."""

UNLIMITED: UsageLimits = {}
"""For a server with one client."""


def limits_per_caller(connections: int, *, sms_per_minute: int) -> UsageLimits:
    """Return what one caller may use of a server: at most half of its connections.

    Args:
        connections: the number of connections that the server accepts.
        sms_per_minute: the server's pace. A caller may make six requests to 46elks per text, at least 600.
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
    """The resources that one caller uses at the moment."""

    def __init__(self, limits: UsageLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._used: Counter[Use] = Counter()
        self._minute_ends = 0.0

    @contextmanager
    def hold(self, use: Use, *, counted_elsewhere: int = 0) -> Iterator[None]:
        """Use one more of a resource until the context ends.

        Args:
            use: the resource.
            counted_elsewhere: how many of it the caller uses that this object does not count.

        Raises:
            OverLimit: the caller already uses as many as it may.
        """
        limit = self._limits.get(use)
        if limit is not None and self._used[use] + counted_elsewhere >= limit:
            raise OverLimit(
                f"This caller has {limit} {use}, which is the limit for one caller.",
                hint=_HINTS.get(use, "Wait until some of them have ended."),
                retry_after=_LATER if use is Use.SESSIONS else _SOON,
            )
        self._used[use] += 1
        try:
            yield
        finally:
            self._used[use] -= 1

    def count_provider_request(self) -> None:
        """Count one request to 46elks.

        Raises:
            OverLimit: the caller has already caused as many requests in this minute as it may.
        """
        limit, now = self._limits.get(Use.PROVIDER_REQUESTS), self._clock.counted()
        if limit is None:
            return
        if now >= self._minute_ends:
            self._used[Use.PROVIDER_REQUESTS], self._minute_ends = 0, now + _MINUTE
        if self._used[Use.PROVIDER_REQUESTS] >= limit:
            raise OverLimit(
                f"This caller has caused {limit} requests to 46elks within a minute, "
                "which is the limit for one caller.",
                hint="Ask for more in one call, or call less often.",
                retry_after=timedelta(seconds=self._minute_ends - now),
            )
        self._used[Use.PROVIDER_REQUESTS] += 1


class UsageTracker:
    """The usage of all callers."""

    def __init__(self, limits: UsageLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._by_caller: dict[str, CallerUsage] = {}

    def for_caller(self, caller: str) -> CallerUsage:
        """Return the usage of a caller; "" means all requests without a token."""
        return self._by_caller.setdefault(caller, CallerUsage(self._limits, self._clock))


_HINTS = {
    Use.SESSIONS: "End unused sessions (DELETE /mcp); an idle session ends after 30 minutes.",
    Use.STREAMS: "Close a stream, or unsubscribe from a resource, first.",
    Use.WAITS: "Wait for replies from any number in one call, or let another wait end first.",
}
