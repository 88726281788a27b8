"""The guard on the time of day: texts that arrive at night."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from elks_mcp.domain.guards.facts import Facts, GuardResult
from elks_mcp.domain.orders import Draft, Effect
from elks_mcp.domain.policy import Policy

_NIGHT_BEGINS, _NIGHT_ENDS = 21, 8
"""Hours by the recipient's clock."""


def night(draft: Draft, facts: Facts, _policy: Policy) -> GuardResult:
    """Warn if the text goes out at night, in any of the time zones that the recipient may be in."""
    hours = [local.hour for zone in draft.to.zones if (local := _local(draft.send_at or facts.now, zone))]
    if not any(hour >= _NIGHT_BEGINS or hour < _NIGHT_ENDS for hour in hours):
        return None
    return (
        Effect.WARN,
        f"It is night ({_NIGHT_BEGINS:02}–{_NIGHT_ENDS:02}) for the recipient, in {draft.to.country}.",
    )


def _local(now: datetime, zone: str) -> datetime | None:
    try:
        return now.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return None
