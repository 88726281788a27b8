"""Texts that go out later: at their time and at the price that was approved, or not at all."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import ORDER_LATENESS, Approver, Order, OrderState
from elks_mcp.sandbox import Fault
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.approval import MOST_WAITING
from elks_mcp.store.store import Store
from tests.support.outbox_cases import MINUTE, READ, SECOND
from tests.support.provider import NOON, PHONE, Backend, a_draft, an_approval, posts
from tests.support.stores import (
    EITHER_DATABASE,
    OTHER_PHONE,
    PRICE,
    SteppedTransport,
    Steps,
    World,
    WorldBackend,
    a_place,
    allow,
    is_death,
    is_unfinished,
    wait_one,
)

pytestmark = pytest.mark.anyio

AHEAD = 10 * MINUTE
AT = NOON + AHEAD


@pytest.fixture(params=EITHER_DATABASE)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Create a 46elks, a clock and a state."""
    return World(a_place(request, tmp_path))


async def schedule(backend: WorldBackend, text: str = "Hej!", *, price: int = PRICE, **more: Any) -> Order:
    """Place an order for ten minutes from the beginning."""
    approval = an_approval(a_draft(text, **{"send_at": AT} | more), price=price)
    order = (await backend.outbox.place(approval, backend.orders)).order
    assert order.state is OrderState.SCHEDULED
    return order


async def take_missed(store: Store) -> list[tuple[str, OrderState]]:
    """Return which orders the caller is informed of."""
    return [(each.id, each.state) for each in await store.schedule.take_unreported("")]


async def state_of(store: Store, order: Order) -> OrderState:
    """Return the current state of an order."""
    return (await store.orders.get(order.id)).state


# ── at its time ──


async def test_p13_a_scheduled_text_leaves_at_its_time_and_not_before(world: World) -> None:
    backend = WorldBackend(world)
    async with backend.running() as store:
        order, later = await schedule(backend), await schedule(backend, "Later", send_at=AT + 5 * MINUTE)
        await backend.pass_time(AHEAD - SECOND)
        assert posts(world.box) == []
        await backend.pass_time(2 * SECOND)
        assert [post.form["message"] for post in posts(world.box)] == ["Hej!"]
        await backend.pass_time(6 * MINUTE)
        assert [post.at - AT for post in posts(world.box)] == [timedelta(), 5 * MINUTE]
        assert [await state_of(store, each) for each in (order, later)] == [OrderState.SENT] * 2
        assert await take_missed(store) == []


async def test_p13_a_scheduled_text_can_be_sent_by_a_process_that_did_not_place_it(world: World) -> None:
    placing, sending = WorldBackend(world), WorldBackend(world)
    async with sending.running() as store:
        async with placing.opened():
            order = (await placing.orders.place(an_approval(a_draft(send_at=AT)))).order
        await sending.pass_time(AHEAD + SECOND)
        assert await state_of(store, order) is OrderState.SENT
        assert [post.at for post in posts(world.box)] == [AT]


@pytest.mark.parametrize("late", [timedelta(), SECOND, ORDER_LATENESS - MINUTE], ids=str)
async def test_p13_after_a_short_downtime_a_scheduled_text_is_sent_late(
    world: World, late: timedelta
) -> None:
    before, after = WorldBackend(world), WorldBackend(world)
    async with before.opened():
        order = await schedule(before)
    world.clock.advance(AT - world.clock.now() + late)
    async with after.running() as store:
        await after.pass_time(30 * SECOND)
        assert await state_of(store, order) is OrderState.SENT
    [post] = posts(world.box)
    assert AT + late <= post.at <= AT + ORDER_LATENESS


@pytest.mark.parametrize("late", [ORDER_LATENESS + SECOND, timedelta(days=2)], ids=str)
async def test_p13_after_a_long_downtime_a_scheduled_text_is_not_sent_and_is_reported_once(
    world: World, late: timedelta
) -> None:
    before, after = WorldBackend(world), WorldBackend(world)
    async with before.opened():
        order = await schedule(before)
    world.clock.advance(AT - world.clock.now() + late)
    async with after.running() as store:
        await after.pass_time(MINUTE)
        assert await take_missed(store) == [(order.id, OrderState.EXPIRED)]
        assert await take_missed(store) == []
    assert posts(world.box) == []


async def test_p1_a_server_in_dry_run_sends_no_scheduled_texts(tmp_path: Path) -> None:
    live = Backend(tmp_path)
    dry = Backend(tmp_path, beside=live, only_own=True)
    async with dry.running():
        order = (await dry.outbox.place(an_approval(a_draft(send_at=AT)), dry.orders)).order
        await dry.place("Handed over, so that the worker looks")
        await dry.pass_time(AHEAD + MINUTE)
        assert (await dry.find(order)).state is OrderState.SCHEDULED
        await dry.pass_time(2 * ORDER_LATENESS)
        assert (await dry.find(order)).state is OrderState.EXPIRED
    assert len(posts(live.box)) == 1


# ── what changed meanwhile ──


async def test_p6_an_opt_out_since_the_placing_is_read_before_a_scheduled_text_leaves(world: World) -> None:
    backend = WorldBackend(world)
    backend.reads_history = True
    async with backend.running() as store:
        order, other = await schedule(backend), await schedule(backend, to=OTHER_PHONE)
        await backend.pass_time(MINUTE)
        world.box.receive(PHONE.e164, "STOP")
        await backend.pass_time(AHEAD)
        assert await state_of(store, other) is OrderState.SENT
        assert await take_missed(store) == [(order.id, OrderState.CANCELLED)]
        assert "opted out" in (await store.orders.get(order.id)).status_reason
    assert [post.form["to"] for post in posts(world.box)] == [OTHER_PHONE.e164]


async def test_p2_a_scheduled_text_whose_price_rose_waits_for_approval_and_is_then_sent(world: World) -> None:
    backend = WorldBackend(world)
    async with backend.running() as store:
        order = await schedule(backend)
        world.box.rules.prices["46"] = 6000
        await backend.pass_time(AHEAD + MINUTE)
        assert posts(world.box) == []
        assert await take_missed(store) == [(order.id, OrderState.WAITING)]
        held = await store.orders.get(order.id)
        assert (held.price, held.send_at) == (Money(6000, "SEK"), AT)
        assert held.findings[-1].reason == "It costs 0.60 SEK now, and 0.52 SEK was approved."
        await OrderAdmin(store.database).approve(held.approval_code or "")
        await backend.pass_time(MINUTE)
        assert await state_of(store, order) is OrderState.SENT
        assert (await store.orders.recall(a_draft())).spent == 6000
    assert len(posts(world.box)) == 1


async def test_p2_a_higher_price_that_no_person_approves_is_not_paid(world: World) -> None:
    backend = WorldBackend(world)
    async with backend.running() as store:
        order = await schedule(backend)
        world.box.rules.prices["46"] = 6000
        await backend.pass_time(AHEAD + MINUTE)
        assert await take_missed(store) == [(order.id, OrderState.WAITING)]
        world.clock.advance(ORDER_LATENESS)
        await backend.pass_time(MINUTE)
        assert await take_missed(store) == [(order.id, OrderState.EXPIRED)]
    assert posts(world.box) == []


async def test_a_lower_price_needs_no_new_approval(world: World) -> None:
    backend = WorldBackend(world)
    async with backend.running() as store:
        order = await schedule(backend)
        world.box.rules.prices["46"] = 100
        await backend.pass_time(AHEAD + MINUTE)
        assert await state_of(store, order) is OrderState.SENT
        assert (await store.orders.recall(a_draft())).spent == 100


async def test_46elks_is_asked_once_for_each_price_class(world: World) -> None:
    backend = WorldBackend(world)
    async with backend.running() as store:
        orders = [await schedule(backend, f"Text {number}") for number in range(5)]
        orders.append(await schedule(backend, "Long " * 40))
        await backend.pass_time(AHEAD + MINUTE)
        states = [await state_of(store, each) for each in orders]
        assert states == [OrderState.SENT] * 5 + [OrderState.WAITING], "the long one was quoted as one part"
    assert len(posts(world.box, dry_run=True)) == 2


async def test_with_too_many_waiting_orders_the_next_one_stays_scheduled(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    backend = WorldBackend(world)
    async with backend.running() as store:
        order = await schedule(backend)
        world.box.rules.prices["46"] = 6000
        await backend.pass_time(AHEAD - MINUTE)
        waiting = [await wait_one(store, f"Text {number}") for number in range(MOST_WAITING)]
        await backend.pass_time(2 * MINUTE)
        assert await state_of(store, order) is OrderState.SCHEDULED
        await store.cancellations.cancel(waiting[0].id, "")
        await backend.pass_time(30 * SECOND)
        assert await state_of(store, order) is OrderState.WAITING
    assert f"{order.id} cannot wait for a person" in caplog.text


# ── 46elks does not answer ──


@pytest.mark.parametrize("fault", [Fault.CONNECTION_REFUSED, Fault.ERROR_BEFORE, Fault.TOO_MANY_REQUESTS])
async def test_p13_a_scheduled_text_that_cannot_be_priced_is_tried_again_within_its_time(
    world: World, fault: Fault
) -> None:
    backend = WorldBackend(world)
    async with backend.running() as store:
        order = await schedule(backend)
        world.box.faults.inject(fault, path="/sms", dryrun=True, times=None)
        await backend.pass_time(AHEAD + 3 * MINUTE)
        assert await state_of(store, order) is OrderState.SCHEDULED
        world.box.faults.clear()
        await backend.pass_time(MINUTE)
        assert await state_of(store, order) is OrderState.SENT
    assert len(posts(world.box)) == 1


async def test_p13_a_scheduled_text_expires_if_46elks_is_unreachable_until_it_is_too_late(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    backend = WorldBackend(world)
    backend.reads_history = True
    async with backend.running() as store:
        draft = a_draft(send_at=AT).model_copy(update={"lateness": 3 * MINUTE})
        order = (await backend.outbox.place(an_approval(draft), backend.orders)).order
        world.box.faults.inject(Fault.CONNECTION_REFUSED, times=None)
        await backend.pass_time(AHEAD + 4 * MINUTE)
        assert await take_missed(store) == [(order.id, OrderState.EXPIRED)]
        world.box.faults.clear()
        await backend.pass_time(MINUTE)
    assert posts(world.box) == []
    assert f"{order.id} was not sent" in caplog.text


async def test_a_scheduled_text_that_46elks_refuses_is_rejected_and_delays_no_other(world: World) -> None:
    world.box.rules.blocked.add(OTHER_PHONE.e164.removeprefix("+"))
    backend = WorldBackend(world)
    async with backend.running() as store:
        refused = [await schedule(backend, f"Text {number}", to=OTHER_PHONE) for number in range(3)]
        order = await schedule(backend)
        await backend.pass_time(AHEAD + MINUTE)
        assert await state_of(store, order) is OrderState.SENT
        assert sorted(await take_missed(store)) == sorted((each.id, OrderState.REJECTED) for each in refused)
        assert "disallowed by default" in (await store.orders.get(refused[0].id)).status_reason
    assert [message.to for message in world.box.accepted] == [PHONE.e164]


async def test_a_scheduled_text_that_cannot_be_priced_without_money_is_tried_again(world: World) -> None:
    backend = WorldBackend(world)
    async with backend.running() as store:
        order = await schedule(backend)
        empty = "Not enough credits"
        world.box.faults.inject(Fault.FORBIDDEN, path="/sms", dryrun=True, times=None, text=empty)
        await backend.pass_time(AHEAD + MINUTE)
        assert await state_of(store, order) is OrderState.SCHEDULED
        world.box.faults.clear()
        await backend.pass_time(MINUTE)
        assert await state_of(store, order) is OrderState.SENT


# ── approval ──


async def test_p13_an_approval_after_the_send_time_sends_the_text_immediately_or_never(world: World) -> None:
    backend = WorldBackend(world)
    strict = a_draft("Strict", send_at=NOON + MINUTE).model_copy(update={"lateness": 5 * MINUTE})
    async with backend.running() as store:
        order = await wait_one(store, send_at=NOON + MINUTE)
        missed = (await store.orders.place(an_approval(strict, Approver.PERSON), allow)).order
        await backend.pass_time(10 * MINUTE)
        approved = (await backend.outbox.approve(order)).order
        assert (approved.state, approved.send_at) == (OrderState.QUEUED, NOON + MINUTE)
        assert (await backend.outbox.approve(missed)).order.state is OrderState.EXPIRED
        await backend.pass_time(SECOND)
        assert await state_of(store, order) is OrderState.SENT
    assert [post.form["message"] for post in posts(world.box)] == ["Hej!"]


async def test_p13_an_approval_before_the_send_time_does_not_send_the_text_early(world: World) -> None:
    backend = WorldBackend(world)
    async with backend.running() as store:
        at_the_client = await wait_one(store, "At the client", send_at=AT)
        in_a_terminal = await wait_one(store, "In a terminal", send_at=AT)
        assert (await backend.outbox.approve(at_the_client)).order.state is OrderState.SCHEDULED
        await OrderAdmin(store.database).approve(in_a_terminal.id)
        await backend.pass_time(AHEAD - SECOND)
        assert await state_of(store, in_a_terminal) is OrderState.SCHEDULED
        assert posts(world.box) == []
        await backend.pass_time(MINUTE)
        assert {post.form["message"] for post in posts(world.box)} == {"At the client", "In a terminal"}


# ── cancelling and pausing ──


async def test_p13_a_text_that_is_cancelled_or_paused_before_its_time_is_not_sent(world: World) -> None:
    backend = WorldBackend(world)
    async with backend.running() as store:
        cancelled, paused = await schedule(backend, "Cancelled"), await schedule(backend, "Paused")
        await backend.outbox.cancel(cancelled, "Not wanted.")
        await backend.pass_time(AHEAD - MINUTE)
        await backend.outbox.pause(paused, READ)
        await backend.pass_time(2 * MINUTE)
        world.clock.advance(ORDER_LATENESS)
        await backend.pass_time(MINUTE)
        assert await state_of(store, cancelled) is OrderState.CANCELLED
        assert await take_missed(store) == [(paused.id, OrderState.EXPIRED)]
    assert posts(world.box) == []


# ── crashes ──


@pytest.mark.parametrize("step", range(0, 44, 4))
async def test_p4_a_process_that_dies_at_the_send_time_neither_loses_nor_repeats_the_text(
    world: World, step: int
) -> None:
    steps = Steps()
    dying = WorldBackend(world, around=lambda transport: SteppedTransport(transport, steps))
    try:
        async with dying.opened() as store:
            steps.listen(store)
            await schedule(dying)
            world.clock.advance(AHEAD - SECOND)
            steps.die_in(step)
            async with dying.outbox.running():
                await dying.pass_time(MINUTE)
    except BaseException as error:
        if not is_death(error):
            raise
    after = WorldBackend(world)

    async def is_settled() -> bool:
        return not is_unfinished(world.place, world.account)

    async with after.running():
        await after.pass_until(is_settled)
    assert len(world.box.accepted) == 1
    assert all(AT <= post.at <= AT + ORDER_LATENESS for post in posts(world.box))
