"""When a text goes out, as callers write it and as answers say it, and how late it may be."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.orders import ORDER_LATENESS, Approver, Order, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.domain.send_times import LONGEST_AHEAD, describe_send_time, format_send_time, parse_send_time
from elks_mcp.errors import InvalidInput
from tests.support.provider import OURS, a_draft, an_approval

STOCKHOLM, HELSINKI, NEW_YORK = map(ZoneInfo, ("Europe/Stockholm", "Europe/Helsinki", "America/New_York"))
SWEDISH, NORWEGIAN, AMERICAN = map(Number, ("+46701740605", "+4741234567", "+12025550123"))
AUSTRALIAN = Number("+61412345678")
"""Someone in one of eight zones."""

AT_SEA = Number("+882161234567")
"""Someone whose zone cannot be known."""


def utc(*parts: int) -> datetime:
    """Return a time in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


NOW = utc(2026, 11, 30, 8)
"""A Monday, 9 o'clock in Sweden."""


def read(
    text: str,
    zone_name: str = "",
    *,
    to: Number = SWEDISH,
    home: tzinfo | None = STOCKHOLM,
    now: datetime = NOW,
) -> datetime:
    """Read a send time as a server in Sweden does."""
    return parse_send_time(text, zone_name, to=to, home=home, now=now)


@pytest.mark.parametrize(
    ("text", "zone_name", "moment"),
    [
        ("2026-12-01T09:00", "", utc(2026, 12, 1, 8)),
        (" 2026-12-01 09:00:30 ", "", utc(2026, 12, 1, 8, 0, 30)),
        ("2026-11-30T09:01", "", utc(2026, 11, 30, 8, 1)),
        ("2026-12-01T09:00Z", "", utc(2026, 12, 1, 9)),
        ("2026-12-01T09:00+05:30", "", utc(2026, 12, 1, 3, 30)),
        ("2026-12-01T09:00+05:30", "America/New_York", utc(2026, 12, 1, 3, 30)),
        ("2026-12-01T09:00", "America/New_York", utc(2026, 12, 1, 14)),
        ("2026-12-01T09:00", " Europe/Helsinki ", utc(2026, 12, 1, 7)),
        ("2026-12-01T09:00", "UTC", utc(2026, 12, 1, 9)),
    ],
)
def test_a_send_time_is_read(text: str, zone_name: str, moment: datetime) -> None:
    assert read(text, zone_name) == moment


@pytest.mark.parametrize(
    ("to", "home", "moment"),
    [
        (SWEDISH, NEW_YORK, utc(2026, 12, 1, 8)),
        (AMERICAN, STOCKHOLM, utc(2026, 12, 1, 14)),
        (NORWEGIAN, HELSINKI, utc(2026, 12, 1, 8)),  # Svalbard has Oslo's time
        (AUSTRALIAN, STOCKHOLM, utc(2026, 12, 1, 8)),
        (AUSTRALIAN, HELSINKI, utc(2026, 12, 1, 7)),
        (AT_SEA, HELSINKI, utc(2026, 12, 1, 7)),
        (AT_SEA, None, datetime(2026, 12, 1, 9).astimezone()),
    ],
)
def test_without_a_zone_a_time_is_in_the_recipients_zone_or_the_operators(
    to: Number, home: tzinfo | None, moment: datetime
) -> None:
    assert read("2026-12-01T09:00", to=to, home=home) == moment
    assert read("2026-12-01T09:00+09:00", to=to, home=home) == utc(2026, 12, 1, 0)


BEFORE_SUMMER, BEFORE_WINTER = utc(2027, 3, 27, 12), utc(2027, 10, 30, 12)


@pytest.mark.parametrize(
    ("now", "text", "moment"),
    [
        (BEFORE_SUMMER, "2027-03-28T01:59", utc(2027, 3, 28, 0, 59)),
        (BEFORE_SUMMER, "2027-03-28T03:00", utc(2027, 3, 28, 1)),
        (BEFORE_SUMMER, "2027-03-28T09:00", utc(2027, 3, 28, 7)),
        (BEFORE_WINTER, "2027-10-31T01:59", utc(2027, 10, 30, 23, 59)),
        (BEFORE_WINTER, "2027-10-31T02:30+02:00", utc(2027, 10, 31, 0, 30)),
        (BEFORE_WINTER, "2027-10-31T02:30+01:00", utc(2027, 10, 31, 1, 30)),
        (BEFORE_WINTER, "2027-10-31T03:00", utc(2027, 10, 31, 2)),
        (BEFORE_WINTER, "2027-10-31T09:00", utc(2027, 10, 31, 8)),
        (utc(2028, 2, 28, 12), "2028-02-29T09:00", utc(2028, 2, 29, 8)),
        (utc(2028, 2, 29, 12), "2028-03-01T09:00", utc(2028, 3, 1, 8)),
        (utc(2028, 1, 31, 8), "2028-03-06T09:00", utc(2028, 3, 6, 8)),
    ],
)
def test_days_of_clock_changes_and_leap_days_follow_the_local_clock(
    now: datetime, text: str, moment: datetime
) -> None:
    assert read(text, now=now) == moment


@pytest.mark.parametrize("to", [SWEDISH, NORWEGIAN, AUSTRALIAN])
@pytest.mark.parametrize(
    ("now", "text", "what", "neighbours"),
    [
        (BEFORE_SUMMER, "2027-03-28T02:30", "does not exist", ("01:30+01:00", "03:30+02:00")),
        (BEFORE_WINTER, "2027-10-31T02:30", "exists twice", ("02:30+02:00", "02:30+01:00")),
    ],
)
def test_a_time_that_does_not_exist_or_exists_twice_is_refused_with_its_neighbours(
    to: Number, now: datetime, text: str, what: str, neighbours: tuple[str, str]
) -> None:
    with pytest.raises(InvalidInput, match=f"The send time cannot be .* {what}") as caught:
        read(text, to=to, now=now)
    earlier, later = (f"{text[:10]}T{clock}" for clock in neighbours)
    assert caught.value.hint == f"Write {earlier} or {later}."
    assert read(earlier, now=now) < read(later, now=now)


def test_a_time_that_one_zone_skips_can_exist_in_another() -> None:
    text = "2027-03-28T02:30"
    assert read(text, "America/New_York", now=BEFORE_SUMMER) == utc(2027, 3, 28, 6, 30)
    assert read(text, to=AMERICAN, now=BEFORE_SUMMER) == utc(2027, 3, 28, 6, 30)


@pytest.mark.parametrize("text", ["2026-11-30T09:00", "2026-11-30T08:59", "2025-12-01T09:00"])
def test_a_time_in_the_past_is_refused_with_the_current_time(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"The send time is past: it is 2026-11-30 09:00 \+01:00 now\."):
        read(text)


def test_more_than_35_days_ahead_is_refused() -> None:
    assert read("2027-01-04T09:00") - NOW == LONGEST_AHEAD == timedelta(days=35)
    for text in ("2027-01-04T09:01", "2027-12-01T09:00", "9999-12-31T23:59"):
        with pytest.raises(InvalidInput, match="The send time is more than 35 days ahead"):
            read(text)


@pytest.mark.parametrize("text", ["2026-12-01", " 2026-12-01 ", "2020-12-01"])
def test_a_day_without_a_time_is_refused_since_the_caller_has_to_ask(text: str) -> None:
    with pytest.raises(InvalidInput, match="The send time has no time of day") as caught:
        read(text)
    assert "asking for the time" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "tomorrow at 9",
        "imorgon 09:00",
        "09:00",
        "9:00",
        "2026-12-01T9:00",
        "2026-12-01T09",
        "01/12/2026 09:00",
        "2026-12-01T09:00 Europe/Stockholm",
        "1796115600",
        "P1D",
        "2026-12-01T09:00\n2026-12-02T09:00",
    ],
)
def test_an_invalid_send_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"The send time cannot be .* 2026-11-30T09:00"):
        read(text)


@pytest.mark.parametrize("text", ["2027-02-29", "2027-02-29T09:00", "2026-12-32 09:00", "2026-13-01T09:00"])
def test_a_day_that_does_not_exist_is_refused_for_that(text: str) -> None:
    with pytest.raises(InvalidInput, match=f"The send time cannot be '{text}': there is no such day"):
        read(text, now=utc(2027, 2, 1))


def test_a_time_of_day_and_an_offset_that_do_not_exist_are_refused_for_that() -> None:
    with pytest.raises(InvalidInput, match="there is no such time of day"):
        read("2026-12-01T09:75")
    with pytest.raises(InvalidInput, match="there is no such offset"):
        read("2026-12-01T09:00+99:00")


@pytest.mark.parametrize(
    "name",
    [
        "Stockholm",
        "Sweden",
        "Europe",
        "Europe/Stockholm/",
        "Europe/Stockholm\0",
        "../zoneinfo/UTC",
        "/etc/localtime",
        "localtime",
        "right/Europe/Stockholm",
        "Right/Europe/Stockholm",
        "posix/Europe/Stockholm",
        "Factory",
        "+01:00",
        "   ",
        "\ud800",
        "x" * 5000,
    ],
)
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="The time zone cannot be") as caught:
        read("2026-12-01T09:00", name)
    assert "Europe/Stockholm" in caught.value.hint
    assert len(caught.value.explain()) < 300


minutes_ahead = st.integers(min_value=1, max_value=LONGEST_AHEAD // timedelta(minutes=1))


def datetimes(first: datetime, last: datetime, zone: Any) -> st.SearchStrategy[datetime]:
    """Return times between two, in zones of a strategy."""
    return st.datetimes(first.replace(tzinfo=None), last.replace(tzinfo=None), timezones=zone)


moments = datetimes(utc(2026, 1, 1), utc(2031, 1, 1), st.just(UTC))
zones = st.sampled_from(
    ["Europe/Stockholm", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC"]
).map(ZoneInfo)


@given(moments, minutes_ahead, zones)
def test_a_local_time_means_its_moment_unless_it_occurs_twice(
    now: datetime, minutes: int, zone: ZoneInfo
) -> None:
    now = now.replace(second=0, microsecond=0)
    moment = now + timedelta(minutes=minutes)
    local = moment.astimezone(zone)
    is_unique = local.utcoffset() == local.replace(fold=1 - local.fold).utcoffset()
    assert read(local.isoformat(), now=now) == moment
    if is_unique:
        assert read(f"{local:%Y-%m-%dT%H:%M}", zone.key, now=now) == moment
        return
    with pytest.raises(InvalidInput, match="exists twice"):
        read(f"{local:%Y-%m-%dT%H:%M}", zone.key, now=now)


offsets = st.integers(min_value=-14 * 60, max_value=14 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
written = st.one_of(
    datetimes(utc(2026, 11, 1), utc(2027, 2, 1), st.one_of(st.none(), offsets)).map(datetime.isoformat),
    st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?[0-9:.+Z-]{0,12}\Z"),
    st.text(max_size=30),
)


@given(written, st.sampled_from([SWEDISH, NORWEGIAN, AMERICAN, AUSTRALIAN, AT_SEA]))
def test_every_accepted_time_is_in_the_near_future(text: str, to: Number) -> None:
    found: datetime | str
    try:
        found = read(text, to=to)
    except InvalidInput as error:
        found = error.explain()
    if isinstance(found, str):
        assert len(found) < 400
    else:
        assert NOW < found <= NOW + LONGEST_AHEAD
        assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("to", "home", "words"),
    [
        (SWEDISH, STOCKHOLM, "Tuesday 2026-12-01 09:00 +01:00 (Europe/Stockholm)"),
        (SWEDISH, NEW_YORK, "Tuesday 2026-12-01 09:00 +01:00 (Europe/Stockholm)"),
        (AMERICAN, STOCKHOLM, "Tuesday 2026-12-01 03:00 -05:00 (America/New_York)"),
        (NORWEGIAN, STOCKHOLM, "Tuesday 2026-12-01 09:00 +01:00 (Europe/Stockholm)"),
        (NORWEGIAN, HELSINKI, "Tuesday 2026-12-01 09:00 +01:00"),
        (AUSTRALIAN, HELSINKI, "Tuesday 2026-12-01 10:00 +02:00 (Europe/Helsinki)"),
        (AT_SEA, STOCKHOLM, "Tuesday 2026-12-01 09:00 +01:00 (Europe/Stockholm)"),
        (None, STOCKHOLM, "Tuesday 2026-12-01 09:00 +01:00 (Europe/Stockholm)"),
    ],
)
def test_a_send_time_is_shown_with_its_weekday_in_the_recipients_zone_if_known(
    to: Number | None, home: tzinfo, words: str
) -> None:
    assert format_send_time(utc(2026, 12, 1, 8), to, home) == words


def test_the_weekday_is_that_of_the_zone() -> None:
    assert format_send_time(utc(2026, 11, 30, 23, 30), SWEDISH, UTC).startswith("Tuesday 2026-12-01 00:30")


def test_with_an_answer_the_time_may_have_passed_since_the_question() -> None:
    ago = timedelta(minutes=5)
    for time in (NOW - ago + timedelta(seconds=1), NOW + timedelta(days=35)):
        assert parse_send_time(time.isoformat(), "", to=SWEDISH, home=None, now=NOW, passed=ago) == time
    with pytest.raises(InvalidInput, match="past"):
        parse_send_time((NOW - ago).isoformat(), "", to=SWEDISH, home=None, now=NOW, passed=ago)


@pytest.mark.parametrize(
    ("minutes", "late"), [(60, "60 minutes"), (1, "1 minute"), (90, "90 minutes"), (1440, "1440 minutes")]
)
def test_an_order_says_how_late_it_may_go_out(minutes: int, late: str) -> None:
    at = datetime(2026, 12, 1, 8, tzinfo=UTC)
    order = an_order(send_at=at, expires_at=at + timedelta(minutes=minutes))
    assert describe_send_time(order, None) == (
        f"Tuesday 2026-12-01 09:00 +01:00 (Europe/Stockholm), at most {late} late or not at all"
    )
    assert describe_send_time(an_order(send_at=None, expires_at=at + ORDER_LATENESS), None) == ""


def an_order(*, send_at: datetime | None, expires_at: datetime) -> Order:
    """Return an order of a text."""
    quote = an_approval(a_draft()).quote
    return Order(
        id="O-22222222",
        state=OrderState.SCHEDULED,
        to=SWEDISH,
        sender=OURS,
        payload=quote.draft.payload,
        parts=quote.parts,
        price=quote.estimate.price,
        findings=(),
        approver=Approver.POLICY,
        placed_at=NOW,
        changed_at=NOW,
        send_at=send_at,
        expires_at=expires_at,
    )
