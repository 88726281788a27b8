"""How long after its send time a text may still be approved or sent."""

from datetime import UTC, datetime, timedelta

import pytest

from elks_mcp.domain.orders import ORDER_LATENESS, Approver, Order, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.domain.send_times import describe_send_time, parse_send_time
from elks_mcp.errors import InvalidInput
from tests.support.provider import OURS, a_draft, an_approval

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SWEDE = Number("+46701740605")


def test_with_an_answer_the_time_may_have_passed_since_the_question() -> None:
    ago = timedelta(minutes=5)
    for time in (NOW - ago + timedelta(seconds=1), NOW + timedelta(days=35)):
        assert parse_send_time(time.isoformat(), "", to=SWEDE, home=None, now=NOW, passed=ago) == time
    with pytest.raises(InvalidInput, match="past"):
        parse_send_time((NOW - ago).isoformat(), "", to=SWEDE, home=None, now=NOW, passed=ago)


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
        to=SWEDE,
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
