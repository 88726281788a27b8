"""The transport over standard input and output, which continues what the greeter began.

The SDK's own transport hands every line to a worker thread, once to read it and twice to write it. Here one
thread reads, and one writes. On Windows, where this has not been tried, the SDK's transport is used.
"""

import asyncio
import logging
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from queue import SimpleQueue
from threading import Semaphore, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
from anyio import EndOfStream
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, jsonrpc_message_adapter
from pydantic import ValidationError

from elks_mcp.mcp_server import snapshots
from elks_mcp.mcp_server.comparison import Comparison
from elks_mcp.mcp_server.greeter import Greeter, claim_streams, write_all
from elks_mcp.mcp_server.greeting import Greeting
from elks_mcp.mcp_server.invalid_messages import LenientReader, MessageSource
from elks_mcp.mcp_server.recording import ALL_LISTS, record_answers
from elks_mcp.runtime.tasks import background

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import WriteStream

log = logging.getLogger(__name__)

_CHUNKS, _ANSWERS = 4, 256
"""The most chunks of 64 KiB that are read ahead, and the most answers that wait for a slow client."""

_RELEASED_TOGETHER = 64
"""How many answers are written before as many may follow. Each time costs a message between threads."""

_SECONDS_FOR_AN_ANSWER = 0.5
"""Seconds in which a client that closed standard input has to read one more of the last answers."""

_LISTS = ("tools", "prompts", "resources")

Announce = Callable[[], Awaitable[None]]


async def run_stdio(
    server: MCPServer[Any],
    greeter: Greeter | None = None,
    announce: Announce | None = None,
    build_listing: Callable[[], MCPServer[Any]] | None = None,
) -> None:
    """Serve one client on standard input and output, like `MCPServer.run_stdio_async`.

    Args:
        server: the server.
        greeter: the greeter that read the client's first messages, if one did.
        announce: tells clients of the newer era, which listen for it, that all lists have changed.
        build_listing: builds a server with the same lists, whose answers are stored for the greeter of the
            next start. None if nothing may be stored.
    """
    lowlevel = server._lowlevel_server  # noqa: SLF001  (MCPServer accepts no streams)
    options = lowlevel.create_initialization_options(ALL_LISTS)
    streams = stdio_server() if sys.platform == "win32" else _continue(greeter, announce, build_listing)
    async with streams as (messages, answers):
        await lowlevel.run(LenientReader(messages, answers), answers, options)


@asynccontextmanager
async def _continue(
    greeter: Greeter | None, announce: Announce | None, build_listing: Callable[[], MCPServer[Any]] | None
) -> AsyncIterator[tuple[MessageSource, "WriteStream[SessionMessage]"]]:
    """Yield the streams of a client, which begin where the greeter stopped."""
    if greeter is None:
        greeter = Greeter(*claim_streams(), None)
        greeter.start()
    source = _Source()
    greeting, rest = greeter.hand_over(source.deliver)
    comparison = Comparison(greeting)
    sink = _Sink(greeter.sink, source, comparison)
    source.take_lines(greeting.opening)
    source.take(rest)
    async with background() as tasks:
        if greeting.answers:
            tasks.start_soon(_repeat, greeting, source, sink if rest else None)
            tasks.start_soon(_watch, comparison, greeter, sink, announce)
        elif greeter.snapshot and not greeter.snapshot.answers and build_listing:
            tasks.start_soon(_record, build_listing, greeter.snapshot.name, sink)
        yield source, sink
    sink.finish()


async def _repeat(greeting: Greeting, source: "_Source", sink: "_Sink | None") -> None:
    """Repeat answered requests for a comparison; after the first answer of `sink`, if given."""
    if sink:
        await sink.has_answered.wait()
    source.take_lines(greeting.checks)


async def _watch(comparison: Comparison, greeter: Greeter, sink: "_Sink", announce: Announce | None) -> None:
    """Announce changed lists if the answers of the greeter were not those of the server."""
    await comparison.differs.wait()
    log.warning("The stored answers to a client's first requests were old, and are deleted.")
    if greeter.snapshot:
        snapshots.delete(greeter.snapshot.name)
    if comparison.is_modern:
        if announce:
            await announce()
        return
    for name in _LISTS:
        changed = JSONRPCNotification(jsonrpc="2.0", method=f"notifications/{name}/list_changed")
        await sink.send(SessionMessage(changed))


async def _record(build_listing: Callable[[], MCPServer[Any]], name: str, sink: "_Sink") -> None:
    """Store the answers for the next start, once this client has its first."""
    await sink.has_answered.wait()
    with anyio.CancelScope(shield=True):  # a client may stay for its lists only
        answers = await record_answers(build_listing())
        try:
            snapshots.save(snapshots.Snapshot(name, answers))
        except OSError as error:
            log.info("The next start will not be faster: %s.", error.strerror)


class _Source:
    """The messages of a client: a stream that another thread fills."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = Semaphore(_CHUNKS)
        self._chunks: deque[bytes] = deque()
        self._has_input = asyncio.Event()
        self._lines: deque[bytes] = deque()
        self._partial: list[bytes] = []
        self._has_ended = False

    def deliver(self, chunk: bytes) -> None:
        """Take a chunk from the thread that reads, and b"" at the end. Wait if it is far ahead."""
        self._room.acquire()
        self.deliver_soon(chunk)

    def deliver_soon(self, chunk: bytes) -> None:
        """Take a chunk from another thread, without waiting."""
        with suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(self._take_chunk, chunk)

    def _take_chunk(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._has_input.set()

    def take(self, received: bytes) -> None:
        """Take messages, the last of which may be incomplete."""
        first, *others = received.split(b"\n")
        self._partial.append(first)  # joined once: a line may be long
        if others:
            self.take_lines([b"".join(self._partial), *others[:-1]])
            self._partial = others[-1:]

    def take_lines(self, lines: Iterable[bytes]) -> None:
        """Take complete messages."""
        self._lines.extend(lines)
        self._has_input.set()

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message, or the error if a line is not a message.

        Raises:
            EndOfStream: The client has closed its end.
        """
        while not self._lines:
            await self._read()
        return _parse(self._lines.popleft())

    async def _read(self) -> None:
        if self._has_ended:
            raise EndOfStream
        if not self._chunks:
            self._has_input.clear()
            await self._has_input.wait()
            return
        chunk = self._chunks.popleft()
        self._room.release()
        self.take(chunk)
        if not chunk:
            self._has_ended = True
            self.take_lines([b"".join(self._partial)] * any(self._partial))

    async def aclose(self) -> None:
        """Close the stream. The thread that reads ends with the process."""


def _parse(line: bytes) -> SessionMessage | Exception:
    try:
        message = jsonrpc_message_adapter.validate_json(line.decode("utf-8", "replace"), by_name=False)
    except ValidationError as error:
        return error
    return SessionMessage(message)


class _Sink:
    """The messages to a client: a stream that another thread writes."""

    def __init__(self, descriptor: int, source: _Source, comparison: Comparison) -> None:
        self._descriptor, self._source, self._comparison = descriptor, source, comparison
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._loop, self._room = asyncio.get_running_loop(), asyncio.Semaphore(_ANSWERS)
        self._taken = 0
        self._error: OSError | None = None
        self._thread = Thread(target=self._write, name="client output", daemon=True)
        self._thread.start()
        self.has_answered = anyio.Event()

    async def send(self, message: SessionMessage) -> None:
        """Send a message, unless it is only for the comparison. Wait if the client is far behind."""
        if self._comparison.takes(message.message):
            return
        line = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        await self._room.acquire()
        self._lines.put(line)
        self.has_answered.set()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            self._taken += 1
            if self._taken % _RELEASED_TOGETHER == 0:
                with suppress(RuntimeError):  # the server has ended
                    self._loop.call_soon_threadsafe(self._give_room)
            if self._error is None:
                try:
                    write_all(self._descriptor, line)
                except OSError as error:
                    self._error = error
                    self._source.deliver_soon(b"")  # a client that does not read has left

    def _give_room(self) -> None:
        for _ in range(_RELEASED_TOGETHER):
            self._room.release()

    def finish(self) -> None:
        """Write what is left.

        Raises:
            BrokenPipeError: The client stopped reading.
        """
        self._lines.put(None)
        before = -1
        while self._thread.is_alive() and self._taken != before:
            before = self._taken
            self._thread.join(_SECONDS_FOR_AN_ANSWER)
        if self._error:
            raise BrokenPipeError from self._error

    async def aclose(self) -> None:
        """Close the stream. `finish` writes what was sent."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
