"""Texts and MMS whose answer was lost, while clocks differ or are changed.

46elks' history says by 46elks' clock when a message was created, and an attempt is looked for from then on.
"""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from elks_mcp.domain.kinds import MMS, SMS
from elks_mcp.domain.mms_payload import Mms, PreparedImage
from elks_mcp.domain.orders import ACCEPTED, Draft, OrderState
from elks_mcp.domain.payloads import Payload, Sms
from elks_mcp.sandbox import Fault, Sandbox
from tests.support.clocks import ManualClock, SandboxClock
from tests.support.mms_cases import PNG, data_url
from tests.support.provider import OURS, PHONE, an_approval
from tests.support.state_folders import with_tables
from tests.support.stores import MINUTE, SECOND, World, WorldBackend

pytestmark = pytest.mark.anyio

HOUR, STEP = timedelta(hours=1), 5 * SECOND


def a_payload(kind: str) -> Payload:
    if kind == SMS:
        return Sms(text="Hej!")
    digest = hashlib.sha256(PNG).hexdigest()
    image = PreparedImage(name="", data_url=data_url(PNG), digest=digest, width=60, height=40, size=len(PNG))
    return Mms(text="Titta!", image=image)


async def pass_both(backend: WorldBackend, real: ManualClock, time: timedelta) -> None:
    """Let time pass for this machine, and for 46elks."""
    for _ in range(int(time / STEP)):
        real.advance(STEP)
        await backend.pass_time(STEP)


@pytest.mark.parametrize(
    ("has_answered", "change"),
    [(True, -2 * HOUR), (True, 2 * HOUR), (False, -5 * MINUTE), (True, timedelta(0))],
    ids=["set back", "set forward", "set back before any answer", "unchanged"],
)
@pytest.mark.parametrize("kind", [SMS, MMS])
async def test_p4_a_clock_that_is_changed_during_a_doubt_leads_to_no_second_message(
    tmp_path: Path, kind: str, has_answered: bool, change: timedelta
) -> None:
    world, real = World(with_tables(tmp_path / "state")), ManualClock()
    world.box = box = Sandbox(clock=SandboxClock(real), balance=10**9)
    box.faults.inject(Fault.DROP_AFTER, method="POST", path=f"/{kind}", times=1)
    box.faults.inject(Fault.UNAVAILABLE, method="GET", path=f"/{kind}", times=None)
    first = WorldBackend(world)
    async with first.running():
        if has_answered:
            await first.client.get_account()
        draft = Draft(to=PHONE, payload=a_payload(kind), sender=OURS)
        placed = await first.outbox.place(an_approval(draft, price=5200), first.orders)
        await pass_both(first, real, 5 * SECOND)
    assert len(box.accepted) == 1
    world.clock.advance(change)
    second = WorldBackend(world)
    async with second.running() as store:
        await pass_both(second, real, 5 * SECOND)
        box.faults.clear()  # 46elks' history can be read again
        await pass_both(second, real, 9 * MINUTE + abs(change))
        order = await store.orders.get(placed.order.id)
    assert len(box.accepted) == 1
    assert order.state in {*ACCEPTED, OrderState.UNKNOWN}
    if has_answered and change <= timedelta(0):  # an order that seems to be two hours old expires
        assert order.receipt


@pytest.mark.parametrize(
    "change",
    [HOUR, 10 * MINUTE, -HOUR],
    ids=["set forward by an hour", "set forward by ten minutes", "set back by an hour"],
)
async def test_p4_a_clock_that_is_changed_between_46elks_answer_and_the_attempt_sends_once(
    tmp_path: Path, change: timedelta
) -> None:
    """The difference of the clocks is then wrong by as much, until 46elks answers again."""
    world, real = World(with_tables(tmp_path / "state")), ManualClock()
    world.box = box = Sandbox(clock=SandboxClock(real), balance=10**9)
    box.faults.inject(Fault.DROP_AFTER, method="POST", path="/sms", times=1)
    backend = WorldBackend(world)
    async with backend.running():
        await backend.client.get_account()
        world.clock.advance(change)
        await backend.outbox.place(
            an_approval(Draft(to=PHONE, payload=a_payload(SMS), sender=OURS)), backend.orders
        )
        await pass_both(backend, real, 20 * MINUTE)
    assert len(box.accepted) == 1


class LaggingClock(ManualClock):
    """The clock of a machine that is behind that of its database, and behind 46elks."""

    def __init__(self, inner: ManualClock, lag: timedelta) -> None:
        super().__init__()
        self._inner, self._lag = inner, lag

    def now(self) -> datetime:
        """Return the time of this machine."""
        return self._inner.now() - self._lag


@pytest.mark.parametrize("kind", [SMS, MMS])
@pytest.mark.parametrize("lag", [timedelta(0), 45 * SECOND, 10 * MINUTE, -10 * MINUTE])
async def test_p4_a_machine_whose_clock_differs_from_its_database_s_sends_once(
    tmp_path: Path, kind: str, lag: timedelta
) -> None:
    world = World(with_tables(tmp_path / "state"))
    world.box.faults.inject(Fault.DROP_AFTER, method="POST", path=f"/{kind}", times=1)
    backend = WorldBackend(world)
    backend.api.provider_clock._clock = LaggingClock(world.clock, lag)
    async with backend.running() as store:
        draft = Draft(to=PHONE, payload=a_payload(kind), sender=OURS)
        placed = await backend.outbox.place(an_approval(draft, price=5200), backend.orders)
        await backend.pass_time(9 * MINUTE)
        order = await store.orders.get(placed.order.id)
    assert len(world.box.accepted) == 1
    assert order.receipt, order.state


@pytest.mark.parametrize("kind", [SMS, MMS])
async def test_p4_a_clock_set_forward_after_an_attempt_does_not_end_the_quiet_period(
    tmp_path: Path, kind: str
) -> None:
    """46elks shows a message a minute late, and half of that is left when the clock changes."""
    world, real = World(with_tables(tmp_path / "state")), ManualClock()
    world.box = box = Sandbox(clock=SandboxClock(real), balance=10**9)
    box.faults.inject(Fault.DROP_AFTER, method="POST", path=f"/{kind}", times=1)
    box.faults.inject(Fault.STALE_HISTORY, method="GET", path=f"/{kind}", times=None, duration=MINUTE)
    backend = WorldBackend(world)
    async with backend.running() as store:
        await backend.client.get_account()
        draft = Draft(to=PHONE, payload=a_payload(kind), sender=OURS)
        placed = await backend.outbox.place(an_approval(draft, price=5200), backend.orders)
        await pass_both(backend, real, 30 * SECOND)
        world.clock.advance(10 * MINUTE)
        await pass_both(backend, real, 9 * MINUTE)
        order = await store.orders.get(placed.order.id)
    assert len(box.accepted) == 1
    assert order.receipt, order.state
