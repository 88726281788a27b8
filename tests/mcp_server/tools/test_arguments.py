"""Arguments: which are read, repaired, ignored or refused."""

from typing import Any

import pytest
from mcp import Client

from elks_mcp.answers.structured import Answer
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.errors import InvalidInput
from elks_mcp.mcp_server.server import list_tools
from elks_mcp.mcp_server.tools.base import READS, ElksTool
from elks_mcp.mcp_server.tools.tool_arguments import ALIASES, INJECTED
from elks_mcp.sandbox import Sandbox
from tests.support.connecting import (
    ERAS,
    PHONE,
    Way,
    call,
    connected,
    data,
    in_process,
    live,
    new_box,
    posted,
    words,
)
from tests.support.tool_cases import fill_history
from tests.support.web import site

pytestmark = pytest.mark.anyio


SENDING = ("send_sms", "ask_by_sms", "estimate_sms_cost")
"""Each tool that takes a recipient and a text."""


# ── arguments ──


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("send_sms", {"to": PHONE}, "Not sent: `message` is missing."),
        (
            "send_sms",
            {"to": 46701740605, "message": "x"},
            "`to` cannot be 46701740605: it must be text, in quotes.",
        ),
        ("send_sms", {"to": PHONE, "message": "  "}, "The message is empty."),
        ("send_sms", {"to": PHONE, "message": "a\x00b"}, "a character that cannot be sent: U+0000"),
        (
            "send_sms",
            {"to": PHONE, "message": "x", "dryRun": "maybe"},
            "`dryRun` cannot be 'maybe': use true or false.",
        ),
        (
            "send_sms",
            {"to": PHONE, "message": "x", "flash": "yes"},
            "send_sms has no argument 'flash'. Its arguments",
        ),
        ("send_sms", {"to": PHONE, "message": "x", "sender": "x"}, "send_sms has no argument 'sender'."),
        ("get_sms_messages", {"limit": 101}, "`limit` cannot be 101: 100 is the most."),
        ("get_sms_messages", {"limit": "ten"}, "`limit` cannot be 'ten': it must be a whole number."),
        ("get_sms_messages", {"direction": "in"}, "it must be 'inbound', 'outbound' or 'both'."),
        ("get_delivery_statistics", {"limit": 5}, "`limit` cannot be 5: 10 is the least."),
        (
            "check_account_balance",
            {"x": 1},
            "check_account_balance has no argument 'x'. Its arguments are: none.",
        ),
        ("check_sms_status", {}, "`messageId` is missing."),
    ],
)
@pytest.mark.parametrize("way", ERAS)
async def test_wrong_arguments_are_explained_in_sentences(
    box: Sandbox, way: Way, tool: str, arguments: dict[str, Any], sentence: str
) -> None:
    async with connected(live(box), box=box, way=way) as client:
        answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    assert sentence in words(answer)
    assert "pydantic" not in words(answer)
    assert posted(box) == []


async def test_numbers_given_as_strings_are_accepted(box: Sandbox, way: Way) -> None:
    fill_history(box, 5)
    async with connected(live(box), box=box, way=way) as client:
        assert data(await call(client, "get_sms_messages", limit="3"))["count"] == 3


# ── what is not one number, and what is no text ──


@pytest.mark.parametrize("tool", SENDING)
@pytest.mark.parametrize("field", ["+358401234567.0", "+358401234567\t6", "+358401234567  6"])
async def test_a_table_field_is_never_read_as_another_persons_number(
    tool: str, field: str, box: Sandbox, way: Way
) -> None:
    environ = live(box, ELKS_ALLOWED_COUNTRIES="SE,FI")
    async with connected(environ, box=box, way=way) as client:
        refused = await call(client, tool, to=field, message="Hej?")
    assert refused.is_error
    assert "If +358401234567 is meant, write exactly that." in words(refused)
    assert box.requests == []


@pytest.mark.parametrize("tool", SENDING)
async def test_with_a_foreign_sender_a_national_swedish_number_is_not_texted_abroad(
    tool: str, box: Sandbox
) -> None:
    environ = live(box, ELKS_PHONE_NUMBER="+33612345678", ELKS_ALLOWED_COUNTRIES="SE,FR")
    async with connected(environ, box=box) as client:
        refused = await call(client, tool, to="070-174 06 05", message="Hej?")
    assert refused.is_error
    assert "It can be read as +46701740605, a number in Sweden." in words(refused)
    assert box.requests == []


INVISIBLE = (
    "\u200b",
    "\u200c\u200d",
    "\u200e\u202a\u202c\u2066\u2069",
    "\u00ad",
    "\u034f",
    "\u061c",
    "\u115f\u1160",
    "\u17b4",
    "\u180e",
    "\u2028\u2029",
    "\u2060\u2063",
    "\u2800 \u2800",
    "\u3000",
    "\u3164",
    "\ufe0f",
    "\ufeff",
    "\uffa0",
    "\ufff9",
    "\U0001d173",
    "\U000e0041",
    "\u00a0\u200b\n\t\u2003",
)


@pytest.mark.parametrize("tool", SENDING)
async def test_an_invisible_text_is_refused_before_it_is_priced(tool: str, box: Sandbox, way: Way) -> None:
    async with connected(live(box), box=box, way=way) as client:
        for text in INVISIBLE:
            refused = await call(client, tool, to=PHONE, message=text)
            assert refused.is_error, ascii(text)
            assert "invisible" in words(refused) or "is empty" in words(refused), ascii(text)
        assert box.requests == []
        seen = await call(client, "estimate_sms_cost", to=PHONE, message="\u200b👍🏽\u200d")
        assert not seen.is_error


# ── arguments that clients add ──


async def test_arguments_that_clients_add_to_every_call_are_ignored(box: Sandbox, way: Way) -> None:
    added = {
        "toolCallId": "call_0BCIShth4lxZuYr4coSp4E5E",
        "sessionId": "4c2e",
        "action": "sendMessage",
        "chatInput": "Text the shop. " * 100,
        "random_string": None,
    }
    async with connected(live(box), box=box, way=way) as client:
        assert not (await call(client, "check_account_balance", **added)).is_error
        answer = await call(client, "send_sms", to=PHONE, message="Hej", dryRun=False, **added)
        assert not answer.is_error
        refused = await call(client, "send_sms", to=PHONE, message="Hej", toolcallid="x", **added)
        assert "send_sms has no argument 'toolcallid'. Its arguments" in words(refused)
    (form,) = posted(box)
    assert (form["to"], form["message"]) == (PHONE, "Hej")


def test_no_tool_has_a_parameter_that_clients_add() -> None:
    for tool in list_tools(frozenset(Toolset)):
        assert INJECTED.isdisjoint(tool.parameters["properties"].keys() | ALIASES.keys())


async def test_a_parameter_of_a_tool_is_never_taken_for_one_that_clients_add(box: Sandbox) -> None:
    async def echo(action: str) -> Answer:
        """Answer with the argument."""
        raise InvalidInput(f"The action is {action}.")

    tool = ElksTool.of(echo, title="Echo", hints=READS)
    server = in_process(live(box), box)
    server._tool_manager._tools["echo"] = tool
    async with Client(server) as client:
        assert "The action is stop." in words(await call(client, "echo", action="stop", sessionId="x"))


async def test_ignored_arguments_are_counted_by_name() -> None:
    async with site(new_box()) as where, where.client() as client:
        for _ in range(2):
            await call(client, "explain_policy", toolCallId="call_1")
        figures = where.app.counters.write()
    assert 'elks_mcp_ignored_arguments_total{argument="toolCallId"} 2' in figures
    assert not any("call_1" in line for line in figures)
