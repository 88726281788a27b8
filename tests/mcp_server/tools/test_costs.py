"""P5: the daily cap holds for any cost that 46elks returns when it accepts a text."""

from datetime import timedelta

import pytest

from elks_mcp.sandbox import Fault, Sandbox
from tests.support.clocks import ManualClock
from tests.support.connecting import (
    EITHER_ERA,
    PHONE,
    Era,
    box_on,
    call,
    connected,
    data,
    live,
    posted,
    words,
)

pytestmark = pytest.mark.anyio
OTHER_PHONE = "+46701740606"

SLOT = timedelta(seconds=1)
"""Longer than until the next text may go out by the pace."""

COSTS = (0, -5200, -(10**14), float("nan"), float("inf"), None, "free", True, False, 10**30)
"""Costs that an acceptance may contain although none is a price."""


def a_box_that_names(cost: object, clock: ManualClock) -> Sandbox:
    """Create a sandbox whose acceptances return this cost; it charges the real price."""
    box = box_on(clock)
    box.faults.inject(Fault.WRONG_COST, dryrun=False, times=None, cost=cost)
    return box


@pytest.mark.parametrize("era", EITHER_ERA)
@pytest.mark.parametrize("cost", COSTS)
async def test_p5_a_zero_or_negative_cost_does_not_disable_the_cap(cost: object, era: Era) -> None:
    clock = ManualClock()
    box = a_box_that_names(cost, clock)
    environ = live(box, ELKS_BUDGET_PER_DAY="1.00")
    async with connected(environ, box=box, way=era, clock=clock) as client:
        sent = data(await call(client, "send_sms", to=PHONE, message="Hej"))
        assert (sent["status"], sent["price"]["amount"]) == ("sent", 0.52)
        clock.advance(SLOT)
        refused = await call(client, "send_sms", to=OTHER_PHONE, message="Hej")
        assert "Refused by daily_budget: " in words(refused)
        assert "0.48 SEK is left" in words(refused)
    assert len(posted(box)) == 1


async def test_p5_a_charge_below_the_quote_releases_the_difference() -> None:
    clock = ManualClock()
    box = a_box_that_names(2600, clock)
    async with connected(live(box, ELKS_BUDGET_PER_DAY="1.00"), box=box, clock=clock) as client:
        for number in (PHONE, OTHER_PHONE):
            assert data(await call(client, "send_sms", to=number, message="Hej"))["status"] == "sent"
            clock.advance(SLOT)


async def test_p5_a_charge_above_the_quote_counts_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    box = a_box_that_names(7800, clock)
    async with connected(live(box, ELKS_BUDGET_PER_DAY="1.00"), box=box, clock=clock) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej")
        sentence = "46elks charged 0.78 SEK for it and had quoted 0.52 SEK"
        assert sentence in words(answer)
        assert sentence in " ".join(data(answer)["notes"])
        status = await call(client, "check_sms_status", messageId=data(answer)["orderId"])
        assert sentence in words(status)
        clock.advance(SLOT)
        assert "0.22 SEK is left" in words(await call(client, "send_sms", to=OTHER_PHONE, message="Hej"))
    [warning] = [each for each in caplog.messages if "had quoted" in each]
    assert warning.startswith("46elks charged 0.78 SEK for O-")
    assert PHONE not in warning
