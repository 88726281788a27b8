"""The units of docs/long-running.md and docs/caps.md."""

import os
import plistlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from elks_mcp.sandbox import Sandbox
from tests.sandbox.serving import serve
from tests.support.connecting import live, new_box
from tests.support.homes import SCRIPT
from tests.test_deploy import DEPLOY, read_agent, read_service, read_task

_AGENT_KEYS: dict[str, type] = {
    "Label": str,
    "ProgramArguments": list,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ThrottleInterval": int,
    "ExitTimeOut": int,
}
"""The keys that the agent uses, with the types of launchd.plist(5)."""

_TASK_ELEMENTS = {
    "Task": {"RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"},
    "RegistrationInfo": {"Description"},
    "Triggers": {"TimeTrigger"},
    "TimeTrigger": {"Repetition", "StartBoundary", "Enabled"},
    "Repetition": {"Interval", "StopAtDurationEnd"},
    "Principals": {"Principal"},
    "Principal": {"LogonType", "RunLevel"},
    "Settings": {
        "MultipleInstancesPolicy",
        "DisallowStartIfOnBatteries",
        "StopIfGoingOnBatteries",
        "StartWhenAvailable",
        "ExecutionTimeLimit",
    },
    "Actions": {"Exec"},
    "Exec": {"Command", "Arguments"},
}
"""The elements that the task uses, as in Microsoft's schema of tasks ([MS-TSCH], 2.5)."""


def test_launchd_knows_every_key_of_the_agent() -> None:
    agent = read_agent()
    assert {key: type(value) for key, value in agent.items()} == _AGENT_KEYS
    assert agent["KeepAlive"].keys() == {"SuccessfulExit"}
    assert plistlib.loads(plistlib.dumps(agent)) == agent


def test_windows_knows_every_element_of_the_task() -> None:
    root: Any = ET.fromstring((DEPLOY / "elks-mcp-task.xml").read_text("ascii"))  # noqa: S314  (ours)
    used: dict[str, set[str]] = {}
    for element in root.iter():
        assert element.tag.startswith("{http://schemas.microsoft.com/windows/2004/02/mit/task}")
        names = {child.tag.partition("}")[2] for child in element}
        used |= {element.tag.partition("}")[2]: names} if names else {}
    assert used == _TASK_ELEMENTS
    assert root.get("version") == "1.2"
    [principal] = [each for each in root.iter() if each.tag.endswith("Principal")]
    [actions] = [each for each in root.iter() if each.tag.endswith("Actions")]
    assert principal.get("id") == actions.get("Context")


def test_windows_starts_the_server_after_the_minutes_that_the_page_names() -> None:
    assert read_task("Interval") == "PT5M"
    page = (DEPLOY.parent / "docs" / "long-running.md").read_text("utf-8")
    assert "starts the server within five minutes after you log in" in page


def by_systemd(home: Path) -> list[str]:
    """Return the command as systemd starts it."""
    return [word.replace("%h", str(home)) for word in shlex.split(read_service()["execstart"])]


def by_launchd(_home: Path) -> list[str]:
    """Return the command as launchd starts it."""
    arguments: list[str] = read_agent()["ProgramArguments"]
    return arguments


def by_windows(home: Path) -> list[str]:
    """Return the command of the task, with the names of this system."""
    line = f'"{read_task("Command")}" {read_task("Arguments")}'.replace("\\", "/").replace(".exe", "")
    return shlex.split(line.replace("%USERPROFILE%", str(home)))


@pytest.mark.anyio
@pytest.mark.usefixtures("fresh_start")
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent SIGTERM there")
@pytest.mark.parametrize("build", [by_systemd, by_launchd, by_windows])
async def test_the_command_of_each_unit_runs_until_the_service_manager_ends_it(
    build: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    home, box = tmp_path / "a home", new_box()
    for folder in (home / ".local" / "bin", home / "Library" / "Logs"):
        folder.mkdir(parents=True)
    (home / ".local" / "bin" / "elks-mcp").symlink_to(SCRIPT)
    async with serve(box) as url:
        write_settings(home / "elks.env", box, f"{url}/a1", tmp_path / "state")
        code, log = await anyio.to_thread.run_sync(run_until_ready, build(home), home)
    assert code == 0, log
    assert "No text is scheduled" in log, log


def write_settings(file: Path, box: Sandbox, url: str, state: Path) -> None:
    """Write the file of settings that the units name, for a simulated 46elks."""
    settings = live(box, ELKS_API_BASE_URL=url, ELKS_STATE_DIR=str(state))
    file.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()), "utf-8")
    file.chmod(0o600)


def run_until_ready(command: list[str], home: Path) -> tuple[int, str]:
    """Run a command until it has said what is scheduled, end it, and return its code and log."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONUNBUFFERED": "1"}
    log = home / "Library" / "Logs" / "elks-mcp.log"
    with log.open("w", encoding="utf-8") as errors, log.open(encoding="utf-8") as lines:
        with subprocess.Popen(command, env=environ, stderr=errors, start_new_session=True) as process:
            seen = ""
            try:
                while "scheduled" not in seen and process.poll() is None:
                    seen += lines.readline()
                process.send_signal(signal.SIGTERM)
                code = process.wait(60)
            finally:
                process.kill()
        return code, seen + lines.read()


def analyze(*arguments: str) -> str:
    """Run systemd-analyze on the units of the machine, which must succeed."""
    program = shutil.which("systemd-analyze")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd is not installed")
    done = subprocess.run(
        [program, *arguments], cwd=DEPLOY, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_accepts_the_units_that_renew_the_cap() -> None:
    assert analyze("verify", "elks-mcp-cap.service", "elks-mcp-cap.timer") == ""


def test_the_unit_with_the_password_of_the_account_can_do_little_else() -> None:
    said = analyze("security", "--offline=true", "--threshold=30", "elks-mcp-cap.service")
    assert re.search(r"Overall exposure level for elks-mcp-cap.service: [0-2]\.\d", said)
