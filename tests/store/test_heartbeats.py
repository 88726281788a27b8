"""Which long-running servers run, on both databases."""

from datetime import timedelta

import pytest

from elks_mcp.domain.orders import OrderState
from elks_mcp.store import Scheduled, ServerKind, StateLocation
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.heartbeats import ALIVE_FOR
from tests.support.clocks import ManualClock
from tests.support.stores import (
    ACCOUNT,
    MINUTE,
    SECOND,
    account_of,
    on_both_databases,
    opened,
    place_one,
    read_rows,
)

pytestmark = pytest.mark.anyio

ONE, OTHER = "0" * 16, "f" * 16
OTHERS = account_of("heartbeats")


@on_both_databases
async def test_a_server_counts_as_running_until_two_minutes_after_its_latest_heartbeat(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        assert await store.heartbeats.find_alive() is None
        for _ in range(2):
            await store.heartbeats.record(ONE, ServerKind.SERVE)
            clock.advance(ALIVE_FOR - SECOND)
            assert await store.heartbeats.find_alive() is ServerKind.SERVE
        rows = read_rows(location, "SELECT seen_at - started_at FROM heartbeats WHERE process_id = ?", ONE)
        assert rows == [((ALIVE_FOR - SECOND) // timedelta(microseconds=1),)]
        clock.advance(SECOND)
        assert await store.heartbeats.find_alive() is None


@on_both_databases
async def test_the_most_recently_seen_of_several_servers_is_named_until_it_ends(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await store.heartbeats.record(ONE, ServerKind.SERVE)
        clock.advance(SECOND)
        await store.heartbeats.record(OTHER, ServerKind.HTTP)
        assert await store.heartbeats.find_alive() is ServerKind.HTTP
        await store.heartbeats.forget(OTHER)
        assert await store.heartbeats.find_alive() is ServerKind.SERVE
        await store.heartbeats.forget(ONE)
        assert await store.heartbeats.find_alive() is None


@on_both_databases
async def test_a_process_that_sends_is_silent_after_half_a_minute_and_another_one_comes_first(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        assert await store.heartbeats.find_sender() is None
        await store.heartbeats.record(ONE, ServerKind.SERVE)
        clock.advance(30 * SECOND)
        assert await store.heartbeats.find_sender() == (ServerKind.SERVE, 30 * SECOND)
        clock.advance(SECOND)
        silent = await store.heartbeats.find_sender()
        assert silent
        assert silent.is_silent
        await store.heartbeats.record(OTHER, ServerKind.CLIENT)
        assert await store.heartbeats.find_sender() == (ServerKind.CLIENT, timedelta())
        await store.heartbeats.record(ONE, ServerKind.SERVE)
        assert await store.heartbeats.find_sender() == (ServerKind.SERVE, timedelta())


async def test_a_heartbeat_counts_only_for_its_own_account(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store, opened(location, clock, account=OTHERS) as others:
        await store.heartbeats.record(ONE, ServerKind.SERVE)
        assert await others.heartbeats.find_alive() is None
        await others.heartbeats.forget(ONE)
        assert await store.heartbeats.find_alive() is ServerKind.SERVE


async def test_a_heartbeat_from_before_the_clock_was_set_back_does_not_count(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await store.heartbeats.record(ONE, ServerKind.SERVE)
        clock.advance(-timedelta(hours=1))
        assert await store.heartbeats.find_alive() is None
        await store.heartbeats.record(ONE, ServerKind.SERVE)
        assert await store.heartbeats.find_alive() is ServerKind.SERVE


@on_both_databases
async def test_cleanup_deletes_the_heartbeats_of_servers_that_were_killed(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await store.heartbeats.record(ONE, ServerKind.SERVE)
        clock.advance(MINUTE)
        await store.heartbeats.record(OTHER, ServerKind.SERVE)
        clock.advance(ALIVE_FOR - MINUTE)
        await store.cleanup.delete_expired()
    left = "SELECT process_id FROM heartbeats JOIN accounts ON accounts.id = account_id WHERE username = ?"
    assert read_rows(location, left, ACCOUNT.username) == [(OTHER,)]


@on_both_databases
async def test_the_scheduled_orders_of_an_account_are_counted_and_the_first_is_named(
    location: StateLocation, clock: ManualClock
) -> None:
    account = account_of("scheduled")
    async with opened(location, clock, account) as store, opened(location, clock, OTHERS) as others:
        admin = OrderAdmin(store.database)
        assert await admin.find_scheduled(account) == Scheduled(0, None)
        first, second = (clock.now() + number * MINUTE for number in (5, 9))
        for at in (second, first):
            order = await place_one(store, f"Text {at}", send_at=at)
            assert order.state is OrderState.SCHEDULED
        await place_one(store, "Now")
        await place_one(others, "Of others", send_at=clock.now() + MINUTE)
        assert await admin.find_scheduled(account) == Scheduled(2, first)
