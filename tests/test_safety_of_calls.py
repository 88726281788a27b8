"""The outcome of a text when its call ends badly, and the name of each outcome.

A caller that disconnects at any moment leaves exactly one outcome, and can look it up afterwards.
"""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from elks_mcp.sandbox import Fault, Sandbox
from tests.sandbox.serving import serve
from tests.support.clocks import HANG, ManualClock, autojump, pass_time
from tests.support.connecting import (
    ERAS,
    PHONE,
    Era,
    SlowPerson,
    box_on,
    call,
    cancel_once,
    connected,
    data,
    live,
    posted,
    until,
    words,
)

pytestmark = pytest.mark.anyio

How = Literal["cancels", "disconnects", "times out"]
HOW: tuple[How, ...] = ("cancels", "disconnects", "times out")

PHASES: dict[str, dict[str, Any]] = {
    "looking for STOP": {"fault": Fault.HANG, "method": "GET", "path": "/sms"},
    "asking for the price": {"fault": Fault.HANG, "method": "POST", "dryrun": True},
    "posting, which is lost": {"fault": Fault.HANG, "method": "POST", "dryrun": False},
    "posting, which is accepted": {"fault": Fault.LATENCY, "method": "POST", "dryrun": False},
    "posting, which is accepted later": {
        "fault": Fault.ACCEPT_LATE,
        "method": "POST",
        "dryrun": False,
        "duration": timedelta(seconds=60),
    },
}


@pytest.fixture
def clock() -> ManualClock:
    """The time, for the server and for 46elks."""
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> Sandbox:
    """A 46elks to text through."""
    return box_on(clock)


async def leave(how: How, environ: dict[str, str], phase: Any, **connection: Any) -> None:
    """Request a text, and disconnect in one of several ways once a phase is reached."""
    if how == "cancels":
        async with connected(environ, **connection) as client:
            await cancel_once(phase, client, to=PHONE, message="Hej")
        return

    async def ask(client: Client, patience: float | None = None) -> None:
        with suppress(MCPError):
            await client.call_tool("send_sms", {"to": PHONE, "message": "Hej"}, patience)

    async with anyio.create_task_group() as calls:
        async with connected(environ, **connection) as client:
            patience = 0.2
            while how == "times out" and not phase():  # on a busy machine it takes longer to get there
                await ask(client, patience)
                patience *= 1.5
            if how == "disconnects":
                calls.start_soon(ask, client)
                await until(phase)
        calls.cancel_scope.cancel()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("era", ["auto", pytest.param("legacy", marks=pytest.mark.long)])
async def test_a_call_cancelled_in_any_phase_has_one_outcome_that_can_be_looked_up(
    box: Sandbox, clock: ManualClock, tmp_path: Path, era: Era, how: How, phase: str
) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    box.faults.inject(**PHASES[phase])
    reached = lambda: any(request.fault for request in box.requests)  # noqa: E731
    await leave(how, environ, reached, box=box, way=era, clock=clock)
    left = len(posted(box))
    assert left == phase.startswith("posting")
    async with connected(environ, box=box, way=era, clock=clock) as client:
        async with autojump(clock):
            again = data(await call(client, "send_sms", to=PHONE, message="Hej"))
        assert again["deduplicated"] is bool(left)
        await pass_time(clock, timedelta(minutes=4))
        await until(lambda: bool(box.accepted))
        await pass_time(clock, timedelta(minutes=4))
        by_order = data(await call(client, "check_sms_status", messageId=again["orderId"]))
        by_call = data(await call(client, "send_sms", to=PHONE, message="Hej"))
    assert by_order["messageId"] == by_call["messageId"] == box.accepted[0].id
    assert by_call["orderId"] == again["orderId"]
    assert len(box.charges) == 1


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("era", ERAS)
async def test_a_call_cancelled_while_a_person_is_asked_sends_nothing(
    box: Sandbox, clock: ManualClock, tmp_path: Path, era: Era, how: How
) -> None:
    person = SlowPerson()
    environ = live(box, ELKS_STATE_DIR=str(tmp_path), ELKS_CONFIRM="always")
    if how == "times out" and era == "auto":
        pytest.skip("in the newer era the question is an answer, so no call lasts that long")
    await leave(how, environ, lambda: bool(person.questions), box=box, way=era, clock=clock, person=person)
    (approval,) = re.findall(r"Approval (A-[0-9A-Z]{4})\.", person.questions[0])
    async with connected(environ, box=box, way=era, clock=clock) as client:
        waiting = await call(client, "check_sms_status", messageId=approval)
        assert words(waiting).startswith("Waiting: a person has to approve it (approval A-")
        assert f"Waiting for approval {approval}" in words(
            await call(client, "send_sms", to=PHONE, message="Hej")
        )
        clock.advance(timedelta(minutes=31))
        await pass_time(clock, timedelta(minutes=1))
        expired = await call(client, "check_sms_status", messageId=approval)
    assert words(expired).startswith("Expired: it could not be sent in time, and will not be sent. No person")
    assert posted(box) == []


# ── the same, 64 times over ──


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.long)])
async def test_64_identical_calls_in_several_processes_send_one_text_and_all_return_its_order(
    tmp_path: Path, processes: int
) -> None:
    box = Sandbox()
    answers: list[dict[str, Any]] = []
    async with serve(box) as url, AsyncExitStack() as stack:
        environ = live(box, ELKS_STATE_DIR=str(tmp_path), ELKS_API_BASE_URL=f"{url}/a1")
        clients = [await stack.enter_async_context(connected(environ, way="stdio")) for _ in range(processes)]

        async def ask(client: Client) -> None:
            answers.append(data(await call(client, "send_sms", to=PHONE, message="Hej")))

        with anyio.fail_after(HANG):
            async with anyio.create_task_group() as calls:
                for client in clients * (64 // processes):
                    calls.start_soon(ask, client)
    assert len(posted(box)) == len(box.charges) == 1
    assert len(answers) == 64
    assert {answer["orderId"] for answer in answers} == {answers[0]["orderId"]}
    assert {(answer["status"], answer["messageId"]) for answer in answers} == {("sent", box.accepted[0].id)}
    assert [answer["deduplicated"] for answer in answers].count(False) == 1


# ── what each end is called ──


@pytest.fixture
async def client(box: Sandbox, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a server that really sends, with somebody who says no to every question."""
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    async with connected(environ, box=box, clock=clock) as client:
        yield client


async def test_sent_names_both_numbers_and_promises_no_delivery(client: Client, box: Sandbox) -> None:
    answer = await call(client, "send_sms", to=PHONE, message="Hej")
    order_id, message_id = data(answer)["orderId"], box.accepted[0].id
    assert words(answer).startswith("Sent: 46elks accepted it; the delivery report comes later.")
    assert f"For its status, call check_sms_status: order {order_id}, 46elks id {message_id}." in words(
        answer
    )


async def test_a_repeated_call_reports_delivered_and_failed(
    client: Client, box: Sandbox, clock: ManualClock
) -> None:
    for to, said in (
        (PHONE, "Delivered: This repeats an earlier call; nothing new was sent. It reached the phone."),
        (
            "+46701740610",
            "Failed: This repeats an earlier call; nothing new was sent. 46elks accepted it",
        ),
    ):
        await call(client, "send_sms", to=to, message="Hej", idempotencyKey=to)
        clock.advance(timedelta(seconds=30))
        await call(client, "get_sms_messages")
        again = await call(client, "send_sms", to=to, message="Hej", idempotencyKey=to)
        assert words(again).startswith(said)


async def test_the_status_is_sending_while_46elks_has_not_answered(client: Client, box: Sandbox) -> None:
    box.faults.inject(Fault.LATENCY, method="POST", dryrun=False)
    await cancel_once(lambda: bool(posted(box)), client, to=PHONE, message="Hej")
    estimate = words(await call(client, "estimate_sms_cost", to=PHONE, message="Hej"))
    (order_id,) = re.findall(r"O-[0-9A-Z]{8}", estimate)
    status = await call(client, "check_sms_status", messageId=order_id)
    assert words(status).startswith("Sending: it is being handed to 46elks; do not send it again.")


async def test_rejected_repeats_the_words_of_46elks_and_says_that_nothing_is_sent(
    client: Client, box: Sandbox, clock: ManualClock
) -> None:
    box.faults.inject(Fault.FORBIDDEN, method="POST", dryrun=False, text="Country disallowed by default")
    answer = await call(client, "send_sms", to=PHONE, message="Hej", idempotencyKey="k")
    assert answer.is_error
    assert words(answer).startswith(
        'Not sent: 46elks refused the request (403): "Country disallowed by default". The country is blocked'
    )
    again = await call(client, "send_sms", to=PHONE, message="Hej", idempotencyKey="k")
    assert words(again) == words(answer), "the key stands for the order, and for what became of it"
    clock.advance(timedelta(seconds=1))
    anew = await call(client, "send_sms", to=PHONE, message="Hej")
    assert data(anew)["status"] == "sent", "without the key it is another try"
    assert len(box.charges) == 1


async def test_in_doubt_says_not_to_send_again_and_is_resolved(
    client: Client, box: Sandbox, clock: ManualClock
) -> None:
    box.faults.inject(Fault.ERROR_AFTER, method="POST", dryrun=False)
    answer = await call(client, "send_sms", to=PHONE, message="Hej")
    assert not answer.is_error
    assert data(answer)["status"] == "in_doubt"
    assert words(answer).startswith("In doubt: 46elks failed with status 500")
    assert "It may have been sent: do not send it again; 46elks' history is being read to find out" in words(
        answer
    )
    assert f"For its status, call check_sms_status: order {data(answer)['orderId']}." in words(answer)
    await pass_time(clock, timedelta(minutes=1))
    status = await call(client, "check_sms_status", messageId=data(answer)["orderId"])
    assert data(status)["messageId"] == box.accepted[0].id


async def test_an_unknown_order_says_what_a_person_can_do_and_is_never_sent_automatically(
    client: Client, box: Sandbox, clock: ManualClock, tmp_path: Path
) -> None:
    box.faults.inject(Fault.DROP_BEFORE, method="POST", dryrun=False)
    doubtful = data(await call(client, "send_sms", to=PHONE, message="Hej"))
    for _ in range(2):
        box.add_history(clock.now(), to=PHONE, sender=box.number, text="Hej")  # somebody else's, or ours?
    await pass_time(clock, timedelta(minutes=4))
    order_id = doubtful["orderId"]
    said = (
        "Whether it was sent is unknown: do not send it again. A person can look at 46elks.com, under SMS "
        "history, and then record in a terminal that it was sent (--sent) or was not (--not-sent): "
        f'`elks-mcp outbox resolve {order_id} --sent --state-dir "{tmp_path}"`.'
    )
    status = await call(client, "check_sms_status", messageId=order_id)
    assert words(status).startswith("Unknown: 46elks' history has a similar message")
    assert said in words(status)
    again = await call(client, "send_sms", to=PHONE, message="Hej")
    assert not again.is_error
    assert (data(again)["status"], data(again)["orderId"]) == ("unknown", order_id)
    assert said in words(again)
    clock.advance(timedelta(hours=2))
    await pass_time(clock, timedelta(minutes=2))
    assert len(posted(box)) == 1


async def test_a_text_that_waited_too_long_expires_with_the_reason(
    client: Client, box: Sandbox, clock: ManualClock
) -> None:
    box.faults.inject(Fault.CONNECTION_REFUSED, method="POST", dryrun=False, times=None)
    queued = data(await call(client, "send_sms", to=PHONE, message="Hej"))
    assert queued["status"] == "queued"
    clock.advance(timedelta(minutes=61))
    await pass_time(clock, timedelta(minutes=2))
    status = await call(client, "check_sms_status", messageId=queued["orderId"])
    assert words(status).startswith(
        "Expired: it could not be sent in time, and will not be sent. 46elks cannot be reached"
    )
    box.faults.clear()
    clock.advance(timedelta(minutes=2))
    assert data(await call(client, "send_sms", to=PHONE, message="Hej"))["deduplicated"] is False


async def test_if_the_state_cannot_be_used_nothing_is_sent_and_the_answer_says_so(
    box: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "outbox.sqlite3").write_bytes(b"no database at all " * 100)
    async with connected(live(box, ELKS_STATE_DIR=str(tmp_path)), box=box) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej")
        dry = await call(client, "check_account_balance")
    assert answer.is_error
    assert words(answer).startswith(
        "Not sent: The database of queued texts cannot be used: its file is damaged"
    )
    assert not dry.is_error
    assert posted(box) == []


async def test_if_the_state_fails_after_the_order_the_answer_does_not_say_that_nothing_is_sent(
    box: Sandbox, clock: ManualClock, tmp_path: Path
) -> None:
    answers = []
    box.faults.inject(Fault.LATENCY, method="POST", dryrun=False, duration=timedelta(seconds=2))

    def rename(old: str, new: str) -> None:
        with closing(sqlite3.connect(tmp_path / "outbox.sqlite3")) as database:
            database.execute(f"ALTER TABLE {old} RENAME TO {new}")

    async with connected(live(box, ELKS_STATE_DIR=str(tmp_path)), box=box, clock=clock) as client:

        async def ask() -> None:
            answers.append(await call(client, "send_sms", to=PHONE, message="Hej"))

        async with anyio.create_task_group() as calls:
            calls.start_soon(ask)
            await until(lambda: bool(posted(box)))
            rename("orders", "mislaid")
            async with autojump(clock):
                await until(lambda: bool(answers))
        rename("mislaid", "orders")
        assert not answers[0].is_error
        assert data(answers[0])["status"] == "sending"
        assert "it is being handed to 46elks; do not send it again." in words(answers[0])
        async with autojump(clock):
            again = data(await call(client, "send_sms", to=PHONE, message="Hej"))
    assert (again["orderId"], again["status"]) == (data(answers[0])["orderId"], "sent")
    assert len(box.charges) == 1
