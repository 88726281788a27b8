"""Helpers shared by the tests of the store."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from elks_mcp.domain.orders import Approver, Order, OrderState, Report
from elks_mcp.store import AccountKey, Idle, StateLocation
from elks_mcp.store.store import Store
from tests.support.clocks import ManualClock
from tests.support.provider import PHONE
from tests.support.shops import a_plan, checks_of
from tests.support.stores import (
    ACCOUNT,
    SECOND,
    UNPACED,
    a_message,
    a_receipt,
    allow,
    change_rows,
    claim_new,
    engine_of,
    place_one,
    wait_one,
)

NONE = timedelta(0)


DAY = timedelta(days=1)


QUIET = timedelta(minutes=2)


OTHERS = AccountKey(ACCOUNT.base_url, "u2")


EVENING = "Kom hem till middagen klockan sju"
"""A text that is in no file by chance."""


Way = Callable[[Store], Awaitable[Order]]


async def _queued(store: Store) -> Order:
    return await place_one(store, EVENING)


async def _scheduled(store: Store) -> Order:
    now, _ = await store.doubts.find_due()
    return await place_one(store, EVENING, send_at=now + timedelta(minutes=5))


async def _waiting(store: Store) -> Order:
    return await wait_one(store, EVENING)


async def _sending(store: Store) -> Order:
    return await store.orders.get((await claim_new(store, EVENING)).order_id)


async def _in_doubt(store: Store) -> Order:
    claim = await claim_new(store, EVENING)
    await store.queue.settle_doubt(claim, "No answer.")
    return await store.orders.get(claim.order_id)


async def _unknown(store: Store) -> Order:
    order = await _in_doubt(store)
    for seconds in (120, 240):
        read_at = order.changed_at + seconds * SECOND
        history = [a_message(EVENING, at=order.changed_at), a_message(EVENING, at=order.changed_at)]
        await store.doubts.conclude(history, read_at=read_at, quiet=QUIET, skew=NONE)
    return await store.orders.get(order.id)


async def _sent(store: Store) -> Order:
    claim = await claim_new(store, EVENING)
    await store.queue.settle_sent(claim, a_receipt(f"s{claim.order_id}"))
    return await store.orders.get(claim.order_id)


async def _delivered(store: Store) -> Order:
    order = await _sent(store)
    assert (
        await store.inbound.record_webhooks((), [Report(message_id=f"s{order.id}", status="delivered")]) == []
    )
    return await store.orders.get(order.id)


async def _failed(store: Store) -> Order:
    order = await _sent(store)
    assert await store.inbound.record_webhooks((), [Report(message_id=f"s{order.id}", status="failed")]) == []
    return await store.orders.get(order.id)


async def _rejected(store: Store) -> Order:
    claim = await claim_new(store, EVENING)
    await store.queue.settle_rejected(claim, "46elks said no.")
    return await store.orders.get(claim.order_id)


async def _cancelled(store: Store) -> Order:
    return await store.cancellations.cancel((await place_one(store, EVENING)).id, "Not wanted any more.")


async def _expired(store: Store) -> Order:
    order = await place_one(store, EVENING)
    change_rows(store_place(store), "UPDATE orders SET expires_at = 0 WHERE id = ?", order.id)
    assert await store.queue.claim(UNPACED, allow) == Idle(None)
    return await store.orders.get(order.id)


def store_place(store: Store) -> StateLocation:
    """Find out where a store is."""
    url = engine_of(store).url
    if url.get_backend_name() == "sqlite":
        return StateLocation(folder=Path(url.database or "").parent)
    written = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return StateLocation(url=SecretStr(written.replace("+", "%20")))  # libpq reads a + as itself


async def _paused(store: Store) -> Order:
    plan = await store.batches.add(a_plan([PHONE], EVENING))
    await store.batches.start(plan.id, plan.digest, Approver.PERSON, checks_of(UNPACED))
    await store.batches.pause(plan.id, "Not now.")
    [(_, order)] = await store.batches.list_orders(plan.id)
    return order


WAYS: dict[OrderState, Way] = {
    OrderState.WAITING: _waiting,
    OrderState.PAUSED: _paused,
    OrderState.SCHEDULED: _scheduled,
    OrderState.QUEUED: _queued,
    OrderState.SENDING: _sending,
    OrderState.IN_DOUBT: _in_doubt,
    OrderState.UNKNOWN: _unknown,
    OrderState.SENT: _sent,
    OrderState.DELIVERED: _delivered,
    OrderState.FAILED: _failed,
    OrderState.REJECTED: _rejected,
    OrderState.CANCELLED: _cancelled,
    OrderState.EXPIRED: _expired,
}


BEYOND_WAITING = [state for state in OrderState if state is not OrderState.WAITING]


async def conclude_absent(store: Store, clock: ManualClock) -> None:
    """Find twice that history holds nothing, long enough after the attempt."""
    for _ in range(2):
        clock.advance(QUIET)
        await store.doubts.conclude([], read_at=clock.now(), quiet=QUIET, skew=NONE)


async def things_to_do(store: Store) -> tuple[set[str], timedelta | None]:
    """Name what a look finds, and say how long there is nothing else."""
    found = (await store.queue.find_due_work())._asdict()
    again_in: timedelta | None = found.pop("again_in")
    return {name for name, is_so in found.items() if is_so}, again_in
