"""The last checks before a request body leaves, and a store that fails."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.domain.orders import ORDER_LATENESS, Claim, OrderState, Receipt
from elks_mcp.domain.phone import Number
from elks_mcp.elks.dispatch import Dispatcher
from elks_mcp.elks.send_gate import SendPermission
from elks_mcp.runtime.clock import Deadline
from elks_mcp.sending import LEASE_SPARE
from tests.support.clocks import ManualClock
from tests.support.outbox_cases import LONG, MINUTE, SECOND, holding, inbound, messages
from tests.support.provider import (
    PHONE,
    SOON,
    UNLIMITED,
    Backend,
    posts,
)

pytestmark = pytest.mark.anyio


ELSEWHERE = Number("+46701740606")


# ── what is received just before ──


async def test_a_recipient_who_opted_out_since_the_placing_gets_nothing(backend: Backend) -> None:
    async with backend.opened():
        order, other = await backend.place(), await backend.place(to=ELSEWHERE)
        stop = backend.box.receive(PHONE.e164, "STOP")
        await (await backend.storage.open()).inbound.record([inbound(stop.id, "STOP", backend)])
        async with backend.outbox.running():
            assert (await backend.settled(other)).state is OrderState.SENT
            order = await backend.find(order)
    assert order.state is OrderState.CANCELLED
    assert "opted out" in order.status_reason
    assert order.text is None
    assert [post.form["to"] for post in posts(backend.box)] == [ELSEWHERE.e164]


async def test_a_lowered_budget_applies_to_queued_orders(backend: Backend, tmp_path: Path) -> None:
    async with backend.opened():
        orders = [await backend.place(f"Text {number}") for number in range(3)]
    lowered = UNLIMITED.model_copy(update={"budget_per_day": 3 * 5200 - 1})
    strict = Backend(tmp_path, beside=backend, policy=lowered)
    async with strict.running():
        states = [(await strict.settled(order)).state for order in orders]
    # What is queued counts as spent, so the first is one too many, and the others fit.
    assert sorted(states) == [OrderState.CANCELLED, OrderState.SENT, OrderState.SENT]
    assert len(posts(backend.box)) == 2


async def test_a_frequently_texted_number_still_gets_the_texts_already_placed(
    backend: Backend, tmp_path: Path
) -> None:
    """Velocity was checked when the order was placed, and does not count against an order that waits."""
    async with backend.opened():
        orders = [await backend.place(f"Text {number}") for number in range(3)]
    strict = Backend(tmp_path, beside=backend, policy=UNLIMITED.model_copy(update={"max_per_number": 1}))
    async with strict.running():
        assert {(await strict.settled(order)).state for order in orders} == {OrderState.SENT}


# ── the permission to send ──


@pytest.mark.parametrize("slept", [LEASE_SPARE + SECOND, LEASE_SPARE + SOON + MINUTE], ids=str)
async def test_a_process_that_wakes_after_the_deadline_posts_nothing_and_the_order_is_queued_again(
    tmp_path: Path, slept: timedelta
) -> None:
    backend, held = holding(tmp_path)
    async with backend.running():
        order = await backend.place()
        await held.begun.wait()
        backend.clock.advance(slept)
        await backend.rest()
        assert posts(backend.box) == []
        held.let.set()
        await backend.rest()
        assert (await backend.settled(order)).state is OrderState.SENT
    assert len(posts(backend.box)) == 1


async def test_a_request_just_within_the_deadline_is_sent(tmp_path: Path) -> None:
    backend, held = holding(tmp_path)
    async with backend.running():
        order = await backend.place()
        await held.begun.wait()
        backend.clock.advance(LEASE_SPARE)
        held.let.set()
        sent = await backend.outbox.wait(order, LONG)
    assert (sent.state, sent.attempts) == (OrderState.SENT, 1)


async def test_a_process_that_was_frozen_does_not_send_an_order_that_another_took_over(
    tmp_path: Path,
) -> None:
    frozen, held = holding(tmp_path)
    neighbour = Backend(tmp_path, beside=frozen)
    async with frozen.running():
        order = await frozen.place()
        await held.begun.wait()
        async with neighbour.running():
            assert (await neighbour.settled(order)).state is OrderState.SENT
            held.let.set()
            await neighbour.rest()
            assert (await neighbour.find(order)).state is OrderState.SENT
    assert len(posts(frozen.box)) == len(frozen.box.accepted) == 1


async def test_a_deadline_ends_by_the_clock_that_is_further_ahead() -> None:
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
async def without_orders(backend: Backend) -> AsyncIterator[None]:
    """Remove the table of orders, as a damaged disk might."""
    assert backend.storage.location.file
    with closing(sqlite3.connect(backend.storage.location.file, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE orders RENAME TO taken_away")
        try:
            yield
        finally:
            connection.execute("ALTER TABLE taken_away RENAME TO orders")


async def test_an_outcome_that_cannot_be_recorded_is_recorded_as_soon_as_possible(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend, held = holding(tmp_path)
    async with backend.running():
        order = await backend.place()
        await held.begun.wait()
        async with without_orders(backend):
            held.let.set()
            await backend.rest()
            assert len(backend.box.accepted) == 1
            backend.clock.advance(SECOND)
            await backend.rest()
        backend.clock.advance(SECOND)
        assert (await backend.settled(order)).state is OrderState.SENT
        await backend.pass_time(ORDER_LATENESS)
    assert "cannot be recorded" in caplog.text
    assert len(posts(backend.box)) == 1


async def test_an_outcome_that_is_never_recorded_is_found_in_history_and_not_sent_again(
    tmp_path: Path,
) -> None:
    backend, held = holding(tmp_path)
    async with backend.running():
        order = await backend.place()
        await held.begun.wait()
        async with without_orders(backend):
            held.let.set()
            await backend.pass_time(MINUTE)
        order = await backend.settled(order)
        await backend.pass_time(ORDER_LATENESS)
    assert order.state is OrderState.SENT
    assert order.receipt
    assert order.receipt.message_id == backend.box.accepted[0].id
    assert len(posts(backend.box)) == 1


async def test_a_store_that_fails_temporarily_stops_no_work_permanently(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    async with backend.running():
        await backend.settled(await backend.place("Text 1"))
        async with without_orders(backend):
            backend.outbox._worklist.woken.set()
            await backend.pass_time(MINUTE)
        assert (await backend.settled(await backend.place("Text 2"))).state is OrderState.SENT
    assert "cannot work for now" in caplog.text
    assert "Text" not in caplog.text


async def test_a_bug_leaves_the_order_in_doubt_and_the_worker_alive(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Dispatcher):
        async def send(self, claim: Claim, permission: SendPermission) -> Receipt:
            receipt = await super().send(claim, permission)
            if claim.draft.text == "Text 1":
                raise ValueError(claim.draft.to.e164)
            return receipt

    backend = Backend(tmp_path, dispatcher=Broken)
    async with backend.running():
        order = await backend.outbox.wait(await backend.place("Text 1"), LONG)
        assert order.state is OrderState.IN_DOUBT
        assert "Unexpected error" in order.status_reason
        assert (await backend.settled(await backend.place("Text 2"))).state is OrderState.SENT
        assert (await backend.settled(order)).state is OrderState.SENT
    assert messages(backend) == {"Text 1": 1, "Text 2": 1}
    assert "Unexpected error" in caplog.text
