"""A program of the operator speaks: the real espeak-ng, and programs that misbehave."""

import os
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from elks_mcp.runtime.clock import Clock
from elks_mcp.speech.commands import parse_speech_command
from elks_mcp.speech.synthesis import SPEAKING_TIMEOUT, SpeechFailed, build_environment, speak
from tests.support.audio import a_wav
from tests.support.clocks import HANG, ManualClock
from tests.support.connecting import until
from tests.support.speech import a_program, find_espeak

pytestmark = pytest.mark.anyio

SECRET, TEXT = "hemligt-lösenord", "Driften är nere. Tryck 1."


async def test_espeak_ng_really_speaks_swedish() -> None:
    find_espeak()
    short = await speak(parse_speech_command("espeak-ng"), "Hej!", Clock())
    long = await speak(parse_speech_command("espeak-ng"), "Produktionsdatabasen är nere. Tryck ett.", Clock())
    assert (short.format, long.format) == ("wav", "wav")
    assert 0.2 < short.seconds < long.seconds < 10
    assert any(long.content[44:])  # it is not silence


async def test_a_text_is_passed_on_standard_input_only(tmp_path: Path) -> None:
    (tmp_path / "quiet.wav").write_bytes(a_wav(1))
    seen = tmp_path / "seen"
    code = f"""
given = sys.stdin.buffer.read()
open({str(seen)!r}, "wb").write(given + b"|" + repr(sys.argv[1:]).encode() + repr(dict(os.environ)).encode())
sys.stdout.buffer.write(open({str(tmp_path / "quiet.wav")!r}, "rb").read())
"""
    audio = await speak((*a_program(tmp_path, code), "--voice"), f"{TEXT}\n  Två  rader", Clock())
    assert audio.seconds == 1
    given, _, rest = seen.read_text("utf-8").partition("|")
    assert given == f"{TEXT} Två rader\n"
    assert rest.startswith("['--voice']")
    assert "Tryck" not in rest


async def test_a_program_gets_no_secret_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P8."""
    for name in ("ELKS_API_PASSWORD", "ELKS_SECRET_KEY", "ELKS_DATABASE_URL", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    seen = tmp_path / "seen"
    with pytest.raises(SpeechFailed):
        await speak(
            a_program(tmp_path, f"open({str(seen)!r}, 'w').write(repr(dict(os.environ)))"), TEXT, Clock()
        )
    assert "PATH" in seen.read_text("utf-8")
    assert SECRET not in seen.read_text("utf-8")
    assert not any(name.startswith("ELKS") for name in build_environment(os.environ))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("", "not a WAV file"),
        ("sys.stdout.write('<html>' * 100)", "not a WAV file"),
        ("sys.exit(3)", "exit code 3"),
        ("sys.stderr.write(sys.stdin.read()); sys.exit(1)", "exit code 1"),
        ("sys.stdout.buffer.write(b'RIFF' + bytes(2**23)); time.sleep(600)", "more than 4 MB"),
    ],
)
async def test_a_program_that_misbehaves_is_a_failure_that_does_not_repeat_the_text(
    tmp_path: Path, code: str, why: str
) -> None:
    with pytest.raises(SpeechFailed, match=why) as failed:
        await speak(a_program(tmp_path, code), SECRET, Clock())
    assert SECRET not in str(failed.value)


async def test_a_program_that_reads_nothing_may_still_speak(tmp_path: Path) -> None:
    (tmp_path / "quiet.wav").write_bytes(a_wav(1))
    code = f"sys.stdin.close(); sys.stdout.buffer.write(open({str(tmp_path / 'quiet.wav')!r}, 'rb').read())"
    assert (await speak(a_program(tmp_path, code), TEXT * 10_000, Clock())).seconds == 1


@pytest.mark.parametrize("command", [("no-such-program-here",), ("/",), ("",)])
async def test_a_program_that_cannot_be_started_is_a_failure(command: tuple[str, ...]) -> None:
    with pytest.raises(SpeechFailed, match="cannot be started"):
        await speak(command, TEXT, Clock())


_WHILE_STARTING = 4
"""Turns of the loop after which a program has been started; it takes some more until that is known."""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("is_starting", [False, True], ids=["running", "starting"])
async def test_a_program_that_takes_too_long_is_ended_with_all_that_it_started(
    tmp_path: Path, is_starting: bool
) -> None:
    """Also if the time is over before this process has come to know that the program runs."""
    clock, started = ManualClock(), tmp_path / "started"
    code = f"""
child = os.fork()
if child:
    open({str(started)!r} + ".tmp", "w").write(f"{{os.getpid()}} {{child}}")
    os.rename({str(started)!r} + ".tmp", {str(started)!r})
time.sleep(600)
"""
    with anyio.fail_after(HANG):
        async with anyio.create_task_group() as tasks:

            async def expect_failure() -> None:
                with pytest.raises(SpeechFailed, match="longer than 30 seconds"):
                    await speak(a_program(tmp_path, code), TEXT, clock)

            tasks.start_soon(expect_failure)
            for _ in range(_WHILE_STARTING if is_starting else 0):
                await anyio.lowlevel.checkpoint()
            while is_starting and not started.exists():
                pass  # nothing else runs in this process meanwhile
            if not is_starting:
                await until(started.exists)
            clock.advance(SPEAKING_TIMEOUT + timedelta(seconds=1))
        for process in map(int, started.read_text().split()):
            await until(partial(has_ended, process))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
async def test_a_child_that_holds_the_output_of_a_program_that_has_ended_is_ended_in_time(
    tmp_path: Path,
) -> None:
    clock, started = ManualClock(), tmp_path / "started"
    (tmp_path / "quiet.wav").write_bytes(a_wav(1))
    code = f"""
parent = os.getpid()
if os.fork():
    sys.stdout.buffer.write(open({str(tmp_path / "quiet.wav")!r}, "rb").read())
    os._exit(0)
while os.getppid() == parent:
    time.sleep(0.01)
open({str(started)!r} + ".tmp", "w").write(f"{{parent}} {{os.getpid()}}")
os.rename({str(started)!r} + ".tmp", {str(started)!r})
time.sleep(600)
"""
    with anyio.fail_after(HANG):
        async with anyio.create_task_group() as tasks:

            async def expect_failure() -> None:
                with pytest.raises(SpeechFailed, match="longer than 30 seconds"):
                    await speak(a_program(tmp_path, code), TEXT, clock)

            tasks.start_soon(expect_failure)
            await until(started.exists)
            parent, child = map(int, started.read_text().split())
            await until(partial(has_ended, parent))
            clock.advance(SPEAKING_TIMEOUT + timedelta(seconds=1))
        await until(partial(has_ended, child))


def has_ended(process: int) -> bool:
    """Return whether a process has ended; its parent may not have waited for it yet."""
    try:
        return "(zombie)" in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return True
