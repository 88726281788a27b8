"""Faults of the requests about calls: what a client sees, and whether a phone rings."""

from contextlib import suppress
from datetime import timedelta

import anyio
import httpx2
import pytest

from elks_mcp.sandbox import Fault, Sandbox
from elks_mcp.sandbox.faults import is_accepting
from tests.support.clocks import HANG

from .calling import PRESSES_1, SECOND, call, call_form, show, wait
from .clients import open_client

pytestmark = pytest.mark.anyio
F = Fault
NOT_FOR_A_CALL = {F.WRONG_COST, F.STALE_HISTORY}
LATE = {F.LATENCY, F.ACCEPT_LATE, F.ACCEPT_LATE_DROP}
BEEP = {"play": "sound/beep"}


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in NOT_FOR_A_CALL | LATE])
async def test_every_fault_of_a_call_says_whether_a_phone_rings(
    box: Sandbox, client: httpx2.AsyncClient, fault: Fault
) -> None:
    box.faults.inject(fault, method="POST", path="/calls", duration=timedelta(0))
    await client.get("calls")
    assert (await client.post("sms", data={"from": box.number})).text == "Missing key to"
    with suppress(httpx2.TransportError):
        await client.post("calls", data=call_form(box))
    assert len(box.calls.history) == int(is_accepting(fault))
    assert len(box.calls.ringing) == int(is_accepting(fault) and fault is not F.FAILED_AT_ONCE)
    assert box.faults.waiting == []


async def test_a_call_that_fails_immediately_is_in_history_and_is_never_charged(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    box.faults.inject(F.FAILED_AT_ONCE)
    answer = (await client.post("calls", data=call_form(box, PRESSES_1))).json()
    await wait(box, 60)
    shown = await show(box, answer["id"])
    assert (answer["state"], shown["state"], box.charges) == ("failed", "failed", [])


async def test_a_wrong_cost_is_in_history_and_the_right_one_is_charged(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    box.faults.inject(F.WRONG_COST, cost=7, times=2)
    made = await call(box, PRESSES_1, BEEP)
    assert "cost" not in made
    await wait(box, 60)
    listed = (await client.get("calls")).json()["data"][0]
    assert (listed["cost"], (await show(box, made["id"]))["cost"]) == (7, 7)
    assert (await show(box, made["id"]))["cost"] == box.charges[0].amount == 5_700


@pytest.mark.parametrize("fault", [F.ACCEPT_LATE, F.ACCEPT_LATE_DROP, F.LATENCY])
async def test_a_phone_rings_when_a_late_call_is_accepted(box: Sandbox, fault: Fault) -> None:
    box.faults.inject(fault, duration=5 * SECOND)
    answers: list[int] = []

    async def ask() -> None:
        async with open_client(box) as client:
            try:
                answers.append((await client.post("calls", data=call_form(box))).status_code)
            except httpx2.ReadError:
                answers.append(0)

    with anyio.fail_after(HANG):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert len(box.calls.ringing) == int(fault is F.LATENCY)
            box.clock.advance(5 * SECOND)
    assert answers == [0 if fault is F.ACCEPT_LATE_DROP else 200]
    assert len(box.calls.ringing) == 1


async def test_a_lagging_history_shows_a_call_only_later(box: Sandbox, client: httpx2.AsyncClient) -> None:
    box.faults.inject(F.STALE_HISTORY, duration=5 * SECOND, times=None)
    made = await call(box)
    assert (await client.get("calls")).json() == {"data": []}
    assert (await client.get(f"calls/{made['id']}")).status_code == 404
    box.clock.advance(5 * SECOND)
    assert [item["id"] for item in (await client.get("calls")).json()["data"]] == [made["id"]]


@pytest.mark.parametrize("fault", [F.MISSING_ID, F.NOT_AN_OBJECT, F.WRONG_COST])
async def test_a_fault_of_json_leaves_a_recording_alone(box: Sandbox, fault: Fault) -> None:
    made = await call(box, PRESSES_1, {"record": "https://example.com/wav", "timelimit": 1})
    await wait(box, 10)
    box.faults.inject(fault)
    async with open_client(box) as client:
        sound = await client.get(f"recordings/{made['id']}-r0.wav")
    assert (sound.status_code, sound.content[:4]) == (200, b"RIFF")
