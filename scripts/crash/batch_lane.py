"""A lane with batches: processes that plan, start, pause, resume and cancel them are killed."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import anyio
import anyio.to_thread

from crash.batch_server import BatchServer
from crash.plan import PHONES, Plan
from crash.provider import Provider
from crash.state import BatchOrder, State, open_state

_MOST_RUNNING = 2
"""Batches that are open at the same time."""

_KILLS_PER_BATCH = 4
_ENDED_AS_IT_SHOULD = 0.1
"""The share of processes that are not killed, but end because their client does."""

_LONGEST_START, _LONGEST_WAIT = 20.0, 5.0
_ANY_TIME = 0.3
"""The share of kills at any time. The others are a little after a command."""

_SHORT, _PER_ROW = 0.1, 0.0005
"""Seconds within which a command for a batch, and for each of its rows, is carried out, about."""

_SETTLING, _SETTLING_PER_ROW = 300.0, 0.3
"""The most seconds until all is finished, and for each row. A busy machine sends ten texts a second."""
_CHANGES = {"pause": 4, "resume": 6, "start": 1, "get": 1}
"""The commands for a batch that was started, with their relative frequency."""

_CANCELLED = 2
"""Every second batch is also cancelled, so that the others have time to be sent."""


@dataclass(eq=False)
class Mailing:
    """A batch, as the one who wants it knows it."""

    number: int
    texts: dict[int, tuple[str, str]]
    """The recipient and the text of each row, by the number of the row."""

    batch: str = ""
    rows: int = 0
    """How many rows the plan had."""

    state: str = ""
    unfinished: int = 0
    is_started: bool = False
    is_cancelled: bool = False
    """Whether a cancellation was asked for, whether or not it was carried out."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.is_started and self.state in {"finished", "cancelled"} and not self.unfinished

    @property
    def written(self) -> str:
        """Its list of recipients, as CSV."""
        lines = [f"{to};{text}" for to, text in self.texts.values()]
        return "\n".join(["telefon;text", *lines])

    def note(self, answer: Mapping[str, Any]) -> None:
        """Note an answer about it."""
        self.batch = answer.get("batch", self.batch)
        self.rows = answer.get("rows", self.rows)
        self.state = answer.get("state", self.state)
        self.unfinished = answer.get("unfinished", self.unfinished)
        self.is_started |= answer.get("is_started", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEvidence:
    """The sandbox's ledger, the state of the processes, and the batches that were wanted."""

    plan: Plan
    mailings: list[Mailing]
    orders: list[BatchOrder]
    provider: Provider
    counts: dict[str, int]
    exits: list[int]
    errors: list[str]
    """Answers that were errors although nothing was wrong with the command."""

    traces: list[str]
    integrity: str
    seconds: float


@dataclass
class BatchLane:
    """One lane, and all that happens in it."""

    plan: Plan
    provider: Provider
    state: State
    log: Path
    kills: int = 0
    mailings: list[Mailing] = field(default_factory=list)
    commands: dict[str, int] = field(default_factory=dict)
    cut_off: dict[str, int] = field(default_factory=dict)
    """Commands that a kill left without an answer, by what they were."""

    errors: list[str] = field(default_factory=list)
    _random: Random = field(init=False)
    _begun: anyio.Event = field(default_factory=anyio.Event)
    """Set when a process begins to carry out a command."""

    def __post_init__(self) -> None:
        self._random = self.plan.random("batches")

    async def run(self) -> BatchEvidence:
        """Run the lane, and return its results."""
        began = monotonic()
        async with anyio.create_task_group() as slots:
            for _ in range(self.plan.processes):
                slots.start_soon(self._kill_again_and_again)
        self.provider.calm()
        exits = await self._settle()
        await anyio.sleep(self.plan.provider_delay)  # texts that are accepted late count, too
        counts = {f"{name} asked for": count for name, count in sorted(self.commands.items())}
        counts |= {"starts cut off": self.cut_off.get("start", 0)}
        return BatchEvidence(
            plan=self.plan,
            mailings=self.mailings,
            orders=await anyio.to_thread.run_sync(self.state.read_batches),
            provider=self.provider,
            counts={"kills": self.kills, **counts, "commands cut off": sum(self.cut_off.values())},
            exits=exits,
            errors=self.errors,
            traces=[line for line in self.log.read_text("utf-8").splitlines() if "Traceback" in line],
            integrity=await anyio.to_thread.run_sync(self.state.check),
            seconds=monotonic() - began,
        )

    async def _kill_again_and_again(self) -> None:
        while self.kills < self.plan.kills:
            self.kills += 1
            server = await self._start()
            async with server.process, anyio.create_task_group() as life:
                life.start_soon(server.read)
                life.start_soon(self._work_with, server)
                try:
                    await self._wait_for_its_end(server)
                    if self._random.random() < _ENDED_AS_IT_SHOULD:
                        await server.close()
                finally:
                    with suppress(ProcessLookupError):  # it may have ended by itself
                        server.kill()

    async def _start(self) -> BatchServer:
        box, plan = self.provider.box, self.plan
        environ = {
            "ELKS_API_USERNAME": box.username,
            "ELKS_API_PASSWORD": box.password,
            "ELKS_PHONE_NUMBER": box.number,
            "ELKS_API_BASE_URL": self.provider.url,
            "DRY_RUN": "false",
            "ELKS_TIMEOUT": f"{plan.timeout}",
            "ELKS_QUIET_PERIOD": f"{plan.quiet}",
            "ELKS_POLL_SECONDS": "10",
            "ELKS_SMS_PER_MINUTE": f"{plan.per_minute}",
            "ELKS_MAX_PER_NUMBER": "100000",
            "ELKS_MAX_BATCH": "2000",
            "ELKS_BUDGET_PER_DAY": "1000000",
            "ELKS_GUARDS_OFF": "night",  # or a batch would wait for the morning
            "ELKS_LOG_LEVEL": "WARNING",
            **self.state.environ,
        }
        return await BatchServer.start(environ, self.log)

    async def _wait_for_its_end(self, server: BatchServer) -> None:
        """Wait for the moment of the kill: any moment, or while a command is carried out."""
        with anyio.move_on_after(_LONGEST_START):
            await server.greeted.wait()
        await anyio.sleep(self._random.uniform(0, 2))
        if self._random.random() < _ANY_TIME:
            return
        with anyio.move_on_after(_LONGEST_WAIT):
            await self._begun.wait()
        await anyio.sleep(self._random.uniform(0, _SHORT + _PER_ROW * self.plan.rows))

    # ── what is done to batches ──

    async def _work_with(self, server: BatchServer) -> None:
        """Give a process commands while it runs."""
        await server.greet()
        while not server.is_gone:
            mailing, command = self._choose()
            await self._carry_out(server, mailing, command)
            await anyio.sleep(self._random.uniform(0, 0.3))

    def _choose(self) -> tuple[Mailing, str]:
        """Return a batch, and what is done to it next."""
        left = [each for each in self.mailings if not each.is_over]
        most = max(2, self.plan.kills // _KILLS_PER_BATCH)
        if not left or (len(left) < _MOST_RUNNING and len(self.mailings) < most):
            left = [self._want()]
        mailing = self._random.choice(left)
        if not mailing.batch:
            return mailing, "plan"
        if not mailing.is_started:
            return mailing, "start"
        changes = _CHANGES | ({"cancel": 4} if mailing.number % _CANCELLED == _CANCELLED - 1 else {})
        [change] = self._random.choices(list(changes), list(changes.values()))
        return mailing, change

    def _want(self) -> Mailing:
        number = len(self.mailings)
        rows = range(2, self.plan.rows + 2)  # as in a spreadsheet, whose first row has the titles
        texts = {row: (PHONES[row % len(PHONES)], f"Batch {number:03} row {row:04}") for row in rows}
        self.mailings.append(mailing := Mailing(number, texts))
        return mailing

    async def _carry_out(self, server: BatchServer, mailing: Mailing, command: str) -> None:
        self.commands[command] = self.commands.get(command, 0) + 1
        mailing.is_cancelled |= command == "cancel"
        arguments = {"list": mailing.written} if command == "plan" else {"batch": mailing.batch}
        begun, self._begun = self._begun, anyio.Event()
        begun.set()
        answer = await server.call(command, arguments)
        if answer is None:
            self.cut_off[command] = self.cut_off.get(command, 0) + 1
        elif "error" in answer:
            self._note_error(mailing, command, answer["error"])
        elif command != "plan" or not mailing.batch:  # another process may have planned it meanwhile
            mailing.note(answer)

    def _note_error(self, mailing: Mailing, command: str, error: str) -> None:
        """Note an error that 46elks' trouble, or a busy machine, does not explain."""
        is_trouble = "46elks" in error
        is_over = mailing.is_cancelled and "was cancelled" in error
        if not (is_trouble or is_over):
            self.errors.append(f"{command} {mailing.batch}: {error}")

    # ── the end ──

    async def _settle(self) -> list[int]:
        """Start processes that are not killed, let them finish, and end them as a client does."""
        servers = [await self._start() for _ in range(self.plan.processes)]
        exits: list[int] = []
        async with anyio.create_task_group() as group:
            for server in servers:
                group.start_soon(server.read)
                await server.greet()
            rows = self.plan.rows * len(self.mailings)
            with anyio.move_on_after(_SETTLING + _SETTLING_PER_ROW * rows):
                while left := [each for each in self.mailings if not each.is_over]:
                    for mailing in left:
                        await self._finish(self._random.choice(servers), mailing)
                    await anyio.sleep(0.5)
            exits += [await server.close() for server in servers]
        return exits

    async def _finish(self, server: BatchServer, mailing: Mailing) -> None:
        """Do the next thing that brings a batch to its end."""
        if not mailing.batch:
            await self._carry_out(server, mailing, "plan")
        elif not mailing.is_started:
            await self._carry_out(server, mailing, "start")
        else:
            await self._carry_out(server, mailing, "resume" if mailing.state == "paused" else "get")


async def _run_lane(plan: Plan) -> BatchEvidence:
    with TemporaryDirectory(prefix="crash") as name:
        folder = Path(name)
        with open_state(plan, folder) as state:
            provider = Provider(plan)
            provider.box.rules.per_minute = plan.per_minute
            async with provider.serving():
                return await BatchLane(plan, provider, state, folder / "log").run()


def run_batches(plan: Plan) -> BatchEvidence:
    """Run one lane with batches, in an event loop of its own."""
    return anyio.run(_run_lane, plan)
