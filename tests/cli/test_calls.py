"""`elks-mcp call`, `calls` and `recording`, with a simulated 46elks behind a real server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from elks_mcp.answers.call_requests import CALL_WAIT, prepare_call
from elks_mcp.answers.calls import CallAnswer
from elks_mcp.app import App, open_app
from elks_mcp.cli.calls import find_call_code, make_call
from elks_mcp.domain.calls import CallState
from elks_mcp.sandbox import Fault, Sandbox
from elks_mcp.sandbox.call_behaviours import NO_ANSWER, RINGS, SILENT, VOICEMAIL, CallBehaviour, pressing
from elks_mcp.sending.plan import Decision
from elks_mcp.sending.send_requests import CallRequest
from elks_mcp.settings import load
from tests.support.call_cases import POLLED, called
from tests.support.clocks import HANG, ManualClock, autojump
from tests.support.connecting import box_on, live
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


@asynccontextmanager
async def calling_app(folder: Path) -> AsyncIterator[tuple[App, Sandbox, ManualClock]]:
    """Open the app of a command, with a clock that the test moves."""
    clock = ManualClock()
    box = box_on(clock)
    configuration = load(live(box, ELKS_STATE_DIR=str(folder), **POLLED))
    async with open_app(configuration, transport=box.transport(), clock=clock) as app:
        yield app, box, clock


async def carry_out(app: App, digits: int) -> CallAnswer:
    """Call the phone as the command does, and return the answer."""
    call = await prepare_call(app, "The site is down. " * 8, "", digits=digits, dry_run=None)
    planned = await app.planner.plan(CallRequest(to=PHONE, call=call), can_ask=False)
    return await make_call(app, planned, Decision.NOT_NEEDED)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("behaviour", "digits", "ends", "code"),
    [
        (pressing("1"), 1, CallState.ANSWERED, 0),
        (SILENT, 0, CallState.ANSWERED, 0),
        (SILENT, 1, CallState.ANSWERED, 3),
        (VOICEMAIL, 1, CallState.ANSWERED, 3),
        (NO_ANSWER, 1, CallState.FAILED, 1),
        (RINGS, 1, CallState.FAILED, 1),
    ],
)
async def test_the_command_waits_until_its_call_has_ended_and_the_code_says_how(
    tmp_path: Path, behaviour: CallBehaviour, digits: int, ends: CallState, code: int
) -> None:
    async with calling_app(tmp_path) as (app, box, clock), autojump(clock):
        box.calls.set_behaviour(PHONE, behaviour)
        with anyio.fail_after(HANG):
            answer = await carry_out(app, digits)
        assert answer.call is ends
        assert find_call_code(answer, digits) == code
        assert bool(answer.untrusted_digits) is (digits > 0 and code == 0)
        [made] = box.calls.history
        assert made.ended_at is not None
        assert clock.now() >= made.ended_at


@pytest.mark.anyio
async def test_a_call_that_does_not_end_in_its_time_is_not_done(tmp_path: Path) -> None:
    async with calling_app(tmp_path) as (app, box, clock), autojump(clock):
        box.faults.inject(Fault.ERROR_BEFORE, method="GET", path="/calls/*", times=None)
        began = clock.now()
        with anyio.fail_after(HANG):
            answer = await carry_out(app, 1)
        assert clock.now() - began > CALL_WAIT
        assert (answer.call, find_call_code(answer, 1)) == (CallState.ONGOING, 3)
        assert "Do not call again" in answer.summary


@pytest.mark.parametrize(
    ("status", "call", "code"),
    [
        ("dry_run", None, 0),
        ("queued", None, 3),
        ("in_doubt", None, 4),
        ("unknown", CallState.UNKNOWN, 4),
        ("sent", CallState.UNKNOWN, 4),
        ("sent", CallState.ONGOING, 3),
        ("failed", CallState.BUSY, 1),
    ],
)
def test_the_exit_code_is_that_of_the_outcome(status: str, call: CallState | None, code: int) -> None:
    answer = cast("Any", CallAnswer).model_construct(status=status, call=call, untrusted_digits=None)
    assert find_call_code(answer, 0) == code


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
