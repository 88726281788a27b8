"""A tool reports each failure of 46elks in time, and the next call works."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest
from mcp import Client

from elks_mcp.sandbox import SAMPLE, Fault, Sandbox
from tests.support.clocks import HANG, ManualClock, autojump
from tests.support.connecting import PHONE, Era, call, connected, data, live, new_box, posted, words

pytestmark = pytest.mark.anyio

CALLS: dict[str, dict[str, Any]] = {
    "send_sms": {"to": PHONE, "message": "Hej"},
    "get_sms_messages": {},
    "check_sms_status": {"messageId": "s" + "0" * 32},
    "estimate_sms_cost": {"to": PHONE, "message": "Hej"},
    "check_account_balance": {},
    "get_delivery_statistics": {},
    "send_mms": {"to": PHONE, "image": f"data:image/png;base64,{b64encode(SAMPLE.content).decode()}"},
    "get_image": {"messageId": "m" + "0" * 32},
}
MMS = {"ELKS_TOOLSETS": "all", "ELKS_MMS_PRICE": "1.25"}

NOT_HARMFUL = {Fault.LATENCY, Fault.STALE_HISTORY, Fault.MISSING_ID, Fault.WRONG_COST, Fault.FAILED_AT_ONCE}
"""Faults that a tool which only reads may not notice."""

ONLY_POSTS = {Fault.ACCEPT_LATE, Fault.ACCEPT_LATE_DROP}
POSTING = {"send_sms", "estimate_sms_cost"}
EACH_WAY = {Fault.UNAVAILABLE, Fault.DROP_BEFORE, Fault.HANG, Fault.HTML}
"""46elks refuses, ends the connection, does not answer, and answers what cannot be read."""

HARMED = [
    pytest.param(fault, tool, marks=() if tool == "send_sms" or fault in EACH_WAY else pytest.mark.long)
    for fault in Fault
    for tool in CALLS
    if fault not in NOT_HARMFUL and (fault not in ONLY_POSTS or tool in POSTING)
]
"""Each fault in a send, and each way to fail in each tool. All faults in all tools are long."""


@pytest.fixture
def box() -> Sandbox:
    """A 46elks that will misbehave."""
    return new_box()


@pytest.fixture
def clock() -> ManualClock:
    """The server's time."""
    return ManualClock()


@asynccontextmanager
async def in_time(clock: ManualClock) -> AsyncIterator[None]:
    """Let time pass by itself, for as long as a request to 46elks and what comes before it may take."""
    begun = clock.now()
    with anyio.fail_after(HANG):
        async with autojump(clock):
            yield
    assert clock.now() - begun <= timedelta(seconds=30)


@pytest.mark.parametrize("era", ["auto", pytest.param("legacy", marks=pytest.mark.long)])
@pytest.mark.parametrize(("fault", "tool"), HARMED)
async def test_each_fault_is_a_clear_error_and_passes(
    box: Sandbox, clock: ManualClock, fault: Fault, tool: str, era: Era
) -> None:
    box.faults.inject(fault, times=None)
    more = MMS if tool in {"send_mms", "get_image"} else {}
    async with connected(live(box, **more), box=box, way=era, clock=clock) as client:
        async with in_time(clock):
            answer = await call(client, tool, **CALLS[tool])
        assert answer.is_error
        assert "46elks" in words(answer)
        assert "Traceback" not in words(answer)
        assert len(words(answer)) < 600
        box.faults.clear()
        assert not (await call(client, "check_account_balance")).is_error
    assert posted(box) == []


WAITS = "It will be sent automatically, "
PAID = {
    Fault.TOO_MANY_REQUESTS: (
        "queued",
        '46elks accepts no more requests for now (429): "Too many requests". ',
    ),
    Fault.CONNECTION_REFUSED: ("queued", "46elks cannot be reached: no connection could be made. "),
    Fault.CONNECT_TIMEOUT: ("queued", "46elks cannot be reached: connecting took too long. "),
    Fault.UNAUTHORIZED: ("queued", "46elks does not accept the API credentials"),
    Fault.ERROR_BEFORE: ("in_doubt", "46elks failed with status 500"),
    Fault.ERROR_AFTER: ("in_doubt", "46elks failed with status 500"),
    Fault.BAD_GATEWAY: ("in_doubt", "46elks failed with status 502"),
    Fault.UNAVAILABLE: ("in_doubt", "46elks failed with status 503"),
    Fault.DROP_BEFORE: ("in_doubt", "was cut before its answer was complete"),
    Fault.DROP_AFTER: ("in_doubt", "was cut before its answer was complete"),
    Fault.HALF_BODY: ("in_doubt", "was cut before its answer was complete"),
    Fault.HTML: ("in_doubt", "46elks' answer could not be read"),
    Fault.NOT_AN_OBJECT: ("in_doubt", "46elks' answer could not be read"),
    Fault.MISSING_ID: ("in_doubt", "46elks' answer could not be read"),
    Fault.EMPTY: ("in_doubt", "46elks' answer could not be read"),
    Fault.HANG: ("in_doubt", "46elks did not answer within 10 seconds"),
    Fault.READ_TIMEOUT: ("in_doubt", "46elks did not answer within 10 seconds"),
    Fault.ACCEPT_LATE: ("in_doubt", "46elks did not answer within 10 seconds"),
    Fault.ACCEPT_LATE_DROP: ("in_doubt", "was cut before its answer was complete"),
}
REFUSED = {
    Fault.FORBIDDEN: '46elks refused the request (403): "Forbidden"',
    Fault.REDIRECT: "redirect (302), which is never followed",
}


ELSEWHERE = {Fault.LATENCY, Fault.STALE_HISTORY, Fault.WRONG_COST, Fault.FAILED_AT_ONCE}


def test_every_fault_has_its_outcome_here() -> None:
    assert set(Fault) == {*PAID, *REFUSED, *ELSEWHERE}


@pytest.mark.parametrize("tool", ["send_sms", "send_mms"])
@pytest.mark.parametrize("fault", PAID)
async def test_the_outcome_of_a_paid_text_or_picture_is_precise_and_it_is_posted_once(
    box: Sandbox, clock: ManualClock, fault: Fault, tool: str
) -> None:
    status, why = PAID[fault]
    box.faults.inject(fault, method="POST", dryrun=False, times=None)
    more = MMS if tool == "send_mms" else {}
    async with connected(live(box, **more), box=box, clock=clock) as client:
        async with in_time(clock):
            answer = await call(client, tool, **CALLS[tool])
            assert not answer.is_error
            assert data(answer)["status"] == status
            assert why in words(answer)
            assert "do not send it again" in words(answer)
            assert (WAITS in words(answer)) == (status == "queued")
            first = "sent" if tool == "send_mms" else "created"
            found = first if box.accepted else data(answer)["status"]
            await followed(client, data(answer)["orderId"], found)
        assert len(posted(box)) <= 1


async def followed(client: Client, order_id: str, status: str) -> None:
    """Look up an order until it has a status; an accepted text is found in history immediately."""
    while True:
        answer = await call(client, "check_sms_status", messageId=order_id)
        if data(answer)["status"] == status.replace("_", " "):
            return
        assert data(answer)["status"] == "in doubt"


async def test_a_waiting_text_names_the_account_without_money_as_the_reason(box: Sandbox) -> None:
    box.balance = 0
    async with connected(live(box), box=box) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej")
        assert data(answer)["status"] == "queued"
        assert "not have enough money" in words(answer)
        behind = await call(client, "send_sms", to=PHONE, message="Hej igen")
        assert data(behind)["status"] == "queued"
        assert "The 46elks account has no money" in words(behind)
    assert len(posted(box)) == 1
    assert box.accepted == []


@pytest.mark.parametrize("fault", REFUSED)
async def test_a_refused_text_is_an_error_and_not_tried_again(box: Sandbox, fault: Fault) -> None:
    box.faults.inject(fault, method="POST", dryrun=False)
    async with connected(live(box), box=box) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej")
    assert answer.is_error
    assert words(answer).startswith("Not sent: ")
    assert REFUSED[fault] in words(answer)
    assert len(posted(box)) == 1


async def test_a_slow_answer_of_46elks_is_awaited() -> None:
    box = Sandbox()
    box.faults.inject(Fault.LATENCY, times=None, duration=timedelta(milliseconds=10))
    async with connected(live(box), box=box) as client:
        assert data(await call(client, "send_sms", to=PHONE, message="Hej"))["status"] == "sent"


async def test_wrong_credentials_have_an_error_of_their_own(box: Sandbox) -> None:
    async with connected(live(box) | {"ELKS_API_PASSWORD": "wrong"}, box=box) as client:
        answer = await call(client, "check_account_balance")
    assert answer.is_error
    assert words(answer).startswith("46elks does not accept the API credentials")
    assert "not the log-in of the web site" in words(answer)
