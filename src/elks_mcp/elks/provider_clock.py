"""46elks' clock, as its answers show it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

from elks_mcp.runtime.clock import Clock


class ProviderClock:
    """46elks' clock: how far it is ahead of this machine's, as of the last answer.

    `clock` is this machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_known = False
        self.skew = timedelta()
        """How far it is ahead of this machine's clock."""

    def read(self, date: str) -> None:
        """Read the Date header of an answer, in whole seconds; ignore one that cannot be read."""
        with suppress(ValueError, TypeError):
            self.skew = _parse_date(date) - self._clock.now()
            self._is_known = True

    def find_now(self) -> datetime | None:
        """Return the time by 46elks' clock; None before its first answer."""
        return self._clock.now() + self.skew if self._is_known else None

    def find_difference(self, now: datetime) -> timedelta:
        """Return how far this machine's clock is ahead of another one, which shows `now`."""
        return self._clock.now() - now


@lru_cache(maxsize=1)
def _parse_date(header: str) -> datetime:
    """Return the moment in a Date header, cached: all answers within a second have the same."""
    return parsedate_to_datetime(header).astimezone(UTC)
