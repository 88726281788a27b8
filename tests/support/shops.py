"""A shop that texts its customers, and plans of batches without a shop."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from elks_mcp.domain.batches import Batch, BatchPlan, BatchRow, BatchState
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approver
from elks_mcp.domain.phone import Number
from elks_mcp.domain.policy import Policy
from elks_mcp.sending.batch_plans import BatchPlanner, BatchRequest
from elks_mcp.sending.batches import Batches
from elks_mcp.sending.plan import Planner
from elks_mcp.spreadsheets.csv_tables import read_csv
from elks_mcp.spreadsheets.recipient_lists import build_recipient_list
from elks_mcp.store import BatchChecks, Pace, StateLocation
from elks_mcp.store.values import DraftCheck, SumCheck
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, OURS, UNLIMITED, posts
from tests.support.stores import PRICE, World, WorldBackend, allow

THREE = "namn;telefon\nÅsa;070-174 06 05\nBo;070-174 06 06\nKim;070-174 06 07\n"
MESSAGE = "Hej {namn}! Din tid är i morgon."
SLOT = timedelta(seconds=60.06) / 95
"""The time between two texts at the default pace."""


def list_phones(count: int) -> list[Number]:
    """Return numbers of the fictional range that have no special meaning in the sandbox."""
    return [Number(f"+467017406{number:02}") for number in range(20, 20 + count)]


def write_list(phones: Iterable[Number]) -> str:
    """Return a list of numbers as CSV, with a column for the name."""
    return "\n".join(["namn;telefon", *(f"Nr {at};{phone.e164}" for at, phone in enumerate(phones))])


class ShopSetup:
    """The configuration of a server that may send."""

    approval_page: str | None = None

    def require_account(self, *, sender: bool = False) -> None:
        """Allow everything."""

    def require_clear_names(self) -> None:
        """Allow everything."""

    def command(self, words: str) -> str:
        """Return a command."""
        return f"elks-mcp {words}"


class Shop:
    """One process of a shop that texts its customers."""

    def __init__(self, backend: WorldBackend, caller: str = "") -> None:
        self.backend = backend
        planner = Planner(
            orders=backend.orders,
            outbox=backend.outbox,
            storage=backend.storage,
            clock=backend.clock,
            find_recipient=self._find,
            refresh_history=self._refresh,
            setup=ShopSetup(),
        )
        self.planner, self.batches = BatchPlanner(planner, caller), Batches(planner, caller)

    async def _refresh(self) -> None: ...

    async def _find(self, text: str) -> Number:
        raise AssertionError(text)

    @property
    def clock(self) -> ManualClock:
        """The clock of the shop's world."""
        return self.backend.clock

    async def plan(self, rows: str = THREE, message: str = MESSAGE, **more: Any) -> BatchPlan:
        """Plan a batch for a list that is CSV."""
        recipients = build_recipient_list(read_csv(rows.encode()), "SE")
        return await self.planner.plan(BatchRequest(message=message, recipients=recipients, **more))

    async def start(self, plan: BatchPlan) -> Batch:
        """Start a batch that a person approved."""
        return await self.batches.start_approved(plan, Approver.PERSON)

    async def plan_and_start(self, rows: str = THREE, message: str = MESSAGE, **more: Any) -> Batch:
        """Plan a batch, and start it."""
        return await self.start(await self.plan(rows, message, **more))

    async def pass_until_ended(self, batch: Batch) -> Batch:
        """Let time pass until a batch is not running any more, and return it."""

        async def is_over() -> bool:
            return (await self.batches.get(batch.id)).state is not BatchState.RUNNING

        await self.backend.pass_until(is_over)
        return await self.batches.get(batch.id)

    async def pass_until_ended_after_all(self, batch: Batch) -> Batch:
        """Let time pass until a batch that may be paused now has ended, and return it."""

        async def is_over() -> bool:
            return (await self.batches.get(batch.id)).state is BatchState.FINISHED

        await self.backend.pass_until(is_over)
        return await self.batches.get(batch.id)

    async def pass_until_sent(self, count: int) -> None:
        """Let time pass until this number of texts was handed to 46elks."""

        async def are_sent() -> bool:
            return len(self.sent) >= count

        await self.backend.pass_until(are_sent)

    @property
    def sent(self) -> list[tuple[str, str]]:
        """The recipients and texts that were handed to 46elks, in order."""
        return [(post.form["to"], post.form["message"]) for post in posts(self.backend.world.box)]


@asynccontextmanager
async def open_shop(
    place: StateLocation | World, policy: Policy = UNLIMITED, **more: Any
) -> AsyncIterator[Shop]:
    """Run a process of a shop, in a world of its own or in a given one."""
    world = place if isinstance(place, World) else World(place)
    backend = WorldBackend(world, policy=policy, **more)
    async with backend.running():
        yield Shop(backend)


@asynccontextmanager
async def open_idle_shop(place: StateLocation | World, policy: Policy = UNLIMITED) -> AsyncIterator[Shop]:
    """Open a shop whose worker does not run, so that what is queued stays queued.

    A worker sends the first row of a batch as soon as it can: before or after the next line of a test.
    """
    backend = WorldBackend(place if isinstance(place, World) else World(place), policy=policy)
    async with backend.opened():
        yield Shop(backend)


def a_plan(phones: Iterable[Number], text: str = "Hej!", **more: Any) -> BatchPlan:
    """Return a plan that sends the same text to some numbers, as the planner makes it."""
    rows = tuple(
        BatchRow(row=at, to=phone, text=text, parts=1, price=Money(PRICE, "SEK"), fields={"namn": f"Nr {at}"})
        for at, phone in enumerate(phones, start=2)
    )
    facts = {"id": "", "caller": "", "name": "", "sender": OURS, "rows": rows, "planned_at": NOON}
    return BatchPlan.model_validate({**facts, **more})


def checks_of(
    pace: Pace, *, row: DraftCheck = allow, total: SumCheck | None = None, budget: int = 10**12
) -> BatchChecks:
    """Return checks that allow each row, and a sum within a budget in units, by default."""
    return BatchChecks(row, total or within_sum(budget), pace)


def within_sum(budget: int) -> SumCheck:
    """Return a check that refuses sums beyond a budget, in units."""

    def check(price: Money, spent: Money) -> str:
        return "" if price.units + spent.units <= budget else f"{spent.units} is spent."

    return check


def texts_of(shop: Shop) -> set[int]:
    """Return how often texts were sent."""
    return set(Counter(shop.sent).values())


def check_cap(shop: Shop, most: int) -> None:
    """Check that no 24 hours have more texts than allowed, by 46elks' clock."""
    charges = shop.backend.world.box.charges
    for last in charges:
        recent = [each for each in charges if timedelta() <= last.at - each.at < timedelta(hours=24)]
        assert sum(each.amount for each in recent) <= most * PRICE
