"""Kill servers that make calls and send texts at random moments, and count the results.

    uv run --group dev python scripts/crash_calls.py --kills 20
    uv run --group dev python scripts/crash_calls.py --database postgres --transport http --processes 2

Every text and every call has words of its own, so each may reach 46elks once. The phones are busy, so that
calls end soon. Over HTTP, 46elks reports the ends of calls to any running server. Exit code 0 if nothing was
repeated, nothing that was reported as made is missing, and every order was settled.
"""

import argparse
import json
import logging
import sys
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from crash.front import Front  # noqa: E402  (the paths come first)
from crash.pipes import ServerOnPipes  # noqa: E402
from crash.plan import OURS, PHONES, Plan  # noqa: E402
from crash.replica import Replica, find_free_port  # noqa: E402
from crash.server import Server  # noqa: E402
from crash.state import UNFINISHED, State, open_state  # noqa: E402
from crash.suite import NO_POSTGRES  # noqa: E402
from tests.sandbox.serving import serve  # noqa: E402
from tests.support.postgres import NoPostgresError  # noqa: E402

from elks_mcp.sandbox import Fault, Sandbox  # noqa: E402
from elks_mcp.sandbox.call_behaviours import BUSY  # noqa: E402

_FAULTS = (Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.DROP_BEFORE, Fault.HALF_BODY, Fault.MISSING_ID)
_AT_ONCE, _WISHES = 4, 8
_LEAST_LIFE, _MOST_LIFE = 0.1, 3.0
"""Seconds between a server's first answer and its end."""

_MADE = frozenset({"sent", "delivered", "failed"})
_SETTLING, _IDLE = 300.0, 0.5
_MUST_BE_0 = ("repeated", "missing", "never asked for", "never settled")


@dataclass
class Wish:
    """A text or a call that is wanted once."""

    words: str
    to: str
    is_call: bool
    statuses: set[str] = field(default_factory=set)

    @property
    def request(self) -> tuple[str, dict[str, Any]]:
        """The tool and its arguments."""
        if self.is_call:
            # A busy phone may be called again. With a key, it is the same call that is asked for again.
            return "call_phone", {"to": self.to, "say": self.words, "idempotencyKey": self.words[7:12]}
        return "send_sms", {"to": self.to, "message": self.words}


class CallLane:
    """One run: servers on one state, a 46elks with faults, and what was wanted."""

    def __init__(self, plan: Plan, state: State, folder: Path) -> None:
        self.box = Sandbox(balance=10**12, number=OURS)
        self._plan, self._state, self._folder = plan, state, folder
        self._random = plan.random("calls")
        self._todo: deque[Wish] = deque()
        self._servers: list[Server] = []
        self._public_port = 0
        self.wishes: list[Wish] = []
        self.kills = self.unanswered = self.unsettled = 0
        for phone in PHONES[:10]:
            self.box.calls.set_behaviour(phone, BUSY)

    async def run(self) -> None:
        """Kill a number of servers, then let one finish what is left."""
        async with serve(self.box) as url, anyio.create_task_group() as tasks:
            if self._plan.transport == "http":
                self._public_port = await tasks.start(Front(self._find_port).run)
                self.box.webhook_ports.add(self._public_port)
            async with anyio.create_task_group() as slots:
                for _ in range(self._plan.processes):
                    slots.start_soon(self._kill_again_and_again, url)
            self.box.faults.clear()
            await self._live(url, None)
            tasks.cancel_scope.cancel()

    async def _kill_again_and_again(self, url: str) -> None:
        while self.kills < self._plan.kills:
            self.kills += 1
            self._want(_WISHES)
            self._break()
            await self._live(url, self._random.uniform(_LEAST_LIFE, _MOST_LIFE))

    def _find_port(self) -> int:
        """Return the port of a server that accepts webhooks; 0 if none does."""
        ready = (each for each in self._servers if each.greeted.is_set() and not each.is_gone)
        return next((each.port for each in ready if isinstance(each, Replica)), 0)

    def judge(self) -> dict[str, int]:
        """Return the figures, and how often something was repeated or is missing."""
        texts = Counter(each.text for each in self.box.accepted)
        calls = Counter(
            json.loads(each.voice_start)["play"].removeprefix("en_US/") for each in self.box.calls.history
        )
        found = Counter(texts) + calls
        known = {wish.words: bool(wish.statuses & _MADE) for wish in self.wishes}
        return {
            "texts": sum(texts.values()),
            "calls": sum(calls.values()),
            "requests without an answer": self.unanswered,
            "repeated": sum(count - 1 for count in found.values()),
            "missing": sum(is_made and not found[words] for words, is_made in known.items()),
            "never asked for": sum(words not in known for words in found),
            "never settled": self.unsettled,
        }

    def _want(self, count: int) -> None:
        for _ in range(count):
            number = len(self.wishes)
            wish = Wish(
                f"Number {number:05} of the crash test", self._random.choice(PHONES[:10]), number % 2 == 0
            )
            self.wishes.append(wish)
            self._todo.append(wish)

    def _break(self) -> None:
        """Let one of the next calls and one of the next texts go wrong."""
        self.box.faults.clear()
        for path in ("/calls", "/sms"):
            fault, skip = self._random.choice(_FAULTS), self._random.randrange(3)
            dryrun = False if path == "/sms" else None
            self.box.faults.inject(fault, method="POST", path=path, skip=skip, dryrun=dryrun)

    async def _live(self, url: str, seconds: float | None) -> None:
        """Run one server, until it is killed after some seconds, or until everything is settled."""
        server = await self._start(url)
        self._servers.append(server)
        async with server.process, anyio.create_task_group() as tasks:
            tasks.start_soon(server.read)
            await server.greet()
            async with anyio.create_task_group() as askers:
                for _ in range(_AT_ONCE):
                    askers.start_soon(self._ask, server)
                if seconds is not None:
                    await anyio.sleep(seconds)
                    self._servers.remove(server)
                    server.kill()
            if seconds is None:
                await self._settle()
                await server.close()

    async def _start(self, url: str) -> Server:
        environ, log = self._environ(url), self._folder / "log"
        if self._plan.transport == "http":
            return await Replica.start(environ, log, find_free_port())
        return await ServerOnPipes.start(environ, log)

    async def _settle(self) -> None:
        """Wait until no order is open, and count those that still are."""
        with anyio.move_on_after(_SETTLING):
            while await self._count_open():  # noqa: ASYNC110  (another process)
                await anyio.sleep(_IDLE)
        self.unsettled = await self._count_open()

    async def _count_open(self) -> int:
        found = await anyio.to_thread.run_sync(self._state.read)
        return sum(each.state in UNFINISHED for each in found)

    async def _ask(self, server: Server) -> None:
        while self._todo and not server.is_gone:
            wish = self._todo.popleft()
            result = await server.call(*wish.request)
            if result is None:
                self.unanswered += 1
                self._todo.append(wish)
            elif not result.get("isError"):
                wish.statuses.add(result["structuredContent"]["status"])

    def _environ(self, url: str) -> dict[str, str]:
        return {
            "ELKS_API_USERNAME": self.box.username,
            "ELKS_API_PASSWORD": self.box.password,
            "ELKS_PHONE_NUMBER": self.box.number,
            "ELKS_API_BASE_URL": f"{url}/a1",
            "DRY_RUN": "false",
            "ELKS_TOOLSETS": "sms,calls",
            "ELKS_CALL_PRICE_PER_MINUTE": "0.80",
            "ELKS_TTS_46ELKS": "true",
            "ELKS_TIMEOUT": "1",
            "ELKS_QUIET_PERIOD": "2",
            "ELKS_POLL_SECONDS": "1",
            "ELKS_SMS_PER_MINUTE": "600",
            "ELKS_MAX_PER_NUMBER": "100000",
            "ELKS_BUDGET_PER_DAY": "1000000",
            "ELKS_GUARDS_OFF": "night",  # it would make calls wait for a person, at some times of the day
            "ELKS_LOG_LEVEL": "WARNING",
            **({"ELKS_PUBLIC_URL": f"http://127.0.0.1:{self._public_port}"} if self._public_port else {}),
            **self._state.environ,
        }


def _parse_plan() -> Plan:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, choices=(1, 2), default=1)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--transport", choices=("stdio", "http"), default="stdio")
    return Plan(**vars(parser.parse_args()), quiet=2.0, provider_delay=0.0)


def main() -> int:
    """Run the lane, print its figures, and return the exit code."""
    plan = _parse_plan()
    logging.disable()  # about broken connections of killed clients
    try:
        with TemporaryDirectory(ignore_cleanup_errors=True) as name, open_state(plan, Path(name)) as state:
            lane = CallLane(plan, state, Path(name))
            anyio.run(lane.run)
            figures = lane.judge()
    except NoPostgresError as error:
        print(f"{plan.name}: {error}", file=sys.stderr)
        return NO_POSTGRES
    print(json.dumps({"lane": plan.name, "kills": lane.kills, **figures}))
    return int(any(figures[each] for each in _MUST_BE_0))


if __name__ == "__main__":
    sys.exit(main())
