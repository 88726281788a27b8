"""The crash test, briefly: real servers, killed at random. `make crash-test` is the long version."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "crash_test.py"
BRIEF = ["--kills=2", "--provider-delay=1"]
"""Two kills, and a 46elks that accepts sooner, which leaves the quiet period more to spare."""

NO_POSTGRES = 3
"""The exit code of a lane that needs PostgreSQL and has none."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot freeze a process")


def run_script(folder: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], Any]:
    """Run the script, and return how it ended and the figures that it wrote."""
    file = folder / "found.json"
    ended = subprocess.run(
        [sys.executable, SCRIPT, *options, f"--json={file}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=1500,
    )
    return ended, json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def check(lane: dict[str, Any]) -> None:
    """Check that a lane texted while it was killed, and broke no promise."""
    assert lane["figures"]["accepted"] > 5
    assert not any(lane["violations"].values())
    if "accepted MMS" in lane["figures"]:  # a lane of single texts, and not of batches or alerts
        assert lane["figures"]["accepted MMS"] > 0
        assert bool(lane["figures"]["answers waited for"]) is ("HTTP" in lane["lane"])


def test_the_refusals_that_the_crash_test_does_not_retry_exist_in_the_code() -> None:
    agent = (ROOT / "scripts" / "crash" / "agent.py").read_text("utf-8")
    (final,) = re.findall(r"^_FINAL = (\(.*\))$", agent, re.MULTILINE)
    code = "".join(file.read_text("utf-8") for file in (ROOT / "src").rglob("*.py"))
    assert [words for words in ast.literal_eval(final) if words not in code] == []


@pytest.mark.lengthy
def test_p4_p5_a_server_killed_at_random_neither_repeats_nor_loses_a_text(tmp_path: Path) -> None:
    """Two servers on SQLite or PostgreSQL, and the lane that has to fail, are in the long test below."""
    ended, found = run_script(tmp_path, "--processes=1", "--database=sqlite", *BRIEF)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert found["figures"]["kills"] == 2  # whether one leaves a call without an answer is chance: see below
    check(found)


@pytest.mark.lengthy
def test_p3_p4_processes_killed_while_they_work_on_batches_send_each_row_once(tmp_path: Path) -> None:
    """Two processes on PostgreSQL. One and two on SQLite are in the long test below."""
    ended, found = run_script(tmp_path, "--processes=2", "--database=postgres", "--rows=20", *BRIEF)
    if ended.returncode == NO_POSTGRES and not os.environ.get("CI"):
        pytest.skip(ended.stderr)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert found["figures"]["batches"] >= 2
    check(found)


@pytest.mark.lengthy
def test_p4_a_server_killed_at_random_calls_nobody_twice() -> None:
    """Calls and texts of one server on SQLite. Each step of a call is in test_crash_points_of_calls.py."""
    script = ROOT / "scripts" / "crash_calls.py"
    ended = subprocess.run(
        [sys.executable, script, "--kills=2"], check=False, capture_output=True, text=True, timeout=1500
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout)
    assert found["calls"] >= 3
    assert found["texts"] >= 3


@pytest.mark.long
@pytest.mark.parametrize("lane", ["--transport=http", "--transport=http --database=postgres --processes=2"])
def test_p4_servers_over_http_that_are_killed_at_random_call_nobody_twice(lane: str) -> None:
    script = ROOT / "scripts" / "crash_calls.py"
    ended = subprocess.run(
        [sys.executable, script, "--kills=4", *lane.split()],
        check=False,
        capture_output=True,
        text=True,
        timeout=1500,
    )
    if ended.returncode == NO_POSTGRES and not os.environ.get("CI"):
        pytest.skip(ended.stderr)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout)
    assert found["calls"] >= 6
    assert found["requests without an answer"] > 0


@pytest.mark.long
def test_p4_p5_no_lane_repeats_or_loses_a_text_and_the_control_lane_fails(
    tmp_path: Path,
) -> None:
    ended, report = run_script(tmp_path, "--kills=18", "--at-once=4")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lanes: list[dict[str, Any]] = [lane for lane in report["lanes"] if lane]
    assert len(lanes) >= 2
    assert sum(lane["figures"]["kills"] for lane in lanes) >= 4 * len(lanes)
    assert sum(lane["figures"].get("unanswered", 0) for lane in lanes) > 0
    assert sum(lane["figures"].get("commands cut off", 0) for lane in lanes) > 0
    for lane in lanes:
        check(lane)
    assert report["counterproof"]["violations"]["duplicates"] > 0


@pytest.mark.long
def test_p4_servers_killed_while_they_carry_alerts_on_text_each_person_once(tmp_path: Path) -> None:
    """Two servers on PostgreSQL, or one on SQLite without it; people answer every second alert."""
    ended, found = run_script(tmp_path, "--alerts", "--processes=2", "--database=postgres", "--kills=6")
    if ended.returncode == NO_POSTGRES and not os.environ.get("CI"):
        ended, found = run_script(tmp_path, "--alerts", "--processes=1", "--kills=6")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert found["figures"]["acknowledged"] >= 1
    assert found["figures"]["unanswered"] >= 1
    assert not any(found["violations"].values())
