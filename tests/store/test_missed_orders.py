"""Missed orders are looked for with every call of a tool, by many calls at the same time."""

import anyio
import pytest

from elks_mcp.domain.orders import Order
from elks_mcp.errors import StateUnavailable
from elks_mcp.store import StateLocation
from tests.support.clocks import ManualClock
from tests.support.connecting import until
from tests.support.provider import NOON
from tests.support.stores import MINUTE, claim_one, failing, hanging, opened, place_one

pytestmark = pytest.mark.anyio


async def test_calls_at_the_same_time_look_for_missed_orders_only_once(
    location: StateLocation, clock: ManualClock
) -> None:
    answers: list[list[Order]] = []
    async with opened(location, clock) as store:

        async def look() -> None:
            answers.append(await store.schedule.take_unreported(""))

        with hanging(store, "unreported") as slow:
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(look)
                await until(lambda: (len(answers), slow.met) == (19, 1))
                slow.end()
    assert answers == [[]] * 20


async def test_a_look_for_missed_orders_that_fails_is_repeated_by_the_next_call(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await place_one(store, send_at=NOON + MINUTE)
        clock.advance(MINUTE)
        await store.schedule.release([order.id])
        await store.queue.settle_rejected(await claim_one(store), "46elks said no.")
        with failing(store, "unreported"), pytest.raises(StateUnavailable):
            await store.schedule.take_unreported("")
        assert [each.id for each in await store.schedule.take_unreported("")] == [order.id]
