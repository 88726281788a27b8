"""Numbers, money, durations and times as text, for answers, questions and commands."""

from datetime import datetime, timedelta, tzinfo

from elks_mcp.domain.money import Money
from elks_mcp.runtime.clock import in_zone

_MINUTE, _HOUR = 60, 3600


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s unless the number is 1: 1 part, 2 parts."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def format_money(money: Money) -> str:
    """Return an amount with its currency, or with a note that 46elks names none: 0.52 SEK."""
    return str(money) if money.currency else f"{money} (currency unknown)"


def format_duration(duration: timedelta) -> str:
    """Return a duration in its largest unit, rounded down: 59 seconds, 27 minutes, 25 hours.

    A negative duration counts as 0 seconds.
    """
    seconds = max(0, int(duration.total_seconds()))
    if seconds < _MINUTE:
        return format_count(seconds, "second")
    if seconds < _HOUR:
        return format_count(seconds // _MINUTE, "minute")
    return format_count(seconds // _HOUR, "hour")


def format_exactly(duration: timedelta) -> str:
    """Return a duration of whole seconds in the largest unit that is exact: 90 minutes, 2 hours."""
    seconds = int(duration.total_seconds())
    for length, unit in ((_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds and seconds % length == 0:
            return format_count(seconds // length, unit)
    return format_count(seconds, "second")


def format_time(moment: datetime) -> str:
    """Return a time to the minute, in its own zone and with its offset: 2026-11-29 14:05 +01:00."""
    written = moment.isoformat(sep=" ", timespec="minutes")
    return f"{written[:16]} {written[16:]}"


def format_time_in(zone: tzinfo | None, moment: datetime) -> str:
    """Return a time as `format_time` does, in a zone; None is the machine's own zone."""
    return format_time(in_zone(moment, zone))


def format_short_time(moment: datetime, now: datetime) -> str:
    """Return a time to the minute, without its offset, and without its year if it is near.

    Near is less than 300 days from `now`. Both times are in the zone of the reader, who also reads `now`.
    """
    written = moment.isoformat(sep=" ", timespec="minutes")[:16]
    return written[5:] if abs(moment - now) < _UNMISTAKABLE else written


_UNMISTAKABLE = timedelta(days=300)
"""A time that is nearer than this is known by its month and day."""


def name_zone(zone: tzinfo | None, now: datetime) -> str:
    """Return the name of a time zone. The machine's zone (None) has only its offset.

    If clocks change there, its times have several offsets: `local time, now UTC+01:00`.
    """
    name: str | None = getattr(zone, "key", None)
    if name:
        return name
    offsets = [_format_offset(in_zone(now + timedelta(days=days), zone)) for days in _OVER_A_YEAR]
    return offsets[0] if len(set(offsets)) == 1 else f"local time, now {offsets[0]}"


_OVER_A_YEAR = range(0, 365, 28)


def _format_offset(moment: datetime) -> str:
    offset = moment.isoformat()[-6:]
    return "UTC" if offset == "+00:00" else f"UTC{offset}"
