"""The audio of an alert is stored as long as the alert may call somebody, and no longer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from elks_mcp.domain.calls import CallEvent, CallState
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.policy import Confirm, Policy
from elks_mcp.sending.plan import Decision
from elks_mcp.store import StateLocation
from elks_mcp.workflows.alert_plans import AlertRequest
from elks_mcp.workflows.alerts import AlertDryRun, AlertNeedsApproval
from tests.support.pagers import FIRST, SECOND_PERSON, THIRD, Pager, list_called, open_pager
from tests.support.provider import OURS, UNLIMITED
from tests.support.stores import MINUTE, World, on_both_databases

pytestmark = pytest.mark.anyio

ALWAYS = UNLIMITED.model_copy(update={"confirm": Confirm.ALWAYS})
HOUR = timedelta(hours=1)
LONG = f"""
policies:
  jour:
    steps:
      - {{whom: {FIRST.e164}, by: call, wait: 10}}
      - {{whom: {SECOND_PERSON.e164}, by: call, wait: 10}}
      - {{whom: {THIRD.e164}, by: call, wait: 1}}
    cost_cap: 50
    time_cap: 1000
"""


DIGEST = "ab" * 32


@asynccontextmanager
async def open_playing(place: StateLocation | World, policy: Policy = UNLIMITED) -> AsyncIterator[Pager]:
    """Run a process of a team whose calls play audio."""
    async with open_pager(place, policy, LONG) as pager:
        pager.audio = DIGEST
        yield pager


async def has_audio(pager: Pager) -> bool:
    """Return whether what calls play is stored."""
    store = await pager.backend.storage.open()
    return await store.calls.find_audio(DIGEST) is not None


async def hang_up(pager: Pager) -> None:
    """Report that the calls that go on have ended, and that nothing was pressed."""
    store = await pager.backend.storage.open()
    for each in await store.calls.list_ongoing():
        [to] = [made.to for made in pager.backend.world.box.calls.history if made.id == each.call_id]
        event = CallEvent(order_id=each.order_id, call_id=each.call_id, sender=OURS.e164, to=to, digits="")
        assert await store.calls.record_event(event.model_copy(update={"state": CallState.ANSWERED}))


@on_both_databases
async def test_p9_audio_is_stored_for_hours_while_its_alert_is_open_and_deleted_after_its_end(
    location: StateLocation,
) -> None:
    world = World(location)
    async with open_playing(world) as pager:
        alert = await pager.page()
        await pager.pass_time(MINUTE)
        await hang_up(pager)
        await pager.pass_time(6 * MINUTE)
        assert list_called(pager) == [FIRST.e164]
        assert await has_audio(pager)
    world.clock.advance(5 * HOUR)
    async with open_playing(world) as pager:  # another process goes on
        await pager.pass_time(MINUTE)
        assert list_called(pager) == [FIRST.e164, SECOND_PERSON.e164]
        await hang_up(pager)
        await pager.pass_until(lambda: len(list_called(pager)) == 3)
        assert await has_audio(pager)
        await hang_up(pager)
        assert (await pager.pass_until_over(alert)).state is AlertState.UNANSWERED
        await pager.pass_time(6 * MINUTE)
        assert not await has_audio(pager)


async def test_p9_audio_is_stored_as_long_as_one_of_two_alerts_plays_it(location: StateLocation) -> None:
    async with open_playing(location) as pager:
        first, second = await pager.page(), await pager.page("En annan disk")
        await pager.pass_time(MINUTE)
        await hang_up(pager)
        await pager.alerts.end(first, None, Decision.APPROVED)
        await pager.pass_time(6 * MINUTE)
        assert await has_audio(pager)
        await pager.alerts.end(second, None, Decision.APPROVED)
        await pager.pass_time(6 * MINUTE)
        assert not await has_audio(pager)


async def test_p9_audio_of_an_alert_that_is_declined_or_only_priced_does_not_stay(
    location: StateLocation,
) -> None:
    async with open_playing(location, ALWAYS) as pager:
        priced = await pager.alerts.prepare(
            AlertRequest(message="Hej", policy="jour", dry_run=True), can_ask=True
        )
        assert isinstance(priced, AlertDryRun)
        assert not await has_audio(pager)
        needed = await pager.alerts.prepare(AlertRequest(message="Hej", policy="jour"), can_ask=True)
        assert isinstance(needed, AlertNeedsApproval)
        assert await has_audio(pager)
        await (await pager.backend.storage.open()).alerts.end(needed.plan.id, "Declined.")
        await pager.pass_time(6 * MINUTE)
        assert not await has_audio(pager)
