"""Helpers shared by the tests of commands on the state."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.to_thread
from click.testing import Result

from elks_mcp.domain.orders import Order
from elks_mcp.store import AccountKey, StateLocation
from elks_mcp.store.doubts import LONGEST
from elks_mcp.store.store import Store
from tests.support.clocks import ManualClock
from tests.support.process import invoke
from tests.support.stores import (
    ACCOUNT,
    MINUTE,
    claim_new,
    opened,
)


def run_command(location: StateLocation, *arguments: str, typed: str | None = None, **environ: str) -> Result:
    """Give the command in this process, where no terminal is."""
    environ = {"ELKS_STATE_DIR": str(location.folder)} | environ
    return invoke(arguments, environ, typed)


def do(
    location: StateLocation, *works: Callable[[Store], Awaitable[Any]], account: AccountKey = ACCOUNT
) -> Any:
    """Do something with a store, as a server would; return what the last of it comes to."""

    async def work() -> Any:
        async with opened(location, account=account) as store:
            for each in works:
                result = await each(store)
        return result  # type: ignore[possibly-undefined]

    return anyio.run(work)


def find(location: StateLocation, order: Order) -> Order:
    """Find an order as it stands now."""
    found: Order = do(location, lambda store: store.orders.get(order.id))
    return found


async def an_unknown(location: StateLocation) -> Order:
    """Have an order of which nobody knows whether it was sent."""
    clock = ManualClock(datetime.now(UTC) - LONGEST - MINUTE)  # commands delete old texts by the real time
    async with opened(location, clock) as store:
        claim = await claim_new(store, "Kom hem")
        await store.queue.settle_doubt(claim, "46elks did not answer in time.")
        clock.advance(LONGEST + MINUTE)
        await store.doubts.conclude(None, read_at=clock.now(), quiet=MINUTE, skew=timedelta())
        return await store.orders.get(claim.order_id)


def screen_rows(shown: str, columns: int) -> list[str]:
    """Return the rows that a terminal of this width makes of its output."""
    rows = []
    for line in shown.split("\n"):
        row, used = "", 0
        for char in line:
            width = 2 if char in "界🙂" else 0 if char == "\u0301" else 1
            if used + width > columns:
                rows.append(row)
                row, used = "", 0
            row, used = row + char, used + width
        rows.append(row)
    return rows
