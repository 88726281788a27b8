"""Every step of a call on its way out, failing once and dying once: nobody is called twice.

The steps are those of `tests/test_crash_points.py`: statements, commits, requests and answers.
"""

from contextlib import suppress
from pathlib import Path

import pytest

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.orders import ACCEPTED, NEVER_SENT, Draft, Order, OrderState
from elks_mcp.errors import StateUnavailable
from elks_mcp.sandbox import Fault
from elks_mcp.store import StateLocation
from tests.support.provider import OURS, PHONE, an_approval
from tests.support.stores import SteppedTransport, Steps, World, WorldBackend, is_death
from tests.test_crash_points import list_orders, settle, telling

pytestmark = pytest.mark.anyio

FAULTS = [None, Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.CONNECTION_REFUSED]
PRICE = 8000


async def place_call(backend: WorldBackend) -> Order:
    """Place a call; a caller who gets an error asks again, with the same words."""
    payload = Call(text="The site is down. Press 1.", digits=1, per_minute=PRICE)
    draft = Draft(to=PHONE, payload=payload, sender=OURS)
    for _ in range(3):
        with suppress(StateUnavailable):
            return (await backend.outbox.place(an_approval(draft, price=PRICE), backend.orders)).order
    raise AssertionError("one step fails, not more")


async def live(world: World, steps: Steps) -> Order | None:
    """Run one process until its order is settled, unless a step is the last one."""
    backend = WorldBackend(world, around=lambda transport: SteppedTransport(transport, steps))
    reported = None
    try:
        async with backend.opened() as store:
            steps.listen(store)
            async with backend.outbox.running():
                reported = await place_call(backend)
                await settle(backend)
    except BaseException as error:
        if not is_death(error):
            raise
    return reported


async def finish(world: World, reported: Order | None) -> list[Order]:
    """Run another process, undisturbed; a caller who got no answer asks again. Return all orders."""
    backend = WorldBackend(world)
    async with backend.running() as store:
        if reported is None:
            await place_call(backend)
        await settle(backend)
        return await list_orders(world, store)


def check(world: World, orders: list[Order]) -> None:
    """Check that at most one call was made, and that the orders say what happened."""
    made = world.box.calls.history
    assert len(made) <= 1
    accepted = [order for order in orders if order.state in ACCEPTED]
    assert len(accepted) == len(made)
    for order in accepted:
        assert order.receipt
        assert order.receipt.message_id == made[0].id
    others = [order for order in orders if order not in accepted]
    assert all(order.state in {*NEVER_SENT, OrderState.UNKNOWN} for order in others)
    assert len([order for order in orders if order.state is OrderState.UNKNOWN]) + len(made) <= 1
    assert len(made) + len(others) >= 1


async def go_wrong(
    location: StateLocation, fault: Fault | None, wrong: int | None, *, fatal: bool
) -> list[str]:
    """Make a step go wrong, and check the result; return the steps of the first process."""
    world = World(location)
    if fault:
        world.box.faults.inject(fault, method="POST", path="/calls")
    steps = Steps(wrong, fatal=fatal)
    reported = await live(world, steps)
    try:
        check(world, await finish(world, reported))
    except BaseException as error:
        error.add_note(f"{fault}: step {wrong}, {'fatal' if fatal else 'failed'}")
        raise
    return steps.taken


@pytest.fixture
def folder(tmp_path: Path) -> StateLocation:
    """Return a location for a store in a state directory."""
    return StateLocation(folder=tmp_path)


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_a_failure_a_call_is_made_once_or_unknown(
    folder: StateLocation, fault: Fault | None
) -> None:
    steps = await go_wrong(folder, fault, None, fatal=False)
    assert "commit" in steps


@pytest.mark.parametrize("fatal", [False, True], ids=["fails", "dies"])
@pytest.mark.parametrize("fault", FAULTS[:2])
async def test_p4_a_call_is_made_once_whichever_step_fails(
    folder: StateLocation, fault: Fault | None, fatal: bool
) -> None:
    for wrong in telling(await go_wrong(folder, fault, None, fatal=False))[:: 1 if fatal else 4]:
        await go_wrong(folder, fault, wrong, fatal=fatal)


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS[2:])
async def test_p4_a_call_is_made_once_wherever_the_process_dies(folder: StateLocation, fault: Fault) -> None:
    for wrong in telling(await go_wrong(folder, fault, None, fatal=False)):
        await go_wrong(folder, fault, wrong, fatal=True)
