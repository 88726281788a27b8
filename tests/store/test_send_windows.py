"""The limits around a send time: the budget, texts to one number, and repeats."""

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from elks_mcp.domain.models import Recall
from elks_mcp.domain.orders import Approver, OrderState
from elks_mcp.errors import InvalidInput, Refused
from elks_mcp.store import Idle, StateLocation
from elks_mcp.store.db.schema import orders
from elks_mcp.store.known_numbers import VELOCITY_WINDOW
from elks_mcp.store.prior import REPEATED_WITHIN
from elks_mcp.store.store import Store
from elks_mcp.store.totals import TotalsStore
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, a_draft, an_approval
from tests.support.store_cases import DAY, EVENING
from tests.support.stores import (
    MINUTE,
    PRICE,
    SECOND,
    UNPACED,
    a_receipt,
    allow,
    claim_one,
    on_both_databases,
    opened,
    place_one,
    said,
    within,
)

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)


class Text(NamedTuple):
    """A text to be sent."""

    ahead: timedelta
    """How long from now it is to go out; less than nothing if that has passed meanwhile."""

    price: int = 1
    waits: bool = False
    """Whether a person has to approve it."""


def find_peak(amounts: Iterable[tuple[datetime, int]], moment: datetime, length: timedelta) -> int:
    """Return the largest sum in any period of a length that contains a moment, in the simplest way."""
    amounts = list(amounts)
    ends = [moment, *(at for at, _ in amounts if moment <= at < moment + length)]
    return max(sum(amount for at, amount in amounts if end - length < at <= end) for end in ends)


async def place(store: Store, number: int, text: Text, budget: int = 10**9) -> datetime:
    """Place a text, and return when it goes out."""
    now = await store.database.now()
    draft = a_draft(f"Text {number}", send_at=now + text.ahead)
    approver = Approver.TERMINAL if text.waits else Approver.POLICY
    await store.orders.place(an_approval(draft, approver, price=text.price), within(budget))
    return max(now, now + text.ahead)


async def compare(store: Store, texts: list[Text], ahead: timedelta) -> None:
    """Compare what the store counts around a moment with the model."""
    placed = [(await place(store, number, each), each) for number, each in enumerate(texts)]
    now = await store.database.now()
    recall = await store.orders.recall(a_draft("New", send_at=now + ahead))
    moment, charges = max(now, now + ahead), [(at, each.price) for at, each in placed if not each.waits]
    each_once = [(at, 1) for at, _ in placed]
    assert (recall.spent, recall.texts_in_10_minutes, recall.texts_in_24_hours) == (
        find_peak(charges, moment, DAY),
        find_peak(each_once, moment, VELOCITY_WINDOW),
        find_peak(each_once, moment, DAY),
    )


async def forget(store: Store) -> None:
    """Delete all orders."""
    await store.database.run(lambda tx: tx.execute(delete(orders)), writes=True)


moments_ahead = st.builds(
    lambda hours, minutes, microseconds: timedelta(hours=hours, minutes=minutes, microseconds=microseconds),
    st.sampled_from([0, 0, 1, 12, 23, 24, 25, 36, 48, 72, 35 * 24 - 1]),
    st.sampled_from([0, 0, 0, 1, 5, 9, 10, 11, 30]),
    st.sampled_from([0, 0, -1, 1, 999, 1000]),
)
texts = st.lists(st.builds(Text, moments_ahead, st.integers(1, 5), st.booleans()), max_size=8)


def run_property(tmp_path: Path, clock: ManualClock, check: Any) -> None:
    """Check a property with one store, which is emptied after each example."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        opening = opened(StateLocation(folder=tmp_path), clock)
        store = stack.enter_context(portal.wrap_async_context_manager(opening))

        def run(work: Any) -> None:
            try:
                portal.call(work)
            finally:
                portal.call(forget, store)

        check(store, run)


def test_p5_the_spending_around_a_send_time_equals_a_naive_sum(tmp_path: Path, clock: ManualClock) -> None:
    def check(store: Store, run: Any) -> None:
        @given(texts, moments_ahead)
        @example([Text(MINUTE * n) for n in range(8)], MINUTE * 4)
        @example([Text(DAY), Text(2 * DAY - MOMENT)], DAY)
        @example([Text(DAY), Text(2 * DAY)], DAY)
        def agree(texts: list[Text], ahead: timedelta) -> None:
            run(partial(compare, store, texts, ahead))

        agree()

    run_property(tmp_path, clock, check)


@on_both_databases
async def test_p5_each_database_counts_alike(location: StateLocation, clock: ManualClock) -> None:
    some = [
        Text(timedelta(), 3),
        Text(5 * MINUTE, 2),
        Text(12 * HOUR, 4, waits=True),
        Text(DAY - MOMENT, 7),
        Text(DAY, 5),
        Text(DAY + MINUTE, 1),
        Text(2 * DAY - MOMENT, 6),
        Text(35 * DAY, 9),
    ]
    async with opened(location, clock) as store:
        for ahead in (timedelta(), 10 * MINUTE, 12 * HOUR, DAY, DAY + 10 * MINUTE, 35 * DAY):
            await compare(store, some, ahead)
            await forget(store)


CAP = 8


async def schedule_what_fits(store: Store, texts: list[Text]) -> list[tuple[datetime, int]]:
    """Schedule what the cap allows, and check that it refuses no more than it must."""
    charges: list[tuple[datetime, int]] = []
    now = await store.database.now()
    for number, text in enumerate(texts):
        fits = find_peak(charges, max(now, now + text.ahead), DAY) + text.price <= CAP
        with suppress(Refused):
            charges.append((await place(store, number, text, CAP), text.price))
            assert fits
            continue
        assert not fits
    return charges


async def send_late(store: Store, clock: ManualClock, late: list[timedelta]) -> list[tuple[datetime, int]]:
    """Send what is scheduled, each a little late, and return what was spent and when."""
    sent: list[tuple[datetime, int]] = []
    for lateness in late:
        while not isinstance(claims := await store.queue.claim(UNPACED, within(CAP), most=9), Idle):
            for claim in claims:
                price = (await store.orders.get(claim.order_id)).price.units
                await store.queue.settle_sent(claim, a_receipt(cost=price))
                sent.append((clock.now(), price))
        await store.schedule.expire_missed()
        for order in await store.schedule.list_upcoming(1, ""):
            clock.advance(max((order.send_at or NOON) + lateness - clock.now(), timedelta()))
            await store.schedule.release([each.id for each in await store.schedule.list_due()])
    return sent


async def schedule_and_send(
    store: Store, clock: ManualClock, texts: list[Text], late: list[timedelta]
) -> None:
    """Schedule texts and send them, and see what any 24 hours cost."""
    for spent in (await schedule_what_fits(store, texts), await send_late(store, clock, late)):
        assert all(find_peak(spent, at, DAY) <= CAP for at, _ in spent)


def test_p5_35_days_of_schedules_never_exceed_the_cap_in_any_24_hours(
    tmp_path: Path, clock: ManualClock
) -> None:
    decided = st.lists(st.builds(Text, moments_ahead, st.integers(1, 5), st.just(False)), max_size=8)
    lateness = st.lists(st.integers(0, 60).map(lambda minutes: minutes * MINUTE), min_size=9, max_size=9)

    def check(store: Store, run: Any) -> None:
        @settings(max_examples=settings().max_examples // 2)
        @given(decided, lateness)
        def hold(texts: list[Text], late: list[timedelta]) -> None:
            run(partial(schedule_and_send, store, clock, texts, late))

        hold()

    run_property(tmp_path, clock, check)


@on_both_databases
async def test_p5_a_lowered_cap_applies_to_scheduled_texts(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        for number in range(3):
            await place(store, number, Text(HOUR, PRICE))
        clock.advance(HOUR)
        await store.schedule.release([each.id for each in await store.schedule.list_due()])
        claims = [await store.queue.claim(UNPACED, within(2 * PRICE)) for _ in range(3)]
        assert [isinstance(each, Idle) for each in claims] == [False, False, True]
        [missed] = await store.schedule.take_unreported("")
        assert (missed.state, missed.status_reason) == (OrderState.CANCELLED, f"{2 * PRICE} is spent.")


async def test_missed_texts_are_checked_once_a_second_for_each_caller(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:

        async def count_missed() -> list[int]:
            return [len(await store.schedule.take_unreported(caller)) for caller in ("", "another")]

        await place(store, 1, Text(HOUR, PRICE))
        clock.advance(HOUR + DAY)
        assert await count_missed() == [0, 0]
        assert len(await store.schedule.expire_missed()) == 1
        clock.advance(SECOND)
        assert await count_missed() == [0, 0]
        clock.advance(MOMENT)
        assert await count_missed() == [1, 0]


@on_both_databases
async def test_p5_scheduled_texts_are_not_spent_yet_and_earlier_ones_count_after_the_clock_is_set_back(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        totals = TotalsStore(store.database)
        await place(store, 1, Text(HOUR, PRICE))
        assert (await totals.sum_up()).spent == 0
        await place_one(store, "Now")
        await store.queue.settle_sent(await claim_one(store), a_receipt())
        queued = await place_one(store, "Queued")
        assert (await totals.sum_up()).spent == 2 * PRICE
        clock.advance(-12 * HOUR)
        assert (await totals.sum_up()).spent == 2 * PRICE
        assert (await store.orders.recall(a_draft("New"))).spent == 3 * PRICE
        clock.advance(12 * HOUR)
        assert isinstance(await store.queue.claim(UNPACED, within(2 * PRICE - 1)), Idle)
        assert (await store.orders.get(queued.id)).status_reason == f"{PRICE} is spent."


async def test_texts_to_one_number_count_at_their_send_time(
    location: StateLocation, clock: ManualClock
) -> None:
    async def count(ahead: timedelta | None) -> tuple[int, int]:
        send_at = ahead if ahead is None else NOON + ahead
        recall: Recall = await store.orders.recall(a_draft("New", send_at=send_at))
        return recall.texts_in_10_minutes, recall.texts_in_24_hours

    async with opened(location, clock) as store:
        for number, minutes in enumerate((60, 65, 69)):
            await place(store, number, Text(minutes * MINUTE))
        await place(store, 3, Text(90 * MINUTE, waits=True))
        assert await count(None) == (0, 4)
        assert await count(50 * MINUTE) == (0, 4)
        assert await count(51 * MINUTE) == (1, 4)
        assert await count(60 * MINUTE) == (3, 4)
        assert await count(64 * MINUTE) == (3, 4)
        assert await count(70 * MINUTE) == (2, 4)
        assert await count(85 * MINUTE) == (1, 4)
        assert await count(25 * HOUR) == (0, 3)
        await store.inbound.record([said("Yes", at=clock.now())])
        assert await count(64 * MINUTE) == (3, 4), "an answer before they go out changes nothing"


# ── repeats ──


@on_both_databases
async def test_identical_reminders_for_two_days_are_two_orders(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        monday = await place_one(store, EVENING, send_at=NOON + DAY)
        tuesday = await place_one(store, EVENING, send_at=NOON + 2 * DAY)
        now = await place_one(store, EVENING)
        assert len({monday.id, tuesday.id, now.id}) == 3
        for order in (monday, tuesday, now):
            again = await store.orders.place(an_approval(a_draft(EVENING, send_at=order.send_at)), allow)
            assert (again.is_repeat, again.order) == (True, order)


@pytest.mark.parametrize(
    ("apart", "is_repeat"),
    [
        (timedelta(), True),
        (REPEATED_WITHIN - MOMENT, True),
        (-REPEATED_WITHIN + MOMENT, True),
        (REPEATED_WITHIN, False),
        (-REPEATED_WITHIN, False),
    ],
    ids=str,
)
async def test_the_same_text_within_a_quarter_of_an_hour_of_a_scheduled_one_is_a_repeat(
    location: StateLocation, clock: ManualClock, apart: timedelta, is_repeat: bool
) -> None:
    async with opened(location, clock) as store:
        await place_one(store, EVENING, send_at=NOON + HOUR)
        draft = a_draft(EVENING, send_at=NOON + HOUR + apart)
        assert (await store.orders.place(an_approval(draft), allow)).is_repeat is is_repeat
        clock.advance(max(apart, timedelta()) + HOUR)
        now = await store.orders.find_prior(a_draft(EVENING))
        assert now.repeated


async def test_p4_repeating_a_schedule_after_its_time_sends_nothing_again(
    location: StateLocation, clock: ManualClock
) -> None:
    draft = a_draft(EVENING, send_at=NOON + HOUR)
    async with opened(location, clock) as store:
        order = (await store.orders.place(an_approval(draft), allow)).order
        clock.advance(HOUR)
        assert (await store.orders.place(an_approval(draft), allow)).order == order
        await store.schedule.release([order.id])
        await store.queue.settle_sent(await claim_one(store), a_receipt())
        clock.advance(10 * MINUTE)
        again = await store.orders.place(an_approval(draft), allow)
        assert (again.is_repeat, again.order.id) == (True, order.id)
        assert (await store.orders.find_prior(a_draft(EVENING))).repeated
        clock.advance(-HOUR)
        assert (await store.orders.find_prior(a_draft(EVENING))).repeated, "the clock was put back"


async def test_a_key_is_for_one_time(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order = await place_one(store, EVENING, key="k", send_at=NOON + HOUR)
        again = a_draft(EVENING, key="k", send_at=NOON + HOUR)
        assert (await store.orders.find_prior(again)).repeated == order
        for other in (None, NOON + HOUR + SECOND):
            with pytest.raises(InvalidInput, match=r"with another send time\."):
                await store.orders.find_prior(a_draft(EVENING, key="k", send_at=other))


async def test_a_question_about_another_time_is_another_question(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        draft = a_draft(EVENING, send_at=NOON + HOUR)
        waiting = (await store.orders.place(an_approval(draft, Approver.TERMINAL), allow)).order
        assert (await store.orders.find_prior(draft)).waiting == waiting
        for other in (None, NOON + HOUR + SECOND):
            assert (await store.orders.find_prior(a_draft(EVENING, send_at=other))).waiting is None
