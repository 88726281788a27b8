"""A bridge from HTTP, which is all that the suite speaks, to servers on standard input and output.

It is middleware of our server over HTTP: it passes every request on to a process, and returns the answer of
that process. What belongs to HTTP never reaches a process. So these scenarios test nothing here that the
test over HTTP does not test: dns-rebinding-protection, http-header-validation,
http-custom-header-server-validation and server-sse-polling, which refuse a request before it is read or
resume a stream; in part server-session-lifecycle and server-sse-multiple-streams, which count sessions and
streams; and of server-stateless what concerns status codes and headers.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from elks_mcp.mcp_server.greeting import DISCOVERY, HANDSHAKE, LISTS, META, GreetedSession
from elks_mcp.mcp_server.snapshots import Answers
from tests.conformance.stdio_server import GATE

Context = ServerRequestContext[Any, Any]
Message = dict[str, Any]

_COMMAND = (sys.executable, "-m", "tests.conformance.stdio_server")
_ROOT = Path(__file__).parents[2]
_SUBSCRIPTION = f"{META}subscriptionId"
_MOST_SESSIONS = 3
_MAX_LINE = 2**22


class StdioBridge:
    """Passes requests to processes.

    A session of the older era has its own process. In the newer era, each request that the greeter may
    answer has one, and all others share one, because a process accepts only answers to its own questions.
    """

    def __init__(self, environ: Mapping[str, str], answers: Answers, tasks: TaskGroup) -> None:
        self.early: Counter[str] = Counter()
        """By method, how many requests were answered by processes that had loaded nothing."""
        self.environ, self.answers, self.tasks = environ, answers, tasks
        self._sessions: dict[str | None, _Server] = {}
        self._numbers = count(1)

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Pass a request or a notification on.

        Over HTTP the newer era has no handshake, and the suite wants the method to be unknown. A process
        cannot know that a client will speak the newer era only, and refuses a late handshake differently.
        """
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return await (call_next(ctx) if ctx.method == HANDSHAKE else self._ask_modern(ctx))
        session = ctx.session._connection.session_id
        if session not in self._sessions:
            if len(self._sessions) == _MOST_SESSIONS:
                await self._sessions.pop(next(iter(self._sessions))).close()
            self._sessions[session] = await _Server.start(self)
        if ctx.request_id is None:
            await self._sessions[session].send({"method": ctx.method, "params": ctx.params or {}})
            return None
        return await self._sessions[session].ask(ctx, ctx.request_id)

    async def _ask_modern(self, ctx: Context) -> HandlerResult:
        assert ctx.request_id is not None
        if ctx.method not in {DISCOVERY, *LISTS}:
            if None not in self._sessions:
                self._sessions[None] = await _Server.start(self)
            return await self._sessions[None].ask(ctx, f"r{next(self._numbers)}")
        server = await _Server.start(self)
        try:
            if ctx.method != DISCOVERY:  # a client asks for it first
                described = {"_meta": (ctx.params or {}).get("_meta")}
                await server.ask(replace(ctx, method=DISCOVERY, params=described), "discovery")
            return await server.ask(ctx, ctx.request_id)
        finally:
            with anyio.CancelScope(shield=True):
                await server.close()

    async def close(self) -> None:
        """End all processes."""
        for server in self._sessions.values():
            await server.close()


class _Server:
    """A process that waits before it loads, until something is asked that the greeter does not answer."""

    def __init__(self, bridge: StdioBridge, process: Process, gate: int) -> None:
        self._bridge, self._process, self._gate = bridge, process, gate
        self._greeted = GreetedSession(bridge.answers)
        self._is_waiting = True
        self._asked: dict[str | int, tuple[Context, anyio.Event, list[Message]]] = {}

    @classmethod
    async def start(cls, bridge: StdioBridge) -> "_Server":
        """Start a process."""
        inherited, gate = os.pipe()
        environ = {**bridge.environ, GATE: str(inherited)}
        process = await anyio.open_process(
            _COMMAND, env=environ, cwd=_ROOT, stderr=None, pass_fds=[inherited]
        )
        os.close(inherited)
        server = cls(bridge, process, gate)
        bridge.tasks.start_soon(server._read)
        return server

    async def send(self, message: Message) -> None:
        """Send a message. If it is not for the greeter, let the process load."""
        line = json.dumps({"jsonrpc": "2.0", **message}).encode()
        if self._is_waiting and self._greeted.answer(line) is None:
            self._release()
        assert self._process.stdin
        await self._process.stdin.send(line + b"\n")

    async def ask(self, ctx: Context, number: str | int) -> HandlerResult:
        """Send a request and return the result."""
        answered, answers = anyio.Event(), list[Message]()
        self._asked[number] = ctx, answered, answers
        try:
            await self.send({"id": number, "method": ctx.method, "params": ctx.params or {}})
            await answered.wait()
        finally:
            del self._asked[number]
            if not answers:  # the client has left
                with anyio.CancelScope(shield=True):
                    await self.send({"method": "notifications/cancelled", "params": {"requestId": number}})
        (answer,) = answers
        if "error" in answer:
            raise MCPError(**answer["error"])
        result: Message = answer["result"]
        return result

    async def _read(self) -> None:
        assert self._process.stdout
        lines = BufferedByteReceiveStream(self._process.stdout)
        with suppress(anyio.IncompleteRead, anyio.EndOfStream):
            while True:
                await self._take(json.loads(await lines.receive_until(b"\n", _MAX_LINE)))
        assert not self._asked, f"the process ended without an answer to {list(self._asked)}"

    async def _take(self, message: Message) -> None:
        if "method" not in message:
            if message["id"] in self._asked:
                ctx, answered, answers = self._asked[message["id"]]
                self._bridge.early[ctx.method] += self._is_waiting
                answers.append(message)
                answered.set()
        elif "id" in message:
            self._bridge.tasks.start_soon(self._ask_client, message)
        else:
            await self._notify_client(message["method"], message.get("params", {}))

    async def _notify_client(self, method: str, params: Message) -> None:
        ctx = self._find_request(params)
        if ctx:  # its client is still there
            if _SUBSCRIPTION in params.get("_meta", {}):
                params["_meta"][_SUBSCRIPTION] = ctx.request_id
            await ctx.session._request_outbound.notify(method, params)

    def _find_request(self, params: Message) -> Context | None:
        """Return the request to which a notification belongs: the one it names, or else the newest."""
        number = params.get("_meta", {}).get(_SUBSCRIPTION)
        if number is not None:
            return self._asked[number][0] if number in self._asked else None
        for ctx, *_ in self._asked.values():
            token = (ctx.params or {}).get("_meta", {}).get("progressToken")
            if token is not None and token == params.get("progressToken"):
                return ctx
        return [*self._asked.values()][-1][0] if self._asked else None

    async def _ask_client(self, request: Message) -> None:
        ctx = self._find_request({})
        assert ctx
        outbound = ctx.session._request_outbound
        result = await outbound.send_raw_request(request["method"], request.get("params"))
        await self.send({"id": request["id"], "result": result})

    def _release(self) -> None:
        self._is_waiting = False
        os.close(self._gate)

    async def close(self) -> None:
        """Close the standard input of the process, and wait for its end."""
        assert self._process.stdin
        await self._process.stdin.aclose()
        assert await self._process.wait() == 0
        if self._is_waiting:
            self._release()


@asynccontextmanager
async def open_bridge(environ: Mapping[str, str], caches: Path) -> AsyncIterator[StdioBridge]:
    """Open a bridge to servers whose answers are stored in the directory `caches`."""
    environ = {**environ, "XDG_CACHE_HOME": str(caches)}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": HANDSHAKE, "params": hello}
    await anyio.run_process(_COMMAND, input=json.dumps(request).encode(), env=environ, cwd=_ROOT, stderr=None)
    (stored,) = [path async for path in anyio.Path(caches, "elks-mcp").iterdir()]
    async with anyio.create_task_group() as tasks:
        bridge = StdioBridge(environ, json.loads(await stored.read_text()), tasks)
        yield bridge
        await bridge.close()
