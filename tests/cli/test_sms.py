"""`elks-mcp send`, `estimate` and `status`, with a simulated 46elks behind a real server."""

import re
import signal
import socket
import sys
from pathlib import Path

import anyio
import pytest

from elks_mcp.sandbox import Fault
from elks_mcp.store import StateLocation
from elks_mcp.store.admin import OrderAdmin, open_database
from tests.support.connecting import posted, until
from tests.support.process import PROGRAM, run, running
from tests.support.terminal import at_terminal
from tests.support.verb_cases import SimulatedElks, mode_of

PHONE, NATIONAL = "+46701740605", "070-174 06 05"
TEXT = "Hej på dig! Kan du öppna? 🙂"


def texts(elks: SimulatedElks) -> list[str]:
    """List the texts that 46elks accepted."""
    return [each.text for each in elks.box.accepted]


# ── without a terminal ──


def test_a_text_is_sent_as_it_is_and_the_outcome_is_shown(elks: SimulatedElks) -> None:
    result = elks.run_command("send", NATIONAL, TEXT)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [(each.to, each.text) for each in elks.box.accepted] == [(PHONE, TEXT)]
    assert result.stdout.startswith("Sent: 46elks accepted it; the delivery report comes later.\n")
    assert re.search(rf"^  to     {NATIONAL} \(Sweden\)$", result.stdout, re.MULTILINE)
    assert re.search(r"^  cost   0\.52 SEK, 1 part \(UCS-2\)$", result.stdout, re.MULTILINE)
    assert re.search(r"^  order  O-\w+$", result.stdout, re.MULTILINE)


def test_a_text_from_the_command_line_ends_with_the_signature(elks: SimulatedElks) -> None:
    assert elks.run_command("send", PHONE, "Hej på dig", ELKS_SIGNATURE="/Kliniken").exit_code == 0
    assert texts(elks) == ["Hej på dig\n/Kliniken"]


def test_programs_get_the_answer_of_the_tool_as_json(elks: SimulatedElks) -> None:
    sent = elks.ask_json("send", PHONE, TEXT)
    assert (sent["status"], sent["to"], sent["price"]) == ("sent", PHONE, {"amount": 0.52, "currency": "SEK"})
    status = elks.ask_json("status", sent["orderId"].lower())
    assert (status["orderId"], status["messageId"]) == (sent["orderId"], sent["messageId"])
    refused = elks.run_command("send", PHONE, "Hej", "--from", "Bank1D", "--json")
    assert refused.exit_code == 1
    assert '"error": "refused"' in refused.stdout
    assert '"impersonation"' in refused.stdout


def test_a_dry_run_says_what_would_happen_and_sends_nothing(elks: SimulatedElks) -> None:
    for result in (
        elks.run_command("send", PHONE, TEXT, DRY_RUN=""),
        elks.run_command("send", PHONE, TEXT, "--dry-run"),
    ):
        assert result.exit_code == 0
        assert result.stdout.startswith("Dry run: nothing was sent (")
        assert "0.52 SEK, 1 part (UCS-2)" in result.stdout
    assert elks.box.accepted == []


def test_dry_run_cannot_be_lifted_without_a_terminal(elks: SimulatedElks) -> None:
    result = elks.run_command("send", PHONE, TEXT, "--no-dry-run", "--yes", DRY_RUN="true")
    assert result.exit_code == 1
    assert "in dry run" in result.stderr
    assert elks.box.accepted == []


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "said"),
    [
        (("070", "Hej"), {}, 2, "is too short for a phone number"),
        ((PHONE, " "), {}, 2, "The message is empty."),
        ((PHONE, "Hej"), {"ELKS_API_PASSWORD": ""}, 2, "Missing required environment variables"),
        ((PHONE, "Hej"), {"ELKS_API_PASSWORD": "wrong"}, 1, "46elks does not accept the API credentials"),
        ((PHONE, "Hej", "--from", "Bank1D"), {}, 1, "Refused by impersonation"),
        (("+4799999999", "Hej"), {}, 1, "Norway"),
    ],
)
def test_a_text_that_cannot_be_sent_says_why(
    elks: SimulatedElks, arguments: tuple[str, ...], environ: dict[str, str], code: int, said: str
) -> None:
    result = elks.run_command("send", *arguments, **environ)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert elks.box.accepted == []


def test_without_a_network_nothing_is_sent(elks: SimulatedElks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    result = elks.run_command("send", PHONE, TEXT, ELKS_API_BASE_URL=f"http://127.0.0.1:{port}/a1")
    assert result.exit_code == 1
    assert "46elks cannot be reached" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((PHONE,), "Missing argument 'TEXT'."),
        ((), "Missing argument 'NUMBER'."),
        (("--to-me",), "Missing argument 'TEXT'."),
        ((PHONE, "Hej", "på", "dig"), "Put it in quotation marks."),
    ],
)
def test_a_command_line_without_its_parts_is_wrong_use(
    elks: SimulatedElks, arguments: tuple[str, ...], said: str
) -> None:
    result = elks.run_command("send", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_text_can_come_from_standard_input(elks: SimulatedElks) -> None:
    assert elks.run_command("send", PHONE, "-", typed="Rad ett\nÅäö 🙂\n").exit_code == 0
    assert texts(elks) == ["Rad ett\nÅäö 🙂"]


def test_a_text_that_needs_approval_waits_for_a_terminal(elks: SimulatedElks) -> None:
    result = elks.run_command("send", PHONE, TEXT, "--yes", ELKS_CONFIRM="always")
    assert (result.exit_code, result.stdout) == (3, "")
    found = re.search(r"approval (A-\w+)\.", result.stderr)
    assert found
    assert f"elks-mcp approve {found[1]}" in result.stderr
    assert found[1] in elks.run_command("pending").stdout
    waiting = elks.ask_json("send", PHONE, TEXT, ELKS_CONFIRM="always")
    assert (waiting["status"], waiting["approval"]) == ("waiting", found[1])
    assert elks.box.accepted == []


def test_a_text_that_may_have_been_sent_has_an_exit_code_of_its_own(elks: SimulatedElks) -> None:
    elks.box.faults.inject(Fault.DROP_AFTER, method="POST", dryrun=False)
    result = elks.run_command("send", PHONE, TEXT)
    assert result.exit_code == 4
    assert "do not send it again" in result.stdout.replace("\n", " ")
    assert len(elks.box.accepted) == 1


@pytest.mark.usefixtures("fresh_start")
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent there")
def test_ctrl_c_during_a_send_says_that_the_text_may_have_been_sent(
    elks: SimulatedElks, tmp_path: Path
) -> None:
    elks.box.faults.inject(Fault.HANG, method="POST", dryrun=False)
    environ = {**elks.environ, "ELKS_TIMEOUT": "2"}
    with running(environ, tmp_path, command=(*PROGRAM, "send", PHONE, TEXT)) as sending:
        elks.do(until, lambda: bool(posted(elks.box)))
        assert sending.end(signal.SIGINT) == 4
        assert "The text may have been sent: do not send it again." in sending.stderr


def test_a_simulated_46elks_in_the_command_says_that_it_is_gone() -> None:
    result = run("send", PHONE, TEXT, ELKS_SANDBOX="true")
    assert result.returncode == 0
    assert "which is gone when it ends" in result.stdout.replace("\n", " ")
    assert "elks-mcp sandbox" in result.stdout
    as_json = run("send", PHONE, TEXT, "--json", ELKS_SANDBOX="true")
    assert "which is gone when it ends" in as_json.stdout


# ── at a terminal ──


@pytest.mark.parametrize("answer", ["y", "n", "\x04"])
def test_a_person_sees_the_cost_and_is_asked_once(elks: SimulatedElks, answer: str) -> None:
    with at_terminal("send", PHONE, TEXT, environ=elks.environ) as terminal:
        terminal.read_until("Send it? [y/N]").type(answer)
        code = terminal.finish()
    question, _, outcome = terminal.shown.partition("Send it?")
    assert f"| {TEXT}" in question
    assert f"{NATIONAL} (Sweden)" in question
    assert "0.52 SEK, 1 part (UCS-2)" in question
    assert (code, texts(elks)) == ((0, [TEXT]) if answer == "y" else (1, []))
    assert ("Sent: " if answer == "y" else "You declined, so nothing was sent.") in outcome


def test_yes_skips_the_ordinary_question(elks: SimulatedElks) -> None:
    with at_terminal("send", PHONE, TEXT, "--yes", environ=elks.environ) as terminal:
        assert terminal.finish() == 0
    assert "Send it?" not in terminal.shown
    assert texts(elks) == [TEXT]


@pytest.mark.parametrize("answer", ["y", "n"])
def test_yes_does_not_answer_the_question_of_a_guard(elks: SimulatedElks, answer: str) -> None:
    environ = {**elks.environ, "ELKS_CONFIRM": "always"}
    with at_terminal("send", PHONE, TEXT, "--yes", environ=environ) as terminal:
        terminal.read_until("Send it? [y/N]").type(answer)
        code = terminal.finish()
    for part in (
        PHONE,
        f"| {TEXT}",
        "1 part, 0.52 SEK",
        "The operator requires approval of every text.",
    ):
        assert part in terminal.shown
    assert (code, texts(elks)) == ((0, [TEXT]) if answer == "y" else (1, []))
    assert "No texts are waiting for approval." in elks.run_command("pending").stdout


def test_declining_a_text_that_was_approved_elsewhere_says_that_it_was_sent(
    elks: SimulatedElks, tmp_path: Path
) -> None:
    environ = {**elks.environ, "ELKS_CONFIRM": "always"}
    with at_terminal("send", PHONE, TEXT, environ=environ) as terminal:
        terminal.read_until("Send it? [y/N]")
        [approval] = re.findall(r"Approval (A-\w+)\.", terminal.shown)
        anyio.run(approve_elsewhere, tmp_path / "state", approval)
        elks.do(until, lambda: bool(texts(elks)))
        code = terminal.type("n").finish()
    outcome = terminal.shown.partition("Send it?")[2].replace("\n", " ")
    assert "Sent: 46elks accepted it; the delivery report comes later." in outcome
    assert "a person approved it elsewhere before that." in outcome
    assert "nothing was sent" not in outcome
    assert (code, texts(elks)) == (0, [TEXT])


async def approve_elsewhere(state: Path, approval: str) -> None:
    """Approve a text as `elks-mcp approve` does in another terminal."""
    async with open_database(StateLocation(folder=state)) as database:
        await OrderAdmin(database).approve(approval)


def test_the_dry_run_tells_a_person_how_to_send_for_real(elks: SimulatedElks) -> None:
    with at_terminal("send", PHONE, TEXT, environ={**elks.environ, "DRY_RUN": "true"}) as terminal:
        assert terminal.finish() == 0
    assert "To send it, add --no-dry-run, which asks you first" in terminal.shown
    assert "Send it?" not in terminal.shown


def test_p1_a_person_at_a_terminal_lifts_dry_run_for_one_text(elks: SimulatedElks) -> None:
    environ = {**elks.environ, "DRY_RUN": "true"}
    with at_terminal("send", PHONE, TEXT, "--no-dry-run", "--yes", environ=environ) as terminal:
        terminal.read_until("The server is in dry run; this text would go to a simulated phone.")
        terminal.read_until("Send it? [y/N]").type("y")
        assert terminal.finish() == 0
    assert texts(elks) == [TEXT]


def test_p2_contacts_that_change_while_the_question_is_open_do_not_change_the_recipient(
    elks: SimulatedElks, tmp_path: Path
) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text(f"name,phone\nÅsa,{PHONE}\n", "utf-8")
    environ = {**elks.environ, "ELKS_CONTACTS": str(file), "ELKS_ALLOWED_RECIPIENTS": "contacts"}
    with at_terminal("send", "Åsa", TEXT, environ=environ) as terminal:
        terminal.read_until(f"Åsa, {NATIONAL} (Sweden)").read_until("Send it? [y/N]")
        file.write_text("name,phone\nÅsa,+46701740607\n", "utf-8")
        terminal.type("y")
        assert terminal.finish() == 0
    assert [each.to for each in elks.box.accepted] == [PHONE]


def test_a_narrow_terminal_is_enough(elks: SimulatedElks) -> None:
    with at_terminal("send", PHONE, TEXT * 3, environ=elks.environ, columns=40) as terminal:
        terminal.read_until("Send it? [y/N]").type("y")
        assert terminal.finish() == 0
    rows = [row for line in terminal.shown.split("\n") for row in line.split("\r")]
    assert [row for row in rows if len(row) > 40] == []


def test_the_persons_own_number_is_asked_for_once(elks: SimulatedElks, tmp_path: Path) -> None:
    result = elks.run_command("send", "--to-me", TEXT)
    assert result.exit_code == 2
    assert "Your own number is not stored yet" in result.stderr
    with at_terminal("send", "--to-me", TEXT, "--yes", environ=elks.environ) as terminal:
        terminal.read_until("Your own number").type("070")
        terminal.read_until("is too short").read_until("Your own number").type(NATIONAL)
        assert terminal.finish() == 0
    file = tmp_path / "state" / "my-number"
    assert (file.read_text("utf-8"), mode_of(file)) == (f"{PHONE}\n", 0o600)
    assert elks.run_command("send", "--to-me", "Hej igen").exit_code == 0
    assert [(each.to, each.text) for each in elks.box.accepted] == [(PHONE, TEXT), (PHONE, "Hej igen")]


# ── estimate and status ──


def test_an_estimate_names_expensive_characters_and_sends_nothing(elks: SimulatedElks) -> None:
    result = elks.run_command("estimate", PHONE, "”Hej” " * 14)
    assert result.exit_code == 0
    assert result.stdout.startswith("It would cost 1.04 SEK: 2 parts (UCS-2). Nothing was sent.\n")
    assert "right double quotation mark" in result.stdout
    refused = elks.run_command("estimate", "+4799999999", "Hej")
    assert (refused.exit_code, "It would be refused: Norway (NO)" in refused.stdout) == (0, True)
    assert elks.box.accepted == []


def test_the_status_of_a_text_is_shown_by_either_id(elks: SimulatedElks) -> None:
    sent = elks.ask_json("send", PHONE, TEXT)
    for text_id in (sent["orderId"], sent["messageId"]):
        result = elks.run_command("status", text_id)
        assert result.exit_code == 0
        assert result.stdout.startswith("Created: 46elks has accepted it, but has not passed it on yet.\n")
        assert f"  to         {NATIONAL}\n" in result.stdout
    assert elks.run_command("status", "O-2222").exit_code == 1
