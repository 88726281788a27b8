"""A running alert that no server carries on any more, and the text and audio that it still has."""

from datetime import timedelta

import pytest

from elks_mcp.domain.alerts import AckMeans
from elks_mcp.domain.escalation import AlertState
from elks_mcp.sandbox import Fault
from elks_mcp.sandbox.call_behaviours import pressing
from elks_mcp.store import StateLocation
from elks_mcp.workflows.escalation import find_no_digits
from tests.support.pagers import FIRST, PAGING, open_pager
from tests.support.stores import MINUTE, SECOND, World, WorldBackend, on_both_databases, read_rows

pytestmark = pytest.mark.anyio

SECRET = "Hemlig serverhall"
SHORT = PAGING.replace("cost_cap: 50", "cost_cap: 50\n    time_cap: 20")


@on_both_databases
async def test_p9_an_alert_that_no_server_carries_on_ends_an_hour_after_its_cap_without_its_text(
    location: StateLocation,
) -> None:
    world = World(location)
    async with open_pager(world, paging=SHORT) as pager:
        alert = await pager.page(SECRET)
        await pager.pass_time(MINUTE)
        reached = pager.reached
    async with WorldBackend(world).running() as store:
        world.clock.advance(alert.ends_at - world.clock.now() + timedelta(minutes=59, seconds=59))
        await store.cleanup.delete_expired()
        assert (await store.alerts.get(alert.id)).state is AlertState.RUNNING
        world.clock.advance(SECOND)
        await store.cleanup.delete_expired()
        ended = await store.alerts.get(alert.id)
        assert (ended.state, ended.reason) == (AlertState.UNANSWERED, "No server ran to carry it on.")
        [(plan,)] = read_rows(location, "SELECT plan FROM alerts WHERE id = ?", alert.id)
        assert SECRET not in plan
    async with open_pager(world, paging=SHORT) as pager:
        await pager.pass_time(60 * MINUTE)
        assert pager.reached == reached == [FIRST.e164]
        assert 'elks_mcp_alerts_total{outcome="unanswered"} 1' in pager.counters.write()


@on_both_databases
@pytest.mark.parametrize("by_cleanup", [False, True], ids=["by a server", "by the cleanup"])
async def test_a_digit_stored_in_time_acknowledges_an_alert_that_no_server_carried_on(
    location: StateLocation, by_cleanup: bool
) -> None:
    world = World(location)
    world.box.handset(FIRST.e164).calls = pressing("1")
    paging = SHORT.replace("by: sms", "by: call")
    blind = find_no_digits  # this server ends before it looks at what the webhook stored
    async with open_pager(world, paging=paging, find_digits=blind) as pager:
        alert = await pager.page()
        await pager.pass_time(2 * MINUTE)
        assert (await pager.get(alert)).state is AlertState.RUNNING
    world.clock.advance(alert.ends_at - world.clock.now() + timedelta(hours=2))
    if by_cleanup:
        async with WorldBackend(world).running() as store:
            await store.cleanup.delete_expired()
            over = await store.alerts.get(alert.id)
    else:
        async with open_pager(world, paging=paging) as pager:
            await pager.pass_time(MINUTE)
            over = await pager.get(alert)
    assert (over.state, over.late_at) == (AlertState.ACKNOWLEDGED, None)
    assert (over.acknowledged_by, over.acknowledged_how) == (FIRST, AckMeans.CALL)


async def test_an_alert_that_reached_nobody_before_its_server_died_has_failed(
    location: StateLocation,
) -> None:
    world = World(location)
    async with open_pager(world, paging=SHORT) as pager:
        alert = await pager.page(SECRET)
        pager.fail(Fault.CONNECTION_REFUSED)
        await pager.pass_time(MINUTE)
    world.clock.advance(alert.ends_at - world.clock.now() + timedelta(hours=1))
    async with WorldBackend(world).running() as store:
        await store.cleanup.delete_expired()
        assert (await store.alerts.get(alert.id)).state is AlertState.FAILED
