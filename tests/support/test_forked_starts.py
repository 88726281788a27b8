"""A forked process is like one that loads the command itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.forked_starts import ForkedStarts, starts
from tests.support.homes import SCRIPT
from tests.support.process import PROGRAM, Process, running, start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt another")


def started(command: Sequence[str], folder: Path, **environ: str) -> subprocess.Popen[bytes]:
    """Start a server that waits for input."""
    environ = {"PATH": os.environ["PATH"], "ELKS_STATE_DIR": str(folder), "ELKS_GREETER": "false"} | environ
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environ, cwd=folder)


def was_forked(process: subprocess.Popen[bytes]) -> bool:
    """Return whether the process has the command line of the one that has loaded the command."""
    return b"loaded_command.py" in Path(f"/proc/{process.pid}/cmdline").read_bytes()


@pytest.mark.parametrize("command", [PROGRAM, (str(SCRIPT),)], ids=["module", "script"])
def test_a_forked_process_is_a_child_with_the_folder_and_signals_of_one(
    tmp_path: Path, command: Sequence[str]
) -> None:
    with started(command, tmp_path) as process:
        about = Path(f"/proc/{process.pid}")
        assert was_forked(process)
        assert f"PPid:\t{os.getpid()}\n" in (about / "status").read_text("ascii")
        process.kill()
        assert process.wait(60) == -signal.SIGKILL


def test_a_forked_server_has_its_arguments_environment_and_streams(tmp_path: Path) -> None:
    with running({"ELKS_SANDBOX": "true"}, tmp_path, command=(*PROGRAM, "--state-dir", "there")) as server:
        assert "Mode: SANDBOX" in server.initialize()["instructions"]
        assert server.close() == 0
    assert isinstance(server, Process)


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["--version"], {}),
        (["policy", "--json"], {"ELKS_HOME_COUNTRY": "NO", "TZ": "Europe/Oslo"}),
        (["dmeo"], {}),
        (["send", "+46701740605", "Hallå"], {"ELKS_API_USERNAME": "u"}),
    ],
)
def test_a_forked_command_says_the_same_as_a_fresh_one(
    arguments: list[str], environ: Mapping[str, str], request: pytest.FixtureRequest
) -> None:
    forked = start(*arguments, **environ)
    request.getfixturevalue("fresh_start")
    fresh = start(*arguments, **environ)
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        fresh.returncode,
        fresh.stdout,
        fresh.stderr,
    )


@pytest.mark.parametrize("environ", [{"PYTHONWARNINGS": "ignore"}, {"LANG": "sv_SE.ISO8859-1"}])
def test_an_environment_that_an_interpreter_reads_at_its_start_is_not_forked(
    tmp_path: Path, environ: Mapping[str, str]
) -> None:
    with started(PROGRAM, tmp_path, **environ) as process:
        assert not was_forked(process)
        process.kill()


@pytest.mark.usefixtures("fresh_start")
def test_a_test_can_ask_for_fresh_starts(tmp_path: Path) -> None:
    with started(PROGRAM, tmp_path) as process:
        assert not was_forked(process)
        process.kill()


def test_the_loaded_process_has_opened_nothing_and_has_one_thread() -> None:
    start("--version")
    assert starts.loaded
    about = Path(f"/proc/{starts.loaded.pid}")
    assert len(list((about / "task").iterdir())) == 1
    standard_streams_and_control = 4
    assert len(list((about / "fd").iterdir())) == standard_streams_and_control


def test_a_loaded_process_ends_with_its_test_process() -> None:
    """Its only descriptor of the test process is closed then."""
    others = ForkedStarts()
    request = {"program": "", "arguments": ["--version"], "environ": {}, "folder": "/", "new_session": False}
    with Path(os.devnull).open("rb+") as nothing:
        assert os.waitpid(others.fork(request, [nothing.fileno()] * 3), 0)[1] == 0
    others.close()
    assert others.loaded
    assert others.loaded.returncode == 0
