"""Orders in doubt."""

from datetime import timedelta
from itertools import pairwise

import pytest

from elks_mcp.domain.models import Message
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import (
    OrderState,
)
from elks_mcp.store import Idle, StateLocation
from elks_mcp.store.doubts import CLOCK_CHANGE, LONGEST
from elks_mcp.store.store import Store
from elks_mcp.store.totals import TotalsStore
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, a_draft
from tests.support.store_cases import EVENING, NONE, QUIET, _unknown
from tests.support.stores import (
    MINUTE,
    OTHER_PHONE,
    PRICE,
    SECOND,
    UNPACED,
    a_message,
    a_receipt,
    allow,
    claim_new,
    claim_one,
    on_both_databases,
    opened,
)

pytestmark = pytest.mark.anyio


async def test_history_is_due_immediately_and_then_less_and_less_often(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        assert await store.doubts.find_due() == (NOON, None)
        claim = await claim_new(store)
        clock.advance(5 * SECOND)
        await store.queue.settle_doubt(claim, "No answer.")
        looks = []
        while clock.now() < NOON + 5 * SECOND + QUIET:
            now, since = await store.doubts.find_due()
            assert now == clock.now()
            if since is not None:
                assert since == NOON - CLOCK_CHANGE  # no answer has told 46elks' time
                looks.append((now - NOON) / SECOND)
                await store.doubts.conclude([], read_at=now, quiet=QUIET, skew=NONE)
            clock.advance(SECOND)
        assert (await store.doubts.find_due())[1] == NOON - CLOCK_CHANGE
    assert looks[0] == 5
    assert len(looks) <= 10
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert gaps[:-1] == sorted(gaps[:-1])


async def test_an_order_found_in_history_was_sent(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        await store.queue.settle_doubt(claim, "No answer.")
        found = await store.doubts.conclude(
            [a_message(EVENING, message_id="s1"), a_message("Something else")],
            read_at=NOON,
            quiet=QUIET,
            skew=NONE,
        )
        order = await store.orders.get(claim.order_id)
        assert found == [order.id]
        assert (order.state, order.text) == (OrderState.SENT, None)
        assert order.receipt
        assert (order.receipt.message_id, order.receipt.cost) == ("s1", Money(PRICE, "SEK"))
        assert (await store.orders.find_prior(a_draft())).recall.is_known


@on_both_databases
async def test_an_order_missing_from_two_late_readings_is_sent_again(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        await store.queue.settle_doubt(claim, "No answer.")

        async def read(at: timedelta) -> OrderState:
            await store.doubts.conclude([], read_at=NOON + at, quiet=QUIET, skew=NONE)
            return (await store.orders.get(claim.order_id)).state

        assert await read(QUIET - SECOND) is OrderState.IN_DOUBT
        assert await read(QUIET) is OrderState.IN_DOUBT
        assert await read(QUIET) is OrderState.IN_DOUBT  # by another process, just then
        assert await read(QUIET * 1.1 - SECOND) is OrderState.IN_DOUBT
        assert await read(QUIET * 1.1) is OrderState.QUEUED
        again = await claim_one(store)
        assert (again.order_id, again.attempt, again.draft.text) == (claim.order_id, 2, EVENING)


async def test_an_ambiguous_order_is_left_to_a_person(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order = await _unknown(store)
        assert order.state is OrderState.UNKNOWN
        assert order.text == EVENING
        assert "cannot be matched to this order" in order.status_reason
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        clock.advance(QUIET)
        assert await store.doubts.conclude([], read_at=clock.now(), quiet=QUIET, skew=NONE) == []


async def test_a_reading_with_a_similar_message_does_not_count_as_an_absence(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        await store.queue.settle_doubt(claim, "No answer.")

        async def read(at: timedelta, *history: Message) -> OrderState:
            await store.doubts.conclude(history, read_at=NOON + at, quiet=QUIET, skew=NONE)
            return (await store.orders.get(claim.order_id)).state

        similar = a_message(EVENING.upper())
        assert await read(QUIET) is OrderState.IN_DOUBT
        assert await read(QUIET * 1.05, similar) is OrderState.IN_DOUBT
        assert await read(QUIET * 1.2) is OrderState.IN_DOUBT, "the one before was no reading without it"
        assert await read(QUIET * 1.3) is OrderState.QUEUED


async def test_a_history_that_cannot_be_read_proves_nothing(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        await store.queue.settle_doubt(claim, "No answer.")
        while clock.now() <= NOON + LONGEST:
            now, since = await store.doubts.find_due()
            if since:
                await store.doubts.conclude(None, read_at=now, quiet=QUIET, skew=NONE)
            assert (await store.orders.get(claim.order_id)).state is OrderState.IN_DOUBT
            clock.advance(MINUTE)
        await store.doubts.conclude(None, read_at=clock.now(), quiet=QUIET, skew=NONE)
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.status_reason) == (
            OrderState.UNKNOWN,
            "The outcome could not be determined within an hour.",
        )


async def test_a_message_of_another_order_is_no_proof(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        sent = await claim_new(store, EVENING)
        await store.queue.settle_sent(sent, a_receipt("s1"))
        doubtful = await claim_new(store, EVENING, key="another")
        await store.queue.settle_doubt(doubtful, "No answer.")
        history = [a_message(EVENING, message_id="s1")]
        for at in (QUIET, QUIET * 2):
            await store.doubts.conclude(history, read_at=NOON + at, quiet=QUIET, skew=NONE)
        assert (await store.orders.get(doubtful.order_id)).state is OrderState.QUEUED


async def test_no_verdict_is_given_while_another_text_to_the_number_is_being_sent(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        doubtful = await claim_new(store, EVENING)
        await store.queue.settle_doubt(doubtful, "No answer.")
        sending = await claim_new(store, EVENING, key="another")
        history = [a_message(EVENING, message_id="s1")]
        for at in (NONE, QUIET, QUIET * 2):
            await store.doubts.conclude(history, read_at=NOON + at, quiet=QUIET, skew=NONE)
            assert (await store.orders.get(doubtful.order_id)).state is OrderState.IN_DOUBT
        await store.queue.settle_sent(sending, a_receipt("s1"))
        for at in (QUIET, QUIET * 2):
            await store.doubts.conclude(history, read_at=NOON + at, quiet=QUIET, skew=NONE)
        assert (await store.orders.get(doubtful.order_id)).state is OrderState.QUEUED


@on_both_databases
async def test_no_order_is_judged_by_a_history_that_begins_after_it(
    location: StateLocation, clock: ManualClock
) -> None:
    """An order that is not due yet must not count as absent because of a reading for a later one."""
    async with opened(location, clock) as store:
        early = await claim_new(store, EVENING, UNPACED._replace(provider_now=clock.now()))
        await store.queue.settle_doubt(early, "No answer.")
        everything = [a_message(EVENING, message_id="s1")]
        states = []
        for step in range(40):
            clock.advance(10 * SECOND)
            dated = UNPACED._replace(provider_now=clock.now())
            late = await claim_new(store, f"Number {step}", dated, to=OTHER_PHONE)
            await store.queue.settle_doubt(late, "No answer.")
            everything.append(a_message(f"Number {step}", at=clock.now(), to=OTHER_PHONE))
            now, since = await store.doubts.find_due()
            assert since
            readable = step % 3 == 0
            history: list[Message] | None = None
            if readable and step > 12:
                history = [each for each in everything if (each.created_at or NOON) >= since]
            await store.doubts.conclude(history, read_at=now, quiet=QUIET, skew=NONE)
            states.append((await store.orders.get(early.order_id)).state)
        assert OrderState.QUEUED not in states
        assert states[-1] is OrderState.SENT


# ── what counts for the budget, and how long ──

DAY = timedelta(hours=24)


async def spent(store: Store) -> int:
    """Return what counts for the daily budget now."""
    return (await TotalsStore(store.database).sum_up()).spent


@on_both_databases
async def test_p5_a_charge_counts_for_24_hours_from_the_time_at_which_history_says_it_was_accepted(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        await store.queue.settle_doubt(claim, "No answer.")
        clock.advance(3 * MINUTE)
        accepted = a_message(at=NOON + 2 * MINUTE)
        await store.doubts.conclude([accepted], read_at=clock.now(), quiet=QUIET, skew=NONE)
        assert (await store.orders.get(claim.order_id)).state is OrderState.SENT
        clock.advance(DAY - MINUTE - SECOND)
        assert (clock.now(), await spent(store)) == (NOON + DAY + 2 * MINUTE - SECOND, PRICE)
        clock.advance(SECOND)
        assert await spent(store) == 0


@on_both_databases
async def test_p5_the_price_of_an_order_that_becomes_unknown_counts_for_24_hours_from_then(
    location: StateLocation, clock: ManualClock
) -> None:
    """46elks may have accepted it at any moment until then."""
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        await store.queue.settle_doubt(claim, "No answer.")
        clock.advance(LONGEST + SECOND)
        await store.doubts.conclude(None, read_at=clock.now(), quiet=QUIET, skew=NONE)
        assert (await store.orders.get(claim.order_id)).state is OrderState.UNKNOWN
        clock.advance(DAY - SECOND)
        assert await spent(store) == PRICE
        clock.advance(SECOND)
        assert await spent(store) == 0
