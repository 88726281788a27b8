"""Pauses, and the pace."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from elks_mcp.domain.orders import ORDER_LATENESS, Order, OrderState
from elks_mcp.sandbox import Fault
from elks_mcp.store import PauseReason
from tests.support.outbox_cases import LONG, MINUTE, SECOND, holding, is_true, messages
from tests.support.provider import (
    Backend,
    gets,
    posts,
)

pytestmark = pytest.mark.anyio


async def is_paused(backend: Backend) -> PauseReason | None:
    return await (await backend.storage.open()).queue.find_pause()


# ── pauses ──


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 60), (17, 17), (0, 1), (86_400, 300)], ids=str)
async def test_a_throttled_order_waits_as_long_as_46elks_says_and_goes_out(
    backend: Backend, retry_after: int | None, seconds: int
) -> None:
    backend.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=retry_after)
    async with backend.running():
        begun = backend.clock.now()
        order = await backend.outbox.wait(await backend.place(), LONG)
        assert order.state is OrderState.QUEUED
        assert order.not_before == begun + timedelta(seconds=seconds)
        assert "429" in order.status_reason
        assert await is_paused(backend) is PauseReason.THROTTLED
        sent = await backend.settled(order)
    assert (sent.state, sent.status_reason, sent.attempts) == (OrderState.SENT, "", 2)
    assert [post.at - begun for post in posts(backend.box)] == [timedelta(), timedelta(seconds=seconds)]
    assert len(backend.box.accepted) == 1
    assert gets(backend.box, "/me") == [], "a 429 ends by itself"


async def test_a_429_pauses_all_orders(backend: Backend) -> None:
    backend.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=30)
    async with backend.running():
        begun = backend.clock.now()
        first = await backend.outbox.wait(await backend.place("Text 1"), LONG)
        second = await backend.place("Text 2")
        await backend.settled(second)
        await backend.settled(first)
    times = [(post.form["message"], post.at - begun) for post in posts(backend.box)]
    assert times[0] == ("Text 1", timedelta())
    assert sorted(message for message, _ in times[1:]) == ["Text 1", "Text 2"]
    assert all(at >= 30 * SECOND for _, at in times[1:])


async def test_a_429_also_pauses_claimed_orders_and_other_processes(backend: Backend, tmp_path: Path) -> None:
    """The answer comes while the next order waits for its slot, which lies before the end of the pause."""
    backend, held = holding(tmp_path)
    neighbour = Backend(tmp_path, beside=backend)
    backend.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=30)
    async with backend.running(), neighbour.running():
        begun = backend.clock.now()
        first = await backend.place("Text 1")
        await held.begun.wait()
        second = await neighbour.place("Text 2")
        held.let.set()
        await backend.outbox.wait(first, LONG)
        await backend.settled(second)
        await backend.settled(first)
    assert [post.at - begun >= 30 * SECOND for post in posts(backend.box)] == [False, True, True]


@pytest.mark.parametrize("fault", [Fault.CONNECTION_REFUSED, Fault.CONNECT_TIMEOUT])
async def test_while_46elks_is_unreachable_attempts_become_less_frequent(
    backend: Backend, fault: Fault
) -> None:
    backend.box.faults.inject(fault, times=8)
    async with backend.running():
        begun = backend.clock.now()
        order = await backend.outbox.wait(await backend.place(), LONG)
        assert (order.state, order.not_before) == (OrderState.QUEUED, begun + 5 * SECOND)
        assert await is_paused(backend) is PauseReason.UNREACHABLE
        assert (await backend.settled(order)).state is OrderState.SENT
        tries = backend.transport.tried("POST /a1/sms")
        waits = [later - earlier for earlier, later in pairwise(tries)]
        assert waits == [timedelta(seconds=each) for each in (5, 10, 20, 40, 60, 60, 60, 60)]
        backend.box.faults.inject(fault)
        again = await backend.place("Text 2")
        await backend.pass_until(lambda: is_put_off(backend, again))
        assert (await backend.find(again)).not_before == backend.clock.now() + 5 * SECOND
    assert len(posts(backend.box)) == 1


async def is_put_off(backend: Backend, order: Order) -> bool:
    return bool((await backend.find(order)).status_reason)


async def test_wrong_credentials_pause_until_46elks_accepts_them_again(backend: Backend) -> None:
    backend.box.faults.inject(Fault.UNAUTHORIZED, times=4)
    async with backend.running():
        begun = backend.clock.now()
        order = await backend.outbox.wait(await backend.place(), LONG)
        assert order.state is OrderState.QUEUED
        assert "credentials" in order.status_reason
        assert await is_paused(backend) is PauseReason.CREDENTIALS
        assert (await backend.settled(order)).state is OrderState.SENT
        assert await is_paused(backend) is None
    assert [get.at - begun for get in gets(backend.box, "/me")] == [
        timedelta(seconds=each) for each in (30, 60, 90, 120)
    ]
    assert [post.at - begun for post in posts(backend.box)] == [timedelta(), timedelta(seconds=120)]


async def test_an_empty_account_pauses_until_there_is_money(backend: Backend) -> None:
    backend.box.balance = 0
    async with backend.running():
        begun = backend.clock.now()
        order = await backend.outbox.wait(await backend.place(), LONG)
        assert order.state is OrderState.QUEUED
        assert "not have enough money" in order.status_reason
        assert await is_paused(backend) is PauseReason.NO_FUNDS
        await backend.pass_time(100 * SECOND)
        assert [get.at - begun for get in gets(backend.box, "/me")] == [
            timedelta(seconds=each) for each in (30, 60, 90)
        ]
        backend.box.balance = 10_000
        assert (await backend.settled(order)).state is OrderState.SENT
        assert backend.clock.now() - begun == 120 * SECOND
    assert len(posts(backend.box)) == 2


async def test_without_access_to_the_balance_a_text_is_tried_every_30_seconds(backend: Backend) -> None:
    backend.box.balance = 0
    backend.box.faults.inject(Fault.FORBIDDEN, path="/me", times=None)
    async with backend.running():
        begun = backend.clock.now()
        await backend.place()
        await backend.pass_time(100 * SECOND)
    assert [post.at - begun for post in posts(backend.box)] == [
        timedelta(seconds=each) for each in (0, 30, 60, 90)
    ]


async def test_five_texts_without_an_answer_pause_until_46elks_answers_a_free_request(
    backend: Backend,
) -> None:
    await backend.client.get_account()  # what history costs is in its currency, which is asked for once
    backend.box.faults.inject(Fault.ERROR_BEFORE, method="POST", times=5)
    backend.box.faults.inject(Fault.ERROR_BEFORE, path="/me", times=2)
    async with backend.running():
        placed = [await backend.place(f"Text {number}") for number in range(7)]
        await backend.pass_until(lambda: is_paused_for(backend, PauseReason.TROUBLE))
        begun = backend.clock.now()
        assert (await backend.settled(placed[-1])).state is OrderState.SENT
        assert [get.at - begun for get in gets(backend.box, "/me")[1:]] == [
            timedelta(seconds=each) for each in (30, 60, 90)
        ]
        assert [post.at <= begun for post in posts(backend.box)[:6]] == [True] * 5 + [False]
        assert posts(backend.box)[5].at - begun == 90 * SECOND
        for order in placed:
            assert (await backend.settled(order)).state is OrderState.SENT
    assert len(backend.box.accepted) == 7


async def is_paused_for(backend: Backend, reason: PauseReason) -> bool:
    return await is_paused(backend) is reason


async def test_an_answer_between_them_breaks_the_series_of_unanswered_texts(backend: Backend) -> None:
    for _ in range(2):
        backend.box.faults.inject(Fault.DROP_BEFORE, method="POST", times=4)
        backend.box.faults.inject(Fault.LATENCY, method="POST", duration=timedelta())
    async with backend.running():
        for number in range(10):
            await backend.place(f"Text {number}")
        await backend.pass_until(lambda: is_true(len(posts(backend.box)) == 10))
        assert await is_paused(backend) is None


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.TOO_MANY_REQUESTS, ""),
        (Fault.CONNECTION_REFUSED, ""),
        (Fault.UNAUTHORIZED, ""),
        (Fault.FORBIDDEN, "Not enough credits"),
    ],
)
async def test_an_order_that_46elks_does_not_accept_for_an_hour_expires_and_the_next_goes_out(
    backend: Backend, fault: Fault, text: str
) -> None:
    backend.box.faults.inject(fault, method="POST", times=None, text=text)
    async with backend.running():
        begun = backend.clock.now()
        order = await backend.settled(await backend.place(), stride=MINUTE)
        assert order.state is OrderState.EXPIRED
        assert "46elks" in order.status_reason
        assert order.text is None
        assert ORDER_LATENESS < backend.clock.now() - begun <= ORDER_LATENESS + 5 * MINUTE
        backend.box.faults.clear()
        assert (await backend.settled(await backend.place("Text 2"))).state is OrderState.SENT
    assert [message.text for message in backend.box.accepted] == ["Text 2"]


@pytest.mark.parametrize(
    ("slept", "state"),
    [(ORDER_LATENESS, OrderState.SENT), (ORDER_LATENESS + SECOND, OrderState.EXPIRED)],
    ids=str,
)
async def test_an_order_that_is_due_only_hours_later_expires_and_is_not_sent(
    backend: Backend, slept: timedelta, state: OrderState
) -> None:
    async with backend.opened():
        order = await backend.place()
        backend.clock.advance(slept)
        async with backend.outbox.running():
            assert (await backend.settled(order)).state is state
    assert len(posts(backend.box)) == (state is OrderState.SENT)


# ── pace ──


def worst_minute(times: list[datetime]) -> int:
    """Count the most that fall in any 60 seconds, both ends included."""
    return max(sum(start <= time <= start + MINUTE for time in times[i:]) for i, start in enumerate(times))


@asynccontextmanager
async def neighbours(folder: Path, count: int, per_minute: int) -> AsyncIterator[list[Backend]]:
    """Run several processes on one file."""
    first = Backend(folder, per_minute=per_minute)
    backends = [first, *(Backend(folder, beside=first, per_minute=per_minute) for _ in range(count - 1))]
    async with AsyncExitStack() as stack:
        for backend in backends:
            await stack.enter_async_context(backend.running())
        yield backends


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
async def test_the_pace_is_nearly_reached_and_never_exceeded(
    tmp_path: Path, processes: int, per_minute: int, count: int
) -> None:
    async with neighbours(tmp_path, processes, per_minute) as backends:
        for number in range(count):
            await backends[number % processes].place(f"Text {number}")
        await backends[0].pass_until(lambda: is_true(len(backends[0].box.accepted) == count))
    times = [post.at for post in posts(backends[0].box)]
    assert len(times) == count
    assert set(messages(backends[0]).values()) == {1}
    assert worst_minute(times) <= per_minute
    reached = (count - 1) / ((times[-1] - times[0]) / MINUTE)
    assert 0.98 * per_minute <= reached <= per_minute
    if processes == 1:
        assert [post.form["message"] for post in posts(backends[0].box)] == [
            f"Text {number}" for number in range(count)
        ]


async def test_a_pause_is_not_followed_by_a_burst(backend: Backend) -> None:
    async with backend.running():
        await backend.settled(await backend.place("Text 1"))
        await backend.pass_time(10 * MINUTE)
        second, third = await backend.place("Text 2"), await backend.place("Text 3")
        await backend.settled(second)
        await backend.settled(third)
    times = [post.at for post in posts(backend.box)]
    assert times[2] - times[1] > MINUTE / 96


async def test_setting_the_clock_back_delays_no_order(backend: Backend) -> None:
    async with backend.running():
        await backend.settled(await backend.place("Text 1"))
        backend.clock.advance(-LONG)
        begun = backend.clock.now()
        assert (await backend.settled(await backend.place("Text 2"))).state is OrderState.SENT
        assert backend.clock.now() - begun < 2 * SECOND
