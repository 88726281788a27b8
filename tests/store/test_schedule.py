"""The schedule: orders that go out later, and those that were missed."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from elks_mcp.domain.approval import APPROVAL_TIMEOUT
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import ORDER_LATENESS, Approver, Claim, Effect, Finding, Order, OrderState
from elks_mcp.errors import InvalidInput
from elks_mcp.store import Idle, PauseReason, Placed, StateLocation
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.doubts import LONGEST
from elks_mcp.store.store import Store
from elks_mcp.store.totals import TotalsStore
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, a_draft, an_approval
from tests.support.store_cases import DAY, EVENING, QUIET, conclude_absent, things_to_do
from tests.support.stores import (
    MINUTE,
    OTHER_PHONE,
    PRICE,
    SECOND,
    UNPACED,
    a_receipt,
    allow,
    change_rows,
    claim_one,
    on_both_databases,
    opened,
    place_one,
    read_rows,
    said,
    unless_opted_out,
    wait_one,
    within,
)

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)
AT = NOON + HOUR
RISEN = Finding(guard="price", effect=Effect.ASK, reason="It costs 0.60 SEK now, and 0.52 SEK was approved.")


async def schedule(store: Store, text: str = EVENING, **more: Any) -> Order:
    """Place an order for an hour from the beginning."""
    return await place_one(store, text, **{"send_at": AT} | more)


async def release(store: Store) -> int:
    """Queue all that is due."""
    return await store.schedule.release([each.id for each in await store.schedule.list_due()])


async def schedule_and_claim(store: Store, clock: ManualClock) -> Claim:
    """Schedule an order, and claim it at its time."""
    await schedule(store)
    clock.advance(AT - clock.now())
    assert await release(store) == 1
    return await claim_one(store)


async def take_missed(store: Store, caller: str = "") -> list[tuple[str, OrderState, str]]:
    """Return which orders a caller is informed of, and why."""
    return [
        (each.id, each.state, each.status_reason) for each in await store.schedule.take_unreported(caller)
    ]


# ── never early ──


@on_both_databases
async def test_p13_nothing_is_queued_before_its_time(location: StateLocation, clock: ManualClock) -> None:
    draft = a_draft(EVENING, send_at=AT)
    async with opened(location, clock) as store:
        placed = await store.orders.place(an_approval(draft), allow, pace=UNPACED)
        order = placed.order
        assert placed == Placed(order, is_repeat=False)
        assert (order.state, order.send_at, order.expires_at) == (OrderState.SCHEDULED, AT, AT + HOUR)
        assert not order.is_moving
        assert await things_to_do(store) == (set(), HOUR)
        clock.advance(HOUR - MOMENT)
        assert await store.schedule.list_due() == []
        assert await store.schedule.release([order.id]) == 0
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        clock.advance(MOMENT)
        assert await things_to_do(store) == ({"scheduled"}, None)
        [due] = await store.schedule.list_due()
        assert (due.id, due.draft, due.price) == (order.id, draft, Money(PRICE, "SEK"))
        assert await store.schedule.list_due(skipped=1) == []
        assert (await store.schedule.release([order.id]), await store.schedule.release([order.id])) == (1, 0)
        claim = await claim_one(store)
        assert (claim.order_id, claim.draft) == (order.id, draft)
        assert await store.queue.may_send(claim)


@on_both_databases
async def test_p13_the_databases_own_clock_decides(location: StateLocation) -> None:
    async with opened(location) as store:
        now, _ = await store.doubts.find_due()
        ahead = await place_one(store, "Ahead", send_at=now + HOUR)
        due = await place_one(store, "Due", send_at=now - SECOND)
        assert (ahead.state, due.state) == (OrderState.SCHEDULED, OrderState.QUEUED)
        assert (due.send_at, due.expires_at) == (now - SECOND, now - SECOND + HOUR)
        assert await store.schedule.release([ahead.id]) == 0
        claim = await claim_one(store)
        assert claim.order_id == due.id
        assert await store.queue.may_send(claim)
        with pytest.raises(InvalidInput, match="by the clock of the database"):
            await place_one(store, "Late", send_at=now - HOUR - SECOND)


async def withdraw(store: Store, claim: Claim, clock: ManualClock) -> None:
    """Give a claim back."""
    await store.queue.withdraw(claim)


async def put_back(store: Store, claim: Claim, clock: ManualClock) -> None:
    """Queue an order again that 46elks did not accept."""
    await store.queue.put_back(claim, "Too many requests.", PauseReason.THROTTLED, SECOND)
    await store.queue.resume()


async def find_absent(store: Store, claim: Claim, clock: ManualClock) -> None:
    """Find in history that 46elks did not accept an order."""
    await store.queue.settle_doubt(claim, "No answer.")
    await conclude_absent(store, clock)


@pytest.mark.parametrize("queue_again", [withdraw, put_back, find_absent])
async def test_p13_an_order_queued_again_after_the_clock_is_set_back_is_not_early(
    location: StateLocation,
    clock: ManualClock,
    queue_again: Callable[[Store, Claim, ManualClock], Awaitable[None]],
) -> None:
    async with opened(location, clock) as store:
        claim = await schedule_and_claim(store, clock)
        clock.advance(-HOUR / 2)
        await queue_again(store, claim, clock)
        waits = await store.queue.claim(UNPACED, allow)
        assert waits == Idle(AT - clock.now())
        clock.advance(AT - clock.now())
        assert (await claim_one(store)).order_id == claim.order_id


async def test_p13_a_scheduled_order_waits_again_after_the_clock_is_set_back(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await schedule(store)
        clock.advance(HOUR)
        [due] = await store.schedule.list_due()
        clock.advance(-MINUTE)
        assert await store.schedule.release([due.id]) == 0
        clock.advance(MINUTE)
        assert await store.schedule.release([due.id]) == 1


# ── never late ──


@on_both_databases
async def test_p13_a_missed_order_expires_and_is_reported_once(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await schedule(store)
        clock.advance(HOUR + ORDER_LATENESS)
        assert len(await store.schedule.list_due()) == 1
        assert await store.schedule.expire_missed() == []
        clock.advance(MOMENT)
        assert await store.schedule.list_due() == []
        assert await store.schedule.release([order.id]) == 0
        [missed] = await store.schedule.expire_missed()
        assert (missed.id, missed.state, missed.text) == (order.id, OrderState.EXPIRED, None)
        assert await store.schedule.expire_missed() == []
        assert (await store.orders.recall(a_draft())).spent == 0
        assert await take_missed(store, "another caller") == []
        assert await take_missed(store) == [(order.id, OrderState.EXPIRED, missed.status_reason)]
        assert "too late" in missed.status_reason
        assert await take_missed(store) == []
        assert await store.schedule.list_missed(AT, "") == [missed]
        assert await store.schedule.list_missed(AT + MOMENT, "") == []
        assert await store.schedule.list_missed(AT, "another caller") == []


async def test_p13_an_order_missed_while_no_server_ran_expires_when_the_store_is_opened(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await schedule(store)
    clock.advance(DAY)
    async with opened(location, clock) as store:
        assert [number for number, *_ in await take_missed(store)] == [order.id]
        assert read_rows(location, "SELECT content FROM orders") == [(None,)]


async def test_p13_the_permitted_lateness_is_the_approved_one(
    location: StateLocation, clock: ManualClock
) -> None:
    draft = a_draft(EVENING, send_at=AT).model_copy(update={"lateness": 5 * MINUTE})
    async with opened(location, clock) as store:
        order = (await store.orders.place(an_approval(draft), allow)).order
        assert order.expires_at == AT + 5 * MINUTE
        clock.advance(HOUR + 5 * MINUTE)
        [due] = await store.schedule.list_due()
        assert due.draft == draft
        assert await release(store) == 1
        clock.advance(SECOND)
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        assert await take_missed(store) == [
            (order.id, OrderState.EXPIRED, "It could not be sent at its time.")
        ]


@on_both_databases
async def test_p13_the_last_check_before_the_send_considers_the_time(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await schedule(store)
        clock.advance(HOUR + ORDER_LATENESS)
        await release(store)
        claim = await claim_one(store)
        assert await store.queue.may_send(claim)
        clock.advance(MOMENT)
        assert not await store.queue.may_send(claim)
        withdrawn = await store.queue.withdraw(claim)
        assert withdrawn
        assert withdrawn.state is OrderState.QUEUED
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        assert [state for _, state, _ in await take_missed(store)] == [OrderState.EXPIRED]


async def test_p13_a_queued_order_that_is_too_late_ends_at_the_next_cleanup(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await schedule(store)
        clock.advance(HOUR)
        await release(store)
        await store.queue.pause(PauseReason.NO_FUNDS, DAY)
        clock.advance(ORDER_LATENESS + SECOND)
        await store.cleanup.delete_expired()
        assert [state for _, state, _ in await take_missed(store)] == [OrderState.EXPIRED]


async def test_an_order_of_an_older_version_expires_an_hour_after_it_was_placed(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        sent = await place_one(store, "Sent")
        clock.advance(SECOND)
        late, tidied = await place_one(store, "Late"), await place_one(store, "Tidied")
        change_rows(location, "UPDATE orders SET expires_at = NULL")
        change_rows(location, "UPDATE orders SET due_at = due_at + 86400000000 WHERE id = ?", tidied.id)
        assert (await claim_one(store)).order_id == sent.id
        assert (await store.orders.get(late.id)).expires_at is None
        clock.advance(ORDER_LATENESS + MOMENT)
        assert isinstance(await store.queue.claim(UNPACED, allow), Idle)
        assert (await store.orders.get(late.id)).state is OrderState.EXPIRED
        assert (await store.orders.get(tidied.id)).state is OrderState.QUEUED
        await store.cleanup.delete_expired()
        assert (await store.orders.get(tidied.id)).state is OrderState.EXPIRED
        assert await take_missed(store) == []


# ── what a caller is informed of ──


async def test_p13_each_reason_why_a_scheduled_text_is_not_sent_is_reported(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await schedule_and_claim(store, clock)
        await store.queue.settle_rejected(claim, "46elks said no.")
        assert await take_missed(store) == [(claim.order_id, OrderState.REJECTED, "46elks said no.")]
        over_budget = await schedule(store, "Over budget", send_at=clock.now() + MINUTE)
        clock.advance(MINUTE)
        await release(store)
        assert await store.queue.claim(UNPACED, within(PRICE - 1)) == Idle(None)
        assert await take_missed(store) == [(over_budget.id, OrderState.CANCELLED, "0 is spent.")]
        failed = await schedule(store, "Failed", send_at=clock.now() + MINUTE)
        clock.advance(MINUTE)
        await release(store)
        await store.queue.settle_sent(await claim_one(store), a_receipt(status="failed"))
        assert [(number, state) for number, state, _ in await take_missed(store)] == [
            (failed.id, OrderState.FAILED)
        ]
        opted_out = await schedule(store, "To one who says STOP", send_at=clock.now() + MINUTE)
        clock.advance(MINUTE)
        await release(store)
        await store.inbound.record([said("STOP", at=clock.now())])
        assert await store.queue.claim(UNPACED, unless_opted_out) == Idle(None)
        assert await take_missed(store) == [(opted_out.id, OrderState.CANCELLED, "They said STOP.")]
        listed = [each.id for each in await store.schedule.list_missed(AT, "")]
        assert listed == [opted_out.id, over_budget.id, claim.order_id]


async def test_an_order_sent_or_cancelled_by_its_caller_is_not_reported_as_missed(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        cancelled = await schedule(store, "Cancelled")
        assert (await store.cancellations.cancel(cancelled.id, "")).state is OrderState.CANCELLED
        by_a_person = await schedule(store, "Cancelled by a person")
        assert (await OrderAdmin(store.database).cancel(by_a_person.id)).state is OrderState.CANCELLED
        claim = await schedule_and_claim(store, clock)
        await store.queue.settle_sent(claim, a_receipt())
        unscheduled = await place_one(store, "Now", to=OTHER_PHONE)
        await store.queue.settle_rejected(await claim_one(store), "46elks said no.")
        assert (await store.orders.get(unscheduled.id)).state is OrderState.REJECTED
        assert await take_missed(store) == []
        assert await store.schedule.list_missed(clock.now() - LONGEST, "") == []
        assert (await store.orders.recall(a_draft())).spent == PRICE


async def test_an_order_that_turns_out_to_be_sent_is_no_longer_reported_as_missed(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await schedule_and_claim(store, clock)
        await find_absent(store, claim, clock)
        clock.advance(ORDER_LATENESS)
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        assert (await store.orders.get(claim.order_id)).state is OrderState.EXPIRED
        await store.queue.settle_sent(claim, a_receipt())
        assert await take_missed(store) == []


async def test_p4_a_scheduled_text_can_be_in_doubt_and_become_unknown(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await schedule_and_claim(store, clock)
        clock.advance(16 * SECOND)
        await store.queue.end_expired_leases()
        clock.advance(LONGEST)
        await store.doubts.conclude(None, read_at=clock.now(), quiet=QUIET, skew=timedelta())
        unknown = await store.orders.get(claim.order_id)
        assert unknown.state is OrderState.UNKNOWN
        assert [state for _, state, _ in await take_missed(store)] == [OrderState.UNKNOWN]
        assert await take_missed(store) == []
        assert await store.schedule.list_missed(AT, "") == [unknown]
        await OrderAdmin(store.database).resolve(claim.order_id, sent=False)
        clock.advance(2 * SECOND)
        assert [state for _, state, _ in await take_missed(store)] == [OrderState.CANCELLED]


# ── lists ──


async def test_a_caller_sees_what_is_scheduled_the_earliest_first(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        later, sooner = await schedule(store, "Later", send_at=AT + DAY), await schedule(store, "Sooner")
        await place_one(store, "Now")
        theirs = a_draft("Theirs", send_at=AT).model_copy(update={"caller": "another"})
        other = (await store.orders.place(an_approval(theirs), allow)).order
        assert await store.schedule.list_upcoming(10, "") == [sooner, later]
        assert await store.schedule.list_upcoming(1, "") == [sooner]
        assert await store.schedule.list_upcoming(10, "another") == [other]


async def test_the_age_of_the_queue_counts_from_the_send_times(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        totals = TotalsStore(store.database)
        await schedule(store)
        assert (await totals.sum_up()).waiting == timedelta()
        clock.advance(HOUR + MINUTE)
        await release(store)
        assert (await totals.sum_up()).waiting == MINUTE


# ── approval ──


@on_both_databases
async def test_p2_an_approval_is_for_the_time_and_can_come_before_or_after_it(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        before = await wait_one(store, "Before", send_at=AT)
        assert (before.state, before.send_at, before.expires_at) == (OrderState.WAITING, AT, AT + HOUR)
        before = (await store.orders.approve(before.id, allow)).order
        assert (before.state, before.send_at, before.expires_at) == (OrderState.SCHEDULED, AT, AT + HOUR)
        after = await wait_one(store, "After", send_at=NOON + MINUTE)
        clock.advance(10 * MINUTE)
        after = (await store.orders.approve(after.id, allow)).order
        assert (after.state, after.send_at) == (OrderState.QUEUED, NOON + MINUTE)
        assert after.expires_at == NOON + MINUTE + HOUR
        assert (await claim_one(store)).order_id == after.id


async def test_p13_an_approval_that_comes_too_late_sends_nothing(
    location: StateLocation, clock: ManualClock
) -> None:
    draft = a_draft(EVENING, send_at=NOON + MINUTE).model_copy(update={"lateness": MINUTE})
    async with opened(location, clock) as store:
        order = (await store.orders.place(an_approval(draft, Approver.TERMINAL), allow)).order
        clock.advance(2 * MINUTE + MOMENT)
        assert (await store.orders.approve(order.id, allow)).order.state is OrderState.EXPIRED
        assert await take_missed(store) == [(order.id, OrderState.EXPIRED, "No person approved it in time.")]


async def test_an_order_that_no_person_approves_expires_and_is_reported(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store, send_at=AT)
        clock.advance(APPROVAL_TIMEOUT)
        await store.orders.expire_waiting()
        assert await take_missed(store) == [(order.id, OrderState.EXPIRED, "No person approved it in time.")]


async def test_an_approval_in_a_terminal_waits_for_a_server_until_the_time_is_over(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        orders = [await wait_one(store, f"Text {number}", send_at=NOON + DAY) for number in range(2)]
        admin = OrderAdmin(store.database)
        await admin.approve(orders[0].approval_code or "")
        clock.advance(10 * HOUR)
        [released] = await store.orders.release_approved(allow)
        assert (released.id, released.state, released.send_at) == (
            orders[0].id,
            OrderState.SCHEDULED,
            NOON + DAY,
        )
        missed = await wait_one(store, "Missed", send_at=NOON + DAY)
        await admin.approve(missed.approval_code or "")
        clock.advance(15 * HOUR + MOMENT)
        assert await store.orders.release_approved(allow) == []
        assert (missed.id, OrderState.EXPIRED, "No server ran to send it in time.") in await take_missed(
            store
        )


async def test_p3_a_paused_order_needs_a_new_approval_and_keeps_its_time(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await schedule(store)
        paused = await store.cancellations.pause(order.id, RISEN)
        assert paused
        assert (paused.state, paused.send_at) == (OrderState.WAITING, AT)
        assert (await store.orders.recall(a_draft(send_at=AT))).spent == 0
        approved = (await store.orders.approve(order.id, allow)).order
        assert (approved.state, approved.send_at) == (OrderState.SCHEDULED, AT)
        assert approved.expires_at == AT + HOUR
        assert (await store.orders.recall(a_draft(send_at=AT))).spent == PRICE


# ── a price that rose ──


@on_both_databases
async def test_p2_an_order_that_costs_more_waits_at_its_new_price(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await schedule(store)
        assert await store.schedule.hold(order.id, Money(6000, "SEK"), RISEN) is None, "it is not due"
        clock.advance(HOUR)
        held = await store.schedule.hold(order.id, Money(6000, "SEK"), RISEN)
        assert held
        assert (held.state, held.price, held.findings) == (OrderState.WAITING, Money(6000, "SEK"), (RISEN,))
        assert await store.schedule.hold(order.id, Money(7000, "SEK"), RISEN) is None
        assert await store.schedule.release([order.id]) == 0
        why = f"{RISEN.reason} A person has to approve it."
        assert await take_missed(store) == [(order.id, OrderState.WAITING, why)]
        approved = (await store.orders.approve(order.id, within(6000))).order
        assert (approved.state, approved.status_reason, approved.not_before) == (OrderState.QUEUED, "", None)
        assert (await store.orders.recall(a_draft())).spent == 6000
        assert await take_missed(store) == []


async def test_p2_a_price_that_no_person_approves_is_not_paid(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await schedule(store)
        clock.advance(HOUR)
        await store.schedule.hold(order.id, Money(6000, "SEK"), RISEN)
        assert len(await take_missed(store)) == 1
        clock.advance(APPROVAL_TIMEOUT)
        assert (await store.orders.approve(order.id, allow)).order.state is OrderState.EXPIRED
        assert await take_missed(store) == [(order.id, OrderState.EXPIRED, "No person approved it in time.")]
