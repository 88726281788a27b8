"""Callers that wait, are cancelled or stop."""

import gc
import sqlite3
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from elks_mcp.domain.approval import APPROVAL_TIMEOUT
from elks_mcp.domain.orders import ORDER_LATENESS, Approver, Claim, Order, OrderState, Receipt
from elks_mcp.elks.dispatch import Dispatcher
from elks_mcp.elks.send_gate import SendPermission
from elks_mcp.sandbox import Fault
from elks_mcp.store.admin import OrderAdmin
from tests.support.outbox_cases import LONG, MINUTE, SECOND, holding, messages
from tests.support.provider import (
    Backend,
    a_draft,
    an_approval,
    gets,
    posts,
)
from tests.support.stores import engine_of

pytestmark = pytest.mark.anyio


class Instant(Dispatcher):
    """A dispatcher that finishes immediately, so that there are only a few steps of the event loop."""

    async def send(self, claim: Claim, permission: SendPermission) -> Receipt:
        return Receipt(message_id=f"s{claim.order_id}", status="created")


async def test_a_caller_that_disconnects_stops_neither_the_post_nor_the_order(tmp_path: Path) -> None:
    backend, held = holding(tmp_path)
    async with backend.running():
        order = await backend.place()
        async with anyio.create_task_group() as caller:
            caller.start_soon(backend.outbox.wait, order, LONG)
            await held.begun.wait()
            caller.cancel_scope.cancel()
        assert (await backend.find(order)).state is OrderState.SENDING
        held.let.set()
        assert (await backend.outbox.wait(order, LONG)).state is OrderState.SENT
    assert len(posts(backend.box)) == 1


async def test_stopping_finishes_the_post_under_way_and_leaves_the_rest_queued(tmp_path: Path) -> None:
    backend, held = holding(tmp_path)
    async with backend.opened():
        async with backend.outbox.running():
            first, second = await backend.place("Text 1"), await backend.place("Text 2")
            await held.begun.wait()
            held.let.set()
        assert (await backend.find(first)).state is OrderState.SENT
        assert (await backend.find(second)).state is OrderState.QUEUED
        assert messages(backend) == {"Text 1": 1}
        async with Backend(tmp_path, beside=backend).running() as following:
            assert (await following.settled(second)).state is OrderState.SENT
    assert messages(backend) == {"Text 1": 1, "Text 2": 1}


async def test_stopping_cancels_the_reading_of_history(backend: Backend) -> None:
    backend.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    backend.api._timeout = LONG
    backend.box.faults.inject(Fault.HANG, path="/sms", method="GET", times=None)
    async with backend.opened():
        async with backend.outbox.running():
            order = await backend.outbox.wait(await backend.place(), LONG)
            while not gets(backend.box, "/sms"):
                await anyio.lowlevel.checkpoint()
        assert (await backend.find(order)).state is OrderState.IN_DOUBT


async def test_being_cancelled_finishes_the_post_under_way(tmp_path: Path) -> None:
    backend, held = holding(tmp_path)
    async with backend.opened():
        order = await backend.place()
        async with anyio.create_task_group() as server:

            async def run() -> None:
                async with backend.outbox.running():
                    await anyio.Event().wait()

            server.start_soon(run)
            await held.begun.wait()
            server.cancel_scope.cancel()
            held.let.set()
        assert (await backend.find(order)).state is OrderState.SENT
    assert len(backend.box.accepted) == 1


async def test_stopping_at_any_step_leaves_nothing_half_sent(tmp_path: Path) -> None:
    """Stop after a number of steps of the event loop: claimed orders are sent, all others stay queued."""
    states = Counter[OrderState]()
    async with Backend(tmp_path).opened() as backend:
        for steps in [*range(30), *range(30, 400, 20)]:
            before = len(posts(backend.box))
            async with backend.outbox.running():
                order = await backend.place(f"Text {steps}", hand_over=False)
                backend.outbox.hand_over(order)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
            state = (await backend.find(order)).state
            assert (state, len(posts(backend.box)) - before) in {(OrderState.QUEUED, 0), (OrderState.SENT, 1)}
            states[state] += 1
            if state is OrderState.QUEUED:
                await backend.cancel(order, "next")
            backend.clock.advance(SECOND)
    assert set(states) == {OrderState.QUEUED, OrderState.SENT}


async def test_an_error_while_the_outbox_runs_is_raised_unchanged(backend: Backend) -> None:
    with pytest.raises(LookupError, match="the caller"):
        async with backend.running():
            raise LookupError("the caller")


async def test_sixty_four_simultaneous_calls_with_one_key_are_one_order_and_one_post(
    backend: Backend,
) -> None:
    found: list[Order] = []

    async def place() -> None:
        order = await backend.place(key="k")
        found.append(await backend.outbox.wait(order, LONG))

    async with backend.running(), anyio.create_task_group() as callers:
        for _ in range(64):
            callers.start_soon(place)
    assert {order.state for order in found} == {OrderState.SENT}
    assert len({order.id for order in found}) == 1
    assert len(found) == 64
    assert len(posts(backend.box)) == 1


async def test_one_approval_used_sixty_four_times_is_one_post(backend: Backend) -> None:
    async with backend.running():
        waiting = (await backend.orders.place(an_approval(a_draft(), Approver.PERSON))).order
        backend.outbox.hand_over(waiting)
        await backend.pass_time(MINUTE)
        assert posts(backend.box) == []
        new: list[bool] = []

        async def approve() -> None:
            placed = await backend.approve(waiting)
            backend.outbox.hand_over(placed.order)
            new.append(not placed.is_repeat)

        async with anyio.create_task_group() as callers:
            for _ in range(64):
                callers.start_soon(approve)
        assert (await backend.settled(waiting)).state is OrderState.SENT
    assert Counter(new) == {True: 1, False: 63}
    assert len(posts(backend.box)) == 1


async def test_a_wait_ends_when_its_time_is_up(tmp_path: Path) -> None:
    backend, held = holding(tmp_path)
    async with backend.running():
        order = await backend.place()
        found: list[Order] = []

        async def wait() -> None:
            found.append(await backend.outbox.wait(order, SECOND))

        async with anyio.create_task_group() as caller:
            caller.start_soon(wait)
            await held.begun.wait()
            for _ in range(3):
                await backend.pass_time(SECOND / 4)
                assert found == []
            await backend.pass_time(SECOND / 4)
        assert [each.state for each in found] == [OrderState.SENDING]
        held.let.set()


async def test_a_wait_ends_immediately_for_an_order_that_is_not_sent_for_now(backend: Backend) -> None:
    """It is settled, waits for a person, was postponed, or the server sends nothing."""
    backend.box.faults.inject(Fault.TOO_MANY_REQUESTS)
    async with backend.running():
        begun = backend.clock.now()
        waiting = (await backend.orders.place(an_approval(a_draft("Ask"), Approver.PERSON))).order
        assert (await backend.outbox.wait(waiting, LONG)).state is OrderState.WAITING
        first = await backend.place("Text 1")
        assert (await backend.outbox.wait(first, LONG)).not_before
        second = await backend.place("Text 2")
        assert (await backend.outbox.wait(second, LONG)).state is OrderState.QUEUED
        assert backend.clock.now() == begun


async def test_the_outcome_of_another_process_is_noticed_within_a_quarter_of_a_second(
    backend: Backend, tmp_path: Path
) -> None:
    neighbour, held = holding(tmp_path, backend)
    async with backend.opened(), neighbour.running():
        order = await neighbour.place()
        await held.begun.wait()
        found: list[datetime] = []

        async def wait() -> None:
            assert (await backend.outbox.wait(order, LONG)).state is OrderState.SENT
            found.append(backend.clock.now())

        async with anyio.create_task_group() as caller:
            caller.start_soon(wait)
            await backend.rest()
            held.let.set()
            await backend.rest()
            assert found == []
            begun = backend.clock.now()
            await backend.pass_time(SECOND / 4)
        assert found == [begun + SECOND / 4]


async def test_all_waiting_callers_are_notified_of_an_order_and_then_removed(tmp_path: Path) -> None:
    received: list[OrderState] = []
    backend, held = holding(tmp_path)
    async with backend.running():
        order = await backend.place()

        async def wait() -> None:
            received.append((await backend.outbox.wait(order, LONG)).state)

        async with anyio.create_task_group() as callers:
            for _ in range(10):
                callers.start_soon(wait)
            await held.begun.wait()
            held.let.set()
        await wait()
    assert received == [OrderState.SENT] * 11
    gc.collect()
    assert len(backend.outbox._waiters._awaited) == 0
    assert not backend.outbox._waiters.is_untouched(order.id)


async def test_no_wait_misses_an_outcome_at_its_very_beginning(tmp_path: Path) -> None:
    """Begin to wait a number of steps after the order was placed: the wait ends without time passing."""
    backend = Backend(tmp_path, dispatcher=Instant)
    async with backend.running():
        for steps in range(0, 200, 5):
            order = await backend.place(f"Text {steps}")
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            assert (await backend.outbox.wait(order, LONG)).state is OrderState.SENT
            await backend.pass_time(SECOND)


async def test_an_order_that_waits_for_a_person_is_watched_even_while_the_worker_is_busy(
    tmp_path: Path,
) -> None:
    """Wake the worker a number of steps after the last time: it looks again, even if it just looked."""
    backend = Backend(tmp_path, dispatcher=Instant)
    async with backend.running():
        admin = OrderAdmin((await backend.storage.open()).database)
        for steps in range(0, 200, 4):
            await backend.place(f"Text {steps}", hand_over=False)
            backend.outbox.wake()
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            asked = (
                await backend.orders.place(an_approval(a_draft(f"Ask {steps}"), Approver.TERMINAL))
            ).order
            backend.outbox.wake()
            await backend.rest()
            await admin.approve(asked.approval_code or "")
            await backend.pass_time(2 * SECOND)
            assert (await backend.find(asked)).state is OrderState.SENT, steps


async def test_older_orders_in_the_queue_do_not_delay_orders_placed_here(tmp_path: Path) -> None:
    backend = Backend(tmp_path, per_minute=100_000)
    async with backend.running():
        await backend.settled(await backend.place("First"))
        await backend.pass_time(SECOND)
        left = await backend.place("Left by another", hand_over=False)
        backend.clock.advance(SECOND)
        mine, begun = await backend.place("Mine"), backend.clock.now()
        assert (await backend.settled(mine)).state is OrderState.SENT
        assert (await backend.find(left)).state is OrderState.SENT
        assert backend.clock.now() - begun < SECOND


async def test_an_order_that_could_not_be_claimed_is_sent_with_the_next_one(tmp_path: Path) -> None:
    backend = Backend(tmp_path, per_minute=100_000)
    is_broken = False

    def fail(_: object, __: object, statement: str, *___: object) -> None:
        if is_broken and "accounts" in statement:
            raise OperationalError("", {}, sqlite3.OperationalError("locked"))

    async with backend.running():
        await backend.settled(await backend.place("First"))
        await backend.pass_time(SECOND)
        store = await backend.storage.open()
        placed = [await backend.place(f"Text {number}", hand_over=False) for number in range(2)]
        event.listen(engine_of(store), "before_cursor_execute", fail)
        is_broken = True
        backend.outbox.hand_over(placed[0])
        await backend.rest()
        is_broken = False
        begun = backend.clock.now()
        backend.outbox.hand_over(placed[1])
        assert {(await backend.settled(order)).state for order in placed} == {OrderState.SENT}
        assert backend.clock.now() - begun < SECOND


async def test_finished_orders_leave_nothing_in_memory(tmp_path: Path) -> None:
    backend = Backend(tmp_path, per_minute=100_000, only_own=True)
    async with backend.running():
        orders = [await backend.place(f"Text {number}") for number in range(20)]
        for order in orders:
            await backend.settled(order)
    assert backend.outbox._worklist.own == backend.outbox._worklist.handed_over == set()


async def test_a_caller_that_disconnects_leaves_nothing_in_memory(tmp_path: Path) -> None:
    backend = Backend(tmp_path)
    async with backend.opened():  # somebody else sends it
        order = await backend.place()
        async with anyio.create_task_group() as callers:
            callers.start_soon(backend.outbox.wait, order, LONG)
            await backend.rest()
            callers.cancel_scope.cancel()
    assert not backend.outbox._waiters.is_untouched(order.id)


async def test_an_order_that_waited_too_long_does_not_cause_repeated_readings_of_history(
    tmp_path: Path,
) -> None:
    """Not even in a process that sends only its own orders: there may be no other to end the wait."""
    backend = Backend(tmp_path, only_own=True)
    async with backend.running():
        asked = (await backend.orders.place(an_approval(a_draft("Ask"), Approver.PERSON))).order
        backend.outbox.wake()
        await backend.pass_time(APPROVAL_TIMEOUT + SECOND)
        assert (await backend.find(asked)).state is OrderState.EXPIRED
        due = await (await backend.storage.open()).queue.find_due_work()
        assert not any((due.approved, due.overdue, due.waiting))


async def test_an_order_approved_in_a_terminal_goes_out_within_a_second(tmp_path: Path) -> None:
    backend = Backend(tmp_path, per_minute=100_000)
    async with backend.running():
        admin = OrderAdmin((await backend.storage.open()).database)
        asked = (await backend.orders.place(an_approval(a_draft("Ask"), Approver.TERMINAL))).order
        backend.outbox.wake()
        await backend.rest()
        await admin.approve(asked.approval_code or "")
        await backend.pass_time(SECOND)
        assert (await backend.find(asked)).state is OrderState.SENT


async def test_with_the_maximum_number_of_requests_under_way_the_next_order_is_queued(tmp_path: Path) -> None:
    backend, held = holding(tmp_path, per_minute=100_000)
    async with backend.running():
        orders = []
        for number in range(40):
            orders.append(await backend.place(f"Text {number}"))
            backend.clock.advance(timedelta(milliseconds=1))
        states = [order.state for order in orders]
        assert states == [OrderState.SENDING] * 32 + [OrderState.QUEUED] * 8
        held.let.set()
        assert {(await backend.settled(order)).state for order in orders} == {OrderState.SENT}
    assert set(messages(backend).values()) == {1}


async def test_an_order_placed_while_the_worker_does_not_run_is_queued(tmp_path: Path) -> None:
    backend = Backend(tmp_path)
    async with backend.opened():
        assert (await backend.place("Before")).state is OrderState.QUEUED
        async with backend.outbox.running():
            pass
        assert (await backend.place("After")).state is OrderState.QUEUED
    assert posts(backend.box) == []


async def test_cancelling_the_caller_while_placing_leaves_no_order_that_is_never_sent(tmp_path: Path) -> None:
    backend = Backend(tmp_path, per_minute=100_000)
    async with backend.running():
        for steps in range(30):
            async with anyio.create_task_group() as callers:
                callers.start_soon(backend.place, f"Text {steps}")
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                callers.cancel_scope.cancel()
            await backend.rest()
            backend.clock.advance(SECOND)
            await backend.rest()
        due = await (await backend.storage.open()).queue.find_due_work()
        assert (due.queued, due.again_in) == (0, None)
    assert len(posts(backend.box)) > 10
    assert backend.outbox._posts._free.value == 32


async def test_cancelling_the_caller_while_approving_leaves_no_order_that_is_never_sent(
    tmp_path: Path,
) -> None:
    backend = Backend(tmp_path, per_minute=100_000)
    states: Counter[OrderState] = Counter()
    async with backend.running():
        for steps in range(30):
            approval = an_approval(a_draft(f"Text {steps}"), Approver.PERSON)
            waiting = (await backend.outbox.place(approval, backend.orders)).order
            async with anyio.create_task_group() as callers:
                callers.start_soon(backend.outbox.approve, waiting)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                callers.cancel_scope.cancel()
            await backend.rest()
            backend.clock.advance(SECOND)
            await backend.rest()
            order = await backend.find(waiting)
            states[order.state] += 1
            await backend.cancel(order, "next")
    assert set(states) <= {OrderState.WAITING, OrderState.SENT}
    assert states[OrderState.SENT] == len(posts(backend.box)) > 10


async def test_a_fast_pace_sends_many_orders_once_each_and_in_order(tmp_path: Path) -> None:
    backend = Backend(tmp_path, per_minute=100_000)
    async with backend.running():
        for number in range(100):
            await backend.place(f"Text {number}", hand_over=False)
            backend.clock.advance(timedelta(milliseconds=1))
        backend.outbox.wake()
        await backend.pass_time(SECOND)
    texts = [post.form["message"] for post in posts(backend.box)]
    assert sorted(texts) == sorted(f"Text {number}" for number in range(100))
    assert max(abs(texts.index(f"Text {number}") - number) for number in range(100)) < 32, "at once at most"


async def test_after_the_clock_is_set_back_the_worker_still_looks_for_work(tmp_path: Path) -> None:
    backend = Backend(tmp_path, per_minute=100_000)
    async with backend.running():
        admin = OrderAdmin((await backend.storage.open()).database)
        first = await backend.place("Text 1", hand_over=False)
        backend.outbox.hand_over(first)
        await backend.settled(first)
        backend.clock.advance(-ORDER_LATENESS)
        backend.outbox.hand_over(await backend.place("Text 2", hand_over=False))
        asked = (await backend.orders.place(an_approval(a_draft("Ask"), Approver.TERMINAL))).order
        await admin.approve(asked.approval_code or "")
        await backend.pass_time(MINUTE)
        assert (await backend.find(asked)).state is OrderState.SENT


async def test_an_order_placed_just_after_the_worker_looked_is_not_forgotten(tmp_path: Path) -> None:
    backend = Backend(tmp_path, dispatcher=Instant)
    async with backend.opened():
        for steps in [*range(20), *range(20, 200, 10)]:
            async with backend.outbox.running():
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                order = await backend.place(f"Text {steps}")
                assert (await backend.outbox.wait(order, LONG)).state is OrderState.SENT
            backend.clock.advance(SECOND)
