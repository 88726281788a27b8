"""The worker that hands queued orders to 46elks, one POST each.

    queued ──claim──→ sending ──POST──┬→ sent
      ↑                               ├→ rejected   46elks said no
      ├───────────────────────────────┼→ queued     surely not accepted: no connection, 429, no money
      │                               └→ in doubt   time-out, 5xx, cut connection, or we died
      │   in doubt ─┬→ sent      history holds exactly this message, or a delivery report names our order
      └─────────────┼→ queued    absent from history twice, after the quiet period
                    └→ unknown   ambiguous, or too long in doubt: a person decides

Where an order stands is in the store, which several processes share; who works on what, is too. The
POST runs in the worker's task, never in the caller's: who hangs up cancels only the wait.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self
from weakref import WeakValueDictionary

import anyio
from anyio.abc import TaskGroup

from elks_mcp.api import Api
from elks_mcp.client import ElksClient
from elks_mcp.clock import Clock, Deadline
from elks_mcp.dispatch import Dispatcher
from elks_mcp.errors import (
    ElksError,
    NoAnswer,
    OutOfFunds,
    ProviderError,
    StateUnavailable,
    Throttled,
    TooLate,
    Unauthorized,
    Unreachable,
)
from elks_mcp.models import Claim, Message, Order, OrderState
from elks_mcp.orders import Orders
from elks_mcp.reconcile import SKEW
from elks_mcp.store import Idle, Outlook, Pace, PauseReason, Prospect, Storage

if TYPE_CHECKING:
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)

LEASE_SPARE = timedelta(seconds=5)
"""What a lease lasts longer than one request: in this time the request must have begun."""

_WINDOW = timedelta(seconds=60.06)
"""A minute and a thousandth: N texts spread over it are never more than N in any minute."""

_FIRST_LOOK = timedelta(seconds=1)
"""After the start; until then the client asks for the tools."""

_SOONEST, _SOON, _LATER = timedelta(milliseconds=50), timedelta(seconds=1), timedelta(seconds=15)
"""Between two looks at the store: at least; while a person is asked; and where nothing is known to come."""

_NEWS_AT_LEAST_EVERY = timedelta(milliseconds=250)
"""Another process may be sending what we wait for."""

_BETWEEN_TIDYING = timedelta(hours=1)

_AT_ONCE = 32
"""Requests under way."""

_CLAIMED_AT_ONCE = 8
"""In one transaction, where the pace allows. After a crash, all of them have to be looked for in history."""

_AHEAD = timedelta(milliseconds=20)
"""How early a slot of the pace is taken, so that a fast pace takes several at once."""

_TROUBLES = 5
"""So many texts in a row without an answer, and 46elks is asked something free before the next."""

_AFTER_429 = timedelta(minutes=1)
_AT_LEAST = timedelta(seconds=1)
"""The shortest wait after a 429: `Retry-After: 0` is no leave to hammer."""

_AFTER_NO_CONNECTION, _LONGEST_WITHOUT = timedelta(seconds=5), timedelta(seconds=60)
_BETWEEN_PROBES = timedelta(seconds=30)
_TRIES_TO_PUT_DOWN = 5


@dataclass(frozen=True, slots=True)
class Habits:
    """How an outbox works."""

    per_minute: int
    """Texts (1–100,000)."""

    timeout: timedelta
    """What one request may take."""

    quiet: timedelta
    """How long after an attempt a text may still turn up in history (0 or more)."""

    only_own: bool = False
    """Send only what is handed over here: in a dry run a person lets single texts out, never the queue."""

    look: Callable[[], Awaitable[None]] | None = None
    """Reads who said STOP, unless that was done just now; fails where it cannot, and then nothing is sent."""

    report_to: Callable[[str], Awaitable[str]] | None = None
    """Makes the address for the delivery report of an order, by its number."""

    @property
    def pace(self) -> Pace:
        """How often, and for how long at most, we may be sending."""
        return Pace(gap=_WINDOW / self.per_minute, lease=self.timeout + LEASE_SPARE, ahead=_AHEAD)


class Outbox:
    """Sends what is queued for one account, in order and at the pace agreed, and finds out how it went."""

    def __init__(
        self,
        client: ElksClient,
        storage: Storage,
        dispatcher: Dispatcher,
        orders: Orders,
        clock: Clock,
        habits: Habits,
    ) -> None:
        self._client = client
        self._storage = storage
        self._dispatcher = dispatcher
        self._orders = orders
        self._clock = clock
        self._habits = habits
        self._own: set[str] = set()
        self._look_at = clock.now()
        """When to look next at what there is to do; what is handed over does not wait for that."""
        self._handed_over = 0
        self._fresh: set[str] = set()
        """Handed over, and nothing became of them here since: nobody need look up how they stand."""
        self._woken = anyio.Event()
        self._under_way = anyio.Semaphore(_AT_ONCE)
        self._is_clearing = False
        self._tidied_at = clock.now()
        self._failures = 0
        """Texts in a row that 46elks did not answer; of the unreached and of the unanswered alike."""
        self._news: WeakValueDictionary[str, News] = WeakValueDictionary()
        """Who waits for an order's news holds them; with the last of them they go."""

    @classmethod
    def over(
        cls, api: Api, client: ElksClient, storage: Storage, orders: Orders, clock: Clock, habits: Habits
    ) -> Self:
        """Make one that sends through `api`. Nobody else need know what opens the money door."""
        return cls(client, storage, Dispatcher(api, habits.report_to), orders, clock, habits)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the worker. At the end what is under way is finished; what waits stays queued."""
        failure: Exception | None = None
        async with anyio.create_task_group() as posts, anyio.create_task_group() as worker:
            worker.start_soon(self._work, posts, worker)
            try:
                yield
            except Exception as error:  # noqa: BLE001  (raised again outside, where no group wraps it)
                failure = error
            worker.cancel_scope.cancel()
        if failure:
            raise failure

    def hand_over(self, order: Order) -> None:
        """Say that there is something to send."""
        self._own.add(order.id)
        self._fresh.add(order.id)
        self._handed_over += 1
        self._woken.set()

    def wake(self) -> None:
        """Say that something changed; for instance, that an order waits for a person, who may be quick."""
        self._look_at = self._clock.now()
        self._woken.set()

    async def wait(self, order: Order, within: timedelta) -> Order:
        """Wait until an order is settled or put off, or the time is up; return how it stands."""
        deadline, news = self._clock.now() + within, self._listen(order.id)
        store = await self._storage.open()
        if order.id not in self._fresh:
            order = await store.book.get(order.id)
        while order.is_moving and (now := self._clock.now()) < deadline:
            await self._clock.wait_for(news.came.wait(), until=min(deadline, now + _NEWS_AT_LEAST_EVERY))
            told, news = news.order, self._listen(order.id)
            order = told or await store.book.get(order.id)
            if order.state is OrderState.QUEUED and await store.queue.find_pause():
                break
        self._fresh.discard(order.id)
        return order

    async def foresee(self, order: Order) -> Prospect | None:
        """Say when an order may go out; None where it is not queued."""
        if order.state is not OrderState.QUEUED:
            return None
        return await (await self._storage.open()).queue.foresee(order.id, self._habits.pace)

    # ── the worker ──

    async def _work(self, posts: TaskGroup, readers: TaskGroup) -> None:
        """Work for as long as we run. Posts are finished at the end; reading history is broken off."""
        await self._wait_for_work()
        while True:
            # Listening comes before looking, here too.
            self._woken = anyio.Event()
            try:
                wait = await self._turn(posts, readers)
            except ElksError as error:
                log.error("the outbox cannot work for now: %s", error)  # noqa: TRY400  (its words are enough)
                wait = _LATER
            except Exception:
                log.exception("the outbox has a fault of its own")
                wait = _LATER
            if wait:
                await self._clock.wait_for(self._woken.wait(), until=self._clock.now() + wait)

    async def _wait_for_work(self) -> None:
        """Wait until something was handed over, or until a look finds what was left unfinished."""
        wait = _FIRST_LOOK
        while not self._woken.is_set():
            await self._clock.wait_for(self._woken.wait(), until=self._clock.now() + wait)
            if await self._storage.has_unfinished():
                if not self._habits.only_own:
                    return
                await self._storage.open()  # which tidies up what nobody needs any more, and sends nothing
            wait = _LATER

    async def _turn(self, posts: TaskGroup, readers: TaskGroup) -> timedelta:
        """Do what is overdue and send the text whose turn it is; say how long there is nothing to do."""
        store = await self._storage.open()
        handed_over, self._handed_over = self._handed_over, 0
        left = await self._send_due(store, posts, handed_over)  # STOP was looked for just now
        rest = self._look_at - self._clock.now()
        if left == 0 and timedelta() < rest <= _LATER:  # longer only where the clock was put back
            return rest
        self._look_at = (
            self._clock.now() + _LATER
        )  # before looking: who wakes us from here on brings it forward
        outlook = await store.queue.look()
        wait = await self._catch_up(store, outlook, readers)
        left = await self._send_due(store, posts, outlook.queued)
        if isinstance(left, Idle):
            wait = await self._rest(store, left, wait)
        elif left:
            wait = timedelta()
        self._look_at = min(self._look_at, self._clock.now() + wait)
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

    async def _rest(self, store: "Store", idle: Idle, wait: timedelta) -> timedelta:
        """Say how long there is nothing to do, where nothing can be claimed."""
        if idle.pause:
            self._announce_pause()
            if not idle.wait:
                await self._probe(store, idle.pause)
                return timedelta()
        # With no time to wait, and nothing claimed, somebody else is at it just now.
        return wait if idle.wait is None else min(wait, idle.wait or _SOONEST)

    async def _send_next(self, store: "Store", posts: TaskGroup, queued: int) -> Idle | int:
        """Claim the orders whose turn it is and begin to send them, and say how many; or why none."""
        most = await self._reserve(min(queued, _CLAIMED_AT_ONCE))
        step: list[Claim] | Idle = []
        try:
            with anyio.CancelScope(shield=True):  # what is claimed is sent, even if we are stopped just now
                deadline = Deadline(self._clock, LEASE_SPARE)  # begins before the lease, so it ends before
                only = self._own if self._habits.only_own else None
                pace, check = self._habits.pace, self._orders.recheck_last
                step = await store.queue.claim(pace, check, most=most, only=only)
                for claim in [] if isinstance(step, Idle) else step:
                    posts.start_soon(self._send, store, claim, deadline)
        finally:
            for _ in range(most if isinstance(step, Idle) else most - len(step)):
                self._under_way.release()
        return step if isinstance(step, Idle) else len(step)

    async def _reserve(self, wanted: int) -> int:
        """Reserve requests: one, as soon as there is one, and more where they are free."""
        await self._under_way.acquire()
        for reserved in range(1, wanted):
            try:
                self._under_way.acquire_nowait()
            except anyio.WouldBlock:
                return reserved
        return wanted

    async def _catch_up(self, store: "Store", outlook: Outlook, readers: TaskGroup) -> timedelta:
        """See to what is overdue; say when to look again."""
        if self._clock.now() - self._tidied_at >= _BETWEEN_TIDYING:
            self._tidied_at = self._clock.now()
            await store.upkeep.tidy()
        if outlook.lapsed:
            await store.queue.lapse()
        if outlook.doubtful and not self._is_clearing:
            self._is_clearing = True
            readers.start_soon(self._clear_doubts, store)
        if (outlook.approved or outlook.queued) and self._habits.look:
            await self._habits.look()  # what waited may have been answered with STOP meanwhile
        if outlook.approved and not self._habits.only_own:
            await store.book.release_approved(self._orders.recheck)
        if outlook.waiting or self._is_clearing:
            return _SOON
        return _LATER if outlook.again_in is None else min(max(outlook.again_in, _SOONEST), _LATER)

    # ── sending ──

    async def _send(self, store: "Store", claim: Claim, deadline: Deadline) -> None:
        """Post, and put down what came of it. A POST that has begun is never cut off from here."""
        order: Order | None = None
        with anyio.CancelScope(shield=True):
            try:
                order = await self._put_down(await self._post(store, claim, deadline))
            finally:
                self._under_way.release()
                self._announce(claim.order_id, order)
                if order is None or order.state is not OrderState.SENT:
                    self.wake()

    async def _post(self, store: "Store", claim: Claim, deadline: Deadline) -> "PutDown":
        """Post, if we still may; return what has to be put down."""
        queue = store.queue
        try:
            await self._clock.sleep_until(self._clock.now() + claim.wait)
            if not await queue.may_send(claim):
                return lambda: queue.withdraw(claim)
            receipt = await self._dispatcher.send(claim, still=lambda: not deadline.has_passed)
        except (StateUnavailable, TooLate):
            return lambda: queue.withdraw(claim)
        except ProviderError as error:
            return self._what_failed(store, claim, error)
        except Exception:
            log.exception("a send ended in a bug; nobody knows whether it went out")
            return lambda: queue.settle_doubt(claim, "This server has a fault of its own.")
        self._failures = 0
        return lambda: queue.settle_sent(claim, receipt)

    def _what_failed(self, store: "Store", claim: Claim, error: ProviderError) -> "PutDown":
        """Say what an error means for the order, and for those behind it."""
        queue = store.queue
        if isinstance(error, NoAnswer):
            self._failures += 1
            return lambda: self._doubt(store, claim, str(error))
        if pause := self._pause_after(error):
            return lambda: queue.put_back(claim, str(error), *pause)
        self._failures = 0
        return lambda: queue.settle_rejected(claim, error.explain())

    def _pause_after(self, error: ProviderError) -> tuple[PauseReason, timedelta] | None:
        """Say how long nothing is sent, where 46elks surely took nothing in and may later."""
        match error:
            case Throttled():
                asked = _AFTER_429 if error.retry_after is None else error.retry_after
                return PauseReason.THROTTLED, max(asked, _AT_LEAST)
            case Unreachable():
                self._failures += 1
                wait = _AFTER_NO_CONNECTION * 2 ** min(self._failures - 1, _TROUBLES)
                return PauseReason.UNREACHABLE, min(wait, _LONGEST_WITHOUT)
            case Unauthorized():
                return PauseReason.CREDENTIALS, _BETWEEN_PROBES
            case OutOfFunds():
                return PauseReason.NO_FUNDS, _BETWEEN_PROBES
        return None

    async def _doubt(self, store: "Store", claim: Claim, fault: str) -> Order | None:
        order = await store.queue.settle_doubt(claim, fault)
        if self._failures >= _TROUBLES:
            await store.queue.pause(PauseReason.TROUBLE, _BETWEEN_PROBES)
        return order

    async def _put_down(self, write: "PutDown") -> Order | None:
        """Put down what happened; where that cannot be done the lease runs out, and history will tell."""
        for _ in range(_TRIES_TO_PUT_DOWN):
            try:
                return await write()
            except StateUnavailable as error:
                log.error("what became of a text cannot be put down: %s", error)  # noqa: TRY400
                await self._clock.sleep_until(self._clock.now() + _SOON)
        return None

    # ── finding out ──

    async def _probe(self, store: "Store", reason: PauseReason) -> None:
        """Ask 46elks something free, before anything paid is tried again after a pause."""
        try:
            account = await self._client.get_account()
            mended = reason is not PauseReason.NO_FUNDS or account.balance.units > 0
        except (Unauthorized, NoAnswer, Unreachable, Throttled):
            mended = False
        except ProviderError:
            mended = True  # it answers, and may only not tell us; the next text will show
        if mended:
            self._failures = 0
            await store.queue.resume()
        else:
            await store.queue.pause(reason, _BETWEEN_PROBES)

    async def _clear_doubts(self, store: "Store") -> None:
        """Read in history what became of the orders in doubt."""
        try:
            read_at, since = await store.doubts.find_due()
            if since is not None:
                history = await self._read_history(since)
                found = await store.doubts.conclude(
                    history, read_at=read_at, quiet=self._habits.quiet, skew=self._client.skew
                )
                for order_id in found:
                    self._announce(order_id)
            self.wake()
        except ElksError as error:
            log.error("orders in doubt cannot be looked into for now: %s", error)  # noqa: TRY400
        finally:
            self._is_clearing = False

    async def _read_history(self, since: datetime) -> tuple[Message, ...] | None:
        """Read all that was sent since; None where that cannot be read whole."""
        try:
            listing = await self._client.list_since(since + self._client.skew - SKEW)
        except ProviderError:
            return None
        return listing.messages if listing.complete else None

    def _listen(self, order_id: str) -> "News":
        """Listen for news of an order. This comes before looking, so that nothing happens unheard."""
        return self._news.setdefault(order_id, News())

    def _announce(self, order_id: str, order: Order | None = None) -> None:
        self._fresh.discard(order_id)
        if news := self._news.pop(order_id, None):
            news.order = order
            news.came.set()

    def _announce_pause(self) -> None:
        for order_id in list(self._news):
            self._announce(order_id)


class News:
    """What somebody waits to hear of an order."""

    def __init__(self) -> None:
        self.came = anyio.Event()
        self.order: Order | None = None
        """How it stands now; None where that has to be looked up."""


PutDown = Callable[[], Awaitable[Order | None]]
