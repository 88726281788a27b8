"""Batches at the end of a process, and at the start of the next one."""

from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.domain.batches import COMMAND_ENDED, Batch, BatchState
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.inbound.history import FRESH
from elks_mcp.store import ServerKind, StateLocation
from elks_mcp.store.opt_outs import OptOuts
from tests.support.provider import UNLIMITED
from tests.support.shops import THREE, Shop, list_phones, open_shop, texts_of, write_list
from tests.support.state_folders import with_tables
from tests.support.stores import (
    MINUTE,
    PRICE,
    SECOND,
    World,
    WorldBackend,
    on_both_databases,
    read_rows,
)

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
SENT, PAUSED, CANCELLED = OrderState.SENT, OrderState.PAUSED, OrderState.CANCELLED
TEN = write_list(list_phones(10))


async def left_by(world: World) -> Batch:
    """Start a batch in a process that ends a little later, and return what it leaves."""
    async with open_shop(world) as shop:
        batch = await shop.plan_and_start(TEN)
        await shop.pass_until_sent(3)
    backend = WorldBackend(world)
    async with backend.opened() as store:
        return await store.batches.get(batch.id)


@on_both_databases
async def test_when_the_last_process_that_could_send_ends_the_rest_is_paused(location: StateLocation) -> None:
    world = World(location)
    left = await left_by(world)
    assert (left.state, left.pause_reason) == (BatchState.PAUSED, "The last server that could send it ended.")
    assert left.counts.keys() == {SENT, PAUSED}
    world.clock.advance(20 * HOUR)
    async with open_shop(world) as shop:
        await shop.backend.pass_time(MINUTE)
        ended = await shop.pass_until_ended(await shop.batches.resume(left.id))
        assert (ended.counts, texts_of(shop)) == ({SENT: 10}, {1})


@on_both_databases
async def test_a_server_that_is_restarted_goes_on_with_its_batches(location: StateLocation) -> None:
    world = World(location)
    left = await left_by(world)
    assert left.is_interrupted
    world.clock.advance(10 * MINUTE)
    async with open_shop(world) as shop:
        ended = await shop.pass_until_ended_after_all(left)
        assert (ended.counts, texts_of(shop)) == ({SENT: 10}, {1})
        assert ended.pause_reason == ""


@on_both_databases
async def test_p2_a_batch_that_is_paused_after_its_server_ended_stays_paused(location: StateLocation) -> None:
    world = World(location)
    left = await left_by(world)
    backend = WorldBackend(world)
    async with backend.opened():
        paused = await Shop(backend).batches.pause(left.id)
        assert (paused.pause_reason, paused.paused_at) == ("The caller paused it.", left.paused_at)
    async with open_shop(world) as shop:
        await shop.backend.pass_time(MINUTE)
        assert (await shop.batches.get(left.id)).counts == left.counts


async def test_p1_a_server_in_dry_run_does_not_go_on_with_a_batch(tmp_path: Path) -> None:
    world = World(with_tables(tmp_path / "state"))
    left = await left_by(world)
    async with open_shop(world, only_own=True) as shop:
        await shop.backend.pass_time(MINUTE)
        assert (await shop.batches.get(left.id)).counts == left.counts


@on_both_databases
async def test_a_running_server_goes_on_with_a_batch_although_it_had_no_heartbeat_yet(
    location: StateLocation,
) -> None:
    world = World(location)
    async with open_shop(world) as other:
        async with open_shop(world, per_minute=6) as shop:
            batch = await shop.plan_and_start(TEN)
            await shop.pass_until_sent(1)
            await shop.backend.rest()
            store = await shop.backend.storage.open()
            await store.heartbeats.forget("f" * 16)  # which finds no heartbeat, as before the first look
        assert (await other.pass_until_ended_after_all(batch)).counts == {SENT: 10}


async def test_others_know_which_server_continues_a_batch_before_it_does(location: StateLocation) -> None:
    world, known = World(location), []

    class Watched(WorldBackend):
        """A process that looks just before it continues a batch whether others know that it sends."""

        async def _refresh_history(self, good_for: timedelta = FRESH) -> None:
            count = (
                "SELECT count(*) FROM heartbeats JOIN accounts ON accounts.id = account_id WHERE username = ?"
            )
            known.append(read_rows(world.place, count, world.account.username))

    left = await left_by(world)
    backend = Watched(world)
    async with backend.running():
        ended = await Shop(backend).pass_until_ended_after_all(left)
        assert (ended.counts, known[0]) == ({SENT: 10}, [(1,)])


async def test_p6_an_opt_out_during_a_restart_counts(location: StateLocation) -> None:
    world = World(location)
    left = await left_by(world)
    async with WorldBackend(world).opened() as store:
        await OptOuts(store.database).add([Number("+46701740629")], "")
    async with open_shop(world) as shop:
        ended = await shop.pass_until_ended_after_all(left)
        assert ended.counts == {SENT: 9, CANCELLED: 1}


async def test_p13_a_text_that_a_restart_made_too_late_is_not_sent(location: StateLocation) -> None:
    world = World(location)
    async with open_shop(world, per_minute=6) as shop:
        at = shop.clock.now() + 10 * MINUTE
        batch = await shop.plan_and_start(TEN, send_at=at.isoformat())
        shop.clock.advance(10 * MINUTE)
        await shop.pass_until_sent(3)
    world.clock.advance(HOUR)
    async with open_shop(world) as shop:
        await shop.backend.pass_time(MINUTE)
        ended = await shop.batches.get(batch.id)
        assert ended.counts.keys() == {SENT, OrderState.EXPIRED}
        assert len(shop.sent) == ended.counts[SENT]


async def test_p5_a_batch_that_the_budget_does_not_allow_after_a_restart_is_left_to_a_person(
    location: StateLocation,
) -> None:
    world = World(location)
    left = await left_by(world)
    lowered = UNLIMITED.model_copy(update={"budget_per_day": 5 * PRICE})
    async with open_shop(world, lowered) as shop:
        await shop.backend.pass_time(MINUTE)
        paused = await shop.batches.get(left.id)
        assert (paused.state, paused.counts) == (BatchState.PAUSED, left.counts)
        assert "daily_budget" in paused.pause_reason


async def test_p2_a_batch_whose_price_rose_during_a_restart_is_left_to_a_person(
    location: StateLocation,
) -> None:
    world = World(location)
    left = await left_by(world)
    world.box.rules.prices["46"] += 1
    async with open_shop(world) as shop:
        await shop.backend.pass_time(MINUTE)
        paused = await shop.batches.get(left.id)
        assert (paused.state, paused.counts) == (BatchState.PAUSED, left.counts)
        assert "raised its price" in paused.pause_reason


async def test_a_batch_whose_command_a_person_ended_waits_for_a_person(location: StateLocation) -> None:
    world = World(location)
    async with open_shop(world) as shop:
        batch = await shop.plan_and_start(TEN)
        await shop.pass_until_sent(3)
        await shop.backend.outbox.heartbeat.end(COMMAND_ENDED)
    async with open_shop(world) as shop:
        await shop.backend.pass_time(MINUTE)
        assert (await shop.batches.get(batch.id)).pause_reason == COMMAND_ENDED


@on_both_databases
async def test_while_a_long_running_server_could_send_nothing_is_paused(location: StateLocation) -> None:
    world = World(location)
    async with WorldBackend(world).opened() as store:
        await store.heartbeats.record("f" * 16, ServerKind.SERVE)
        left = await left_by(world)
    assert left.state is BatchState.RUNNING
    assert left.counts.keys() == {SENT, OrderState.QUEUED}


async def test_while_another_process_sends_the_batch_nothing_is_paused(location: StateLocation) -> None:
    world = World(location)
    async with open_shop(world) as other:
        async with open_shop(world) as shop:
            batch = await shop.plan_and_start(TEN)
            other.backend.outbox.wake()
            await shop.pass_until_sent(3)
        assert (await other.pass_until_ended(batch)).counts == {SENT: 10}


async def test_a_process_that_is_killed_pauses_nothing(location: StateLocation) -> None:
    world = World(location)
    backend = WorldBackend(world)
    async with backend.opened() as store:
        batch = await Shop(backend).plan_and_start()
        await store.heartbeats.record("f" * 16, ServerKind.CLIENT)
    async with open_shop(world) as shop:
        assert (await shop.pass_until_ended(batch)).counts == {SENT: 3}


async def test_a_batch_whose_time_is_to_come_is_left_to_whoever_runs_then(location: StateLocation) -> None:
    world = World(location)
    async with open_shop(world) as shop:
        batch = await shop.plan_and_start(THREE, send_at="2026-11-23T13:00", time_zone="UTC")
        await shop.backend.pass_time(MINUTE)
    world.clock.advance(HOUR - MINUTE)
    async with open_shop(world) as shop:
        assert (await shop.pass_until_ended(batch)).counts == {SENT: 3}


@on_both_databases
async def test_a_process_has_a_heartbeat_while_it_sends_a_batch_and_counts_as_no_lasting_server(
    location: StateLocation,
) -> None:
    world = World(location)
    count = """
        SELECT count(*) FROM heartbeats JOIN accounts ON accounts.id = account_id WHERE username = ?
    """
    async with open_shop(world, per_minute=6) as shop:
        store = await shop.backend.storage.open()
        batch = await shop.plan_and_start(TEN)
        await shop.backend.pass_time(SECOND)
        assert read_rows(location, count, world.account.username) == [(1,)]
        assert await store.heartbeats.find_alive() is None
        await shop.pass_until_ended(batch)
    assert read_rows(location, count, world.account.username) == [(0,)]
