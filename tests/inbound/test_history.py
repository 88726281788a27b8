"""Listening to history before a text goes out: who said STOP, and how far was heard."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from elks_mcp.domain.phone import Number
from elks_mcp.errors import NoAnswer, ProviderError, StateUnavailable
from elks_mcp.inbound.history import FRESH
from elks_mcp.sandbox import Fault
from tests.support.provider import PHONE, House, a_draft, gets

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
BO = Number("+46701740606")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path).opened() as house:
        yield house


async def has_said_stop(house: House, number: Number = PHONE) -> bool:
    return (await house.orders.find_prior(a_draft(to=number))).recall.opted_out


def pages(house: House) -> int:
    return len(gets(house.box, "/sms"))


async def test_a_stop_is_heard_before_anything_goes_out(house: House) -> None:
    house.box.receive(PHONE.e164, "STOP")
    await house.history.refresh()
    assert await has_said_stop(house)
    assert not await has_said_stop(house, BO)


async def test_a_start_afterwards_takes_it_back(house: House) -> None:
    for word in ("STOP", "START"):
        house.clock.advance(MINUTE)
        house.box.receive(PHONE.e164, word)
    await house.history.refresh()
    assert not await has_said_stop(house)
    house.clock.advance(MINUTE)
    house.box.receive(PHONE.e164, "stopp")
    await house.history.refresh()
    assert await has_said_stop(house)


async def test_a_look_is_good_for_a_minute(house: House) -> None:
    await house.history.refresh()
    house.box.receive(PHONE.e164, "STOP")
    house.clock.advance(FRESH - timedelta(microseconds=1))
    await house.history.refresh()
    assert (pages(house), await has_said_stop(house)) == (1, False)
    house.clock.advance(timedelta(microseconds=1))
    await house.history.refresh()
    assert (pages(house), await has_said_stop(house)) == (2, True)
    assert timedelta(seconds=60) == FRESH


async def test_where_the_clock_was_put_back_a_look_is_good_for_nothing(house: House) -> None:
    await house.history.refresh()
    house.clock.advance(-SECOND)
    await house.history.refresh()
    assert pages(house) == 2


async def test_many_who_look_at_once_are_one_look(house: House) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(house.history.refresh)
    assert pages(house) == 1


async def test_processes_share_their_looks_and_go_on_from_where_the_last_one_heard(
    house: House, tmp_path: Path
) -> None:
    for number in range(250):
        house.box.add_history(house.clock.now() - number * MINUTE, text=f"Text {number}")
    await house.history.refresh()
    assert pages(house) == 3
    house.box.receive(PHONE.e164, "STOP")
    async with House(tmp_path, beside=house).opened() as other:
        house.clock.advance(FRESH - SECOND)
        await other.history.refresh()
        assert pages(house) == 3, "what one process has just read, another need not"
        house.clock.advance(SECOND)
        await other.history.refresh()
        assert pages(house) == 4, "no more of history is read than is new"
        await house.history.refresh()
        assert pages(house) == 4
        assert await has_said_stop(other)


async def test_what_is_slow_to_appear_is_still_heard_two_minutes_later(house: House) -> None:
    heard_until = house.clock.now()
    house.box.add_history(heard_until, text="The newest")
    await house.history.refresh()
    house.clock.advance(FRESH)
    for _ in range(98):
        house.box.add_history(house.clock.now(), text="New")
    house.box.add_history(heard_until - SECOND, text="The last on the first page")
    house.box.add_history(heard_until - 119 * SECOND, direction="incoming", text="STOP")
    await house.history.refresh()
    assert pages(house) == 3
    assert await has_said_stop(house)


async def test_where_history_cannot_be_read_it_is_said_and_tried_again_at_once(house: House) -> None:
    house.box.receive(PHONE.e164, "STOP")
    house.box.faults.inject(Fault.ERROR_BEFORE, path="/sms")
    with pytest.raises(NoAnswer):
        await house.history.refresh()
    assert not await has_said_stop(house)
    await house.history.refresh()
    assert await has_said_stop(house)


async def test_half_a_history_counts_for_nothing(house: House) -> None:
    for number in range(150):
        house.box.add_history(house.clock.now() - number * SECOND, text="Text")
    house.box.faults.inject(Fault.ERROR_BEFORE, path="/sms", skip=1)
    with pytest.raises(ProviderError):
        await house.history.refresh()
    assert (await (await house.storage.open()).inbound.find_position()).until is None


async def test_what_cannot_be_remembered_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    async with House(tmp_path / "state").opened() as house:
        with pytest.raises(StateUnavailable):
            await house.history.refresh()
    assert house.box.requests == []


async def test_a_history_longer_than_is_read_is_warned_of_and_heard_as_far_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Short(House):
        most_pages = 2

    async with Short(tmp_path).opened() as house:
        for number in range(250):
            house.box.add_history(house.clock.now() - number * SECOND, text="Text")
        house.box.receive(PHONE.e164, "STOP")
        await house.history.refresh()
        assert "older opt-outs are not known" in caplog.text
        assert await has_said_stop(house)


async def test_how_far_was_heard_is_46elks_time_of_the_newest_message(house: House) -> None:
    newest = house.clock.now() - timedelta(hours=1)
    house.box.add_history(newest, text="Text")
    await house.history.refresh()
    assert (await (await house.storage.open()).inbound.find_position()).until == newest


async def test_an_empty_history_was_heard_until_now(house: House) -> None:
    await house.history.refresh()
    assert (await (await house.storage.open()).inbound.find_position()).until == house.clock.now()


async def test_what_was_read_for_another_reason_is_heard_too(house: House) -> None:
    house.box.receive(PHONE.e164, "STOP")
    listing = await house.client.list_messages(10)
    await house.history.record(listing.messages)
    assert not house.storage.exists, "whoever only reads makes no store"
    await house.storage.open()
    await house.history.record(listing.messages)
    assert await has_said_stop(house)
    assert (await (await house.storage.open()).inbound.find_position()).until is None, (
        "there may be a gap before it"
    )


async def test_hearing_the_same_twice_or_late_changes_nothing(house: House) -> None:
    await house.storage.open()
    for word in ("STOP", "START", "Hej!"):
        house.clock.advance(MINUTE)
        house.box.receive(PHONE.e164, word)
    messages = (await house.client.list_messages(10)).messages
    for order in (messages, messages[::-1], messages[:1], messages[2:], messages[1:]):
        await house.history.record(order)
    assert not await has_said_stop(house)


async def test_nobody_can_be_made_to_opt_out_by_a_name_or_a_text_to_them(house: House) -> None:
    house.box.receive("Elks", "STOP")
    house.box.add_history(house.clock.now(), text="STOP", to=PHONE.e164)
    await house.history.refresh()
    assert not await has_said_stop(house)
    assert (await house.orders.find_prior(a_draft())).recall.is_known, "they were written to"
