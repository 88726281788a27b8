"""Texts in answers: which one is a reply, its content, how much is shown, and its time."""

import ast
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from mcp import Client
from mcp_types import TextResourceContents

import elks_mcp
from elks_mcp import sandbox
from elks_mcp.answers.listing import report_history
from elks_mcp.app import open_app
from elks_mcp.cli import commands
from elks_mcp.errors import Misconfigured
from elks_mcp.sandbox import Sandbox
from elks_mcp.sandbox.messages import MessageStatus
from elks_mcp.settings import load
from tests.support.clocks import ManualClock
from tests.support.connecting import PHONE, box_on, call, connected, data, live, words
from tests.support.web import site

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


# ── replies ──
async def test_a_reply_is_marked_as_one_wherever_it_is_shown(clock: ManualClock) -> None:
    box = box_on(clock)
    async with connected(live(box), box=box, clock=clock) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Passar kl. 10?")
        clock.advance(timedelta(minutes=1))
        message = box.receive(PHONE, "Ja")
        box.receive("+46701740609", "Hej, vem är du?")
        reply = data(
            await call(client, "wait_for_reply", sender=PHONE, after=data(sent)["orderId"], timeout=0)
        )
        assert reply["message"]["isReply"] is True
        (content,) = (await client.read_resource(f"elks://messages/{message.id}")).contents
        assert isinstance(content, TextResourceContents)
        assert json.loads(content.text)["isReply"] is True


async def test_a_text_received_before_ours_is_not_a_reply(clock: ManualClock) -> None:
    box = box_on(clock)
    message = box.receive(PHONE, "Hej, är ni öppna?")
    clock.advance(timedelta(minutes=1))
    async with connected(live(box), box=box, clock=clock) as client:
        await call(client, "send_sms", to=PHONE, message="Ja, till kl. 18.")
        (content,) = (await client.read_resource(f"elks://messages/{message.id}")).contents
        assert isinstance(content, TextResourceContents)
        assert json.loads(content.text)["isReply"] is False


async def test_a_reply_is_marked_as_one_even_if_this_server_never_sent_a_text(
    clock: ManualClock, tmp_path: Path
) -> None:
    box = box_on(clock)
    box.add_history(clock.now() - timedelta(hours=2), to=PHONE, text="Passar kl. 10?")
    box.receive(PHONE, "Ja")
    environ = live(box, DRY_RUN="true", ELKS_STATE_DIR=str(tmp_path / "none"))
    async with open_app(load(environ), transport=box.transport(), clock=clock) as app:
        answer = await report_history(app, await app.client.list_messages(10), str)
    assert [entry.is_reply for entry in answer.messages] == [True, False]


# ── picture messages and empty texts ──

PICTURE = "m" + "0123456789abcdef" * 2


def receive_picture(box: Sandbox, text: str = "") -> str:
    """Send a picture message from a stranger; history lists it with an id of its own kind."""
    message = box.receive(PHONE, text)
    message.id = PICTURE
    return message.id


@pytest.mark.parametrize("text", ["", "Titta!"])
async def test_a_picture_message_is_reported_as_one(clock: ManualClock, text: str) -> None:
    box = box_on(clock)
    async with connected(live(box), box=box, clock=clock) as client:
        cursor = data(await call(client, "wait_for_reply", timeout=0))["cursor"]
        receive_picture(box, text)
        listed = await call(client, "get_sms_messages", direction="inbound")
        waited = await call(client, "wait_for_reply", after=cursor, timeout=0)
        (entry,) = data(listed)["messages"]
        assert (entry["picture"], entry["untrusted"], entry["id"]) == (True, text, PICTURE)
        assert f"(a picture, id {PICTURE}) from {PHONE}: {text}".rstrip() in words(listed)
        entry = data(waited)["message"]
        assert (entry["kind"], entry["untrustedText"]) == ("mms", text)
        assert "(a picture message)" in words(waited)
        assert text in words(waited)
        assert "empty" not in words(waited)


async def test_an_empty_text_is_reported_as_empty(clock: ManualClock) -> None:
    box = box_on(clock)
    for text in ("", "\u200b", " "):
        box.receive(PHONE, text)
    box.add_history(clock.now(), text="Hej")
    async with connected(live(box), box=box, clock=clock) as client:
        listed = await call(client, "get_sms_messages")
        assert words(listed).count("(no text, or not stored)") == 3
        assert not any("picture" in entry for entry in data(listed)["messages"])


async def test_a_picture_message_that_46elks_does_not_list_is_reported_as_one(clock: ManualClock) -> None:
    box = box_on(clock)
    async with connected(live(box), box=box, clock=clock) as client:
        answer = await call(client, "check_sms_status", messageId=PICTURE)
        assert answer.is_error
        assert "picture message (MMS), which this server does not read" in words(answer)


async def test_a_picture_message_received_by_webhook_reaches_a_waiting_call() -> None:
    box = Sandbox(clock=sandbox.ManualClock(datetime.now(UTC)))
    form = {
        "id": PICTURE,
        "direction": "incoming",
        "from": PHONE,
        "to": box.number,
        "created": f"{box.clock.now():%Y-%m-%dT%H:%M:%S.%f}",
        "image": "https://api.46elks.com/a1/images/one.jpg",
    }
    async with site(box) as served, served.client() as client:
        cursor = data(await call(client, "wait_for_reply", timeout=0))["cursor"]
        async with httpx2.AsyncClient(trust_env=False) as http:
            assert (await http.post(await served.hook("sms"), data=form)).status_code == 204
        waited = await call(client, "wait_for_reply", after=cursor, timeout=0)
    assert data(waited)["message"]["kind"] == "mms"
    assert "(a picture message)" in words(waited)


# ── the size of a list ──


def size(answer: Any) -> int:
    """Return how many bytes an answer takes, as data and in words."""
    as_data = json.dumps(answer.structured_content, ensure_ascii=False, separators=(",", ":"))
    return len(words(answer).encode()) + len(as_data.encode())


async def read_all(client: Client) -> tuple[list[str], int]:
    """List texts, continuing as each answer says, to the end; return them, and the number of calls."""
    texts: list[str] = []
    more: dict[str, str] = {}
    calls = 0
    while True:
        answer = await call(client, "get_sms_messages", direction="inbound", limit=100, **more)
        calls += 1
        assert size(answer) < 52_000
        found = data(answer)
        assert found["count"] == len(found["messages"])
        texts += [entry["untrusted"] for entry in found["messages"]]
        if "olderUntil" not in found:
            return texts, calls
        assert f"it has {found['count']} of " in found["note"]
        assert found["note"] in words(answer)
        more = {"until": found["olderUntil"]}
        assert f"Older: until={more['until']}." in words(answer)


@pytest.mark.parametrize("text", ["😀" * 1600, "Hej! " * 320])
async def test_a_list_that_is_too_long_is_cut_and_says_how_to_continue(clock: ManualClock, text: str) -> None:
    box = box_on(clock)
    received = []
    for number in range(40):
        clock.advance(timedelta(seconds=1))
        received.append(f"{number} {text}"[:1600])
        box.receive(PHONE, received[-1])
    async with connected(live(box), box=box, clock=clock) as client:
        texts, calls = await read_all(client)
    assert texts == received[::-1]
    assert calls > 2


async def test_a_hundred_short_texts_are_listed_in_one_answer(clock: ManualClock) -> None:
    box = box_on(clock)
    for number in range(100):
        clock.advance(timedelta(seconds=1))
        box.receive(PHONE, f"Ja tack, vi ses {number}.")
    async with connected(live(box), box=box, clock=clock) as client:
        texts, calls = await read_all(client)
    assert (len(set(texts)), calls) == (100, 1)


async def test_the_resource_with_received_texts_is_cut_as_well(clock: ManualClock) -> None:
    box = box_on(clock)
    for _ in range(20):
        clock.advance(timedelta(seconds=1))
        box.receive(PHONE, "😀" * 1600)
    async with connected(live(box), box=box, clock=clock) as client:
        (content,) = (await client.read_resource("elks://inbox")).contents
        assert isinstance(content, TextResourceContents)
        assert len(content.text.encode()) < 52_000
        assert "olderUntil" in json.loads(content.text)


# ── commands, and the mode ──


def sentences_of(path: Path) -> list[str]:
    """List the strings of a module that users see: all except its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    sentences: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Expr, ast.JoinedStr)):
            continue  # a docstring, or read as a whole
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.JoinedStr):
                parts = [each.value if isinstance(each, ast.Constant) else "…" for each in child.values]
                sentences.append("".join(map(str, parts)))
            elif isinstance(child, ast.Constant) and isinstance(child.value, str):
                sentences.append(child.value)
    return sentences


def test_a_command_stands_in_backticks_at_the_end_of_its_sentence() -> None:
    """Otherwise the words behind it are typed with it: `elks-mcp approve A-WEPW Tell the user`."""
    src = Path(elks_mcp.__file__).parent
    paths = [path for path in src.rglob("*.py") if path.parent.name != "sandbox"]
    sentences = [(path.name, said) for path in paths for said in sentences_of(path)]
    commands = [(name, said) for name, said in sentences if re.search("`elks-mcp [a-z-][^`]*`", said)]
    assert len(commands) > 1
    help_of_commands = src / "cli" / "__init__.py"
    wrong = [
        (name, said)
        for name, said in commands
        if re.search(r"`elks-mcp [^`]+`(?!\.)", said) and said not in sentences_of(help_of_commands)
    ]
    assert wrong == []


async def test_in_the_sandbox_every_answer_says_so_once() -> None:
    async with connected({"ELKS_SANDBOX": "true"}) as client:
        for answer in (
            await call(client, "explain_policy"),
            await call(client, "check_account_balance"),
            await call(client, "send_sms", to=PHONE, message="Hej"),
            await call(client, "send_sms", to="12", message="Hej"),
        ):
            assert words(answer).startswith("Sandbox: ")
            assert words(answer).count("Sandbox: ") == 1


# ── times ──


@pytest.mark.parametrize(
    ("zone", "summer", "winter"),
    [
        ("Europe/Stockholm", "2026-07-01 14:00 +02:00", "2026-11-23 13:00 +01:00"),
        ("America/St_Johns", "2026-07-01 09:30 -02:30", "2026-11-23 08:30 -03:30"),
        ("utc", "2026-07-01 12:00 +00:00", "2026-11-23 12:00 +00:00"),
    ],
)
async def test_times_are_in_the_configured_time_zone(
    clock: ManualClock, zone: str, summer: str, winter: str
) -> None:
    box = box_on(clock)
    old = box.add_history(datetime(2026, 7, 1, 12, tzinfo=UTC), to=PHONE)
    box.receive(PHONE, "STOP")
    async with connected(live(box, ELKS_TIME_ZONE=zone), box=box, clock=clock) as client:
        listed = await call(client, "get_sms_messages")
        assert f"- {winter[5:16]} (opted out with this text) from {PHONE}" in words(listed)
        assert f"- {summer[5:16]} you to {PHONE}" in words(listed)
        assert f"Now {winter[:16]} ({zone.replace('utc', 'UTC')})." in words(listed)
        assert [entry["at"] for entry in data(listed)["messages"]] == [winter[5:16], summer[5:16]]
        (content,) = (await client.read_resource(f"elks://messages/{old.id}")).contents
        assert isinstance(content, TextResourceContents)
        created_at = json.loads(content.text)["createdAt"]
        assert datetime.fromisoformat(created_at) == datetime(2026, 7, 1, 12, tzinfo=UTC)
        assert created_at.replace("Z", "+00:00")[-6:] == summer[-6:]
        status = await call(client, "check_sms_status", messageId=old.id)
        assert f"created {summer}, delivered {summer}" in words(status)
        refused = await call(client, "send_sms", to=PHONE, message="Hej")
        assert f"opted out on {winter}" in words(refused)
        statistics = await call(client, "get_delivery_statistics")
        assert f"From {summer} to {summer}." in words(statistics)
        policy = await call(client, "explain_policy")
        assert f"Opt-outs were read up to {winter}." in words(policy)
        assert f"read since {winter}." in words(policy)


def test_the_command_line_prints_times_in_the_configured_time_zone(tmp_path: Path) -> None:
    environ = {"ELKS_STATE_DIR": str(tmp_path), "ELKS_TIME_ZONE": "Asia/Kathmandu"}
    runner = CliRunner(env=environ)
    assert runner.invoke(commands, ["opt-outs", "add", PHONE]).exit_code == 0
    listed = runner.invoke(commands, ["opt-outs", "list"]).output
    assert re.search(r"by a person, \d{4}-\d\d-\d\d \d\d:\d\d \+05:45\n", listed)


@pytest.mark.parametrize(
    "name",
    [
        "Europe/Stokholm",
        "Europe",
        "../etc/passwd",
        "/etc/localtime",
        "localtime",
        "LOCALTIME",
        "right/Europe/Stockholm",
        "CEST+1",
        "\x01",
    ],
)
def test_a_time_zone_that_does_not_exist_cannot_be_read(name: str) -> None:
    with pytest.raises(Misconfigured, match="as in Europe/Stockholm") as caught:
        load({"ELKS_TIME_ZONE": name})
    assert "ELKS_TIME_ZONE" in str(caught.value)
    assert "perhaps" not in str(caught.value)


def test_a_time_zone_in_the_wrong_case_is_suggested_in_the_right_one() -> None:
    with pytest.raises(Misconfigured, match="perhaps Europe/Stockholm is meant"):
        load({"ELKS_TIME_ZONE": "europe/STOCKHOLM"})


WITHOUT_DATABASE = """
import sys, zoneinfo
sys.modules["tzdata"] = None
zoneinfo.reset_tzpath(to=[])
from datetime import UTC, datetime
from elks_mcp.runtime.clock import in_zone
from elks_mcp.settings import read
for name in ("Europe/Stockholm", "UTC"):
    for fault in read({"ELKS_TIME_ZONE": name}).faults:
        print(fault.text)
print(in_zone(datetime(2026, 7, 1, tzinfo=UTC), read({}).settings.time_zone).tzinfo is not None)
"""


def test_without_a_time_zone_database_the_machines_zone_and_utc_still_work() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DATABASE], capture_output=True, text=True, check=True
    )
    fault, works = done.stdout.splitlines()
    assert "this machine has no time zone database; install the package tzdata" in fault
    assert works == "True"


# ── the status of a text that was not sent from here ──


@pytest.mark.parametrize("status", ["created", "sent", "delivered", "failed"])
async def test_the_status_of_a_text_without_an_order_is_complete(
    clock: ManualClock, status: MessageStatus
) -> None:
    box = box_on(clock)
    async with connected(live(box), box=box, clock=clock) as client:
        sent = box.add_history(clock.now(), status=status)
        answer = await call(client, "check_sms_status", messageId=sent.id)
    assert data(answer)["status"] == status
    assert words(answer).startswith(f"{status.capitalize()}: ")


async def test_the_status_of_a_received_text_is_complete(clock: ManualClock) -> None:
    box = box_on(clock)
    async with connected(live(box), box=box, clock=clock) as client:
        received = box.receive(PHONE, "Hej")
        answer = await call(client, "check_sms_status", messageId=received.id)
    assert data(answer)["status"] == "received"
    assert words(answer).startswith("Received: ")
