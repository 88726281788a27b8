"""Numbers, money, durations and times as text."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from elks_mcp.domain.money import Money
from elks_mcp.domain.wording import (
    format_count,
    format_duration,
    format_money,
    format_time,
    format_time_in,
    name_zone,
)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 parts"), (1, "1 part"), (2, "2 parts"), (1000, "1000 parts")]
)
def test_only_one_of_a_thing_has_no_s(number: int, text: str) -> None:
    assert format_count(number, "part") == text


def test_an_amount_says_if_its_currency_is_unknown() -> None:
    assert format_money(Money(5200, "SEK")) == "0.52 SEK"
    assert format_money(Money(5200)) == "0.52 (currency unknown)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 seconds"),
        (1.9, "1 second"),
        (59.9, "59 seconds"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (3600, "1 hour"),
        (90_000, "25 hours"),
    ],
)
def test_a_duration_is_rounded_down_to_its_largest_unit(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


def test_a_time_keeps_its_zone_or_is_converted_to_the_one_that_is_named() -> None:
    moment = datetime(2026, 11, 29, 13, 5, 59, tzinfo=UTC)
    assert format_time(moment) == "2026-11-29 13:05 +00:00"
    assert format_time_in(timezone(timedelta(hours=1)), moment) == "2026-11-29 14:05 +01:00"


def test_a_time_that_the_zone_cannot_convert_keeps_its_own() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert format_time_in(timezone(timedelta(hours=1)), last) == "9999-12-31 23:59 +00:00"


@contextmanager
def machine_in(zone: str) -> Iterator[None]:
    """Set the machine's zone."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", zone)
            time.tzset()
            yield
    finally:
        time.tzset()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no tzset")
@pytest.mark.parametrize(
    ("zone", "label"),
    [
        ("Europe/Stockholm", "local time, now UTC+01:00"),
        ("Europe/London", "local time, now UTC"),
        ("Asia/Kolkata", "UTC+05:30"),
        ("UTC", "UTC"),
    ],
)
def test_a_machine_whose_clocks_change_has_no_single_offset(zone: str, label: str) -> None:
    now = datetime(2026, 11, 29, 13, 5, tzinfo=UTC)
    with machine_in(zone):
        assert name_zone(None, now) == label
    assert name_zone(ZoneInfo("Europe/Stockholm"), now) == "Europe/Stockholm"
