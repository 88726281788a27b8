"""Reading history before a text goes out: opt-outs, and the position read."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from elks_mcp.domain.phone import Number
from elks_mcp.errors import NoAnswer, ProviderError, StateUnavailable
from elks_mcp.inbound.history import FRESH
from elks_mcp.sandbox import Fault
from tests.support.provider import PHONE, Backend, a_draft, gets

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
BO = Number("+46701740606")


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    async with Backend(tmp_path).opened() as backend:
        yield backend


async def has_said_stop(backend: Backend, number: Number = PHONE) -> bool:
    return (await backend.orders.find_prior(a_draft(to=number))).recall.opted_out


def pages(backend: Backend) -> int:
    return len(gets(backend.box, "/sms"))


async def test_an_opt_out_is_read_before_a_text_goes_out(backend: Backend) -> None:
    backend.box.receive(PHONE.e164, "STOP")
    await backend.history.refresh()
    assert await has_said_stop(backend)
    assert not await has_said_stop(backend, BO)


async def test_a_later_opt_in_takes_an_opt_out_back(backend: Backend) -> None:
    for word in ("STOP", "START"):
        backend.clock.advance(MINUTE)
        backend.box.receive(PHONE.e164, word)
    await backend.history.refresh()
    assert not await has_said_stop(backend)
    backend.clock.advance(MINUTE)
    backend.box.receive(PHONE.e164, "stopp")
    await backend.history.refresh()
    assert await has_said_stop(backend)


async def test_a_reading_of_history_is_valid_for_a_minute(backend: Backend) -> None:
    await backend.history.refresh()
    backend.box.receive(PHONE.e164, "STOP")
    backend.clock.advance(FRESH - timedelta(microseconds=1))
    await backend.history.refresh()
    assert (pages(backend), await has_said_stop(backend)) == (1, False)
    backend.clock.advance(timedelta(microseconds=1))
    await backend.history.refresh()
    assert (pages(backend), await has_said_stop(backend)) == (2, True)
    assert timedelta(seconds=60) == FRESH


async def test_after_the_clock_is_set_back_history_is_read_again(backend: Backend) -> None:
    await backend.history.refresh()
    backend.clock.advance(-SECOND)
    await backend.history.refresh()
    assert pages(backend) == 2


async def test_simultaneous_readings_of_history_are_one_request(backend: Backend) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(backend.history.refresh)
    assert pages(backend) == 1


async def test_processes_share_their_readings_and_continue_from_the_latest_one(
    backend: Backend, tmp_path: Path
) -> None:
    for number in range(250):
        backend.box.add_history(backend.clock.now() - number * MINUTE, text=f"Text {number}")
    await backend.history.refresh()
    assert pages(backend) == 3
    backend.box.receive(PHONE.e164, "STOP")
    async with Backend(tmp_path, beside=backend).opened() as other:
        backend.clock.advance(FRESH - SECOND)
        await other.history.refresh()
        assert pages(backend) == 3, "what one process has just read, another need not"
        backend.clock.advance(SECOND)
        await other.history.refresh()
        assert pages(backend) == 4, "no more of history is read than is new"
        await backend.history.refresh()
        assert pages(backend) == 4
        assert await has_said_stop(other)


async def test_a_text_that_appears_two_minutes_late_in_history_is_still_read(backend: Backend) -> None:
    heard_until = backend.clock.now()
    backend.box.add_history(heard_until, text="The newest")
    await backend.history.refresh()
    backend.clock.advance(FRESH)
    for _ in range(98):
        backend.box.add_history(backend.clock.now(), text="New")
    backend.box.add_history(heard_until - SECOND, text="The last on the first page")
    backend.box.add_history(heard_until - 119 * SECOND, direction="incoming", text="STOP")
    await backend.history.refresh()
    assert pages(backend) == 3
    assert await has_said_stop(backend)


async def test_a_failed_reading_is_an_error_and_is_repeated_by_the_next_call(backend: Backend) -> None:
    backend.box.receive(PHONE.e164, "STOP")
    backend.box.faults.inject(Fault.ERROR_BEFORE, path="/sms")
    with pytest.raises(NoAnswer):
        await backend.history.refresh()
    assert not await has_said_stop(backend)
    await backend.history.refresh()
    assert await has_said_stop(backend)


async def test_an_incomplete_reading_does_not_count(backend: Backend) -> None:
    for number in range(150):
        backend.box.add_history(backend.clock.now() - number * SECOND, text="Text")
    backend.box.faults.inject(Fault.ERROR_BEFORE, path="/sms", skip=1)
    with pytest.raises(ProviderError):
        await backend.history.refresh()
    assert (await (await backend.storage.open()).inbound.find_position()).until is None


async def test_an_unusable_state_is_an_error_before_46elks_is_asked(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    async with Backend(tmp_path / "state").opened() as backend:
        with pytest.raises(StateUnavailable):
            await backend.history.refresh()
    assert backend.box.requests == []


async def test_a_history_longer_than_the_limit_is_read_to_the_limit_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Short(Backend):
        most_pages = 2

    async with Short(tmp_path).opened() as backend:
        for number in range(250):
            backend.box.add_history(backend.clock.now() - number * SECOND, text="Text")
        backend.box.receive(PHONE.e164, "STOP")
        await backend.history.refresh()
        assert "older opt-outs are not known" in caplog.text
        assert await has_said_stop(backend)


async def test_a_reading_counts_up_to_46elks_time_of_the_newest_message(backend: Backend) -> None:
    newest = backend.clock.now() - timedelta(hours=1)
    backend.box.add_history(newest, text="Text")
    await backend.history.refresh()
    assert (await (await backend.storage.open()).inbound.find_position()).until == newest


async def test_an_empty_history_counts_as_read_until_now(backend: Backend) -> None:
    await backend.history.refresh()
    assert (await (await backend.storage.open()).inbound.find_position()).until == backend.clock.now()


async def test_opt_outs_in_messages_read_for_another_purpose_count_too(backend: Backend) -> None:
    backend.box.receive(PHONE.e164, "STOP")
    listing = await backend.client.list_messages(10)
    await backend.history.record(listing.messages)
    assert not backend.storage.exists, "whoever only reads makes no store"
    await backend.storage.open()
    await backend.history.record(listing.messages)
    assert await has_said_stop(backend)
    assert (await (await backend.storage.open()).inbound.find_position()).until is None, (
        "there may be a gap before it"
    )


async def test_reading_a_message_twice_or_late_changes_nothing(backend: Backend) -> None:
    await backend.storage.open()
    for word in ("STOP", "START", "Hej!"):
        backend.clock.advance(MINUTE)
        backend.box.receive(PHONE.e164, word)
    messages = (await backend.client.list_messages(10)).messages
    for order in (messages, messages[::-1], messages[:1], messages[2:], messages[1:]):
        await backend.history.record(order)
    assert not await has_said_stop(backend)


async def test_a_sender_name_or_a_text_to_a_number_opts_no_recipient_out(backend: Backend) -> None:
    backend.box.receive("Elks", "STOP")
    backend.box.add_history(backend.clock.now(), text="STOP", to=PHONE.e164)
    await backend.history.refresh()
    assert not await has_said_stop(backend)
    assert (await backend.orders.find_prior(a_draft())).recall.is_known, "they were written to"
