"""Every step on an order's way out, failing once and dying once: one message, one order, and the truth told.

A step is each statement and each commit, each request as it sets out and each answer as it comes. They
are counted in an undisturbed run; then each of them in turn fails, or is the last thing the process ever
does. A new process on the same database sees to the rest, and its caller asks again, as callers do.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from pydantic import SecretStr

from elks_mcp.domain.orders import ACCEPTED, NEVER_SENT, Approver, Order, Report
from elks_mcp.errors import Refused, StateUnavailable
from elks_mcp.sandbox import Fault
from elks_mcp.store import StateLocation
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.store import Store
from tests.support.provider import NOON, a_draft, an_approval
from tests.support.stores import (
    DATABASES,
    KEY,
    PRICE,
    SteppedTransport,
    Steps,
    World,
    WorldBackend,
    change_rows,
    is_death,
    is_unfinished,
    read_rows,
    said,
)

pytestmark = pytest.mark.anyio

TEXT = "Kom hem till middagen"
TRYING = timedelta(seconds=6)
"""Longer than a server tries to record the outcome of a text."""


Act = Callable[[WorldBackend, Store], Awaitable[Order]]


@dataclass(frozen=True)
class Scenario:
    """A request, a fault of 46elks, and the required result, whatever else happens."""

    name: str
    act: Act
    fault: Fault | None = None
    fault_text: str = ""
    sends: bool | None = True
    """Whether one text goes out; None: that depends, but at most one does."""

    def prepare(self, world: World) -> None:
        """Have go wrong what goes wrong."""
        if self.fault:
            more: dict[str, Any] = {"text": self.fault_text} if self.fault_text else {}
            world.box.faults.inject(self.fault, method="POST", path="/sms", **more)


async def place(backend: WorldBackend, store: Store) -> Order:
    """Place an order; who fails to asks again, with the same words."""
    for _ in range(3):
        with suppress(StateUnavailable):
            return (await backend.outbox.place(an_approval(a_draft(TEXT)), backend.orders)).order
    raise AssertionError("one step fails, not more")


async def place_under_key(backend: WorldBackend, store: Store) -> Order:
    """Place an order under a key."""
    for _ in range(3):
        with suppress(StateUnavailable):
            return (await backend.outbox.place(an_approval(a_draft(TEXT, key="k")), backend.orders)).order
    raise AssertionError("one step fails, not more")


async def place_for_later(backend: WorldBackend, store: Store) -> Order:
    """Place an order that goes out a minute after everything began."""
    approval = an_approval(a_draft(TEXT, send_at=NOON + timedelta(minutes=1)))
    for _ in range(3):
        with suppress(StateUnavailable):
            return (await backend.outbox.place(approval, backend.orders)).order
    raise AssertionError("one step fails, not more")


async def place_in_queue(backend: WorldBackend, store: Store) -> Order:
    """Place an order as one whose turn has not come, and hand it to the worker."""
    for _ in range(3):
        with suppress(StateUnavailable):
            placed = await backend.orders.place(an_approval(a_draft(TEXT)))
            backend.outbox.hand_over(placed.order)
            return placed.order
    raise AssertionError("one step fails, not more")


async def let_a_person_agree(backend: WorldBackend, store: Store) -> Order:
    """Place an order that waits for a person, who says yes: twice, since the answer may be replayed."""
    approval = an_approval(a_draft(TEXT), Approver.PERSON)
    released = None
    for _ in range(3):
        try:
            placed = await backend.orders.place(approval)
            released = await store.orders.approve(placed.order.id, backend.checks.recheck)
            released = await store.orders.approve(placed.order.id, backend.checks.recheck)
            break
        except StateUnavailable:
            continue
    assert released
    backend.outbox.hand_over(released.order)
    return released.order


async def let_a_terminal_agree(backend: WorldBackend, store: Store) -> Order:
    """Place an order that a person approves in a terminal, which is another process."""
    approval = an_approval(a_draft(TEXT), Approver.TERMINAL)
    for _ in range(3):
        try:
            order = (await backend.orders.place(approval)).order
            await OrderAdmin(store.database).approve(order.id)
        except StateUnavailable:
            continue
        return order
    raise AssertionError("one step fails, not more")


async def place_for_one_who_said_stop(backend: WorldBackend, store: Store) -> Order:
    """Place an order, and receive a STOP before anybody could send it."""
    order = None
    for _ in range(3):
        try:
            order = order or (await backend.orders.place(an_approval(a_draft(TEXT)))).order
            await store.inbound.record([said("STOP", at=backend.clock.now())])
            break
        except StateUnavailable:
            continue
        except Refused:  # an earlier process stored the STOP, and so has the order that it was about
            [*_, order] = await list_orders(backend.world, store)
            break
    assert order
    backend.outbox.hand_over(order)
    return order


async def place_and_cancel(backend: WorldBackend, store: Store) -> Order:
    """Place an order and think better of it."""
    order = None
    for _ in range(3):
        try:
            order = order or (await backend.orders.place(an_approval(a_draft(TEXT)))).order
            return await store.cancellations.cancel(order.id, "Not wanted.")
        except StateUnavailable:
            continue
    raise AssertionError("one step fails, not more")


async def place_and_hear_a_report(backend: WorldBackend, store: Store) -> Order:
    """Place an order that is reported as delivered, although no answer came."""
    order = await place(backend, store)

    async def is_out() -> bool:
        return bool(backend.world.box.accepted)

    await backend.pass_until(is_out)
    [message] = backend.world.box.accepted
    for _ in range(3):
        try:
            await store.inbound.record_webhooks(
                (), [Report(message_id=message.id, status="delivered", order_id=order.id)]
            )
            break
        except StateUnavailable:
            continue
    return order


SCENARIOS = [
    Scenario("sent", place),
    Scenario("sent under a key", place_under_key),
    Scenario("sent from the queue", place_in_queue),
    Scenario("sent later", place_for_later),
    Scenario("the answer is lost", place, Fault.DROP_AFTER),
    Scenario("never arrived", place, Fault.DROP_BEFORE),
    Scenario("no connection", place, Fault.CONNECTION_REFUSED),
    Scenario("too many requests", place, Fault.TOO_MANY_REQUESTS),
    Scenario("no money", place, Fault.FORBIDDEN, "Not enough credits"),
    Scenario("rejected", place, Fault.FORBIDDEN, "Invalid number", sends=None),
    Scenario("a person agrees", let_a_person_agree),
    Scenario("approved in a terminal", let_a_terminal_agree),
    Scenario("they said STOP", place_for_one_who_said_stop, sends=False),
    Scenario("cancelled", place_and_cancel, sends=None),
    Scenario("reported, not answered", place_and_hear_a_report, Fault.DROP_AFTER),
]


async def settle(backend: WorldBackend) -> None:
    """Let time pass until nothing is unfinished, looking past all that could be disturbed."""

    async def is_settled() -> bool:
        return not is_unfinished(backend.world.place, backend.world.account)

    await backend.pass_until(is_settled)
    await backend.pass_time(
        TRYING
    )  # who could not put something down tries again, and time stands still at the end


async def live(scenario: Scenario, world: World, steps: Steps, reported: Order | None) -> Order | None:
    """Live once, from the wish to the end, unless a step is the last; return what the caller was told."""
    backend = WorldBackend(world, around=lambda transport: SteppedTransport(transport, steps))
    try:
        async with backend.opened() as store:
            steps.listen(store)
            async with backend.outbox.running():
                reported = reported or await scenario.act(backend, store)
                await settle(backend)
    except BaseException as error:
        if not is_death(error):
            raise
    return reported


async def see_to_the_rest(scenario: Scenario, world: World, reported: Order | None) -> list[Order]:
    """Live again, undisturbed; a caller who was told nothing asks again. Return all orders there are."""
    backend = WorldBackend(world)
    async with backend.running() as store:
        if reported is None:
            await scenario.act(backend, store)
        await settle(backend)
        return await list_orders(world, store)


async def list_orders(world: World, store: Store) -> list[Order]:
    """List the orders of an account."""
    filed = await OrderAdmin(store.database).list_orders(100_000)
    return [each.order for each in filed if each.owner == world.account]


def check(scenario: Scenario, world: World, reported: Order | None, orders: list[Order]) -> None:
    """Check that what is written down is what happened, and that it happened once.

    There are two orders only where nobody was told that the first had come to nothing.
    """
    *before, order = sorted(orders, key=lambda each: each.state in ACCEPTED)
    assert not before or (reported is None and all(each.state in NEVER_SENT for each in before))
    accepted = world.box.accepted
    assert order.id == (reported or order).id
    assert len(accepted) <= 1
    assert scenario.sends in {None, bool(accepted)}
    assert len(world.box.charges) == len(accepted)
    assert order.text is None
    if accepted:
        assert order.state in ACCEPTED
        assert order.receipt
        assert order.receipt.message_id == accepted[0].id
        assert accepted[0].text == TEXT
    else:
        assert order.state in NEVER_SENT
    charges = "SELECT sum(charge) FROM orders JOIN accounts ON accounts.id = account_id WHERE username = ?"
    assert read_rows(world.place, charges, world.account.username) == [(len(accepted) * PRICE,)]


async def go_wrong(scenario: Scenario, location: StateLocation, *wrong: int | None, fatal: bool) -> list[str]:
    """Make a step of each process go wrong, and check the result; return the steps of the last process."""
    world = World(location)
    scenario.prepare(world)
    reported: Order | None = None
    steps = Steps()
    for number in wrong:
        steps = Steps(number, fatal=fatal)
        reported = await live(scenario, world, steps, reported)
    try:
        orders = await see_to_the_rest(scenario, world, reported)
        check(scenario, world, reported, orders)
    except BaseException as error:
        end = steps.taken[-1] if fatal else steps.taken[wrong[-1] or 0]
        error.add_note(f"{scenario.name}: step {wrong}, {end!r}, {'fatal' if fatal else 'failed'}")
        raise
    change_rows(location, "DELETE FROM opt_outs")  # a STOP holds for every account, and so for the next world
    return steps.taken


def telling(steps: list[str]) -> list[int]:
    """Choose the steps that differ: not each of many looks at the same thing, while time passes."""
    chosen: dict[object, int] = {}
    for number, step in enumerate(steps):
        before = tuple(steps[max(0, number - 4) : number])
        requests = sum(each.startswith("POST") for each in steps[:number])
        chosen.setdefault((step, before, requests), number)
    return list(chosen.values())


def sample(scenario: Scenario, steps: list[str]) -> list[int]:
    """Choose a fifth of the telling steps, others in each scenario; in the thorough profile, all of them."""
    if settings.get_current_profile_name() == "thorough":
        return telling(steps)
    return telling(steps)[SCENARIOS.index(scenario) % 5 :: 5]


@pytest.fixture
def folder(tmp_path: Path) -> StateLocation:
    """Return a location for a store in a state directory."""
    return StateLocation(folder=tmp_path)


@pytest.fixture
def server(postgres_database: str) -> StateLocation:
    """Have a place for a store on a PostgreSQL."""
    return StateLocation(url=SecretStr(postgres_database), key=KEY)


_ON_A_SHARED_DATABASE = {"the answer is lost", "approved in a terminal", "sent later"}
"""Scenarios in which a shared database differs: its clock decides, and connections notify each other."""

named = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
named_where_it_matters = pytest.mark.parametrize(
    ("database", "scenario"),
    [
        pytest.param(
            database,
            scenario,
            id=f"{database}-{scenario.name}",
            marks=pytest.mark.long
            if database == "postgres" and scenario.name not in _ON_A_SHARED_DATABASE
            else (),
        )
        for database in DATABASES
        for scenario in SCENARIOS
    ],
)
fatally = pytest.mark.parametrize("fatal", [False, True], ids=["fails", "dies"])


@named_where_it_matters
async def test_without_a_failure_every_step_completes(
    request: pytest.FixtureRequest, database: str, scenario: Scenario
) -> None:
    location: StateLocation = request.getfixturevalue({"sqlite": "folder", "postgres": "server"}[database])
    steps = await go_wrong(scenario, location, None, fatal=False)
    assert {"commit", "committed"} <= set(steps)


@fatally
@pytest.mark.lengthy
async def test_one_message_goes_out_whichever_step_fails(folder: StateLocation, fatal: bool) -> None:
    scenario = SCENARIOS[0]
    for wrong in range(len(await go_wrong(scenario, folder, None, fatal=False))):
        await go_wrong(scenario, folder, wrong, fatal=fatal)


@pytest.mark.long
async def test_one_message_goes_out_wherever_the_process_dies_after_a_lost_answer(
    folder: StateLocation,
) -> None:
    scenario = next(each for each in SCENARIOS if each.name == "the answer is lost")
    steps = await go_wrong(scenario, folder, None, fatal=False)
    for wrong in telling(steps)[20:]:
        await go_wrong(scenario, folder, wrong, fatal=True)


@pytest.mark.long
@fatally
@named
async def test_whichever_step_of_any_request_fails_the_answer_is_true(
    folder: StateLocation, scenario: Scenario, fatal: bool
) -> None:
    for wrong in sample(scenario, await go_wrong(scenario, folder, None, fatal=False)):
        await go_wrong(scenario, folder, wrong, fatal=fatal)


@pytest.mark.long
@named
async def test_wherever_the_process_dies_on_a_shared_database_the_answer_is_true(
    server: StateLocation, scenario: Scenario
) -> None:
    for wrong in sample(scenario, await go_wrong(scenario, server, None, fatal=False)):
        await go_wrong(scenario, server, wrong, fatal=True)


@pytest.mark.long
@fatally
@pytest.mark.parametrize("scenario", SCENARIOS[:3], ids=lambda scenario: scenario.name)
async def test_a_second_failure_during_the_recovery_changes_nothing(
    folder: StateLocation, scenario: Scenario, fatal: bool
) -> None:
    for wrong in sample(scenario, await go_wrong(scenario, folder, None, fatal=False)):
        for again in (3 + wrong % 7, 13 + wrong % 11, 31 + wrong % 13):
            await go_wrong(scenario, folder, wrong, again, fatal=fatal)
