"""A command at a terminal: what it shows is read, and what a person would type is typed."""

import os
import select
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Self

import pytest

from .process import PROGRAM

NOWHERE = Path(gettempdir(), "elks-mcp-tests", "nothing-is-here")
"""A state directory that nobody makes."""

_PATIENCE = 30


class Terminal:
    """A running command whose standard input and output are a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], end: int) -> None:
        self._process = process
        self._end = end
        self.shown = ""

    def read_until(self, text: str) -> Self:
        """Read until this is shown."""
        while text not in self.shown:
            assert self._read(), f"it ended, and showed only: {self.shown}"
        return self

    def type(self, line: str) -> Self:
        """Type a line."""
        os.write(self._end, f"{line}\n".encode())
        return self

    def finish(self) -> int:
        """Read the rest, and return the exit code."""
        while self._read():
            pass
        return self._process.wait(timeout=_PATIENCE)

    def _read(self) -> bool:
        assert select.select([self._end], [], [], _PATIENCE)[0], f"nothing more than: {self.shown}"
        with suppress(OSError):  # what Linux says when the other end is closed
            if data := os.read(self._end, 65536):
                self.shown += data.decode().replace("\r\n", "\n")
                return True
        return False


@contextmanager
def at_terminal(
    *arguments: str, environ: Mapping[str, str], piped: str = "", columns: int = 80
) -> Iterator[Terminal]:
    """Run the command at a terminal, of which one end may be a pipe; without terminals, skip the test."""
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    termios = pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    inherited = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "ELKS_STATE_DIR": str(NOWHERE)}
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.PIPE if piped == "stdin" else theirs,
        stdout=subprocess.PIPE if piped == "stdout" else theirs,
        stderr=theirs,
        env=inherited | dict(environ),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            os.close(ours)


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command with this environment and nothing of ours but the path, where no person sits.

    It sees no state but that which the environment names.
    """
    inherited = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "ELKS_STATE_DIR": str(NOWHERE)}
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=inherited | environ,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
