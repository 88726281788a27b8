"""Every fault of the sandbox, against every tool of the toolset `calls`."""

from datetime import timedelta
from typing import Any

import anyio
import pytest
from mcp_types import CallToolResult

from elks_mcp.sandbox import Fault, Sandbox
from tests.support.call_cases import POLLED
from tests.support.clocks import HANG, ManualClock, SandboxClock, autojump, pass_time
from tests.support.connecting import call, connected, data, live

pytestmark = pytest.mark.anyio

PHONE = "+46701740621"
"""A phone that is answered, and on which nothing is pressed."""

SAID = {"to": PHONE, "say": "The site is down. Press 1.", "ask": 1}
STATUSES = {"sent", "queued", "in_doubt", "unknown", "delivered", "failed", "sending"}


async def run(fault: Fault, method: str, path: str, tool: str, **arguments: Any) -> list[CallToolResult]:
    """Call a tool twice, with a fault the first time; nobody may be called twice."""
    clock = ManualClock()
    box = Sandbox(clock=SandboxClock(clock))
    with anyio.fail_after(HANG):
        async with connected(live(box, **POLLED), box=box, clock=clock) as client, autojump(clock):
            await call(client, "list_calls")  # what every call reads first is read
            if method == "POST":
                box.faults.inject(fault, method="POST", path=path)
            else:
                box.faults.inject(fault, method="GET", path=f"{path}*")
            first = await call(client, tool, **arguments)
            await pass_time(clock, timedelta(minutes=5))
            box.faults.clear()
            again = await call(client, tool, **arguments)
            assert len([each for each in box.calls.history if each.started_at]) <= 1
    return [first, again]


@pytest.mark.parametrize("fault", Fault)
async def test_p4_a_call_is_never_made_twice_after_any_answer_of_46elks(fault: Fault) -> None:
    first, again = await run(fault, "POST", "/calls", "call_phone", **SAID)
    for answer in (first, again):
        assert answer.is_error or data(answer)["status"] in STATUSES
    if fault in {Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.HALF_BODY, Fault.EMPTY, Fault.MISSING_ID}:
        assert data(first)["status"] in {"in_doubt", "sent", "delivered"}


@pytest.mark.parametrize("fault", Fault)
async def test_while_a_call_cannot_be_followed_its_outcome_is_open(fault: Fault) -> None:
    first, again = await run(fault, "GET", "/calls", "call_phone", **SAID)
    for answer in (first, again):
        assert not answer.is_error
        assert data(answer)["status"] in STATUSES


@pytest.mark.parametrize(
    "fault", [each for each in Fault if each not in {Fault.ACCEPT_LATE, Fault.ACCEPT_LATE_DROP}]
)
async def test_a_list_of_calls_that_fails_works_the_next_time(fault: Fault) -> None:
    _, again = await run(fault, "GET", "/calls", "list_calls")
    assert not again.is_error


@pytest.mark.parametrize("fault", Fault)
async def test_a_recording_that_cannot_be_fetched_is_an_error_and_no_sound(fault: Fault) -> None:
    for answer in await run(fault, "GET", "/calls", "get_recording", recordingId=f"c{'0' * 32}-r0"):
        assert answer.is_error
        assert len(answer.content) == 1
