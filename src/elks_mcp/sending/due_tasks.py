"""Do what is due in the store: expired leases, orders in doubt, approved orders, old data."""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from anyio.abc import TaskGroup

from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import log_errors
from elks_mcp.runtime.clock import Clock
from elks_mcp.sending.batch_starts import BatchStarts
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.sending.doubts import clear_doubts
from elks_mcp.sending.options import OutboxOptions
from elks_mcp.sending.schedule import ScheduledSends
from elks_mcp.sending.waiters import OrderWaiters
from elks_mcp.sending.worklist import LATER, SOON, SOONEST, Worklist
from elks_mcp.store import DueWork, Storage

if TYPE_CHECKING:
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)

_BETWEEN_CLEANUPS = timedelta(hours=1)

_FRESH_IN_BATCHES = timedelta(seconds=10)
"""The age up to which a read of history suffices while a batch is under way, whose texts cause answers."""


class DueTasks:
    """The worker's tasks other than sending, each done when it is due."""

    def __init__(
        self,
        client: ElksClient,
        checks: DraftChecks,
        clock: Clock,
        options: OutboxOptions,
        waiters: OrderWaiters,
        worklist: Worklist,
    ) -> None:
        self._client = client
        self._checks = checks
        self._clock = clock
        self._options = options
        self._waiters = waiters
        self._worklist = worklist
        self._schedule = ScheduledSends(client, waiters)
        self.batch_starts = BatchStarts(client, checks, options)
        self._is_clearing = False
        """Whether orders in doubt are being looked up."""

        self._cleanup_at = clock.now()

    def postpone_cleanup(self) -> None:
        """Delete expired data an hour from now at the earliest; opening the store has just done it."""
        self._cleanup_at = self._clock.now() + _BETWEEN_CLEANUPS

    async def try_cleanup(self, storage: Storage) -> None:
        """Delete expired data once an hour, in a process that sends nothing from the queue."""
        if self._clock.now() < self._cleanup_at:
            return
        self.postpone_cleanup()
        with log_errors(log, "Expired data cannot be deleted", level=logging.ERROR):
            store = await storage.open()
            await store.cleanup.delete_expired()

    async def run(self, store: "Store", due: DueWork, readers: TaskGroup) -> timedelta:
        """Do what is due; return how long until the next look.

        Orders in doubt are looked up in `readers`, meanwhile.
        """
        if self._clock.now() >= self._cleanup_at:
            self.postpone_cleanup()
            await store.cleanup.delete_expired()
        if due.lapsed:
            await store.queue.end_expired_leases()
        if due.doubtful and not self._is_clearing:
            self._is_clearing = True
            readers.start_soon(self._clear_doubts, store)
        if due.calls and self._options.follow_calls:
            readers.start_soon(self._follow_calls, self._options.follow_calls)
        if due.overdue:
            await store.orders.expire_waiting()
        if due.scheduled:
            await self._schedule.expire_missed(store)
        await self._queue_released(store, due)
        if due.waiting or self._is_clearing:
            return SOON
        return LATER if due.again_in is None else min(max(due.again_in, SOONEST), LATER)

    async def _queue_released(self, store: "Store", due: DueWork) -> None:
        """Queue what a person approved in a terminal, what is due, and what another server left."""
        approved, scheduled, batches, interrupted = (
            may and not self._options.only_own
            for may in (due.approved, due.scheduled, due.batches, due.interrupted)
        )
        refresh = self._options.refresh_history
        if (approved or scheduled or batches or interrupted or due.queued) and refresh:
            # Recipients may have opted out while the orders waited, or after a first row of the batch.
            await (refresh(_FRESH_IN_BATCHES) if due.batched else refresh())
        if approved and await store.orders.release_approved(self._checks.recheck):
            self._worklist.wake()
        if scheduled and await self._schedule.release_due(store):
            self._worklist.wake()
        if batches and await self.batch_starts.start_approved(store):
            self._worklist.wake()
        if interrupted and await self.batch_starts.continue_interrupted(store):
            self._worklist.wake()

    async def _follow_calls(self, follow: Callable[[], Awaitable[None]]) -> None:
        """Ask 46elks about the calls that go on. If that is being done already, it does nothing."""
        with log_errors(log, "Calls cannot be followed for now", level=logging.ERROR):
            await follow()

    async def _clear_doubts(self, store: "Store") -> None:
        """Determine what happened to the orders in doubt, and notify the callers that wait for them."""
        try:
            with log_errors(log, "Orders in doubt cannot be looked up for now", level=logging.ERROR):
                for order_id in await clear_doubts(store, self._client, self._options.quiet):
                    self._waiters.notify(order_id)
                self._worklist.wake()
        finally:
            self._is_clearing = False
