"""Count sent texts by outcome, country, cost and time to delivery."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from statistics import median, quantiles
from typing import Annotated

from pydantic import AwareDatetime, Field

from elks_mcp.answers.structured import Answer, MoneyField, StructuredAnswer
from elks_mcp.domain.models import Message
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import country_name, parse_number
from elks_mcp.domain.wording import format_count, format_money, format_time
from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.clock import in_zone

_STUCK = timedelta(hours=1)
_ENOUGH = 5
_POOR = 0.9


class CountryStatistics(StructuredAnswer):
    """The outcome of texts to one country."""

    country: str
    messages: int
    delivered: int
    failed: int
    cost: MoneyField


class DayStatistics(StructuredAnswer):
    """The texts of one day, in the answer's time zone."""

    day: str
    messages: int
    cost: MoneyField


class StatisticsAnswer(Answer):
    """The outcome of sent texts. Rates are of settled texts: those delivered or failed."""

    note: str = ""
    messages: int
    by_status: dict[str, int]
    delivered: int
    failed: int
    under_way: int
    delivery_rate: Annotated[
        float | None, Field(description="Delivered ÷ settled, 0 to 1; null before any is settled.")
    ]
    cost: MoneyField
    cost_per_message: MoneyField | None
    cost_per_part: MoneyField | None
    seconds_to_delivery_median: float | None
    seconds_to_delivery_p95: float | None
    countries: tuple[CountryStatistics, ...]
    days: Annotated[
        tuple[DayStatistics, ...], Field(exclude_if=lambda days: not days, description="Newest first.")
    ] = ()
    oldest: AwareDatetime | None
    newest: AwareDatetime | None
    stands_out: str

    def in_words(self) -> str:
        """Return the figures in a few sentences, after what they leave out."""
        if not self.messages:
            return f"{self.note} No sent texts to count.".lstrip()
        counts = ", ".join(f"{count} {status}" for status, count in self.by_status.items())
        rate = (
            ""
            if self.delivery_rate is None
            else f" {self.delivery_rate:.0%} of those settled were delivered."
        )
        lines = [f"{format_count(self.messages, 'sent text')}: {counts}.{rate}"]
        if self.oldest and self.newest:
            lines.append(f"From {format_time(self.oldest)} to {format_time(self.newest)}.")
        lines.append(f"Cost {format_money(self.cost)}{_each(self.cost_per_message, self.cost_per_part)}.")
        if self.seconds_to_delivery_median is not None and self.seconds_to_delivery_p95 is not None:
            median_, p95 = self.seconds_to_delivery_median, self.seconds_to_delivery_p95
            lines.append(f"Time to delivery: {median_:.0f} s (median), {p95:.0f} s (95th percentile).")
        if len(self.countries) > 1:
            lines += [
                f"{c.country}: {c.messages}, {c.delivered} delivered, {c.failed} failed."
                for c in self.countries
            ]
        lines += [f"{d.day}: {format_count(d.messages, 'text')}, {format_money(d.cost)}." for d in self.days]
        return "\n".join([*([self.note] if self.note else []), *lines, self.stands_out])


def summarize(messages: Sequence[Message], now: datetime, note: str = "") -> StatisticsAnswer:
    """Return statistics of sent messages as of `now`. `note`: what is left out, and why."""
    by_status = Counter(message.status for message in messages)
    delivered, failed = by_status["delivered"], by_status["failed"]
    cost = _cost(messages)
    parts = sum(message.parts or 1 for message in messages)
    times = sorted(_seconds(messages))
    created = sorted(message.created_at for message in messages if message.created_at)
    countries = _by_country(messages)
    return StatisticsAnswer(
        messages=len(messages),
        by_status=dict(sorted(by_status.items())),
        delivered=delivered,
        failed=failed,
        under_way=len(messages) - delivered - failed,
        delivery_rate=_rate(delivered, failed),
        cost=cost,
        cost_per_message=cost.split(len(messages)) if messages else None,
        cost_per_part=cost.split(parts) if messages else None,
        seconds_to_delivery_median=median(times) if times else None,
        seconds_to_delivery_p95=_p95(times),
        countries=countries,
        oldest=created[0] if created else None,
        newest=created[-1] if created else None,
        stands_out=_stands_out(messages, countries, now),
        note=note,
    )


def count_by_day(messages: Sequence[Message], zone: tzinfo | None) -> tuple[DayStatistics, ...]:
    """Return texts and cost of each day with sent texts, the newest first.

    `zone`: where the days begin and end; None is the machine's zone.
    """
    days: defaultdict[str, list[Message]] = defaultdict(list)
    for message in messages:
        if message.created_at:
            days[in_zone(message.created_at, zone).date().isoformat()].append(message)
    return tuple(
        DayStatistics(day=day, messages=len(group), cost=_cost(group))
        for day, group in sorted(days.items(), reverse=True)
    )


def add_days(answer: StatisticsAnswer, days: Sequence[DayStatistics]) -> StatisticsAnswer:
    """Return statistics with the latest days, at most 31. If there are more, the note says so."""
    more = f"Of {len(days)} days with sent texts the latest {_MOST_DAYS} are listed; all are counted."
    note = f"{answer.note} {more}".lstrip() if len(days) > _MOST_DAYS else answer.note
    return answer.model_copy(update={"days": tuple(days[:_MOST_DAYS]), "note": note})


_MOST_DAYS = 31


def _each(message: Money | None, part: Money | None) -> str:
    return f", {format_money(message)} a text and {format_money(part)} a part" if message and part else ""


def _rate(delivered: int, failed: int) -> float | None:
    return delivered / (delivered + failed) if delivered + failed else None


def _success(row: CountryStatistics) -> float:
    """Return the delivery rate of a country with settled texts."""
    return row.delivered / (row.delivered + row.failed)


def _cost(messages: Sequence[Message]) -> Money:
    costs = [message.cost for message in messages if message.cost]
    return Money(sum(cost.units for cost in costs), costs[0].currency if costs else "")


def _seconds(messages: Sequence[Message]) -> list[float]:
    """Return the seconds each delivery took; 46elks rounds times, so below 0 counts as 0."""
    both = [(m.created_at, m.delivered_at) for m in messages if m.created_at and m.delivered_at]
    return [max(0.0, (delivered - created).total_seconds()) for created, delivered in both]


def _p95(times: list[float]) -> float | None:
    return quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else (times[0] if times else None)


def _by_country(messages: Sequence[Message]) -> tuple[CountryStatistics, ...]:
    regions: dict[str, list[Message]] = {}
    for message in messages:
        regions.setdefault(_country(message.to), []).append(message)
    rows = sorted(regions.items(), key=lambda row: (-len(row[1]), row[0]))
    return tuple(
        CountryStatistics(
            country=country,
            messages=len(group),
            delivered=sum(message.status == "delivered" for message in group),
            failed=sum(message.status == "failed" for message in group),
            cost=_cost(group),
        )
        for country, group in rows
    )


def _country(number: str) -> str:
    try:
        return country_name(parse_number(number).region)
    except InvalidInput:
        return "unknown country"


def _stands_out(messages: Sequence[Message], countries: Sequence[CountryStatistics], now: datetime) -> str:
    """Return a sentence about the one figure most worth attention."""
    judged = [row for row in countries if row.delivered + row.failed >= _ENOUGH]
    if judged:
        worst = min(judged, key=_success)
        if _success(worst) < _POOR:
            return f"Worth noting: only {_success(worst):.0%} of the texts to {worst.country} were delivered."
    texts = (m for m in messages if not m.is_picture)  # 46elks reports no delivery of an MMS
    waiting = [m.created_at for m in texts if m.status in {"created", "sent"} and m.created_at]
    stuck = sum(now - created_at > _STUCK for created_at in waiting)
    if stuck:
        return f"Worth noting: {stuck} under way for more than an hour; those phones may be switched off."
    parts = sum(m.parts or 1 for m in messages) / max(1, len(messages))
    if parts >= 2:  # noqa: PLR2004
        return f"Worth noting: a text takes {parts:.1f} parts on average; shorter ones cost less."
    return "Nothing unusual."
