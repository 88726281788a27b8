"""A long-running server: how others know that it runs, and what it sends."""

from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.domain.orders import Order, OrderState
from elks_mcp.store import ServerKind, StateLocation
from elks_mcp.store.store import Store
from tests.support.outbox_cases import MINUTE, SECOND
from tests.support.provider import Backend, a_draft, an_approval, posts
from tests.support.shops import list_phones, open_shop, write_list
from tests.support.stores import EITHER_DATABASE, Steps, World, WorldBackend, a_place, failing

pytestmark = pytest.mark.anyio


@pytest.fixture(params=EITHER_DATABASE)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location for a store, of either kind."""
    return a_place(request, tmp_path)


async def test_a_long_running_server_is_known_to_others_until_it_ends(location: StateLocation) -> None:
    world = World(location)
    server = WorldBackend(world)
    async with WorldBackend(world).opened() as others, server.running():
        await server.pass_time(10 * MINUTE)
        assert await others.heartbeats.find_alive() is None
        async with server.outbox.heartbeat.kept(ServerKind.SERVE):
            await server.pass_time(15 * SECOND)
            for _ in range(10):
                assert await others.heartbeats.find_alive() is ServerKind.SERVE
                await server.pass_time(MINUTE)
        assert await others.heartbeats.find_alive() is None
        await server.pass_time(MINUTE)
        assert await others.heartbeats.find_alive() is None


async def test_a_servers_heartbeat_is_recorded_about_every_30_seconds(location: StateLocation) -> None:
    server, steps = WorldBackend(World(location)), Steps()
    async with server.running() as store, server.outbox.heartbeat.kept(ServerKind.HTTP):
        steps.listen(store)
        await server.pass_time(10 * MINUTE)
    recorded = [each for each in steps.taken if each.startswith("INSERT INTO heartbeats")]
    assert 13 <= len(recorded) <= 21  # the worker looks every 15 seconds


async def test_while_a_batch_is_sent_it_is_recorded_every_10_seconds(location: StateLocation) -> None:
    steps = Steps()
    async with open_shop(location, per_minute=6) as shop:
        steps.listen(await shop.backend.storage.open())
        await shop.plan_and_start(write_list(list_phones(20)))
        await shop.backend.pass_time(2 * MINUTE)
    recorded = [each for each in steps.taken if each.startswith("INSERT INTO heartbeats")]
    assert 9 <= len(recorded) <= 13


async def test_a_server_that_sends_nothing_has_no_heartbeat(tmp_path: Path) -> None:
    dry = Backend(tmp_path, only_own=True)
    async with dry.running(), dry.outbox.heartbeat.kept(ServerKind.HTTP):
        await dry.pass_time(5 * MINUTE)
        assert not dry.storage.is_open


async def is_sent(store: Store, order: Order) -> bool:
    return (await store.orders.get(order.id)).state is OrderState.SENT


async def test_texts_are_sent_while_the_heartbeat_cannot_be_recorded(
    location: StateLocation, caplog: pytest.LogCaptureFixture
) -> None:
    server = WorldBackend(World(location))
    async with server.running() as store, server.outbox.heartbeat.kept(ServerKind.SERVE):
        with failing(store, "heartbeats"):
            order = (await server.orders.place(an_approval(a_draft()))).order
            server.outbox.hand_over(order)
            await server.pass_until(lambda: is_sent(store, order))
        assert "The heartbeat cannot be recorded" in caplog.text
        await server.pass_time(MINUTE)
        assert await store.heartbeats.find_alive() is ServerKind.SERVE


async def test_p13_a_server_that_placed_nothing_sends_scheduled_texts_at_their_time(
    location: StateLocation,
) -> None:
    world = World(location)
    client, server = WorldBackend(world), WorldBackend(world)
    at = world.clock.now() + 10 * MINUTE
    async with client.opened():
        order = (await client.orders.place(an_approval(a_draft(send_at=at)))).order
    async with server.running() as store, server.outbox.heartbeat.kept(ServerKind.SERVE):
        await server.pass_time(10 * MINUTE - SECOND)
        assert posts(world.box) == []
        await server.pass_time(timedelta(seconds=16))
        assert await is_sent(store, order)
    assert len(posts(world.box)) == 1
    assert at <= server.transport.tried("POST /a1/sms")[-1] <= at + timedelta(seconds=15)
