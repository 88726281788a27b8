"""The crash test, briefly: real servers, killed at random. `make crash-test` is the long version."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "crash_test.py"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot freeze a process")


@pytest.mark.lengthy
def test_p4_p5_servers_killed_at_random_neither_repeat_nor_lose_a_text(tmp_path: Path) -> None:
    """One server and two on SQLite, two over HTTP on PostgreSQL; and a lane that has to fail, and does."""
    found = tmp_path / "found.json"
    options = ["--kills=18", "--at-once=4", f"--json={found}"]
    ended = subprocess.run(
        [sys.executable, SCRIPT, *options], check=False, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(found.read_text(encoding="utf-8"))
    lanes: list[dict[str, Any]] = [lane for lane in told["lanes"] if lane]
    assert len(lanes) >= 2
    assert sum(lane["figures"]["kills"] for lane in lanes) >= 5 * len(lanes)
    assert sum(lane["figures"]["unanswered"] for lane in lanes) > 0
    for lane in lanes:
        assert lane["figures"]["accepted"] > 5
        assert not any(lane["violations"].values())
    for lane in lanes:
        waited = lane["figures"]["answers waited for"]
        assert bool(waited) is ("HTTP" in lane["lane"])
    assert told["counterproof"]["violations"]["duplicates"] > 0
