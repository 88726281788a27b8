"""Events that an open page receives: the state, then each change, until the server stops."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest

from elks_mcp.sandbox import Approvals, Fault, ManualClock, PageContext, Sandbox, WaitingText
from tests.support.clocks import HANG

from .clients import PHONE, open_client, sms
from .serving import serve
from .test_approvals import PLAN, RUNNING, open_desk

pytestmark = pytest.mark.anyio
Event = tuple[str, dict[str, Any]]


async def read_events(answer: httpx2.Response) -> AsyncIterator[Event]:
    """Read server-sent events as a browser does."""
    name = ""
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


@asynccontextmanager
async def open_page(box: Sandbox) -> AsyncIterator[AsyncIterator[Event]]:
    """Serve *box* and follow its events; the server is stopped at the end, with the page still open."""
    with anyio.fail_after(HANG):
        async with httpx2.AsyncClient(trust_env=False, timeout=None) as browser:
            async with serve(box) as address:
                request = browser.build_request("GET", f"{address}/_sandbox/events")
                answer = await browser.send(request, stream=True)
                assert answer.headers["content-type"].startswith("text/event-stream")
                events = read_events(answer)
                yield events
            assert [name async for name, _ in events if name == "state"] == []  # the stream has ended
            await answer.aclose()


async def test_a_page_receives_the_state_and_then_each_change(box: Sandbox) -> None:
    async with open_page(box) as events, open_client(box) as client:
        name, state = await anext(events)
        assert (name, state["summary"]["number"]) == ("state", box.number)
        assert {"number": PHONE[:-2] + "14", "written": "070-174 06 14"} in state["numbers"]
        assert "phones" not in state

        await client.post("sms", data=sms(box, message="Kommer du på lördag? 🎉"))
        name, change = await anext(events)
        (message,), (request,), (phone,) = change["messages"], change["requests"], change["phones"]
        assert (name, message["status"], message["encoding"]) == ("change", "created", "UCS-2")
        assert (request["message_id"], request["status"]) == (message["id"], 200)
        assert json.loads(request["answer"])["id"] == message["id"]
        assert (phone["number"], phone["texts"]) == (PHONE, [])
        assert change["summary"]["balance"] == box.balance

        box.clock.advance(timedelta(seconds=2))
        while change.get("messages", [message])[0]["status"] != "delivered":
            _, change = await anext(events)
        timeline = change["messages"][0]["timeline"]
        assert [status for status, _ in timeline] == ["created", "sent", "delivered"]
        assert [text["message_id"] for text in change["phones"][0]["texts"]] == [message["id"]]
        assert "requests" not in change


async def test_a_page_receives_the_answer_that_a_person_writes_on_a_phone(box: Sandbox) -> None:
    async with open_page(box) as events:
        await anext(events)
        written = box.reply(PHONE, "Jag kommer")
        _, change = await anext(events)
    assert written is not None
    (message,) = change["messages"]
    assert (message["id"], message["direction"], message["status"]) == (written.id, "incoming", None)


async def test_after_a_reset_a_page_receives_the_state_again(box: Sandbox) -> None:
    async with open_client(box) as client:
        await client.post("sms", data=sms(box))
        async with open_page(box) as events:
            _, before = await anext(events)
            await client.post("http://sandbox/_sandbox/reset", json={})
            name, state = await anext(events)
    assert (len(before["messages"]), name) == (1, "state")
    assert "phones" not in state
    assert "messages" not in state


async def test_title_and_snippets_may_change_while_a_page_is_open() -> None:
    context = PageContext(title="Claude Code · salongen")
    box = Sandbox(clock=ManualClock(), page=context)
    async with open_page(box) as events:
        _, state = await anext(events)
        box.page.title = "Cursor · salongen"
        box.page.snippets = {"Cursor": ("{}", "Add it to a file.")}
        _, change = await anext(events)
    assert state["summary"]["title"] == "Claude Code · salongen"
    assert change["summary"]["title"] == "Cursor · salongen"
    assert change["summary"]["snippets"] == {"Cursor": ["{}", "Add it to a file."]}


async def test_a_page_is_shown_even_if_waiting_orders_cannot_be_listed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> list[WaitingText]:
        raise RuntimeError("no database")

    async def decide(_code: str, _approve: bool) -> str:
        return ""

    box = Sandbox(clock=ManualClock(), page=PageContext(approvals=Approvals(fail, decide)))
    async with open_page(box) as events:
        name, _ = await anext(events)
        box.page.title = "Cursor"
        _, change = await anext(events)
    assert (name, change["summary"]["title"]) == ("state", "Cursor")
    assert [each.message for each in caplog.records if each.name.startswith("elks_mcp.sandbox")] == [
        "The texts that wait for a person cannot be listed"
    ]


async def test_a_page_is_notified_when_a_batch_is_planned_or_progresses() -> None:
    desk, box = open_desk()
    async with open_page(box) as events:
        _, state = await anext(events)
        seen = [state["summary"]["waiting"]]
        for batches in ([PLAN], [PLAN, RUNNING], [PLAN, replace(RUNNING, ended=6)], []):
            desk.batches = batches
            _, change = await anext(events)
            seen.append(change["summary"]["waiting"])
    assert len(set(seen)) == 5


async def test_a_request_that_hangs_is_shown_immediately(box: Sandbox) -> None:
    box.faults.inject(Fault.HANG)
    async with open_page(box) as events, open_client(box) as client, anyio.create_task_group() as group:
        await anext(events)
        group.start_soon(lambda: client.get("me", timeout=None))
        _, change = await anext(events)
        group.cancel_scope.cancel()
    assert [(each["fault"], each["status"]) for each in change["requests"]] == [("hang", None)]


async def test_requests_that_read_do_not_displace_those_that_send(box: Sandbox) -> None:
    async with open_client(box) as client:
        await client.post("sms", data=sms(box))
        for _ in range(120):
            await client.get("me")
    async with open_page(box) as events:
        _, state = await anext(events)
    methods = [request["method"] for request in state["requests"]]
    assert (methods.count("POST"), methods.count("GET")) == (1, 100)
    assert [request.answer for request in box.requests if request.method == "GET"][:20] == [""] * 20


async def test_a_head_request_for_the_events_is_answered_and_closed(box: Sandbox) -> None:
    async with open_client(box) as client:
        answer = await client.head("http://sandbox/_sandbox/events")
    assert (answer.status_code, answer.content) == (200, b"")
