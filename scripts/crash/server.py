"""One process of the real program, until it is killed."""

import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process

INHERITED = ("PATH", "HOME", "PYTHONPATH", "SYSTEMROOT")

GONE = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
    OSError,
)
"""The errors of writing to, or reading from, a killed server."""


@dataclass
class Server(ABC):
    """A server process, and how to call its tools."""

    process: Process
    log: Path
    is_gone: bool = False
    is_frozen: bool = False
    greeted: anyio.Event = field(default_factory=anyio.Event)

    @abstractmethod
    async def read(self) -> None:
        """Read the server's output until it ends."""

    @abstractmethod
    async def greet(self) -> None:
        """Wait until the server accepts calls, if it lives that long."""

    @abstractmethod
    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Call a tool and return its result; None if the server ended first."""

    @abstractmethod
    async def close(self) -> int:
        """End the server as its starter would, and return its exit code."""

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self.process.kill()

    def freeze(self) -> None:
        """Stop the process with SIGSTOP, as closing a laptop would."""
        self.is_frozen = True
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the process continue."""
        self.process.send_signal(signal.SIGCONT)
        self.is_frozen = False


async def start_program(environ: Mapping[str, str], log: Path, *arguments: str) -> Process:
    """Start the program, with its standard error in the log."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    with log.open("ab") as errors:
        return await anyio.open_process(
            [sys.executable, "-m", "elks_mcp", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**inherited, "PYTHONUTF8": "1", **environ},
        )
