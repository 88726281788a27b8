"""Helpers shared by the tests of opt-outs in context."""

from datetime import timedelta
from typing import Any

from elks_mcp.domain.models import Message
from elks_mcp.sandbox import Sandbox
from tests.support.clocks import ManualClock
from tests.support.connecting import (
    PHONE,
)
from tests.support.stores import (
    MINUTE,
)

SECOND = timedelta(seconds=1)


QUESTION = "Hej! Vi har en tid på torsdag, vill du ha den?"


async def receive_text(
    client: Any, box: Sandbox, clock: ManualClock, text: str, sender: str = PHONE
) -> Message:
    """Have a text come in, and be old enough that the next send reads history."""
    clock.advance(SECOND)
    message = box.receive(sender, text)
    clock.advance(2 * MINUTE)
    return message  # type: ignore[return-value]


LIKELY = "Verkstan STOPP"
