"""Pauses, and the pace."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from elks_mcp.domain.orders import Order, OrderState
from elks_mcp.sandbox import Fault
from elks_mcp.store import PauseReason
from elks_mcp.store.claims import KEPT
from tests.support.outbox_cases import LONG, MINUTE, SECOND, holding, is_true, messages
from tests.support.provider import (
    House,
    gets,
    posts,
)

pytestmark = pytest.mark.anyio


async def is_paused(house: House) -> PauseReason | None:
    return await (await house.storage.open()).queue.find_pause()


# ── pauses ──


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 60), (17, 17), (0, 1), (86_400, 300)], ids=str)
async def test_a_throttled_order_waits_as_long_as_46elks_says_and_goes_out(
    house: House, retry_after: int | None, seconds: int
) -> None:
    house.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=retry_after)
    async with house.running():
        begun = house.clock.now()
        order = await house.outbox.wait(await house.place(), LONG)
        assert order.state is OrderState.QUEUED
        assert order.not_before == begun + timedelta(seconds=seconds)
        assert "429" in order.status_reason
        assert await is_paused(house) is PauseReason.THROTTLED
        sent = await house.settled(order)
    assert (sent.state, sent.status_reason, sent.attempts) == (OrderState.SENT, "", 2)
    assert [post.at - begun for post in posts(house.box)] == [timedelta(), timedelta(seconds=seconds)]
    assert len(house.box.accepted) == 1
    assert gets(house.box, "/me") == [], "a 429 ends by itself"


async def test_a_429_holds_all_others_too(house: House) -> None:
    house.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=30)
    async with house.running():
        begun = house.clock.now()
        first = await house.outbox.wait(await house.place("Text 1"), LONG)
        second = await house.place("Text 2")
        await house.settled(second)
        await house.settled(first)
    times = [(post.form["message"], post.at - begun) for post in posts(house.box)]
    assert times[0] == ("Text 1", timedelta())
    assert sorted(message for message, _ in times[1:]) == ["Text 1", "Text 2"]
    assert all(at >= 30 * SECOND for _, at in times[1:])


async def test_a_429_holds_even_who_was_next_and_other_processes(house: House, tmp_path: Path) -> None:
    """The answer comes while the next order waits for its slot, which lies before the end of the pause."""
    house, held = holding(tmp_path)
    neighbour = House(tmp_path, beside=house)
    house.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=30)
    async with house.running(), neighbour.running():
        begun = house.clock.now()
        first = await house.place("Text 1")
        await held.begun.wait()
        second = await neighbour.place("Text 2")
        held.let.set()
        await house.outbox.wait(first, LONG)
        await house.settled(second)
        await house.settled(first)
    assert [post.at - begun >= 30 * SECOND for post in posts(house.box)] == [False, True, True]


@pytest.mark.parametrize("fault", [Fault.CONNECTION_REFUSED, Fault.CONNECT_TIMEOUT])
async def test_where_46elks_cannot_be_reached_it_is_tried_ever_less_often(house: House, fault: Fault) -> None:
    house.box.faults.inject(fault, times=8)
    async with house.running():
        begun = house.clock.now()
        order = await house.outbox.wait(await house.place(), LONG)
        assert (order.state, order.not_before) == (OrderState.QUEUED, begun + 5 * SECOND)
        assert await is_paused(house) is PauseReason.UNREACHABLE
        assert (await house.settled(order)).state is OrderState.SENT
        tries = house.road.tried("POST /a1/sms")
        waits = [later - earlier for earlier, later in pairwise(tries)]
        assert waits == [timedelta(seconds=each) for each in (5, 10, 20, 40, 60, 60, 60, 60)]
        house.box.faults.inject(fault)
        again = await house.place("Text 2")
        await house.pass_until(lambda: is_put_off(house, again))
        assert (await house.find(again)).not_before == house.clock.now() + 5 * SECOND
    assert len(posts(house.box)) == 1


async def is_put_off(house: House, order: Order) -> bool:
    return bool((await house.find(order)).status_reason)


async def test_wrong_credentials_pause_until_46elks_accepts_them_again(house: House) -> None:
    house.box.faults.inject(Fault.UNAUTHORISED, times=4)
    async with house.running():
        begun = house.clock.now()
        order = await house.outbox.wait(await house.place(), LONG)
        assert order.state is OrderState.QUEUED
        assert "credentials" in order.status_reason
        assert await is_paused(house) is PauseReason.CREDENTIALS
        assert (await house.settled(order)).state is OrderState.SENT
        assert await is_paused(house) is None
    assert [get.at - begun for get in gets(house.box, "/me")] == [
        timedelta(seconds=each) for each in (30, 60, 90, 120)
    ]
    assert [post.at - begun for post in posts(house.box)] == [timedelta(), timedelta(seconds=120)]


async def test_an_empty_account_pauses_until_there_is_money(house: House) -> None:
    house.box.balance = 0
    async with house.running():
        begun = house.clock.now()
        order = await house.outbox.wait(await house.place(), LONG)
        assert order.state is OrderState.QUEUED
        assert "not have enough money" in order.status_reason
        assert await is_paused(house) is PauseReason.NO_FUNDS
        await house.pass_time(100 * SECOND)
        assert [get.at - begun for get in gets(house.box, "/me")] == [
            timedelta(seconds=each) for each in (30, 60, 90)
        ]
        house.box.balance = 10_000
        assert (await house.settled(order)).state is OrderState.SENT
        assert house.clock.now() - begun == 120 * SECOND
    assert len(posts(house.box)) == 2


async def test_where_46elks_may_not_tell_the_balance_the_next_text_will_show(house: House) -> None:
    house.box.balance = 0
    house.box.faults.inject(Fault.FORBIDDEN, path="/me", times=None)
    async with house.running():
        begun = house.clock.now()
        await house.place()
        await house.pass_time(100 * SECOND)
    assert [post.at - begun for post in posts(house.box)] == [
        timedelta(seconds=each) for each in (0, 30, 60, 90)
    ]


async def test_five_texts_without_an_answer_pause_until_46elks_answers_something_free(house: House) -> None:
    await house.client.get_account()  # what history costs is in its currency, which is asked for once
    house.box.faults.inject(Fault.ERROR_BEFORE, method="POST", times=5)
    house.box.faults.inject(Fault.ERROR_BEFORE, path="/me", times=2)
    async with house.running():
        placed = [await house.place(f"Text {number}") for number in range(7)]
        await house.pass_until(lambda: is_paused_for(house, PauseReason.TROUBLE))
        begun = house.clock.now()
        assert (await house.settled(placed[-1])).state is OrderState.SENT
        assert [get.at - begun for get in gets(house.box, "/me")[1:]] == [
            timedelta(seconds=each) for each in (30, 60, 90)
        ]
        assert [post.at <= begun for post in posts(house.box)[:6]] == [True] * 5 + [False]
        assert posts(house.box)[5].at - begun == 90 * SECOND
        for order in placed:
            assert (await house.settled(order)).state is OrderState.SENT
    assert len(house.box.accepted) == 7


async def is_paused_for(house: House, reason: PauseReason) -> bool:
    return await is_paused(house) is reason


async def test_one_answer_in_between_and_it_is_no_row(house: House) -> None:
    for _ in range(2):
        house.box.faults.inject(Fault.DROP_BEFORE, method="POST", times=4)
        house.box.faults.inject(Fault.LATENCY, method="POST", duration=timedelta())
    async with house.running():
        for number in range(10):
            await house.place(f"Text {number}")
        await house.pass_until(lambda: is_true(len(posts(house.box)) == 10))
        assert await is_paused(house) is None


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.TOO_MANY_REQUESTS, ""),
        (Fault.CONNECTION_REFUSED, ""),
        (Fault.UNAUTHORISED, ""),
        (Fault.FORBIDDEN, "Not enough credits"),
    ],
)
async def test_an_order_that_is_not_taken_for_an_hour_expires_and_the_next_goes_out(
    house: House, fault: Fault, text: str
) -> None:
    house.box.faults.inject(fault, method="POST", times=None, text=text)
    async with house.running():
        begun = house.clock.now()
        order = await house.settled(await house.place(), stride=MINUTE)
        assert order.state is OrderState.EXPIRED
        assert "46elks" in order.status_reason
        assert order.text is None
        assert KEPT < house.clock.now() - begun <= KEPT + 5 * MINUTE
        house.box.faults.clear()
        assert (await house.settled(await house.place("Text 2"))).state is OrderState.SENT
    assert [message.text for message in house.box.accepted] == ["Text 2"]


@pytest.mark.parametrize(
    ("slept", "state"), [(KEPT, OrderState.SENT), (KEPT + SECOND, OrderState.EXPIRED)], ids=str
)
async def test_an_order_whose_turn_comes_hours_later_is_not_sent_out_of_the_blue(
    house: House, slept: timedelta, state: OrderState
) -> None:
    async with house.opened():
        order = await house.place()
        house.clock.advance(slept)
        async with house.outbox.running():
            assert (await house.settled(order)).state is state
    assert len(posts(house.box)) == (state is OrderState.SENT)


# ── pace ──


def worst_minute(times: list[datetime]) -> int:
    """Count the most that fall in any 60 seconds, both ends included."""
    return max(sum(start <= time <= start + MINUTE for time in times[i:]) for i, start in enumerate(times))


@asynccontextmanager
async def neighbours(folder: Path, count: int, per_minute: int) -> AsyncIterator[list[House]]:
    """Run so many processes on one file."""
    first = House(folder, per_minute=per_minute)
    houses = [first, *(House(folder, beside=first, per_minute=per_minute) for _ in range(count - 1))]
    async with AsyncExitStack() as stack:
        for house in houses:
            await stack.enter_async_context(house.running())
        yield houses


@pytest.mark.parametrize(
    ("processes", "per_minute", "count"),
    [
        (1, 1, 5),
        (3, 95, 100),
        (2, 1000, 40),
        pytest.param(1, 95, 300, marks=pytest.mark.long),
        pytest.param(3, 95, 300, marks=pytest.mark.long),
    ],
)
@pytest.mark.lengthy
async def test_the_pace_is_never_exceeded_and_nearly_reached(
    tmp_path: Path, processes: int, per_minute: int, count: int
) -> None:
    async with neighbours(tmp_path, processes, per_minute) as houses:
        for number in range(count):
            await houses[number % processes].place(f"Text {number}")
        await houses[0].pass_until(lambda: is_true(len(houses[0].box.accepted) == count))
    times = [post.at for post in posts(houses[0].box)]
    assert len(times) == count
    assert set(messages(houses[0]).values()) == {1}
    assert worst_minute(times) <= per_minute
    reached = (count - 1) / ((times[-1] - times[0]) / MINUTE)
    assert 0.98 * per_minute <= reached <= per_minute
    if processes == 1:
        assert [post.form["message"] for post in posts(houses[0].box)] == [
            f"Text {number}" for number in range(count)
        ]


async def test_a_pause_does_not_save_up_for_a_burst(house: House) -> None:
    async with house.running():
        await house.settled(await house.place("Text 1"))
        await house.pass_time(10 * MINUTE)
        second, third = await house.place("Text 2"), await house.place("Text 3")
        await house.settled(second)
        await house.settled(third)
    times = [post.at for post in posts(house.box)]
    assert times[2] - times[1] > MINUTE / 96


async def test_a_clock_that_is_put_back_holds_nobody_up(house: House) -> None:
    async with house.running():
        await house.settled(await house.place("Text 1"))
        house.clock.advance(-LONG)
        begun = house.clock.now()
        assert (await house.settled(await house.place("Text 2"))).state is OrderState.SENT
        assert house.clock.now() - begun < 2 * SECOND
