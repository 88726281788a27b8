"""One sandbox's whole state, and its time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

import anyio
import httpx2

from elks_mcp.sandbox.account import SandboxAccount, SandboxNumber
from elks_mcp.sandbox.agenda import Agenda
from elks_mcp.sandbox.clock import SimulatedClock, first_of
from elks_mcp.sandbox.faults import Faults
from elks_mcp.sandbox.network import Network, Step
from elks_mcp.sandbox.provider import Rules
from elks_mcp.sandbox.requests import ApiRequest
from elks_mcp.sandbox.webhooks import Webhooks


class World:
    """Everything there is in a sandbox, and nothing of how it is reached.

    What is due happens when somebody looks (``catch_up``), so the answers are right with no task running.
    Webhooks are the exception, for they take time: they go out in ``settle``, which ``running`` calls.
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
        self._steps: Agenda[Step] = Agenda(self._wake)
        self.webhooks = Webhooks(rules, webhook_transport, Agenda(self._wake), webhook_ports)
        self.network = Network(rules, account, own, self._steps, self.webhooks)
        self.faults = Faults()
        self.requests: list[ApiRequest] = []
        self.closing = anyio.Event()

    def catch_up(self) -> None:
        """Let everything happen that is due by the clock, webhooks apart."""
        while self._steps.is_due(self.clock.now()):
            at, step = self._steps.pop()
            step(at)

    async def settle(self) -> None:
        """Let everything happen that is due by the clock, in order, webhooks and their retries included."""
        async with self._settling:
            while True:
                now, posts = self.clock.now(), self.webhooks.agenda
                if self._steps.is_due(now) and not posts.is_due(self._steps.next_at or now):
                    at, step = self._steps.pop()
                    step(at)
                elif posts.is_due(now):
                    await self.webhooks.deliver_next()
                else:
                    return

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let things happen by themselves while inside, as the clock goes on."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._drive)
            try:
                yield
            finally:
                self.release()
                group.cancel_scope.cancel()

    def release(self) -> None:
        """Let go of every request that hangs, as a server does that shuts down: its connection is dropped."""
        closing, self.closing = self.closing, anyio.Event()
        closing.set()

    def reset(self) -> None:
        """Go back to how the sandbox began, first balance included; only the time stays."""
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
        times = [at for at in (self._steps.next_at, self.webhooks.agenda.next_at) if at]
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
