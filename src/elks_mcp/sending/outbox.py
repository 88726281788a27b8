"""Place approved orders, have the worker send them, and wait for the outcome."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Self

import anyio

from elks_mcp.domain.orders import Approval, Approver, Finding, Order, OrderState
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.dispatch import Dispatcher, PostForm
from elks_mcp.runtime.clock import Clock, Deadline
from elks_mcp.sending.attempt import Attempts
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.sending.due_tasks import DueTasks
from elks_mcp.sending.options import LEASE_SPARE, OutboxOptions
from elks_mcp.sending.orders import Orders
from elks_mcp.sending.request_pool import Posts
from elks_mcp.sending.waiters import OrderWaiters
from elks_mcp.sending.worker import Worker
from elks_mcp.sending.worklist import Worklist
from elks_mcp.store import Pace, Placed, QueueEstimate, Storage


class Outbox:
    """The orders of one 46elks account on their way out: the oldest first, at the agreed pace."""

    def __init__(
        self,
        client: ElksClient,
        storage: Storage,
        dispatcher: Dispatcher,
        checks: DraftChecks,
        clock: Clock,
        options: OutboxOptions,
    ) -> None:
        self._storage = storage
        self._checks = checks
        self._clock = clock
        self._options = options
        self._waiters = waiters = OrderWaiters(storage, clock)
        self._worklist = worklist = Worklist(clock, only_own=options.only_own)
        attempts = Attempts(client, dispatcher, clock)
        self._posts = Posts(attempts, waiters, worklist, checks, clock, options)
        due_tasks = DueTasks(client, checks, clock, options, waiters, worklist)
        self.batch_starts = due_tasks.batch_starts
        """Starts and resumes batches."""
        self._worker = Worker(storage, self._posts, due_tasks, worklist, clock, only_own=options.only_own)
        self.heartbeat = self._worker.heartbeat
        """Shows other processes that this one sends; kept all the time by a long-running server only."""

    @classmethod
    def over(
        cls,
        post: PostForm,
        client: ElksClient,
        storage: Storage,
        checks: DraftChecks,
        clock: Clock,
        options: OutboxOptions,
    ) -> Self:
        """Return an outbox that sends by `post`, so that no other package needs the dispatcher."""
        dispatcher = Dispatcher(post, options.find_callbacks, hides=options.hides)
        timed = replace(options, find_provider_now=client.provider_clock.find_now)
        return cls(client, storage, dispatcher, checks, clock, timed)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the worker. At the end, requests under way are finished and the queue stays as it is.

        If no other process is left that sends, the batches under way are paused.
        """
        async with self._worker.running():
            yield

    @property
    def pace(self) -> Pace:
        """How often a text may be sent."""
        return self._options.pace

    @property
    def looked_at(self) -> datetime:
        """When the worker last looked for something to do; it does so several times a minute."""
        return self._worker.looked_at

    # ── placing ──

    async def place(self, approval: Approval, orders: Orders) -> Placed:
        """Place a caller's order: to be sent when it is due, or to wait for a person.

        Read the recipient's latest texts before, since an opt-out among them must count. If the order can go
        out now, one transaction places and claims it. Cancelling the caller cannot leave an order that is
        never sent.

        Raises:
            InvalidInput, Refused, NotApproved: as `Orders.place` does.
        """
        with anyio.CancelScope(shield=True):
            if approval.approver is not Approver.POLICY:
                placed = await orders.place(approval)
                self.wake()  # to notice the approval early: a person may be quick
            elif self._options.only_own or not self._posts.try_reserve():
                placed = await orders.place(approval)
            else:
                placed = await self._place_and_send(approval, orders)
            if placed.order.state is OrderState.SCHEDULED:
                self.wake()  # it may be the next that is due
            elif approval.approver is Approver.POLICY and not placed.is_repeat and placed.claim is None:
                self.hand_over(placed.order)
        return placed

    async def approve(self, order: Order) -> Placed:
        """Release a waiting order that a person approved, so that it is sent when it is due.

        The recipient's latest texts are read first: a person takes minutes, and the recipient may opt out
        meanwhile. Cancelling the caller cannot leave an order that is never sent.

        Returns:
            The released order; a repeat if it was released before. Its state tells if it expired, or was
            cancelled because a guard refused it by now.

        Raises:
            ProviderError: history cannot be read, so an opt-out may have been missed.
        """
        with anyio.CancelScope(shield=True):
            if self._options.refresh_history:
                await self._options.refresh_history()
            store = await self._storage.open()
            placed = await store.orders.approve(order.id, self._checks.recheck)
            if placed.order.state is OrderState.SCHEDULED:
                self.wake()
            elif not placed.is_repeat:
                self.hand_over(placed.order)
        return placed

    async def cancel(self, order: Order, why: str) -> Order:
        """Cancel an order for good, if no process may have begun to hand it over.

        Cancelling the caller cannot leave the outcome open.

        Returns:
            The order, whose state shows whether it was cancelled.
        """
        with anyio.CancelScope(shield=True):
            store = await self._storage.open()
            ended = await store.cancellations.cancel(order.id, why)
            self._waiters.notify(order.id, ended)
        return ended

    async def pause(self, order: Order, reason: Finding) -> Order | None:
        """Let an order that has not left wait for a person, and return it in its new state.

        Return None if a person approved it, so that it is sent as planned.

        Raises:
            Refused: too many orders of its caller wait for a person.
        """
        with anyio.CancelScope(shield=True):
            store = await self._storage.open()
            waiting = await store.cancellations.pause(order.id, reason)
            if waiting:
                self._waiters.notify(order.id, waiting)
            self.wake()  # to notice the approval early: a person may be quick
        return waiting

    async def _place_and_send(self, approval: Approval, orders: Orders) -> Placed:
        """Place an order with a request reserved for it, and send it now if it is due."""
        placed: Placed | None = None
        try:
            store = await self._storage.open()
            deadline = Deadline(self._clock, LEASE_SPARE)  # begins before the lease, so it ends before it
            placed = await orders.place(approval, self._options.pace)
            if placed.claim:
                self._waiters.expect(placed.order.id)
                self._posts.start(store, placed.claim, deadline)
            return placed
        finally:
            if placed is None or placed.claim is None:
                self._posts.release()

    def hand_over(self, order: Order) -> None:
        """Give the worker an order to send, whose recipient's latest texts were just read."""
        self._waiters.expect(order.id)
        self._worklist.hand_over(order.id)

    def wake(self, *, sends_batch: bool = False) -> None:
        """Make the worker check the store now, because something in it changed.

        `sends_batch`: a batch was started or resumed.
        """
        self.heartbeat.sends_batch |= sends_batch
        self._worklist.wake()

    # ── waiting ──

    async def wait(self, order: Order, within: timedelta) -> Order:
        """Wait until an order is settled or put off, or the time is up; return its state then."""
        return await self._waiters.wait(order, within)

    async def estimate(self, order: Order) -> QueueEstimate | None:
        """Return when an order may go out; None if it is not queued."""
        if order.state is not OrderState.QUEUED:
            return None
        store = await self._storage.open()
        return await store.orders.estimate(order.id, self._options.pace)
