"""The outbox: what is sent, when, and whose."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from elks_mcp.domain.orders import Approver, OrderState
from elks_mcp.runtime.clock import Clock
from elks_mcp.sandbox import Fault
from elks_mcp.store import PauseReason
from elks_mcp.store.claims import KEPT
from tests.support.clocks import HANG, ManualClock
from tests.support.outbox_cases import LONG, MINUTE, SECOND, answer, fail, inbound, messages
from tests.support.provider import (
    PHONE,
    House,
    a_draft,
    an_approval,
    posts,
)
from tests.support.stores import change_rows, files_with

pytestmark = pytest.mark.anyio


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
    assert (order.text, order.status_reason) == (None, "")
    assert len(posts(house.box)) == 1
    for file in house.folder.iterdir():
        assert b"4711" not in file.read_bytes()


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.REDIRECT])
async def test_what_46elks_says_no_to_is_rejected_for_good(house: House, fault: Fault) -> None:
    house.box.faults.inject(fault)
    async with house.running():
        order = await house.outbox.wait(await house.place(), LONG)
        assert order.state is OrderState.REJECTED
        assert "46elks" in order.status_reason
        await house.pass_time(KEPT)
        assert (await house.settled(await house.place("Text 2"))).state is OrderState.SENT
        assert (await house.find(order)).state is OrderState.REJECTED
    assert messages(house) == {"Text 1": 1, "Text 2": 1}


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
        assert (order.state, order.status_reason) == (OrderState.CANCELLED, "The recipient opted out.")
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
