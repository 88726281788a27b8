"""Acknowledgements by text on a machine whose clock differs from 46elks'."""

from datetime import timedelta

import pytest

from elks_mcp.domain.escalation import AlertState
from elks_mcp.sandbox import Fault, Sandbox
from elks_mcp.store import StateLocation
from tests.support.clocks import ManualClock, SandboxClock
from tests.support.pagers import FIRST, Pager, open_pager
from tests.support.provider import OURS
from tests.support.stores import MINUTE, SECOND, World, on_both_databases

pytestmark = pytest.mark.anyio

HOUR = 60 * MINUTE


class _TwoClocks:
    """A world in which 46elks has a clock of its own."""

    def __init__(self, location: StateLocation, ahead: timedelta) -> None:
        """`ahead`: how far the machine's clock is ahead of 46elks'."""
        self.world = World(location)
        self.real = ManualClock()
        self.world.box = Sandbox(clock=SandboxClock(self.real), balance=10**9)
        (self.world.clock if ahead > timedelta() else self.real).advance(abs(ahead))

    async def pass_time(self, pager: Pager, time: timedelta) -> None:
        """Let time pass on both clocks."""
        for _ in range(round(time / SECOND)):
            self.real.advance(SECOND)
            await pager.pass_time(SECOND)


@on_both_databases
@pytest.mark.parametrize("ahead", [-HOUR * 3, -MINUTE * 10, MINUTE * 3, HOUR * 3], ids=str)
async def test_an_answer_within_a_minute_acknowledges_whatever_the_clock_says(
    location: StateLocation, ahead: timedelta
) -> None:
    clocks = _TwoClocks(location, ahead)
    async with open_pager(clocks.world) as pager:
        alert = await pager.page()
        await clocks.pass_time(pager, 20 * SECOND)
        assert pager.reached == [FIRST.e164]
        pager.answer(f"OK {await pager.code(alert)}")
        await clocks.pass_time(pager, 20 * SECOND)
        over = await pager.get(alert)
        assert (over.state, over.acknowledged_by) == (AlertState.ACKNOWLEDGED, FIRST)


@on_both_databases
@pytest.mark.parametrize("ahead", [-MINUTE * 10, MINUTE * 3], ids=str)
async def test_a_text_from_before_the_alert_acknowledges_nothing_whatever_the_clock_says(
    location: StateLocation, ahead: timedelta
) -> None:
    clocks = _TwoClocks(location, ahead)
    async with open_pager(clocks.world) as pager:
        began = clocks.real.now()
        alert = await pager.page()
        await clocks.pass_time(pager, 20 * SECOND)
        old = f"OK {await pager.code(alert)}"
        add = clocks.world.box.add_history
        add(began - 2 * MINUTE, direction="incoming", sender=FIRST.e164, to=OURS.e164, text=old)
        await clocks.pass_time(pager, 20 * SECOND)
        assert (await pager.get(alert)).state is AlertState.RUNNING


@on_both_databases
async def test_an_answer_to_a_text_in_doubt_acknowledges_though_the_time_of_the_text_is_unknown(
    location: StateLocation,
) -> None:
    clocks = _TwoClocks(location, 3 * MINUTE)
    async with open_pager(clocks.world) as pager:
        pager.fail(Fault.DROP_AFTER, times=1)
        alert = await pager.page()
        await clocks.pass_time(pager, 5 * SECOND)
        pager.answer(f"OK {await pager.code(alert)}")
        await clocks.pass_time(pager, 20 * SECOND)
        over = await pager.get(alert)
        assert (over.state, over.acknowledged_by) == (AlertState.ACKNOWLEDGED, FIRST)


async def test_a_text_that_may_be_for_an_earlier_alert_acknowledges_none_in_doubt(
    location: StateLocation,
) -> None:
    clocks = _TwoClocks(location, 3 * MINUTE)
    async with open_pager(clocks.world) as pager:
        pager.fail(Fault.DROP_AFTER, times=1)
        alert = await pager.page()
        await clocks.pass_time(pager, 5 * SECOND)
        old = f"OK {await pager.code(alert)}"  # a code may be used again a day after the end of its alert
        written_at = clocks.real.now() - 13 * HOUR
        add = clocks.world.box.add_history
        add(written_at, direction="incoming", sender=FIRST.e164, to=OURS.e164, text=old)
        await clocks.pass_time(pager, 20 * SECOND)
        assert (await pager.get(alert)).state is AlertState.RUNNING
