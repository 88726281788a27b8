"""A process that works on batches, and its client."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from crash.server import GONE, INHERITED, Server

_DRIVER = Path(__file__).with_name("batch_driver.py")
_LONGEST_LINE = 1_000_000


@dataclass
class BatchServer(Server):
    """A driver process, which does one thing at a time."""

    _lines: BufferedByteReceiveStream | None = None
    _last_id: int = 0
    _asking: anyio.Lock = field(default_factory=anyio.Lock)

    @classmethod
    async def start(cls, environ: Mapping[str, str], log: Path) -> Self:
        """Start a driver process."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        with log.open("ab") as errors:
            process = await anyio.open_process(
                [sys.executable, _DRIVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**inherited, "PYTHONUTF8": "1", **environ},
            )
        return cls(process, log)

    async def read(self) -> None:
        """Wait until the process has ended."""
        await self.process.wait()
        self.is_gone = True

    async def greet(self) -> None:
        """Wait until the process accepts commands, if it lives that long."""
        if await self._read_line():
            self.greeted.set()

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Give a command and return its answer; None if the process ended first."""
        async with self._asking:
            self._last_id += 1
            line = json.dumps({"id": self._last_id, "do": tool, **arguments}) + "\n"
            try:
                if self.process.stdin:
                    await self.process.stdin.send(line.encode())
            except GONE:
                self.is_gone = True
            return await self._read_line()

    async def close(self) -> int:
        """Close the standard input of the process, wait for its end, and return its exit code."""
        if self.process.stdin:
            await self.process.stdin.aclose()
        return await self.process.wait()

    async def _read_line(self) -> dict[str, Any] | None:
        if self.process.stdout is None:
            raise RuntimeError("it has no standard output")
        self._lines = self._lines or BufferedByteReceiveStream(self.process.stdout)
        try:
            answer: dict[str, Any] = json.loads(await self._lines.receive_until(b"\n", _LONGEST_LINE))
        except GONE:
            self.is_gone = True
            return None
        return answer
