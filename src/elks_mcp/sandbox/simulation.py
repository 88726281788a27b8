"""The state of one sandbox, and the events that change it as time passes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

import anyio
import httpx2

from elks_mcp.sandbox.account import SandboxAccount, SandboxNumber, SandboxNumbers, has_credentials
from elks_mcp.sandbox.clock import SimulatedClock, first_of
from elks_mcp.sandbox.event_queue import EventQueue
from elks_mcp.sandbox.faults import Faults
from elks_mcp.sandbox.network import Network, Step
from elks_mcp.sandbox.prices_and_rules import Rules
from elks_mcp.sandbox.requests import ApiRequest, RecentRequests
from elks_mcp.sandbox.subaccounts import SandboxSubaccounts
from elks_mcp.sandbox.voice.exchange import Exchange
from elks_mcp.sandbox.webhooks import Webhooks


class Simulation:
    """The state of a sandbox, independent of HTTP.

    Due events happen when the state is read (`catch_up`), so that answers are right without a running task.
    Webhooks take time, so they are sent only by `settle`, which `running` calls.
    """

    def __init__(
        self,
        *,
        clock: SimulatedClock,
        rules: Rules,
        account: SandboxAccount,
        own: SandboxNumber,
        webhook_transport: httpx2.AsyncBaseTransport | None = None,
        webhook_ports: set[int],
    ) -> None:
        self.clock, self.rules, self.account, self.own = clock, rules, account, own
        self.numbers, self.subaccounts = SandboxNumbers(own), SandboxSubaccounts()
        self._first_balance = account.balance
        self._changed = anyio.Event()
        self._settling = anyio.Lock()
        self._steps: EventQueue[Step] = EventQueue(self._wake)
        self.webhooks = Webhooks(rules, webhook_transport, EventQueue(self._wake), webhook_ports)
        self.network = Network(rules, account, self.numbers, self._steps, self.webhooks)
        self.exchange = Exchange(
            account,
            self.subaccounts,
            self._steps,
            self.webhooks,
            lambda number: self.network.handset(number).calls,
        )
        self.faults = Faults()
        self.requests: list[ApiRequest] = []
        self.recent_requests = RecentRequests()
        self.update = anyio.Event()
        """Set, and replaced, when something changes that a page shows."""
        self.closing = anyio.Event()
        """Set, and replaced, to drop the connection of every hanging request."""
        self.ending = anyio.Event()
        """Set, and replaced, to end the event stream of every open page."""

    def find_caller(self, header: str) -> str | None:
        """Return whose credentials an `Authorization` header has, or None if they are wrong.

        It is the id of a subaccount, or "" for the account itself.
        """
        if self.account.authorizes(header):
            return ""
        active = (each for each in self.subaccounts if each.is_active)
        return next((each.id for each in active if has_credentials(header, each.id, each.secret)), None)

    def catch_up(self) -> None:
        """Carry out all due events except webhooks."""
        while self._steps.is_due(self.clock.now()):
            at, step = self._steps.pop()
            step(at)
            self.notify()

    async def settle(self) -> None:
        """Carry out all due events in order, including webhooks and their retries."""
        async with self._settling:
            while True:
                now, posts = self.clock.now(), self.webhooks.queue
                if self._steps.is_due(now) and not posts.is_due(self._steps.next_at or now):
                    at, step = self._steps.pop()
                    step(at)
                    self.notify()
                elif posts.is_due(now):
                    await self.webhooks.deliver_next()
                    self.notify()
                else:
                    return

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry out events as they become due, while the context lasts."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._drive)
            try:
                yield
            finally:
                self.release()
                group.cancel_scope.cancel()

    def record(self, request: ApiRequest) -> None:
        """Record a request that reached the API."""
        self.requests.append(request)
        self.recent_requests.add(request)
        self.notify()

    def notify(self) -> None:
        """Wake the event streams of all open pages."""
        update, self.update = self.update, anyio.Event()
        update.set()

    def bring_forward(self, step: timedelta) -> None:
        """Make every event that is due within `step` happen now, and later ones earlier by `step`."""
        for queue in (self._steps, self.webhooks.queue):
            queue.bring_forward(step, self.clock.now())

    def release(self) -> None:
        """Drop the connection of every hanging request and page, as a server that shuts down does."""
        self._drop_hanging()
        ending, self.ending = self.ending, anyio.Event()
        ending.set()

    def reset(self) -> None:
        """Return to the initial state, including the balance; only the time stays."""
        self.network.clear()
        self.exchange.clear()
        self.webhooks.clear()
        self.faults.clear()
        self.requests.clear()
        self.recent_requests.clear()
        self.account.charges.clear()
        self.account.balance = self._first_balance
        self.numbers.reset()
        self.subaccounts.clear()
        self._drop_hanging()
        self.notify()

    def _drop_hanging(self) -> None:
        closing, self.closing = self.closing, anyio.Event()
        closing.set()

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    @property
    def _next_at(self) -> datetime | None:
        times = [at for at in (self._steps.next_at, self.webhooks.queue.next_at) if at]
        return min(times, default=None)

    async def _drive(self) -> None:
        while True:
            changed = self._changed
            await self.settle()
            due = self._next_at
            if due is None:
                await changed.wait()
            elif due > self.clock.now():
                await first_of(changed.wait, partial(self.clock.wait_until, due))
