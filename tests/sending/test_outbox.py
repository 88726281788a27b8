"""The outbox: which orders are sent, and when."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from elks_mcp.domain.orders import ORDER_LATENESS, Approver, OrderState
from elks_mcp.runtime.clock import Clock
from elks_mcp.sandbox import Fault
from elks_mcp.store import PauseReason
from tests.support.clocks import HANG, ManualClock
from tests.support.outbox_cases import LONG, MINUTE, SECOND, answer, fail, inbound, messages
from tests.support.provider import (
    PHONE,
    Backend,
    a_draft,
    an_approval,
    posts,
)
from tests.support.stores import change_rows, files_with

pytestmark = pytest.mark.anyio


# ── what is accepted or refused ──


async def test_an_order_is_sent_once_and_keeps_its_receipt_but_not_its_text(backend: Backend) -> None:
    async with backend.running():
        order = await backend.place("Nyckeln hos Kim")
        assert order.text == "Nyckeln hos Kim"
        order = await backend.outbox.wait(order, LONG)
    (message,) = backend.box.accepted
    assert order.state is OrderState.SENT
    assert order.receipt
    assert order.receipt.message_id == message.id
    assert (order.text, order.status_reason) == (None, "")
    assert len(posts(backend.box)) == 1
    for file in backend.folder.iterdir():
        assert b"Kim" not in file.read_bytes()


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.REDIRECT])
async def test_a_text_that_46elks_refuses_is_rejected_permanently(backend: Backend, fault: Fault) -> None:
    backend.box.faults.inject(fault)
    async with backend.running():
        order = await backend.outbox.wait(await backend.place(), LONG)
        assert order.state is OrderState.REJECTED
        assert "46elks" in order.status_reason
        await backend.pass_time(ORDER_LATENESS)
        assert (await backend.settled(await backend.place("Text 2"))).state is OrderState.SENT
        assert (await backend.find(order)).state is OrderState.REJECTED
    assert messages(backend) == {"Text 1": 1, "Text 2": 1}


# ── whose orders are sent ──


async def test_a_server_in_dry_run_sends_only_orders_placed_in_its_process(
    backend: Backend, tmp_path: Path
) -> None:
    async with backend.opened():
        left = await backend.place("Of others")
    dry = Backend(tmp_path, beside=backend, only_own=True)
    async with dry.running():
        own = await dry.place("Own")
        assert (await dry.settled(own)).state is OrderState.SENT
        await dry.pass_time(ORDER_LATENESS / 2)
        assert (await dry.find(left)).state is OrderState.QUEUED
        assert messages(backend) == {"Own": 1}
        async with backend.outbox.running():
            assert (await backend.settled(left)).state is OrderState.SENT


async def test_a_server_in_dry_run_without_orders_of_its_own_cleans_up_and_sends_nothing(
    backend: Backend, tmp_path: Path
) -> None:
    async with backend.opened():
        order = await backend.place()
        waiting = (await backend.orders.place(an_approval(a_draft("Ask"), Approver.PERSON))).order
    dry = Backend(tmp_path, beside=backend, only_own=True)
    async with dry.running():
        await dry.pass_time(ORDER_LATENESS / 3)
        assert (await dry.find(order)).state is OrderState.QUEUED
        assert (await dry.find(waiting)).state is OrderState.WAITING
    assert posts(backend.box) == []


async def test_without_work_no_store_is_created_or_opened(backend: Backend) -> None:
    async with backend.running():
        await backend.pass_time(10 * MINUTE)
        assert not backend.storage.is_open
    assert list(backend.folder.iterdir()) == []


async def test_a_store_without_unfinished_orders_is_not_opened(backend: Backend, tmp_path: Path) -> None:
    async with backend.running():
        await backend.settled(await backend.place())
    following = Backend(tmp_path, beside=backend)
    async with following.running():
        await following.pass_time(10 * MINUTE)
        assert not following.storage.is_open


async def test_an_order_left_queued_by_an_earlier_process_goes_out_a_second_after_the_start(
    backend: Backend, tmp_path: Path
) -> None:
    async with backend.opened():
        order = await backend.place()
    following = Backend(tmp_path, beside=backend)
    async with following.running():
        begun = backend.clock.now()
        await following.pass_time(SECOND / 2)
        assert not following.storage.is_open
        assert (await following.settled(order)).state is OrderState.SENT
    assert [post.at - begun for post in posts(backend.box)] == [SECOND]


async def test_an_order_that_another_process_leaves_later_is_also_sent(
    backend: Backend, tmp_path: Path
) -> None:
    following = Backend(tmp_path, beside=backend)
    async with following.running():
        await following.pass_time(MINUTE)
        async with backend.opened():
            order = await backend.place()
        assert (await following.settled(order)).state is OrderState.SENT


async def test_orders_of_another_account_are_neither_listed_nor_sent(
    backend: Backend, tmp_path: Path
) -> None:
    async with backend.opened():
        await backend.place("Of others")
    other = Backend(tmp_path)
    other.storage._account = type(other.storage._account)("https://api.46elks.com/a1", "u2")
    async with other.running():
        await other.pass_time(MINUTE)
        assert not other.storage.is_open
        await other.settled(await other.place("Own"))
        await other.pass_time(MINUTE)
    assert messages(other) == {"Own": 1}


# ── the delivery report ──


async def test_a_text_asks_for_its_delivery_report_at_an_address_with_its_order_id(
    tmp_path: Path,
) -> None:
    async def address(order_id: str) -> str:
        return f"https://sms.example.com/hooks/delivery?ref={order_id}"

    backend = Backend(tmp_path, report_to=address)
    async with backend.running():
        order = await backend.outbox.wait(await backend.place(), LONG)
    assert order.state is OrderState.SENT
    (post,) = posts(backend.box)
    assert post.form["whendelivered"] == f"https://sms.example.com/hooks/delivery?ref={order.id}"


# ── when it goes out ──


async def test_a_queued_order_has_an_estimated_time_and_its_place_in_the_queue(backend: Backend) -> None:
    async with backend.opened():
        orders = []
        for number in range(3):
            orders.append(await backend.place(f"Text {number}"))
            backend.clock.advance(timedelta(milliseconds=1))
        prospects = [await backend.outbox.estimate(order) for order in orders]
        gap = backend.options.pace.gap
        assert [each and each.ahead for each in prospects] == [0, 1, 2]
        assert [each and each.at - backend.clock.now() for each in prospects] == [timedelta(), gap, 2 * gap]
        async with backend.outbox.running():
            last = await backend.settled(orders[-1])
        assert await backend.outbox.estimate(last) is None


async def test_a_paused_order_has_the_reason_and_the_end_of_the_pause(backend: Backend) -> None:
    backend.box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=40)
    async with backend.running():
        order = await backend.outbox.wait(await backend.place(), LONG)
        estimate = await backend.outbox.estimate(order)
        assert estimate
        assert (estimate.at - backend.clock.now(), estimate.ahead) == (40 * SECOND, 0)
        assert estimate.pause is PauseReason.THROTTLED


# ── the clock ──


CLOCKS: list[Callable[[], Clock]] = [Clock, ManualClock]


@pytest.mark.parametrize("new_clock", CLOCKS)
async def test_a_result_or_error_within_the_limit_passes_through_unchanged(
    new_clock: Callable[[], Clock],
) -> None:
    clock = new_clock()
    with anyio.fail_after(HANG):
        assert await clock.wait_for(answer(), until=clock.now() + LONG) == "done"
        with pytest.raises(LookupError, match="failed"):
            await clock.wait_for(fail(), until=clock.now() + LONG)


@pytest.mark.parametrize("new_clock", CLOCKS)
async def test_work_beyond_the_limit_is_cancelled_and_returns_nothing(new_clock: Callable[[], Clock]) -> None:
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


async def test_a_time_out_follows_the_clock() -> None:
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
async def test_a_cancelled_wait_is_not_reported_as_timed_out(new_clock: Callable[[], Clock]) -> None:
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


async def test_the_real_clock_sleeps_and_wakes() -> None:
    clock = Clock()
    moment = clock.now() + timedelta(milliseconds=20)
    await clock.sleep_until(moment)
    assert clock.now() >= moment - timedelta(milliseconds=2)
    await clock.sleep_until(moment)


async def test_an_opt_out_read_before_the_first_byte_left_stops_the_text(tmp_path: Path) -> None:
    there: list[Backend] = []

    async def report_to(order_id: str) -> str:
        """Act between the claim and the connection."""
        [backend] = there
        stop = backend.box.receive(PHONE.e164, "STOP")
        await (await backend.storage.open()).inbound.record([inbound(stop.id, "STOP", backend)])
        return f"https://example.com/{order_id}"

    there.append(Backend(tmp_path, report_to=report_to))
    async with there[0].running() as backend:
        order = await backend.settled(await backend.place())
        assert (order.state, order.status_reason) == (OrderState.CANCELLED, "The recipient opted out.")
        assert posts(backend.box) == []


@pytest.mark.parametrize("only_own", [False, True])
async def test_an_unusable_store_does_not_end_work_that_needs_no_store(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, only_own: bool
) -> None:
    backend = Backend(tmp_path, only_own=only_own)
    (tmp_path / "outbox.sqlite3").write_bytes(b"This is no database, and was never one." * 100)
    async with backend.running():
        await backend.pass_time(2 * MINUTE)
        assert (await backend.client.get_account()).balance.units
    assert "its file is damaged" in caplog.text
    assert "Traceback" not in caplog.text
    if only_own:
        assert caplog.text.count("its file is damaged") == 1


async def test_a_server_that_sends_nothing_still_deletes_expired_data(
    backend: Backend, tmp_path: Path
) -> None:
    async with backend.opened():
        order = await backend.place("Kom hem till middagen klockan sju", hand_over=False)
    dry = Backend(tmp_path, beside=backend, only_own=True)
    async with dry.running():
        await dry.pass_time(ORDER_LATENESS + 2 * timedelta(hours=1))
        assert (await dry.find(order)).state is OrderState.EXPIRED
    assert posts(backend.box) == []
    assert files_with(tmp_path, "middagen") == []


async def test_a_server_without_work_deletes_the_text_of_an_unknown_order_after_a_week(
    backend: Backend, tmp_path: Path
) -> None:
    async with backend.opened():
        order = await backend.place(hand_over=False)
        location = backend.storage.location
    change_rows(location, "UPDATE orders SET state = 'unknown' WHERE id = ?", order.id)
    backend.clock.advance(timedelta(days=8))
    following = Backend(tmp_path, beside=backend)
    async with following.running():
        await following.pass_time(MINUTE)
        assert (await following.find(order)).text is None
    assert posts(backend.box) == []
