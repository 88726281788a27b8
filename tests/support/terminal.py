"""A command at a terminal, whose output is read and whose input is typed."""

import codecs
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread
from typing import Self

import pytest

from elks_mcp.cli import commands
from tests.support.process import NOWHERE, PLAIN, PROGRAM, having_only

_PATIENCE = 30


class Terminal:
    """A running command whose standard input and output are a terminal."""

    def __init__(self, wait: Callable[[], int], end: int) -> None:
        self._wait = wait
        self._end = end
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a character may come in two reads
        self.shown = ""

    def read_until(self, text: str) -> Self:
        """Read until the command has shown `text`."""
        while text not in self.shown:
            assert self._read(), f"The command ended. It showed only: {self.shown}"
        return self

    def type(self, line: str) -> Self:
        """Type a line."""
        os.write(self._end, f"{line}\n".encode())
        return self

    def finish(self) -> int:
        """Read the rest, and return the exit code."""
        while self._read():
            pass
        return self._wait()

    def _read(self) -> bool:
        assert select.select([self._end], [], [], _PATIENCE)[0], f"The command showed only: {self.shown}"
        with suppress(OSError):  # Linux raises it when the other end is closed
            if data := os.read(self._end, 65536):
                self.shown = (self.shown + self._decoder.decode(data)).replace("\r\n", "\n")
                return True
        return False


@contextmanager
def at_terminal(*arguments: str, environ: Mapping[str, str], columns: int = 80) -> Iterator[Terminal]:
    """Run the command in this process at a terminal; skip the test if there are no terminals."""
    ours, theirs = _open_terminal(columns)
    with ExitStack() as stack:
        stack.callback(os.close, ours)
        stack.enter_context(having_only(environ))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            patch.setattr(sys, stream, os.fdopen(os.dup(theirs), mode, encoding="utf-8"))
        os.close(theirs)
        command = _Command(arguments)
        command.start()
        yield Terminal(command.wait, ours)


class _Command(Thread):
    """The command in a thread, which closes its standard streams at the end, as a process does."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self._arguments = arguments
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        self._code: object = None

    def run(self) -> None:
        try:
            commands(list(self._arguments), prog_name="elks-mcp")
        except SystemExit as ended:
            self._code = ended.code
        finally:
            for stream in self._streams:
                stream.close()

    def wait(self) -> int:
        self.join(_PATIENCE)
        assert not self.is_alive(), "the command did not end"
        assert isinstance(self._code, int), "the command ended with an unexpected error"
        return self._code


@contextmanager
def started_at_terminal(*arguments: str, environ: Mapping[str, str], piped: str = "") -> Iterator[Terminal]:
    """Run the command at a terminal as a process of its own; one end may be a pipe."""
    ours, theirs = _open_terminal(80)
    inherited = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "ELKS_STATE_DIR": str(NOWHERE)} | PLAIN
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
            yield Terminal(lambda: process.wait(timeout=_PATIENCE), ours)
        finally:
            process.kill()
            os.close(ours)


def _open_terminal(columns: int) -> tuple[int, int]:
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    termios = pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    return ours, theirs
