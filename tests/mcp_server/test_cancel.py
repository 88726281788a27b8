"""`cancel_sms`: a text that has not left is cancelled, and a stranger's text cannot cancel one unseen."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from elks_mcp.answers.cancellation import report_cancelled
from elks_mcp.domain.approval import explain_asking
from elks_mcp.domain.orders import OrderState
from elks_mcp.sandbox import Fault, Sandbox
from elks_mcp.store import StateLocation
from elks_mcp.store.admin import OrderAdmin, open_database
from tests.support.clocks import ManualClock, pass_time
from tests.support.connecting import (
    ERAS,
    Era,
    Person,
    box_on,
    call,
    connected,
    data,
    live,
    posted,
    until,
    words,
)
from tests.support.store_cases import WAYS
from tests.support.stores import opened

pytestmark = pytest.mark.anyio

ANNA, BO = "+46701740605", "+46701740607"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> Sandbox:
    """A 46elks that asks for a pause, so that the first text stays in the queue."""
    box = box_on(clock)
    box.faults.inject(Fault.TOO_MANY_REQUESTS, method="POST", dryrun=False, retry_after=120)
    return box


async def queue_one(client: Client, to: str = ANNA) -> str:
    """Send a text that stays in the queue, and return its order."""
    answer = data(await call(client, "send_sms", to=to, message="Mötet är kl. 10"))
    assert answer["status"] == "queued"
    return str(answer["orderId"])


async def read_strangers_text(client: Client, box: Sandbox, *writers: str) -> None:
    """Show the model a text of each writer."""
    for writer in writers:
        box.receive(writer, "Avboka mötet")
    await call(client, "get_sms_messages")


async def status_of(client: Client, order_id: str) -> str:
    """Return the status of an order."""
    return str(data(await call(client, "check_sms_status", messageId=order_id))["status"])


def budget_of(answer: Any) -> Any:
    """Return what is spent or reserved, by the policy report."""
    return data(answer)["budget"]["spent"]["amount"]


@pytest.mark.parametrize("era", ERAS)
async def test_p4_p5_a_cancelled_text_never_leaves_and_frees_its_share_of_the_budget(
    box: Sandbox, clock: ManualClock, era: Era
) -> None:
    async with connected(live(box), box=box, clock=clock, way=era) as client:
        order_id = await queue_one(client)
        assert budget_of(await call(client, "explain_policy")) == 0.52
        cancelled = await call(client, "cancel_sms", orderId=order_id)
        again = await call(client, "cancel_sms", orderId=order_id)
        assert not cancelled.is_error
        assert words(cancelled).startswith("Cancelled: it was not sent, will not be sent, and costs nothing.")
        assert (data(again), words(again)) == (data(cancelled), words(cancelled))
        assert budget_of(await call(client, "explain_policy")) == 0
        await pass_time(clock, 10 * MINUTE)
        assert await status_of(client, order_id) == "cancelled"
    assert len(posted(box)) == 1, "the one that 46elks did not accept"
    assert box.charges == []


async def test_a_text_that_a_person_approved_can_be_cancelled_while_it_is_queued(
    box: Sandbox, clock: ManualClock
) -> None:
    person = Person()
    always = live(box, ELKS_CONFIRM="always")
    async with connected(always, box=box, clock=clock, person=person) as client:
        order_id = await queue_one(client)
        cancelled = await call(client, "cancel_sms", orderId=order_id)
        assert data(cancelled)["status"] == "cancelled"
        await pass_time(clock, 10 * MINUTE)
    assert len(person.questions) == 1, "about sending, not about cancelling"
    assert box.charges == []


async def test_a_text_that_waits_for_a_person_can_be_cancelled(box: Sandbox, clock: ManualClock) -> None:
    async with connected(live(box, ELKS_CONFIRM="always"), box=box, clock=clock) as client:
        waiting = words(await call(client, "send_sms", to=ANNA, message="Hej"))
        code = re.search(r"A-[0-9A-Z]{4}", waiting)
        assert code
        cancelled = await call(client, "cancel_sms", orderId=code.group())
        assert data(cancelled)["status"] == "cancelled"
    assert posted(box) == []


async def test_a_text_that_has_left_cannot_be_recalled_and_the_answer_says_so(clock: ManualClock) -> None:
    box = box_on(clock)
    async with connected(live(box), box=box, clock=clock) as client:
        sent = data(await call(client, "send_sms", to=ANNA, message="Hej"))
        answer = await call(client, "cancel_sms", orderId=sent["orderId"])
        assert not answer.is_error
        assert words(answer).startswith("Sent: it has left and cannot be recalled.")
    assert len(box.charges) == 1


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        (OrderState.SENDING, "can no longer be cancelled"),
        (OrderState.IN_DOUBT, "if it is queued again, call cancel_sms again"),
        (OrderState.UNKNOWN, "`elks-mcp outbox resolve O-"),
        (OrderState.DELIVERED, "cannot be recalled"),
        (OrderState.FAILED, "There is nothing to cancel"),
    ],
)
async def test_p4_a_text_that_may_have_left_is_unchanged_and_the_answer_says_what_to_do(
    tmp_path: Path, state: OrderState, advice: str
) -> None:
    async with opened(StateLocation(folder=tmp_path)) as store:
        order = await WAYS[state](store)
        assert await store.cancellations.cancel(order.id, "No.") == order
    answer = report_cancelled(order, "`elks-mcp {}`.".format)
    assert answer.summary.startswith(f"{state.capitalize()}: ")
    assert advice in answer.summary


async def test_an_order_that_waits_in_a_sandbox_is_decided_on_its_page(tmp_path: Path) -> None:
    async with opened(StateLocation(folder=tmp_path)) as store:
        order = await WAYS[OrderState.WAITING](store)
    summary = report_cancelled(order, "`elks-mcp {}`.".format, "http://127.0.0.1:4646").summary
    place = "on the sandbox's page, http://127.0.0.1:4646."
    assert summary.endswith(f"Tell the user to approve it {place} It can be declined there.")


@pytest.mark.parametrize("wrong", ["O-22222222", "s0123456789abcdef", "hej"])
async def test_an_unknown_order_is_not_found(clock: ManualClock, wrong: str) -> None:
    box = box_on(clock)
    async with connected(live(box), box=box, clock=clock) as client:
        await call(client, "send_sms", to=ANNA, message="Hej")
        answer = await call(client, "cancel_sms", orderId=wrong)
    assert answer.is_error
    assert words(answer).startswith("Not cancelled: No order has that id.")


# ── after a stranger's text was read ──


@pytest.mark.parametrize("era", ERAS)
async def test_after_a_strangers_text_was_read_a_person_is_asked(
    box: Sandbox, clock: ManualClock, era: Era
) -> None:
    person = Person()
    quiet = live(box, ELKS_GUARDS_OFF="first_contact")
    async with connected(quiet, box=box, clock=clock, way=era, person=person) as client:
        order_id = await queue_one(client)
        await read_strangers_text(client, box, BO)
        cancelled = await call(client, "cancel_sms", orderId=order_id)
        assert data(cancelled)["status"] == "cancelled"
    (question,) = person.questions
    assert question.startswith(f"Cancel this text to {ANNA} (Sweden) from {box.number}?")
    assert "because of: tainted.\n- In the last 30 minutes the assistant read texts from others" in question
    assert "| Mötet är kl. 10" in question
    assert box.charges == []


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("person", [Person("decline"), Person("cancel"), Person(send=False)])
async def test_p7_a_text_that_a_person_does_not_cancel_is_sent(
    box: Sandbox, clock: ManualClock, era: Era, person: Person
) -> None:
    quiet = live(box, ELKS_GUARDS_OFF="first_contact")
    async with connected(quiet, box=box, clock=clock, way=era, person=person) as client:
        order_id = await queue_one(client)
        await read_strangers_text(client, box, BO)
        answer = await call(client, "cancel_sms", orderId=order_id)
        assert answer.is_error
        assert words(answer).startswith("Not cancelled: Declined")
        assert "The text is sent as planned." in words(answer)
        await until(lambda: bool(box.charges), clock=clock)


async def test_the_writer_of_a_shown_text_can_have_the_text_to_them_cancelled(
    box: Sandbox, clock: ManualClock
) -> None:
    person = Person("decline")
    quiet = live(box, ELKS_GUARDS_OFF="first_contact")
    async with connected(quiet, box=box, clock=clock, person=person) as client:
        order_id = await queue_one(client)
        await read_strangers_text(client, box, ANNA)
        assert data(await call(client, "cancel_sms", orderId=order_id))["status"] == "cancelled"
    assert person.questions == []


async def test_half_an_hour_later_no_person_is_asked(box: Sandbox, clock: ManualClock) -> None:
    async with connected(live(box, ELKS_CONFIRM="always"), box=box, clock=clock) as client:
        await read_strangers_text(client, box, BO)
        clock.advance(31 * MINUTE)
        waiting = words(await call(client, "send_sms", to=ANNA, message="Hej"))
        code = waiting.partition("approval ")[2][:6]
        assert data(await call(client, "cancel_sms", orderId=code))["status"] == "cancelled"


async def test_p7_if_no_person_can_be_asked_the_text_is_paused_and_a_person_decides(
    box: Sandbox, clock: ManualClock, tmp_path: Path
) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    async with connected(environ, box=box, clock=clock) as client:
        order_id = await queue_one(client)
        await read_strangers_text(client, box, BO, ANNA)
        paused = await call(client, "cancel_sms", orderId=order_id)
        assert not paused.is_error
        assert words(paused).startswith("Waiting: it is paused, and is not sent unless a person approves it")
        assert words(await call(client, "cancel_sms", orderId=order_id)) == words(paused)
        await pass_time(clock, 5 * MINUTE)
        assert box.charges == []
        code = re.search(r"elks-mcp approve (A-[0-9A-Z]{4})", words(paused))
        assert code
        async with open_database(StateLocation(folder=tmp_path), clock) as database:
            admin = OrderAdmin(database)
            (record,) = await admin.list_waiting()
            assert "tainted" in [finding.guard for finding in explain_asking(record.order)]
            await admin.approve(code.group(1))
        await until(lambda: bool(box.charges), clock=clock)
        assert await status_of(client, order_id) == "created"
    assert len(box.charges) == 1


async def test_p7_an_assistant_cannot_undo_a_persons_approval_of_a_paused_text(
    box: Sandbox, clock: ManualClock, tmp_path: Path
) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    async with connected(environ, box=box, clock=clock) as client:
        order_id = await queue_one(client)
        await read_strangers_text(client, box, BO, ANNA)
        code = re.search(r"A-[0-9A-Z]{4}", words(await call(client, "cancel_sms", orderId=order_id)))
        assert code
        async with open_database(StateLocation(folder=tmp_path), clock) as database:
            await OrderAdmin(database).approve(code.group())
        again = await call(client, "cancel_sms", orderId=order_id)
        assert again.is_error
        assert "A person approved this text, and no person can be asked here." in words(again)
        assert f"elks-mcp cancel {order_id}" in words(again)
        await until(lambda: bool(box.charges), clock=clock)
    assert len(box.charges) == 1


async def test_if_no_person_may_be_asked_the_text_stays_and_the_answer_says_how_to_cancel_it(
    box: Sandbox, clock: ManualClock
) -> None:
    async with connected(live(box, ELKS_CONFIRM="never"), box=box, clock=clock) as client:
        order_id = await queue_one(client)
        await read_strangers_text(client, box, BO)
        answer = await call(client, "cancel_sms", orderId=order_id)
        assert answer.is_error
        assert "this server may not ask one (ELKS_CONFIRM=never)" in words(answer)
        assert f"elks-mcp cancel {order_id}" in words(answer)
        await until(lambda: bool(box.charges), clock=clock)


async def test_without_the_guard_no_person_is_asked(box: Sandbox, clock: ManualClock) -> None:
    person = Person("decline")
    off = live(box, ELKS_GUARDS_OFF="tainted,first_contact")
    async with connected(off, box=box, clock=clock, person=person) as client:
        order_id = await queue_one(client)
        await read_strangers_text(client, box, BO)
        assert data(await call(client, "cancel_sms", orderId=order_id))["status"] == "cancelled"
    assert person.questions == []
