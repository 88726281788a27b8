"""The state of one sandbox, and the events that change it as time passes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

import anyio
import httpx2

from elks_mcp.sandbox.account import SandboxAccount, SandboxNumber
from elks_mcp.sandbox.clock import SimulatedClock, first_of
from elks_mcp.sandbox.event_queue import EventQueue
from elks_mcp.sandbox.faults import Faults
from elks_mcp.sandbox.network import Network, Step
from elks_mcp.sandbox.prices_and_rules import Rules
from elks_mcp.sandbox.requests import ApiRequest
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
        self._first_balance = account.balance
        self._changed = anyio.Event()
        self._settling = anyio.Lock()
        self._steps: EventQueue[Step] = EventQueue(self._wake)
        self.webhooks = Webhooks(rules, webhook_transport, EventQueue(self._wake), webhook_ports)
        self.network = Network(rules, account, own, self._steps, self.webhooks)
        self.faults = Faults()
        self.requests: list[ApiRequest] = []
        self.closing = anyio.Event()

    def catch_up(self) -> None:
        """Carry out all due events except webhooks."""
        while self._steps.is_due(self.clock.now()):
            at, step = self._steps.pop()
            step(at)

    async def settle(self) -> None:
        """Carry out all due events in order, including webhooks and their retries."""
        async with self._settling:
            while True:
                now, posts = self.clock.now(), self.webhooks.queue
                if self._steps.is_due(now) and not posts.is_due(self._steps.next_at or now):
                    at, step = self._steps.pop()
                    step(at)
                elif posts.is_due(now):
                    await self.webhooks.deliver_next()
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

    def release(self) -> None:
        """Drop the connection of every hanging request, as a server that shuts down does."""
        closing, self.closing = self.closing, anyio.Event()
        closing.set()

    def reset(self) -> None:
        """Return to the initial state, including the balance; only the time stays."""
        self.network.clear()
        self.webhooks.clear()
        self.faults.clear()
        self.requests.clear()
        self.account.charges.clear()
        self.account.balance = self._first_balance
        self.own.sms_url, self.own.sms_replies, self.own.name = "", True, ""
        self.release()

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
