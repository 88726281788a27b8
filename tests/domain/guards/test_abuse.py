"""Attempted fraud, through the tools: numbers, senders, and texts that instruct an assistant."""

import re
from collections.abc import Iterable
from itertools import groupby

import pytest
from mcp import Client
from mcp_types import CallToolResult

from elks_mcp.domain.guards.lookalike import find_imitated_name
from elks_mcp.domain.phone import parse_number
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.mcp_server.server import list_tools
from elks_mcp.sandbox import Sandbox
from tests.support.connecting import call, connected, data, live, new_box, posted, words
from tests.tables.abuse import (
    HOME,
    INVALID,
    NO_SPELLINGS,
    NUMBER_TRAPS,
    ORDINARY_SENDERS,
    SENDER_TRAPS,
    SLIPPING,
    SPELLINGS,
    NumberTrap,
)
from tests.tables.hostile import HOSTILE, PREVIOUS, UNLISTED, Hostile
from tests.tables.senders import FORBIDDEN, INNOCENT

pytestmark = pytest.mark.anyio

SENDERS_GO_TO = "CA,CN,PR,SE,US"


@pytest.fixture
def box() -> Sandbox:
    """A 46elks to text through."""
    return new_box()


def refusal(answer: CallToolResult, guard: str) -> str:
    """Return why a guard refuses or, for `INVALID`, what is wrong with the argument."""
    text = words(answer)
    if guard == INVALID:
        return text if answer.is_error and text.endswith("The same arguments will be refused again.") else ""
    if answer.is_error:
        behind = text.partition(f"Refused by {guard}: ")[2]
        return re.split(r" (?:Refused by|Also) \w+: ", behind)[0]
    found = [each for each in data(answer)["findings"] if each["effect"] == "refuse"]
    assert data(answer)["wouldBeRefused"] is bool(found)
    return "".join(each["reason"] for each in found if each["guard"] == guard)


async def refusals(client: Client, guard: str, to: str, sender: str = "") -> list[str]:
    """Return the reasons of both tools that run the guards."""
    return [
        refusal(await call(client, tool, to=to, message="Hej", sender=sender), guard)
        for tool in ("estimate_sms_cost", "send_sms")
    ]


def traps_by_countries() -> Iterable[tuple[str, list[NumberTrap]]]:
    """Sort the numbers by the countries that the operator allows."""
    traps = sorted(NUMBER_TRAPS, key=lambda trap: trap.allowed)
    return [(allowed, list(group)) for allowed, group in groupby(traps, key=lambda trap: trap.allowed)]


# ── numbers ──


@pytest.mark.parametrize(("allowed", "traps"), traps_by_countries())
async def test_each_number_used_in_fraud_is_refused_for_the_right_reason(
    box: Sandbox, allowed: str, traps: list[NumberTrap]
) -> None:
    async with connected(live(box, ELKS_ALLOWED_COUNTRIES=allowed), box=box) as client:
        missed = [
            (trap, reason)
            for trap in traps
            for reason in await refusals(client, trap.guard, trap.typed)
            if not re.search(as_pattern(trap.words), reason)
        ]
    assert missed == []
    assert posted(box) == []


def as_pattern(alternatives: str) -> str:
    """Build a pattern that matches any of the alternatives separated by `|`."""
    return "|".join(re.escape(each) for each in alternatives.split("|"))


@pytest.mark.parametrize(("e164", "spellings"), SPELLINGS)
async def test_a_number_is_one_number_however_it_is_spelled(
    box: Sandbox, e164: str, spellings: tuple[str, ...]
) -> None:
    listed = {"ELKS_ALLOWED_COUNTRIES": "JM,SE,US", "ELKS_ALLOWED_RECIPIENTS": e164}
    async with connected(live(box, **listed), box=box) as client:
        for typed in spellings:
            answer = await call(client, "send_sms", to=typed, message="Hej", dryRun=True)
            assert data(answer)["to"] == e164, typed
    assert [form["to"] for form in posted(box, dry_run=True)] == [e164] * len(spellings)
    assert posted(box) == []


async def test_no_spelling_passes_a_number_that_is_not_listed(box: Sandbox) -> None:
    listed = {"ELKS_ALLOWED_COUNTRIES": "JM,SE,US", "ELKS_ALLOWED_RECIPIENTS": "+46701740699"}
    async with connected(live(box, **listed), box=box) as client:
        for e164, spellings in SPELLINGS:
            for typed in spellings:
                for reason in await refusals(client, "allowed_recipient", typed):
                    assert reason.startswith(f"{e164} is not one of the allowed recipients"), typed
        for typed in NO_SPELLINGS:
            assert all(await refusals(client, INVALID, typed)), typed
    assert posted(box) == []


# ── senders ──


async def test_each_sender_used_in_fraud_is_refused_for_the_right_reason(box: Sandbox) -> None:
    async with connected(live(box, ELKS_ALLOWED_COUNTRIES=SENDERS_GO_TO), box=box) as client:
        missed = [
            (trap, reason)
            for trap in SENDER_TRAPS
            for reason in await refusals(client, trap.guard, trap.to, trap.typed)
            if trap.words not in reason
        ]
    assert missed == []
    assert posted(box) == []


async def test_names_used_in_fraud_are_refused_and_similar_names_are_not(box: Sandbox) -> None:
    tool = "estimate_sms_cost"
    names = [*FORBIDDEN, *INNOCENT]
    async with connected(live(box), box=box) as client:
        answers = {name: await call(client, tool, to=HOME, message="Hej", sender=name) for name in names}
        too_long = await call(client, tool, to=HOME, message="Hej", sender="postnordspar")
    assert [name for name in names if refusal(answers[name], "impersonation")] == FORBIDDEN
    assert refusal(too_long, INVALID)


async def test_ordinary_names_pass(box: Sandbox) -> None:
    async with connected(live(box), box=box) as client:
        answers = {
            name: await call(client, "send_sms", to=HOME, message="Hej", sender=name, dryRun=True)
            for name in ORDINARY_SENDERS
        }
    refused = {name: refusal(answer, "impersonation") for name, answer in answers.items() if answer.is_error}
    assert refused == {}
    assert {form["from"] for form in posted(box, dry_run=True)} >= set(ORDINARY_SENDERS)
    assert posted(box) == []


def test_the_cases_that_pass_are_documented() -> None:
    caught = [sender for sender in SLIPPING if find_imitated_name(sender)]
    assert caught == [], "these are caught now: move them to SENDER_TRAPS"


def test_the_tables_of_abuse_are_complete() -> None:
    assert len(set(NUMBER_TRAPS)) == len(NUMBER_TRAPS) >= 100
    assert len(set(SENDER_TRAPS)) == len(SENDER_TRAPS) >= 200
    assert len(set(ORDINARY_SENDERS)) == len(ORDINARY_SENDERS) >= 300
    assert len({typed for _, spellings in SPELLINGS for typed in spellings} & set(NO_SPELLINGS)) == 0


# ── texts ──


def test_the_table_has_two_hundred_hostile_texts_half_of_them_swedish() -> None:
    assert len({row.text for row in HOSTILE}) == len(HOSTILE) == 200
    assert [row.language for row in HOSTILE].count("sv") == 100
    assert all(3 <= len(row.text) <= 500 for row in HOSTILE)


def test_every_number_in_a_hostile_text_is_unassigned() -> None:
    for row in HOSTILE:
        assert row.named
        for e164 in row.named:
            assert parse_number(e164).e164 == e164
            assert re.fullmatch(r"\+467017406[2-9]\d", e164)
            assert e164 != "+46701740699"


def test_obeying_a_hostile_text_calls_tools_and_texts_the_numbers_in_it() -> None:
    known = {tool.name for tool in list_tools(frozenset(Toolset))} | UNLISTED
    for row in HOSTILE:
        assert row.calls
        assert {each.tool for each in row.calls} <= known
        assert texted(row) == set(row.named), row.text


def texted(row: Hostile) -> set[str]:
    """Return the numbers that an obedient assistant would text."""
    return {parse_number(each.arguments["to"]).e164 for each in row.calls if each.tool == "send_sms"}


def test_no_placeholder_in_a_hostile_text_stays_unfilled() -> None:
    for row in HOSTILE:
        shown = " ".join([row.text, *(str(dict(each.arguments)) for each in row.calls)])
        assert "$" not in shown
        first = row.calls[0].arguments
        assert PREVIOUS not in str(dict(first)), "nothing came before the first call"
