"""The guard on the time of day: texts that arrive at night."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from elks_mcp.domain.guards.facts import Facts, GuardResult
from elks_mcp.domain.orders import Draft, Effect
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.send_times import NIGHT_BEGINS, NIGHT_ENDS, is_night


def night(draft: Draft, facts: Facts, _policy: Policy) -> GuardResult:
    """Warn if the text goes out at night, in any of the time zones that the recipient may be in.

    A person is asked about a call, since it wakes the recipient.
    """
    local = (_local(draft.send_at or facts.now, zone) for zone in draft.to.zones)
    if not any(is_night(each) for each in local if each):
        return None
    night = f"It is night ({NIGHT_BEGINS:02}–{NIGHT_ENDS:02}) for the recipient, in {draft.to.country}"
    if draft.payload.IS_SPOKEN:
        return Effect.ASK, f"{night}, and a call wakes them."
    return Effect.WARN, f"{night}."


def _local(now: datetime, zone: str) -> datetime | None:
    try:
        return now.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return None
