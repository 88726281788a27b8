"""A digit that another process records after the end of an alert is a late acknowledgement."""

import pytest

from elks_mcp.domain.alerts import AckMeans, Alert
from elks_mcp.domain.calls import CallEvent, CallState
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.phone import Number
from elks_mcp.sandbox.call_behaviours import RINGS
from elks_mcp.sending.plan import Decision
from elks_mcp.store import StateLocation
from elks_mcp.store.alert_admin import AlertAdmin
from tests.support.pagers import FIRST, SECOND_PERSON, Pager, list_called, open_pager
from tests.support.provider import OURS
from tests.support.stores import MINUTE, SECOND, World, WorldBackend, on_both_databases

pytestmark = pytest.mark.anyio

BOTH = f"""
policies:
  jour:
    steps:
      - {{whom: {FIRST.e164}, by: call, wait: 1}}
      - {{whom: {SECOND_PERSON.e164}, by: call, wait: 30}}
    cost_cap: 50
"""


def start_world(location: StateLocation) -> World:
    """Make a world whose phones ring."""
    world = World(location)
    for each in (FIRST, SECOND_PERSON):
        world.box.handset(each.e164).calls = RINGS
    return world


async def press(world: World, alert: Alert, by: Number, *, state: CallState = CallState.ONGOING) -> None:
    """Have another process than those that carry alerts on receive a webhook with the digit 1."""
    [order_id] = [each.order_id for each in alert.attempts if each.to == by]
    [made] = [each for each in world.box.calls.history if each.to == by.e164]
    assert order_id
    event = CallEvent(
        order_id=order_id, call_id=made.id, sender=OURS.e164, to=by.e164, digits="1", state=state
    )
    async with WorldBackend(world).running() as store:
        assert await store.calls.record_event(event)


async def end(pager: Pager, alert: Alert) -> Alert:
    """Have the caller end an alert."""
    return await pager.alerts.end(await pager.get(alert), None, Decision.NOT_NEEDED)


@on_both_databases
async def test_a_server_that_carries_alerts_on_records_a_late_digit_of_another_process(
    location: StateLocation,
) -> None:
    world = start_world(location)
    async with open_pager(world, paging=BOTH) as pager:
        alert = await pager.page()
        await pager.pass_time(10 * SECOND)
        ended = await end(pager, alert)
        await press(world, ended, FIRST)
        await pager.pass_time(15 * SECOND)
        [late] = await (await pager.backend.storage.open()).alerts.list_latest(1)
        assert (late.state, late.late_by) == (AlertState.ENDED, FIRST)
        assert late.ended_at == ended.ended_at
        await pager.pass_time(10 * MINUTE)
        assert list_called(pager) == [FIRST.e164]


@on_both_databases
async def test_a_caller_without_a_server_sees_a_late_digit_and_so_does_a_command(
    location: StateLocation,
) -> None:
    world = start_world(location)
    async with open_pager(world, paging=BOTH) as pager:
        by_caller, by_command = await pager.page(), await pager.page("En annan disk")
        await pager.pass_time(10 * SECOND)
        ended = [await end(pager, each) for each in (by_caller, by_command)]
    history = world.box.calls.history
    async with WorldBackend(world).running() as store:
        for alert in ended:
            order = await store.orders.get(alert.attempts[0].order_id or "")
            [made] = [each for each in history if order.receipt and each.id == order.receipt.message_id]
            event = CallEvent(order_id=order.id, call_id=made.id, sender=OURS.e164, to=FIRST.e164, digits="1")
            assert await store.calls.record_event(event)
    client = WorldBackend(world)
    async with client.running() as store:
        seen = await Pager(client).alerts.get(by_caller.id)
        assert (seen.state, seen.late_by) == (AlertState.ENDED, FIRST)
        assert (await store.alerts.get(by_command.id)).late_by is None
        shown = await AlertAdmin(store.database).examine(by_command.id)
        assert shown
        assert (shown.alert.state, shown.alert.late_by) == (AlertState.ENDED, FIRST)
        assert await AlertAdmin(store.database).examine("E-22222222") is None


async def test_a_person_who_pressed_in_time_is_not_late_when_the_call_ends(location: StateLocation) -> None:
    world = start_world(location)
    async with open_pager(world, paging=BOTH) as pager:
        alert = await pager.page()
        await pager.pass_time(MINUTE)  # the first rings for 45 seconds
        running = await pager.get(alert)
        await press(world, running, SECOND_PERSON)
        over = await pager.pass_until_over(alert)
        assert (over.acknowledged_by, over.acknowledged_how) == (SECOND_PERSON, AckMeans.CALL)
        await press(world, running, SECOND_PERSON, state=CallState.ANSWERED)
        store = await pager.backend.storage.open()
        await store.alerts.acknowledge(
            alert.id, over.attempts[1].order_id
        )  # as a report in this process does
        await pager.pass_time(MINUTE)
        assert (await pager.get(alert)).late_at is None
        await press(world, running, FIRST)
        await pager.pass_time(MINUTE)
        late = await pager.get(alert)
        assert (late.state, late.acknowledged_by, late.late_by) == (
            AlertState.ACKNOWLEDGED,
            SECOND_PERSON,
            FIRST,
        )


async def test_a_digit_that_was_recorded_while_no_server_ran_acknowledges_a_running_alert(
    location: StateLocation,
) -> None:
    world = start_world(location)
    async with open_pager(world, paging=BOTH) as pager:
        alert = await pager.page()
        await pager.pass_time(10 * SECOND)
        running = await pager.get(alert)
    await press(world, running, FIRST)
    async with open_pager(world, paging=BOTH) as pager:
        over = await pager.pass_until_over(alert)
        assert (over.state, over.acknowledged_by) == (AlertState.ACKNOWLEDGED, FIRST)
        assert list_called(pager) == [FIRST.e164]
