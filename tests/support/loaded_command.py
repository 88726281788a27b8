"""The command, loaded once: the program from which processes under test are forked.

`forked_starts.py` runs it, explains it, and tells it over a socket what to start. It only loads. It opens
nothing, starts no thread and reads no setting, so that a process forked from it is as good as a new one.
"""

import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import Any

_MOST = 2**20
"""Bytes of the longest request; arguments and environment of a test take a few thousand."""

_LAZY = (
    "alembic.command",
    "dotenv.parser",
    "jsonschema",
    "phonenumbers.data.region_SE",
    "psycopg",
    "rich.logging",
    "sqlalchemy.dialects.postgresql.psycopg",
)
"""Modules that others load when they need them."""


def main() -> None:
    """Load, then fork a process for each request, until the test process ends."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the test process, which ends this one
    _load()
    while request := _receive(control):
        wanted, streams = request
        reader, writer = os.pipe()
        if not (helper := os.fork()):
            if not (made := os.fork()):
                control.close()
                _become(wanted, streams)
                return
            os.write(writer, str(made).encode())
            os._exit(0)  # so that the new process becomes the test process's child
        for each in (*streams, writer):
            os.close(each)
        os.waitpid(helper, 0)
        control.sendall(os.read(reader, 100))
        os.close(reader)


def _load() -> None:
    import elks_mcp  # noqa: PLC0415  (as late as the rest)

    ours = [each.name for each in pkgutil.walk_packages(elks_mcp.__path__, "elks_mcp.")]
    for name in (*ours, *_LAZY):
        if not name.endswith("__main__") and ".migrations" not in name:
            importlib.import_module(name)
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()


def _receive(control: socket.socket) -> tuple[Mapping[str, Any], list[int]] | None:
    """Return the next request, and the descriptors of its standard streams; None at the end."""
    said, streams, _, _ = socket.recv_fds(control, _MOST, 3)
    return (json.loads(said), streams) if said else None


def _become(wanted: Mapping[str, Any], streams: list[int]) -> None:
    """Set up the process as the test asked for it, and run the command."""
    if wanted["new_session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, max(streams) + 1)
    os.environ.clear()
    os.environ.update(wanted["environ"])
    time.tzset()
    tempfile.tempdir = None
    os.chdir(wanted["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _open_streams()
    program = wanted["program"]
    sys.argv = [program, *wanted["arguments"]]
    sys.orig_argv = [sys.executable, *([program] if program else ["-m", "elks_mcp"]), *wanted["arguments"]]
    sys.path.insert(0, os.path.dirname(program) or os.getcwd())  # noqa: PTH109, PTH120  (pathlib is not needed)
    if program:
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module("elks_mcp", run_name="__main__", alter_sys=True)


def _open_streams() -> None:
    is_unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        buffering = 0 if is_unbuffered and number else -1
        data = open(number, "wb" if number else "rb", buffering, closefd=False)  # noqa: SIM115
        by_line = name == "stderr" or data.isatty()
        stream = io.TextIOWrapper(data, old.encoding, old.errors, None, by_line, is_unbuffered)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    main()
