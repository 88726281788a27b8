"""docs/paging.md: from nothing to an acknowledged test alert, as the page says, with real processes."""

import json
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from elks_mcp.domain.escalation import AlertState
from elks_mcp.workflows.policy_files import read_policies
from tests.support.clocks import HANG
from tests.support.process import PLAIN, PROGRAM

PAGE = (Path(__file__).parents[1] / "docs" / "paging.md").read_text(encoding="utf-8")
PHONE = "+46701740605"


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language on the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


SANDBOX, CHECK, SERVE, TEST = [shlex.split(each)[1:] for each in blocks("sh")]
CHECKED, ACKNOWLEDGED, REFUSED = blocks("text")


def test_the_policy_file_on_the_page_has_no_fault() -> None:
    assert read_policies(blocks("yaml")[0].encode()).faults == ()


def test_the_statuses_on_the_page_are_those_of_the_code() -> None:
    table = PAGE.partition("| Status |")[2].partition("\n\n")[0]
    listed = re.findall(r"^\| `([a-z]+)` \| ", table, re.MULTILINE)
    assert listed == [state.value for state in AlertState]


def write_files(folder: Path, port: int) -> None:
    """Save the files that the page shows; the port and the password are this run's."""
    [people], [policies, *_], [settings] = blocks("csv"), blocks("yaml"), blocks("ini")
    (folder / "people.csv").write_text(people, "utf-8")
    (folder / "paging.yaml").write_text(policies, "utf-8")
    password = run(folder, [*SANDBOX, "--password"]).stdout.strip()
    ours = settings.replace("4646", str(port)).replace("…", password)
    (folder / "paging.env").write_text(f"{ours}ELKS_POLL_SECONDS=1\n", "utf-8")


def environ_of(folder: Path) -> dict[str, str]:
    return {"PYTHONUTF8": "1", "ELKS_STATE_DIR": str(folder / "state"), **PLAIN}


def run(folder: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the page to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=environ_of(folder),
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=HANG,
        check=False,
    )


@contextmanager
def running(folder: Path, arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command of the page in another terminal, until the context ends."""
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=environ_of(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def find_code(url: str) -> str:
    """Wait until the phone shows the alert, and return its code."""
    for _ in range(10_000):
        state = json.dumps(httpx2.get(f"{url}/_sandbox/state").json())
        if found := re.search(r"Reply OK (\d{4}) to acknowledge", state):
            return found[1]
    raise AssertionError("the phone shows no alert")


def raise_test_alert(folder: Path) -> subprocess.Popen[str]:
    """Raise the test alert, once the server has said that it runs."""
    for _ in range(20):
        process = subprocess.Popen(
            [*PROGRAM, *TEST],
            cwd=folder,
            env=environ_of(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert process.stderr
        line = process.stderr.readline()
        if "none is running" not in line:
            assert line.startswith("Step 1"), line
            return process
        process.communicate()
    raise AssertionError("no server runs")


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="ports are freed later on Windows")
def test_the_steps_on_the_page_end_with_an_acknowledged_alert(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    write_files(tmp_path, port)
    assert run(tmp_path, CHECK).stdout == CHECKED
    with running(tmp_path, [*SANDBOX, "--port", str(port)]) as sandbox:
        assert sandbox.stdout
        assert "A simulated 46elks runs at" in sandbox.stdout.readline()
        refused = run(tmp_path, TEST)
        said = " ".join(refused.stderr.split())
        assert said.removeprefix("elks-mcp: ").startswith(REFUSED.removeprefix("Nobody was alerted: ")[:80])
        with running(tmp_path, SERVE) as server:
            assert server.stdout
            assert "sending due texts" in server.stdout.readline()
            alert = raise_test_alert(tmp_path)
            url = f"http://127.0.0.1:{port}"
            answer = {"number": PHONE, "text": f"ok {find_code(url)}"}
            httpx2.post(f"{url}/_sandbox/reply", json=answer).raise_for_status()
            said, _ = alert.communicate(timeout=HANG)
    assert alert.returncode == 0, said
    assert " ".join(said.split()) == ACKNOWLEDGED.strip()
