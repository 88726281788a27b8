"""Delivery, counted."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.answers.statistics import add_days, count_by_day, summarize
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.money import Money

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def sent(
    status: str = "delivered",
    *,
    to: str = "+46701740605",
    ago: timedelta = timedelta(minutes=5),
    took: float = 2,
    cost: int | None = 5200,
    parts: int = 1,
) -> Message:
    """Make a message that was sent."""
    created = NOW - ago
    return Message(
        id="s0",
        direction=Direction.OUTBOUND,
        sender="Klara",
        to=to,
        created_at=created,
        status=status,
        delivered_at=created + timedelta(seconds=took) if status == "delivered" else None,
        cost=None if cost is None else Money(cost, "SEK"),
        parts=parts,
    )


def test_without_sent_texts_the_statistics_are_empty() -> None:
    found = summarize([], NOW)
    assert found.in_words() == "No sent texts to count."
    assert (found.delivery_rate, found.cost_per_message, found.seconds_to_delivery_median) == (
        None,
        None,
        None,
    )


def test_rates_count_settled_texts_and_sent_alone_is_no_success() -> None:
    found = summarize([sent(), sent("failed"), sent("sent"), sent("created"), sent("odd")], NOW)
    assert found.by_status == {"created": 1, "delivered": 1, "failed": 1, "odd": 1, "sent": 1}
    assert (found.delivered, found.failed, found.under_way, found.delivery_rate) == (1, 1, 3, 0.5)


def test_costs_are_given_in_total_per_text_and_per_part() -> None:
    found = summarize([sent(parts=3, cost=15600), sent(), sent(cost=None)], NOW)
    assert found.cost == Money(20800, "SEK")
    assert found.cost_per_message == Money(6933, "SEK")
    assert found.cost_per_part == Money(4160, "SEK")


def test_delivery_times_are_the_median_and_the_95th_percentile() -> None:
    found = summarize([sent(took=seconds) for seconds in range(1, 101)], NOW)
    assert found.seconds_to_delivery_median == pytest.approx(50.5)
    assert found.seconds_to_delivery_p95 == pytest.approx(95.05)
    assert summarize([sent(took=7)], NOW).seconds_to_delivery_p95 == 7
    assert summarize([sent(took=-0.9)], NOW).seconds_to_delivery_median == 0, "46elks tells whole seconds"


def test_countries_are_listed_with_the_most_texted_first_whatever_the_numbers() -> None:
    found = summarize([sent(to="+4741234567"), sent(), sent(), sent(to="Klara"), sent(to="")], NOW)
    assert [(row.country, row.messages) for row in found.countries] == [
        ("Sweden", 2),
        ("unknown country", 2),
        ("Norway", 1),
    ]
    assert "Norway: 1, 1 delivered, 0 failed." in found.in_words()


@pytest.mark.parametrize(
    ("messages", "stands_out"),
    [
        ([sent()] * 20, "Nothing unusual."),
        (
            [sent()] * 2 + [sent("failed")] * 3,
            "Worth noting: only 40% of the texts to Sweden were delivered.",
        ),
        ([sent("failed")] * 5, "Worth noting: only 0% of the texts to Sweden were delivered."),
        (
            [sent()] * 5 + [sent("failed", to="+4741234567")] * 5,
            "Worth noting: only 0% of the texts to Norway were delivered.",
        ),
        ([sent("failed")] * 4, "Nothing unusual."),
        ([sent("sent", ago=timedelta(hours=2))], "Worth noting: 1 under way for more than an hour"),
        ([sent("sent", ago=timedelta(minutes=59))], "Nothing unusual."),
        ([sent(parts=2)], "Worth noting: a text takes 2.0 parts on average"),
    ],
)
def test_a_notable_result_is_described_in_a_sentence(messages: list[Message], stands_out: str) -> None:
    assert summarize(messages, NOW).stands_out.startswith(stands_out)


@given(st.lists(st.sampled_from(["created", "sent", "delivered", "failed"]), max_size=50))
def test_every_text_is_counted_once(statuses: list[str]) -> None:
    found = summarize([sent(status) for status in statuses], NOW)
    assert sum(found.by_status.values()) == found.messages == len(statuses)
    assert found.delivered + found.failed + found.under_way == len(statuses)
    assert sum(row.messages for row in found.countries) == len(statuses)


def test_days_follow_the_time_zone_and_come_newest_first() -> None:
    messages = [sent(ago=timedelta(hours=hours)) for hours in (0, 1, 13, 14)] + [sent(cost=None)]
    days = count_by_day(messages, ZoneInfo("Europe/Stockholm"))
    assert [(each.day, each.messages, each.cost.units) for each in days] == [
        ("2026-11-22", 4, 15600),
        ("2026-11-21", 1, 5200),
    ]
    assert [each.messages for each in count_by_day(messages, UTC)] == [3, 2]


def test_only_the_latest_month_of_days_is_listed_and_a_note_says_so() -> None:
    for count, shown, note in ((31, 31, ""), (40, 31, "Of 40 days with sent texts the latest 31 are listed")):
        messages = [sent(ago=timedelta(days=days)) for days in range(count)]
        found = add_days(summarize(messages, NOW), count_by_day(messages, UTC))
        assert (len(found.days), found.days[0].day, found.messages) == (shown, "2026-11-22", count)
        assert found.note.startswith(note)
        assert bool(found.note) == bool(note)
        assert found.in_words().startswith(found.note)
