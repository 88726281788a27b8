"""Limits on HTTP connections, so that idle ones cannot use up all file descriptors.

uvicorn closes an idle connection only after a response: a client that connects and sends nothing, or half
a request head, keeps its descriptor. A process without free descriptors can neither reach 46elks nor open
its database.
"""

import asyncio
import sys
from datetime import timedelta
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from elks_mcp.runtime.clock import Clock

HEAD_WITHIN = timedelta(seconds=10)
"""Time for the head of a request, from the connection or the previous response on."""

LEAVES_WITHIN = timedelta(minutes=2)
"""Time for the rest of a response to leave if its reader is slow: 4 MB of audio at 35 kB a second."""

_CHECK_INTERVAL = timedelta(seconds=1)
"""How often overdue connections are closed. A timer for each connection would be set by each request."""

_SOFT_LIMITS = (65_536, 10_240)
"""Soft limits to try, in this order. Some versions of macOS refuse more than 10,240."""

_WITHOUT_LIMIT = 4096
"""Descriptors on a system without such a limit (Windows)."""

_RESERVED = 128
"""Descriptors for the database, 46elks, log files, and connections being closed."""

_ACCEPTED_PER_TURN = 8
"""Connections accepted in one turn of the event loop; closing one takes four turns."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, at most 65,536; return the result."""
    if sys.platform == "win32":
        return _WITHOUT_LIMIT
    import resource  # noqa: PLC0415  (not on Windows)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for largest in _SOFT_LIMITS:
        wanted = largest if hard == resource.RLIM_INFINITY else min(largest, hard)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            continue
        return wanted
    return _SOFT_LIMITS[0] if soft == resource.RLIM_INFINITY else soft


def count_allowed(descriptors: int) -> int:
    """Return how many connections `descriptors` allow: all but a reserve, at least half."""
    return max(descriptors - _RESERVED, descriptors // 2)


class Connection(H11Protocol):
    """A connection that is closed if no request arrives in time, or if too many are open."""

    config: "HttpConfig"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request. If too many connections are open, close the longest waiting one."""
        super().connection_made(transport)
        self._wait_for_head()
        if len(self.connections) > self.config.most_connections:
            # Only connections without a request are closed; that may be this one.
            longest = next(iter(self.config.waiting))
            longest.close_idle()

    def data_received(self, data: bytes) -> None:
        """Parse the data. A request begins once its head is complete."""
        super().data_received(data)
        if self._has_request:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it has already arrived."""
        super().on_response_complete()
        if not self._has_request:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for a request."""
        self._stop_waiting()
        super().connection_lost(exc)

    def close_idle(self) -> None:
        """Close the connection without a response: there is no request to answer."""
        self._stop_waiting()
        self.transport.abort()

    @property
    def _has_request(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _wait_for_head(self) -> None:
        is_leaving = self.transport.get_write_buffer_size() > 0  # closing would drop what is not sent yet
        self._stop_waiting()
        self.config.wait(self, LEAVES_WITHIN if is_leaving else HEAD_WITHIN)

    def _stop_waiting(self) -> None:
        self.config.waiting.pop(self, None)


class HttpConfig(uvicorn.Config):
    """A configuration of uvicorn with limits on connections."""

    def __init__(self, app: Any, *, most_connections: int, clock: Clock, **more: Any) -> None:
        # uvloop accepts connections in a way that these limits do not control.
        super().__init__(app, http=Connection, loop="asyncio", backlog=_ACCEPTED_PER_TURN, **more)
        self.most_connections = most_connections
        self.clock = clock
        self.waiting: dict[Connection, float] = {}
        """Connections without a request, the one that has waited longest first, and when each is closed."""

        self._is_scheduled = False

    def wait(self, connection: Connection, within: timedelta) -> None:
        """Close a connection if no request has arrived on it `within` this time, to the second."""
        self.waiting[connection] = self.clock.counted() + within.total_seconds()
        if not self._is_scheduled:
            self._schedule_check()

    def _schedule_check(self) -> None:
        self._is_scheduled = True
        self.clock.call_later(_CHECK_INTERVAL, self._close_overdue)

    def _close_overdue(self) -> None:
        self._is_scheduled, now = False, self.clock.counted()
        for each in [each for each, until in self.waiting.items() if until <= now]:
            each.close_idle()
        if self.waiting:
            self._schedule_check()
