"""P13: a scheduled text leaves at its time, or at most `ELKS_LATEST` late, or not at all."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from elks_mcp.sandbox import Fault, Sandbox
from elks_mcp.store import ServerKind
from tests.support.clocks import ManualClock, pass_time
from tests.support.connecting import (
    EITHER_ERA,
    PHONE,
    Era,
    Person,
    box_on,
    call,
    connected,
    data,
    live,
    posted,
    words,
)
from tests.support.web import site

pytestmark = pytest.mark.anyio

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
AT = datetime(2026, 11, 23, 12, 10, tzinfo=UTC)
"""Ten minutes after the clock of these tests begins."""

TEXT = {"to": PHONE, "message": "Hej", "sendAt": AT.isoformat()}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> Sandbox:
    """A 46elks that has the server's clock."""
    return box_on(clock)


@pytest.mark.parametrize("era", EITHER_ERA)
@pytest.mark.parametrize(
    ("late", "is_sent"),
    [(timedelta(), True), (14 * MINUTE, True), (15 * MINUTE + SECOND, False), (timedelta(days=3), False)],
    ids=str,
)
async def test_p13_the_next_server_sends_a_text_up_to_elks_latest_after_its_time_and_then_never(
    box: Sandbox, clock: ManualClock, tmp_path: Path, era: Era, late: timedelta, is_sent: bool
) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path), ELKS_LATEST="15")
    async with connected(environ, box=box, clock=clock, way=era) as client:
        order_id = data(await call(client, "send_sms", **TEXT))["orderId"]
    clock.advance(AT + late - clock.now())
    async with connected(environ, box=box, clock=clock, way=era) as client:
        await pass_time(clock, 20 * SECOND)
        status = await call(client, "check_sms_status", messageId=order_id)
        assert (data(status)["status"] == "expired") is not is_sent
        assert ("Not sent as scheduled: the text to" in words(status)) is not is_sent
        await pass_time(clock, 2 * MINUTE)
    assert len(posted(box)) == int(is_sent)


async def test_p13_a_text_that_46elks_does_not_take_in_time_is_not_sent_later(
    box: Sandbox, clock: ManualClock
) -> None:
    async with connected(live(box, ELKS_LATEST="5"), box=box, clock=clock) as client:
        await call(client, "send_sms", **TEXT)
        box.faults.inject(Fault.TOO_MANY_REQUESTS, method="POST", retry_after=600, times=None)
        await pass_time(clock, 16 * MINUTE)
        assert box.accepted == []
        box.faults.clear()
        listed = await call(client, "get_sms_messages")
        assert "Not sent as scheduled" in words(listed)
        await pass_time(clock, 20 * MINUTE)
    assert box.accepted == []


async def test_p13_setting_the_clock_back_sends_no_text_early(box: Sandbox, clock: ManualClock) -> None:
    async with connected(live(box), box=box, clock=clock) as client:
        await call(client, "send_sms", **TEXT)
        await pass_time(clock, 9 * MINUTE)
        clock.advance(-5 * MINUTE)
        await pass_time(clock, 5 * MINUTE)
        assert posted(box) == []
        await pass_time(clock, 2 * MINUTE)
    assert len(posted(box)) == 1


async def test_p6_p13_a_recipient_who_opts_out_before_the_time_gets_nothing_and_the_caller_is_notified(
    box: Sandbox, clock: ManualClock
) -> None:
    async with connected(live(box), box=box, clock=clock) as client:
        await call(client, "send_sms", **TEXT)
        await pass_time(clock, 5 * MINUTE)
        box.receive(PHONE, "STOP")
        await pass_time(clock, 10 * MINUTE)
        listed = words(await call(client, "list_scheduled"))
    assert posted(box) == []
    assert "Not sent as scheduled" in listed
    assert "opted out" in listed


async def test_p2_p13_a_text_that_costs_more_by_its_time_waits_for_a_person_and_the_caller_is_notified(
    box: Sandbox, clock: ManualClock
) -> None:
    async with connected(live(box), box=box, clock=clock) as client:
        order_id = data(await call(client, "send_sms", **TEXT))["orderId"]
        box.rules.prices["46"] *= 2
        await pass_time(clock, 12 * MINUTE)
        assert posted(box) == []
        listed = words(await call(client, "get_sms_messages")).split("\n")[-1]
        assert listed.startswith("Not sent as scheduled, but waiting: the text to")
        assert f"(order {order_id}). It costs 1.04 SEK now, and 0.52 SEK was approved." in listed
        assert "That can be done in a terminal: `elks-mcp approve A-" in listed
        assert data(await call(client, "check_sms_status", messageId=order_id))["status"] == "waiting"
    assert posted(box) == []


async def test_p5_p13_scheduled_texts_never_exceed_the_cap_of_any_24_hours(
    box: Sandbox, clock: ManualClock
) -> None:
    environ = live(box, ELKS_BUDGET_PER_DAY="1.10")
    async with connected(environ, box=box, clock=clock) as client:
        times = ["2026-11-24T09:00", "2026-11-25T08:00", "2026-11-25T08:30", "2026-11-25T09:30"]
        answers = [await call(client, "send_sms", to=PHONE, message=f"Text {at}", sendAt=at) for at in times]
    assert [answer.is_error for answer in answers] == [False, False, True, False]
    assert "daily_budget" in words(answers[2])


async def test_p1_p13_dry_run_is_not_lifted_for_a_text_that_would_not_be_sent(
    box: Sandbox, clock: ManualClock
) -> None:
    approver = Person()
    async with connected(live(box, DRY_RUN="true"), box=box, clock=clock, person=approver) as client:
        answer = await call(client, "send_sms", **TEXT, dryRun=False)
    assert answer.is_error
    assert "This server is in dry run, so it would not send the text at its time." in words(answer)
    assert (approver.questions, posted(box)) == ([], [])


async def test_p1_p13_a_server_in_dry_run_does_not_send_what_was_scheduled(
    box: Sandbox, clock: ManualClock, tmp_path: Path
) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    async with connected(environ, box=box, clock=clock) as client:
        order_id = data(await call(client, "send_sms", **TEXT))["orderId"]
    async with connected({**environ, "DRY_RUN": "true"}, box=box, clock=clock) as client:
        status = words(await call(client, "check_sms_status", messageId=order_id))
        assert "It is sent only if a client with a live server is open then" in status
        await pass_time(clock, 12 * MINUTE)
        assert posted(box) == []
    async with connected(environ, box=box, clock=clock):
        await pass_time(clock, 20 * SECOND)
    assert len(posted(box)) == 1


async def test_p13_the_answer_names_the_long_running_server_that_will_send_it(tmp_path: Path) -> None:
    clock = ManualClock()
    box = box_on(clock)
    async with site(box, clock=clock, environ=live(box, ELKS_STATE_DIR=str(tmp_path))) as where:
        heartbeats = (await where.app.storage.open()).heartbeats
        await heartbeats.record("another process", ServerKind.HTTP)
        async with where.client() as client:
            answer = await call(client, "send_sms", to=PHONE, message="Hej", sendAt="2026-11-24T13:10")
    sentence = "It is sent by the server that runs now, if it still runs then: `elks-mcp serve --http`."
    assert sentence in words(answer)
