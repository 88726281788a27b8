"""Orders that wait for a person."""

import re

import pytest

from elks_mcp.domain.approval import APPROVAL_TIMEOUT, APPROVED_SEND_TIMEOUT
from elks_mcp.domain.orders import (
    CANCELLABLE,
    Approver,
    OrderState,
)
from elks_mcp.errors import (
    InvalidInput,
    NotFound,
)
from elks_mcp.store import Idle, Placed, StateLocation
from elks_mcp.store.admin import OrderAdmin
from tests.support.clocks import ManualClock
from tests.support.provider import a_draft, an_approval
from tests.support.store_cases import EVENING, OTHERS, WAYS
from tests.support.stores import (
    MINUTE,
    PRICE,
    SECOND,
    UNPACED,
    a_receipt,
    account_of,
    allow,
    claim_one,
    on_both_databases,
    opened,
    said,
    unless_opted_out,
    wait_one,
    within,
)

pytestmark = pytest.mark.anyio


async def test_an_order_that_needs_approval_waits_and_costs_nothing_yet(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store, EVENING, key="k")
        assert order.state is OrderState.WAITING
        assert re.fullmatch("A-[2-9A-HJKMNP-Z]{4}", order.approval_code or "")
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        assert (await store.orders.find_prior(a_draft())).recall.spent == 0
        assert await store.orders.get(order.approval_code or "") == order
        assert (await store.orders.find_prior(a_draft(EVENING, key="k"))).waiting == order
        assert (await store.orders.find_prior(a_draft(EVENING, key="k"))).repeated is None
        asked_again = await store.orders.place(an_approval(a_draft(EVENING, key="k"), Approver.PERSON), allow)
        assert asked_again == Placed(order, is_repeat=False)
        assert (await store.orders.find_prior(a_draft(EVENING, key="other"))).waiting is None
        with pytest.raises(InvalidInput, match="with another flash setting"):
            await store.orders.find_prior(a_draft(EVENING, key="k", flash=True))
        unkeyed = await wait_one(store, EVENING)
        assert (await store.orders.find_prior(a_draft(EVENING))).waiting == unkeyed
        assert (await store.orders.find_prior(a_draft(EVENING, flash=True))).waiting is None


@on_both_databases
async def test_an_approval_releases_an_order_once(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store)
        clock.advance(MINUTE)
        released = await store.orders.approve(order.id, allow)
        assert (released.is_repeat, released.order.state) == (False, OrderState.QUEUED)
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE
        assert await store.orders.approve(order.id, allow) == Placed(released.order, is_repeat=True)
        claim = await claim_one(store)
        await store.queue.settle_sent(claim, a_receipt())
        replayed = await store.orders.approve(order.approval_code or "", allow)
        assert (replayed.is_repeat, replayed.order.state) == (True, OrderState.SENT)
        assert await store.queue.claim(UNPACED, allow) == Idle(None)


async def test_an_approval_does_not_override_a_refusal_for_events_since(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store, EVENING)
        await store.inbound.record([said("STOP")])
        placed = await store.orders.approve(order.id, unless_opted_out)
        assert (placed.order.state, placed.order.status_reason) == (OrderState.CANCELLED, "They said STOP.")
        assert placed.order.text is None
        assert not placed.is_repeat
        assert not (await store.orders.approve(order.id, allow)).is_repeat


async def test_a_late_approval_does_not_count(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store, EVENING, key="k")
        clock.advance(APPROVAL_TIMEOUT - SECOND)
        assert (await store.orders.find_prior(a_draft(EVENING, key="k"))).waiting == order
        assert not (await store.queue.find_due_work()).approved
        clock.advance(SECOND)
        assert (await store.orders.find_prior(a_draft(EVENING, key="k"))).waiting is None
        assert (await store.queue.find_due_work()).overdue
        placed = await store.orders.approve(order.id, allow)
        assert (placed.order.state, placed.order.text) == (OrderState.EXPIRED, None)
        assert "No person approved it in time" in placed.order.status_reason
        again = await store.orders.place(an_approval(a_draft(EVENING, key="k")), allow)
        assert not again.is_repeat  # the key led nowhere


@on_both_databases
async def test_an_order_approved_in_a_terminal_is_found_and_released(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        one, two, three = [await wait_one(store, f"Text {number}") for number in range(3)]
        assert await store.orders.release_approved(allow) == []
        await OrderAdmin(store.database).approve(one.id)
        await OrderAdmin(store.database).approve(two.id)
        assert (await store.queue.find_due_work()).approved
        released = await store.orders.release_approved(within(PRICE))
        assert sorted((order.id, order.state) for order in released) == sorted(
            [(released[0].id, OrderState.QUEUED), (released[1].id, OrderState.CANCELLED)]
        )
        assert {order.id for order in released} == {one.id, two.id}
        assert await store.orders.release_approved(allow) == []
        assert (await store.orders.get(three.id)).state is OrderState.WAITING


async def test_an_approved_order_released_too_late_expires_because_no_server_ran(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store)
        await OrderAdmin(store.database).approve(order.id)
        clock.advance(APPROVED_SEND_TIMEOUT)
        assert await store.orders.release_approved(allow) == []
        assert "No server ran to send it in time" in (await store.orders.get(order.id)).status_reason


@pytest.mark.parametrize("key", [None, "k"], ids=["no key", "a key"])
async def test_a_text_that_no_longer_needs_approval_goes_out_once_even_if_the_same_one_waits(
    location: StateLocation, clock: ManualClock, key: str | None
) -> None:
    async with opened(location, clock) as store:
        waiting = await wait_one(store, EVENING, key=key)
        placed = await store.orders.place(an_approval(a_draft(EVENING, key=key)), allow)
        assert placed.order.state is OrderState.QUEUED
        await store.orders.approve(waiting.id, allow)
        claim = await claim_one(store)
        await store.queue.settle_sent(claim, a_receipt())
        assert await store.queue.claim(UNPACED, allow) == Idle(None)


@on_both_databases
async def test_approval_codes_differ_from_order_ids(location: StateLocation) -> None:
    async with opened(location) as store, opened(location, None, OTHERS) as theirs:
        ours = [await wait_one(store, f"Text {number}") for number in range(20)]
        others = [await wait_one(theirs, f"Text {number}") for number in range(20)]
    numbers = [order.approval_code for order in (*ours, *others)]
    assert len(set(numbers)) == 40
    assert not set("01OILU") & set("".join(number[2:] for number in numbers if number)) - {"L", "U"}


async def test_only_an_order_that_is_not_being_sent_can_be_cancelled(
    location: StateLocation, clock: ManualClock
) -> None:
    for state in OrderState:
        async with opened(location, clock, account_of(state)) as store:
            order = await WAYS[state](store)
            cancelled = await store.cancellations.cancel(order.id, "Not wanted.")
            if state in CANCELLABLE:
                ended = (OrderState.CANCELLED, "Not wanted.", None)
                assert (cancelled.state, cancelled.status_reason, cancelled.text) == ended
                assert (await store.orders.find_prior(a_draft())).recall.spent == 0
            else:
                assert cancelled == order


async def test_an_unknown_order_is_reported_as_not_found(location: StateLocation) -> None:
    async with opened(location) as store:
        for question in (store.orders.get("O-22222222"), store.cancellations.cancel("O-22222222", "")):
            with pytest.raises(NotFound):
                await question
        assert await store.orders.find("s1") is None
        assert await store.orders.estimate("O-22222222", UNPACED) is None
