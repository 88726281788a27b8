"""Claim orders and send them, several requests at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from elks_mcp.domain.kinds import CALL
from elks_mcp.domain.orders import Claim, Order, OrderState
from elks_mcp.runtime.clock import Clock, Deadline
from elks_mcp.sending.attempt import Attempts
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.sending.options import LEASE_SPARE, MOST_CLAIMED, OutboxOptions
from elks_mcp.sending.waiters import OrderWaiters
from elks_mcp.sending.worklist import SOON, Worklist
from elks_mcp.store import Idle

if TYPE_CHECKING:
    from elks_mcp.store.store import Store

_MOST = 2 * MOST_CLAIMED
"""Requests under way at the same time, at most."""


class Posts:
    """Requests under way, each in a task of its own.

    The tasks belong to the worker, never to a caller: cancelling a caller cancels only its wait.
    """

    def __init__(
        self,
        attempts: Attempts,
        waiters: OrderWaiters,
        worklist: Worklist,
        checks: DraftChecks,
        clock: Clock,
        options: OutboxOptions,
    ) -> None:
        self._attempts = attempts
        self._waiters = waiters
        self._worklist = worklist
        self._checks = checks
        self._clock = clock
        self._options = options
        self._free = anyio.Semaphore(_MOST)
        self._tasks: TaskGroup
        """Set while the worker runs."""

        self._is_open = False
        """Whether callers may reserve a request."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Accept requests; at the end wait for those under way."""
        async with anyio.create_task_group() as tasks:
            self._tasks, self._is_open = tasks, True
            yield

    def close(self) -> None:
        """Refuse further reservations; the worker can still send the orders it has claimed."""
        self._is_open = False

    def try_reserve(self) -> bool:
        """Reserve a request for a caller; return False if none is free or the worker does not run."""
        if not self._is_open:
            return False
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            return False
        return True

    def release(self) -> None:
        """Give back a reserved request that is not needed."""
        self._free.release()

    def start(self, store: "Store", claim: Claim, deadline: Deadline) -> None:
        """Begin to send a claimed order with a request that was reserved for it.

        `deadline`: when the request must have begun.
        """
        self._tasks.start_soon(self._send, store, claim, deadline)

    async def send_due(self, store: "Store", queued: int) -> Idle | int:
        """Claim and send up to `queued` orders, for at most a second.

        Returns:
            How many are left; or why none can be claimed now.
        """
        until = self._clock.now() + SOON
        while queued > 0 and self._clock.now() < until:
            step = await self._send_next(store, queued)
            if isinstance(step, Idle):
                return step
            queued -= step
        return queued

    async def end_pause(self, store: "Store", idle: Idle) -> bool:
        """Notify waiting callers of a pause, and probe 46elks once the pause's time is up.

        Returns:
            Whether 46elks was probed, so that the store has to be looked at again.
        """
        if not idle.pause:
            return False
        self._waiters.notify_all()
        if idle.wait:
            return False
        await self._attempts.probe(store, idle.pause)
        return True

    async def _send_next(self, store: "Store", queued: int) -> Idle | int:
        """Claim the next orders and begin to send them; return how many, or why none."""
        wanted = min(queued, self._options.claim_size)
        reserved = 0
        step: list[Claim] | Idle = []
        try:
            while reserved < wanted:  # all of them: claiming one order takes as long as claiming several
                await self._free.acquire()
                reserved += 1
            with anyio.CancelScope(shield=True):  # a claimed order is sent, even if the worker is stopped now
                deadline = Deadline(self._clock, LEASE_SPARE)  # begins before the lease, so it ends before it
                step = await store.queue.claim(
                    self._options.pace,
                    self._checks.recheck_last,
                    most=wanted,
                    only=self._worklist.claimable,
                )
                for claim in [] if isinstance(step, Idle) else step:
                    self._worklist.handed_over.discard(claim.order_id)
                    self.start(store, claim, deadline)
        finally:
            for _ in range(reserved if isinstance(step, Idle) else reserved - len(step)):
                self._free.release()
        return step if isinstance(step, Idle) else len(step)

    async def _send(self, store: "Store", claim: Claim, deadline: Deadline) -> None:
        """Send a claimed order and record the outcome; stopping the worker does not cancel this."""
        order: Order | None = None
        with anyio.CancelScope(shield=True):
            try:
                order = await self._attempts.send(store, claim, deadline)
            finally:
                self._free.release()
                self._waiters.notify(claim.order_id, order)
                if order is None or order.state is not OrderState.SENT or order.kind == CALL:
                    self._worklist.wake()
                else:
                    self._worklist.own.discard(claim.order_id)
