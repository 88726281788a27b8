"""Cancelling during sending: an order is either cancelled permanently or handed over."""

from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import anyio
import httpx2
import pytest

from elks_mcp.domain.orders import CANCELLABLE, CANCELLED_BY_CALLER, UNFINISHED, Order, OrderState
from elks_mcp.domain.taint import ShownText
from elks_mcp.errors import Refused
from elks_mcp.store import StateLocation
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.approval import MOST_WAITING
from tests.support.clocks import ManualClock
from tests.support.outbox_cases import READ
from tests.support.provider import NOON, a_draft, an_approval, posts
from tests.support.store_cases import WAYS
from tests.support.stores import (
    DATABASES,
    MINUTE,
    PRICE,
    World,
    WorldBackend,
    a_place,
    account_of,
    allow,
    claim_one,
    is_unfinished,
    opened,
    place_one,
    wait_one,
)

pytestmark = pytest.mark.anyio

ORDERS = 60


class _Slow(httpx2.AsyncBaseTransport):
    """A connection to 46elks on which texts stay until an event."""

    def __init__(self, transport: httpx2.AsyncBaseTransport, may_answer: anyio.Event) -> None:
        self._transport = transport
        self._may_answer = may_answer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a request on once it is released."""
        if request.method == "POST":
            await self._may_answer.wait()
        return await self._transport.handle_async_request(request)


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location for a store, of either kind."""
    return a_place(request, tmp_path)


async def place(backend: WorldBackend, number: int) -> Order:
    """Queue an order, which is not handed to the worker yet."""
    return (await backend.orders.place(an_approval(a_draft(f"Text {number}")))).order


def count_texts(world: World) -> Counter[str]:
    """Count the texts that reached 46elks to be sent."""
    return Counter(post.form["message"] for post in posts(world.box))


async def test_p4_cancelled_orders_never_leave_and_all_others_leave_once(location: StateLocation) -> None:
    """P4, P5. Two replicas send, and each cancels what the other was handed."""
    world = World(location)
    may_answer = anyio.Event()
    replicas = [
        WorldBackend(world, per_minute=100_000, around=lambda transport: _Slow(transport, may_answer))
        for _ in range(2)
    ]
    states: dict[str, OrderState] = {}
    in_turn = anyio.CapacityLimiter(2)  # claims begin with the oldest order, cancelling with the newest

    async def cancel(number: int, order: Order) -> None:
        async with in_turn:
            world.clock.advance(timedelta(milliseconds=1))  # the pace
            answer = await replicas[1 - number % 2].outbox.cancel(order, "Not wanted.")
        if len(states) == ORDERS // 2:
            may_answer.set()
        states[f"Text {number}"] = answer.state

    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(each.running()) for each in replicas]
        placed = [await place(replicas[number % 2], number) for number in range(ORDERS)]
        async with anyio.create_task_group() as tasks:
            for number, order in enumerate(placed):
                replicas[number % 2].outbox.hand_over(order)
            for number, order in reversed([*enumerate(placed)]):
                tasks.start_soon(cancel, number, order)

        async def is_over() -> bool:
            return not is_unfinished(location, world.account)

        await replicas[0].pass_until(is_over)
        spent = (await stores[0].orders.find_prior(a_draft("Another"))).recall.spent
    left = count_texts(world)
    cancelled = {text for text, state in states.items() if state is OrderState.CANCELLED}
    assert cancelled.isdisjoint(left)
    assert left == Counter(states.keys() - cancelled)
    assert {states[text] for text in left} <= {OrderState.SENDING, OrderState.SENT}
    assert spent == len(left) * PRICE
    assert 0 < len(cancelled) < ORDERS, "one side won every time, so nothing was tested"


async def test_only_an_order_that_has_not_left_can_be_paused(location: StateLocation) -> None:
    for state in OrderState:
        async with opened(location, None, account_of(f"pause {state}")) as store:
            order = await WAYS[state](store)
            paused = await store.cancellations.pause(order.id, READ)
            assert paused
            if state in {OrderState.SCHEDULED, OrderState.PAUSED, OrderState.QUEUED}:
                assert (paused.state, paused.text) == (OrderState.WAITING, order.text)
                assert paused.findings[-1] == READ
                assert (await store.orders.recall(a_draft())).spent == 0
            else:
                assert paused == order


def test_every_unfinished_order_can_be_cancelled_unless_46elks_may_have_it() -> None:
    assert {OrderState.SENDING, OrderState.IN_DOUBT} == UNFINISHED - CANCELLABLE


async def test_a_paused_order_is_sent_after_one_approval_and_never_without_one(
    location: StateLocation,
) -> None:
    async with opened(location) as store:
        order = await place_one(store)
        paused = await store.cancellations.pause(order.id, READ)
        assert paused
        assert await store.cancellations.pause(order.id, READ) == paused
        assert await store.orders.release_approved(allow) == []
        admin = OrderAdmin(store.database)
        await admin.approve(paused.approval_code or "")
        assert await store.cancellations.pause(order.id, READ) is None, "the person's approval stands"
        (released,) = await store.orders.release_approved(allow)
        assert await store.cancellations.pause(order.id, READ) is None
        assert (await claim_one(store)).order_id == released.id == order.id
        assert (await store.orders.recall(a_draft())).spent == PRICE


@pytest.mark.parametrize("in_terminal", [True, False])
async def test_p7_an_order_that_a_person_approved_is_not_paused_and_can_be_cancelled(
    tmp_path: Path, in_terminal: bool
) -> None:
    async with opened(StateLocation(folder=tmp_path)) as store:
        order = await wait_one(store)
        if in_terminal:
            await OrderAdmin(store.database).approve(order.id)
        else:
            await store.orders.approve(order.id, allow)
        assert await store.cancellations.pause(order.id, READ) is None
        assert (await store.cancellations.cancel(order.id, "No.")).state is OrderState.CANCELLED


async def test_taint_counts_regardless_of_which_server_showed_the_text(location: StateLocation) -> None:
    async with opened(location) as shows, opened(location) as cancels:
        texts = [ShownText("+46701740607", NOON, NOON)]
        await shows.taint.record("agent", texts)
        was_shown_others = cancels.taint.was_shown_others
        assert await was_shown_others("agent", "+46701740605")
        assert not await was_shown_others("agent", "+46701740607"), "the writer's own text"
        assert not await was_shown_others("another", "+46701740605")


async def test_no_more_orders_are_paused_than_a_person_can_read(tmp_path: Path) -> None:
    async with opened(StateLocation(folder=tmp_path)) as store:
        for number in range(MOST_WAITING):
            await wait_one(store, f"Text {number}")
        order = await place_one(store, "One more")
        with pytest.raises(Refused):
            await store.cancellations.pause(order.id, READ)
        assert (await store.orders.get(order.id)).state is OrderState.QUEUED


async def test_a_paused_order_that_nobody_approves_expires(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(StateLocation(folder=tmp_path), clock) as store:
        order = await place_one(store)
        await store.cancellations.pause(order.id, READ)
        clock.advance(timedelta(minutes=31))
        await store.orders.expire_waiting()
        assert (await store.orders.get(order.id)).state is OrderState.EXPIRED


async def test_an_order_that_its_caller_cancelled_after_its_time_is_not_listed_as_missed(
    location: StateLocation,
) -> None:
    clock = ManualClock()
    async with opened(location, clock) as store:
        at = clock.now() + MINUTE
        by_caller, by_guard = [await place_one(store, text, send_at=at) for text in ("One", "Two")]
        clock.advance(2 * MINUTE)
        await store.schedule.release([by_caller.id, by_guard.id])
        await store.cancellations.cancel(by_caller.id, CANCELLED_BY_CALLER)
        await store.cancellations.cancel(by_guard.id, "Refused by velocity.")
        assert [each.id for each in await store.schedule.list_missed(at, "")] == [by_guard.id]
