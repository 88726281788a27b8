"""The heartbeat of this process, by which other processes know that it sends."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import anyio

from elks_mcp.domain.batches import SERVER_ENDED
from elks_mcp.errors import log_errors
from elks_mcp.runtime.clock import Clock
from elks_mcp.store import ServerKind, Storage

if TYPE_CHECKING:
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)

_INTERVAL = timedelta(seconds=30)
"""How often a heartbeat is recorded. A process that misses three of them counts as ended."""

_INTERVAL_IN_BATCHES = timedelta(seconds=10)
"""The same while rows of a batch are under way, so that a process that was killed is soon noticed."""


class Heartbeat:
    """The heartbeat of this process. The worker records it, so it stops if the worker hangs.

    A long-running server keeps it all the time. Any other process has one while it sends a batch.
    """

    def __init__(self, storage: Storage, clock: Clock, *, sends: bool) -> None:
        """Build it.

        `sends`: whether this process sends what is queued. Otherwise it has no heartbeat.
        """
        self._storage = storage
        self._clock = clock
        self._sends = sends
        self._process_id = secrets.token_hex(8)
        self._kept: ServerKind | None = None
        self._recorded: ServerKind | None = None
        self._recorded_at: datetime | None = None
        self._changing = anyio.Lock()
        self.sends_batch = False
        """Whether rows of a batch are under way, as far as this process knows."""
        self.escalates = False
        """Whether this process carries alerts on."""

    @property
    def is_kept(self) -> bool:
        """Whether this is a long-running server."""
        return self._kept is not None

    @property
    def _kind(self) -> ServerKind | None:
        """The kind of process that others should know this one as; None if it has no heartbeat now."""
        if not self._sends:
            return None
        return self._kept or (ServerKind.CLIENT if self.sends_batch else None)

    @asynccontextmanager
    async def kept(self, kind: ServerKind) -> AsyncIterator[None]:
        """Record the heartbeat of a long-running server until the context ends, then delete it."""
        if not self._sends:
            yield
            return
        self._kept = kind
        try:
            yield
        finally:
            self._kept = None
            await self.end()

    async def record_if_due(self, store: "Store") -> None:
        """Record the heartbeat if the last one is old enough. An error is only logged."""
        now, kind = self._clock.now(), self._kind
        interval = _INTERVAL_IN_BATCHES if self.sends_batch else _INTERVAL
        is_recent = self._recorded_at and timedelta() <= now - self._recorded_at < interval
        if kind is None or (is_recent and kind is self._recorded):
            return
        async with self._changing:  # or it could be recorded after it was deleted
            if kind := self._kind:
                self._recorded, self._recorded_at = kind, now
                with log_errors(log, "The heartbeat cannot be recorded"):
                    await store.heartbeats.record(self._process_id, kind, escalates=self.escalates)

    async def end(self, why_paused: str = SERVER_ENDED) -> None:
        """Delete the heartbeat. If no other process sends, the batches under way are paused.

        `why_paused`: the reason. A server that starts in time continues those that `SERVER_ENDED` paused.
        """
        with anyio.CancelScope(shield=True):
            async with self._changing:
                if self._recorded_at or self._kind:
                    self._recorded = self._recorded_at = None
                    with log_errors(log, "The heartbeat cannot be deleted"):
                        store = await self._storage.open()
                        await store.heartbeats.forget(self._process_id, why_paused)
