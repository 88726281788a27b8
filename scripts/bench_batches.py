"""Measure batches: planning and starting them, claims beside them, and the use of the pace.

46elks is the sandbox in a process of its own; PostgreSQL is a real one, started for this. Each batch is
planned and started in a fresh process. The pace is measured by a clock that is moved, in no real time.

    uv run --group dev python scripts/bench_batches.py [--json FILE|-] [--strict]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path
from statistics import median

import anyio
from bench_sending import Figure, Setup, report, setups, write_json
from bench_sessions import compile_all, simulated_46elks

from elks_mcp.app import App, open_app
from elks_mcp.domain.batches import BatchPlan, BatchRow
from elks_mcp.domain.models import Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approver, Draft, Receipt
from elks_mcp.domain.phone import Number
from elks_mcp.runtime.clock import Clock
from elks_mcp.sending.batch_plans import BatchRequest
from elks_mcp.sending.batches import BatchNeedsApproval, BatchReady
from elks_mcp.sending.plan import Decision
from elks_mcp.settings import load
from elks_mcp.spreadsheets.csv_tables import read_csv
from elks_mcp.spreadsheets.recipient_lists import RecipientList, build_recipient_list
from elks_mcp.store import AccountKey, BatchChecks, Idle, Pace, Storage
from elks_mcp.store.store import Store

sys.path.append(str(Path(__file__).parents[1]))  # for tests.support

_FROM = "+46701740699"
_AREAS = [*range(201, 211), *range(212, 217), *range(303, 310)]
_PEOPLE = [
    *(f"+467017406{number:02}" for number in range(20, 99)),
    *(f"+1{area}55501{number:02}" for area in _AREAS for number in range(100)),
]
"""More than 2,000 numbers that are reserved for fiction."""

_MESSAGE = "Hej {namn}! Välkommen till din tid {tid}. Svara STOPP om du inte vill ha påminnelser."
_SETTINGS = {
    "DRY_RUN": "false",
    "ELKS_MAX_BATCH": "2000",
    "ELKS_MAX_PER_NUMBER": "100000",
    "ELKS_ALLOWED_COUNTRIES": "SE,US,CA",
    "ELKS_BUDGET_PER_DAY": "1000000",
    "ELKS_GUARDS_OFF": "night",
    "ELKS_LOG_LEVEL": "WARNING",
}
_MOST_SECONDS = {100: 0.5, 2000: 3.0}
_MOST_MEMORY = 40
"""MiB more while 2,000 rows are planned, and while they are started."""

_NO_PACE = Pace(gap=timedelta(microseconds=1), lease=timedelta(hours=1))
_MINUTE = timedelta(minutes=1)


def main() -> int:
    """Measure, report, and return the exit code: 1 with `--strict` if a target is missed."""
    options = _read_options()
    if options.child:
        anyio.run(_measure_batch, options.child)
        return 0
    compile_all()
    figures = []
    with simulated_46elks() as environ, setups(options.databases) as places:
        for setup in places:
            figures += _measure({**environ, **_SETTINGS, **setup.environ}, setup)
    figures += anyio.run(_measure_pace, options.paced)
    report(figures)
    if options.json:
        write_json(options.json, figures)
    return int(options.strict and any(figure.reached is False for figure in figures))


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure batches.")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is standard output")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--paced", type=int, default=200, help="rows sent to measure the pace (default 200)")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres"])
    parser.add_argument("--child", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(environ: Mapping[str, str], setup: Setup) -> list[Figure]:
    figures: list[Figure] = []
    found: dict[str, float] = {}
    for rows, most in _MOST_SECONDS.items():
        found = _run_child(environ, rows)
        for what in ("planned", "started"):
            limit = most if what == "started" or rows > min(_MOST_SECONDS) else 0
            figures.append(Figure(f"{setup.name}: {rows:,} rows {what}", found[what], "s", "once", limit))
    for step in ("plan", "start"):
        memory = found[f"memory of the {step}"]
        figures.append(
            Figure(f"{setup.name}: memory of that {step}", memory, "MiB", "more, peak", _MOST_MEMORY)
        )
    empty, full = anyio.run(_claims, environ)
    figures.append(Figure(f"{setup.name}: claim, 1 row queued", empty, "ms", "median of 100"))
    figures.append(
        Figure(f"{setup.name}: claim, 2,000 rows queued", full, "ms", "median of 100", 1.5 * empty)
    )
    return figures


def _run_child(environ: Mapping[str, str], rows: int) -> dict[str, float]:
    """Plan and start a batch in a process of its own."""
    ended = subprocess.run(
        [sys.executable, __file__, "--child", f"{rows}"], env=environ, check=True, stdout=subprocess.PIPE
    )
    found: dict[str, float] = json.loads(ended.stdout)
    return found


async def _measure_batch(rows: int) -> None:
    """Plan and start a batch, and print the seconds and the memory of each, in MiB."""
    async with open_app(load(os.environ)) as app:
        await app.batch_planner.plan(_build_request(_list_recipients(3)))  # loads what is needed
        before = _reset_peak()
        began = time.perf_counter()
        plan = await app.batch_planner.plan(_build_request(_list_recipients(rows)))
        found = {"planned": time.perf_counter() - began}
        found["memory of the plan"] = _read_memory("VmHWM") - before
        before = _reset_peak()
        found["started"] = await _start(app, plan, rows)
        found["memory of the start"] = _read_memory("VmHWM") - before
    print(json.dumps(found))


async def _start(app: App, plan: BatchPlan, rows: int) -> float:
    """Start a batch that a person approved, and return how long it took; then cancel it."""
    began = time.perf_counter()
    prepared = await app.batches.prepare(plan.id, can_ask=True)
    if not isinstance(prepared, BatchReady | BatchNeedsApproval) or len(plan.rows) != rows:
        raise SystemExit(f"Not all rows can be sent: {plan.count_left_out()}")
    await app.batches.start(prepared, Decision.APPROVED)
    took = time.perf_counter() - began
    await app.batches.cancel(plan.id)
    return took


def _list_recipients(rows: int) -> RecipientList:
    lines = [f"Åsa {rows} {row};{_PEOPLE[row % len(_PEOPLE)]};kl. {8 + row % 9}" for row in range(rows)]
    return build_recipient_list(read_csv("\n".join(["namn;telefon;tid", *lines]).encode()), "SE")


def _build_request(recipients: RecipientList) -> BatchRequest:
    return BatchRequest(message=_MESSAGE, recipients=recipients)


def _reset_peak() -> float:
    """Forget the largest memory that this process ever had, and return the present one, in MiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _read_memory("VmRSS")


def _read_memory(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) / 1024


# ── claims ──


async def _claims(environ: Mapping[str, str]) -> tuple[float, float]:
    """Return the median of a claim with one row queued, and with 2,000, in milliseconds."""
    storage = Storage(load(environ).settings.state_location(), AccountKey("https://claims.example", "nobody"))
    store, turns = await storage.open(), count()
    empty = []
    for _ in range(100):
        await _start_rows(store, 1, next(turns))
        empty.append(await _claim(store))
    await _start_rows(store, 2000, next(turns))
    full = [await _claim(store) for _ in range(100)]
    await storage.close()
    return median(empty), median(full)


async def _start_rows(store: Store, rows: int, turn: int) -> None:
    plan = BatchPlan(
        id="",
        caller="",
        name="",
        sender=Number(_FROM),
        rows=tuple(
            BatchRow(
                row=row,
                to=Number(_PEOPLE[row % len(_PEOPLE)]),
                text=f"Text {turn} {row}",
                parts=1,
                price=Money(5200, "SEK"),
            )
            for row in range(rows)
        ),
        planned_at=Clock().now(),
    )
    added = await store.batches.add(plan)
    checks = BatchChecks(_allow, lambda _price, _spent: "", _NO_PACE._replace(at_night=True))
    await store.batches.start(added.id, added.digest, Approver.PERSON, checks)


async def _claim(store: Store) -> float:
    began = time.perf_counter()
    claims = await store.queue.claim(_NO_PACE._replace(at_night=True), _allow)
    took = (time.perf_counter() - began) * 1000
    if isinstance(claims, Idle):
        raise SystemExit("No row could be claimed.")
    for claim in claims:
        await store.queue.settle_sent(claim, Receipt(message_id=f"s{claim.order_id}", status="created"))
    return took


def _allow(_draft: Draft, _price: Money, _recall: Recall) -> None:
    return None


# ── the pace ──


async def _measure_pace(rows: int) -> list[Figure]:
    """Send a batch by a clock that is moved: the use of the pace, and the most in a minute."""
    from tests.support.provider import UNLIMITED, posts  # noqa: PLC0415  (only if needed)
    from tests.support.shops import SLOT, list_phones, open_shop  # noqa: PLC0415
    from tests.support.state_folders import with_tables  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        policy = UNLIMITED.model_copy(update={"max_batch": rows})
        async with open_shop(with_tables(Path(folder)), policy) as shop:
            lines = [f"{number};{list_phones(50)[number % 50].e164}" for number in range(rows)]
            batch = await shop.plan_and_start("\n".join(["namn;telefon", *lines]), "Nummer {namn}")
            await shop.pass_until_ended(batch)
            moments = [post.at for post in posts(shop.backend.world.box)]
    used = 100 * (SLOT * (rows - 1)) / (moments[-1] - moments[0])
    most = max(sum(first <= each < first + _MINUTE for each in moments) for first in moments)
    return [
        Figure("pace used by a batch", used, "%", f"{len(moments)} texts, 95 a minute", least=98),
        Figure("most texts in 60 s", most, "", "95 allowed", 95),
    ]


if __name__ == "__main__":
    sys.exit(main())
