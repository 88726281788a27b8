"""The promises, for calls, and those that are the same for calls, pictures and alerts.

P1, P2, P4, P5, P7, P8 and P10 of calls are in `mcp_server/tools/test_calls.py`, P9 in `store/test_calls.py`.
"""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)

from elks_mcp.sandbox import Sandbox
from tests.images.drawing import draw
from tests.sandbox.serving import serve
from tests.support.alert_cases import FIRST, SECOND_PERSON, open_team
from tests.support.call_cases import POLLED, called
from tests.support.clocks import ManualClock, autojump, pass_time
from tests.support.connecting import (
    PHONE,
    Person,
    box_on,
    call,
    connected,
    data,
    live,
    posted,
    words,
)
from tests.support.mms_cases import data_url
from tests.support.process import Process, running
from tests.test_promises_to_operators import WATCHED

pytestmark = pytest.mark.anyio

PNG = draw("PNG")
SILENT, BUSY = "+46701740621", "+46701740624"
CALL = {"to": SILENT, "say": "The site is down. Press 1.", "ask": 1}
MMS = {"to": PHONE, "image": data_url(PNG), "message": "Titta!"}
EVERYTHING = {**POLLED, "ELKS_TOOLSETS": "all", "ELKS_MMS_PRICE": "1.25"}


def left(box: Sandbox) -> int:
    """Count the paid requests that reached 46elks."""
    return len(called(box)) + len(posted(box))


@asynccontextmanager
async def everything(clock: ManualClock, **environ: str) -> AsyncIterator[tuple[Sandbox, Client]]:
    """Connect to a server with all tools, whose calls 46elks speaks."""
    box = box_on(clock)
    settings = live(box, **EVERYTHING, **environ)
    async with connected(settings, box=box, clock=clock, person=Person()) as client, autojump(clock):
        yield box, client


# ── P3 ──


@pytest.mark.parametrize(("tool", "arguments"), [("call_phone", CALL), ("send_mms", MMS)])
async def test_p3_the_answer_to_a_question_releases_one_call_or_mms_however_often_it_is_sent(
    tool: str, arguments: dict[str, Any]
) -> None:
    clock = ManualClock()
    async with everything(clock, ELKS_CONFIRM="always") as (box, client):
        asked = await client.session.call_tool(tool, arguments, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        assert left(box) == 0
        answers = [await answer_by_hand(client, tool, arguments, asked) for _ in range(3)]
        assert [data(each)["deduplicated"] for each in answers] == [False, True, True]
        with pytest.raises(MCPError, match="requestState"):
            await answer_by_hand(client, tool, {**arguments, "to": "+46701740625"}, asked)
    assert left(box) == 1


async def answer_by_hand(
    client: Client, tool: str, arguments: dict[str, Any], asked: InputRequiredResult
) -> CallToolResult:
    """Approve what a question is about, in the newer era."""
    [(name, question)] = (asked.input_requests or {}).items()
    assert isinstance(question, ElicitRequest)
    assert isinstance(question.params, ElicitRequestFormParams)
    ticks = dict.fromkeys(question.params.requested_schema["properties"], True)
    answers: dict[str, Any] = {name: ElicitResult(action="accept", content=ticks)}
    result = await client.session.call_tool(
        tool, arguments, input_responses=answers, request_state=asked.request_state
    )
    assert isinstance(result, CallToolResult)
    return result


async def test_p3_an_approval_of_a_call_works_once() -> None:
    clock, person = ManualClock(), Person()
    box = box_on(clock)
    more = {"ELKS_CONFIRM": "always", "ELKS_GUARDS_OFF": "repeated,night,velocity"}
    settings = live(box, **POLLED | more)
    async with connected(settings, box=box, clock=clock, person=person) as client, autojump(clock):
        for _ in range(2):
            await call(client, "call_phone", **CALL)
    assert len(person.questions) == len(called(box)) == 2


# ── P6 ──

STOPS = ["STOP", "Stopp!", "sluta", "Sluta skicka mms till mig"]


@pytest.mark.parametrize("has_picture", [True, False])
@pytest.mark.parametrize("word", STOPS)
async def test_p6_a_stop_as_an_mms_ends_texts_pictures_and_calls(word: str, has_picture: bool) -> None:
    clock = ManualClock()
    async with everything(clock) as (box, client):
        await call(client, "send_mms", **MMS)
        box.receive(PHONE, word, pictures=[PNG] if has_picture else [])
        await pass_time(clock, timedelta(minutes=2))
        before = left(box)
        for tool, arguments in (
            ("send_sms", {"to": PHONE, "message": "Hej"}),
            ("send_mms", {**MMS, "message": "Igen"}),
            ("call_phone", {**CALL, "to": PHONE}),
        ):
            refused = await call(client, tool, **arguments)
            assert refused.is_error
            assert "opted_out" in words(refused), (tool, words(refused))
        assert left(box) == before


@pytest.mark.parametrize("word", STOPS[:3])
async def test_p6_a_responder_who_wrote_stop_with_a_picture_is_left_out_of_an_alert_and_named(
    tmp_path: Path, word: str
) -> None:
    async with open_team(tmp_path, shared={"ELKS_TOOLSETS": "sms,mms,inbox,escalation"}) as team:
        team.box.receive(FIRST, word, pictures=[PNG])
        await team.pass_time(2)
        raised = await team.alert()
        await team.pass_time(20)
        assert team.reached == [SECOND_PERSON]
        assert "Åsa Lind" in json.dumps(raised, ensure_ascii=False)


# ── P11 to P13 ──


def use_all_kinds(server: Process, message_id: str) -> list[dict[str, Any]]:
    """Send a picture, look at one, call two phones, and raise an alert that no server carries on."""
    server.initialize()
    calls: list[tuple[str, dict[str, Any]]] = [
        ("send_mms", MMS),
        ("send_mms", {**MMS, "image": "https://example.com/cat.png"}),
        ("call_phone", {**CALL, "to": BUSY}),
        ("call_phone", {**CALL, "say": "Driften är nere."}),
        ("list_calls", {}),
        ("get_recording", {"recordingId": "c" + "0" * 32 + "-r0"}),
        ("alert_until_acknowledged", {"message": "Disken är full", "policy": "jour"}),
        ("get_image", {"messageId": message_id}),
    ]
    return [server.call(name, **arguments) for name, arguments in calls]


async def test_p11_p12_pictures_and_calls_use_only_46elks_and_write_only_the_protocol(tmp_path: Path) -> None:
    box = Sandbox()
    script, watch, policies = (tmp_path / name for name in ("watched.py", "watch.log", "paging.yaml"))
    script.write_text(WATCHED, "utf-8")
    watch.touch()
    step = f'{{whom: "{BUSY}", by: call, wait: 5}}'
    policies.write_text(f"policies:\n  jour:\n    cost_cap: 50\n    steps: [{step}]\n", "utf-8")
    received = box.receive(PHONE, "", pictures=[PNG])
    box.rules.picture_address = "http://127.0.0.1:9/evil"
    async with serve(box) as url:
        more = {"ELKS_API_BASE_URL": f"{url}/a1", "ELKS_ESCALATION": str(policies), "WATCH": str(watch)}
        environ = live(box, **EVERYTHING, **more, ELKS_POLL_SECONDS="1")
        with running(environ, tmp_path, command=(sys.executable, str(script))) as server:
            answers = await anyio.to_thread.run_sync(use_all_kinds, server, received.id)
            assert await anyio.to_thread.run_sync(server.close) == 0
        port = url.rpartition(":")[2]
    assert (len(posted(box)), len(called(box))) == (1, 1), answers[3]
    seen = [json.loads(line) for line in watch.read_text("utf-8").splitlines()]
    assert seen
    assert [(event, args) for event, args in seen if "127.0.0.1" not in args or port not in args] == []
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in server.lines)


async def test_p13_a_call_cannot_be_scheduled() -> None:
    clock = ManualClock()
    async with everything(clock) as (box, client):
        for arguments in ({"sendAt": "2027-01-01T09:00"}, {"send_at": "2027-01-01T09:00"}):
            refused = await call(client, "call_phone", **CALL, **arguments)
            assert "has no argument" in words(refused)
        assert called(box) == []
