"""Claiming orders, in order and at the pace."""

import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import count

import pytest
from sqlalchemy import insert, select

from elks_mcp.domain.orders import (
    ORDER_LATENESS,
    Approver,
    Claim,
    OrderState,
)
from elks_mcp.errors import (
    Refused,
)
from elks_mcp.store import Idle, Pace, PauseReason, Placed, StateLocation
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import orders
from elks_mcp.store.store import Store
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, a_draft, an_approval
from tests.support.store_cases import DAY, EVENING, NONE, OTHERS
from tests.support.stores import (
    MINUTE,
    OTHER_PHONE,
    PRICE,
    SECOND,
    UNPACED,
    a_receipt,
    allow,
    claim_new,
    claim_next,
    claim_one,
    engine_of,
    on_both_databases,
    opened,
    place_one,
    said,
    unless_opted_out,
    wait_one,
    within,
)

pytestmark = pytest.mark.anyio


async def test_orders_are_claimed_first_in_first_out(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        placed = []
        for number in range(4):
            placed.append((await place_one(store, f"Text {number}")).id)
            clock.advance(SECOND)
        assert [(await claim_one(store)).order_id for _ in placed] == placed
        assert await store.queue.claim(UNPACED, allow) == Idle(None)


async def test_a_claim_has_everything_needed_to_send(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING, flash=True)
        assert claim.draft == a_draft(EVENING, flash=True)
        assert (claim.attempt, claim.currency, claim.wait) == (1, "SEK", NONE)
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.attempts) == (OrderState.SENDING, 1)


@on_both_databases
async def test_if_orders_are_named_only_those_are_claimed(location: StateLocation) -> None:
    async with opened(location) as store:
        one, two = await place_one(store, "One"), await place_one(store, "Two")
        claim = await claim_next(store.queue, UNPACED, allow, only={two.id})
        assert isinstance(claim, Claim)
        assert claim.order_id == two.id
        assert await store.queue.claim(UNPACED, allow, only={two.id}) == Idle(None)
        assert await store.queue.claim(UNPACED, allow, only=set()) == Idle(None)
        assert (await claim_one(store)).order_id == one.id


@on_both_databases
async def test_slots_follow_the_configured_pace(location: StateLocation, clock: ManualClock) -> None:
    pace = Pace(gap=2 * SECOND, lease=15 * SECOND)
    async with opened(location, clock) as store:
        for number in range(3):
            await place_one(store, f"Text {number}")
        assert (await claim_one(store, pace)).wait == NONE
        assert await store.queue.claim(pace, allow) == Idle(2 * SECOND)
        clock.advance(1.5 * SECOND)
        assert await store.queue.claim(pace, allow) == Idle(0.5 * SECOND)
        clock.advance(0.5 * SECOND)
        await claim_one(store, pace)
        clock.advance(MINUTE)  # what was not used is not made up for
        await claim_one(store, pace)
        assert await store.queue.claim(pace, allow) == Idle(2 * SECOND)


@on_both_databases
async def test_setting_the_clock_back_delays_no_order_for_long(
    location: StateLocation, clock: ManualClock
) -> None:
    pace = Pace(gap=2 * SECOND, lease=15 * SECOND)
    async with opened(location, clock) as store:
        await place_one(store, "One")
        await claim_one(store, pace)
    back = ManualClock(NOON - DAY)
    async with opened(location, back) as store:
        await place_one(store, "Two")
        assert await store.queue.claim(pace, allow) == Idle(2 * SECOND)
        back.advance(2 * SECOND)
        assert (await claim_one(store, pace)).wait == NONE


async def test_slots_can_be_taken_ahead_of_time(location: StateLocation, clock: ManualClock) -> None:
    pace = Pace(gap=2 * SECOND, lease=15 * SECOND, ahead=3 * SECOND)
    async with opened(location, clock) as store:
        for number in range(3):
            await place_one(store, f"Text {number}")
        assert [(await claim_one(store, pace)).wait for _ in range(2)] == [NONE, 2 * SECOND]
        assert await store.queue.claim(pace, allow) == Idle(4 * SECOND)


TWO_SECONDS_APART = Pace(gap=2 * SECOND, lease=15 * SECOND)


@on_both_databases
async def test_an_order_is_claimed_when_it_is_placed_if_no_other_is_before_it(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order, is_repeat, claim = await store.orders.place(
            an_approval(a_draft()), allow, pace=TWO_SECONDS_APART
        )
        assert claim
        assert (order.state, order.attempts, is_repeat) == (OrderState.SENDING, 1, False)
        assert (claim.order_id, claim.attempt, claim.draft, claim.wait) == (order.id, 1, a_draft(), NONE)
        assert await store.orders.get(order.id) == order
        assert await store.queue.may_send(claim)
        assert await store.queue.claim(TWO_SECONDS_APART, allow) == Idle(2 * SECOND), "its slot is taken"
        again = await store.orders.place(an_approval(a_draft()), allow, pace=TWO_SECONDS_APART)
        assert again == Placed(order, is_repeat=True), "who asks again may not send it too"
        clock.advance(14 * SECOND)
        assert not (await store.queue.find_due_work()).lapsed
        clock.advance(SECOND)
        assert (await store.queue.find_due_work()).lapsed


async def _something_is_before_it(store: Store) -> None:
    await place_one(store, "Before it")


async def _a_slot_is_taken(store: Store) -> None:
    await place_one(store, "Before it")
    await claim_one(store, TWO_SECONDS_APART)


async def _a_pause(store: Store) -> None:
    await store.queue.pause(PauseReason.NO_FUNDS, SECOND)


@pytest.mark.parametrize("prepare", [_something_is_before_it, _a_slot_is_taken, _a_pause])
async def test_an_order_that_is_not_due_yet_is_only_queued(
    location: StateLocation, clock: ManualClock, prepare: Callable[[Store], Awaitable[None]]
) -> None:
    async with opened(location, clock) as store:
        await prepare(store)
        placed = await store.orders.place(an_approval(a_draft()), allow, pace=TWO_SECONDS_APART)
        assert placed.claim is None
        assert placed.order.state is OrderState.QUEUED
        assert await store.orders.get(placed.order.id) == placed.order


async def test_an_order_that_needs_approval_is_not_claimed(location: StateLocation) -> None:
    async with opened(location) as store:
        approval = an_approval(a_draft(), Approver.TERMINAL)
        placed = await store.orders.place(approval, allow, pace=UNPACED)
        assert (placed.order.state, placed.claim) == (OrderState.WAITING, None)


async def test_a_refused_order_takes_no_slot(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        with pytest.raises(Refused):
            await store.orders.place(an_approval(a_draft()), within(PRICE - 1), pace=TWO_SECONDS_APART)
        placed = await store.orders.place(an_approval(a_draft()), within(PRICE), pace=TWO_SECONDS_APART)
        assert placed.claim


@on_both_databases
async def test_waiting_postponed_and_foreign_orders_delay_no_order(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store, opened(location, clock, OTHERS) as theirs:
        await place_one(theirs, "Another account's")
        await wait_one(store, "Waits for a person")
        put_off = await claim_new(store, "Put off")
        await store.queue.put_back(put_off, "Later.", PauseReason.THROTTLED, SECOND)
        await store.queue.resume()
        placed = await store.orders.place(an_approval(a_draft()), allow, pace=UNPACED)
        assert placed.claim


async def test_an_order_that_may_not_go_out_does_not_delay_those_behind_it(
    location: StateLocation, clock: ManualClock
) -> None:
    """Its share of the budget is released for them."""
    pace = Pace(gap=timedelta(milliseconds=1), lease=15 * SECOND, ahead=SECOND)
    async with opened(location, clock) as store:
        placed = [await place_one(store, f"Text {number}") for number in range(5)]
        claims: list[str] = []
        while not isinstance(step := await store.queue.claim(pace, within(3 * PRICE), most=16), Idle):
            claims += [claim.order_id for claim in step]
        states = Counter([(await store.orders.get(order.id)).state for order in placed])
    assert states == {OrderState.CANCELLED: 2, OrderState.SENDING: 3}
    assert len(set(claims)) == 3


async def test_a_text_takes_as_many_steps_with_many_old_orders(folder: StateLocation) -> None:
    """On SQLite, where an unused index matters most; counted in steps of its virtual machine."""
    async with opened(folder) as store:
        first = await place_one(store, "First")
        await store.queue.settle_sent(await claim_one(store), a_receipt())
        few = [await steps_of(store, partial(send_one, store, key)) for key in (None, "k")]
        await multiply(store, first.id, 5_000)
        many = [await steps_of(store, partial(send_one, store, key)) for key in (None, "l")]
    assert [more < 1.5 * less for more, less in zip(many, few, strict=True)] == [True, True], (few, many)


async def send_one(store: Store, key: str | None) -> None:
    """Take a text through all steps of the store."""
    draft = a_draft(f"Text {next(_NUMBERS)}", key=key, to=OTHER_PHONE)
    await store.orders.find_prior(draft)
    await store.orders.place(an_approval(draft), allow)
    await store.queue.find_due_work()
    claim = await claim_one(store)
    assert await store.queue.may_send(claim)
    await store.queue.settle_sent(claim, a_receipt())


_NUMBERS = count()


async def multiply(store: Store, order_id: str, times: int) -> None:
    """Put copies of an order beside it, delivered long ago to others."""

    def copy(tx: Tx) -> None:
        row = dict(tx.execute(select(orders).where(orders.c.id == order_id)).mappings().one())
        row |= {name: row[name] - timedelta(days=30) for name in ("placed_at", "changed_at", "charged_at")}
        row |= {"state": OrderState.DELIVERED, "text": None}
        numbered = ("id", "fingerprint", "recipient_hash", "message_id")
        tx.execute(insert(orders), [row | {name: f"{name[0]}{n}" for name in numbered} for n in range(times)])

    await store.database.run(copy, writes=True)


async def steps_of(store: Store, work: Callable[[], Awaitable[object]]) -> int:
    """Count the steps that SQLite takes to do something."""
    steps = count()
    with engine_of(store).connect() as connection:
        machine = connection.connection.dbapi_connection
    assert isinstance(machine, sqlite3.Connection)
    machine.set_progress_handler(lambda: next(steps) and None, 1)
    await work()
    machine.set_progress_handler(None, 1)
    return next(steps)


@on_both_databases
async def test_several_orders_are_claimed_together_as_far_as_the_pace_allows(
    location: StateLocation, clock: ManualClock
) -> None:
    pace = Pace(gap=2 * SECOND, lease=15 * SECOND, ahead=3 * SECOND)
    async with opened(location, clock) as store:
        stopped = await place_one(store, "To one who says STOP")
        for number in range(4):
            clock.advance(SECOND / 100)
            await place_one(store, f"Text {number}", to=OTHER_PHONE)
        await store.inbound.record([said("STOP")])
        claims = await store.queue.claim(pace, unless_opted_out, most=4)
        assert isinstance(claims, list)
        assert [(claim.draft.text, claim.wait) for claim in claims] == [
            ("Text 0", NONE),
            ("Text 1", 2 * SECOND),
        ]
        assert len({claim.lease for claim in claims}) == 2
        assert (await store.orders.get(stopped.id)).state is OrderState.CANCELLED
        assert await store.queue.claim(pace, allow, most=4) == Idle(4 * SECOND)
        clock.advance(4 * SECOND)
        claims = await store.queue.claim(UNPACED, allow, most=1)
        assert isinstance(claims, list)
        assert [claim.draft.text for claim in claims] == ["Text 2"]


async def test_an_order_to_a_recipient_who_may_no_longer_be_texted_is_not_sent(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        stopped = await place_one(store, "To one who says STOP")
        clock.advance(SECOND)
        other = await place_one(store, "To another", to=OTHER_PHONE)
        await store.inbound.record([said("STOP")])
        claim = await claim_next(store.queue, UNPACED, unless_opted_out)
        assert isinstance(claim, Claim)
        assert claim.order_id == other.id
        stopped = await store.orders.get(stopped.id)
        assert (stopped.state, stopped.status_reason, stopped.text) == (
            OrderState.CANCELLED,
            "They said STOP.",
            None,
        )
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE


async def test_an_order_is_not_retried_for_ever(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order, tried = await place_one(store, "Never tried"), await place_one(store, "Tried")
        assert (await claim_one(store)).order_id in {order.id, tried.id}
        claim = await claim_one(store)
        await store.queue.put_back(claim, "Too many requests.", PauseReason.THROTTLED, SECOND)
        clock.advance(ORDER_LATENESS + SECOND)
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        gone = await store.orders.get(claim.order_id)
        assert (gone.state, gone.status_reason) == (OrderState.EXPIRED, "Too many requests.")
