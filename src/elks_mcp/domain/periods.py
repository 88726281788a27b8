"""Times and periods as callers write them: with an offset, or in a local time zone.

A caller writes `2026-11-30`, `2026-11-30T09:00` or `2026-11-30T09:00+01:00`. Words such as "yesterday" are
not understood: a model or a person translates them, and the server is strict.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.clock import in_zone

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_EXAMPLES = "write a day as 2026-11-30, or a time as 2026-11-30T09:00 or 2026-11-30T09:00+01:00"


class Period(NamedTuple):
    """A period from a moment on, before another one; None is open."""

    since: datetime | None = None
    until: datetime | None = None


def parse_period(since: str, until: str, zone: tzinfo | None) -> Period:
    """Return the period between two times in UTC; "" is open.

    A day as `since` means its start, and as `until` its end, so that both name whole days.

    Raises:
        InvalidInput: one is not a time, does not exist or exists twice in `zone`, or the period is empty.
    """
    start = parse_moment(since, zone, name="`since`") if since else None
    end = parse_moment(until, zone, name="`until`", end_of_day=True) if until else None
    if start and start == end and not _DATE.fullmatch(until.strip()):
        raise InvalidInput("`since` and `until` are the same time.", hint="Write a later `until`, or none.")
    if start and end and start >= end:
        raise InvalidInput("`since` is not before `until`.", hint="Exchange them, or leave one out.")
    return Period(start, end)


def parse_moment(
    text: str, zone: tzinfo | None, *, name: str, end_of_day: bool = False, examples: str = _EXAMPLES
) -> datetime:
    """Return a time in UTC; for a day its start, or its end.

    Args:
        text: a day, or a time with or without an offset.
        zone: the zone of a time without an offset; None is the machine's.
        name: the argument that an error names.
        end_of_day: whether a day means its end.
        examples: what an error says about how to write it.

    Raises:
        InvalidInput: it is not a time, or it does not exist or exists twice in the zone.
    """
    text = text.strip()
    try:
        if _DATE.fullmatch(text):
            return _start_of(date.fromisoformat(text) + timedelta(days=end_of_day), zone)
        if parts := _TIME.fullmatch(text):
            day, clock, offset = parts.groups()
            moment = datetime.fromisoformat(f"{day}T{clock}{(offset or '').upper()}")
            return moment.astimezone(UTC) if offset else _parse_local(moment, zone, name)
    except (ValueError, OverflowError, OSError):
        pass
    raise InvalidInput(f"{name} cannot be {text[:40]!r}: {explain_impossible(text) or examples}.")


def explain_impossible(text: str) -> str:
    """Return why a time that is written as one cannot be; "" if that is not the case."""
    parts = _TIME.fullmatch(text) or _DATE.fullmatch(text)
    if not parts:
        return ""
    day, clock, offset = parts.groups() if parts.re is _TIME else (text, None, None)
    checks = (
        (f"{day}T00:00", "there is no such day"),
        (f"2000-01-01T{clock or '00:00'}", "there is no such time of day"),
        (f"2000-01-01T00:00{(offset or '').upper()}", "there is no such offset"),
    )
    return next((why for each, why in checks if not _can_be(each)), "")


def _can_be(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _start_of(day: date, zone: tzinfo | None) -> datetime:
    """Return the first moment of a day: in some zones clocks change at midnight."""
    return _in_utc(datetime.combine(day, time()), zone)


def _parse_local(local: datetime, zone: tzinfo | None, name: str) -> datetime:
    first, second = _in_utc(local, zone), _in_utc(local.replace(fold=1), zone)
    if first == second:
        return first
    exists = in_zone(first, zone).replace(tzinfo=None) == local
    what = "exists twice" if exists else "does not exist"
    earlier, later = (in_zone(each, zone).isoformat(timespec="minutes") for each in sorted((first, second)))
    raise InvalidInput(
        f"{name} cannot be {local.isoformat(timespec='minutes')}: the clocks change, so that time {what}.",
        hint=f"Write {earlier} or {later}.",
    )


def _in_utc(local: datetime, zone: tzinfo | None) -> datetime:
    return (local.replace(tzinfo=zone) if zone else local).astimezone(UTC)
