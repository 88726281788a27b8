"""What a lane leaves behind to be judged."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from crash.agent import Wish
from crash.plan import Plan
from crash.state import Order
from crash.waiting import Waiter
from elks_mcp.sandbox import Sandbox
from elks_mcp.sandbox.requests import ApiRequest


class Cap(NamedTuple):
    """A budget, and from when on some server had it."""

    at: datetime
    amount: int


class Freeze(NamedTuple):
    """A time in which some server stood still."""

    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The sandbox's books, what the servers remember, and what they answered."""

    plan: Plan
    wishes: list[Wish]
    orders: list[Order]
    waiters: list[Waiter]
    box: Sandbox
    paid: list[ApiRequest]
    caps: list[Cap]
    injected: dict[str, int]
    lookalikes: frozenset[tuple[str, str]]
    freezes: list[Freeze]
    counts: dict[str, int]
    exits: list[int]
    traces: list[str]
    """What the servers' log has of faults of their own."""

    integrity: str
    crashing_seconds: float
    seconds: float
