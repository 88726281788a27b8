"""Times and periods as callers write them."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest

from elks_mcp.domain.periods import parse_moment, parse_period
from elks_mcp.errors import InvalidInput

STOCKHOLM, SANTIAGO = ZoneInfo("Europe/Stockholm"), ZoneInfo("America/Santiago")


def utc(*parts: int) -> datetime:
    """Return a time in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-11-30", STOCKHOLM, utc(2026, 11, 29, 23)),
        ("2026-07-01", STOCKHOLM, utc(2026, 6, 30, 22)),
        ("2026-11-30T09:00", STOCKHOLM, utc(2026, 11, 30, 8)),
        (" 2026-11-30 09:00:30 ", STOCKHOLM, utc(2026, 11, 30, 8, 0, 30)),
        ("2026-11-30T09:00:00.123+01:00", SANTIAGO, utc(2026, 11, 30, 8, 0, 0, 123000)),
        ("2026-11-30t09:00z", STOCKHOLM, utc(2026, 11, 30, 9)),
        ("2026-10-25T02:30+01:00", STOCKHOLM, utc(2026, 10, 25, 1, 30)),
        ("2026-11-30T09:00", UTC, utc(2026, 11, 30, 9)),
    ],
)
def test_a_time_is_read_in_the_zone_unless_it_has_an_offset(
    text: str, zone: tzinfo, moment: datetime
) -> None:
    assert parse_moment(text, zone, name="`since`") == moment


def test_without_a_zone_the_machines_zone_is_used() -> None:
    assert parse_moment("2026-11-30T09:00", None, name="`since`") == datetime(2026, 11, 30, 9).astimezone()


def test_days_are_complete_even_if_clocks_change() -> None:
    assert parse_period("2026-11-30", "2026-11-30", STOCKHOLM) == (
        utc(2026, 11, 29, 23),
        utc(2026, 11, 30, 23),
    )
    longer = parse_period("2026-10-25", "2026-10-25", STOCKHOLM)
    assert longer == (utc(2026, 10, 24, 22), utc(2026, 10, 25, 23))
    assert parse_period("", "", STOCKHOLM) == (None, None)


def test_a_day_whose_midnight_does_not_exist_begins_when_clocks_change() -> None:
    assert parse_moment("2026-09-06", SANTIAGO, name="`since`") == utc(2026, 9, 6, 4)


@pytest.mark.parametrize(
    ("text", "said", "neighbours"),
    [
        ("2026-03-29T02:30", "does not exist", "2026-03-29T01:30+01:00 or 2026-03-29T03:30+02:00"),
        ("2026-10-25T02:30", "exists twice", "2026-10-25T02:30+02:00 or 2026-10-25T02:30+01:00"),
    ],
)
def test_a_time_that_clocks_skip_or_repeat_is_refused_with_its_neighbours(
    text: str, said: str, neighbours: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        parse_moment(text, STOCKHOLM, name="`until`")
    assert caught.value.hint == f"Write {neighbours}."
    for each in neighbours.split(" or "):
        parse_moment(each, STOCKHOLM, name="`until`")


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "igår",
        "1764489600",
        "2026-11",
        "2026-W48-1",
        "2026-11-30T09",
        "30/11/2026",
        "9999-12-31",
        "9999-12-31T23:59:59-05:00",
        "２０２６-11-30",
    ],
)
def test_an_invalid_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidInput, match="write a day as 2026-11-30") as caught:
        parse_moment(text, STOCKHOLM, name="`until`", end_of_day=True)
    assert "`until` cannot be" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-02-30", "there is no such day"),
        ("2026-02-31T09:00+01:00", "there is no such day"),
        ("0000-01-01", "there is no such day"),
        ("2026-13-01T09:00", "there is no such day"),
        ("2026-11-30T25:00", "there is no such time of day"),
        ("2026-11-30T09:60Z", "there is no such time of day"),
        ("2026-11-30T09:00+99:00", "there is no such offset"),
    ],
)
def test_a_time_that_does_not_exist_is_refused_for_that(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        parse_moment(text, STOCKHOLM, name="`until`", end_of_day=True)


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("2026-11-29", "`since` is not before `until`. Exchange them"),
        ("2026-11-29T23:59", "`since` is not before `until`. Exchange them"),
        ("2026-11-30T00:00", "`since` and `until` are the same time. Write a later `until`"),
        ("2026-11-29T23:00Z", "`since` and `until` are the same time. Write a later `until`"),
    ],
)
def test_a_period_that_is_empty_is_refused(until: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_period("2026-11-30", until, STOCKHOLM)
    assert caught.value.explain().startswith(said)
