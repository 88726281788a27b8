"""Have a program of the operator speak a text.

The program is started without a shell. It gets the text on standard input, and an environment without the
secrets of the server. Its standard error is discarded, because it could repeat the text. Its output must be a
WAV file of bounded size.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import anyio
from anyio.abc import Process

from elks_mcp.runtime.clock import Clock
from elks_mcp.speech.audio_files import MOST_AUDIO_BYTES, AudioClip, UnusableAudio, read_wav

SPEAKING_TIMEOUT = timedelta(seconds=30)
"""How long the program may take. piper needs some seconds to load a voice."""

_PASSED_ON = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "ESPEAK_DATA_PATH",
        "TMPDIR",
        "TEMP",
        "SYSTEMROOT",
    }
)
"""The variables that the program gets: what it needs to start, and none of the server's settings."""


class SpeechFailed(Exception):
    """The program did not speak.

    The message says why, as the end of a sentence, without the text to speak.
    """


def build_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the program."""
    return {name: value for name, value in environ.items() if name.upper() in _PASSED_ON}


async def speak(command: Sequence[str], text: str, clock: Clock) -> AudioClip:
    """Return a text as the program speaks it.

    Args:
        command: the program and its arguments.
        text: what to speak. It is passed as one line of UTF-8.
        clock: measures how long the program takes.

    Raises:
        SpeechFailed: the program cannot be started, fails, takes too long, or writes something else.
    """
    try:
        with clock.fail_after(SPEAKING_TIMEOUT):
            written = await _run(command, " ".join(text.split()).encode() + b"\n")
    except TimeoutError:
        raise SpeechFailed(f"it took longer than {SPEAKING_TIMEOUT.seconds} seconds") from None
    except (OSError, ValueError):
        raise SpeechFailed("it cannot be started, so it may not be installed") from None
    try:
        return read_wav(written)
    except UnusableAudio as error:
        raise SpeechFailed(f"its output cannot be used: {error}") from None


async def _run(command: Sequence[str], text: bytes) -> bytes:
    with anyio.CancelScope(shield=True):  # cancelling the start would leave the program's children running
        process = await anyio.open_process(
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=build_environment(os.environ),
            start_new_session=True,  # a group of its own, so that what it starts ends with it
        )
    has_ended = False
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_write, process, text)
            written = await _read(process)
            code = await process.wait()
            has_ended = True
            tasks.cancel_scope.cancel()  # a program that does not read its input has ended all the same
    finally:
        with anyio.CancelScope(shield=True):
            if not has_ended:
                await _kill(process)
            await process.aclose()
    if len(written) > MOST_AUDIO_BYTES:
        raise SpeechFailed(f"it wrote more than {MOST_AUDIO_BYTES // 2**20} MB")
    if code:
        raise SpeechFailed(f"it ended with exit code {code}")
    return written


async def _write(process: Process, text: bytes) -> None:
    if process.stdin:
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await process.stdin.send(text)
            await process.stdin.aclose()


async def _read(process: Process) -> bytes:
    """Return what a program writes, and what it started; if that is too much, end all of them."""
    written = bytearray()
    if process.stdout:
        async for piece in process.stdout:
            written += piece
            if len(written) > MOST_AUDIO_BYTES:
                await _kill(process)
                break
    return bytes(written)


async def _kill(process: Process) -> None:
    """Kill a program and all that it started.

    The program itself may have ended, while one that it started holds its output. Its group exists as long as
    one of its processes does. Windows knows no groups: there the tree below a running program is ended.
    """
    if sys.platform == "win32":
        with suppress(OSError, subprocess.SubprocessError):
            tree = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
            await anyio.run_process(tree, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with suppress(ProcessLookupError, PermissionError):
            process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
