"""`ELKS_TOOLSETS`: a tool of a toolset that is off is neither listed nor callable nor named."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
from mcp.server import MCPServer
from mcp.shared.exceptions import MCPError

from elks_mcp.app import App
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.toolsets import DEFAULT_TOOLSETS, Toolset
from elks_mcp.errors import Misconfigured
from elks_mcp.mcp_server.server import build_misconfigured_server, build_server, list_tools
from elks_mcp.sandbox import SAMPLE, Sandbox
from elks_mcp.settings import load
from tests.support.connecting import ERAS, PHONE, Way, call, connected, data, live, posted, words
from tests.support.token_cases import ask
from tests.support.web import site

pytestmark = pytest.mark.anyio

TOOLS = {toolset: list_tools({toolset}) for toolset in Toolset}
NAMES = {toolset: [tool.name for tool in tools] for toolset, tools in TOOLS.items()}
EVERY_NAME = {name for names in NAMES.values() for name in names}


def test_every_toolset_has_tools_and_every_tool_is_in_one_toolset() -> None:
    names = [name for tools in NAMES.values() for name in tools]
    assert len(names) == len(set(names))
    assert all(NAMES.values())


def test_only_some_toolsets_have_tools_that_send_call_or_cancel() -> None:
    changing = {
        toolset: [tool.name for tool in tools if not (tool.annotations and tool.annotations.read_only_hint)]
        for toolset, tools in TOOLS.items()
    }
    assert changing.pop(Toolset.SMS) == ["send_sms", "cancel_sms", "ask_by_sms"]
    assert changing.pop(Toolset.MMS) == ["send_mms"]
    assert changing.pop(Toolset.BATCHES) == ["plan_batch", "start_batch", "stop_batch"]
    assert changing.pop(Toolset.CALLS) == ["call_phone"]
    assert changing.pop(Toolset.ESCALATION) == ["alert_until_acknowledged", "end_alert"]
    assert not any(changing.values())


@pytest.mark.parametrize("way", [*ERAS, pytest.param("stdio", marks=pytest.mark.long)])
@pytest.mark.parametrize("toolset", Toolset)
async def test_one_toolset_alone_lists_its_tools_and_runs_no_other(
    box: Sandbox, way: Way, toolset: Toolset
) -> None:
    only = live(box, ELKS_TOOLSETS=toolset.upper())
    async with connected(only, box=box, way=way) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        assert listed == NAMES[toolset]
        if toolset is not Toolset.SMS:
            answer = await call(client, "send_sms", to=PHONE, message="Hej")
            assert answer.is_error
            assert "Unknown tool" in words(answer)
    assert posted(box) == []


async def test_over_http_a_toolset_that_is_off_is_neither_listed_nor_callable(box: Sandbox) -> None:
    async with site(box, environ={"ELKS_TOOLSETS": "account,policy"}) as where:
        listed = await ask(where, "tools/list", {})
        assert "check_account_balance" in listed.text
        assert "send_sms" not in listed.text
        text = {"name": "send_sms", "arguments": {"to": PHONE, "message": "Hej"}}
        assert "Unknown tool" in (await ask(where, "tools/call", text)).text
    assert posted(box) == []


async def test_everything_that_depends_on_a_toolset_is_off_with_it(box: Sandbox) -> None:
    async with connected(live(box, ELKS_TOOLSETS="account"), box=box) as client:
        assert (await client.list_resources()).resources == []
        assert (await client.list_resource_templates()).resource_templates == []
        assert (await client.list_prompts()).prompts == []
        for uri in ("elks://inbox", "elks://policy", "elks://messages/O-22222222"):
            with pytest.raises(MCPError):
                await client.read_resource(uri)
        assert "send_sms" not in (client.instructions or "")


async def test_with_texts_alone_one_prompt_is_left_and_the_inbox_is_not_read(box: Sandbox) -> None:
    async with connected(live(box, ELKS_TOOLSETS="sms"), box=box) as client:
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["text_somebody"]
        assert (await client.list_resources()).resources == []
        assert len((await client.list_resource_templates()).resource_templates) == 1


async def test_without_the_inbox_a_question_does_not_lead_to_its_tool(box: Sandbox) -> None:
    for toolsets, leads in (("sms", False), ("sms,inbox", True)):
        async with connected(live(box, ELKS_TOOLSETS=toolsets), box=box) as client:
            (tool,) = [each for each in (await client.list_tools()).tools if each.name == "ask_by_sms"]
            asked = await call(client, "ask_by_sms", to=PHONE, message=f"Med {toolsets}?", timeout=0)
            assert "wait_for_reply" not in str(tool)
            assert ("wait_for_reply" in words(asked)) is leads
            assert bool(data(asked)["reply"]["cursor"]) is leads


async def test_the_policy_names_the_toolsets_that_are_on(box: Sandbox) -> None:
    for word, on in (("policy, inbox", "inbox, policy"), ("all", ", ".join(Toolset))):
        async with connected(live(box, ELKS_TOOLSETS=word), box=box) as client:
            rules: list[dict[str, Any]] = data(await call(client, "explain_policy"))["rules"]
            assert [rule["now"] for rule in rules if rule["variable"] == "ELKS_TOOLSETS"] == [on]


def test_without_the_setting_the_default_toolsets_are_on() -> None:
    assert load({}).policy.toolsets == DEFAULT_TOOLSETS


@pytest.mark.parametrize(("value", "wrong"), [("sms, calendar", "'calendar'"), (",", "the list is empty")])
def test_an_unknown_toolset_is_a_configuration_error_with_the_list(value: str, wrong: str) -> None:
    with pytest.raises(Misconfigured, match=wrong) as caught:
        load({"ELKS_TOOLSETS": value})
    if "calendar" in value:
        assert "sms, batches, inbox, account, policy, mms, calls, numbers, escalation, all" in str(
            caught.value
        )


async def test_a_misconfigured_server_lists_the_same() -> None:
    server = build_misconfigured_server(["Wrong."], Policy(toolsets=frozenset({Toolset.ACCOUNT})))
    assert [tool.name for tool in await server.list_tools()] == NAMES[Toolset.ACCOUNT]
    assert await server.list_resources() == []


# ── names of tools ──


QUICK_SIZES = {1, 2, len(Toolset)}
COMBINATIONS = [
    pytest.param(
        frozenset(chosen),
        id="+".join(sorted(chosen)),
        marks=[] if size in QUICK_SIZES else [pytest.mark.long],
    )
    for size in range(1, len(Toolset) + 1)
    for chosen in combinations(Toolset, size)
]
MODES = [{}, {"dry_run": False}, {"simulated": True}, {"dry_run": False, "simulated": True}]

RECEIVED = {"from": PHONE, "timeout": 0}
TEXT = {"to": PHONE, "message": "Hej"}
LATER = {**TEXT, "sendAt": (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="minutes")}
MANY = {"message": "Hej", "recipients": [PHONE, "+46701740606"]}
PICTURE = {"to": PHONE, "image": f"data:image/png;base64,{b64encode(SAMPLE.content).decode()}"}
ALERT = {"message": "Hej", "policy": "jour"}
REFUSED = {"to": "+4799999999", "message": "Hej"}
CALLS: dict[str, list[dict[str, Any]]] = {
    "send_sms": [TEXT, TEXT, {**TEXT, "dryRun": True}, LATER, REFUSED, {}],
    "cancel_sms": [{"orderId": "O-22222222"}],
    "list_scheduled": [{}],
    "get_sms_messages": [{}, {"with": "Kim"}],
    "check_sms_status": [{"messageId": "O-22222222"}, {"messageId": "O-22222222,s1"}],
    "estimate_sms_cost": [TEXT, REFUSED],
    "find_contact": [{"query": "Kim"}, {"query": PHONE}],
    "wait_for_reply": [RECEIVED, RECEIVED, {"timeout": 0, "after": "O-22222222"}, {"timeout": -1}],
    "ask_by_sms": [{**TEXT, "timeout": 0}, {**TEXT, "timeout": 0, "dryRun": True}],
    "check_account_balance": [{}],
    "get_delivery_statistics": [{}, {"since": "2026-01-01"}, {"since": "Kim"}],
    "plan_batch": [MANY, {**MANY, "testRow": 1}, {**MANY, "csv": "telefon\n070"}, {"message": "Hej"}],
    "start_batch": [{"batchId": "B-22222222"}],
    "check_batch": [{"batchId": "B-22222222"}],
    "stop_batch": [{"batchId": "B-22222222", "change": "cancel"}],
    "explain_policy": [{}],
    "send_mms": [PICTURE, PICTURE, {**PICTURE, "dryRun": True}, {"to": PHONE, "image": "cat.png"}, {}],
    "get_image": [{"messageId": "m" + "0" * 32}, {"messageId": "O-22222222"}, {}],
    "number_info": [{}],
    "alert_until_acknowledged": [ALERT, {**ALERT, "dryRun": True}, {"message": "Hej"}],
    "check_alert": [{"alertId": "E-22222222"}],
    "end_alert": [{"alertId": "E-22222222"}],
    "call_phone": [{"to": PHONE, "say": "Hej"}, {"to": PHONE, "say": "Hej", "dryRun": True}, {}],
    "list_calls": [{}, {"limit": 0}],
    "get_recording": [{"recordingId": f"c{'0' * 32}-r0"}, {}],
}
"""Calls that succeed and that fail, of each tool."""


def test_each_tool_has_calls_in_this_file() -> None:
    assert {*CALLS} == EVERY_NAME


def list_named(text: str) -> set[str]:
    """List the tools that a text names, offered or not. An argument of some counts as `dry_run`."""
    return {*re.findall(r"[a-z]+(?:_[a-z]+)+", text.replace("dryRun", "dry_run"))} & {*EVERY_NAME, "dry_run"}


_TAKE_DRY_RUN = {"send_sms", "send_mms", "call_phone", "alert_until_acknowledged"}
"""The tools with an argument `dryRun`, which other answers may name if one of them is offered."""


def list_nameable(toolsets: frozenset[Toolset]) -> set[str]:
    """List what may be named if these toolsets are on."""
    names = {name for toolset in toolsets for name in NAMES[toolset]}
    return names | ({"dry_run"} if names & _TAKE_DRY_RUN else set())


async def describe(server: MCPServer[Any]) -> str:
    """Return everything that a server lists before a call."""
    lists = (
        await server.list_tools(),
        await server.list_resources(),
        await server.list_resource_templates(),
        prompts := await server.list_prompts(),
        [await server.get_prompt(prompt.name, {}) for prompt in prompts],
    )
    shown = [each.model_dump(mode="json") for listed in lists for each in listed]
    return json.dumps([server.instructions, *shown])


def never() -> AbstractAsyncContextManager[App]:
    """Fail, since no list needs an app."""
    raise AssertionError("a list opened the app")


def build_servers(toolsets: frozenset[Toolset]) -> Iterator[MCPServer[Any]]:
    """Build a server of these toolsets in each mode, and one that is misconfigured."""
    for mode in MODES:
        yield build_server(Policy(toolsets=toolsets, **mode), never)
    yield build_misconfigured_server(["Wrong."], Policy(toolsets=toolsets))


@pytest.mark.parametrize("toolsets", COMBINATIONS)
async def test_nothing_that_is_listed_names_a_tool_that_is_not_offered(toolsets: frozenset[Toolset]) -> None:
    for server in build_servers(toolsets):
        assert list_named(await describe(server)) == list_nameable(toolsets)


@pytest.mark.parametrize("toolset", Toolset)
@pytest.mark.parametrize("more", [{}, {"DRY_RUN": "true"}, {"ELKS_SANDBOX": "true"}], ids=str)
async def test_no_answer_of_one_toolset_names_a_tool_of_another(
    box: Sandbox, toolset: Toolset, more: dict[str, str]
) -> None:
    box.receive(PHONE, "Hej")
    async with connected(live(box, ELKS_TOOLSETS=toolset, **more), box=box) as client:
        for name in NAMES[toolset]:
            for arguments in CALLS.get(name, []):
                answer = await client.call_tool(name, arguments)
                nameable = list_nameable(frozenset({toolset}))
                assert list_named(answer.model_dump_json()) <= nameable, (name, arguments)
        for resource in (await client.list_resources()).resources:
            read = await client.read_resource(resource.uri)
            assert list_named(read.model_dump_json()) <= list_nameable(frozenset({toolset}))
