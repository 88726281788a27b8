"""One lane: servers are started, asked for texts, frozen and killed, until all settles."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from tests.support.webhook_cases import tell_number

from crash.agent import Agent
from crash.evidence import Cap, Evidence, Freeze
from crash.front import Front
from crash.pipes import ServerOnPipes
from crash.plan import ANSWERING, PRICE, Plan
from crash.provider import Provider
from crash.replica import Replica, find_free_port
from crash.server import Server
from crash.state import UNFINISHED, State, open_state
from crash.waiting import Waiter
from elks_mcp.settings import load
from elks_mcp.store.storage import find_hasher

_CONCURRENT_CALLS = 5
"""Calls under way to one server."""

_KILLED_AT_START, _OUTAGES, _FREEZES = 0.08, 0.02, 0.07
"""The shares of servers that are killed while they start, that see an outage, and that are frozen."""

_LONG_FREEZES = 0.6
"""The share of freezes that last longer than a lease."""

_ANY_TIME, _A_LITTLE_LATER = 0.35, 0.5
"""The shares of kills at any time, and of the others a little after an event."""

_LONGEST_START, _LONGEST_WAIT = 20.0, 3.0
_IDLE = 0.05

_SETTLING = 300.0


@dataclass
class Lane:
    """One lane, and all that happens in it."""

    plan: Plan
    provider: Provider
    agent: Agent
    state: State
    log: Path
    kills: int = 0
    freezes: list[Freeze] = field(default_factory=list)
    outages: int = 0
    caps: list[Cap] = field(default_factory=list)
    waiters: list[Waiter] = field(default_factory=list)
    _servers: list[Server] = field(default_factory=list)
    """The servers that were started, and not killed yet."""

    _public_port: int = 0
    """The port at which 46elks reaches any running server."""

    _random: Random = field(init=False)
    _is_over: bool = False

    def __post_init__(self) -> None:
        self._random = self.plan.random("lane")

    async def run(self) -> Evidence:
        """Run the lane, and return its results."""
        began = monotonic()
        async with anyio.create_task_group() as group:
            if self.plan.transport == "http":
                await self._let_phones_answer(group)
            async with anyio.create_task_group() as slots:
                for _ in range(self.plan.processes):
                    slots.start_soon(self._kill_again_and_again)
            crashing = monotonic() - began
            self.provider.calm()
            exits = await self._settle()
            group.cancel_scope.cancel()
        await anyio.sleep(self.plan.provider_delay)  # texts that are accepted late count, too
        orders = await anyio.to_thread.run_sync(self.state.read)
        return Evidence(
            plan=self.plan,
            wishes=self.agent.wishes,
            orders=orders,
            waiters=self.waiters,
            box=self.provider.box,
            paid=self.provider.paid,
            caps=self.caps,
            counts={
                "kills": self.kills,
                "freezes": len(self.freezes),
                "outages": self.outages,
                "unanswered": self.agent.unanswered,
            },
            exits=exits,
            traces=[line for line in self.log.read_text("utf-8").splitlines() if "Traceback" in line],
            integrity=await anyio.to_thread.run_sync(self.state.check),
            injected=self.provider.injected,
            lookalikes=frozenset(self.provider.lookalikes),
            freezes=self.freezes,
            crashing_seconds=crashing,
            seconds=monotonic() - began,
        )

    async def _let_phones_answer(self, group: TaskGroup) -> None:
        """Let phones answer waiting callers; webhooks go to any running server."""
        front = Front(self._find_port)
        self._public_port = await group.start(front.run)
        hasher = find_hasher(load(self._environ(0)).settings.state_location())
        secret = hasher.of("secret", "webhook sms", "0")
        await tell_number(self.provider.box, f"{self._public_url}/hooks/{secret}/sms")
        for phone in ANSWERING:
            waiter = Waiter(phone, self.provider.box, self.plan.random(f"waiter {phone}"))
            self.waiters.append(waiter)
            group.start_soon(waiter.run, self._find_server, lambda: self.provider.is_calm)

    @property
    def _public_url(self) -> str:
        return f"http://127.0.0.1:{self._public_port}"

    async def _find_server(self) -> Server:
        """Wait for a server that accepts calls, and return it."""
        while True:
            if ready := self._ready():
                return self._random.choice(ready)
            await anyio.sleep(_IDLE)

    def _find_port(self) -> int:
        """Return the port of a server that accepts webhooks; 0 if none does.

        A proxy with health checks chooses in this way.
        """
        ready = [each for each in self._ready() if isinstance(each, Replica) and not each.is_frozen]
        return self._random.choice(ready).port if ready else 0

    def _ready(self) -> list[Server]:
        return [each for each in self._servers if each.greeted.is_set() and not each.is_gone]

    async def _kill_again_and_again(self) -> None:
        while self.kills < self.plan.kills:
            self.kills += 1
            self.agent.want(self.plan.texts - len(self.agent.todo))
            server = await self._start()
            self._servers.append(server)
            async with server.process, anyio.create_task_group() as life:
                life.start_soon(server.read)
                life.start_soon(self._ask_for_texts, server)
                try:
                    await self._wait_for_its_end(server)
                finally:
                    self._servers.remove(server)
                    server.kill()

    async def _start(self) -> Server:
        """Start a server, with a budget a little larger than that of the one before."""
        amount = self.plan.budget(self.kills)
        self.caps.append(Cap(datetime.now(UTC), amount))
        environ = self._environ(amount)
        if self.plan.transport == "http":
            return await Replica.start(environ, self.log, find_free_port())
        return await ServerOnPipes.start(environ, self.log)

    def _environ(self, budget: int) -> dict[str, str]:
        box, plan = self.provider.box, self.plan
        return {
            "ELKS_API_USERNAME": box.username,
            "ELKS_API_PASSWORD": box.password,
            "ELKS_PHONE_NUMBER": box.number,
            "ELKS_API_BASE_URL": self.provider.url,
            "DRY_RUN": "false",
            "ELKS_TIMEOUT": f"{plan.timeout}",
            "ELKS_QUIET_PERIOD": f"{plan.quiet}",
            "ELKS_POLL_SECONDS": "10",  # as with 46elks: the server recognizes a sandbox and would read more
            "ELKS_SMS_PER_MINUTE": f"{plan.per_minute}",
            "ELKS_MAX_PER_NUMBER": "100000",
            "ELKS_BUDGET_PER_DAY": f"{budget / 10_000:.4f}",
            "ELKS_LOG_LEVEL": "WARNING",
            "ELKS_TOOLSETS": "all",
            "ELKS_MMS_PRICE": f"{PRICE / 10_000:.4f}",
            **(self._environ_of_replicas() if self.plan.transport == "http" else {}),
            **self.state.environ,
        }

    def _environ_of_replicas(self) -> dict[str, str]:
        """Return the variables for webhooks, without `tainted`.

        The agent reads answers and texts others, without a person to ask.
        """
        return {"ELKS_PUBLIC_URL": self._public_url, "ELKS_GUARDS_OFF": "tainted"}

    async def _ask_for_texts(self, server: Server) -> None:
        """Ask a server for texts, several at a time, while it runs."""
        await server.greet()
        async with anyio.create_task_group() as callers:
            for _ in range(_CONCURRENT_CALLS):
                callers.start_soon(self._ask_on, server)

    async def _ask_on(self, server: Server) -> None:
        while not server.is_gone and not self._is_over:
            if self.agent.todo:
                await self.agent.ask(server)
            else:
                await anyio.sleep(_IDLE)

    async def _wait_for_its_end(self, server: Server) -> None:
        """Wait for the moment of the kill: any moment, or while a text is on its way."""
        if self._happens(_KILLED_AT_START):
            await anyio.sleep(self._random.uniform(0, 1))
            return
        with anyio.move_on_after(_LONGEST_START):
            await server.greeted.wait()
        with anyio.move_on_after(_LONGEST_WAIT):
            await self.provider.arrival()
        if self._happens(_OUTAGES):
            self.outages += 1
            await self._wait_for_a_moment()
            await self.provider.front.refuse(0.3)
        if self.plan.processes > 1 and self._happens(_FREEZES):
            await self._freeze(server)
        await self._wait_for_a_moment()

    async def _freeze(self, server: Server) -> None:
        """Freeze a server, and let it continue.

        The freeze is shorter than its lease, or so long that another server may have sent its text.
        """
        await self._wait_for_claim()
        lease, taken_over = self.plan.lease, self.plan.lease + self.plan.quiet
        times = (taken_over + 2, taken_over + 6) if self._happens(_LONG_FREEZES) else (1, lease - 1)
        began = datetime.now(UTC)
        server.freeze()
        await anyio.sleep(self._random.uniform(*times))
        self.freezes.append(Freeze(began, datetime.now(UTC)))
        server.thaw()

    async def _wait_for_a_moment(self) -> None:
        """Wait for a random time, or for an event."""
        events = [self._wait_for_claim, self.provider.front.connection, self.provider.arrival]
        if self._happens(_ANY_TIME):
            await anyio.sleep(self._random.uniform(0, 2))
            return
        with anyio.move_on_after(_LONGEST_WAIT):
            for _ in range(self._random.randint(0, 4)):
                await self.provider.arrival()
            await self._random.choice(events)()
        if self._happens(_A_LITTLE_LATER):
            await anyio.sleep(self._random.uniform(0, 0.04))

    async def _wait_for_claim(self) -> None:
        await anyio.to_thread.run_sync(self.state.wait_for_claim, _LONGEST_WAIT / 2)

    def _happens(self, share: float) -> bool:
        return self._random.random() < share

    async def _settle(self) -> list[int]:
        """Start servers that are not killed, let them finish, and end them as a client does."""
        servers = [await self._start() for _ in range(self.plan.processes)]
        self._servers += servers
        exits: list[int] = []
        async with anyio.create_task_group() as group:
            for server in servers:
                group.start_soon(server.read)
                group.start_soon(self._ask_for_texts, server)
            with anyio.move_on_after(_SETTLING):
                while not await self._has_settled():  # noqa: ASYNC110  (other processes settle it)
                    await anyio.sleep(0.3)
            self._is_over = True
            exits += [await server.close() for server in servers]
        return exits

    async def _has_settled(self) -> bool:
        if not self.agent.is_done or any(waiter.is_waiting for waiter in self.waiters):
            return False
        orders = await anyio.to_thread.run_sync(self.state.read)
        return not any(order.state in UNFINISHED for order in orders)


async def run_lane(plan: Plan) -> Evidence:
    """Run one lane."""
    with TemporaryDirectory(prefix="crash") as name:
        folder = Path(name)
        with open_state(plan, folder) as state:
            provider = Provider(plan)
            async with provider.serving():
                lane = Lane(plan, provider, Agent(plan, provider), state, folder / "log")
                return await lane.run()


def run(plan: Plan) -> Evidence:
    """Run one lane, in an event loop of its own."""
    return anyio.run(run_lane, plan)
