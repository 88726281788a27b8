"""A frame for Hypothesis machines: two processes that send, and may die at any step."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qs, urlsplit

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis.stateful import RuleBasedStateMachine

from elks_mcp.domain.policy import Policy
from elks_mcp.sandbox import ApiRequest, StoredMessage
from elks_mcp.store import StateLocation
from elks_mcp.store.store import Store
from tests.support.clocks import at_rest, autojump, pass_time
from tests.support.provider import UNLIMITED
from tests.support.stores import Killed, SteppedTransport, Steps, World, WorldBackend, is_death, read_rows

T = TypeVar("T")


class Process:
    """A process that sends, until it ends or dies."""

    def __init__(self, world: World, policy: Policy, per_minute: int, quiet: timedelta) -> None:
        self.steps = Steps()
        self.backend = WorldBackend(
            world,
            policy=policy,
            per_minute=per_minute,
            quiet=quiet,
            around=lambda transport: SteppedTransport(transport, self.steps),
            report_to=self._address,
        )
        self._clock = world.clock
        self.store: Store | None = None
        self._begun, self._end, self._ended = anyio.Event(), anyio.Event(), anyio.Event()

    async def live(self) -> None:
        """Live until it has to end, or dies."""
        try:
            async with self.backend.opened() as self.store:
                self.steps.listen(self.store)
                async with self.backend.outbox.running():
                    self._begun.set()
                    await self._end.wait()
        except BaseException as error:
            if not is_death(error):
                raise
        finally:
            self._ended.set()

    async def begin(self) -> None:
        """Wait until everything runs."""
        await self._begun.wait()

    async def end(self) -> None:
        """End it; time passes if a request is under way, or its outcome is not recorded yet."""
        self._end.set()
        async with autojump(self._clock):
            await self._ended.wait()

    @property
    def is_alive(self) -> bool:
        """Whether it may still do something."""
        return not (self.steps.is_dead or self._ended.is_set())

    @staticmethod
    async def _address(order_id: str) -> str:
        return f"https://sms.example.com/hooks?ref={order_id}"


def order_of(message: StoredMessage | ApiRequest) -> str:
    """Return the id of the order that a message or a request is for."""
    address = message.whendelivered if isinstance(message, StoredMessage) else message.form["whendelivered"]
    return parse_qs(urlsplit(address or "").query)["ref"][0]


class ProcessMachine(RuleBasedStateMachine):
    """Two processes on one database. A subclass has the rules and what must be true."""

    policy: ClassVar[Policy] = UNLIMITED
    per_minute: ClassVar[int] = 6
    quiet: ClassVar[timedelta] = timedelta(minutes=2)

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        folder = self._stack.enter_context(TemporaryDirectory())
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal())
        self._group = self._portal.call(anyio.create_task_group)
        self._stack.enter_context(self._portal.wrap_async_context_manager(self._group))
        self.world = World(StateLocation(folder=Path(folder)))
        self.processes: list[Process | None] = [None, None]
        self.began_at = self.world.clock.now()

    def _close(self) -> None:
        """End all processes, and what they ran in."""
        for process in self.processes:
            if process:
                process.steps.die()
                self._portal.call(process.end)
        self._stack.close()

    def _start(self, index: int) -> None:
        """Start a process, in the place of one that ends as it should if there is one."""
        if before := self.processes[index]:
            self._portal.call(before.end)
        process = Process(self.world, self.policy, self.per_minute, self.quiet)
        self.processes[index] = process
        self._portal.start_task_soon(self._spawn, process)
        self._portal.call(process.begin)
        self._portal.call(at_rest)

    async def _spawn(self, process: Process) -> None:
        self._group.start_soon(process.live)

    def _die(self, index: int, steps: int) -> None:
        """Let a process die in some steps, or now if that is 0."""
        if process := self.processes[index]:
            process.steps.die_in(steps)
            if not steps:
                process.steps.die()
                self._bury()

    def _bury(self) -> None:
        for index, process in enumerate(self.processes):
            if process and not process.is_alive:
                self._portal.call(process.end)
                self.processes[index] = None

    def _replace_all(self) -> None:
        """Let all processes die, and start a fresh one."""
        for process in self.processes:
            if process:
                process.steps.die()
        self._bury()
        self.world.box.faults.clear()
        self._start(0)

    def _ask(self, index: int, work: Callable[[Process], Awaitable[T]]) -> T | None:
        """Have one process do something, and return the result; None if it dies of it."""
        if not any(self.processes):
            self._start(index)
        process = self.processes[index] or self.processes[1 - index]
        assert process
        result: list[T] = []

        async def run() -> None:
            try:
                result.append(await work(process))
            except Killed:
                process.steps.die()
            await at_rest()

        self._portal.call(run)
        self._bury()
        return result[0] if result else None

    async def _pass(self, time: timedelta) -> None:
        await pass_time(self.world.clock, time)

    def _rows(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        file = self.world.place.file
        return read_rows(self.world.place, question, *values) if file and file.exists() else []
