"""The daily budget when texts leave: by 46elks' clock, and after it was lowered."""

from datetime import UTC, timedelta
from typing import Any

import pytest

from elks_mcp.answers.batch_steps import BatchSteps
from elks_mcp.answers.batches import describe_batch
from elks_mcp.domain.batches import Batch, BatchState
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.policy import Policy
from elks_mcp.errors import Refused
from elks_mcp.sandbox import Fault
from elks_mcp.store import StateLocation
from elks_mcp.store.totals import TotalsStore
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, PATIENCE, UNLIMITED, a_draft, an_approval
from tests.support.shops import Shop, check_cap, list_phones, open_shop, write_list
from tests.support.stores import (
    MINUTE,
    PRICE,
    SECOND,
    UNPACED,
    World,
    WorldBackend,
    a_receipt,
    claim_new,
    on_both_databases,
    opened,
)

pytestmark = pytest.mark.anyio

HOUR, DAY, MOMENT = timedelta(hours=1), timedelta(hours=24), timedelta(microseconds=1)


# ── 24 hours by 46elks' clock ──


async def begin_slowly(shop: Shop) -> None:
    """Begin to send a text that 46elks accepts almost one time limit after the claim."""
    slow: dict[str, Any] = {"method": "POST", "path": "/sms", "dryrun": False}
    shop.backend.world.box.faults.inject(Fault.ACCEPT_LATE, duration=PATIENCE - SECOND, **slow)
    await send(shop, "Yesterday")
    assert shop.backend.world.box.charges == []


async def send(shop: Shop, text: str) -> None:
    """Send a text now, unless the budget does not allow it."""
    await shop.backend.outbox.place(an_approval(a_draft(text)), shop.backend.orders)
    await shop.backend.rest()


@on_both_databases
async def test_p5_a_text_counts_for_24_hours_from_when_46elks_accepted_it(location: StateLocation) -> None:
    world = World(location)
    async with open_shop(world, allowing(1)) as shop:
        begun = shop.clock.now()
        await begin_slowly(shop)
        await shop.backend.pass_time(PATIENCE)
        assert len(world.box.charges) == 1
        shop.clock.advance(begun + DAY + SECOND - shop.clock.now())
        with pytest.raises(Refused, match="daily_budget"):
            await send(shop, "Too early")
        shop.clock.advance(PATIENCE)
        await send(shop, "Today")
        assert len(world.box.charges) == 2
        check_cap(shop, 1)


@on_both_databases
@pytest.mark.parametrize("how", ["scheduled", "batch"])
async def test_p5_a_text_that_is_due_24_hours_after_one_that_left_late_waits(
    location: StateLocation, how: str
) -> None:
    async with open_shop(location, allowing(1)) as shop:
        at = shop.clock.now() + DAY + SECOND
        await begin_slowly(shop)
        if how == "scheduled":
            await shop.backend.orders.place(an_approval(a_draft("Today", send_at=at)))
        else:
            await shop.plan_and_start(write_list(list_phones(1)), send_at=at.isoformat())
        await shop.backend.pass_time(PATIENCE)
        shop.clock.advance(at - shop.clock.now())
        await shop.backend.pass_time(MINUTE)
        assert len(shop.backend.world.box.charges) == 2
        check_cap(shop, 1)


@on_both_databases
@pytest.mark.parametrize("how", ["in doubt", "lapsed"])
async def test_p5_a_text_that_may_have_left_late_counts_for_24_hours_from_then(
    location: StateLocation, how: str
) -> None:
    clock = ManualClock()
    async with opened(location, clock) as store:
        claim, totals = await claim_new(store), TotalsStore(store.database)
        clock.advance(UNPACED.lease)
        if how == "lapsed":
            clock.advance(5 * HOUR)
            await store.queue.end_expired_leases()
        else:
            await store.queue.settle_doubt(claim, "No answer.")
        clock.advance(NOON + DAY + UNPACED.lease - MOMENT - clock.now())
        assert (await totals.sum_up()).spent == PRICE
        clock.advance(MOMENT)
        assert (await totals.sum_up()).spent == 0


# ── a budget that was lowered, or is used up ──


@on_both_databases
async def test_p5_a_budget_lowered_below_a_batch_pauses_it_and_says_so(location: StateLocation) -> None:
    world = World(location)
    backend = WorldBackend(world, policy=allowing(4))
    async with backend.opened() as store:
        await store.queue.settle_sent(await claim_new(store, "Yesterday"), a_receipt())
        world.clock.advance(DAY - 30 * MINUTE)  # so that waiting would help soon
        batch = await Shop(backend).plan_and_start()
    async with open_shop(world, allowing(2)) as shop:
        paused = await shop.pass_until_ended(batch)
        assert (paused.state, paused.counts) == (
            BatchState.PAUSED,
            {OrderState.SENT: 1, OrderState.PAUSED: 2},
        )
        assert describe(paused).startswith(
            "Paused: 1 of 3 texts ended, the rest waits. The daily budget, ELKS_BUDGET_PER_DAY, was lowered "
            "to 1.04 SEK, and its texts cost 1.56 SEK. Resume can resume it until "
        )
        await shop.backend.pass_time(HOUR)
        assert len(shop.sent) == 1
        with pytest.raises(Refused, match="daily_budget"):
            await shop.batches.resume(batch.id)


@on_both_databases
async def test_a_batch_that_waits_for_a_budget_that_others_used_up_says_until_when(
    location: StateLocation,
) -> None:
    async with open_shop(location, allowing(3)) as shop:
        at = shop.clock.now() + DAY + SECOND
        await begin_slowly(shop)
        batch = await shop.plan_and_start(send_at=at.isoformat())
        assert "budget" not in describe(batch)
        await shop.backend.pass_time(PATIENCE)
        shop.clock.advance(at - shop.clock.now())
        await shop.backend.pass_time(2 * SECOND)
        assert len(shop.sent) == 3
        waiting = await shop.batches.get(batch.id)
        assert waiting.waits_until
        assert timedelta() < waiting.waits_until - shop.clock.now() <= 20 * SECOND
        assert describe(waiting).endswith(
            "It waits for the daily budget until 2026-11-24 12:00 +00:00. A server sends the rest."
        )
        ended = await shop.pass_until_ended(batch)
        assert (ended.counts, ended.waits_until) == ({OrderState.SENT: 3}, None)


def allowing(texts: int) -> Policy:
    """Return rules whose daily budget allows this number of texts."""
    return UNLIMITED.model_copy(update={"budget_per_day": texts * PRICE})


def describe(batch: Batch) -> str:
    """Return what is said about a batch."""
    steps = BatchSteps("Start", "Resume", "Rest", sender="A server sends the rest.")
    return describe_batch(batch, steps, UTC).summary
