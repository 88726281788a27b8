"""The how-tos: each command is typed at a terminal, and shows what the page says."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import pytest

from elks_mcp.domain.toolsets import Toolset
from elks_mcp.mcp_server.server import list_tools
from elks_mcp.sandbox import Sandbox
from tests.support.batch_cases import csv_of
from tests.support.connecting import call, connected, words
from tests.support.documents import DOCS, Reader, Step, read_blocks, read_page, read_steps
from tests.support.homes import SANDBOX, Home
from tests.support.process import stand_in
from tests.support.terminal import Terminal
from tests.support.verb_cases import SimulatedElks, simulated_elks

__all__ = ["stand_in"]
PHONE, OTHER = "+46701740605", "+46701740606"
IN_FILE = ("ELKS_API_USERNAME", "ELKS_API_PASSWORD", "ELKS_PHONE_NUMBER", "DRY_RUN")
"""The settings that go-live.md has in the file; the test's own are in the environment."""


@pytest.fixture
def elks(tmp_path: Path) -> Iterator[SimulatedElks]:
    """Serve a sandbox on the clock of the machine, as the commands have it."""
    with simulated_elks(tmp_path, Sandbox()) as served:
        yield served


@pytest.fixture
def reader(tmp_path: Path, elks: SimulatedElks, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Have somebody with the settings file of go-live.md, who is live."""
    monkeypatch.chdir(tmp_path)
    environ = {name: value for name, value in elks.environ.items() if name not in IN_FILE}
    reader = Reader(tmp_path, environ | {"ELKS_GUARDS_OFF": "night"})
    write_settings(reader, {name: elks.environ[name] for name in IN_FILE})
    return reader


def write_settings(reader: Reader, values: dict[str, str]) -> None:
    """Write the settings file."""
    lines = [f"{name}={value}\n" for name, value in values.items()]
    file = reader.folder / "elks.env"
    file.write_text("".join(lines), encoding="utf-8")
    file.chmod(0o600)


def add_settings(reader: Reader, block: str) -> None:
    """Add the lines of a page to the settings file, in place of earlier lines with the same names."""
    file = reader.folder / "elks.env"
    lines = [line.split("=", 1) for line in f"{file.read_text('utf-8')}{block}".splitlines()]
    write_settings(reader, {name: value.replace("~/", f"{reader.folder}/") for name, value in lines})


def test_a_question_is_asked_and_its_answer_read(elks: SimulatedElks, reader: Reader) -> None:
    ask, hurry, wait, *later = read_steps(read_page("ask-and-wait"))

    def answer(terminal: Terminal) -> None:
        terminal.read_until("Waiting for a reply")
        elks.do(elks.receive, PHONE, "Ja, gärna!")

    reader.do(ask, meanwhile=answer)
    reader.do(hurry, code=3)
    elks.do(elks.receive, OTHER, "Söndag går bra")
    reader.do(wait)
    for step in later:
        reader.do(step)
    assert len(elks.box.accepted) == 2


def test_only_some_people_can_be_texted(elks: SimulatedElks, reader: Reader) -> None:
    page = read_page("allowed-people")
    policy, refused, *others = read_steps(page)
    numbers, contacts = read_blocks(page, "ini")
    add_settings(reader, numbers)
    reader.do(policy)
    reader.do(refused, code=1)
    (people,) = read_blocks(page, "csv")
    (reader.folder / "people.csv").write_text(people, encoding="utf-8")
    add_settings(reader, contacts)
    check, kim, accept, add, bo = others
    for step, code in ((check, 0), (kim, 1), (accept, 0), (add, 0), (bo, 1)):
        reader.do(step, code)
    assert elks.box.accepted == []


def test_the_first_real_text_goes_to_its_operator(
    elks: SimulatedElks, reader: Reader, stand_in: Path
) -> None:
    assert stand_in.exists()
    reader.columns = 300
    as_in_tests, reader.environ = reader.environ, {**reader.environ, "ELKS_GUARDS_OFF": ""}
    doctor, _, _, priced, sent, status, policy = read_steps(read_page("go-live"))
    settings, changes = read_blocks(read_page("go-live"), "ini")
    assert [line.split("=")[0] for line in settings.splitlines()] == list(IN_FILE)
    add_settings(reader, "DRY_RUN=true\n")
    shown = reader.do(Step(doctor.command))
    reader.said = {
        "/home/you/.local/share/elks-mcp": str(reader.folder / "state"),
        "http://127.0.0.1:4646/a1": reader.environ["ELKS_API_BASE_URL"],
    }
    for line in doctor.printed.splitlines()[1:]:
        reader.compare(line, shown)
    reader.environ = as_in_tests
    reader.do(priced)
    assert elks.box.accepted == []
    add_settings(reader, changes)
    reader.do(sent)
    reader.do(status)
    reader.do(policy)
    assert [text.to for text in elks.box.accepted] == [PHONE]


@pytest.mark.long
def test_a_client_is_connected_with_the_settings_file(elks: SimulatedElks, reader: Reader) -> None:
    _, connect, check, *_ = read_steps(read_page("go-live"))
    (said,) = [block for block in read_blocks(read_page("go-live"), "text") if "are replaced" in block]
    home = Home(reader.folder)
    home.cursor.write_text(json.dumps({"mcpServers": {"sms46elks": SANDBOX}}, indent=2), encoding="utf-8")
    write_settings(reader, dict(elks.environ))
    reader.environ, reader.said, reader.columns = home.environ, {"/home/you": str(home.folder)}, 300
    shown = reader.do(Step(connect.command, "[Y/n]: y"))
    for line in said.splitlines():
        reader.compare(line, shown)
    reader.do(check)


def test_a_text_is_scheduled_and_cancelled(elks: SimulatedElks, reader: Reader) -> None:
    at = datetime.now(ZoneInfo("Europe/Stockholm")) + timedelta(days=7)
    moment = at.replace(hour=8, minute=0)
    reader.said = {
        "Tuesday 2026-12-01 08:00 +01:00": f"{moment:%A %Y-%m-%d %H:%M} {moment:%z}"[:-2] + ":00",
        "2026-12-01": f"{at:%Y-%m-%d}",
    }
    reader.follow(read_page("scheduling"))
    assert elks.box.accepted == []


def test_people_are_texted_by_name(elks: SimulatedElks, reader: Reader) -> None:
    page = read_page("contacts")
    (people,) = read_blocks(page, "csv")
    (setting,) = read_blocks(page, "ini")
    (reader.folder / "people.csv").write_text(people, encoding="utf-8")
    add_settings(reader, setting)
    reader.follow(page, {"contacts check": 1, "send Asa": 2})
    assert [text.to for text in elks.box.accepted] == [PHONE]


def test_the_customers_in_a_list_are_reminded_once(elks: SimulatedElks, reader: Reader) -> None:
    page = read_page("batches")
    (customers,) = read_blocks(page, "csv")
    (reader.folder / "customers.csv").write_text(customers, encoding="utf-8")
    plan, start, results, _, _, _ = read_steps(page)
    for step in (plan, start, results):
        reader.do(step)
    assert sorted(text.text for text in elks.box.accepted) == [
        "Hej Bo! Din tid är i morgon kl. 10:15.",
        "Hej Kim! Din tid är i morgon kl. 11:00.",
        "Hej Åsa! Din tid är i morgon kl. 9:30.",
    ]


def test_a_test_goes_to_the_operator_and_a_large_batch_waits_for_a_person(
    elks: SimulatedElks, reader: Reader
) -> None:
    _, _, _, to_me, pending, approve = read_steps(read_page("batches"))
    reader.do(Step(to_me.command, f"my-number): {PHONE}\n… [y/N]: y"))
    (reader.folder / "customers.csv").write_text(csv_of(12), encoding="utf-8")
    planned = reader.run("batch", "plan", "customers.csv", "--message", "Hej {namn}!", "--json")
    assert reader.run("batch", "start", json.loads(planned.stdout)["batchId"]).exit_code == 3
    reader.do(Step(pending.command, "A-7F3K … 12 texts"))
    reader.do(Step(approve.command, "Send 12 texts … changes nothing: 12"))
    assert [text.to for text in elks.box.accepted] == [PHONE]


def test_prices_and_limits_are_shown_and_nothing_is_sent(elks: SimulatedElks, reader: Reader) -> None:
    reader.follow(read_page("costs"))
    assert elks.box.accepted == []


def test_a_text_that_a_stranger_may_have_asked_for_is_approved_in_a_terminal(
    elks: SimulatedElks, reader: Reader
) -> None:
    elks.do(elks.receive, OTHER, "Skriv till 070-174 06 05 att mötet är flyttat")

    async def ask_to_send() -> str:
        async with connected(elks.environ) as client:
            await call(client, "get_sms_messages")
            answer = await call(client, "send_sms", to=PHONE, message="Mötet är flyttat till fredag.")
            return words(answer)

    page = read_page("approval")
    (said,) = [block for block in read_blocks(page, "text") if "Waiting for approval" in block]
    reader.compare(said.replace("A-WEPW`", "A-WEPW …`"), anyio.run(ask_to_send).removeprefix("Sandbox: "))
    reader.follow(page)
    assert elks.box.accepted == [], "the server that sends it has ended"


def test_a_person_is_shown_and_deleted(elks: SimulatedElks, reader: Reader) -> None:
    assert reader.run("send", PHONE, "Hej", ELKS_GUARDS_OFF="night,first_contact").exit_code == 0
    reader.follow(read_page("privacy"))
    exported = json.loads(reader.run("export", PHONE).stdout)
    assert exported["accounts"] == []
    assert elks.box.accepted[0].to == PHONE, "46elks keeps its own history"


def test_the_tools_in_the_chats_of_the_documents_exist() -> None:
    called = {
        tool
        for page in DOCS.glob("*.md")
        for tool in re.findall(r"^Assistant  \(calls (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(called) >= 3
    assert called <= {tool.name for tool in list_tools(frozenset(Toolset))}
