"""Kill a server that makes calls and sends texts at random moments, and count the results.

    uv run --group dev python scripts/crash_calls.py --kills 20

Every text and every call has words of its own, so each may reach 46elks once. The phones are busy, so that
calls end soon. Exit code 0 if nothing was repeated and nothing that was reported as made is missing.
"""

import argparse
import json
import sys
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import anyio

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from crash.pipes import ServerOnPipes  # noqa: E402  (the paths come first)
from crash.plan import OURS, PHONES  # noqa: E402
from tests.sandbox.serving import serve  # noqa: E402

from elks_mcp.sandbox import Fault, Sandbox  # noqa: E402
from elks_mcp.sandbox.call_behaviours import BUSY  # noqa: E402

_FAULTS = (Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.DROP_BEFORE, Fault.HALF_BODY, Fault.MISSING_ID)
_AT_ONCE, _WISHES = 4, 8
_LEAST_LIFE, _MOST_LIFE = 0.1, 3.0
"""Seconds between a server's first answer and its end."""

_MADE = frozenset({"sent", "delivered", "failed"})


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
            return "call_phone", {"to": self.to, "say": self.words}
        return "send_sms", {"to": self.to, "message": self.words}


class CallLane:
    """One run: servers on one state, a 46elks with faults, and what was wanted."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.box = Sandbox(balance=10**12, number=OURS)
        self._random = Random(seed)  # noqa: S311  (no secret)
        self._folder = folder
        self._todo: deque[Wish] = deque()
        self.wishes: list[Wish] = []
        self.unanswered = 0
        for phone in PHONES[:10]:
            self.box.calls.set_behaviour(phone, BUSY)

    async def run(self, kills: int) -> None:
        """Kill a number of servers, then let one finish what is left."""
        async with serve(self.box) as url:
            for _ in range(kills):
                self._want(_WISHES)
                self._break()
                await self._live(url, self._random.uniform(_LEAST_LIFE, _MOST_LIFE))
            self.box.faults.clear()
            await self._live(url, None)

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
            "calls without an answer": self.unanswered,
            "repeated": sum(count - 1 for count in found.values()),
            "missing": sum(is_made and not found[words] for words, is_made in known.items()),
            "never asked for": sum(words not in known for words in found),
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
        """Run one server, until it is killed after some seconds, or until everything was answered."""
        server = await ServerOnPipes.start(self._environ(url), self._folder / "log")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.read)
            await server.greet()
            async with anyio.create_task_group() as askers:
                for _ in range(_AT_ONCE):
                    askers.start_soon(self._ask, server)
                if seconds is not None:
                    await anyio.sleep(seconds)
                    server.kill()
            if seconds is None:
                await server.close()
        await server.process.wait()

    async def _ask(self, server: ServerOnPipes) -> None:
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
            "ELKS_STATE_DIR": str(self._folder / "state"),
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
            "ELKS_LOG_LEVEL": "WARNING",
        }


def main() -> int:
    """Run the lane, print its figures, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        lane = CallLane(options.seed, Path(folder))
        anyio.run(lane.run, options.kills)
        figures = lane.judge()
    print(json.dumps({"kills": options.kills, **figures}))
    return int(any(figures[name] for name in ("repeated", "missing", "never asked for")))


if __name__ == "__main__":
    sys.exit(main())
