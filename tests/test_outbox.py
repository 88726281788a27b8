"""The queue: what is placed goes out once, in turn and in time, or somebody is told why not."""

import gc
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import anyio
import anyio.lowlevel
import pytest

from elks_mcp.clock import Clock
from elks_mcp.dispatch import Dispatcher
from elks_mcp.models import Approver, Order, OrderState, Receipt
from elks_mcp.outbox import KEPT_TRYING, KEPT_WAITING, Outbox
from elks_mcp.sandbox import Fault, Sandbox
from elks_mcp.store import MemoryStore

from .clocks import ManualClock, SandboxClock
from .provider import an_order, api_of, posts

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LONG = timedelta(days=1)
SOON = timedelta(seconds=0.3)


class Unhurried(MemoryStore):
    """A store that takes a while before and after each change, as one on a disk does."""

    async def get_order(self, order_id: str) -> Order:
        await anyio.lowlevel.checkpoint()
        order = await super().get_order(order_id)
        for _ in range(3):  # long enough for an order to be settled behind the back of who looks
            await anyio.lowlevel.checkpoint()
        return order

    async def list_queued(self) -> tuple[Order, ...]:
        await anyio.lowlevel.checkpoint()
        queued = await super().list_queued()
        await anyio.lowlevel.checkpoint()
        return queued

    async def take_slot(self, now: datetime, gap: timedelta) -> datetime:
        await anyio.lowlevel.checkpoint()
        slot = await super().take_slot(now, gap)
        await anyio.lowlevel.checkpoint()
        return slot

    async def settle_order(self, order: Order) -> None:
        await anyio.lowlevel.checkpoint()
        await super().settle_order(order)
        await anyio.lowlevel.checkpoint()


class Instant(Dispatcher):
    """A dispatcher that is done at once, so that few steps of the event loop are all there are."""

    async def send(self, order: Order) -> Receipt:
        return Receipt(message_id="s1", status="created")


class Held(Dispatcher):
    """A dispatcher that posts only when it is let."""

    let: anyio.Event
    begun: anyio.Event

    async def send(self, order: Order) -> Receipt:
        self.begun.set()
        await self.let.wait()
        return await super().send(order)


class House:
    """An outbox over a sandbox, on one clock."""

    def __init__(self, *, per_minute: int = 95, store: type[MemoryStore] = MemoryStore) -> None:
        self.clock = ManualClock()
        self.box = Sandbox(clock=SandboxClock(self.clock), balance=10**9)
        self.store = store()
        self.dispatcher = Dispatcher(api_of(self.box, SOON))
        self.outbox = Outbox(self.store, self.dispatcher, self.clock, per_minute=per_minute)

    def hold_posts(self) -> Held:
        """Let no POST begin before it is let."""
        held = Held(api_of(self.box, SOON))
        held.let, held.begun = anyio.Event(), anyio.Event()
        self.outbox = Outbox(self.store, held, self.clock, per_minute=95)
        return held

    @asynccontextmanager
    async def open(self) -> AsyncIterator["House"]:
        with anyio.fail_after(20):
            async with self.outbox.running():
                yield self

    async def place(self, number: int = 1, *, key: str | None = None) -> Order:
        order = await self.store.place_order(an_order(number, key=key, at=self.clock.now()))
        self.outbox.wake()
        return order

    async def settled(self, order: Order) -> Order:
        """Let time pass, while it only waits, until an order is sent, refused, given up or in doubt."""
        while (now := await self.store.get_order(order.id)).state in {OrderState.QUEUED, OrderState.SENDING}:
            if now.state is OrderState.QUEUED and self.clock.somebody_sleeps:
                await self.clock.advance_to_next_alarm()
            await anyio.lowlevel.checkpoint()
        return now


@pytest.fixture(params=[MemoryStore, Unhurried])
def house(request: pytest.FixtureRequest) -> House:
    return House(store=request.param)


# ── each state of the picture ──


async def test_an_order_is_sent_once_and_has_its_receipt(house: House) -> None:
    async with house.open():
        order = await house.outbox.wait((await house.place()).id, LONG)
    (message,) = house.box.accepted
    assert order.state is OrderState.SENT
    assert order.receipt
    assert order.receipt.message_id == message.id
    assert order.fault == ""
    assert len(posts(house.box)) == 1


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.UNAUTHORISED, Fault.REDIRECT])
async def test_what_46elks_says_no_to_is_rejected_for_good(house: House, fault: Fault) -> None:
    house.box.faults.inject(fault)
    async with house.open():
        order = await house.outbox.wait((await house.place()).id, LONG)
        assert order.state is OrderState.REJECTED
        assert "46elks" in order.fault
        house.clock.advance(LONG)
        assert (await house.settled(await house.place(2))).state is OrderState.SENT
    assert Counter(post.form["message"] for post in posts(house.box)) == {"Text 1": 1, "Text 2": 1}


IN_DOUBT = [
    Fault.ERROR_BEFORE,
    Fault.ERROR_AFTER,
    Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE,
    Fault.DROP_BEFORE,
    Fault.DROP_AFTER,
    Fault.HALF_BODY,
    Fault.HTML,
    Fault.NOT_AN_OBJECT,
    Fault.MISSING_ID,
    Fault.EMPTY,
    Fault.HANG,
    Fault.READ_TIMEOUT,
]


@pytest.mark.parametrize("fault", IN_DOUBT)
async def test_what_nobody_knows_of_is_in_doubt_and_never_sent_again(house: House, fault: Fault) -> None:
    house.box.faults.inject(fault)
    async with house.open():
        order = await house.outbox.wait((await house.place()).id, LONG)
        assert order.state is OrderState.IN_DOUBT
        assert order.fault
        # Time passes, others go out, somebody asks: all that could wake it.
        for _ in range(3):
            house.clock.advance(KEPT_TRYING)
            await house.settled(await house.place(2))
            assert (await house.outbox.wait(order.id, LONG)).state is OrderState.IN_DOUBT
    assert [post.form["message"] for post in posts(house.box)].count("Text 1") == 1


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 60), (17, 17), (0, 1), (86_400, 300)], ids=str)
async def test_a_throttled_order_waits_as_long_as_46elks_says_and_goes_out(
    house: House, retry_after: int | None, seconds: int
) -> None:
    house.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=retry_after)
    async with house.open():
        begun = house.clock.now()
        order = await house.outbox.wait((await house.place()).id, LONG)
        assert order.state is OrderState.QUEUED
        assert order.not_before == begun + timedelta(seconds=seconds)
        assert "429" in order.fault
        assert await house.clock.next_alarm() == order.not_before
        sent = await house.settled(order)
    assert (sent.state, sent.fault) == (OrderState.SENT, "")
    assert [post.at - begun for post in posts(house.box)] == [timedelta(), timedelta(seconds=seconds)]
    assert len(house.box.accepted) == 1


@pytest.mark.parametrize("fault", [Fault.CONNECTION_REFUSED, Fault.CONNECT_TIMEOUT])
async def test_an_order_that_never_left_waits_and_goes_out(house: House, fault: Fault) -> None:
    house.box.faults.inject(fault, times=3)
    async with house.open():
        begun = house.clock.now()
        order = await house.outbox.wait((await house.place()).id, LONG)
        assert (order.state, order.not_before) == (OrderState.QUEUED, begun + 5 * SECOND)
        assert (await house.settled(order)).state is OrderState.SENT
    assert [post.at - begun for post in posts(house.box)] == [15 * SECOND]


async def test_an_order_that_is_not_taken_for_ten_minutes_expires(house: House) -> None:
    house.box.faults.inject(Fault.CONNECTION_REFUSED, times=None)
    async with house.open():
        begun = house.clock.now()
        order = await house.settled(await house.place())
        assert order.state is OrderState.EXPIRED
        assert "cannot be reached" in order.fault
        assert KEPT_TRYING < house.clock.now() - begun <= KEPT_TRYING + 10 * SECOND
        house.box.faults.clear()
        house.clock.advance(LONG)
        assert (await house.settled(await house.place(2))).state is OrderState.SENT
    assert [post.form["message"] for post in posts(house.box)] == ["Text 2"]


@pytest.mark.parametrize(
    ("slept", "state"),
    [(KEPT_WAITING, OrderState.SENT), (KEPT_WAITING + SECOND, OrderState.EXPIRED)],
    ids=str,
)
async def test_an_order_whose_turn_comes_hours_later_is_not_sent_out_of_the_blue(
    house: House, slept: timedelta, state: OrderState
) -> None:
    order = await house.place()
    house.clock.advance(slept)
    async with house.open():
        assert (await house.settled(order)).state is state
    assert len(posts(house.box)) == (state is OrderState.SENT)


async def test_a_429_holds_all_others_too(house: House) -> None:
    house.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=30)
    async with house.open():
        begun = house.clock.now()
        first = await house.outbox.wait((await house.place(1)).id, LONG)
        second = await house.place(2)
        await house.settled(second)
        await house.settled(first)
    times = [(post.form["message"], post.at - begun) for post in posts(house.box)]
    assert times[0] == ("Text 1", timedelta())
    assert sorted(message for message, _ in times[1:]) == ["Text 1", "Text 2"]
    assert all(at >= 30 * SECOND for _, at in times[1:])


async def test_a_429_holds_even_who_was_next(house: House) -> None:
    """The answer comes while the next order waits for its slot, which lies before the end of the pause."""
    held = house.hold_posts()
    house.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=30)
    async with house.open():
        begun = house.clock.now()
        first, second = await house.place(1), await house.place(2)
        await held.begun.wait()
        assert await house.clock.next_alarm() < begun + SECOND
        held.let.set()
        await house.outbox.wait(first.id, LONG)
        await house.settled(second)
        await house.settled(first)
    assert [post.at - begun >= 30 * SECOND for post in posts(house.box)] == [False, True, True]


# ── pace ──


def worst_minute(times: list[datetime]) -> int:
    """Count the most that fall in any 60 seconds, both ends included."""
    return max(sum(start <= time <= start + MINUTE for time in times[i:]) for i, start in enumerate(times))


@pytest.mark.parametrize(("per_minute", "count"), [(1, 5), (95, 300), (1000, 1050)])
async def test_the_pace_is_never_exceeded_and_nearly_reached(per_minute: int, count: int) -> None:
    house = House(per_minute=per_minute)
    async with house.open():
        orders = [await house.place(number) for number in range(count)]
        assert (await house.outbox.wait(orders[0].id, LONG)).state is OrderState.SENT
        for order in orders[1:]:
            await house.clock.advance_to_next_alarm()
            assert (await house.outbox.wait(order.id, LONG)).state is OrderState.SENT
    times = [post.at for post in posts(house.box)]
    assert len(times) == count
    assert worst_minute(times) <= per_minute
    taken = times[-1] - times[0]
    assert (count - 1) / (taken / MINUTE) >= 0.98 * per_minute
    assert [post.form["message"] for post in posts(house.box)] == [
        f"Text {number}" for number in range(count)
    ]


async def test_a_pause_does_not_save_up_for_a_burst(house: House) -> None:
    async with house.open():
        await house.settled(await house.place(1))
        house.clock.advance(10 * MINUTE)
        second, third = await house.place(2), await house.place(3)
        await house.outbox.wait(second.id, LONG)
        assert await house.clock.next_alarm() - house.clock.now() > MINUTE / 96
        await house.clock.advance_to_next_alarm()
        await house.outbox.wait(third.id, LONG)
    times = [post.at for post in posts(house.box)]
    assert times[2] - times[1] > MINUTE / 96


# ── who waits, hangs up or stops ──


async def test_who_hangs_up_stops_neither_the_post_nor_the_order(house: House) -> None:
    held = house.hold_posts()
    async with house.open():
        order = await house.place()
        async with anyio.create_task_group() as caller:
            caller.start_soon(house.outbox.wait, order.id, LONG)
            await held.begun.wait()
            caller.cancel_scope.cancel()
        assert (await house.store.get_order(order.id)).state is OrderState.SENDING
        held.let.set()
        assert (await house.outbox.wait(order.id, LONG)).state is OrderState.SENT
    assert len(posts(house.box)) == 1


async def test_stopping_finishes_the_post_under_way_and_gives_up_the_rest(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    held = house.hold_posts()
    async with house.open():
        first, second = await house.place(1), await house.place(2)
        await held.begun.wait()
        held.let.set()
    assert (await house.store.get_order(first.id)).state is OrderState.SENT
    assert (await house.store.get_order(second.id)).state is OrderState.QUEUED
    assert [post.form["message"] for post in posts(house.box)] == ["Text 1"]
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert record.__dict__["orders"] == [second.id]


async def test_being_cancelled_finishes_the_post_under_way(house: House) -> None:
    held = house.hold_posts()
    order = await house.place()
    async with anyio.create_task_group() as server:

        async def run() -> None:
            async with house.open():
                await anyio.Event().wait()

        server.start_soon(run)
        await held.begun.wait()
        server.cancel_scope.cancel()
        held.let.set()
    assert (await house.store.get_order(order.id)).state is OrderState.SENT
    assert len(house.box.accepted) == 1


async def test_stopping_at_any_step_leaves_nothing_half_sent() -> None:
    """Stop after so many steps of the event loop: what was claimed is sent, what was not is queued."""
    states = Counter[OrderState]()
    for steps in range(40):
        house = House(store=Unhurried)
        async with house.open():
            order = await house.place()
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
        state = (await house.store.get_order(order.id)).state
        assert (state, len(posts(house.box))) in {(OrderState.QUEUED, 0), (OrderState.SENT, 1)}
        states[state] += 1
    assert set(states) == {OrderState.QUEUED, OrderState.SENT}


async def test_what_fails_while_it_runs_comes_out_as_it_is(house: House) -> None:
    with pytest.raises(LookupError, match="front door"):
        async with house.open():
            raise LookupError("front door")


async def test_a_bug_leaves_the_order_in_doubt_and_the_worker_alive(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Dispatcher):
        async def send(self, order: Order) -> Receipt:
            receipt = await super().send(order)
            if order.id.endswith("1"):
                raise ValueError(order.quote.draft.to.e164)
            return receipt

    house.outbox = Outbox(house.store, Broken(api_of(house.box)), house.clock, per_minute=95)
    async with house.open():
        order = await house.outbox.wait((await house.place(1)).id, LONG)
        assert order.state is OrderState.IN_DOUBT
        assert "fault" in order.fault
        assert (await house.settled(await house.place(2))).state is OrderState.SENT
    assert [post.form["message"] for post in posts(house.box)] == ["Text 1", "Text 2"]
    assert "bug" in caplog.text


async def test_sixty_four_at_once_under_one_key_are_one_order_and_one_post(house: House) -> None:
    found: list[Order] = []

    async def place(number: int) -> None:
        order = an_order(1, key="k").model_copy(update={"id": f"O-{number}"})
        placed = await house.store.place_order(order)
        house.outbox.wake()
        found.append(await house.outbox.wait(placed.id, LONG))

    async with house.open(), anyio.create_task_group() as callers:
        for number in range(64):
            callers.start_soon(place, number)
    assert {order.state for order in found} == {OrderState.SENT}
    assert len({order.id for order in found}) == 1
    assert len(found) == 64
    assert len(posts(house.box)) == 1


async def test_one_yes_of_a_person_taken_sixty_four_times_is_one_post(house: House) -> None:
    asked = an_order(1).model_copy(update={"approver": Approver.PERSON})
    await house.store.keep_quote(asked.quote)
    refused: list[str] = []

    async def place(number: int) -> None:
        try:
            await house.store.place_order(asked.model_copy(update={"id": f"O-{number}"}))
        except Exception as error:  # noqa: BLE001  (whatever it is, it is counted and looked at)
            refused.append(str(error))
        house.outbox.wake()

    async with house.open():
        async with anyio.create_task_group() as callers:
            for number in range(64):
                callers.start_soon(place, number)
        await house.settled(await house.place(2))
    assert len(refused) == 63
    assert all("used before" in reason for reason in refused)
    assert [post.form["message"] for post in posts(house.box)] == ["Text 1", "Text 2"]


async def test_a_wait_ends_when_its_time_is_up(house: House) -> None:
    house.hold_posts()
    async with anyio.create_task_group() as server:

        async def run() -> None:
            async with house.open():
                order = await house.place()
                async with anyio.create_task_group() as caller:

                    async def wait() -> None:
                        assert (await house.outbox.wait(order.id, SECOND)).state is OrderState.SENDING
                        server.cancel_scope.cancel()
                        house.outbox._dispatcher.let.set()  # type: ignore[attr-defined]

                    caller.start_soon(wait)
                    await house.clock.advance_to_next_alarm()

        server.start_soon(run)


async def test_all_who_wait_for_an_order_hear_of_it_and_nothing_is_left_of_them(house: House) -> None:
    heard: list[OrderState] = []
    held = house.hold_posts()
    async with house.open():
        order = await house.place()

        async def wait() -> None:
            heard.append((await house.outbox.wait(order.id, LONG)).state)

        async with anyio.create_task_group() as callers:
            for _ in range(10):
                callers.start_soon(wait)
            await held.begun.wait()
            held.let.set()
        await wait()
    assert heard == [OrderState.SENT] * 11
    gc.collect()
    assert len(house.outbox._news) == 0


async def test_no_wait_misses_what_happens_just_as_it_begins() -> None:
    """Begin to wait so many steps after the order was placed: it is heard of each time."""
    for steps in range(40):
        house = House(store=Unhurried)
        house.outbox = Outbox(house.store, Instant(api_of(house.box)), house.clock, per_minute=95)
        async with house.open():
            order = await house.place()
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            with anyio.fail_after(2):
                assert (await house.outbox.wait(order.id, LONG)).state is OrderState.SENT


async def test_no_order_is_forgotten_that_is_placed_just_as_the_worker_looks_away() -> None:
    for steps in range(40):
        house = House(store=Unhurried)
        async with house.open():
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            order = await house.place()
            with anyio.fail_after(2):
                assert (await house.outbox.wait(order.id, LONG)).state is OrderState.SENT


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
    with anyio.fail_after(5):
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

    with anyio.fail_after(5):
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
