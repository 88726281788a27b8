"""The command, run in this process or as a process of its own with a line-based client."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import IO, Any

import pytest
from click.testing import CliRunner, Result

from elks_mcp.cli import commands
from tests.support.clocks import HANG

PROGRAM = (sys.executable, "-m", "elks_mcp")

NOWHERE = Path(gettempdir(), "elks-mcp-tests", "nothing-is-here")
"""A state directory that does not exist."""

PLAIN = {"ELKS_GREETER": "false"}
"""For a server that is started once: it stores nothing for a next start."""


def invoke(arguments: Sequence[str], environ: Mapping[str, str], typed: str | None = None) -> Result:
    """Run the command in this process, without a terminal, with only these settings.

    It sees only the state that the environment names. An unexpected error is raised.
    """
    with having_only(environ):
        return CliRunner().invoke(commands, arguments, input=typed, catch_exceptions=False)


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, and return what `start` returns."""
    result = invoke(arguments, environ)
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)


def start(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own, for tests of its start, end or output."""
    inherited = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "ELKS_STATE_DIR": str(NOWHERE)} | PLAIN
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=inherited | environ,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let `elks-mcp doctor` start a small program instead of the server, and return its file.

    It answers as the server does, which takes two seconds to load. For tests of what the doctor says about
    other things. `test_the_doctor_finds_nothing_wrong_with_the_sandbox` starts the server itself.
    """
    program = tmp_path / "stand-in" / "elks_mcp" / "__main__.py"
    program.parent.mkdir(parents=True)
    program.with_name("__init__.py").touch()
    program.write_text("""print('{"jsonrpc": "2.0", "id": 1, "result": {}}')""", encoding="ascii")
    monkeypatch.setenv("PYTHONPATH", str(program.parents[1]))
    return program


@contextmanager
def having_only(environ: Mapping[str, str]) -> Iterator[None]:
    """Give this process's environment only these settings, inside the context."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ELKS_") or name == "DRY_RUN"]:
            patch.delenv(name)
        for name, value in {"ELKS_STATE_DIR": str(NOWHERE), **environ}.items():
            patch.setenv(name, value)
        yield


class Process:
    """A running server. `lines` has its standard output; its standard error is in a file."""

    def __init__(self, popen: subprocess.Popen[str], stderr: Path) -> None:
        self._popen = popen
        self._stderr = stderr
        self.lines: list[str] = []
        self._next_id = 0

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its answer or error, skipping other messages."""
        self._next_id += 1
        self.send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": dict(params or {})})
        while line := self._stdout.readline():
            self.lines.append(line)
            message: dict[str, Any] = json.loads(line)
            if message.get("id") == self._next_id:
                return message
        raise AssertionError(f"The server ended. Its log: {self.stderr}")

    def read_line(self) -> str:
        """Return the next line of the standard output."""
        line = self._stdout.readline()
        assert line, f"The process ended. Its log: {self.stderr}"
        return line

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message unchanged."""
        self.write(json.dumps(message) + "\n")

    def write(self, text: str) -> None:
        """Write to the server's standard input."""
        assert self._popen.stdin
        self._popen.stdin.write(text)
        self._popen.stdin.flush()

    def write_bytes(self, data: bytes) -> None:
        """Write bytes that need not be text to the server's standard input."""
        assert self._popen.stdin
        self._popen.stdin.buffer.write(data)  # type: ignore[attr-defined]
        self._popen.stdin.flush()

    def initialize(self, version: str = "2025-11-25", **capabilities: Any) -> dict[str, Any]:
        """Initialize a session as clients of the older revisions do, and return the result."""
        info = {"name": "test", "version": "1"}
        params = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": info}
        answer = self.request("initialize", params)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        result: dict[str, Any] = answer["result"]
        return result

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its result."""
        answer = self.request("tools/call", {"name": tool, "arguments": arguments})
        result: dict[str, Any] = answer["result"]
        return result

    def close(self) -> int:
        """Close the server's standard input, wait for its end, and return the exit code."""
        assert self._popen.stdin
        self._popen.stdin.close()
        self.lines += self._stdout.readlines()
        return self._popen.wait(timeout=60)

    def leave(self) -> int:
        """Close the server's standard input, read nothing more, and return the exit code."""
        assert self._popen.stdin
        self._popen.stdin.close()
        return self._popen.wait(timeout=HANG)

    def end(self, number: signal.Signals) -> int:
        """Send the process a signal, wait for its end, and return the exit code."""
        self._popen.send_signal(number)
        return self._popen.wait(timeout=60)

    @property
    def stderr(self) -> str:
        """The standard error until now."""
        return self._stderr.read_text(encoding="utf-8")

    @property
    def _stdout(self) -> IO[str]:
        assert self._popen.stdout
        return self._popen.stdout


@contextmanager
def running(
    environ: Mapping[str, str], folder: Path, *, command: Sequence[str] = PROGRAM
) -> Iterator[Process]:
    """Run the server with this environment, and only the path and home of ours."""
    environ = {"ELKS_STATE_DIR": str(folder / "state"), **environ}
    stderr = folder / "stderr.log"
    inherited = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "HOME") if name in os.environ}
    with (
        stderr.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=inherited | PLAIN | {"PYTHONUTF8": "1"} | dict(environ),
            encoding="utf-8",
        ) as popen,
    ):
        try:
            yield Process(popen, stderr)
        finally:
            popen.kill()
