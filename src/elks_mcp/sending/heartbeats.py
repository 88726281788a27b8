"""The heartbeat of a long-running server, by which other processes know that it sends."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import anyio

from elks_mcp.errors import log_errors
from elks_mcp.runtime.clock import Clock
from elks_mcp.store import ServerKind, Storage

if TYPE_CHECKING:
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)

_INTERVAL = timedelta(seconds=30)
"""How often a heartbeat is recorded. A server that misses three of them counts as ended."""


class Heartbeat:
    """The heartbeat of this process. The worker records it, so it stops if the worker hangs."""

    def __init__(self, storage: Storage, clock: Clock, *, sends: bool) -> None:
        """Build it.

        `sends`: whether this process sends what is queued. Otherwise it has no heartbeat.
        """
        self._storage = storage
        self._clock = clock
        self._sends = sends
        self._process_id = secrets.token_hex(8)
        self._kind: ServerKind | None = None
        self._recorded_at: datetime | None = None
        self._changing = anyio.Lock()

    @property
    def is_kept(self) -> bool:
        """Whether the heartbeat is recorded now."""
        return self._kind is not None

    @asynccontextmanager
    async def kept(self, kind: ServerKind) -> AsyncIterator[None]:
        """Record the heartbeat until the context ends, then delete it."""
        if not self._sends:
            yield
            return
        self._kind = kind
        try:
            yield
        finally:
            self._kind = None
            with anyio.CancelScope(shield=True):
                await self._forget()

    async def record_if_due(self, store: "Store") -> None:
        """Record the heartbeat, unless that was done less than 30 seconds ago.

        An error is only logged.
        """
        now = self._clock.now()
        if not self.is_kept or (self._recorded_at and timedelta() <= now - self._recorded_at < _INTERVAL):
            return
        async with self._changing:  # or it could be recorded after it was deleted
            if self._kind:
                self._recorded_at = now
                with log_errors(log, "The heartbeat cannot be recorded"):
                    await store.heartbeats.record(self._process_id, self._kind)

    async def _forget(self) -> None:
        async with self._changing:
            if self._recorded_at:
                with log_errors(log, "The heartbeat cannot be deleted"):
                    await (await self._storage.open()).heartbeats.forget(self._process_id)
