"""`elks-mcp batch start`, `resume`, `status`, `pause`, `cancel`: texts leave once, or not at all."""

import re
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from elks_mcp.store import AccountKey, ServerKind, StateLocation
from elks_mcp.store.store import Store
from tests.support.batch_cases import MESSAGE, csv_of, number
from tests.support.command_cases import do, run_command
from tests.support.connecting import posted, until
from tests.support.process import PROGRAM, run, running
from tests.support.stores import change_rows, read_rows
from tests.support.terminal import at_terminal
from tests.support.verb_cases import SimulatedElks

NOT_ON_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent there")
SLOW, FAST = {"ELKS_SMS_PER_MINUTE": "1"}, {"ELKS_SMS_PER_MINUTE": "6000"}
HOW_IT_ENDS = (
    "If you end it earlier (Ctrl-C), a running server sends the rest; if there is none, the batch is"
)


def plan(elks: SimulatedElks, rows: int, *options: str, **environ: str) -> str:
    """Plan a batch for a list with this number of rows, and return its id."""
    file = Path(elks.environ["ELKS_STATE_DIR"]).parent / "kunder.csv"
    file.write_text(csv_of(rows), "utf-8")
    arguments = ("batch", "plan", str(file), "--message", MESSAGE, *options)
    batch_id: str = elks.ask_json(*arguments, **environ)["batchId"]
    return batch_id


def find_location(elks: SimulatedElks) -> StateLocation:
    """Return the location of the state of the commands."""
    return StateLocation(folder=Path(elks.environ["ELKS_STATE_DIR"]))


def texted(elks: SimulatedElks) -> list[str]:
    """List the numbers that got a text, sorted: several can be on their way at the same time."""
    return sorted(each.to for each in elks.box.accepted)


def numbers(rows: int) -> list[str]:
    """List the numbers of a list with this number of rows."""
    return [number(row) for row in range(1, rows + 1)]


def in_one_line(text: str) -> str:
    """Return printed rows as one line."""
    return " ".join(text.split())


def status(elks: SimulatedElks, batch_id: str) -> dict[str, Any]:
    """Return how far a batch is."""
    return elks.ask_json("batch", "status", batch_id)


def wait_for_a_text(elks: SimulatedElks) -> None:
    """Wait until one text of a batch was sent, and recorded as sent."""
    question = "select count(*) from orders where state = 'sent'"
    elks.do(until, lambda: bool(elks.box.accepted) and read_rows(find_location(elks), question)[0][0] > 0)


def resume_now(elks: SimulatedElks, batch_id: str) -> None:
    """Resume a batch without waiting for the next slot of the slow pace."""
    change_rows(find_location(elks), "update accounts set next_send_at = null")
    result = elks.run_command("batch", "resume", batch_id, **FAST)
    assert result.exit_code == 0, result.stderr


# ── without a terminal ──


def test_p3_a_batch_is_sent_by_the_command_and_a_repeat_sends_nothing(elks: SimulatedElks) -> None:
    batch_id = plan(elks, 3)
    result = elks.run_command("batch", "start", batch_id, **FAST)
    assert result.exit_code == 0, result.stderr
    assert HOW_IT_ENDS in in_one_line(result.stderr)
    assert result.stdout.startswith(f"Finished: every text has ended.\n  batch  {batch_id}\n")
    assert "  texts  3 sent\n  spent  1.56 SEK of 1.56 SEK\n" in result.stdout
    assert texted(elks) == numbers(3)
    assert elks.run_command("batch", "start", batch_id).exit_code == 0
    assert status(elks, batch_id)["status"] == "finished"
    assert len(posted(elks.box)) == 3


def test_p1_a_dry_run_answers_with_the_price(elks: SimulatedElks) -> None:
    batch_id = plan(elks, 3)
    result = elks.run_command("batch", "start", batch_id, DRY_RUN="true")
    assert result.exit_code == 0
    assert in_one_line(result.stdout).startswith("Dry run: nothing was sent (this server is in dry run;")
    assert "3 texts, 3 parts, 1.56 SEK." in in_one_line(result.stdout)
    assert posted(elks.box) == []


def test_p1_a_dry_run_resumes_nothing(elks: SimulatedElks) -> None:
    batch_id = plan(elks, 3, "--at", (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="minutes"))
    assert elks.run_command("batch", "start", batch_id).exit_code == 0
    assert elks.run_command("batch", "pause", batch_id).exit_code == 0
    result = elks.run_command("batch", "resume", batch_id, DRY_RUN="true")
    assert (result.exit_code, "in dry run, so no batch is resumed" in in_one_line(result.stderr)) == (1, True)
    assert status(elks, batch_id)["status"] == "paused"
    assert elks.run_command("batch", "resume", batch_id).exit_code == 0
    assert status(elks, batch_id)["counts"] == {"scheduled": 3}


def test_p2_a_batch_that_needs_a_person_waits_for_a_terminal(elks: SimulatedElks) -> None:
    batch_id = plan(elks, 3, ELKS_ASK_FROM="2")
    environ = {**FAST, "ELKS_ASK_FROM": "2"}
    result = elks.run_command("batch", "start", batch_id, "--yes", **environ)
    assert (result.exit_code, result.stdout) == (3, "")
    [code] = re.findall(
        r"Waiting for approval (A-\w+)\. It is a batch of 3 texts\.", in_one_line(result.stderr)
    )
    assert f"elks-mcp approve {code} " in in_one_line(result.stderr)
    waiting = elks.ask_json("batch", "start", batch_id, **environ)
    assert (waiting["status"], waiting["approval"], waiting["batchId"]) == ("waiting", code, batch_id)
    assert f"approve {code} " in in_one_line(elks.run_command("batch", "status", batch_id).stdout)
    assert posted(elks.box) == []
    with at_terminal("approve", code, environ=elks.environ) as terminal:
        terminal.read_until("type the number of recipients").type("3")
        assert terminal.finish() == 0
    assert elks.run_command("batch", "start", batch_id, **environ).exit_code == 0
    assert texted(elks) == numbers(3)


def test_a_batch_for_later_is_left_to_a_server(elks: SimulatedElks) -> None:
    at = (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="minutes")
    batch_id = plan(elks, 3, "--at", at)
    result = elks.run_command("batch", "start", batch_id)
    assert result.exit_code == 0, result.stderr
    assert "Each text is sent only if a client" in in_one_line(result.stdout)
    assert status(elks, batch_id)["counts"] == {"scheduled": 3}
    assert elks.run_command("batch", "cancel", batch_id).exit_code == 0
    assert posted(elks.box) == []


@pytest.mark.parametrize("command", ["start", "resume", "status", "show", "results", "pause", "cancel"])
def test_an_unknown_batch_is_an_error(elks: SimulatedElks, command: str) -> None:
    result = elks.run_command("batch", command, "B-22222222")
    assert (result.exit_code, result.stdout) == (1, "")
    plan(elks, 1)
    assert "No batch has that id." in elks.run_command("batch", command, "B-22222222").stderr


def test_a_batch_in_the_memory_of_a_command_cannot_be_found_by_another() -> None:
    result = run("batch", "start", "B-22222222", ELKS_SANDBOX="true", ELKS_STATE_DIR="")
    assert result.returncode == 1
    assert "state is in the memory of the server" in in_one_line(result.stderr)


# ── at a terminal ──


@pytest.mark.parametrize("answer", ["y", "n", "\x04"])
def test_p2_one_question_shows_the_batch_and_yes_sends_it(elks: SimulatedElks, answer: str) -> None:
    batch_id = plan(elks, 12)
    with at_terminal("batch", "start", batch_id, "--yes", environ={**elks.environ, **FAST}) as terminal:
        terminal.read_until("Send them all? [y/N]").type(answer)
        code = terminal.finish()
    question, _, outcome = terminal.shown.partition("Send them all?")
    assert question.startswith(
        "Send 12 texts to 12 recipients from +46701740699?\nCost: 6.24 SEK, 12 parts.\n"
    )
    assert "You are asked because of: many." in question
    assert "| Hej Åsa! Din tid är i morgon kl. 9:30. Välkommen!" in question
    assert (code, texted(elks)) == ((0, numbers(12)) if answer == "y" else (1, []))
    assert ("Finished: " if answer == "y" else "You declined, so nothing was sent.") in outcome


def test_a_small_batch_is_asked_about_unless_yes_is_given(elks: SimulatedElks) -> None:
    environ = {**elks.environ, **FAST}
    batch_id = plan(elks, 2)
    with at_terminal("batch", "start", batch_id, environ=environ) as terminal:
        terminal.read_until("Send them all? [y/N]").type("n")
        assert terminal.finish() == 1
    assert f"Planned: {batch_id}, 2 texts to 2 recipients" in terminal.shown
    with at_terminal("batch", "start", batch_id, "--yes", environ=environ) as terminal:
        assert terminal.finish() == 0
    assert "Send them all?" not in terminal.shown
    assert texted(elks) == numbers(2)


def test_a_narrow_terminal_is_enough_for_a_batch(elks: SimulatedElks) -> None:
    batch_id = plan(elks, 12)
    environ = {**elks.environ, **FAST}
    with at_terminal("batch", "start", batch_id, environ=environ, columns=40) as terminal:
        terminal.read_until("Send them all? [y/N]").type("y")
        assert terminal.finish() == 0
    rows = [row for line in terminal.shown.split("\n") for row in line.split("\r")]
    assert [row for row in rows if len(row) > 40] == []


# ── pausing, and what happens when the command ends ──


@NOT_ON_WINDOWS
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_p3_a_command_that_ends_early_pauses_the_batch_and_resume_repeats_no_row(
    elks: SimulatedElks, tmp_path: Path, ending: signal.Signals
) -> None:
    batch_id = plan(elks, 3)
    command = (*PROGRAM, "batch", "start", batch_id)
    with running({**elks.environ, **SLOW}, tmp_path, command=command) as starting:
        wait_for_a_text(elks)
        assert starting.end(ending) == 3
    result = elks.run_command("batch", "status", batch_id)
    shown = in_one_line(result.stdout)
    assert shown.startswith("Paused: 1 of 3 texts ended, the rest waits. The command that sent it ended, ")
    assert f"elks-mcp batch resume {batch_id} " in shown
    resume_now(elks, batch_id)
    assert texted(elks) == numbers(3)


@NOT_ON_WINDOWS
def test_a_command_that_ends_early_leaves_the_rest_to_a_running_server(
    elks: SimulatedElks, tmp_path: Path
) -> None:
    batch_id = plan(elks, 3)
    location = find_location(elks)
    account = AccountKey(elks.environ["ELKS_API_BASE_URL"], elks.environ["ELKS_API_USERNAME"])

    async def serve(store: Store) -> None:
        await store.heartbeats.record("f" * 16, ServerKind.SERVE)

    command = (*PROGRAM, "batch", "start", batch_id)
    with running({**elks.environ, **SLOW}, tmp_path, command=command) as starting:
        wait_for_a_text(elks)
        do(location, serve, account=account)
        assert starting.end(signal.SIGINT) == 3
    shown = in_one_line(elks.run_command("batch", "status", batch_id).stdout)
    assert shown.startswith("Running: 1 of 3 texts ended, the last leaves at about ")
    assert "A running server sends the rest." in shown


@pytest.mark.usefixtures("fresh_start")
@NOT_ON_WINDOWS
def test_p3_a_killed_command_leaves_the_rest_to_resume(elks: SimulatedElks, tmp_path: Path) -> None:
    batch_id = plan(elks, 3)
    command = (*PROGRAM, "batch", "start", batch_id)
    with running({**elks.environ, **SLOW}, tmp_path, command=command) as starting:
        wait_for_a_text(elks)
        starting.end(signal.SIGKILL)
    change_rows(find_location(elks), "update heartbeats set seen_at = seen_at - 40 * 1000000")
    shown = in_one_line(elks.run_command("batch", "status", batch_id).stdout)
    assert "The process that sends the rest was last seen 4" in shown
    change_rows(find_location(elks), "delete from heartbeats")
    assert "No process sends the rest now. To send it from here:" in in_one_line(
        elks.run_command("batch", "status", batch_id).stdout
    )
    resume_now(elks, batch_id)
    assert texted(elks) == numbers(3)


@NOT_ON_WINDOWS
def test_a_batch_is_paused_and_cancelled_from_another_terminal_without_credentials(
    elks: SimulatedElks, tmp_path: Path
) -> None:
    batch_id = plan(elks, 3)
    location = find_location(elks)
    command = (*PROGRAM, "batch", "start", batch_id)
    with running({**elks.environ, **SLOW}, tmp_path, command=command) as starting:
        wait_for_a_text(elks)
        result = run_command(location, "batch", "pause", batch_id)
        assert result.exit_code == 0
        assert "A person paused it." in in_one_line(result.stdout)
        assert starting.close() == 3  # it notices, and ends
    assert run_command(location, "batch", "cancel", batch_id).exit_code == 0
    assert run_command(location, "batch", "cancel", batch_id).exit_code == 0  # a repeat changes nothing
    assert elks.run_command("batch", "resume", batch_id).exit_code == 1
    assert elks.run_command("batch", "status", batch_id).stdout.startswith("Cancelled: ")
    assert texted(elks) == numbers(1)


def test_the_status_of_a_batch_says_how_many_replied(elks: SimulatedElks) -> None:
    batch_id = plan(elks, 2)
    assert elks.run_command("batch", "start", batch_id, **FAST).exit_code == 0
    change_rows(find_location(elks), "update batches set started_at = 0")
    elks.do(elks.receive, number(1), "Tack!")
    result = elks.run_command("batch", "status", batch_id, "--follow")
    assert result.exit_code == 0
    assert "Replies: 1, from 1 recipient." in result.stdout
    assert status(elks, batch_id)["replied"] == 1


def test_a_batch_of_a_client_with_a_token_can_be_started_by_a_person(elks: SimulatedElks) -> None:
    batch_id = plan(elks, 2)
    location = find_location(elks)
    change_rows(location, "update batches set caller = 'butiken'")
    assert elks.run_command("batch", "start", batch_id, **FAST).exit_code == 0
    assert texted(elks) == numbers(2)
