"""Measure the cost of this server compared with minimal MCP servers, or with the reference.

Our server, a bare server with one trivial tool, and a minimal one that makes the same request to 46elks
are started as clients start them, on pipes, in turns within one run, so that other load on the machine
affects all of them alike. 46elks is the sandbox, in a process of its own on this machine. Ratios carry
over to other machines; milliseconds do not.

    uv run python scripts/bench.py [--json FILE|-] [--strict [FACTOR]] [--reference PATH]
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bench_report import Comparison, Row, Samples, write_table
from bench_sessions import SERVERS, Command, Session, compile_all, find_ours, simulated_46elks
from reference import check_node, copied_reference, describe

BLOCK = 10
"""The calls of one server before the turn of the next."""

OURS = Command("elks-mcp", (find_ours(),), "check_account_balance", says="balance")
PLAIN = Command("without greeter", OURS.arguments, OURS.tool, OURS.says, (("ELKS_GREETER", "false"),))
BARE = Command("bare", (sys.executable, str(SERVERS / "bare.py")), "ping", says="pong")
ASKING = Command("asking", (sys.executable, str(SERVERS / "asking.py")), "balance", says="balance")

ALONE = (
    Comparison("start to tools/list", "start", "bare", most_ratio=1.10),
    Comparison("start to the first answered call", "first call", "without greeter", most_ratio=1.05),
    Comparison("processor time of it, and of the exit", "processor", "asking"),
    Comparison("memory after tools/list", "memory", "bare", most=85),
    Comparison("memory after a call", "memory after a call", "asking"),
    Comparison("a call, median", "call", "asking", most_ratio=1.15),
    Comparison("a call, 95th percentile", "call p95", "asking"),
    Comparison("concurrent calls", "calls a second", "asking"),
)
"""The comparisons without the reference."""

BESIDE_REFERENCE = (
    Comparison("start to tools/list", "start", "reference", most_ratio=0.25),
    Comparison("start to tools/list", "start", "without greeter"),
    Comparison("start to tools/list", "start", "bare"),
    Comparison("start to the first answered call", "first call", "reference"),
    Comparison("start to the first answered call", "first call", "without greeter", most_ratio=1.0),
    Comparison("memory after tools/list", "memory", "reference"),
    Comparison("memory after a call", "memory after a call", "reference", most_ratio=0.9),
    Comparison("a call, median", "call", "reference", most_ratio=1.0),
    Comparison("a call, median", "call", "asking"),
    Comparison("a call, 95th percentile", "call p95", "reference"),
    Comparison("concurrent calls", "calls a second", "reference", least_ratio=1.0),
    Comparison("concurrent calls", "calls a second", "asking"),
)
"""The comparisons with the reference, and with servers that show where a difference comes from."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The size of the measurement, and its environment."""

    environ: Mapping[str, str]
    modern: bool
    started: tuple[Command, ...]
    called: tuple[Command, ...]
    starts: int
    """The number of starts of each server."""

    rounds: int
    """The number of rounds of calls, each with new processes."""

    calls: int
    """The calls of each server in a round."""

    def measure(self) -> Samples:
        """Measure everything. The first start of each server does not count: it may fill caches."""
        samples = Samples()
        for command in self.started:
            self._start(command, Samples())
        for turn in range(self.starts):
            for command in _rotated(self.started, turn):
                self._start(command, samples)
        for turn in range(self.rounds):
            self._call(_rotated(self.called, turn), samples)
        return samples

    def _start(self, command: Command, samples: Samples) -> None:
        began = time.perf_counter()
        with Session(command, self.environ, modern=self.modern) as session:
            session.greet()
            samples.add("start", command.name, (time.perf_counter() - began) * 1000)
            listed = time.perf_counter()
            memory = session.memory()
            began += time.perf_counter() - listed
            session.call()
            samples.add("first call", command.name, (time.perf_counter() - began) * 1000)
            samples.add("memory", command.name, memory)
            samples.add("memory after a call", command.name, session.memory())
            spent = _processor_time()
        samples.add("processor", command.name, (_processor_time() - spent) * 1000)

    def _call(self, commands: Sequence[Command], samples: Samples) -> None:
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
                samples.add("call", command.name, median(times[command]))
                samples.add("call p95", command.name, quantiles(times[command], n=20)[-1])
                samples.add("calls a second", command.name, session.call_all(self.calls))


def main() -> int:
    """Measure, report, and return the exit code: 1 with `--strict` if a target is missed."""
    options = _read_options()
    compile_all()
    with _open_bench(options) as bench:
        samples = bench.measure()
    compared = BESIDE_REFERENCE if options.reference else ALONE
    rows = [samples.compare(OURS.name, each) for each in compared]
    print(write_table(rows), file=sys.stderr if options.json == "-" else sys.stdout)
    if options.json:
        _write_json(options, bench, rows)
    most = options.strict or float("inf")
    return 1 if any((row.excess or 0) > most for row in rows) else 0


@contextmanager
def _open_bench(options: argparse.Namespace) -> Iterator[Bench]:
    """Start what the servers need, and yield the measurement."""
    with ExitStack() as stack:
        environ = dict(stack.enter_context(simulated_46elks()))
        folder = stack.enter_context(TemporaryDirectory(prefix="bench-"))
        environ |= {"ELKS_STATE_DIR": folder, "XDG_CACHE_HOME": folder}
        started: tuple[Command, ...] = (OURS, PLAIN, BARE, ASKING)
        called: tuple[Command, ...] = (OURS, ASKING)
        if options.reference:
            check_node(options.node)
            address = environ["ELKS_API_BASE_URL"]
            copied = copied_reference(options.reference, address, options.node)
            reference = stack.enter_context(copied)
            started, called = (OURS, reference, PLAIN, BARE), (OURS, reference, ASKING)
        modern = _find_era(options) == "newer"
        yield Bench(environ, modern, started, called, options.starts, options.rounds, options.calls)


def _find_era(options: argparse.Namespace) -> str:
    """Return the era of the protocol: by default that of the servers which are compared."""
    return options.era or ("older" if options.reference else "newer")


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure the cost of this server compared with minimal MCP servers, or the reference."
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON too; - is standard output")
    parser.add_argument(
        "--strict",
        metavar="FACTOR",
        type=float,
        nargs="?",
        const=1.0,
        help="exit with 1 if a figure is worse than FACTOR times its target (default 1)",
    )
    parser.add_argument(
        "--reference", metavar="PATH", type=Path, help="a built checkout of the reference to compare with"
    )
    parser.add_argument("--node", metavar="PATH", default="node", help="the Node that runs the reference")
    parser.add_argument(
        "--era",
        choices=("older", "newer"),
        help="greet as clients of 2025-11-25 do, or of 2026-07-28 (default: newer; with --reference older, "
        "which is all that the reference speaks)",
    )
    parser.add_argument("--starts", type=int, default=15, help="starts of each server (default 15)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of calls (default 10)")
    parser.add_argument("--calls", type=int, default=300, help="calls of each server a round (default 300)")
    return parser.parse_args()


def _processor_time() -> float:
    """Return the processor time of all child processes that ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _rotated(commands: tuple[Command, ...], turn: int) -> tuple[Command, ...]:
    """Rotate the order, so that each turn begins with another server."""
    first = turn % len(commands)
    return commands[first:] + commands[:first]


def _write_json(options: argparse.Namespace, bench: Bench, rows: Sequence[Row]) -> None:
    report = {
        "python": sys.version.split()[0],
        "reference": describe(options.reference, options.node) if options.reference else None,
        "cores": os.cpu_count(),
        "protocol": "2026-07-28" if bench.modern else "2025-11-25",
        "starts": bench.starts,
        "rounds": bench.rounds,
        "calls": bench.calls,
        "figures": [asdict(row) for row in rows],
    }
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    if options.json == "-":
        sys.stdout.write(text)
    else:
        Path(options.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
