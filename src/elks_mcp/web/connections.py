"""Bounds on HTTP connections, so that idle ones cannot use up the process's file descriptors.

uvicorn closes an idle connection only after an answer: a client that connects and sends nothing, or half
a request head, keeps its descriptor. A process without free descriptors can neither reach 46elks nor open
its database.
"""

import asyncio
import sys
from datetime import timedelta
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from elks_mcp.runtime.clock import Clock, Timer

HEAD_WITHIN = timedelta(seconds=10)
"""How long the head of a request may take, from connecting or from the answer before."""

_MOST_DESCRIPTORS = (65_536, 10_240)
"""Soft limits to try. macOS refuses more than its OPEN_MAX, 10,240, on some versions."""

_UNKNOWN = 4096
"""Descriptors where the system has no such limit (Windows)."""

_RESERVED = 128
"""Descriptors for the database, 46elks, log files, and connections that are being turned away."""

_ACCEPTED_AT_ONCE = 8
"""Connections accepted in one turn of the event loop. It takes four turns to close one that is too many."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, 65,536 at most, and return the limit then."""
    if sys.platform == "win32":
        return _UNKNOWN
    import resource  # noqa: PLC0415  (not on Windows)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in _MOST_DESCRIPTORS:
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            continue
        return wanted
    return _MOST_DESCRIPTORS[0] if soft == resource.RLIM_INFINITY else soft


def count_allowed(descriptors: int) -> int:
    """Return how many connections may be open with so many descriptors: all but a reserve."""
    return max(descriptors - _RESERVED, descriptors // 2)


class Connection(H11Protocol):
    """A connection that is closed when no request arrives in time, or when others need its place."""

    config: "HttpConfig"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request. With too many connections, close the one that has waited longest."""
        super().connection_made(transport)
        self._timer: Timer | None = None
        self._wait_for_head()
        if len(self.connections) > self.config.most_connections:
            # A request that is being answered is never cut off: then the new connection is closed itself.
            longest = next(iter(self.config.waiting))
            longest.give_way()

    def data_received(self, data: bytes) -> None:
        """Read what came; once a head is complete, its request has begun."""
        super().data_received(data)
        if self._has_request:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, unless it came already."""
        super().on_response_complete()
        if not self._has_request:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up the place."""
        self._stop_waiting()
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Close, without a word: the peer asked nothing."""
        self._stop_waiting()
        self.transport.abort()

    @property
    def _has_request(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self.config.waiting[self] = None
        self._timer = self.config.clock.call_later(HEAD_WITHIN, self.give_way)

    def _stop_waiting(self) -> None:
        self.config.waiting.pop(self, None)
        if self._timer:
            self._timer.cancel()


class HttpConfig(uvicorn.Config):
    """A configuration of uvicorn with bounds on connections."""

    def __init__(self, app: Any, *, most_connections: int, clock: Clock, **more: Any) -> None:
        # uvloop accepts connections in ways that these bounds do not reach.
        super().__init__(app, http=Connection, loop="asyncio", backlog=_ACCEPTED_AT_ONCE, **more)
        self.most_connections = most_connections
        self.clock = clock
        self.waiting: dict[Connection, None] = {}
        """Connections without a request, the one that has waited longest first."""
