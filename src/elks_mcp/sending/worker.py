"""Run the loop that sends the queued orders that are due, and does what is overdue."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from elks_mcp.errors import log_errors
from elks_mcp.runtime.clock import Clock
from elks_mcp.sending.due_tasks import DueTasks
from elks_mcp.sending.heartbeats import Heartbeat
from elks_mcp.sending.request_pool import Posts
from elks_mcp.sending.worklist import LATER, SOONEST, Worklist
from elks_mcp.store import Idle, Storage

if TYPE_CHECKING:
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)

_FIRST_LOOK = timedelta(seconds=1)
"""After the start: by then the client has listed the tools."""


class Worker:
    """The loop of one process.

    Several processes can share a store; each order is claimed by one of them.
    """

    def __init__(
        self,
        storage: Storage,
        posts: Posts,
        due_tasks: DueTasks,
        worklist: Worklist,
        clock: Clock,
        *,
        only_own: bool,
    ) -> None:
        self._storage = storage
        self._posts = posts
        self._due_tasks = due_tasks
        self._worklist = worklist
        self._clock = clock
        self._only_own = only_own
        self.heartbeat = Heartbeat(storage, clock, sends=not only_own)
        self.looked_at = clock.now()
        """When the worker last looked for something to do; it does so several times a minute."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the worker. At the end, requests under way are finished and the queue stays as it is.

        If no other process is left that sends, the batches under way are paused.
        """
        failure: Exception | None = None
        try:
            async with self._posts.running(), anyio.create_task_group() as tasks:
                tasks.start_soon(self._work, tasks)
                try:
                    yield
                except Exception as error:  # noqa: BLE001  (raised again below, where no task group wraps it)
                    failure = error
                self._posts.close()
                tasks.cancel_scope.cancel()
        finally:
            await self.heartbeat.end()
        if failure:
            raise failure

    async def _work(self, readers: TaskGroup) -> None:
        """Loop until cancelled. `readers`: tasks that read history meanwhile, cancelled as well."""
        await self._wait_for_work()
        while True:
            self._worklist.reset()  # before looking, so that no change is missed
            self.looked_at = self._clock.now()
            wait = await self._try_step(readers)
            if wait:
                await self._clock.wait_for(self._worklist.woken.wait(), until=self._clock.now() + wait)

    async def _try_step(self, readers: TaskGroup) -> timedelta:
        """Take one step; after one that failed, the next looks at everything again."""
        with log_errors(log, "The outbox cannot work for now", level=logging.ERROR):
            return await self._step(readers)
        self._worklist.next_look = self._clock.now()
        return LATER

    async def _wait_for_work(self) -> None:
        """Wait until an order is handed over, or until the store holds unfinished work.

        A long-running server does not wait for that: it opens the store for its heartbeat.
        """
        wait = _FIRST_LOOK
        while not self._worklist.woken.is_set():
            await self._clock.wait_for(self._worklist.woken.wait(), until=self._clock.now() + wait)
            self.looked_at = self._clock.now()
            if self.heartbeat.is_kept or await self._storage.has_work():
                if not self._only_own:
                    break
                await self._due_tasks.try_cleanup(self._storage)
            wait = LATER
        self._due_tasks.postpone_cleanup()

    async def _step(self, readers: TaskGroup) -> timedelta:
        """Send what is due and do what is overdue; return how long there is nothing to do."""
        store, worklist = await self._storage.open(), self._worklist
        left = await self._posts.send_due(store, len(worklist.handed_over))
        await self.heartbeat.record_if_due(store)
        rest = worklist.next_look - self._clock.now()
        is_done = left == 0 and not worklist.handed_over  # else orders of other processes were claimed first
        if is_done and timedelta() < rest <= LATER:  # longer only if the clock was set back
            return rest
        worklist.handed_over.clear()
        worklist.next_look = self._clock.now() + LATER  # before looking: a wake-up from here on shortens it
        due = await store.queue.find_due_work()
        self.heartbeat.sends_batch = due.batched or due.batches or due.interrupted  # which start just below
        await self.heartbeat.record_if_due(store)
        wait = await self._due_tasks.run(store, due, readers)
        left = await self._posts.send_due(store, due.queued)
        if isinstance(left, Idle):
            wait = await self._find_wait(store, left, wait)
        elif left:
            wait = timedelta()
        worklist.next_look = min(worklist.next_look, self._clock.now() + wait)
        return wait

    async def _find_wait(self, store: "Store", idle: Idle, wait: timedelta) -> timedelta:
        """Return how long there is nothing to do, if no order can be claimed now."""
        if await self._posts.end_pause(store, idle):
            return timedelta()
        # No time to wait and still nothing claimed: another process is claiming just now.
        return wait if idle.wait is None else min(wait, idle.wait or SOONEST)
