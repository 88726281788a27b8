"""`elks-mcp wait` and `ask`."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.process import run
from tests.support.terminal import at_terminal
from tests.support.verb_cases import SimulatedElks, simulated_elks

ANSWERS_JA = "+46701740613"
PHONE = "+46701740605"


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[SimulatedElks]:
    """Serve a sandbox on the clock of the machine, whose phones answer after some seconds."""
    with simulated_elks(tmp_path, Sandbox()) as served:
        yield served


def test_a_question_is_sent_and_the_answer_shown(moving: SimulatedElks) -> None:
    result = moving.run_command("ask", ANSWERS_JA, "Kommer du på lördag?")
    assert result.exit_code == 0
    assert result.stdout.startswith("Sent: ")
    assert re.search(r"  from 070-174 06 13  reply\n\| JA\n\Z", result.stdout)


def test_a_person_sees_that_the_command_waits(moving: SimulatedElks) -> None:
    with at_terminal("ask", ANSWERS_JA, "Kommer du?", "--yes", environ=moving.environ) as terminal:
        terminal.read_until("Waiting for a reply (Ctrl-C ends it) …")
        assert terminal.read_until("| JA").finish() == 0


def test_a_question_without_an_answer_says_how_to_continue(moving: SimulatedElks) -> None:
    result = moving.run_command("ask", PHONE, "Kommer du?", "--timeout", "0")
    assert result.exit_code == 3
    assert "No text arrived in time." in result.stdout
    again = re.search(r"wait\s+(\S+)\s+--after\s+(c-\d+)", result.stdout)
    assert again
    assert again[1] == PHONE
    moving.do(moving.receive, PHONE, "Ja 🙂")
    later = moving.run_command("wait", again[1], "--after", again[2])
    assert (later.exit_code, "| Ja 🙂" in later.stdout) == (0, True)


def test_with_json_both_outcomes_are_one_object(elks: SimulatedElks) -> None:
    answer = elks.ask_json("ask", PHONE, "Kommer du?", "--timeout", "0")
    assert (answer["sent"]["status"], answer["reply"]["status"]) == ("sent", "no_reply")
    waited = elks.ask_json("wait", PHONE, "--timeout", "0", "--after", answer["sent"]["orderId"])
    assert waited["status"] == "no_reply"


def test_a_question_in_a_dry_run_is_not_sent_and_nothing_is_waited_for(elks: SimulatedElks) -> None:
    result = elks.run_command("ask", PHONE, "Kommer du?", "--dry-run")
    assert (result.exit_code, result.stdout.startswith("Dry run: nothing was sent")) == (0, True)
    assert elks.box.accepted == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("wait", "070"), 2, "is too short"),
        (("wait", "07", "0"), 2, "is too short"),
        (("wait", "--after", "c1"), 2, "neither a cursor nor the id"),
        (("ask", PHONE, "Hej?", "--from", "Klara"), 2, "cannot answer a text from a name"),
        (("ask", PHONE), 2, "Missing argument 'TEXT'."),
    ],
)
def test_an_invalid_wait_is_wrong_use(
    elks: SimulatedElks, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = elks.run_command(*arguments)
    assert (result.exit_code, said in result.stderr) == (code, True)
    assert elks.box.accepted == []


def test_a_simulated_46elks_in_the_command_answers() -> None:
    result = run("ask", ANSWERS_JA, "Kommer du?", ELKS_SANDBOX="true")
    assert result.returncode == 0, result.stderr
    assert "| JA\n" in result.stdout
    assert result.stdout.replace("\n", " ").count("which is gone when it ends") == 1
