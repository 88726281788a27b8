"""The worker: claims orders in turn, has them sent, and sees to what is overdue."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Self

import anyio
from anyio.abc import TaskGroup

from elks_mcp.domain.orders import Approval, Claim, Order, OrderState
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.dispatch import Dispatcher
from elks_mcp.elks.transport import Api
from elks_mcp.errors import ElksError
from elks_mcp.runtime.clock import Clock, Deadline
from elks_mcp.sending.attempt import Attempts
from elks_mcp.sending.doubts import clear_doubts
from elks_mcp.sending.options import LEASE_SPARE, MOST_AT_ONCE, OutboxOptions
from elks_mcp.sending.orders import Orders
from elks_mcp.sending.waiters import OrderWaiters
from elks_mcp.store import DueWork, Idle, Placed, QueueEstimate, Storage

if TYPE_CHECKING:
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)

_FIRST_LOOK = timedelta(seconds=1)
"""After the start; until then the client asks for the tools."""

_SOONEST, _SOON, _LATER = timedelta(milliseconds=50), timedelta(seconds=1), timedelta(seconds=15)
"""Between two looks at the store: at least; while a person is asked; and where nothing is known to come."""

_POLL_INTERVAL = timedelta(milliseconds=250)
"""Another process may be sending what we wait for."""

_BETWEEN_CLEANUPS = timedelta(hours=1)

_AT_ONCE = 2 * MOST_AT_ONCE
"""Requests under way."""


class Outbox:
    """Sends what is queued for one account, in order and at the pace agreed, and finds out how it went."""

    def __init__(
        self,
        client: ElksClient,
        storage: Storage,
        dispatcher: Dispatcher,
        orders: Orders,
        clock: Clock,
        options: OutboxOptions,
    ) -> None:
        self._client = client
        self._storage = storage
        self._attempts = Attempts(client, dispatcher, clock)
        self._orders = orders
        self._clock = clock
        self._options = options
        self._waiters = OrderWaiters()
        self._own: set[str] = set()
        """What was handed over here, where nothing else is sent."""
        self._next_look = clock.now()
        """When to look again at what there is to do; what is handed over does not wait for that."""
        self._handed_over: set[str] = set()
        """Not claimed yet; all of these are in the store."""
        self._woken = anyio.Event()
        self._under_way = anyio.Semaphore(_AT_ONCE)
        self._posts: TaskGroup | None = None
        """Where requests are made, for as long as we run."""
        self._is_clearing = False
        self._delete_expired_at = clock.now()
        self.looked_at = clock.now()
        """When it last saw whether there is something to do; it does several times a minute."""

    @classmethod
    def over(
        cls,
        api: Api,
        client: ElksClient,
        storage: Storage,
        orders: Orders,
        clock: Clock,
        options: OutboxOptions,
    ) -> Self:
        """Make one that sends through `api`. Nobody else need know what opens the money door."""
        return cls(client, storage, Dispatcher(api, options.report_address), orders, clock, options)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the worker. At the end what is under way is finished; what waits stays queued."""
        failure: Exception | None = None
        async with anyio.create_task_group() as posts, anyio.create_task_group() as worker:
            self._posts = posts
            worker.start_soon(self._work, posts, worker)
            try:
                yield
            except Exception as error:  # noqa: BLE001  (raised again outside, where no group wraps it)
                failure = error
            self._posts = None
            worker.cancel_scope.cancel()
        if failure:
            raise failure

    async def place(self, approval: Approval) -> Placed:
        """Place an order, whose recipient was just looked up for a STOP, and send it in its turn.

        If that is now, it is claimed in the same transaction that places it. Who is cut off meanwhile leaves
        no order behind that nobody sends.

        Raises:
            InvalidInput, Refused: as `Orders.place` does.
        """
        with anyio.CancelScope(shield=True):
            posts = None if self._options.only_own else self._posts
            if posts is None or not self._try_reserve():
                placed = await self._orders.place(approval)
            else:
                placed = await self._place_and_send(approval, posts)
        if not placed.is_repeat and placed.claim is None:
            self.hand_over(placed.order)
        return placed

    async def _place_and_send(self, approval: Approval, posts: TaskGroup) -> Placed:
        """Place an order, with a request reserved for it; send it at once, if it is its turn."""
        placed: Placed | None = None
        try:
            store = await self._storage.open()
            deadline = Deadline(self._clock, LEASE_SPARE)  # begins before the lease, so it ends before
            placed = await self._orders.place(approval, self._options.pace)
            if placed.claim:
                self._waiters.expect(placed.order.id)
                posts.start_soon(self._send, store, placed.claim, deadline)
            return placed
        finally:
            if placed is None or placed.claim is None:
                self._under_way.release()

    def hand_over(self, order: Order) -> None:
        """Say that there is something to send, whose recipient was just looked up for a STOP."""
        if self._options.only_own:
            self._own.add(order.id)
        self._waiters.expect(order.id)
        self._handed_over.add(order.id)
        self._woken.set()

    def wake(self) -> None:
        """Say that something changed; for instance, that an order waits for a person, who may be quick."""
        self._next_look = self._clock.now()
        self._woken.set()

    async def wait(self, order: Order, within: timedelta) -> Order:
        """Wait until an order is settled or put off, or the time is up; return how it stands."""
        try:
            return await self._wait(order, within)
        finally:
            self._waiters.forget(order.id)

    async def _wait(self, order: Order, within: timedelta) -> Order:
        deadline, news = self._clock.now() + within, self._waiters.subscribe(order.id)
        store = await self._storage.open()
        if not self._waiters.is_untouched(order.id):
            order = await store.orders.get(order.id)
        while order.is_moving and (now := self._clock.now()) < deadline:
            await self._clock.wait_for(news.arrived.wait(), until=min(deadline, now + _POLL_INTERVAL))
            told, news = news.order, self._waiters.subscribe(order.id)
            order = told or await store.orders.get(order.id)
            if order.state is OrderState.QUEUED and await store.queue.find_pause():
                break
        return order

    async def estimate(self, order: Order) -> QueueEstimate | None:
        """Say when an order may go out; None where it is not queued."""
        if order.state is not OrderState.QUEUED:
            return None
        return await (await self._storage.open()).orders.estimate(order.id, self._options.pace)

    # ── the worker ──

    async def _work(self, posts: TaskGroup, readers: TaskGroup) -> None:
        """Work for as long as we run. Posts are finished at the end; reading history is broken off."""
        await self._wait_for_work()
        while True:
            # Listening comes before looking, here too.
            self._woken = anyio.Event()
            self.looked_at = self._clock.now()
            wait = await self._try_turn(posts, readers)
            if wait:
                await self._clock.wait_for(self._woken.wait(), until=self._clock.now() + wait)

    async def _try_turn(self, posts: TaskGroup, readers: TaskGroup) -> timedelta:
        """Take a turn; after one that failed, whoever wakes us has everything looked at again."""
        try:
            return await self._turn(posts, readers)
        except ElksError as error:
            log.error("the outbox cannot work for now: %s", error)  # noqa: TRY400  (its words are enough)
        except Exception:
            log.exception("the outbox has a fault of its own")
        self._next_look = self._clock.now()
        return _LATER

    async def _wait_for_work(self) -> None:
        """Wait until something was handed over, or until a look finds what was left unfinished."""
        wait = _FIRST_LOOK
        while not self._woken.is_set():
            await self._clock.wait_for(self._woken.wait(), until=self._clock.now() + wait)
            self.looked_at = self._clock.now()
            if await self._storage.has_work():
                if not self._options.only_own:
                    break
                await self._try_delete_expired()
            wait = _LATER
        self._delete_expired_at = self._clock.now() + _BETWEEN_CLEANUPS  # since opening the store does it

    async def _try_delete_expired(self) -> None:
        """Throw away what nobody needs any more, once an hour, where nothing is sent."""
        if self._clock.now() < self._delete_expired_at:
            return
        self._delete_expired_at = self._clock.now() + _BETWEEN_CLEANUPS
        try:
            await (await self._storage.open()).cleanup.delete_expired()
        except ElksError as error:
            log.error("what is remembered cannot be tidied up: %s", error)  # noqa: TRY400

    async def _turn(self, posts: TaskGroup, readers: TaskGroup) -> timedelta:
        """Do what is overdue and send the text whose turn it is; say how long there is nothing to do."""
        store = await self._storage.open()
        left = await self._send_due(store, posts, len(self._handed_over))
        rest = self._next_look - self._clock.now()
        is_done = left == 0 and not self._handed_over  # else others' texts came first
        if is_done and timedelta() < rest <= _LATER:  # longer only where the clock was put back
            return rest
        self._handed_over.clear()
        # Before looking: who wakes us from here on brings it forward.
        self._next_look = self._clock.now() + _LATER
        due = await store.queue.find_due_work()
        wait = await self._catch_up(store, due, readers)
        left = await self._send_due(store, posts, due.queued)
        if isinstance(left, Idle):
            wait = await self._find_wait(store, left, wait)
        elif left:
            wait = timedelta()
        self._next_look = min(self._next_look, self._clock.now() + wait)
        return wait

    async def _send_due(self, store: "Store", posts: TaskGroup, left: int) -> Idle | int:
        """Send so many, or what a second allows, and say how many are left; or why none goes out now."""
        until = self._clock.now() + _SOON
        while left > 0 and self._clock.now() < until:
            step = await self._send_next(store, posts, left)
            if isinstance(step, Idle):
                return step
            left -= step
        return left

    async def _find_wait(self, store: "Store", idle: Idle, wait: timedelta) -> timedelta:
        """Say how long there is nothing to do, where nothing can be claimed."""
        if idle.pause:
            self._waiters.notify_all()
            if not idle.wait:
                await self._attempts.probe(store, idle.pause)
                return timedelta()
        # With no time to wait, and nothing claimed, somebody else is at it just now.
        return wait if idle.wait is None else min(wait, idle.wait or _SOONEST)

    async def _send_next(self, store: "Store", posts: TaskGroup, queued: int) -> Idle | int:
        """Claim the orders whose turn it is and begin to send them, and say how many; or why none."""
        wanted = min(queued, self._options.at_once)
        reserved = 0
        step: list[Claim] | Idle = []
        try:
            while reserved < wanted:  # all of them: a claim takes as long for one as for several
                await self._under_way.acquire()
                reserved += 1
            with anyio.CancelScope(shield=True):  # what is claimed is sent, even if we are stopped just now
                deadline = Deadline(self._clock, LEASE_SPARE)  # begins before the lease, so it ends before
                only = self._own if self._options.only_own else None
                pace, check = self._options.pace, self._orders.recheck_last
                step = await store.queue.claim(pace, check, most=wanted, only=only)
                for claim in [] if isinstance(step, Idle) else step:
                    self._handed_over.discard(claim.order_id)
                    posts.start_soon(self._send, store, claim, deadline)
        finally:
            for _ in range(reserved if isinstance(step, Idle) else reserved - len(step)):
                self._under_way.release()
        return step if isinstance(step, Idle) else len(step)

    def _try_reserve(self) -> bool:
        """Reserve a request, if one is free."""
        try:
            self._under_way.acquire_nowait()
        except anyio.WouldBlock:
            return False
        return True

    async def _catch_up(self, store: "Store", due: DueWork, readers: TaskGroup) -> timedelta:
        """See to what is overdue; say when to look again."""
        if self._clock.now() >= self._delete_expired_at:
            self._delete_expired_at = self._clock.now() + _BETWEEN_CLEANUPS
            await store.cleanup.delete_expired()
        if due.lapsed:
            await store.queue.end_expired_leases()
        if due.doubtful and not self._is_clearing:
            self._is_clearing = True
            readers.start_soon(self._clear_doubts, store)
        if due.overdue:
            await store.orders.expire_waiting()
        lets_go = due.approved and not self._options.only_own
        if (lets_go or due.queued) and self._options.refresh_history:
            await self._options.refresh_history()  # what waited may have been answered with STOP meanwhile
        if lets_go and await store.orders.release_approved(self._orders.recheck):
            self.wake()  # to send what was let go
        if due.waiting or self._is_clearing:
            return _SOON
        return _LATER if due.again_in is None else min(max(due.again_in, _SOONEST), _LATER)

    # ── sending ──

    async def _send(self, store: "Store", claim: Claim, deadline: Deadline) -> None:
        """Post, and put down what came of it. A POST that has begun is never cut off from here."""
        order: Order | None = None
        with anyio.CancelScope(shield=True):
            try:
                order = await self._attempts.send(store, claim, deadline)
            finally:
                self._under_way.release()
                self._waiters.notify(claim.order_id, order)
                if order is None or order.state is not OrderState.SENT:
                    self.wake()
                else:
                    self._own.discard(claim.order_id)

    async def _clear_doubts(self, store: "Store") -> None:
        """Find out what became of the orders in doubt, and tell who waits for them."""
        try:
            for order_id in await clear_doubts(store, self._client, self._options.quiet):
                self._waiters.notify(order_id)
            self.wake()
        except ElksError as error:
            log.error("orders in doubt cannot be looked into for now: %s", error)  # noqa: TRY400
        except Exception:
            log.exception("looking into orders in doubt has a fault of its own")
        finally:
            self._is_clearing = False
