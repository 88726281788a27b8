"""Limits of one caller of a shared server, over real HTTP: it is refused, and others are served."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Literal

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import TextResourceContents

from elks_mcp.domain.caller_limits import Use, limits_per_caller
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.mcp_server.server import list_tools
from elks_mcp.sandbox import Sandbox
from tests.support.clocks import ManualClock
from tests.support.connecting import (
    ERAS,
    PHONE,
    Era,
    call,
    connected,
    data,
    live,
    new_box,
    posted,
    until,
    words,
)
from tests.support.token_cases import ask, tool_call
from tests.support.web import Site, http_client, site

pytestmark = pytest.mark.anyio

_INBOX = "elks://inbox"
_POLICY = "elks://policy"


@asynccontextmanager
async def two_callers(
    *limited: Use, clock: ManualClock | None = None
) -> AsyncIterator[tuple[Sandbox, Site, str, str]]:
    """Serve with a limit of two per caller; return the tokens of a greedy caller and another."""
    box = new_box()
    async with site(box, limits=dict.fromkeys(limited, 2), clock=clock) as where:
        yield box, where, await where.token("greedy"), await where.token("other")


async def gets_through(where: Site, token: str) -> bool:
    """Return whether a caller is served."""
    return (await ask(where, "tools/call", tool_call("explain_policy"), token=token)).status_code == 200


def refused(answer: httpx2.Response) -> bool:
    """Return whether an answer says that its caller has reached the limit, and when to retry."""
    is_over = answer.status_code == 429 and int(answer.headers["retry-after"]) > 0
    return is_over and "which is the limit for one caller" in answer.json()["error_description"]


# ── shares ──


async def test_a_caller_with_too_many_calls_under_way_gets_429_and_another_is_served() -> None:
    async with two_callers(Use.CALLS) as (_, where, greedy, other), anyio.create_task_group() as tasks:
        wait = {"name": "wait_for_reply", "arguments": {"timeout": 60}}
        for _ in range(2):
            tasks.start_soon(lambda: ask(where, "tools/call", wait, token=greedy))
        await until(lambda: where.app.replies.waiting_count == 2)
        assert refused(await ask(where, "tools/list", token=greedy))
        assert await gets_through(where, other)
        where.app.replies.stop()
        await until(lambda: where.app.replies.waiting_count == 0)


async def test_a_caller_that_sends_too_many_bodies_at_once_gets_429_and_another_is_served() -> None:
    async with two_callers(Use.BODIES) as (_, where, greedy, other), AsyncExitStack() as stack:
        head = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {greedy}\r\n"
        head += "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"
        for _ in range(2):
            port = int(where.url.rpartition(":")[2])
            stream = await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port))
            await stream.send(head.encode())
            assert b"100 Continue" in await stream.receive()  # so the body is waited for
        assert refused(await ask(where, "tools/list", token=greedy))
        assert await gets_through(where, other)


async def test_a_caller_with_too_many_streams_gets_no_further_one_and_another_does() -> None:
    async with (
        two_callers(Use.STREAMS) as (_, where, greedy, other),
        where.client(token=greedy) as ours,
        where.client(token=other) as theirs,
        AsyncExitStack() as stack,
    ):
        for _ in range(2):
            await stack.enter_async_context(ours.listen(resource_subscriptions=[_POLICY]))
        with pytest.raises(MCPError, match="streams and subscriptions, which is the limit for one caller"):
            await stack.enter_async_context(ours.listen(resource_subscriptions=[_POLICY]))
        await stack.enter_async_context(theirs.listen(resource_subscriptions=[_POLICY]))
        assert where.web.updates.stream_count == 3


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_one_caller_cannot_take_all_streams_of_the_older_era() -> None:
    """With the limits as they are: 300 subscriptions of one token, where 1,024 are all there can be.

    Time stands still, so that 300 subscriptions do not poll.
    """
    async with site(new_box(), clock=ManualClock()) as where, AsyncExitStack() as stack:
        greedy, other = await where.token("greedy"), await where.token("other")
        clients = [await stack.enter_async_context(where.client("legacy", token=greedy)) for _ in range(3)]
        refusals = [
            refusal
            for client in clients
            for number in range(100)
            if (refusal := await _subscribe(client, f"elks://messages/O-{number:08}"))
        ]
        assert refusals
        assert all("unsubscribe" in each for each in refusals)
        theirs = await stack.enter_async_context(where.client("legacy", token=other))
        assert await _subscribe(theirs, _INBOX) == ""


async def _subscribe(client: Client, uri: str) -> str:
    """Subscribe to a resource; return the reason if that is refused."""
    try:
        await client.subscribe_resource(uri)
    except MCPError as error:
        return str(error)
    return ""


async def test_a_caller_with_too_many_sessions_gets_429_until_it_ends_one() -> None:
    async with two_callers(Use.SESSIONS) as (_, where, greedy, other):
        opened = [await _initialize(where, greedy) for _ in range(2)]
        assert {each.status_code for each in opened} == {200}
        third = await _initialize(where, greedy)
        assert refused(third)
        assert "DELETE" in third.json()["error_description"]
        assert (await _initialize(where, other)).status_code == 200
        shown = {
            "authorization": f"Bearer {greedy}",
            "mcp-session-id": opened[0].headers["mcp-session-id"],
        }
        async with http_client() as client:
            assert (await client.delete(f"{where.url}/mcp", headers=shown)).status_code == 200
        assert (await _initialize(where, greedy)).status_code == 200
        assert await gets_through(where, greedy), "the newer era has no sessions"


async def test_all_callers_without_a_token_share_one_limit() -> None:
    async with site(new_box(), limits={Use.SESSIONS: 2}) as where:
        answers = [await _initialize(where, None) for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]


async def _initialize(where: Site, token: str | None) -> httpx2.Response:
    info = {"name": "test", "version": "1"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
    return await ask(where, "initialize", params, era="legacy", token=token)


@pytest.mark.parametrize("era", ERAS)
async def test_a_caller_with_too_many_waits_is_refused_before_anything_is_sent_and_another_is_not(
    era: Era,
) -> None:
    async with (
        two_callers(Use.WAITS) as (box, where, greedy, other),
        where.client(era, token=greedy) as ours,
        where.client(era, token=other) as theirs,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(2):
            tasks.start_soon(lambda: call(ours, "wait_for_reply", timeout=60))
        await until(lambda: where.app.replies.waiting_count == 2)
        third = await call(ours, "wait_for_reply", timeout=0)
        asked = await call(ours, "ask_by_sms", to=PHONE, message="Hej?", timeout=0)
        for answer in (third, asked):
            assert answer.is_error
            assert re.search(
                "2 waits for a reply, which is the limit for one caller.*Try again in", words(answer)
            )
        assert ("Not sent: " in words(asked), posted(box)) == (True, [])
        assert data(await call(theirs, "wait_for_reply", timeout=0))["status"] == "no_reply"
        where.app.replies.stop()
        await until(lambda: where.app.replies.waiting_count == 0)


async def test_a_caller_with_too_many_requests_to_46elks_is_refused_for_a_minute() -> None:
    clock = ManualClock()
    async with (
        two_callers(Use.PROVIDER_REQUESTS, clock=clock) as (box, where, greedy, other),
        where.client(token=greedy) as ours,
        where.client(token=other) as theirs,
    ):
        for _ in range(2):
            assert not (await call(ours, "check_account_balance")).is_error
        seen = len(box.requests)
        answer = await call(ours, "check_account_balance")
        assert (answer.is_error, len(box.requests)) == (True, seen)
        assert "2 requests to 46elks within a minute" in words(answer)
        assert "Try again in 60 seconds." in words(answer)
        assert not (await call(theirs, "check_account_balance")).is_error
        clock.advance(timedelta(minutes=1))
        assert not (await call(ours, "check_account_balance")).is_error


@pytest.mark.parametrize("connections", [128, 896, 65_408])
def test_one_caller_never_gets_more_than_half_of_any_resource(connections: int) -> None:
    most = limits_per_caller(connections, sms_per_minute=95)
    assert most[Use.PROVIDER_REQUESTS] == 600
    assert limits_per_caller(connections, sms_per_minute=1000)[Use.PROVIDER_REQUESTS] == 6000
    assert most[Use.CALLS] <= connections // 2
    assert most[Use.STREAMS] + most[Use.WAITS] < most[Use.CALLS], "some calls are left beside those that last"
    assert (most[Use.STREAMS] <= 1024 // 2, most[Use.SESSIONS] <= 10_000 // 2) == (True, True)


async def test_the_only_caller_of_a_server_is_not_limited() -> None:
    async with connected(live(box := new_box()), box=box) as client:
        for _ in range(610):
            assert not (await call(client, "check_account_balance")).is_error


# ── texts and other arguments ──


@pytest.mark.parametrize("tool", ["send_sms", "ask_by_sms", "estimate_sms_cost"])
async def test_a_text_over_5000_characters_is_refused_before_46elks_is_asked(tool: str) -> None:
    distinct = "".join(chr(0x4E00 + number) for number in range(5001))
    async with connected(live(box := new_box(), ELKS_MAX_PARTS="255"), box=box) as client:
        for text in (distinct, distinct * 8):
            answer = await call(client, tool, to=PHONE, message=text)
            assert answer.is_error
            assert f"has {len(text):,} characters; 5,000 is the most" in words(answer)
        assert box.requests == []


async def test_a_text_of_5000_characters_is_priced() -> None:
    async with connected(live(box := new_box()), box=box) as client:
        answer = await call(client, "estimate_sms_cost", to=PHONE, message="x" * 5000)
        assert (answer.is_error, data(answer)["parts"]) == (False, 33)


_ARGUMENTS = [
    (tool.name, name)
    for tool in list_tools(frozenset(Toolset))
    for name, spec in tool.parameters["properties"].items()
    if spec.get("type") == "string"
]


@pytest.mark.parametrize(("tool", "name"), _ARGUMENTS)
async def test_every_argument_has_a_maximum_length(tool: str, name: str) -> None:
    usual: dict[str, Any] = {
        "to": PHONE,
        "message": "Hej",
        "messageId": "O-23456789",
        "orderId": "O-23456789",
        "recipients": PHONE,
        "batchId": "B-23456789",
        "alertId": "E-23456789",
        "policy": "jour",
        "change": "pause",
        "image": "cat.png",
        "recordingId": f"c{'0' * 32}-r0",
    }
    wanted = {each: usual[each] for (its, each) in _ARGUMENTS if its == tool and each in usual}
    async with connected(live(box := new_box(), ELKS_TOOLSETS="all"), box=box) as client:
        for long in ("1" * 70_000, " " * 1_000_000):
            answer = await client.call_tool(tool, {**wanted, name: long})
            assert answer.is_error
            assert "is the most" in words(answer)
        assert box.requests == []


# ── history ──


def gets(box: Sandbox) -> int:
    """Count the pages of history that were read."""
    return len([each for each in box.requests if each.path == "/a1/sms"])


def fill(box: Sandbox, count: int) -> None:
    """Store sent texts, each a second apart, and one received before them."""
    for number in range(count):
        box.add_history(box.clock.now() - timedelta(seconds=number))
    box.add_history(
        box.clock.now() - timedelta(seconds=count), direction="incoming", text="Det första svaret"
    )


async def test_a_list_reads_few_pages_and_says_that_it_stopped_and_how_to_continue() -> None:
    box = new_box()
    fill(box, 700)
    async with connected(live(box), box=box) as client:
        first = await call(client, "get_sms_messages", direction="inbound", limit=1)
        assert (gets(box), data(first)["count"]) == (5, 0)
        assert "The search stopped after 5 pages" in words(first)
        until = data(first)["olderUntil"]
        assert f"Older: until={until}." in words(first)
        older = await call(client, "get_sms_messages", direction="inbound", limit=1, until=until)
        assert (gets(box) <= 8, "note" in data(older)) == (True, False)
        assert data(older)["messages"][0]["untrusted"] == "Det första svaret"


@pytest.mark.parametrize("until", ["igår", "2026-12-01T25:00", "9999-12-31T23:59:59-05:00"])
async def test_a_time_that_cannot_be_read_is_refused(until: str) -> None:
    async with connected(live(box := new_box()), box=box) as client:
        answer = await call(client, "get_sms_messages", until=until)
        assert (answer.is_error, "`until` cannot be" in words(answer)) == (True, True)
        assert box.requests == []


Reading = Callable[[Client], Awaitable[str]]


async def _statistics(client: Client) -> str:
    return str(data(await call(client, "get_delivery_statistics", limit=10))["note"])


async def _history(client: Client) -> str:
    [content] = (await client.read_resource(_INBOX)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


@pytest.mark.parametrize(("reading", "direction"), [(_statistics, "incoming"), (_history, "outgoing")])
async def test_statistics_and_the_inbox_say_that_they_stopped(
    reading: Reading, direction: Literal["incoming", "outgoing"]
) -> None:
    box = new_box()
    for number in range(700):
        box.add_history(box.clock.now() - timedelta(seconds=number), direction=direction)
    async with connected(live(box), box=box) as client:
        assert "The search stopped after 5 pages" in await reading(client)
        assert gets(box) == 5


async def test_an_opt_out_far_back_in_history_is_found() -> None:
    """P6: a list reads few pages, but history is read fully before a text goes out."""
    box = new_box()
    for number in range(700):
        box.add_history(box.clock.now() - timedelta(seconds=number))
    then = box.clock.now() - timedelta(seconds=800)
    box.add_history(then, direction="incoming", sender=PHONE, text="STOP")
    async with connected(live(box), box=box) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Hej")
        assert (sent.is_error, "opted_out" in words(sent), box.accepted) == (True, True, [])
