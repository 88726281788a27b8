"""One life of the server: the real program, until it is killed."""

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

_INHERITED = ("PATH", "HOME", "PYTHONPATH", "SYSTEMROOT")

GONE = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
    OSError,
)
"""What talking to one that was killed ends with."""


@dataclass
class Server(ABC):
    """A server, and how it is asked."""

    process: Process
    log: Path
    is_gone: bool = False
    is_frozen: bool = False
    greeted: anyio.Event = field(default_factory=anyio.Event)

    @abstractmethod
    async def read(self) -> None:
        """Take in what it says, until it is gone."""

    @abstractmethod
    async def greet(self) -> None:
        """Wait until it can be asked, if it lives to be."""

    @abstractmethod
    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Call a tool and return its result; None where none ever came."""

    @abstractmethod
    async def close(self) -> int:
        """Let it end as whoever started it does, and give its exit code."""

    def kill(self) -> None:
        """Kill it, as the power would."""
        self.process.kill()

    def freeze(self) -> None:
        """Let it stand still, as a laptop does that is shut."""
        self.is_frozen = True
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)
        self.is_frozen = False


async def start_program(environ: Mapping[str, str], log: Path, *arguments: str) -> Process:
    """Start the program; what it says on standard error goes to the log."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with log.open("ab") as errors:
        return await anyio.open_process(
            [sys.executable, "-m", "elks_mcp", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**inherited, "PYTHONUTF8": "1", **environ},
        )
