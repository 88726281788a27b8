"""Placing orders."""

import re

import pytest

from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import (
    UNFINISHED,
    Approval,
    Approver,
    Effect,
    Finding,
    OrderState,
)
from elks_mcp.domain.phone import SenderId
from elks_mcp.errors import (
    InvalidInput,
    Refused,
)
from elks_mcp.store import Placed, StateLocation
from elks_mcp.store.doubts import LONGEST
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, PHONE, a_draft, an_approval
from tests.support.store_cases import BEYOND_WAITING, DAY, EVENING, NONE, QUIET, WAYS
from tests.support.stores import (
    MINUTE,
    OTHER_PHONE,
    PRICE,
    SECOND,
    a_receipt,
    account_of,
    allow,
    change_rows,
    claim_one,
    is_unfinished,
    on_both_databases,
    opened,
    place_one,
    within,
)

pytestmark = pytest.mark.anyio


@on_both_databases
async def test_an_order_is_read_as_it_was_placed(location: StateLocation, clock: ManualClock) -> None:
    draft = a_draft("Åäö €[] 👋", flash=True, key="k1").model_copy(update={"sender": SenderId("Klara")})
    approval = an_approval(draft)
    finding = Finding(guard="night", effect=Effect.WARN, reason="It is night.")
    approval = Approval(
        quote=approval.quote.model_copy(update={"findings": (finding,)}), approver=Approver.POLICY
    )
    async with opened(location, clock) as store:
        placed = await store.orders.place(approval, allow)
        order = await store.orders.get(placed.order.id)
    assert placed == Placed(order, is_repeat=False)
    assert re.fullmatch("O-[2-9A-HJKMNP-Z]{8}", order.id)
    assert (order.state, order.to, order.sender, order.text, order.sms.flash) == (
        OrderState.QUEUED,
        PHONE,
        SenderId("Klara"),
        "Åäö €[] 👋",
        True,
    )
    assert (order.price, order.parts, order.sms.encoding) == (
        Money(PRICE, "SEK"),
        1,
        approval.quote.draft.sms.encoding,
    )
    assert (order.findings, order.approver, order.approval_code) == ((finding,), Approver.POLICY, None)
    assert (order.placed_at, order.changed_at, order.not_before) == (NOON, NOON, None)
    assert (order.attempts, order.receipt, order.status_reason) == (0, None, "")
    assert order.is_moving


FORGETS = {OrderState.REJECTED, OrderState.FAILED, OrderState.CANCELLED, OrderState.EXPIRED}
"""After these the same text is a new one."""


@on_both_databases
async def test_the_same_text_is_the_same_order_unless_that_was_not_sent(
    location: StateLocation, clock: ManualClock
) -> None:
    for state in BEYOND_WAITING:
        async with opened(location, clock, account_of(state)) as store:
            first = await WAYS[state](store)
            assert first.state is state
            again = await store.orders.place(an_approval(a_draft(EVENING)), allow)
            assert again.is_repeat is (state not in FORGETS)
            assert (again.order.id == first.id) is again.is_repeat
            if again.is_repeat:
                assert (await store.orders.find_prior(a_draft(EVENING))).repeated == again.order
                assert (await store.orders.find_prior(a_draft(EVENING))).recall.repeated == first.id


async def test_after_15_minutes_the_same_text_is_a_new_order_unless_the_first_is_unfinished(
    location: StateLocation, clock: ManualClock
) -> None:
    for state in [each for each in BEYOND_WAITING if each not in FORGETS]:
        async with opened(location, clock, account_of(state)) as store:
            first = await WAYS[state](store)
            clock.advance(15 * MINUTE)
            again = await store.orders.place(an_approval(a_draft(EVENING)), allow)
            still = state in UNFINISHED
            assert (again.is_repeat, again.order.id == first.id) == (still, still), state


async def test_only_the_same_sender_number_and_text_are_a_repeat(location: StateLocation) -> None:
    async with opened(location) as store:
        await place_one(store, "Hej!")
        for other in (
            a_draft("Hej"),
            a_draft("Hej!", to=OTHER_PHONE),
            a_draft("Hej!").model_copy(update={"sender": SenderId("Klara")}),
            a_draft("Hej!", key="another message"),
        ):
            assert (await store.orders.find_prior(other)).repeated is None
            assert not (await store.orders.place(an_approval(other), allow)).is_repeat


async def test_repeats_are_new_orders_if_the_operator_allows_them(location: StateLocation) -> None:
    async with opened(location) as store:
        first = await place_one(store)
        second = await store.orders.place(an_approval(a_draft()), allow, dedupe=False)
        assert not second.is_repeat
        assert second.order.id != first.id
        assert (await store.orders.find_prior(a_draft(), dedupe=False)).repeated is None


async def test_a_key_stands_for_one_order_permanently(location: StateLocation, clock: ManualClock) -> None:
    for state in BEYOND_WAITING:
        async with opened(location, clock, account_of(state)) as store:
            order = await WAYS[state](store)
            hashed = store.database.hasher.of("key", "the key")
            change_rows(location, "UPDATE orders SET key_hash = ? WHERE id = ?", hashed, order.id)
            clock.advance(DAY)
            draft = a_draft(EVENING, key="the key", send_at=order.send_at)
            again = await store.orders.place(an_approval(draft), allow)
            assert again == Placed(order, is_repeat=True)


async def test_a_key_used_for_something_else_is_an_error_that_names_what_differs(
    location: StateLocation,
) -> None:
    async with opened(location) as store:
        await place_one(store, EVENING, key="k")
        other = a_draft("Other words", to=OTHER_PHONE, key="k", flash=True)
        other = other.model_copy(update={"sender": SenderId("Klara")})
        with pytest.raises(InvalidInput, match="another recipient, text, sender, flash setting") as caught:
            await store.orders.place(an_approval(other), allow)
        assert EVENING not in caught.value.explain()
        with pytest.raises(InvalidInput, match=r"another flash setting\."):
            await store.orders.find_prior(a_draft(EVENING, key="k", flash=True))


async def test_a_refusal_by_a_guard_stores_nothing(location: StateLocation) -> None:
    async with opened(location) as store:
        with pytest.raises(Refused, match="0 is spent"):
            await store.orders.place(an_approval(a_draft()), within(PRICE - 1))
        assert not is_unfinished(location)
        assert (await store.orders.find_prior(a_draft())).recall.spent == 0


@on_both_databases
async def test_the_budget_counts_reserved_and_charged_amounts(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        for number in range(3):
            await store.orders.place(an_approval(a_draft(f"Text {number}")), within(3 * PRICE))
        with pytest.raises(Refused):
            await store.orders.place(an_approval(a_draft("One too many")), within(3 * PRICE))
        cheap, rejected, unknown = [await claim_one(store) for _ in range(3)]
        await store.queue.settle_sent(cheap, a_receipt(cost=PRICE // 2))
        await store.queue.settle_rejected(rejected, "No.")
        await store.queue.settle_doubt(unknown, "No answer.")
        clock.advance(LONGEST + SECOND)
        await store.doubts.conclude(None, read_at=clock.now(), quiet=QUIET, skew=NONE)
        assert (await store.orders.get(unknown.order_id)).state is OrderState.UNKNOWN
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE + PRICE // 2
        clock.advance(DAY)
        assert (await store.orders.find_prior(a_draft())).recall.spent == 0
