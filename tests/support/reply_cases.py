"""Helpers shared by the tests of replies."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
from mcp import Client

from tests.support.clocks import ManualClock
from tests.support.connecting import (
    call,
    data,
    until,
)

JA, TWICE, SWEDE, STOPS = "+46701740613", "+46701740616", "+46701740614", "+46701740615"


SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def reply(answer: Any) -> dict[str, Any]:
    """Read the reply of ask_by_sms."""
    found: dict[str, Any] = data(answer)["reply"]
    return found


class Calls:
    """Calls under way, whose answers are looked at later."""

    def __init__(self) -> None:
        self.answers: dict[object, dict[str, Any]] = {}

    async def wait(self, name: object, client: Client, **arguments: Any) -> None:
        """Call wait_for_reply, and keep the answer under a name."""
        self.answers[name] = data(await call(client, "wait_for_reply", **arguments))


async def _in_time(clock: ManualClock, ask: Callable[[], Any]) -> Any:
    """Make a call, and let time pass until it is answered."""
    answers: list[Any] = []

    async def run() -> None:
        answers.append(await ask())

    async with anyio.create_task_group() as calls:
        calls.start_soon(run)
        await until(lambda: bool(answers), clock=clock)
    return answers[0]


async def _is_there(found: list[Any]) -> bool:
    return bool(found)
