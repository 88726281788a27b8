"""Clients of MCP servers on pipes, and a simulated 46elks, for benchmarks.

Servers are started as clients start them. 46elks is the sandbox, in a process of its own on this machine.
"""

import compileall
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import elks_mcp

SERVERS = Path(__file__).parent / "bench_servers"

_NUMBER = "+46701740699"

_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
"""The metadata that a client of the newer protocol sends with every request."""

_HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
"""The parameters that a client of the older protocol sends once."""


@dataclass(frozen=True, slots=True)
class Command:
    """A server to measure: its command, and the tool that is called."""

    name: str
    arguments: tuple[str, ...]
    tool: str
    says: str = ""
    """A part of each successful answer, in lower case: not every server marks its failures."""

    environ: tuple[tuple[str, str], ...] = ()
    """Variables that only this server gets."""

    is_older: bool = False
    """Whether it only speaks the older protocol."""


def find_ours() -> str:
    """Return the path of `elks-mcp` as this environment has it, which is what clients start."""
    found = shutil.which("elks-mcp", path=sysconfig.get_path("scripts"))
    if not found:
        raise SystemExit("This environment has no elks-mcp. Install it: uv sync.")
    return found


class Session:
    """A client of a started server, with JSON-RPC on pipes."""

    def __init__(self, command: Command, environ: Mapping[str, str], *, modern: bool) -> None:
        self._command, self._last_id = command, 0
        self._modern = modern and not command.is_older
        self._process = subprocess.Popen(
            command.arguments,
            env={**environ, **dict(command.environ)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._in, self._out = _opened(self._process.stdin), _opened(self._process.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the server's input, which ends it, and wait for its end."""
        self._process.communicate(timeout=30)

    def greet(self) -> None:
        """Initialize the session and list the tools, as a client does first."""
        if self._modern:
            self._ask("server/discover")
        else:
            self._ask("initialize", **_HELLO)
            self._write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        self._ask("tools/list")

    def call(self, **arguments: Any) -> float:
        """Call the tool once, and return the duration in milliseconds."""
        request = self._request("tools/call", name=self._command.tool, arguments=arguments)
        began = time.perf_counter()
        self._write(request)
        line = self._read()
        took = time.perf_counter() - began
        self._check_call(line)
        return took * 1000

    def call_all(self, count: int) -> float:
        """Call the tool `count` times without waiting, and return the answers per second."""
        requests = [self._request("tools/call", name=self._command.tool, arguments={}) for _ in range(count)]
        writer = threading.Thread(target=self._write, args=(b"".join(requests),))
        began = time.perf_counter()
        writer.start()
        lines = [self._read() for _ in requests]
        took = time.perf_counter() - began
        writer.join()
        for line in lines:
            self._check_call(line)
        return count / took

    def memory(self) -> float:
        """Return the resident memory of the server now, in MiB."""
        return _kibibytes(self._process.pid) / 1024

    def _ask(self, method: str, **params: Any) -> None:
        self._write(self._request(method, **params))
        self._parse(self._read())

    def _request(self, method: str, **params: Any) -> bytes:
        self._last_id += 1
        said = params | ({"_meta": _META} if self._modern else {})
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": said}
        return json.dumps(request, separators=(",", ":")).encode() + b"\n"

    def _write(self, lines: bytes) -> None:
        self._in.write(lines)
        self._in.flush()

    def _read(self) -> bytes:
        if line := self._out.readline():
            return line
        raise SystemExit(f"{self._command.name} ended early")

    def _parse(self, line: bytes) -> Any:
        """Return the result of a successful answer, since a server that fails fast is not fast."""
        message = json.loads(line)
        if "result" not in message or message["result"].get("isError"):
            raise SystemExit(f"{self._command.name} failed: {line.decode()}")
        return message["result"]

    def _check_call(self, line: bytes) -> None:
        text = str(self._parse(line)["content"][0]["text"])
        if self._command.says not in text.lower():
            raise SystemExit(f"{self._command.name} failed: {text}")


def compile_all() -> None:
    """Compile everything to byte code, so that no start has to."""
    for folder in (sysconfig.get_path("purelib"), *elks_mcp.__path__):
        compileall.compile_dir(folder, quiet=2)


@contextmanager
def simulated_46elks() -> Iterator[Mapping[str, str]]:
    """Run the sandbox, and yield the environment that makes servers use it."""
    environ = _clean_environment()
    arguments = (sys.executable, str(SERVERS / "simulated.py"))
    with subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE) as process:
        try:
            account = json.loads(_opened(process.stdout).readline())
            yield environ | {
                "ELKS_API_BASE_URL": account["url"],
                "ELKS_API_USERNAME": account["username"],
                "ELKS_API_PASSWORD": account["password"],
                "ELKS_PHONE_NUMBER": _NUMBER,
            }
        finally:
            process.terminate()


def _clean_environment() -> dict[str, str]:
    """Return the environment without our settings, and with byte code allowed."""
    unwanted = {"DRY_RUN", "PYTHONDONTWRITEBYTECODE"}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in unwanted and not name.startswith("ELKS_")
    }


def _kibibytes(pid: int) -> int:
    """Return the resident memory of a process, in KiB."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])
    return int(subprocess.check_output(["/bin/ps", "-o", "rss=", "-p", str(pid)]))


def _opened(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise SystemExit("The process has no pipe.")
    return stream
