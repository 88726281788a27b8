"""The results of one lane, for the judge."""

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
    """A budget, and when the first server had it."""

    at: datetime
    amount: int


class Freeze(NamedTuple):
    """A period in which a server was frozen."""

    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The sandbox's ledger, the servers' state, and their answers."""

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
    """The stack traces in the servers' log."""

    integrity: str
    crashing_seconds: float
    seconds: float
