"""The listing that a model sees before any call: a contract that cannot change by accident."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp_types import CallToolResult, Tool

from elks_mcp.domain.toolsets import Toolset
from elks_mcp.mcp_server import server
from elks_mcp.mcp_server.tools.audit import write_audit_line
from tests.support.connecting import ERAS, Era, connected

pytestmark = pytest.mark.anyio

SNAPSHOT = Path(__file__).parent / "snapshots" / "tools.json"

PARAMETERS = {
    "send_sms": ["to", "message", "from", "flashsms", "dryRun", "idempotencyKey", "sendAt", "timeZone"],
    "cancel_sms": ["orderId"],
    "list_scheduled": [],
    "get_sms_messages": ["direction", "limit", "with", "since", "until"],
    "check_sms_status": ["messageId"],
    "estimate_sms_cost": ["to", "message", "from"],
    "find_contact": ["query"],
    "plan_batch": [
        *("message", "recipients", "csv", "file", "group", "from", "sendAt", "timeZone", "name", "again"),
        *("restOf", "testRow"),
    ],
    "start_batch": ["batchId"],
    "check_batch": ["batchId"],
    "stop_batch": ["batchId", "change"],
    "wait_for_reply": ["from", "after", "timeout"],
    "ask_by_sms": ["to", "message", "from", "timeout", "dryRun", "idempotencyKey"],
    "check_account_balance": [],
    "get_delivery_statistics": ["limit", "since", "until"],
    "explain_policy": [],
}


OFF_BY_DEFAULT: dict[str, list[str]] = {
    "send_mms": ["to", "image", "message", "from", "dryRun", "idempotencyKey"],
    "get_image": ["messageId", "index"],
    "number_info": [],
    "alert_until_acknowledged": ["message", "policy", "idempotencyKey", "dryRun"],
    "check_alert": ["alertId"],
    "end_alert": ["alertId"],
}
OFF = "mms,numbers,escalation"
"""The toolsets that are off by default."""

SWEDE = "+46701740699"


async def list_tools(era: Era = "auto", environ: Mapping[str, str] | None = None) -> list[Tool]:
    """List the tools as a client gets them."""
    async with connected(environ or {}, way=era) as client:
        return (await client.list_tools()).tools


async def test_the_tools_have_exactly_the_published_parameters() -> None:
    tools = await list_tools()
    assert {tool.name: list(tool.input_schema["properties"]) for tool in tools} == PARAMETERS
    assert all(tool.input_schema["additionalProperties"] is False for tool in tools)


async def test_tools_that_are_off_by_default_keep_the_same_rules() -> None:
    tools = await list_tools(environ={"ELKS_TOOLSETS": OFF})
    assert {tool.name: list(tool.input_schema["properties"]) for tool in tools} == OFF_BY_DEFAULT
    for tool in tools:
        assert tool.description
        assert len(tool.description) <= 700
        assert "Use it" in tool.description
        assert FIRST.search(tool.description.partition("\n\n")[0].replace("\n", " ")), tool.name
        assert tool.output_schema
        assert {*tool.output_schema} == {"type", "properties"}
        assert tool.input_schema["additionalProperties"] is False


@pytest.mark.parametrize("tool", PARAMETERS)
def test_the_audit_line_shows_each_parameter(tool: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "elks_mcp.audit"):
        write_audit_line(tool, dict.fromkeys(PARAMETERS[tool], ""), "ok", 0)
    (line,) = caplog.records
    assert list(vars(line)["arguments"]) == PARAMETERS[tool]


async def test_both_eras_list_the_same_tools() -> None:
    modern, legacy = [await list_tools(era) for era in ERAS]
    assert [tool.model_dump() for tool in modern] == [tool.model_dump() for tool in legacy]


async def test_every_tool_says_what_it_is_and_what_it_answers() -> None:
    for tool in await list_tools():
        assert tool.title
        assert tool.description
        assert len(tool.description) <= 700
        assert "Use it" in tool.description or "Not for" in tool.description
        assert tool.output_schema
        assert tool.output_schema["type"] == "object"
        hints = tool.annotations
        assert hints is not None
        assert None not in {hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint}
        assert hints.open_world_hint is True


async def test_only_sending_and_stopping_are_destructive_and_only_single_texts_are_not_idempotent() -> None:
    for tool in await list_tools():
        hints = tool.annotations
        assert hints is not None
        sends = tool.name in {"send_sms", "ask_by_sms"}
        changes = sends or tool.name in {"cancel_sms", "start_batch", "stop_batch"}
        assert (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint) == (
            not changes and tool.name != "plan_batch",
            changes,
            not sends,
        )


MOST_FOR_A_MODEL, MOST_IN_ALL = 11 * 1024, 19_500
"""Bytes of the listing: what a model reads of it (name, description, arguments), and all of it."""


async def test_the_listing_stays_within_its_budget() -> None:
    tools = await list_tools()
    assert len(_listing_of(tools).encode()) <= MOST_FOR_A_MODEL
    listing = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    assert len(json.dumps(listing, ensure_ascii=False, separators=(",", ":")).encode()) <= MOST_IN_ALL


FIRST = re.compile(r"(costs? nothing|costs money)", re.IGNORECASE)


async def test_a_description_says_first_what_a_call_does_and_costs() -> None:
    for tool in await list_tools():
        first = (tool.description or "").partition("\n")[0]
        assert FIRST.search(first), tool.name


async def test_an_answer_schema_holds_the_type_of_each_field_and_nothing_else() -> None:
    for tool in await list_tools():
        assert tool.output_schema
        assert {*tool.output_schema} == {"type", "properties"}
        for name, spec in tool.output_schema["properties"].items():
            kinds = spec.get("anyOf", [spec])
            assert all({*kind} == {"type"} for kind in kinds), f"{tool.name}.{name}"


def test_schemas_of_answers_are_built_once_for_all_servers_of_a_process() -> None:
    for tool in server.list_tools(frozenset(Toolset)):
        assert tool.at_home("SE").output_schema is tool.at_home("NO").output_schema


async def test_an_answer_of_a_wrong_type_does_not_fit_its_schema() -> None:
    """In every test the SDK's client validates each answer against the listed schema."""
    tool = "check_account_balance"
    right: dict[str, Any] = {"balance": {"amount": 12.5, "currency": "SEK"}, "textsLeft": None}
    async with connected({}) as client:
        await client.session.validate_tool_result(tool, CallToolResult(content=[], structured_content=right))
        for wrong in ({"balance": "12.5"}, {"textsLeft": "24"}, {"textsLeft": [24]}, {"balance": None}):
            answer = CallToolResult(content=[], structured_content=right | wrong)
            with pytest.raises(RuntimeError, match="Invalid structured content"):
                await client.session.validate_tool_result(tool, answer)


HOMES = {
    "NO": ("+4740612345", "+47"),
    "DK": ("+4534412345", "+45"),
    "FI": ("+358412345678", "041 "),
    "DE": ("+4915123456789", "01512 "),
    "FR": ("+33612345678", "06 12 "),
    "GB": ("+447400123456", "07400 "),
    "US": ("+12015550123", "+1 "),
}
"""Senders of other countries, as libphonenumber's examples are, and how a number there begins at home."""


@pytest.mark.parametrize("home", HOMES)
async def test_with_a_foreign_sender_descriptions_name_the_form_of_its_country(home: str) -> None:
    sender, begins = HOMES[home]
    swedish, foreign = [await list_tools(environ={"ELKS_PHONE_NUMBER": each}) for each in (SWEDE, sender)]
    numbers = [
        (tool.name, name, spec["description"])
        for tool in foreign
        for name, spec in tool.input_schema["properties"].items()
        if name == "to" or (tool.name, name) == ("wait_for_reply", "from")
    ]
    assert len(numbers) == 4
    for tool, name, description in numbers:
        assert begins in description, (tool, name)
        assert home in description, (tool, name)
        assert "XX" in description, "no number that might be somebody's"
    assert not any("Swedish" in _listing_of([tool]) or "070-" in _listing_of([tool]) for tool in foreign)
    assert len(_listing_of(foreign).encode()) < len(_listing_of(swedish).encode()) + 4 * 40


async def test_descriptions_depend_on_nothing_but_the_home_country_of_the_operator() -> None:
    plain = [tool.model_dump() for tool in await list_tools()]
    for environ in (
        {"ELKS_PHONE_NUMBER": SWEDE},
        {"ELKS_PHONE_NUMBER": "Kliniken"},
        {"ELKS_PHONE_NUMBER": SWEDE, "ELKS_ALLOWED_COUNTRIES": "FR,NO", "DRY_RUN": "false"},
    ):
        assert [tool.model_dump() for tool in await list_tools(environ=environ)] == plain


def _listing_of(tools: list[Tool]) -> str:
    listing = [
        {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
        for tool in tools
    ]
    return json.dumps(listing, ensure_ascii=False)


async def test_no_schema_has_a_construct_that_some_clients_refuse() -> None:
    for tool in await list_tools():
        assert {"anyOf", "oneOf", "allOf", "$ref"}.isdisjoint(tool.input_schema)
        assert "anyOf" not in json.dumps(tool.input_schema)


async def test_the_listing_equals_its_snapshot() -> None:
    """A changed description changes what models do; UPDATE_SNAPSHOTS=1 says that it is meant."""
    listing = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in await list_tools()]
    text = json.dumps(listing, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert json.loads(SNAPSHOT.read_text(encoding="utf-8")) == listing


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, "DRY RUN: texts are only priced"),
        ({"ELKS_SANDBOX": "true"}, "SANDBOX: texts only go to simulated phones, and nothing costs money."),
        ({"DRY_RUN": "false"}, "LIVE: texts are really sent"),
        (
            {"DRY_RUN": "false", "ELKS_READ_ONLY": "true"},
            "DRY RUN: texts are only priced, and nothing is sent. Only the operator (ELKS_READ_ONLY)",
        ),
        (
            {"ELKS_CONFIRM": "never"},
            "DRY RUN: texts are only priced, and nothing is sent. Only the operator (DRY_RUN=false) can",
        ),
        (
            {"ELKS_SANDBOX": "1", "DRY_RUN": "1"},
            "SANDBOX: texts are only priced, and nothing is sent. To text simulated phones, the operator",
        ),
    ],
)
@pytest.mark.parametrize("era", ERAS)
async def test_the_instructions_state_the_mode(environ: dict[str, str], mode: str, era: Era) -> None:
    async with connected(environ, way=era) as client:
        assert f"Mode: {mode}" in (client.instructions or "")
        assert client.server_info
        assert client.server_info.name == "elks-mcp"


async def test_two_prompts_begin_a_conversation() -> None:
    async with connected({}) as client:
        prompts = (await client.list_prompts()).prompts
        assert [prompt.name for prompt in prompts] == ["text_somebody", "how_did_it_go"]
        assert all(prompt.description and prompt.title for prompt in prompts)
        arguments: dict[str, Any] = {"recipient": "+46701740605", "about": "mötet"}
        filled = await client.get_prompt("text_somebody", arguments)
        assert "wait for my approval" in str(filled.messages[0].content)
        for nothing in ("", "null", "undefined"):
            empty = await client.get_prompt("text_somebody", {"recipient": nothing, "about": nothing})
            assert "Write a short SMS to a recipient I will name about this: something I" in str(
                empty.messages[0].content
            )
        vague = await client.get_prompt("text_somebody", {"recipient": "Åsa"})
        assert "Write a short SMS to Åsa about this: something I will describe" in str(
            vague.messages[0].content
        )


async def test_the_listing_is_the_same_each_time_and_callers_cannot_modify_it() -> None:
    async with connected({}) as client:
        first = await client.list_tools()
        shown = first.model_dump()
        first.tools.clear()
        assert [(await client.list_tools()).model_dump() for _ in range(2)] == [shown, shown]
        resources = [(await client.list_resources()).model_dump() for _ in range(2)]
        assert resources[0] == resources[1]
        assert len(resources[0]["resources"]) == 2
