"""Errors that the product really makes are on the page of errors, with what to do.

Unlike tests/test_error_reference.py, this reads no source: it provokes each error and looks for its text.
"""

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from elks_mcp.domain.models import Scope
from elks_mcp.domain.phone import parse_number, parse_sender
from elks_mcp.elks.wire.refusals import parse_refusal
from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.confined_files import FileNotAllowed, read_confined
from elks_mcp.sandbox import ManualClock, Sandbox
from elks_mcp.settings import read
from elks_mcp.speech.commands import UnreadableCommand, parse_speech_command
from elks_mcp.workflows.policy_files import read_policies
from tests.sandbox.clients import open_client, open_outside, sms
from tests.support.connecting import PHONE, call, connected, live, new_box, words
from tests.support.process import invoke
from tests.support.token_cases import ask, served, tool_call
from tests.support.web import http_client

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

from error_reference.collecting import ErrorText  # noqa: E402
from error_reference.page import advises  # noqa: E402

pytestmark = pytest.mark.anyio


class Entry(NamedTuple):
    """An entry of the page."""

    text: str
    remedy: str
    pattern: re.Pattern[str]


@cache
def entries() -> tuple[Entry, ...]:
    """Read the entries that have words of their own, the ones with most of them first."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    found = re.findall(r"^- \*\*`+ ?(.+?) ?`+\*\*(.*)$", page, re.MULTILINE)
    kept = []
    for text, remedy in found:
        pattern, words_of_its_own = read_pattern(re.split(r"(\[|\]| / |\{[^{}]*\}|…)", text))
        if words_of_its_own > 1:
            kept.append((words_of_its_own, Entry(text, remedy, re.compile(pattern))))
    return tuple(entry for _, entry in sorted(kept, key=lambda each: -each[0]))


def read_pattern(pieces: list[str]) -> tuple[str, int]:
    """Return the pattern of a text up to a closing bracket, and the fewest words that it needs.

    `{…}` is any value, `[a / b]` one of some wordings, and `[a]` can be missing.
    """
    wordings: list[tuple[str, int]] = [("", 0)]
    while pieces:
        pattern, count = wordings[-1]
        match pieces.pop(0):
            case "[":
                inner, inner_count = read_pattern(pieces)
                wordings[-1] = (f"{pattern}\\[?(?:{inner})\\]?", count + inner_count)
            case "]":
                if len(wordings) == 1:
                    wordings.append(("", 0))
                break
            case " / ":
                wordings.append(("", 0))
            case piece if piece.startswith(("{", "…")):
                wordings[-1] = (f"{pattern}.*?", count)
            case piece:
                wordings[-1] = (pattern + re.escape(piece), count + len(re.findall(r"\w+", piece)))
    return "|".join(each for each, _ in wordings), min(count for _, count in wordings)


def find(message: str) -> Entry | None:
    """Find the entry of a message, perhaps after words that name a status or a file.

    A message that is only a part of a text, as for a value that is secret, is found in that text.
    """
    said = " ".join(message.split())
    beginnings = [0, *(each.end() for each in re.finditer(r": |; |\. ", said))]
    for entry in entries():
        if any(entry.pattern.match(said, at) for at in beginnings):
            return entry
    part = said.rstrip(".")
    return next((each for each in entries() if part.count(" ") > 1 and part in each.text), None)


def check_all(messages: list[str]) -> None:
    """Check that each message is on the page, with a remedy beside it or in it."""
    missing = [each for each in messages if not (found := find(each)) or not says_what_to_do(found)]
    assert missing == []


def says_what_to_do(entry: Entry) -> bool:
    """Return whether an entry has a remedy, or a text that is one."""
    remedy = re.sub(r"\[`\w+`\]\(#\w+\)", "", entry.remedy).strip()
    return bool(remedy) or advises(ErrorText("", "", entry.text))


SETTINGS = [
    {"DRY_RUN": "maybe"},
    {"ELKS_MAX_PARTS": "0"},
    {"ELKS_MAX_PARTS": "six"},
    {"ELKS_TIMEOUT": "soon"},
    {"ELKS_CONFIRM": "sometimes"},
    {"ELKS_ALLOWED_COUNTRIES": "UK"},
    {"ELKS_ALLOWED_COUNTRIES": ","},
    {"ELKS_ALLOWED_RECIPIENTS": "12"},
    {"ELKS_ALLOWED_RECIPIENTS": '"Bo'},
    {"ELKS_ALLOWED_RECIPIENTS": "contacts"},
    {"ELKS_PHONE_NUMBER": "null"},
    {"ELKS_PHONE_NUMBER": "46elks"},
    {"ELKS_GUARDS_OFF": "opted_out"},
    {"ELKS_GUARDS_OFF": "nonsense"},
    {"ELKS_TOOLSETS": "faxes"},
    {"ELKS_SIGNATURE": "x" * 101},
    {"ELKS_BUDGET_PER_DAY": "much"},
    {"ELKS_API_BASE_URL": "ftp://api.46elks.com"},
    {"ELKS_API_BASE_URL": "https://a:b@api.46elks.com"},
    {"ELKS_API_BASE_URL": "https://api.46elks.com/a1?x=1"},
    {"ELKS_API_BASE_URL": "https://api.46elks.com", "ELKS_SANDBOX": "true"},
    {"ELKS_DATABASE_URL": "mysql://localhost/x"},
    {"ELKS_SECRET_KEY": "short"},
    {"ELKS_STATE_DIR": "~nobody-of-that-name/x"},
    {"ELKS_TRUSTED_PROXIES": "localhost"},
    {"ELKS_TRUSTED_PROXIES": "0.0.0.0/0"},
    {"ELKS_ALLOWED_HOSTS": "a b"},
    {"ELKS_TIME_ZONE": "Stockholm"},
    {"ELKS_TTS_COMMAND": "espeak 'x"},
    {"ELKS_API_PASSWORD_FILE": "/nowhere/at/all"},
    {"ELKS_API_PASSWORD_FILE": "/nowhere", "ELKS_API_PASSWORD": "p"},
]


@pytest.mark.parametrize("environ", SETTINGS, ids=lambda each: next(iter(each.items())))
def test_each_wrong_setting_is_on_the_page(environ: dict[str, str]) -> None:
    [fault] = read(environ).faults
    check_all([fault.text])
    reason = fault.text.partition(" is not valid: ")[2]
    check_all([reason] if reason else [])


STEP = "{whom: Bo, by: sms, wait: 5}"
POLICIES = [
    "",
    "- a",
    "policies: {}",
    "polices:\n  a: 1",
    "policies:\n  a: 1\nlanguage: de",
    f"policies:\n  a:\n    steps: [{STEP}]",
    f"policies:\n  a:\n    cost_cap: 0\n    steps: [{STEP}]",
    f"policies:\n  a:\n    cost_cap: 5\n    repeat: 2\n    steps: [{STEP}]",
    f"policies:\n  a:\n    cost_cap: 5\n    rounds: 6\n    steps: [{STEP}]",
    f"policies:\n  a:\n    cost_cap: 5\n    time_cap: 4\n    steps: [{STEP}]",
    f"policies:\n  a:\n    cost_cap: 5\n    time_cap: 1441\n    steps: [{STEP}]",
    "policies:\n  a:\n    cost_cap: 5\n    steps: Bo",
    "policies:\n  a:\n    cost_cap: 5\n    steps:\n      - Bo",
    "policies:\n  a:\n    cost_cap: 5\n    steps:\n    - {by: sms, wait: 5}",
    "policies:\n  a:\n    cost_cap: 5\n    steps:\n    - {whom: Bo, by: fax, wait: 5}",
    "policies:\n  a:\n    cost_cap: 5\n    steps:\n    - {whom: Bo, by: [sms, sms], wait: 5}",
    "policies:\n  a:\n    cost_cap: 5\n    steps:\n    - {whom: '', by: sms, wait: 5}",
    "a: &b 1\nc: *b",
    "a: !!python/object:os.system 1",
    "a: [",
    "a: 1\n---\nb: 1",
    "a: 1\na: 2",
]


@pytest.mark.parametrize("text", POLICIES)
def test_each_fault_of_a_policy_file_is_on_the_page(text: str) -> None:
    faults = read_policies(text.encode()).faults
    assert faults
    check_all([each.reason for each in faults])


@pytest.mark.parametrize(
    "raw",
    ["", "112", "+4670174", "0701740605", "moose", "4.67E+10", "+46701740605, +46701740606"],
)
def test_each_number_that_cannot_be_read_is_on_the_page(raw: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_number(raw, "")
    check_all([str(caught.value)])


@pytest.mark.parametrize("name", ["46elks", "KOM-FORT", "AB", "TwelveLetter"])
def test_each_name_that_cannot_send_is_on_the_page(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_sender(name)
    check_all([str(caught.value)])


@pytest.mark.parametrize("command", ["espeak 'x", " ", "a\0b"])
def test_each_fault_of_a_command_that_speaks_is_on_the_page(command: str) -> None:
    with pytest.raises(UnreadableCommand) as caught:
        parse_speech_command(command)
    found = find(str(caught.value))
    assert found
    assert "ELKS_TTS_COMMAND" in found.remedy


def test_each_reason_for_which_a_file_is_not_read_is_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "there")
    said = []
    for folder, name in (
        (tmp_path, "none.csv"),
        (tmp_path / "nowhere", "none.csv"),
        (tmp_path, "link.csv"),
        (tmp_path, "there"),
    ):
        with pytest.raises(FileNotAllowed) as caught:
            read_confined(folder, name, 10)
        said.append(str(caught.value))
    check_all(said)


@pytest.mark.parametrize("of_subaccount", [False, True])
@pytest.mark.parametrize("status", [302, 401, 402, 403, 404, 408, 429, 500])
@pytest.mark.parametrize("line", ["", "Not enough credits", "Missing key from", "Usage limit reached"])
def test_each_refusal_of_46elks_is_on_the_page(status: int, line: str, of_subaccount: bool) -> None:
    error = parse_refusal(status, {"content-type": "text/plain"}, line.encode(), of_subaccount=of_subaccount)
    check_all([str(error)])
    found = find(str(error))
    assert found
    assert f"(#{error.code})" in found.remedy


async def test_each_refusal_of_the_sandbox_is_on_the_page() -> None:
    box = Sandbox(clock=ManualClock())
    async with open_client(box) as client:
        answers = [
            await client.post("sms", data=sms(box) | change)
            for change in (
                {"from": ""},
                {"to": "moose"},
                {"from": "46elks"},
                {"from": "AB"},
                {"to": "+8810000000"},
            )
        ]
    assert [each.status_code for each in answers] == [403] * 5
    check_all([each.text for each in answers])


async def test_each_answer_of_the_control_of_the_sandbox_is_on_the_page() -> None:
    box = Sandbox(clock=ManualClock())
    async with open_outside(box) as client:
        answers = [
            await client.post("/_sandbox/clock", json={"seconds": "x"}),
            await client.post("/_sandbox/clock", content="x"),
            await client.post("/_sandbox/clock", content="x", headers={"content-type": "application/json"}),
            await client.post("/_sandbox/clock", content="[]", headers={"content-type": "application/json"}),
            await client.post("/_sandbox/incoming", json={"from": "+46701740606", "text": ""}),
            await client.post("/_sandbox/incoming", json={"from": "x y z w å", "text": "a", "to": "b"}),
            await client.post("/_sandbox/fail-next", json={"fault": "none"}),
            await client.post("/_sandbox/reply", json={"number": PHONE, "text": ""}),
            await client.get("/_sandbox/waiting"),
        ]
    is_json = [each.headers["content-type"] == "application/json" for each in answers]
    said = [
        each.json()["error"] if known else each.text
        for each, known in zip(answers, is_json, strict=True)
        if each.status_code >= 400
    ]
    assert len(said) > 6
    check_all(said)
    for each in said:
        found = find(each)
        assert found
        assert "At 46elks, the same request" not in found.remedy


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("send_sms", {"to": PHONE}),
    ("send_sms", {"to": PHONE, "message": ""}),
    ("send_sms", {"to": PHONE, "message": "x" * 5001}),
    ("send_sms", {"to": PHONE, "message": "Hej", "nonsense": 1}),
    ("send_sms", {"to": "Bo", "message": "Hej"}),
    ("send_sms", {"to": "112", "message": "Hej"}),
    ("send_sms", {"to": PHONE, "message": "Hej", "dryRun": "perhaps"}),
    ("send_sms", {"to": PHONE, "message": "Hej", "sendAt": "tomorrow"}),
    ("send_sms", {"to": PHONE, "message": "Hej", "sendAt": "2001-01-01T09:00"}),
    ("send_sms", {"to": PHONE, "message": "Hej", "sendAt": "2026-12-01"}),
    ("send_sms", {"to": PHONE, "message": "Hej", "timeZone": "Europe/Stockholm"}),
    ("send_sms", {"to": PHONE, "message": "Hej", "from": "46elks"}),
    ("send_sms", {"to": "+4612", "message": "Hej"}),
    ("send_sms", {"to": "+4930901820", "message": "Hej"}),
    ("send_sms", {"to": PHONE, "message": "Hej", "idempotencyKey": "x" * 129}),
    ("get_sms_messages", {"limit": "x"}),
    ("get_sms_messages", {"limit": 0}),
    ("get_sms_messages", {"direction": "up"}),
    ("get_sms_messages", {"since": "2026-01-02", "until": "2026-01-01"}),
    ("check_sms_status", {"messageId": "nonsense"}),
    ("check_sms_status", {"messageId": "O-22222222"}),
    ("check_sms_status", {"messageId": "s" + "0" * 32}),
    ("check_sms_status", {}),
    ("cancel_sms", {"orderId": "O-22222222"}),
]


async def test_each_wrong_call_of_a_tool_is_on_the_page() -> None:
    box = new_box()
    async with connected(live(box), box=box) as client:
        answers = [await call(client, tool, **arguments) for tool, arguments in CALLS]
    assert [each for each, answer in zip(CALLS, answers, strict=True) if not answer.is_error] == []
    check_all([words(each) for each in answers])


async def test_each_refused_http_request_is_on_the_page() -> None:
    async with served() as (_, where):
        reads = await where.token("reads", Scope.READ)
        counts = await where.token("counts", Scope.METRICS)
        answers = [
            await ask(where, "tools/list"),
            await ask(where, "tools/list", token="wrong"),
            await ask(where, "tools/list", token=counts),
            await ask(where, "tools/call", tool_call("send_sms"), token=reads),
        ]
        async with http_client() as client:
            strange = await client.get(f"{where.url}/metrics", headers={"host": "evil.example"})
    assert [each.status_code for each in answers] == [401, 401, 403, 403]
    check_all([each.json()["error_description"] for each in answers])
    assert strange.status_code == 421
    check_all([strange.text])
    found = find(strange.text)
    assert found
    assert "ELKS_ALLOWED_HOSTS" in found.remedy


COMMANDS = [
    "dmeo",
    "serve --port 0",
    "serve",
    "send",
    "send --to moose Hej",
    "outbox show O-22222222",
    "outbox resolve O-22222222 --sent",
    "approve A-1234",
    "opt-outs add moose",
    "opt-outs remove +46701740605",
    "history --follow --since 2026-01-01",
    "token new A/B --scope read",
    "token revoke nobody",
    "contacts check",
    "contacts check none.csv",
    "escalation check",
    "batch status B-22222222",
    "image s1 out.png",
    "recording c1 out.wav",
    "cap show",
    "numbers set +46701740605",
    "connect nonsense",
    "connect --client x",
    "completion nonsense",
    "--env-file none.env policy",
    "--state-dir ~nobody-of-that-name/x pending",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_error_of_a_command_is_on_the_page(command: str, tmp_path: Path) -> None:
    done = invoke(command.split(), {"ELKS_STATE_DIR": str(tmp_path / "state")})
    assert done.exit_code != 0
    said = re.sub(r"`\S*elks-mcp ", "`elks-mcp ", " ".join(done.stderr.split()))  # as it was started here
    if "Usage: " in said:
        said = said.partition("Error: ")[2]
    if not OF_CLICK.match(said):
        check_all([said])


OF_CLICK = re.compile(
    r"Missing (option|argument|parameter)|No such option|Got unexpected|Invalid value for"
    r"|No such command '\w+'\.$"
)
"""The errors of click itself, which name the option or the word that is wrong."""


@pytest.mark.parametrize("environ", [{}, {"ELKS_SANDBOX": "true"}], ids=["without state", "in the sandbox"])
def test_a_command_that_finds_no_state_says_where_to_look(environ: dict[str, str], tmp_path: Path) -> None:
    done = invoke(["outbox", "show", "O-22222222"], {"ELKS_STATE_DIR": str(tmp_path / "none")} | environ)
    assert done.exit_code == 1
    assert ("Unset ELKS_SANDBOX" in done.stderr) == bool(environ)
    assert ("--state-dir or ELKS_STATE_DIR" in done.stderr) != bool(environ)


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (
            "Unexpected error in elks-mcp; its log has the details. Retrying is unlikely to help.",
            "not send it",
        ),
        ("You declined, so nothing was sent.", "Nothing has to be done."),
        (
            "46elks' history does not show it. It is not tried again, since history may be incomplete.",
            "resolve",
        ),
        ("The outcome could not be determined within an hour.", "elks-mcp outbox resolve"),
        ("--port needs --http. Without --http, no port is opened.", "Add `--http`"),
        ("Too many webhooks are queued, or the server is stopping.", "46elks sends the webhook again"),
        ("The operator has no recording of that name.", "ELKS_PROMPTS_DIR"),
        ("/home/x has no state: no order was ever placed there.", "ELKS_STATE_DIR"),
    ],
)
def test_a_remedy_is_for_its_text(message: str, remedy: str) -> None:
    found = find(message)
    assert found
    assert remedy in found.remedy
    assert "send it again." not in found.remedy.replace("not send it again.", "")


def test_an_unknown_text_is_not_found() -> None:
    assert find("A text that the product does not have at all.") is None
    assert find("") is None
