"""Which guards run again when a text goes out, and that a limit that was lowered meanwhile holds."""

import inspect
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from elks_mcp.domain.guards import GUARD_NAMES, GUARDS, NOT_RECHECKED, Guard
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.phone import Number
from tests.support.provider import UNLIMITED, Backend

pytestmark = pytest.mark.anyio

OTHER = Number("+46701740698")
LOWERED: dict[str, dict[str, Any]] = {
    "allowed_country": {"allowed_countries": frozenset({"NO"})},
    "allowed_recipient": {"allowed_recipients": frozenset({OTHER})},
    "impersonation": {"sender": OTHER, "allowed_senders": (OTHER,)},
    "too_many_parts": {"max_parts": 1},
    "message_budget": {"budget_per_message": 0},
    "daily_budget": {"budget_per_day": 0},
}
"""For each guard that runs again, rules by which it refuses a text of two parts; P6 is about opt-outs."""

REASONED = {"placeholder", "unknown_sender", "velocity"}
"""Guards that refuse by the operator's rules, and that do not run again."""


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    async with Backend(tmp_path).opened() as backend:
        yield backend


@pytest.mark.parametrize("guard", sorted(set(GUARD_NAMES) - NOT_RECHECKED.keys() - {"opted_out"}))
async def test_a_text_that_waits_is_refused_by_a_limit_that_was_lowered(backend: Backend, guard: str) -> None:
    order = await backend.place("å" * 161, hand_over=False)
    lowered = replace(backend.checks, policy=UNLIMITED.model_copy(update=LOWERED[guard]))
    store = await backend.storage.open()
    await store.queue.claim(backend.options.pace, lowered.recheck_last)
    ended = await store.orders.get(order.id)
    assert ended.state is OrderState.CANCELLED
    assert f"Refused by {guard}: " in ended.status_reason


def test_each_guard_that_does_not_run_again_has_a_reason() -> None:
    assert NOT_RECHECKED.keys() < set(GUARD_NAMES)
    assert all(reason.endswith(".") for reason in NOT_RECHECKED.values())
    only_asking = {each.__name__ for each in GUARDS if not refuses(each)}
    assert only_asking == {
        name for name, why in NOT_RECHECKED.items() if why.startswith("It refuses nothing")
    }


def test_a_guard_that_refuses_by_the_operators_rules_runs_again() -> None:
    by_rules = {each.__name__ for each in GUARDS if refuses(each) and reads_rules(each)}
    assert by_rules & NOT_RECHECKED.keys() == REASONED


def refuses(guard: Guard) -> bool:
    """Return whether the code of a guard has a refusal."""
    return re.search(r"Effect\.REFUSE|\brefuse\(", inspect.getsource(guard)) is not None


def reads_rules(guard: Guard) -> bool:
    """Return whether the code of a guard reads the operator's rules."""
    return re.search(r"\bpolicy[.,)]", inspect.getsource(guard)) is not None
