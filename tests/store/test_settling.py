"""Leases, outcomes and pauses."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from elks_mcp.domain.orders import (
    Claim,
    OrderState,
)
from elks_mcp.store import Idle, Pace, PauseReason, StateLocation
from elks_mcp.store.doubts import LONGEST
from elks_mcp.store.store import Store
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, a_draft
from tests.support.store_cases import DAY, EVENING, NONE, QUIET, conclude_absent, things_to_do
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
    place_one,
    said,
    wait_one,
)

pytestmark = pytest.mark.anyio


# ── settling ──


async def test_the_holder_of_a_lease_may_send(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        clock.advance(UNPACED.lease - SECOND)
        await store.queue.end_expired_leases()
        assert await store.queue.may_send(claim)
        assert not (await store.queue.find_due_work()).lapsed
        clock.advance(SECOND)
        assert (await store.queue.find_due_work()).lapsed
        await store.queue.end_expired_leases()
        assert not await store.queue.may_send(claim)


@on_both_databases
async def test_after_an_opt_out_no_holder_may_send(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        await store.inbound.record([said("Stopp!", by=OTHER_PHONE)])
        assert await store.queue.may_send(claim)
        await store.inbound.record([said("STOP")])
        assert not await store.queue.may_send(claim)
        await store.queue.withdraw(claim)
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.text) == (OrderState.CANCELLED, None)
        assert "opted out" in order.status_reason


@on_both_databases
async def test_an_unused_claim_is_returned_to_the_queue_unchanged(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        await store.queue.withdraw(claim)
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.status_reason, order.is_moving) == (OrderState.QUEUED, "", True)
        assert not await store.queue.may_send(claim)
        again = await claim_one(store)
        assert (again.order_id, again.attempt) == (claim.order_id, 2)
        assert again.lease != claim.lease


async def test_a_postponed_order_says_when_it_is_tried_again(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        await store.queue.put_back(claim, "Too many requests.", PauseReason.THROTTLED, 30 * SECOND)
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.not_before) == (OrderState.QUEUED, NOON + 30 * SECOND)
        assert not order.is_moving
        assert await store.queue.claim(UNPACED, allow) == Idle(30 * SECOND, PauseReason.THROTTLED)
        clock.advance(30 * SECOND)
        assert (await claim_one(store)).order_id == order.id


Late = Callable[[Store, Claim], Awaitable[object]]


NEGATIVE: dict[str, Late] = {
    "rejected": lambda store, claim: store.queue.settle_rejected(claim, "No."),
    "withdrawn": lambda store, claim: store.queue.withdraw(claim),
    "put back": lambda store, claim: store.queue.put_back(
        claim, "Too many.", PauseReason.THROTTLED, timedelta(0)
    ),
    "in doubt": lambda store, claim: store.queue.settle_doubt(claim, "No answer."),
}


@on_both_databases
@pytest.mark.parametrize("late", NEGATIVE)
async def test_a_process_that_lost_its_lease_cannot_settle_an_order_as_refused(
    location: StateLocation, clock: ManualClock, late: str
) -> None:
    async with opened(location, clock) as store:
        old = await claim_new(store, EVENING)
        clock.advance(UNPACED.lease)
        await store.queue.end_expired_leases()
        await conclude_absent(store, clock)
        new = await claim_one(store)
        assert (new.order_id, new.attempt) == (old.order_id, 2)
        await NEGATIVE[late](store, old)
        order = await store.orders.get(old.order_id)
        assert (order.state, order.text, order.attempts) == (OrderState.SENDING, EVENING, 2)
        assert await store.queue.may_send(new)
        assert not await store.queue.may_send(old)


@pytest.mark.parametrize("meanwhile", ["lapsed", "queued", "claimed", "cancelled", "rejected", "unknown"])
async def test_a_receipt_counts_even_after_the_lease_was_lost(
    location: StateLocation, clock: ManualClock, meanwhile: str
) -> None:
    async with opened(location, clock) as store:
        old = await claim_new(store, EVENING)
        clock.advance(UNPACED.lease)
        await store.queue.end_expired_leases()
        if meanwhile == "unknown":
            clock.advance(LONGEST + SECOND)
            await store.doubts.conclude(None, read_at=clock.now(), quiet=QUIET, skew=NONE)
        elif meanwhile != "lapsed":
            await conclude_absent(store, clock)
        new = await claim_one(store) if meanwhile in {"claimed", "rejected"} else old
        if meanwhile == "rejected":
            await store.queue.settle_rejected(new, "No.")
        if meanwhile == "cancelled":
            await store.cancellations.cancel(old.order_id, "Not wanted.")
        await store.queue.settle_sent(old, a_receipt("s1", cost=PRICE // 2))
        order = await store.orders.get(old.order_id)
        assert (order.state, order.text, order.status_reason) == (OrderState.SENT, None, "")
        assert order.receipt
        assert order.receipt.message_id == "s1"
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE // 2
        if meanwhile == "claimed":
            assert not await store.queue.may_send(new)
            await store.queue.settle_rejected(new, "No.")
            assert (await store.orders.get(old.order_id)).state is OrderState.SENT
        assert await store.queue.claim(UNPACED, allow) == Idle(None)


@on_both_databases
async def test_a_receipt_is_kept_with_its_price(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        receipt = a_receipt("s1", cost=PRICE * 2).model_copy(update={"parts": 2})
        await store.queue.settle_sent(claim, receipt)
        order = await store.orders.get(claim.order_id)
        assert (order.receipt, order.parts) == (receipt, 2)
        assert await store.orders.find("s1") == order
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE * 2
        await store.queue.settle_sent(claim, a_receipt("s2"))  # the first proof stands
        assert await store.orders.get(claim.order_id) == order


async def test_a_receipt_without_a_price_costs_the_quoted_price(location: StateLocation) -> None:
    async with opened(location) as store:
        await store.queue.settle_sent(await claim_new(store), a_receipt(cost=None))
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE


@on_both_databases
async def test_a_message_matched_to_the_wrong_order_is_moved_to_its_own(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        wrong = await claim_new(store, EVENING)
        await store.queue.settle_doubt(wrong, "No answer.")
        await store.doubts.conclude(
            [a_message(EVENING, message_id="s1")], read_at=NOON, quiet=QUIET, skew=NONE
        )
        assert (await store.orders.get(wrong.order_id)).state is OrderState.SENT
        right = await claim_new(store, EVENING, key="another")
        await store.queue.settle_sent(right, a_receipt("s1"))
        assert (await store.orders.get(right.order_id)).state is OrderState.SENT
        order = await store.orders.get(wrong.order_id)
        assert (order.state, order.receipt) == (OrderState.UNKNOWN, None)


async def test_due_work_lists_what_there_is_to_do(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        assert await things_to_do(store) == (set(), None)
        await place_one(store)
        assert await things_to_do(store) == ({"queued"}, None)
        claim = await claim_one(store)
        assert await things_to_do(store) == (set(), UNPACED.lease)
        clock.advance(UNPACED.lease)
        assert await things_to_do(store) == ({"lapsed"}, NONE)
        await store.queue.end_expired_leases()
        assert await things_to_do(store) == ({"doubtful"}, NONE)
        assert (await store.orders.get(claim.order_id)).state is OrderState.IN_DOUBT
        await store.doubts.conclude([], read_at=clock.now(), quiet=QUIET, skew=NONE)
        names, again_in = await things_to_do(store)
        assert names == set()
        assert again_in
        clock.advance(again_in)
        assert await things_to_do(store) == ({"doubtful"}, NONE)
        await conclude_absent(store, clock)
        assert await things_to_do(store) == ({"queued"}, None)
        await claim_one(store)
        await wait_one(store, "Waiting")
        assert await things_to_do(store) == ({"waiting"}, UNPACED.lease)


async def test_only_expired_leases_end(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        old = await claim_new(store, "Old")
        clock.advance(UNPACED.lease - SECOND)
        new = await claim_new(store, "New")
        clock.advance(SECOND)
        await store.queue.end_expired_leases()
        assert (await store.orders.get(old.order_id)).state is OrderState.IN_DOUBT
        assert (await store.orders.get(new.order_id)).state is OrderState.SENDING


# ── pauses ──


@pytest.mark.parametrize("reason", PauseReason, ids=str)
async def test_a_pause_stops_every_order_until_it_ends_or_is_ended(
    location: StateLocation, clock: ManualClock, reason: PauseReason
) -> None:
    async with opened(location, clock) as store:
        await place_one(store)
        await store.queue.pause(reason, MINUTE)
        assert await store.queue.find_pause() is reason
        assert await store.queue.claim(UNPACED, allow) == Idle(MINUTE, reason)
        clock.advance(MINUTE)
        if reason.ends_by_itself:
            assert await store.queue.find_pause() is None
        else:
            assert await store.queue.claim(UNPACED, allow) == Idle(NONE, reason)
            clock.advance(DAY)
            assert await store.queue.find_pause() is reason
            await store.queue.resume()
        assert await store.queue.find_pause() is None


async def test_the_longer_and_the_stricter_of_two_pauses_counts(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await place_one(store)
        await store.queue.pause(PauseReason.THROTTLED, MINUTE)
        await store.queue.pause(PauseReason.UNREACHABLE, SECOND)
        assert (await store.queue.claim(UNPACED, allow)) == Idle(MINUTE, PauseReason.THROTTLED)
        await store.queue.pause(PauseReason.NO_FUNDS, SECOND)
        await store.queue.pause(PauseReason.THROTTLED, SECOND)
        assert (await store.queue.claim(UNPACED, allow)) == Idle(MINUTE, PauseReason.NO_FUNDS)


@on_both_databases
async def test_a_pause_applies_to_all_processes_of_the_account(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as one, opened(location, clock) as other:
        await one.queue.pause(PauseReason.CREDENTIALS, MINUTE)
        assert await other.queue.find_pause() is PauseReason.CREDENTIALS
        await other.queue.resume()
        assert await one.queue.find_pause() is None


@on_both_databases
async def test_the_time_at_which_an_order_goes_out_is_estimated(
    location: StateLocation, clock: ManualClock
) -> None:
    pace = Pace(gap=2 * SECOND, lease=15 * SECOND)
    async with opened(location, clock) as store:
        orders = []
        for number in range(4):
            orders.append(await place_one(store, f"Text {number}"))
            clock.advance(SECOND)
        now = clock.now()
        assert await store.orders.estimate(orders[3].id, pace) == (now + 6 * SECOND, 3, None)
        claim = await claim_one(store, pace)
        assert await store.orders.estimate(orders[3].id, pace) == (now + 6 * SECOND, 2, None)
        assert await store.orders.estimate(claim.order_id, pace) is None
        await store.queue.pause(PauseReason.THROTTLED, MINUTE)
        assert await store.orders.estimate(orders[1].id, pace) == (now + MINUTE, 0, PauseReason.THROTTLED)
