"""Processes of the command under test that are forked from one that has loaded it.

Loading the command takes five times as long as all that a test then asks of it, and a run of the suite starts
it some two hundred times. So each test process keeps one process that has loaded the command and done nothing
else (`loaded_command.py`), and forks from it what a test starts. That is a process with the arguments, the
environment, the folder and the streams that the test asked for, and a child of the test process: signals,
`kill -9`, exit codes and resources are those of any other child.

The modules of a forked process, and when they loaded, say nothing about what users start. So tests of loading
and of the first answers, and at least one test of each command and transport, use `fresh_start`. A program in
a shell, under options of Python, or with variables that an interpreter reads at its start is never forked. On
other systems than Linux nothing is: only Linux lets the test process adopt the child of a helper.
"""

import atexit
import ctypes
import inspect
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

_PROGRAM = Path(__file__).with_name("loaded_command.py")
_SCRIPT = Path(sys.executable).with_name("elks-mcp")
_ADOPT = 36
"""`PR_SET_CHILD_SUBREAPER`: this process becomes the parent of processes whose parent ended below it."""

_USUAL = {
    "preexec_fn": None,
    "pass_fds": (),
    "startupinfo": None,
    "shell": False,
    "gid": None,
    "gids": None,
    "uid": None,
    "umask": -1,
    "process_group": -1,
}
"""The usual arguments of `Popen`: a start with others is not forked."""


_LOCALES = {"LANG", "LC_ALL", "LC_CTYPE"}
_UTF8 = ("utf-8", "utf8")


class ForkedStarts:
    """The process that has loaded the command, from the first start on."""

    def __init__(self) -> None:
        self.are_fresh = False
        self._lock = Lock()
        self._control: socket.socket | None = None
        self.loaded: subprocess.Popen[bytes] | None = None

    def fork(self, request: Mapping[str, Any], streams: list[int]) -> int:
        """Return the id of a new child of this process."""
        with self._lock:
            control = self._control = self._control or self._load()
            _adopt(children=True)
            try:
                socket.send_fds(control, [json.dumps(request).encode()], streams)
                made = control.recv(100)
            finally:
                _adopt(children=False)
        assert made, "the process that has loaded the command ended"
        return int(made)

    def close(self) -> None:
        """End the process."""
        if self._control and self.loaded:
            self._control.close()
            self.loaded.wait()

    def _load(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", str(_PROGRAM), str(theirs.fileno())]
        environ = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1"}
        with theirs:
            self.loaded = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, env=environ, pass_fds=[theirs.fileno()]
            )

        atexit.register(self.close)
        return ours


starts = ForkedStarts()


@pytest.fixture
def fresh_start() -> Iterator[None]:
    """Let each process that the test starts load the command, as a user's does."""
    starts.are_fresh = True
    yield
    starts.are_fresh = False


def fork_starts() -> None:
    """Fork the command's processes in this process from now on, on Linux."""
    if sys.platform != "linux":
        return
    popen: Any = subprocess.Popen
    start = popen._execute_child
    signature = inspect.signature(start)

    def start_or_fork(self: Any, *given: Any) -> None:
        wanted = signature.bind(self, *given).arguments
        if starts.are_fresh or (request := _find_request(wanted)) is None:
            start(self, *given)
            return
        ours = [wanted["p2cread"], wanted["c2pwrite"], wanted["errwrite"]]
        self.pid = starts.fork(request, [mine if mine >= 0 else own for own, mine in enumerate(ours)])
        self._child_created = True
        names = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(wanted[name] for name in names))

    popen._execute_child = start_or_fork


def _find_request(wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what a forked process needs to know; None if this start cannot be forked."""
    words = wanted["args"]
    environ = dict(os.environ if wanted["env"] is None else wanted["env"])
    folder = os.fspath(wanted["cwd"] or Path.cwd())
    if isinstance(words, (str, bytes, os.PathLike)) or not Path(folder).is_dir():
        return None
    program, *arguments = map(os.fspath, words)
    if [program, *arguments[:2]] == [sys.executable, "-m", "elks_mcp"]:
        program, arguments = "", arguments[2:]
    elif program != str(_SCRIPT):
        return None
    if any(wanted.get(name, usual) != usual for name, usual in _USUAL.items()) or not _is_plain(environ):
        return None
    return {
        "program": program,
        "arguments": arguments,
        "environ": environ,
        "folder": folder,
        "new_session": wanted["start_new_session"],
    }


def _is_plain(environ: Mapping[str, str]) -> bool:
    """Tell whether a new interpreter would read the same from it as the loaded one did."""
    read_at_start = {name: value for name, value in environ.items() if name.startswith("PYTHON")}
    in_utf8 = read_at_start.pop("PYTHONUTF8", "1") == "1"
    for name in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
        read_at_start.pop(name, None)
    locales = (environ[name] for name in _LOCALES & environ.keys())
    return not read_at_start and in_utf8 and all(each.lower().endswith(_UTF8) for each in locales)


def _adopt(*, children: bool) -> None:
    ctypes.CDLL(None).prctl(_ADOPT, int(children), 0, 0, 0)
