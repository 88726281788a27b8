"""The calls of alerts: a digit counts for the incident that was heard, and for no other."""

from datetime import timedelta

import pytest

from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.orders import OrderState
from elks_mcp.sandbox import Fault
from elks_mcp.sandbox.call_behaviours import pressing
from elks_mcp.store import StateLocation
from tests.support.pagers import FIRST, SECOND_PERSON, Pager, list_called, open_pager
from tests.support.stores import MINUTE, SECOND, World, WorldBackend, on_both_databases

pytestmark = pytest.mark.anyio

CALLS = f"""
policies:
  jour:
    steps:
      - {{whom: {FIRST.e164}, by: call, wait: 5}}
      - {{whom: {SECOND_PERSON.e164}, by: call, wait: 5}}
    cost_cap: 50
"""


def lose_call(pager: Pager, fault: Fault) -> None:
    """Lose the next request to call somebody, or its answer."""
    pager.backend.world.box.faults.inject(fault, method="POST", path="/calls", times=1)


@on_both_databases
@pytest.mark.parametrize("apart", [2 * SECOND, MINUTE])
async def test_a_digit_for_one_incident_does_not_acknowledge_another(
    location: StateLocation, apart: timedelta
) -> None:
    async with open_pager(location, paging=CALLS) as pager:
        pager.backend.world.box.handset(FIRST.e164).calls = pressing("1")
        lose_call(pager, Fault.DROP_BEFORE)
        disk = await pager.page("Disk full")
        await pager.pass_time(apart)
        lose_call(pager, Fault.DROP_AFTER)
        fire = await pager.page("Fire")
        await pager.pass_time(210 * SECOND)
        assert list_called(pager) == [FIRST.e164]  # about the fire
        for alert in (disk, fire):
            now = await pager.get(alert)
            assert (now.state, now.attempts[0].order_state) == (AlertState.RUNNING, OrderState.UNKNOWN)
        await pager.pass_time(3 * MINUTE)
        assert list_called(pager) == [FIRST.e164, SECOND_PERSON.e164, SECOND_PERSON.e164]


@on_both_databases
async def test_a_digit_counts_in_each_of_two_calls_whose_answers_were_lost(location: StateLocation) -> None:
    async with open_pager(location, paging=CALLS) as pager:
        pager.backend.world.box.handset(FIRST.e164).calls = pressing("1")
        alerts = []
        for message in ("Disk full", "Fire"):
            lose_call(pager, Fault.DROP_AFTER)
            alerts.append(await pager.page(message))
            await pager.pass_time(SECOND)
        await pager.pass_time(MINUTE)
        assert [(await pager.get(alert)).state for alert in alerts] == [AlertState.ACKNOWLEDGED] * 2
        assert list_called(pager) == [FIRST.e164] * 2


@on_both_databases
async def test_a_person_is_called_although_a_server_without_an_address_sees_the_call_first(
    location: StateLocation,
) -> None:
    world = World(location)
    killed = WorldBackend(world)
    async with killed.opened():
        pager = Pager(killed, CALLS)
        pager.audio = "ab" * 32
        pager.escalations.is_running = True
        await pager.page("Disk full")
        await pager.escalations.look()  # which places the step, and nobody sends it
    client = WorldBackend(world, audio_url=None)
    async with client.running():
        await client.pass_time(10 * SECOND)
    assert list_called(pager) == []
    async with open_pager(world, paging=CALLS) as restarted:
        await restarted.pass_time(30 * SECOND)
        assert list_called(restarted) == [FIRST.e164]
