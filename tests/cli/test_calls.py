"""`elks-mcp call`, `calls` and `recording`, with a simulated 46elks behind a real server."""

from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.sandbox import Fault
from tests.support.call_cases import POLLED, called
from tests.support.verb_cases import SimulatedElks

PHONE = "+46701740605"
WORDS = "The site is down. Press 1."
SETTINGS = {name: value for name, value in POLLED.items() if name != "ELKS_TOOLSETS"}


def test_a_call_that_fails_is_reported_and_costs_nothing(elks: SimulatedElks) -> None:
    elks.box.faults.inject(Fault.FAILED_AT_ONCE, method="POST", path="/calls")
    result = elks.run_command("call", "070-174 06 05", WORDS, "--ask", "1", **SETTINGS)
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.startswith("Not answered: nobody picked up")
    assert "cost       0.00 SEK" in result.stdout
    [form] = called(elks.box)
    assert form["to"] == PHONE
    listed = elks.run_command("calls", **SETTINGS)
    assert "  failed  c" in listed.stdout
    assert listed.exit_code == 0


def test_p1_a_dry_run_calls_nobody(elks: SimulatedElks) -> None:
    for result in (
        elks.run_command("call", PHONE, WORDS, "--dry-run", **SETTINGS),
        elks.run_command("call", PHONE, WORDS, **SETTINGS, DRY_RUN=""),
    ):
        assert result.exit_code == 0
        assert result.stdout.startswith("Dry run: no call was made (")
        assert "at most 0.80 SEK" in result.stdout
    assert not called(elks.box)


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "said"),
    [
        ((PHONE,), {}, 2, "Give either a text to say or the name of a recording."),
        ((PHONE, WORDS, "--prompt", "larm"), {}, 2, "Give either a text"),
        ((PHONE, WORDS), {"ELKS_CALL_PRICE_PER_MINUTE": ""}, 2, "ELKS_CALL_PRICE_PER_MINUTE"),
        ((PHONE, "Driften är nere"), {}, 2, "up to 180 characters"),
        ((PHONE, WORDS, "--from", "Salongen"), {}, 2, "A call comes from a number"),
        (("+4590123456", WORDS), {}, 1, "allowed_country"),
        ((PHONE, WORDS, "--ask", "9"), {}, 2, "--ask"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused(
    elks: SimulatedElks, arguments: tuple[str, ...], environ: dict[str, str], code: int, said: str
) -> None:
    result = elks.run_command("call", *arguments, **{**SETTINGS, **environ})
    assert result.exit_code == code, result.output
    assert said in " ".join(result.output.split())
    assert not called(elks.box)


def test_without_a_terminal_a_call_that_needs_approval_waits(elks: SimulatedElks) -> None:
    result = elks.run_command("call", PHONE, WORDS, **SETTINGS, ELKS_CONFIRM="always")
    assert result.exit_code == 3
    assert "Waiting for approval A-" in result.stderr
    assert not called(elks.box)
    pending = elks.run_command("pending", **SETTINGS)
    assert "at most 1 minute, 0.80 SEK" in pending.stdout


def test_a_recording_is_saved_and_no_file_is_overwritten(elks: SimulatedElks, tmp_path: Path) -> None:
    now = elks.box.clock.now()
    made = elks.box.calls.add_history(now, direction="incoming", sender=PHONE, to=elks.box.number)
    exchange = elks.box.calls._simulation.exchange
    exchange.recorder.add(made, "https://example.com", now - timedelta(seconds=100), now)
    file = tmp_path / "call.wav"
    saved = elks.run_command("recording", made.recordings[0], str(file), **SETTINGS)
    assert (saved.exit_code, file.read_bytes()[:4]) == (0, b"RIFF")
    again = elks.run_command("recording", made.recordings[0], str(file), **SETTINGS)
    assert again.exit_code == 2
    assert "cannot be written" in again.output
