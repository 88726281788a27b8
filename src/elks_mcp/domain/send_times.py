"""The time at which a text is to go out, as callers write it."""

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from elks_mcp.domain.orders import Order
from elks_mcp.domain.periods import explain_impossible, parse_moment
from elks_mcp.domain.phone import Number
from elks_mcp.domain.wording import format_count, format_time_in
from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.clock import in_zone, parse_zone

NIGHT_BEGINS, NIGHT_ENDS = 21, 8
"""Hours by the recipient's clock."""

LONGEST_AHEAD = timedelta(days=35)
"""How far ahead a text may be scheduled. Twilio has the same limit."""

_NAME = "The send time"
_EXAMPLES = "write a time as 2026-11-30T09:00 or 2026-11-30T09:00+01:00"

_MOST_NIGHTS = 6
"""How many nights, in different zones, are waited for at most."""

_DAY = re.compile(r"\s*\d{4}-\d\d-\d\d\s*", re.ASCII)


def parse_send_time(
    text: str,
    zone_name: str,
    *,
    to: Number,
    home: tzinfo | None,
    now: datetime,
    passed: timedelta = timedelta(),
) -> datetime:
    """Return the time at which a text is to go out, in UTC.

    Args:
        text: `2026-12-01T09:00`, or with an offset.
        zone_name: the IANA time zone of a time without an offset; "" for the recipient's if it is known, and
            otherwise `home`.
        to: the recipient.
        home: the operator's time zone; None is the machine's.
        now: the time in UTC.
        passed: how long ago it may have been.

    Raises:
        InvalidInput: it is not a time, does not exist or exists twice in that zone, is past, or is more than
            35 days ahead.
    """
    if _DAY.fullmatch(text) and not explain_impossible(text.strip()):
        raise InvalidInput(
            f"{_NAME} has no time of day.", hint="Write it as 2026-12-01T09:00, after asking for the time."
        )
    zone = _read_zone(zone_name) if zone_name else _choose_zone(text, to, home)
    moment = parse_moment(text, zone, name=_NAME, examples=_EXAMPLES)
    if moment <= now - passed:
        raise InvalidInput(
            f"{_NAME} is past: it is {format_time_in(zone, now)} now.",
            hint="Name a later time, or leave it out to send now.",
        )
    if moment - now > LONGEST_AHEAD:
        raise InvalidInput(
            f"{_NAME} is more than {LONGEST_AHEAD.days} days ahead.", hint="Name an earlier time."
        )
    return moment


def check_no_time_zone(zone_name: str) -> None:
    """Check that a request without a send time names no time zone.

    Raises:
        InvalidInput: it names one.
    """
    if zone_name:
        raise InvalidInput("A time zone is only for a send time.", hint="Give both, or neither.")


def format_send_time(moment: datetime, to: Number | None, home: tzinfo | None) -> str:
    """Return a send time in words: `Tuesday 2026-12-01 09:00 +01:00 (Europe/Stockholm)`.

    The zone is the recipient's if all zones that it can be have the same time then, else the operator's.
    If it can be several, its name is left out.
    """
    zones = _list_zones(to) if to else []
    times = {in_zone(moment, zone).isoformat() for zone in zones}
    is_elsewhere = len(times) == 1 and (len(zones) == 1 or times != {in_zone(moment, home).isoformat()})
    zone, is_one = (zones[0], len(zones) == 1) if is_elsewhere else (home, True)
    name = f" ({zone})" if isinstance(zone, ZoneInfo) and is_one else ""
    return f"{in_zone(moment, zone):%A} {format_time_in(zone, moment)}{name}"


def describe_send_time(order: Order, home: tzinfo | None) -> str:
    """Return when an order goes out, and how late: `…, at most 60 minutes late or not at all`.

    "" if it goes out as soon as it can. `home`: the operator's time zone; None is the machine's.
    """
    if order.send_at is None:
        return ""
    when = format_send_time(order.send_at, order.to, home)
    if order.expires_at is None:
        return when
    minutes = round((order.expires_at - order.send_at) / timedelta(minutes=1))
    return f"{when}, at most {format_count(minutes, 'minute')} late or not at all"


def find_morning(to: Number, moment: datetime) -> datetime | None:
    """Return when the night ends for a recipient, if a moment is at night in any of its zones.

    It is the first moment after that at which it is night in none of these zones. Zones on opposite sides of
    the earth may have no such moment; then it is a morning in one of them.
    """
    zones, morning = _list_zones(to), moment
    for _ in range(_MOST_NIGHTS):
        local = (morning.astimezone(zone) for zone in zones)
        nights = [each for each in local if is_night(each)]
        if not nights:
            break
        morning = max(map(_find_next_morning, nights))
    return morning if morning > moment else None


def is_night(local: datetime) -> bool:
    """Return whether a local time is at night."""
    return local.hour >= NIGHT_BEGINS or local.hour < NIGHT_ENDS


def _find_next_morning(local: datetime) -> datetime:
    day = local.date() if local.hour < NIGHT_ENDS else local.date() + timedelta(days=1)
    return datetime.combine(day, time(NIGHT_ENDS), local.tzinfo).astimezone(UTC)


def _read_zone(name: str) -> tzinfo:
    try:
        return parse_zone(name)
    except ValueError:
        raise InvalidInput(
            f"The time zone cannot be {name[:40]!r}.",
            hint="Write a zone as Europe/Stockholm, or leave it out.",
        ) from None


def _choose_zone(text: str, to: Number, home: tzinfo | None) -> tzinfo | None:
    """Return the recipient's zone if the time means the same in all that it can be, else `home`."""
    zones = _list_zones(to)
    return zones[0] if len({_try(text, zone) for zone in zones}) == 1 else home


def _try(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        return parse_moment(text, zone, name=_NAME)
    except InvalidInput:
        return None


def _list_zones(to: Number) -> list[ZoneInfo]:
    try:
        return [ZoneInfo(name) for name in to.zones]
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return []
