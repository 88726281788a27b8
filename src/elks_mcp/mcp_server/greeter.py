"""Answers a client's first requests while the rest of the server loads: that takes a second.

The answers are those that the server gave at an earlier start with the same settings. All other messages
wait for the server. It also gets the requests that were answered, so that it knows the session, and can
compare its own answers.

This module, `greeting` and `snapshots` import only the standard library, and little of it: a client waits.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread

from elks_mcp.mcp_server.greeting import GreetedSession, Greeting, is_for_server
from elks_mcp.mcp_server.snapshots import Snapshot, find_name, load
from elks_mcp.runtime.start_options import COMPLETION, ENV_FILE, STATE_DIR
from elks_mcp.runtime.validation import SWITCHES

if sys.platform != "win32":
    import fcntl

_CHUNK = 65536
_READ_AHEAD = 2**20
"""Bytes that are read for a server that still loads. The rest stays in the pipe until it has loaded."""

_STDIN, _STDOUT, _STDERR = range(3)


def start_greeter(arguments: Sequence[str], environ: Mapping[str, str]) -> "Greeter | None":
    """Start to answer a client, if these are the arguments of a server for one client.

    From then on, standard input is empty, and standard output is standard error, also for child processes.
    On Windows, where it has not been tried, no client is answered early.
    """
    is_on = SWITCHES.get(environ.get("ELKS_GREETER", "").strip().lower(), True)
    if sys.platform == "win32" or not is_on:
        return None
    options = None if COMPLETION in environ else _read_options(arguments)
    if options is None or not sys.stdin or not sys.stdout or sys.stdin.isatty():
        return None
    name = find_name(arguments, environ, options.get(ENV_FILE))
    greeter = Greeter(*claim_streams(), load(name) if name else None)
    greeter.start()
    return greeter


def _read_options(arguments: Sequence[str]) -> Mapping[str, str] | None:
    """Return the options of a start without a command; None if there is anything else."""
    options, rest = {}, iter(arguments)
    for argument in rest:
        name, has_value, given = argument.partition("=")
        value = given if has_value else next(rest, None)
        if name not in {ENV_FILE, STATE_DIR} or value is None:
            return None
        options[name] = value
    return options


def claim_streams() -> tuple[int, int]:
    """Return new descriptors of standard input and output, which no child process inherits.

    The usual ones then are an empty file, and standard error.
    """
    source, sink = (fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, _STDERR + 1) for each in (_STDIN, _STDOUT))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, _STDIN)
    os.dup2(_STDERR if sys.stderr else nothing, _STDOUT)
    os.close(nothing)
    return source, sink


class Greeter:
    """Reads a client's messages, answers those that a snapshot answers, hands over the others.

    Reading blocks, and cannot be interrupted. So it is the work of one thread until the process ends.
    """

    def __init__(self, source: int, sink: int, snapshot: Snapshot | None) -> None:
        """Read from the descriptor `source`, and write to `sink`."""
        self.sink, self.snapshot = sink, snapshot
        self._source = source
        self._session = GreetedSession(snapshot.answers if snapshot else {})
        self._lock, self._is_handed_over = Lock(), Event()
        self._pending: list[bytes] = []
        self._deliver: Callable[[bytes], None] | None = None

    def start(self) -> None:
        """Start to read."""
        Thread(target=self._read, name="client input", daemon=True).start()

    def hand_over(self, deliver: Callable[[bytes], None]) -> tuple[Greeting, bytes]:
        """Answer nothing more. Return what was answered, and what was read and not answered.

        `deliver` gets everything that is read from now on, as it arrives, and b"" at the end of input. It is
        called in another thread, and may wait.
        """
        with self._lock:
            self._deliver = deliver
            self._is_handed_over.set()
            rest, self._pending = b"".join(self._pending), []
            return self._session.close(), rest

    def _read(self) -> None:
        while chunk := read_chunk(self._source):
            self.take(chunk)
            if sum(map(len, self._pending)) > _READ_AHEAD:
                self._is_handed_over.wait()
        self._end()

    def take(self, chunk: bytes) -> None:
        """Answer a part of the client's messages, or hand it over."""
        with self._lock:
            deliver = self._deliver
            if deliver is None:
                self._pending.append(chunk)  # joined once: a line may be long
                if b"\n" in chunk and not self._session.is_over:
                    self._pending = [self._answer(b"".join(self._pending))]
        if deliver:
            deliver(chunk)

    def _answer(self, received: bytes) -> bytes:
        """Answer what can be answered, and return the rest, from the first message that cannot be."""
        while not self._session.is_over:
            line, newline, rest = received.partition(b"\n")
            answer = self._session.answer(line) if newline else None
            if answer is None:
                break
            with suppress(OSError):  # the client reads no more; the server notices that, too
                write_all(self.sink, answer)
            received = rest
        return received

    def _end(self) -> None:
        """Pass the end of input on to the server, or end the process if there is nothing left to do.

        Until the server takes over, the process has loaded modules and read settings, and nothing else.
        `sys.exit` would only end this thread, and the main thread cannot be interrupted while it imports.
        """
        with self._lock:
            if self._deliver is None and not is_for_server(b"".join(self._pending)):
                os._exit(0)
        self._is_handed_over.wait()
        if self._deliver:
            self._deliver(b"")


def read_chunk(source: int) -> bytes:
    """Read what has arrived, at most 64 KiB; b"" at the end of input."""
    try:
        return os.read(source, _CHUNK)
    except OSError:  # as at the end of a terminal
        return b""


def write_all(sink: int, data: bytes) -> None:
    """Write all of `data`.

    Raises:
        OSError: The reader has closed its end.
    """
    while data:
        data = data[os.write(sink, data) :]
