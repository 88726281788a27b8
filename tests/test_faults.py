"""Whatever 46elks does, a tool says so in time and in words, and the server is well on the next call."""

from datetime import timedelta
from typing import Any

import anyio
import pytest

from elks_mcp.sandbox import Fault, Sandbox

from .connecting import ERAS, PHONE, Era, call, connected, data, live, new_box, posted, words

pytestmark = pytest.mark.anyio

TIMEOUT = 0.3
MARGIN = 5.0
"""Much more than a little, since test machines stall; a hang that is not cut off takes for ever."""

CALLS: dict[str, dict[str, Any]] = {
    "send_sms": {"to": PHONE, "message": "Hej"},
    "get_sms_messages": {},
    "check_sms_status": {"messageId": "s" + "0" * 32},
    "estimate_sms_cost": {"to": PHONE, "message": "Hej"},
    "check_account_balance": {},
    "get_delivery_statistics": {},
}
NOT_HARMFUL = {Fault.LATENCY, Fault.STALE_HISTORY, Fault.MISSING_ID}
"""What a tool that only asks may not even notice."""


@pytest.fixture
def box() -> Sandbox:
    """A 46elks that will misbehave."""
    return new_box()


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("tool", CALLS)
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in NOT_HARMFUL])
async def test_each_fault_is_a_clear_error_and_passes(
    box: Sandbox, fault: Fault, tool: str, era: Era
) -> None:
    box.faults.inject(fault, times=None)
    async with connected(live(box, ELKS_TIMEOUT=str(TIMEOUT)), box=box, way=era) as client:
        with anyio.fail_after(TIMEOUT + MARGIN):
            answer = await call(client, tool, **CALLS[tool])
        assert answer.is_error
        assert "46elks" in words(answer)
        assert "Traceback" not in words(answer)
        assert len(words(answer)) < 600
        box.faults.clear()
        assert not (await call(client, "check_account_balance")).is_error
    assert posted(box) == []


PAID = {
    Fault.TOO_MANY_REQUESTS: ("queued", "tried again by itself"),
    Fault.CONNECTION_REFUSED: ("queued", "tried again by itself"),
    Fault.CONNECT_TIMEOUT: ("queued", "tried again by itself"),
    Fault.ERROR_BEFORE: ("in_doubt", "do not send it again"),
    Fault.ERROR_AFTER: ("in_doubt", "do not send it again"),
    Fault.BAD_GATEWAY: ("in_doubt", "do not send it again"),
    Fault.UNAVAILABLE: ("in_doubt", "do not send it again"),
    Fault.DROP_BEFORE: ("in_doubt", "do not send it again"),
    Fault.DROP_AFTER: ("in_doubt", "do not send it again"),
    Fault.HALF_BODY: ("in_doubt", "do not send it again"),
    Fault.HTML: ("in_doubt", "do not send it again"),
    Fault.NOT_AN_OBJECT: ("in_doubt", "do not send it again"),
    Fault.MISSING_ID: ("in_doubt", "do not send it again"),
    Fault.EMPTY: ("in_doubt", "do not send it again"),
    Fault.HANG: ("in_doubt", "do not send it again"),
    Fault.READ_TIMEOUT: ("in_doubt", "do not send it again"),
}
REFUSED = {
    Fault.UNAUTHORISED: "does not accept the API credentials",
    Fault.FORBIDDEN: '46elks refused it (403): "Forbidden"',
    Fault.REDIRECT: "redirect (302), which is never followed",
}


def test_every_fault_has_its_outcome_here() -> None:
    assert set(Fault) == {*PAID, *REFUSED, Fault.LATENCY, Fault.STALE_HISTORY}


@pytest.mark.parametrize("fault", PAID)
async def test_what_happens_to_a_paid_text_is_told_precisely_and_it_is_posted_once(
    box: Sandbox, fault: Fault
) -> None:
    status, advice = PAID[fault]
    box.faults.inject(fault, method="POST", dryrun=False, times=None)
    async with connected(live(box, ELKS_TIMEOUT=str(TIMEOUT)), box=box) as client:
        with anyio.fail_after(TIMEOUT + MARGIN):
            answer = await call(client, "send_sms", to=PHONE, message="Hej")
        assert not answer.is_error
        assert data(answer)["status"] == status
        assert advice in words(answer)
        followed = await call(client, "check_sms_status", messageId=data(answer)["orderId"])
        assert data(followed)["status"] == status.replace("_", " ")
        assert len(posted(box)) <= 1


@pytest.mark.parametrize("fault", REFUSED)
async def test_a_refused_text_is_an_error_and_not_tried_again(box: Sandbox, fault: Fault) -> None:
    box.faults.inject(fault, method="POST", dryrun=False)
    async with connected(live(box), box=box) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej")
    assert answer.is_error
    assert words(answer).startswith("Not sent: ")
    assert REFUSED[fault] in words(answer)
    assert len(posted(box)) == 1


async def test_a_slow_46elks_is_waited_for() -> None:
    box = Sandbox()
    box.faults.inject(Fault.LATENCY, times=None, duration=timedelta(milliseconds=10))
    async with connected(live(box), box=box) as client:
        assert data(await call(client, "send_sms", to=PHONE, message="Hej"))["status"] == "sent"


async def test_wrong_credentials_are_told_apart_from_everything_else(box: Sandbox) -> None:
    async with connected(live(box) | {"ELKS_API_PASSWORD": "wrong"}, box=box) as client:
        answer = await call(client, "check_account_balance")
    assert answer.is_error
    assert words(answer).startswith("46elks does not accept the API credentials")
    assert "not the log-in of the web site" in words(answer)
