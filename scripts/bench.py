"""Measure the cost of this server compared with minimal MCP servers.

Our server, a bare server with one trivial tool, and a minimal one that makes the same request to 46elks
are started as clients start them, on pipes, in turns within one run, so that other load on the machine
affects all of them alike. 46elks is the sandbox, in a process of its own on this machine. Ratios carry
over to other machines; milliseconds do not.

    uv run python scripts/bench.py [--json FILE|-] [--strict]
"""

import argparse
import compileall
import json
import os
import resource
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import IO, Any, Self

import elks_mcp

BLOCK = 10
"""The calls of one server before the turn of the next."""

MOST_START, MOST_CALL, MOST_MEMORY = 1.10, 1.15, 85.0
"""Targets: a multiple of the bare server's start, a multiple of the asking server's call, and MiB."""

_PEERS = Path(__file__).parent / "bench_servers"
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


OURS = Command("elks-mcp", (sys.executable, "-m", "elks_mcp"), "check_account_balance")
BARE = Command("bare", (sys.executable, str(_PEERS / "bare.py")), "ping")
ASKING = Command("asking", (sys.executable, str(_PEERS / "asking.py")), "balance")


class Session:
    """A client of a started server, with JSON-RPC on pipes."""

    def __init__(self, command: Command, environ: Mapping[str, str], *, modern: bool) -> None:
        self._command, self._modern, self._last_id = command, modern, 0
        self._process = subprocess.Popen(
            command.arguments,
            env=environ,
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
        self._parse(line)
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
            self._parse(line)
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

    def _parse(self, line: bytes) -> None:
        """Check that a line is a successful answer, since a server that fails fast is not fast."""
        message = json.loads(line)
        if "result" not in message or message["result"].get("isError"):
            raise SystemExit(f"{self._command.name} failed: {line.decode()}")


@dataclass(frozen=True, slots=True)
class Bench:
    """The size of the measurement, and its environment."""

    environ: Mapping[str, str]
    modern: bool
    starts: int
    """The number of cold starts of each server."""

    rounds: int
    """The number of rounds of calls, each with new processes."""

    calls: int
    """The calls of each server in a round."""

    def measure(self) -> "Samples":
        """Measure everything."""
        samples = Samples()
        for turn in range(self.starts):
            for command in _rotated((OURS, BARE, ASKING), turn):
                self._start(command, samples)
        for turn in range(self.rounds):
            self._call(_rotated((OURS, ASKING), turn), samples)
        return samples

    def _start(self, command: Command, samples: "Samples") -> None:
        began = time.perf_counter()
        with Session(command, self.environ, modern=self.modern) as session:
            session.greet()
            samples.add("start", command, (time.perf_counter() - began) * 1000)
            samples.add("memory", command, session.memory())
            spent = _processor_time()
        samples.add("processor", command, (_processor_time() - spent) * 1000)

    def _call(self, commands: Sequence[Command], samples: "Samples") -> None:
        """Measure a round of calls: in sequence in alternating blocks, then concurrently."""
        with ExitStack() as stack:
            sessions = {
                command: stack.enter_context(Session(command, self.environ, modern=self.modern))
                for command in commands
            }
            for session in sessions.values():
                session.greet()
                session.call()
            times: dict[Command, list[float]] = {command: [] for command in commands}
            for _ in range(0, self.calls, BLOCK):
                for command, session in sessions.items():
                    times[command] += [session.call() for _ in range(BLOCK)]
            for command, session in sessions.items():
                samples.add("call", command, median(times[command]))
                samples.add("call p95", command, quantiles(times[command], n=20)[-1])
                samples.add("calls a second", command, session.call_all(self.calls))


@dataclass(frozen=True, slots=True)
class Samples:
    """The measured figures by subject and server: one for each start or round."""

    figures: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, what: str, command: Command, figure: float) -> None:
        """Add a figure."""
        self.figures.setdefault((what, command.name), []).append(figure)

    def compare(
        self, name: str, what: str, unit: str, other: Command, *, ratio: float = 0, most: float = 0
    ) -> "Row":
        """Compare our figures with another server's; a target of 0 means none."""
        ours, others = self.figures[what, OURS.name], self.figures[what, other.name]
        found = median(mine / other for mine, other in zip(ours, others, strict=True))
        targets = [f"≤ {ratio:.2f} ×"] * (ratio > 0) + [f"≤ {most:g} {unit}"] * (most > 0)
        within = (not ratio or found <= ratio) and (not most or median(ours) <= most)
        return Row(
            name=name,
            unit=unit,
            ours=Spread.of(ours),
            compared_with=other.name,
            theirs=Spread.of(others),
            ratio=round(found, 3),
            target=" and ".join(targets),
            reached=within if targets else None,
        )

    def table(self) -> list["Row"]:
        """Return the rows of the report."""
        return [
            self.compare("cold start to tools/list", "start", "ms", BARE, ratio=MOST_START),
            self.compare("processor time of it, and of the exit", "processor", "ms", BARE),
            self.compare("memory at rest", "memory", "MiB", BARE, most=MOST_MEMORY),
            self.compare("a call, median", "call", "ms", ASKING, ratio=MOST_CALL),
            self.compare("a call, 95th percentile", "call p95", "ms", ASKING),
            self.compare("concurrent calls", "calls a second", "a second", ASKING),
        ]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, the lowest and the highest of some figures."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Self:
        """Summarize figures."""
        return cls(round(median(figures), 3), round(min(figures), 3), round(max(figures), 3))

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.least)}–{_short(self.most)})"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report."""

    name: str
    unit: str
    ours: Spread
    compared_with: str
    theirs: Spread
    ratio: float
    """The median of ours ÷ theirs in each turn, since a busy moment affects both."""

    target: str
    reached: bool | None
    """None if there is no target."""

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row in the table."""
        verdict = {True: "reached", False: "MISSED", None: ""}[self.reached]
        return (
            self.name,
            f"{self.ours} {self.unit}",
            f"{self.compared_with}: {self.theirs}",
            f"{self.ratio:.2f}",
            self.target,
            verdict,
        )


_HEADER = ("figure", "elks-mcp, median (least–most)", "compared with", "ratio", "target", "")


def main() -> int:
    """Measure, report, and return the exit code: 1 with `--strict` if a target is missed."""
    options = _read_options()
    compile_all()
    with simulated_46elks() as environ:
        bench = Bench(environ, not options.legacy, options.starts, options.rounds, options.calls)
        rows = bench.measure().table()
    missed = [row.name for row in rows if row.reached is False]
    words = f"Target missed: {', '.join(missed)}." if missed else "All targets reached."
    report = f"{draw([_HEADER, *(row.cells() for row in rows)])}\n\n{words}"
    print(report, file=sys.stderr if options.json == "-" else sys.stdout)
    if options.json:
        _write_json(options.json, bench, rows)
    return 1 if missed and options.strict else 0


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure the cost of this server compared with minimal MCP servers."
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON too; - is standard output")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--legacy", action="store_true", help="greet as clients of 2025-11-25 do")
    parser.add_argument("--starts", type=int, default=15, help="cold starts of each server (default 15)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of calls (default 5)")
    parser.add_argument("--calls", type=int, default=300, help="calls of each server a round (default 300)")
    return parser.parse_args()


def compile_all() -> None:
    """Compile everything to byte code, so that no start has to."""
    for folder in (sysconfig.get_path("purelib"), *elks_mcp.__path__):
        compileall.compile_dir(folder, quiet=2)


@contextmanager
def simulated_46elks() -> Iterator[Mapping[str, str]]:
    """Run the sandbox, and yield the environment that makes servers use it."""
    environ = _clean_environment()
    arguments = (sys.executable, str(_PEERS / "simulated.py"))
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


def _processor_time() -> float:
    """Return the processor time of all child processes that ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _opened(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise SystemExit("The process has no pipe.")
    return stream


def _rotated(commands: tuple[Command, ...], turn: int) -> tuple[Command, ...]:
    """Rotate the order, so that each turn begins with another server."""
    first = turn % len(commands)
    return commands[first:] + commands[:first]


def _short(figure: float) -> str:
    return f"{figure:.2f}" if figure < 10 else f"{figure:.0f}"  # noqa: PLR2004


def draw(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    rule = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [padded[0], rule, *padded[1:]])


def _write_json(target: str, bench: Bench, rows: Sequence[Row]) -> None:
    report = {
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "protocol": "2026-07-28" if bench.modern else "2025-11-25",
        "starts": bench.starts,
        "rounds": bench.rounds,
        "calls": bench.calls,
        "figures": [asdict(row) for row in rows],
    }
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        Path(target).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
