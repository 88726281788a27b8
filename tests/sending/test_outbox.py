"""The queue: what is placed goes out once, in turn and in time, or somebody is told why not."""

import gc
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.orders import Approver, Claim, Order, OrderState, Receipt
from elks_mcp.domain.phone import Number
from elks_mcp.elks.dispatch import Dispatcher
from elks_mcp.elks.handover import SendPermission, require
from elks_mcp.runtime.clock import Clock, Deadline
from elks_mcp.sandbox import Fault
from elks_mcp.sending import LEASE_SPARE
from elks_mcp.store import Pace, PauseReason
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.claims import KEPT
from elks_mcp.store.waiting import KEPT_WAITING_FOR_YES
from tests.support.clocks import HANG, ManualClock
from tests.support.provider import (
    OURS,
    PHONE,
    SOON,
    UNLIMITED,
    House,
    a_draft,
    a_right,
    an_approval,
    gets,
    posts,
)
from tests.support.stores import change_rows, claim_next, engine_of, files_with

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LONG = timedelta(days=1)
QUIET = timedelta(seconds=120)
ELSEWHERE = Number("+46701740606")


class Held(Dispatcher):
    """A dispatcher that has asked whether it may post, and does so only when it is let."""

    let: anyio.Event
    begun: anyio.Event

    async def send(self, claim: Claim, right: SendPermission) -> Receipt:
        require(await right.holds())
        self.begun.set()
        await self.let.wait()
        return await super().send(claim, OnlyInTime(right))


class OnlyInTime:
    """A right that was asked for before, and may only run out by now."""

    def __init__(self, right: SendPermission) -> None:
        self._right = right

    async def holds(self) -> bool:
        return self.is_in_time()

    def is_in_time(self) -> bool:
        return self._right.is_in_time()


class Instant(Dispatcher):
    """A dispatcher that is done at once, so that few steps of the event loop are all there are."""

    async def send(self, claim: Claim, right: SendPermission) -> Receipt:
        return Receipt(message_id=f"s{claim.order_id}", status="created")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def holding(folder: Path, beside: House | None = None, per_minute: int = 95) -> tuple[House, Held]:
    """Make a house whose posts are held."""
    house = House(folder, beside=beside, dispatcher=Held, per_minute=per_minute)
    assert isinstance(house.dispatcher, Held)
    house.dispatcher.let, house.dispatcher.begun = anyio.Event(), anyio.Event()
    return house, house.dispatcher


def messages(house: House) -> Counter[str]:
    """Count the texts that reached 46elks to be sent."""
    return Counter(post.form["message"] for post in posts(house.box))


async def is_paused(house: House) -> PauseReason | None:
    return await (await house.storage.open()).queue.find_pause()


# ── what is accepted or refused ──


async def test_an_order_is_sent_once_and_keeps_its_receipt_but_not_its_text(house: House) -> None:
    async with house.running():
        order = await house.place("Nyckel 4711")
        assert order.text == "Nyckel 4711"
        order = await house.outbox.wait(order, LONG)
    (message,) = house.box.accepted
    assert order.state is OrderState.SENT
    assert order.receipt
    assert order.receipt.message_id == message.id
    assert (order.text, order.fault) == (None, "")
    assert len(posts(house.box)) == 1
    for file in house.folder.iterdir():
        assert b"4711" not in file.read_bytes()


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.REDIRECT])
async def test_what_46elks_says_no_to_is_rejected_for_good(house: House, fault: Fault) -> None:
    house.box.faults.inject(fault)
    async with house.running():
        order = await house.outbox.wait(await house.place(), LONG)
        assert order.state is OrderState.REJECTED
        assert "46elks" in order.fault
        await house.pass_time(KEPT)
        assert (await house.settled(await house.place("Text 2"))).state is OrderState.SENT
        assert (await house.find(order)).state is OrderState.REJECTED
    assert messages(house) == {"Text 1": 1, "Text 2": 1}


# ── what nobody knows of ──

NEVER_TAKEN = [
    Fault.ERROR_BEFORE,
    Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE,
    Fault.DROP_BEFORE,
    Fault.HTML,
    Fault.HANG,
]
TAKEN = [
    Fault.ERROR_AFTER,
    Fault.DROP_AFTER,
    Fault.HALF_BODY,
    Fault.NOT_AN_OBJECT,
    Fault.MISSING_ID,
    Fault.EMPTY,
    Fault.READ_TIMEOUT,
]
LATE = [Fault.ACCEPT_LATE, Fault.ACCEPT_LATE_DROP]


@pytest.mark.parametrize("fault", NEVER_TAKEN)
async def test_what_46elks_never_took_goes_out_after_two_absences_past_the_quiet_period(
    house: House, fault: Fault
) -> None:
    house.box.faults.inject(fault, method="POST")
    async with house.running():
        begun = house.clock.now()
        order = await house.wait(await house.place())
        assert order.state is OrderState.IN_DOUBT
        assert order.fault
        assert (await house.settled(order)).state is OrderState.SENT
    first, second = (post.at - begun for post in posts(house.box))
    assert first == timedelta()
    looks = [get.at - begun for get in gets(house.box, "/sms")]
    assert looks[0] < SECOND
    after_quiet = [look for look in looks if look >= QUIET]
    assert len(after_quiet) == 2
    assert after_quiet[1] - after_quiet[0] >= QUIET / 10
    assert after_quiet[1] <= second < QUIET + 30 * SECOND
    assert len(house.box.accepted) == 1


@pytest.mark.parametrize("fault", TAKEN)
async def test_what_46elks_did_take_is_found_in_history_and_never_sent_again(
    house: House, fault: Fault
) -> None:
    house.box.faults.inject(fault, method="POST")
    async with house.running():
        begun = house.clock.now()
        order = await house.settled(await house.place())
        assert house.clock.now() - begun < SECOND
        assert order.state is OrderState.SENT
        assert order.receipt
        assert order.receipt.message_id == house.box.accepted[0].id
        assert (order.text, order.fault) == (None, "")
        await house.pass_time(KEPT)
    assert len(posts(house.box)) == 1


@pytest.mark.parametrize("fault", LATE)
@pytest.mark.parametrize("late", [SECOND, 60 * SECOND, QUIET], ids=str)
async def test_what_46elks_takes_late_within_the_quiet_period_goes_out_once(
    house: House, fault: Fault, late: timedelta
) -> None:
    house.box.faults.inject(fault, duration=late)
    async with house.running():
        order = await house.settled(await house.place())
        assert order.state is OrderState.SENT
        assert order.receipt
        assert order.receipt.message_id == house.box.accepted[0].id
        await house.pass_time(KEPT)
    assert len(posts(house.box)) == len(house.box.accepted) == 1


async def test_a_history_that_lags_behind_is_read_until_it_shows_the_text(house: House) -> None:
    house.box.faults.inject(Fault.DROP_AFTER, method="POST")
    house.box.faults.inject(Fault.STALE_HISTORY, times=None, duration=QUIET)
    async with house.running():
        order = await house.settled(await house.place())
        assert order.state is OrderState.SENT
        await house.pass_time(KEPT)
    assert len(posts(house.box)) == 1


async def test_one_absence_that_46elks_corrects_is_no_leave_to_send_again(house: House) -> None:
    """The first reading past the quiet period lags; the second shows the text."""
    house.box.faults.inject(Fault.DROP_AFTER, method="POST")
    house.box.faults.inject(Fault.STALE_HISTORY, times=None, duration=QUIET + 5 * SECOND)
    async with house.running():
        assert (await house.settled(await house.place())).state is OrderState.SENT
    assert len([get for get in gets(house.box, "/sms") if get.at >= posts(house.box)[0].at + QUIET]) == 2
    assert len(posts(house.box)) == 1


async def test_without_a_quiet_period_two_readings_a_second_apart_will_do(tmp_path: Path) -> None:
    house = House(tmp_path, quiet=timedelta())
    house.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    async with house.running():
        begun = house.clock.now()
        assert (await house.settled(await house.place())).state is OrderState.SENT
        first, second = (get.at - begun for get in gets(house.box, "/sms"))
    assert SECOND <= second - first < 3 * SECOND
    assert len(house.box.accepted) == 1


@pytest.mark.parametrize("text", ["TEXT 1", "Text  1.", "Text\u00a01"])
async def test_where_history_holds_something_like_it_nobody_knows_and_nothing_is_sent(
    house: House, text: str
) -> None:
    house.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    async with house.running():
        order = await house.outbox.wait(await house.place(), LONG)
        house.box.add_history(house.clock.now(), text=text)
        order = await house.settled(order)
        assert order.state is OrderState.UNKNOWN
        assert "nobody can say" in order.fault
        assert order.text == "Text 1", "a person who decides has to see what it was"
        await house.pass_time(KEPT)
        assert (await house.find(order)).state is OrderState.UNKNOWN
    assert len(posts(house.box)) == 1


async def test_two_equal_texts_of_which_history_holds_one_are_one_sent_and_one_sent_again(
    house: House,
) -> None:
    house.box.faults.inject(Fault.DROP_AFTER, method="POST")
    house.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    async with house.running():
        one = await house.place("Text 1", key="one")
        other = await house.place("Text 1", key="other")
        await house.pass_until(lambda: is_true(len(posts(house.box)) == 2))
        assert {(await house.settled(each)).state for each in (one, other)} == {OrderState.SENT}
        ids = {receipt.message_id for each in (one, other) if (receipt := (await house.find(each)).receipt)}
    assert ids == {message.id for message in house.box.accepted}
    assert len(posts(house.box)) == 3
    assert len(house.box.accepted) == 2


async def test_what_is_known_to_be_another_orders_is_taken_for_no_other(house: House) -> None:
    """The same text went out just before, and its answer told which message it is."""
    async with house.running():
        first = await house.settled(await house.place("Text 1", key="one"))
        house.box.faults.inject(Fault.DROP_BEFORE, method="POST")
        second = await house.settled(await house.place("Text 1", key="other"))
    assert first.receipt
    assert second.receipt
    assert [first.receipt.message_id, second.receipt.message_id] == [each.id for each in house.box.accepted]
    assert len(posts(house.box)) == 3


async def is_true(value: bool) -> bool:
    return value


async def test_what_cannot_be_found_out_within_an_hour_is_unknown(house: House) -> None:
    house.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    house.box.faults.inject(Fault.ERROR_BEFORE, path="/sms", method="GET", times=None)
    async with house.running():
        begun = house.clock.now()
        order = await house.settled(await house.place(), stride=MINUTE)
        assert order.state is OrderState.UNKNOWN
        assert KEPT < house.clock.now() - begun <= KEPT + 2 * MINUTE
        house.box.faults.clear()
        await house.pass_time(KEPT)
    assert len(posts(house.box)) == 1


async def test_a_history_that_cannot_be_read_whole_is_no_leave_to_send_again(tmp_path: Path) -> None:
    class Short(House):
        most_pages = 1

    house = Short(tmp_path)
    house.box.faults.inject(Fault.DROP_AFTER, method="POST")
    house.box.faults.inject(Fault.STALE_HISTORY, path="/sms", method="GET", duration=timedelta(days=1))
    async with house.running():
        order = await house.outbox.wait(await house.place(), LONG)
        await house.rest()
        house.clock.advance(SECOND)
        for _ in range(100):
            house.box.add_history(house.clock.now(), text="Of others")
        order = await house.settled(order, stride=MINUTE)
        assert order.state is OrderState.UNKNOWN
    assert len(posts(house.box)) == 1


async def test_history_is_read_ever_less_often_while_a_text_is_in_doubt(tmp_path: Path) -> None:
    house = House(tmp_path, quiet=10 * MINUTE)
    house.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    async with house.running():
        begun = house.clock.now()
        await house.place()
        await house.pass_time(5 * MINUTE)
    looks = [(get.at - begun).total_seconds() for get in gets(house.box, "/sms")]
    assert len(looks) <= 20
    assert sum(look < 10 for look in looks) >= 4
    assert all(later - earlier <= 32 for earlier, later in pairwise(looks))


async def test_a_text_in_doubt_holds_up_no_other(house: House) -> None:
    house.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    async with house.running():
        first, second = await house.place("Text 1"), await house.place("Text 2")
        assert (await house.settled(second)).state is OrderState.SENT
        assert (await house.find(first)).state is OrderState.IN_DOUBT


async def test_what_was_being_sent_by_who_is_gone_is_found_out_by_the_next(
    house: House, tmp_path: Path
) -> None:
    """The claim is all that is left of whoever died: its text came through, or it did not."""
    async with house.opened():
        for number in (1, 2):
            await house.place(f"Text {number}")
            claim = await claim_next((await house.storage.open()).queue, PACE, house.checks.recheck_last)
            assert isinstance(claim, Claim)
            if number == 1:
                await house.dispatcher.send(claim, a_right())
            house.clock.advance(SECOND)
    following = House(tmp_path, beside=house)
    async with following.running():
        await following.pass_until(lambda: is_true(len(house.box.accepted) == 2))
        await following.pass_time(KEPT)
    assert messages(house) == {"Text 1": 1, "Text 2": 1}


PACE = Pace(gap=timedelta(seconds=0.6), lease=SOON + LEASE_SPARE)


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
        assert "429" in order.fault
        assert await is_paused(house) is PauseReason.THROTTLED
        sent = await house.settled(order)
    assert (sent.state, sent.fault, sent.attempts) == (OrderState.SENT, "", 2)
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
    return bool((await house.find(order)).fault)


async def test_wrong_credentials_pause_until_46elks_accepts_them_again(house: House) -> None:
    house.box.faults.inject(Fault.UNAUTHORISED, times=4)
    async with house.running():
        begun = house.clock.now()
        order = await house.outbox.wait(await house.place(), LONG)
        assert order.state is OrderState.QUEUED
        assert "credentials" in order.fault
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
        assert "no money" in order.fault
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
        assert "46elks" in order.fault
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


# ── whose orders are sent ──


async def test_a_dry_run_sends_only_what_was_handed_over_here(house: House, tmp_path: Path) -> None:
    async with house.opened():
        left = await house.place("Of others")
    dry = House(tmp_path, beside=house, only_own=True)
    async with dry.running():
        own = await dry.place("Own")
        assert (await dry.settled(own)).state is OrderState.SENT
        await dry.pass_time(KEPT / 2)
        assert (await dry.find(left)).state is OrderState.QUEUED
        assert messages(house) == {"Own": 1}
        async with house.outbox.running():
            assert (await house.settled(left)).state is OrderState.SENT


async def test_a_dry_run_to_which_nothing_is_handed_over_tidies_and_sends_nothing(
    house: House, tmp_path: Path
) -> None:
    async with house.opened():
        order = await house.place()
        waiting = (await house.orders.place(an_approval(a_draft("Ask"), Approver.PERSON))).order
    dry = House(tmp_path, beside=house, only_own=True)
    async with dry.running():
        await dry.pass_time(KEPT / 3)
        assert (await dry.find(order)).state is OrderState.QUEUED
        assert (await dry.find(waiting)).state is OrderState.WAITING
    assert posts(house.box) == []


async def test_where_nothing_is_to_be_done_no_store_is_made_or_opened(house: House) -> None:
    async with house.running():
        await house.pass_time(10 * MINUTE)
        assert not house.storage.is_open
    assert list(house.folder.iterdir()) == []


async def test_a_store_without_unfinished_orders_is_left_alone(house: House, tmp_path: Path) -> None:
    async with house.running():
        await house.settled(await house.place())
    following = House(tmp_path, beside=house)
    async with following.running():
        await following.pass_time(10 * MINUTE)
        assert not following.storage.is_open


async def test_what_a_former_process_left_queued_goes_out_a_second_after_the_start(
    house: House, tmp_path: Path
) -> None:
    async with house.opened():
        order = await house.place()
    following = House(tmp_path, beside=house)
    async with following.running():
        begun = house.clock.now()
        await following.pass_time(SECOND / 2)
        assert not following.storage.is_open
        assert (await following.settled(order)).state is OrderState.SENT
    assert [post.at - begun for post in posts(house.box)] == [SECOND]


async def test_what_another_process_leaves_later_is_seen_too(house: House, tmp_path: Path) -> None:
    following = House(tmp_path, beside=house)
    async with following.running():
        await following.pass_time(MINUTE)
        async with house.opened():
            order = await house.place()
        assert (await following.settled(order)).state is OrderState.SENT


async def test_another_accounts_orders_are_neither_seen_nor_sent(house: House, tmp_path: Path) -> None:
    async with house.opened():
        await house.place("Of others")
    other = House(tmp_path)
    other.storage._account = type(other.storage._account)("https://api.46elks.com/a1", "u2")
    async with other.running():
        await other.pass_time(MINUTE)
        assert not other.storage.is_open
        await other.settled(await other.place("Own"))
        await other.pass_time(MINUTE)
    assert messages(other) == {"Own": 1}


# ── what is heard just before ──


async def test_who_said_stop_in_the_meantime_gets_nothing(house: House) -> None:
    async with house.opened():
        order, other = await house.place(), await house.place(to=ELSEWHERE)
        stop = house.box.receive(PHONE.e164, "STOP")
        await (await house.storage.open()).inbound.record([inbound(stop.id, "STOP", house)])
        async with house.outbox.running():
            assert (await house.settled(other)).state is OrderState.SENT
            order = await house.find(order)
    assert order.state is OrderState.CANCELLED
    assert "opted out" in order.fault
    assert order.text is None
    assert [post.form["to"] for post in posts(house.box)] == [ELSEWHERE.e164]


def inbound(message_id: str, text: str, house: House) -> Message:
    return Message(
        id=message_id,
        direction=Direction.INBOUND,
        sender=PHONE.e164,
        to=OURS.e164,
        created_at=house.clock.now(),
        status="received",
        text=text,
    )


async def test_a_budget_that_was_lowered_holds_for_what_is_queued(house: House, tmp_path: Path) -> None:
    async with house.opened():
        orders = [await house.place(f"Text {number}") for number in range(3)]
    lowered = UNLIMITED.model_copy(update={"budget_per_day": 3 * 5200 - 1})
    strict = House(tmp_path, beside=house, policy=lowered)
    async with strict.running():
        states = [(await strict.settled(order)).state for order in orders]
    # What is queued counts as spent, so the first is one too many, and the others fit.
    assert sorted(states) == [OrderState.CANCELLED, OrderState.SENT, OrderState.SENT]
    assert len(posts(house.box)) == 2


async def test_a_number_that_was_texted_often_still_gets_what_was_promised(
    house: House, tmp_path: Path
) -> None:
    """Velocity was heard when the order was placed; it is not held against what waits."""
    async with house.opened():
        orders = [await house.place(f"Text {number}") for number in range(3)]
    strict = House(tmp_path, beside=house, policy=UNLIMITED.model_copy(update={"max_per_number": 1}))
    async with strict.running():
        assert {(await strict.settled(order)).state for order in orders} == {OrderState.SENT}


# ── the right to send ──


@pytest.mark.parametrize("slept", [LEASE_SPARE + SECOND, LEASE_SPARE + SOON + MINUTE], ids=str)
async def test_who_wakes_after_the_time_to_begin_posts_nothing_and_the_order_waits_its_turn(
    tmp_path: Path, slept: timedelta
) -> None:
    house, held = holding(tmp_path)
    async with house.running():
        order = await house.place()
        await held.begun.wait()
        house.clock.advance(slept)
        await house.rest()
        assert posts(house.box) == []
        held.let.set()
        await house.rest()
        assert (await house.settled(order)).state is OrderState.SENT
    assert len(posts(house.box)) == 1


async def test_just_in_time_is_in_time(tmp_path: Path) -> None:
    house, held = holding(tmp_path)
    async with house.running():
        order = await house.place()
        await held.begun.wait()
        house.clock.advance(LEASE_SPARE)
        held.let.set()
        sent = await house.outbox.wait(order, LONG)
    assert (sent.state, sent.attempts) == (OrderState.SENT, 1)


async def test_who_was_frozen_does_not_send_what_another_process_sends_meanwhile(tmp_path: Path) -> None:
    frozen, held = holding(tmp_path)
    neighbour = House(tmp_path, beside=frozen)
    async with frozen.running():
        order = await frozen.place()
        await held.begun.wait()
        async with neighbour.running():
            assert (await neighbour.settled(order)).state is OrderState.SENT
            held.let.set()
            await neighbour.rest()
            assert (await neighbour.find(order)).state is OrderState.SENT
    assert len(posts(frozen.box)) == len(frozen.box.accepted) == 1


async def test_a_deadline_ends_by_whichever_clock_is_further() -> None:
    clock = ManualClock()
    deadline = Deadline(clock, SECOND)
    clock.advance(SECOND)
    assert not deadline.has_passed
    clock.advance(timedelta(microseconds=1))
    assert deadline.has_passed
    assert Deadline(clock, timedelta(microseconds=-1)).has_passed
    put_back = Deadline(clock, timedelta(microseconds=1))
    clock.advance(-LONG)
    assert not put_back.has_passed
    clock.advance(timedelta(microseconds=2))
    assert put_back.has_passed


# ── a store that fails ──


@asynccontextmanager
async def without_orders(house: House) -> AsyncIterator[None]:
    """Take the table of orders away, as a damaged disk would."""
    assert house.storage.location.file
    with closing(sqlite3.connect(house.storage.location.file, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE orders RENAME TO taken_away")
        try:
            yield
        finally:
            connection.execute("ALTER TABLE taken_away RENAME TO orders")


async def test_what_cannot_be_put_down_at_once_is_put_down_when_it_can_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house, held = holding(tmp_path)
    async with house.running():
        order = await house.place()
        await held.begun.wait()
        async with without_orders(house):
            held.let.set()
            await house.rest()
            assert len(house.box.accepted) == 1
            house.clock.advance(SECOND)
            await house.rest()
        house.clock.advance(SECOND)
        assert (await house.settled(order)).state is OrderState.SENT
        await house.pass_time(KEPT)
    assert "cannot be recorded" in caplog.text
    assert len(posts(house.box)) == 1


async def test_what_can_never_be_put_down_is_found_in_history_and_not_sent_again(tmp_path: Path) -> None:
    house, held = holding(tmp_path)
    async with house.running():
        order = await house.place()
        await held.begun.wait()
        async with without_orders(house):
            held.let.set()
            await house.pass_time(MINUTE)
        order = await house.settled(order)
        await house.pass_time(KEPT)
    assert order.state is OrderState.SENT
    assert order.receipt
    assert order.receipt.message_id == house.box.accepted[0].id
    assert len(posts(house.box)) == 1


async def test_a_store_that_fails_for_a_while_stops_nothing_for_good(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.running():
        await house.settled(await house.place("Text 1"))
        async with without_orders(house):
            house.outbox._worklist.woken.set()
            await house.pass_time(MINUTE)
        assert (await house.settled(await house.place("Text 2"))).state is OrderState.SENT
    assert "cannot work for now" in caplog.text
    assert "Text" not in caplog.text


async def test_a_bug_leaves_the_order_in_doubt_and_the_worker_alive(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Dispatcher):
        async def send(self, claim: Claim, right: SendPermission) -> Receipt:
            receipt = await super().send(claim, right)
            if claim.draft.text == "Text 1":
                raise ValueError(claim.draft.to.e164)
            return receipt

    house = House(tmp_path, dispatcher=Broken)
    async with house.running():
        order = await house.outbox.wait(await house.place("Text 1"), LONG)
        assert order.state is OrderState.IN_DOUBT
        assert "Unexpected error" in order.fault
        assert (await house.settled(await house.place("Text 2"))).state is OrderState.SENT
        assert (await house.settled(order)).state is OrderState.SENT
    assert messages(house) == {"Text 1": 1, "Text 2": 1}
    assert "unexpected error" in caplog.text


# ── the delivery report ──


async def test_a_text_says_where_its_delivery_is_reported_with_the_number_of_its_order(
    tmp_path: Path,
) -> None:
    async def address(order_id: str) -> str:
        return f"https://sms.example.com/hooks/delivery?ref={order_id}"

    house = House(tmp_path, report_to=address)
    async with house.running():
        order = await house.outbox.wait(await house.place(), LONG)
    assert order.state is OrderState.SENT
    (post,) = posts(house.box)
    assert post.form["whendelivered"] == f"https://sms.example.com/hooks/delivery?ref={order.id}"


# ── who waits, hangs up or stops ──


async def test_who_hangs_up_stops_neither_the_post_nor_the_order(tmp_path: Path) -> None:
    house, held = holding(tmp_path)
    async with house.running():
        order = await house.place()
        async with anyio.create_task_group() as caller:
            caller.start_soon(house.outbox.wait, order, LONG)
            await held.begun.wait()
            caller.cancel_scope.cancel()
        assert (await house.find(order)).state is OrderState.SENDING
        held.let.set()
        assert (await house.outbox.wait(order, LONG)).state is OrderState.SENT
    assert len(posts(house.box)) == 1


async def test_stopping_finishes_the_post_under_way_and_leaves_the_rest_queued(tmp_path: Path) -> None:
    house, held = holding(tmp_path)
    async with house.opened():
        async with house.outbox.running():
            first, second = await house.place("Text 1"), await house.place("Text 2")
            await held.begun.wait()
            held.let.set()
        assert (await house.find(first)).state is OrderState.SENT
        assert (await house.find(second)).state is OrderState.QUEUED
        assert messages(house) == {"Text 1": 1}
        async with House(tmp_path, beside=house).running() as following:
            assert (await following.settled(second)).state is OrderState.SENT
    assert messages(house) == {"Text 1": 1, "Text 2": 1}


async def test_stopping_breaks_off_the_reading_of_history(house: House) -> None:
    house.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    house.api._timeout = LONG
    house.box.faults.inject(Fault.HANG, path="/sms", method="GET", times=None)
    async with house.opened():
        async with house.outbox.running():
            order = await house.outbox.wait(await house.place(), LONG)
            while not gets(house.box, "/sms"):
                await anyio.lowlevel.checkpoint()
        assert (await house.find(order)).state is OrderState.IN_DOUBT


async def test_being_cancelled_finishes_the_post_under_way(tmp_path: Path) -> None:
    house, held = holding(tmp_path)
    async with house.opened():
        order = await house.place()
        async with anyio.create_task_group() as server:

            async def run() -> None:
                async with house.outbox.running():
                    await anyio.Event().wait()

            server.start_soon(run)
            await held.begun.wait()
            server.cancel_scope.cancel()
            held.let.set()
        assert (await house.find(order)).state is OrderState.SENT
    assert len(house.box.accepted) == 1


async def test_stopping_at_any_step_leaves_nothing_half_sent(tmp_path: Path) -> None:
    """Stop after so many steps of the event loop: what was claimed is sent, what was not is queued."""
    states = Counter[OrderState]()
    async with House(tmp_path).opened() as house:
        for steps in [*range(30), *range(30, 400, 20)]:
            before = len(posts(house.box))
            async with house.outbox.running():
                order = await house.place(f"Text {steps}", hand_over=False)
                house.outbox.hand_over(order)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
            state = (await house.find(order)).state
            assert (state, len(posts(house.box)) - before) in {(OrderState.QUEUED, 0), (OrderState.SENT, 1)}
            states[state] += 1
            if state is OrderState.QUEUED:
                await house.cancel(order, "next")
            house.clock.advance(SECOND)
    assert set(states) == {OrderState.QUEUED, OrderState.SENT}


async def test_what_fails_while_it_runs_comes_out_as_it_is(house: House) -> None:
    with pytest.raises(LookupError, match="front door"):
        async with house.running():
            raise LookupError("front door")


async def test_sixty_four_at_once_under_one_key_are_one_order_and_one_post(house: House) -> None:
    found: list[Order] = []

    async def place() -> None:
        order = await house.place(key="k")
        found.append(await house.outbox.wait(order, LONG))

    async with house.running(), anyio.create_task_group() as callers:
        for _ in range(64):
            callers.start_soon(place)
    assert {order.state for order in found} == {OrderState.SENT}
    assert len({order.id for order in found}) == 1
    assert len(found) == 64
    assert len(posts(house.box)) == 1


async def test_one_yes_of_a_person_taken_sixty_four_times_is_one_post(house: House) -> None:
    async with house.running():
        waiting = (await house.orders.place(an_approval(a_draft(), Approver.PERSON))).order
        house.outbox.hand_over(waiting)
        await house.pass_time(MINUTE)
        assert posts(house.box) == []
        new: list[bool] = []

        async def approve() -> None:
            placed = await house.approve(waiting)
            house.outbox.hand_over(placed.order)
            new.append(not placed.is_repeat)

        async with anyio.create_task_group() as callers:
            for _ in range(64):
                callers.start_soon(approve)
        assert (await house.settled(waiting)).state is OrderState.SENT
    assert Counter(new) == {True: 1, False: 63}
    assert len(posts(house.box)) == 1


async def test_a_wait_ends_when_its_time_is_up(tmp_path: Path) -> None:
    house, held = holding(tmp_path)
    async with house.running():
        order = await house.place()
        found: list[Order] = []

        async def wait() -> None:
            found.append(await house.outbox.wait(order, SECOND))

        async with anyio.create_task_group() as caller:
            caller.start_soon(wait)
            await held.begun.wait()
            for _ in range(3):
                await house.pass_time(SECOND / 4)
                assert found == []
            await house.pass_time(SECOND / 4)
        assert [each.state for each in found] == [OrderState.SENDING]
        held.let.set()


async def test_nobody_waits_for_what_is_not_sent_for_now(house: House) -> None:
    """It is settled, or waits for a person, or was put off, or nothing goes out at all."""
    house.box.faults.inject(Fault.TOO_MANY_REQUESTS)
    async with house.running():
        begun = house.clock.now()
        waiting = (await house.orders.place(an_approval(a_draft("Ask"), Approver.PERSON))).order
        assert (await house.outbox.wait(waiting, LONG)).state is OrderState.WAITING
        first = await house.place("Text 1")
        assert (await house.outbox.wait(first, LONG)).not_before
        second = await house.place("Text 2")
        assert (await house.outbox.wait(second, LONG)).state is OrderState.QUEUED
        assert house.clock.now() == begun


async def test_what_another_process_sends_is_heard_of_within_a_quarter_of_a_second(
    house: House, tmp_path: Path
) -> None:
    neighbour, held = holding(tmp_path, house)
    async with house.opened(), neighbour.running():
        order = await neighbour.place()
        await held.begun.wait()
        found: list[datetime] = []

        async def wait() -> None:
            assert (await house.outbox.wait(order, LONG)).state is OrderState.SENT
            found.append(house.clock.now())

        async with anyio.create_task_group() as caller:
            caller.start_soon(wait)
            await house.rest()
            held.let.set()
            await house.rest()
            assert found == []
            begun = house.clock.now()
            await house.pass_time(SECOND / 4)
        assert found == [begun + SECOND / 4]


async def test_all_who_wait_for_an_order_hear_of_it_and_nothing_is_left_of_them(tmp_path: Path) -> None:
    heard: list[OrderState] = []
    house, held = holding(tmp_path)
    async with house.running():
        order = await house.place()

        async def wait() -> None:
            heard.append((await house.outbox.wait(order, LONG)).state)

        async with anyio.create_task_group() as callers:
            for _ in range(10):
                callers.start_soon(wait)
            await held.begun.wait()
            held.let.set()
        await wait()
    assert heard == [OrderState.SENT] * 11
    gc.collect()
    assert len(house.outbox._waiters._awaited) == 0
    assert not house.outbox._waiters.is_untouched(order.id)


async def test_no_wait_misses_what_happens_just_as_it_begins(tmp_path: Path) -> None:
    """Begin to wait so many steps after the order was placed: it is heard of, with no time passing."""
    house = House(tmp_path, dispatcher=Instant)
    async with house.running():
        for steps in range(0, 200, 5):
            order = await house.place(f"Text {steps}")
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            assert (await house.outbox.wait(order, LONG)).state is OrderState.SENT
            await house.pass_time(SECOND)


async def test_who_waits_for_a_person_is_watched_from_then_on_whatever_the_worker_is_doing(
    tmp_path: Path,
) -> None:
    """Wake the worker so many steps after it was woken before: it looks again, even if it just looked."""
    house = House(tmp_path, dispatcher=Instant)
    async with house.running():
        admin = OrderAdmin((await house.storage.open()).database)
        for steps in range(0, 200, 4):
            await house.place(f"Text {steps}", hand_over=False)
            house.outbox.wake()
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            asked = (await house.orders.place(an_approval(a_draft(f"Ask {steps}"), Approver.TERMINAL))).order
            house.outbox.wake()
            await house.rest()
            await admin.approve(asked.approval or "")
            await house.pass_time(2 * SECOND)
            assert (await house.find(asked)).state is OrderState.SENT, steps


async def test_what_somebody_left_in_the_queue_does_not_hold_up_what_is_handed_over(tmp_path: Path) -> None:
    house = House(tmp_path, per_minute=100_000)
    async with house.running():
        await house.settled(await house.place("First"))
        await house.pass_time(SECOND)
        left = await house.place("Left by another", hand_over=False)
        house.clock.advance(SECOND)
        mine, begun = await house.place("Mine"), house.clock.now()
        assert (await house.settled(mine)).state is OrderState.SENT
        assert (await house.find(left)).state is OrderState.SENT
        assert house.clock.now() - begun < SECOND


async def test_what_could_not_be_claimed_goes_with_the_next_that_is_handed_over(tmp_path: Path) -> None:
    house = House(tmp_path, per_minute=100_000)
    is_broken = False

    def fail(_: object, __: object, statement: str, *___: object) -> None:
        if is_broken and "accounts" in statement:
            raise OperationalError("", {}, sqlite3.OperationalError("locked"))

    async with house.running():
        await house.settled(await house.place("First"))
        await house.pass_time(SECOND)
        store = await house.storage.open()
        placed = [await house.place(f"Text {number}", hand_over=False) for number in range(2)]
        event.listen(engine_of(store), "before_cursor_execute", fail)
        is_broken = True
        house.outbox.hand_over(placed[0])
        await house.rest()
        is_broken = False
        begun = house.clock.now()
        house.outbox.hand_over(placed[1])
        assert {(await house.settled(order)).state for order in placed} == {OrderState.SENT}
        assert house.clock.now() - begun < SECOND


async def test_nothing_is_remembered_of_orders_that_are_over(tmp_path: Path) -> None:
    house = House(tmp_path, per_minute=100_000, only_own=True)
    async with house.running():
        orders = [await house.place(f"Text {number}") for number in range(20)]
        for order in orders:
            await house.settled(order)
    assert house.outbox._worklist.own == house.outbox._worklist.handed_over == set()


async def test_who_hangs_up_leaves_nothing_behind(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with house.opened():  # somebody else sends it
        order = await house.place()
        async with anyio.create_task_group() as callers:
            callers.start_soon(house.outbox.wait, order, LONG)
            await house.rest()
            callers.cancel_scope.cancel()
    assert not house.outbox._waiters.is_untouched(order.id)


async def test_what_waited_too_long_is_no_reason_to_read_history_again_and_again(tmp_path: Path) -> None:
    """Not even where only what is handed over is sent: nobody else may come to end it."""
    house = House(tmp_path, only_own=True)
    async with house.running():
        asked = (await house.orders.place(an_approval(a_draft("Ask"), Approver.PERSON))).order
        house.outbox.wake()
        await house.pass_time(KEPT_WAITING_FOR_YES + SECOND)
        assert (await house.find(asked)).state is OrderState.EXPIRED
        due = await (await house.storage.open()).queue.find_due_work()
        assert not any((due.approved, due.overdue, due.waiting))


async def test_what_was_approved_in_a_terminal_goes_out_within_a_second(tmp_path: Path) -> None:
    house = House(tmp_path, per_minute=100_000)
    async with house.running():
        admin = OrderAdmin((await house.storage.open()).database)
        asked = (await house.orders.place(an_approval(a_draft("Ask"), Approver.TERMINAL))).order
        house.outbox.wake()
        await house.rest()
        await admin.approve(asked.approval or "")
        await house.pass_time(SECOND)
        assert (await house.find(asked)).state is OrderState.SENT


async def test_with_as_many_requests_under_way_as_there_may_be_the_next_is_queued(tmp_path: Path) -> None:
    house, held = holding(tmp_path, per_minute=100_000)
    async with house.running():
        orders = []
        for number in range(40):
            orders.append(await house.place(f"Text {number}"))
            house.clock.advance(timedelta(milliseconds=1))
        states = [order.state for order in orders]
        assert states == [OrderState.SENDING] * 32 + [OrderState.QUEUED] * 8
        held.let.set()
        assert {(await house.settled(order)).state for order in orders} == {OrderState.SENT}
    assert set(messages(house).values()) == {1}


async def test_what_is_placed_while_the_worker_does_not_run_is_queued(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with house.opened():
        assert (await house.place("Before")).state is OrderState.QUEUED
        async with house.outbox.running():
            pass
        assert (await house.place("After")).state is OrderState.QUEUED
    assert posts(house.box) == []


async def test_who_is_cut_off_while_placing_leaves_no_order_behind_that_nobody_sends(tmp_path: Path) -> None:
    house = House(tmp_path, per_minute=100_000)
    async with house.running():
        for steps in range(30):
            async with anyio.create_task_group() as callers:
                callers.start_soon(house.place, f"Text {steps}")
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                callers.cancel_scope.cancel()
            await house.rest()
            house.clock.advance(SECOND)
            await house.rest()
        due = await (await house.storage.open()).queue.find_due_work()
        assert (due.queued, due.again_in) == (0, None)
    assert len(posts(house.box)) > 10
    assert house.outbox._posts._free.value == 32


async def test_cancelling_the_caller_while_approving_leaves_no_order_that_is_never_sent(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, per_minute=100_000)
    states: Counter[OrderState] = Counter()
    async with house.running():
        for steps in range(30):
            approval = an_approval(a_draft(f"Text {steps}"), Approver.PERSON)
            waiting = (await house.outbox.place(approval, house.orders)).order
            async with anyio.create_task_group() as callers:
                callers.start_soon(house.outbox.approve, waiting)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                callers.cancel_scope.cancel()
            await house.rest()
            house.clock.advance(SECOND)
            await house.rest()
            order = await house.find(waiting)
            states[order.state] += 1
            await house.cancel(order, "next")
    assert set(states) <= {OrderState.WAITING, OrderState.SENT}
    assert states[OrderState.SENT] == len(posts(house.box)) > 10


async def test_a_fast_pace_sends_many_each_once_and_in_order(tmp_path: Path) -> None:
    house = House(tmp_path, per_minute=100_000)
    async with house.running():
        for number in range(100):
            await house.place(f"Text {number}", hand_over=False)
            house.clock.advance(timedelta(milliseconds=1))
        house.outbox.wake()
        await house.pass_time(SECOND)
    texts = [post.form["message"] for post in posts(house.box)]
    assert sorted(texts) == sorted(f"Text {number}" for number in range(100))
    assert max(abs(texts.index(f"Text {number}") - number) for number in range(100)) < 32, "at once at most"


async def test_with_the_clock_put_back_the_worker_still_looks(tmp_path: Path) -> None:
    house = House(tmp_path, per_minute=100_000)
    async with house.running():
        admin = OrderAdmin((await house.storage.open()).database)
        first = await house.place("Text 1", hand_over=False)
        house.outbox.hand_over(first)
        await house.settled(first)
        house.clock.advance(-KEPT)
        house.outbox.hand_over(await house.place("Text 2", hand_over=False))
        asked = (await house.orders.place(an_approval(a_draft("Ask"), Approver.TERMINAL))).order
        await admin.approve(asked.approval or "")
        await house.pass_time(MINUTE)
        assert (await house.find(asked)).state is OrderState.SENT


async def test_no_order_is_forgotten_that_is_placed_just_as_the_worker_looks_away(tmp_path: Path) -> None:
    house = House(tmp_path, dispatcher=Instant)
    async with house.opened():
        for steps in [*range(20), *range(20, 200, 10)]:
            async with house.outbox.running():
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                order = await house.place(f"Text {steps}")
                assert (await house.outbox.wait(order, LONG)).state is OrderState.SENT
            house.clock.advance(SECOND)


# ── when it goes out ──


async def test_what_is_queued_is_told_when_it_may_go_out_and_how_many_go_before(house: House) -> None:
    async with house.opened():
        orders = []
        for number in range(3):
            orders.append(await house.place(f"Text {number}"))
            house.clock.advance(timedelta(milliseconds=1))
        prospects = [await house.outbox.estimate(order) for order in orders]
        gap = house.options.pace.gap
        assert [each and each.ahead for each in prospects] == [0, 1, 2]
        assert [each and each.at - house.clock.now() for each in prospects] == [timedelta(), gap, 2 * gap]
        async with house.outbox.running():
            last = await house.settled(orders[-1])
        assert await house.outbox.estimate(last) is None


async def test_what_a_pause_holds_is_told_why_and_until_when(house: House) -> None:
    house.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=40)
    async with house.running():
        order = await house.outbox.wait(await house.place(), LONG)
        estimate = await house.outbox.estimate(order)
        assert estimate
        assert (estimate.at - house.clock.now(), estimate.ahead) == (40 * SECOND, 0)
        assert estimate.pause is PauseReason.THROTTLED


# ── the clock ──


async def answer() -> str:
    await anyio.lowlevel.checkpoint()
    return "done"


async def fail() -> str:
    await anyio.lowlevel.checkpoint()
    raise LookupError("failed")


CLOCKS: list[Callable[[], Clock]] = [Clock, ManualClock]


@pytest.mark.parametrize("new_clock", CLOCKS)
async def test_what_comes_in_time_is_returned_or_raised_as_it_is(new_clock: Callable[[], Clock]) -> None:
    clock = new_clock()
    with anyio.fail_after(HANG):
        assert await clock.wait_for(answer(), until=clock.now() + LONG) == "done"
        with pytest.raises(LookupError, match="failed"):
            await clock.wait_for(fail(), until=clock.now() + LONG)


@pytest.mark.parametrize("new_clock", CLOCKS)
async def test_what_does_not_come_in_time_is_nothing_and_is_stopped(new_clock: Callable[[], Clock]) -> None:
    clock = new_clock()
    stopped = anyio.Event()

    async def never() -> str:
        try:
            await anyio.Event().wait()
            return "done"
        finally:
            stopped.set()

    with anyio.fail_after(HANG):
        assert await clock.wait_for(never(), until=clock.now() - SECOND) is None
    assert stopped.is_set()


async def test_a_time_out_comes_when_the_clock_says_so() -> None:
    clock = ManualClock()
    async with anyio.create_task_group() as group:

        async def wait() -> None:
            await clock.wait_for(anyio.Event().wait(), until=clock.now() + MINUTE)

        group.start_soon(wait)
        assert await clock.next_alarm() == clock.now() + MINUTE
        clock.advance(MINUTE - timedelta(microseconds=1))
        await anyio.lowlevel.checkpoint()
        assert clock._sleepers
        await clock.advance_to_next_alarm()


@pytest.mark.parametrize("new_clock", CLOCKS)
async def test_a_cancelled_wait_is_cancelled_and_not_timed_out(new_clock: Callable[[], Clock]) -> None:
    clock = new_clock()
    begun, ended = anyio.Event(), list[str]()

    async def slow() -> None:
        begun.set()
        await anyio.Event().wait()

    async def wait(waiting: Awaitable[None]) -> None:
        await clock.wait_for(waiting, until=clock.now() + LONG)
        ended.append("timed out")

    async with anyio.create_task_group() as group:
        group.start_soon(wait, slow())
        await begun.wait()
        group.cancel_scope.cancel()
    assert ended == []


async def test_the_machines_clock_sleeps_and_wakes() -> None:
    clock = Clock()
    moment = clock.now() + timedelta(milliseconds=20)
    await clock.sleep_until(moment)
    assert clock.now() >= moment - timedelta(milliseconds=2)
    await clock.sleep_until(moment)


async def test_a_stop_that_was_read_before_the_first_byte_left_holds_the_text_back(tmp_path: Path) -> None:
    there: list[House] = []

    async def report_to(order_id: str) -> str:
        """Come between the claim and the connection."""
        [house] = there
        stop = house.box.receive(PHONE.e164, "STOP")
        await (await house.storage.open()).inbound.record([inbound(stop.id, "STOP", house)])
        return f"https://example.com/{order_id}"

    there.append(House(tmp_path, report_to=report_to))
    async with there[0].running() as house:
        order = await house.settled(await house.place())
        assert (order.state, order.fault) == (OrderState.CANCELLED, "The recipient opted out.")
        assert posts(house.box) == []


@pytest.mark.parametrize("only_own", [False, True])
async def test_a_state_that_cannot_be_used_ends_nothing_that_needs_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, only_own: bool
) -> None:
    house = House(tmp_path, only_own=only_own)
    (tmp_path / "outbox.sqlite3").write_bytes(b"This is no database, and was never one." * 100)
    async with house.running():
        await house.pass_time(2 * MINUTE)
        assert (await house.client.get_account()).balance.units
    assert "its file is damaged" in caplog.text
    assert "Traceback" not in caplog.text
    if only_own:
        assert caplog.text.count("its file is damaged") == 1


async def test_a_server_that_sends_nothing_throws_away_what_is_too_old_all_the_same(
    house: House, tmp_path: Path
) -> None:
    async with house.opened():
        order = await house.place("Kom hem till middagen klockan sju", hand_over=False)
    dry = House(tmp_path, beside=house, only_own=True)
    async with dry.running():
        await dry.pass_time(KEPT + 2 * timedelta(hours=1))
        assert (await dry.find(order)).state is OrderState.EXPIRED
    assert posts(house.box) == []
    assert files_with(tmp_path, "middagen") == []


async def test_a_text_nobody_knows_about_is_thrown_away_after_a_week_by_a_server_with_nothing_to_send(
    house: House, tmp_path: Path
) -> None:
    async with house.opened():
        order = await house.place(hand_over=False)
        location = house.storage.location
    change_rows(location, "UPDATE orders SET state = 'unknown' WHERE id = ?", order.id)
    house.clock.advance(timedelta(days=8))
    following = House(tmp_path, beside=house)
    async with following.running():
        await following.pass_time(MINUTE)
        assert (await following.find(order)).text is None
    assert posts(house.box) == []
