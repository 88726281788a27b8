"""Orders whose outcome is unknown."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from elks_mcp.domain.orders import ORDER_LATENESS, Claim, OrderState
from elks_mcp.sandbox import Fault
from elks_mcp.sending import LEASE_SPARE
from elks_mcp.store import Pace
from tests.support.outbox_cases import LONG, MINUTE, SECOND, is_true, messages
from tests.support.provider import (
    SOON,
    Backend,
    a_permission,
    gets,
    posts,
)
from tests.support.stores import claim_next

pytestmark = pytest.mark.anyio


QUIET = timedelta(seconds=120)


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
async def test_a_text_absent_from_history_twice_after_the_quiet_period_is_sent_again(
    backend: Backend, fault: Fault
) -> None:
    backend.box.faults.inject(fault, method="POST")
    async with backend.running():
        begun = backend.clock.now()
        order = await backend.wait(await backend.place())
        assert order.state is OrderState.IN_DOUBT
        assert order.status_reason
        assert (await backend.settled(order)).state is OrderState.SENT
    first, second = (post.at - begun for post in posts(backend.box))
    assert first == timedelta()
    looks = [get.at - begun for get in gets(backend.box, "/sms")]
    assert looks[0] < SECOND
    after_quiet = [look for look in looks if look >= QUIET]
    assert len(after_quiet) == 2
    assert after_quiet[1] - after_quiet[0] >= QUIET / 10
    assert after_quiet[1] <= second < QUIET + 30 * SECOND
    assert len(backend.box.accepted) == 1


@pytest.mark.parametrize("fault", TAKEN)
async def test_an_accepted_text_is_found_in_history_and_never_sent_again(
    backend: Backend, fault: Fault
) -> None:
    backend.box.faults.inject(fault, method="POST")
    async with backend.running():
        begun = backend.clock.now()
        order = await backend.settled(await backend.place())
        assert backend.clock.now() - begun < SECOND
        assert order.state is OrderState.SENT
        assert order.receipt
        assert order.receipt.message_id == backend.box.accepted[0].id
        assert (order.text, order.status_reason) == (None, "")
        await backend.pass_time(ORDER_LATENESS)
    assert len(posts(backend.box)) == 1


@pytest.mark.parametrize("fault", LATE)
@pytest.mark.parametrize("late", [SECOND, 60 * SECOND, QUIET], ids=str)
async def test_a_text_accepted_late_within_the_quiet_period_is_sent_once(
    backend: Backend, fault: Fault, late: timedelta
) -> None:
    backend.box.faults.inject(fault, duration=late)
    async with backend.running():
        order = await backend.settled(await backend.place())
        assert order.state is OrderState.SENT
        assert order.receipt
        assert order.receipt.message_id == backend.box.accepted[0].id
        await backend.pass_time(ORDER_LATENESS)
    assert len(posts(backend.box)) == len(backend.box.accepted) == 1


async def test_a_history_that_lags_behind_is_read_until_it_shows_the_text(backend: Backend) -> None:
    backend.box.faults.inject(Fault.DROP_AFTER, method="POST")
    backend.box.faults.inject(Fault.STALE_HISTORY, times=None, duration=QUIET)
    async with backend.running():
        order = await backend.settled(await backend.place())
        assert order.state is OrderState.SENT
        await backend.pass_time(ORDER_LATENESS)
    assert len(posts(backend.box)) == 1


async def test_one_absence_from_history_is_not_enough_to_send_again(backend: Backend) -> None:
    """The first reading past the quiet period lags; the second shows the text."""
    backend.box.faults.inject(Fault.DROP_AFTER, method="POST")
    backend.box.faults.inject(Fault.STALE_HISTORY, times=None, duration=QUIET + 5 * SECOND)
    async with backend.running():
        assert (await backend.settled(await backend.place())).state is OrderState.SENT
    assert len([get for get in gets(backend.box, "/sms") if get.at >= posts(backend.box)[0].at + QUIET]) == 2
    assert len(posts(backend.box)) == 1


async def test_without_a_quiet_period_two_readings_a_second_apart_are_enough(tmp_path: Path) -> None:
    backend = Backend(tmp_path, quiet=timedelta())
    backend.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    async with backend.running():
        begun = backend.clock.now()
        assert (await backend.settled(await backend.place())).state is OrderState.SENT
        first, second = (get.at - begun for get in gets(backend.box, "/sms"))
    assert SECOND <= second - first < 3 * SECOND
    assert len(backend.box.accepted) == 1


@pytest.mark.parametrize("text", ["TEXT 1", "Text  1.", "Text\u00a01"])
async def test_a_similar_message_in_history_leaves_the_order_unknown_and_unsent(
    backend: Backend, text: str
) -> None:
    backend.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    async with backend.running():
        order = await backend.outbox.wait(await backend.place(), LONG)
        backend.box.add_history(backend.clock.now(), text=text)
        order = await backend.settled(order)
        assert order.state is OrderState.UNKNOWN
        assert "cannot be matched to this order" in order.status_reason
        assert order.text == "Text 1", "a person who decides has to see what it was"
        await backend.pass_time(ORDER_LATENESS)
        assert (await backend.find(order)).state is OrderState.UNKNOWN
    assert len(posts(backend.box)) == 1


async def test_one_of_two_equal_texts_that_is_missing_from_history_is_sent_again(
    backend: Backend,
) -> None:
    backend.box.faults.inject(Fault.DROP_AFTER, method="POST")
    backend.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    async with backend.running():
        one = await backend.place("Text 1", key="one")
        other = await backend.place("Text 1", key="other")
        await backend.pass_until(lambda: is_true(len(posts(backend.box)) == 2))
        assert {(await backend.settled(each)).state for each in (one, other)} == {OrderState.SENT}
        ids = {receipt.message_id for each in (one, other) if (receipt := (await backend.find(each)).receipt)}
    assert ids == {message.id for message in backend.box.accepted}
    assert len(posts(backend.box)) == 3
    assert len(backend.box.accepted) == 2


async def test_a_message_of_a_known_order_is_not_matched_to_another(backend: Backend) -> None:
    """The same text went out just before, and its answer told which message it is."""
    async with backend.running():
        first = await backend.settled(await backend.place("Text 1", key="one"))
        backend.box.faults.inject(Fault.DROP_BEFORE, method="POST")
        second = await backend.settled(await backend.place("Text 1", key="other"))
    assert first.receipt
    assert second.receipt
    assert [first.receipt.message_id, second.receipt.message_id] == [each.id for each in backend.box.accepted]
    assert len(posts(backend.box)) == 3


async def test_a_doubt_that_is_not_resolved_within_an_hour_becomes_unknown(backend: Backend) -> None:
    backend.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    backend.box.faults.inject(Fault.ERROR_BEFORE, path="/sms", method="GET", times=None)
    async with backend.running():
        begun = backend.clock.now()
        order = await backend.settled(await backend.place(), stride=MINUTE)
        assert order.state is OrderState.UNKNOWN
        assert ORDER_LATENESS < backend.clock.now() - begun <= ORDER_LATENESS + 2 * MINUTE
        backend.box.faults.clear()
        await backend.pass_time(ORDER_LATENESS)
    assert len(posts(backend.box)) == 1


async def test_an_incomplete_history_is_not_enough_to_send_again(tmp_path: Path) -> None:
    class Short(Backend):
        most_pages = 1

    backend = Short(tmp_path)
    backend.box.faults.inject(Fault.DROP_AFTER, method="POST")
    backend.box.faults.inject(Fault.STALE_HISTORY, path="/sms", method="GET", duration=timedelta(days=1))
    async with backend.running():
        order = await backend.outbox.wait(await backend.place(), LONG)
        await backend.rest()
        backend.clock.advance(SECOND)
        for _ in range(100):
            backend.box.add_history(backend.clock.now(), text="Of others")
        order = await backend.settled(order, stride=MINUTE)
        assert order.state is OrderState.UNKNOWN
    assert len(posts(backend.box)) == 1


async def test_history_is_read_less_and_less_often_while_a_text_is_in_doubt(tmp_path: Path) -> None:
    backend = Backend(tmp_path, quiet=10 * MINUTE)
    backend.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    async with backend.running():
        begun = backend.clock.now()
        await backend.place()
        await backend.pass_time(5 * MINUTE)
    looks = [(get.at - begun).total_seconds() for get in gets(backend.box, "/sms")]
    assert len(looks) <= 20
    assert sum(look < 10 for look in looks) >= 4
    assert all(later - earlier <= 32 for earlier, later in pairwise(looks))


async def test_a_text_in_doubt_delays_no_other(backend: Backend) -> None:
    backend.box.faults.inject(Fault.DROP_BEFORE, method="POST")
    async with backend.running():
        first, second = await backend.place("Text 1"), await backend.place("Text 2")
        assert (await backend.settled(second)).state is OrderState.SENT
        assert (await backend.find(first)).state is OrderState.IN_DOUBT


async def test_an_order_of_a_dead_process_is_resolved_by_the_next_one(
    backend: Backend, tmp_path: Path
) -> None:
    """Only the claim is left of the dead process: its text was accepted, or it was not."""
    async with backend.opened():
        for number in (1, 2):
            await backend.place(f"Text {number}")
            claim = await claim_next((await backend.storage.open()).queue, PACE, backend.checks.recheck_last)
            assert isinstance(claim, Claim)
            if number == 1:
                await backend.dispatcher.send(claim, a_permission())
            backend.clock.advance(SECOND)
    following = Backend(tmp_path, beside=backend)
    async with following.running():
        await following.pass_until(lambda: is_true(len(backend.box.accepted) == 2))
        await following.pass_time(ORDER_LATENESS)
    assert messages(backend) == {"Text 1": 1, "Text 2": 1}


PACE = Pace(gap=timedelta(seconds=0.6), lease=SOON + LEASE_SPARE)
