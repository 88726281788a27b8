"""All lanes, each in a process of its own, several in parallel."""

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from crash.plan import Database, Plan, Transport
from crash.report import Found

NO_POSTGRES = 3
"""The exit code of a lane that needs PostgreSQL and has none."""

_LANES: tuple[tuple[int, Database, Transport, float], ...] = (
    (1, "sqlite", "stdio", 0.34),
    (2, "sqlite", "stdio", 0.33),
    (2, "postgres", "http", 0.33),
)
"""Processes, database, transport and share of the kills; the slowest lane comes first."""

_BATCH_LANES: tuple[tuple[int, Database, int, float], ...] = (
    (2, "postgres", 2000, 0.05),
    (1, "sqlite", 2000, 0.04),
    (2, "sqlite", 100, 0.06),
)
"""Processes, database, rows of each batch, and kills as a share of those of the other lanes."""

_ALERT_LANES: tuple[tuple[int, Database], ...] = ((2, "postgres"), (1, "sqlite"))
_ALERT_SHARE = 0.03
"""The kills of each lane with alerts, as a share of those of the other lanes: each takes seconds."""

_FAST = {100: 600, 2000: 6000}
"""Texts a minute, by the rows of a batch."""

_TOO_SHORT, _TOO_LONG = 0.2, 6.0
_FEW = 5
"""The number of kills that is enough to show duplicates in the lane that must fail."""


def plan_lanes(plan: Plan) -> list[Plan]:
    """Divide the kills among all lanes."""
    return [
        replace(
            plan,
            kills=round(plan.kills * share),
            processes=processes,
            database=database,
            transport=transport,
            seed=plan.seed + n,
        )
        for n, (processes, database, transport, share) in enumerate(_LANES)
    ]


def plan_batch_lanes(plan: Plan) -> list[Plan]:
    """Plan the lanes with batches."""
    return [
        plan_batches(
            replace(plan, kills=max(4, round(plan.kills * share)), processes=processes, seed=plan.seed + n),
            database,
            rows if plan.kills >= _MANY_KILLS else min(rows, _BRIEF_ROWS),
        )
        for n, (processes, database, rows, share) in enumerate(_BATCH_LANES, start=len(_LANES))
    ]


def plan_alert_lanes(plan: Plan) -> list[Plan]:
    """Plan the lanes with alerts."""
    return [
        replace(
            plan,
            kills=max(4, round(plan.kills * _ALERT_SHARE)),
            processes=processes,
            database=database,
            transport="stdio",
            alerts=True,
            seed=plan.seed + n,
        )
        for n, (processes, database) in enumerate(_ALERT_LANES, start=len(_LANES) + len(_BATCH_LANES))
    ]


def plan_batches(plan: Plan, database: Database, rows: int) -> Plan:
    """Plan a lane with batches, at a pace at which one is sent in about 20 seconds."""
    pace = _FAST[100 if rows < _FEW_ROWS else 2000]
    return replace(plan, database=database, transport="stdio", rows=rows, per_minute=pace)


_FEW_ROWS = 500

_MANY_KILLS, _BRIEF_ROWS = 100, 300
"""With fewer kills, batches have fewer rows: 2,000 take many minutes on a slow machine."""


def plan_counterproof(plan: Plan) -> Plan:
    """Plan the lane that must fail: history is trusted before the provider is done."""
    return replace(
        plan, kills=_FEW, processes=1, database="sqlite", quiet=_TOO_SHORT, provider_delay=_TOO_LONG
    )


def run_all(plans: Sequence[Plan], script: Path, parallel: int) -> list[Found | None]:
    """Run lanes, `parallel` in parallel; None for one that needs PostgreSQL and has none."""
    with ThreadPoolExecutor(parallel) as pool, TemporaryDirectory() as folder:
        files = [Path(folder, f"{number}.json") for number in range(len(plans))]
        return list(pool.map(partial(_run, script), plans, files))


def _run(script: Path, plan: Plan, file: Path) -> Found | None:
    options = {
        "kills": plan.kills,
        "processes": plan.processes,
        "database": plan.database,
        "transport": plan.transport,
        "rows": plan.rows,
        "seed": plan.seed,
        "quiet": plan.quiet,
        "provider-delay": plan.provider_delay,
        "json": file,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    words += ["--alerts"] if plan.alerts else []
    ended = subprocess.run([sys.executable, script, *words], check=False, stdout=subprocess.DEVNULL)
    if ended.returncode == NO_POSTGRES:
        return None
    if not file.exists():
        raise RuntimeError(f"a lane broke down: {' '.join(words)}")
    found: Found = json.loads(file.read_text(encoding="utf-8"))
    print(f"{plan.name}, {plan.kills} kills: done in {found['seconds']:.0f} s", file=sys.stderr, flush=True)
    return found
