"""Every step of an alert, failing once and dying once: nobody is reached twice for a step, nobody is skipped.

A call that may have been made is not made again: its order is unknown then, and the alert goes on.

A step is each statement and each commit, each request as it sets out and each answer as it comes, as in
`test_crash_points.py`. A new process on the same database goes on, and its caller asks again.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from pydantic import SecretStr

from elks_mcp.domain.alerts import Alert
from elks_mcp.domain.escalation import OPEN_STATES, AlertState
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.errors import ProviderError, StateUnavailable
from elks_mcp.sandbox import Fault
from elks_mcp.sandbox.call_behaviours import pressing
from elks_mcp.store import StateLocation
from tests.support.pagers import FIRST, SECOND_PERSON, Pager
from tests.support.provider import posts
from tests.support.stores import (
    KEY,
    PRICE,
    SteppedTransport,
    Steps,
    World,
    WorldBackend,
    is_death,
    read_rows,
)
from tests.test_crash_points import telling

pytestmark = pytest.mark.anyio

PATH = f"""
policies:
  jour:
    steps:
      - {{whom: {FIRST.e164}, by: sms, wait: 4}}
      - {{whom: {SECOND_PERSON.e164}, by: sms, wait: 4}}
    cost_cap: 50
"""
"""The waits are longer than it takes to find out whether a text left whose server died."""

CALLING = f"""
policies:
  jour:
    steps:
      - {{whom: {FIRST.e164}, by: [sms, call], wait: 6}}
      - {{whom: {SECOND_PERSON.e164}, by: call, wait: 6}}
    cost_cap: 50
"""
"""The first presses 2."""

BOTH = [FIRST.e164, SECOND_PERSON.e164]
POLL = timedelta(minutes=1)
"""How often an answer is looked for: seldom, so that a life has few steps that do the same."""

TRYING = timedelta(seconds=90)


@dataclass(frozen=True)
class Scenario:
    """The outcome of an alert, whatever else happens."""

    name: str
    answers: Number | None = None
    """The person who answers with the code, as soon as they have the text."""

    fault: Fault | None = None
    reached: tuple[str, ...] = tuple(BOTH)
    state: AlertState = AlertState.UNANSWERED
    path: str = PATH
    presses: str = ""
    """The digits that the second person presses in a call."""

    @property
    def calls(self) -> bool:
        """Whether people are called."""
        return self.path == CALLING


SCENARIOS = [
    Scenario("nobody answers"),
    Scenario("the first answers", FIRST, reached=(FIRST.e164,), state=AlertState.ACKNOWLEDGED),
    Scenario("the second answers", SECOND_PERSON, state=AlertState.ACKNOWLEDGED),
    Scenario("the answer of 46elks is lost", fault=Fault.DROP_AFTER),
    Scenario("no connection", fault=Fault.CONNECTION_REFUSED),
    Scenario("nobody presses 1", path=CALLING, reached=(FIRST.e164, *BOTH)),
    Scenario(
        "the second presses 1",
        path=CALLING,
        presses="1",
        reached=(FIRST.e164, *BOTH),
        state=AlertState.ACKNOWLEDGED,
    ),
]
named = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


async def raise_alert(pager: Pager, scenario: Scenario) -> Alert:
    """Raise the alert; a caller whose call fails asks again, with the same key."""
    for _ in range(4):
        with suppress(StateUnavailable, ProviderError):
            alert = await pager.page(idempotency_key="k")
            if scenario.fault and not posts(pager.backend.world.box):
                pager.fail(scenario.fault, times=1)
            return alert
    raise AssertionError("one step fails, not more")


async def settle(pager: Pager, scenario: Scenario, alert: Alert) -> None:
    """Let time pass until the alert is over, looking past all that could be disturbed."""
    world = pager.backend.world

    def answer() -> None:
        """Answer a text with its code, once."""
        for message in world.box.accepted:
            is_theirs = scenario.answers and message.to == scenario.answers.e164
            if is_theirs and not any(each.sender == message.to for each in world.box.history):
                code = message.text.partition("Reply OK ")[2][:4]
                world.box.receive(message.to, f"ok {code}")

    async def is_over() -> bool:
        answer()
        [(state,)] = read_rows(world.place, "SELECT state FROM alerts WHERE id = ?", alert.id)
        return state not in OPEN_STATES

    await pager.backend.pass_until(is_over)
    await pager.pass_time(TRYING)


async def live(scenario: Scenario, world: World, steps: Steps) -> None:
    """Live once, from the request to the end, unless a step is the last."""
    backend = WorldBackend(world, around=lambda transport: SteppedTransport(transport, steps))
    backend.reads_history = True
    try:
        async with backend.opened() as store:
            steps.listen(store)
            pager = Pager(backend, scenario.path, poll=POLL)
            async with backend.outbox.running(), pager.escalations.running():
                await settle(pager, scenario, await raise_alert(pager, scenario))
    except BaseException as error:
        if not is_death(error):
            raise


async def see_to_the_rest(scenario: Scenario, world: World) -> Alert:
    """Live again, undisturbed, and return the alert at its end."""
    backend = WorldBackend(world)
    backend.reads_history = True
    async with backend.running() as store:
        pager = Pager(backend, scenario.path, poll=POLL)
        async with pager.escalations.running():
            alert = await raise_alert(pager, scenario)
            await settle(pager, scenario, alert)
        [only] = await store.alerts.list_latest(10)
        return only


def check_calls(scenario: Scenario, world: World, alert: Alert) -> None:
    """Check that each person was texted and called once for each step, unless a call is in doubt for good."""
    texted, called = [each.to for each in world.box.accepted], [each.to for each in world.box.calls.history]
    assert texted == [FIRST.e164]
    assert [each.position for each in alert.attempts] == [0, 1, 2]
    assert [each.to and each.to.e164 for each in alert.attempts] == list(scenario.reached)
    calls = alert.attempts[1:]
    unknown = [each.to.e164 for each in calls if each.order_state is OrderState.UNKNOWN and each.to]
    assert called == [number for number in BOTH if number not in unknown]
    assert len(unknown) <= 1
    has_pressed = bool(scenario.presses) and SECOND_PERSON.e164 in called
    state = AlertState.ACKNOWLEDGED if has_pressed else AlertState.UNANSWERED
    assert (alert.state, alert.acknowledged_by) == (state, SECOND_PERSON if has_pressed else None)
    assert alert.spent <= alert.most


def check(scenario: Scenario, world: World, alert: Alert) -> None:
    """Check that each person of the path was texted once, in order, and nobody after an answer."""
    accepted = world.box.accepted
    assert [message.to for message in accepted] == list(scenario.reached)
    assert len(world.box.charges) == len(accepted)
    assert (alert.state, alert.acknowledged_by) == (scenario.state, scenario.answers)
    assert [each.position for each in alert.attempts] == list(range(len(scenario.reached)))
    assert alert.spent.units == len(accepted) * PRICE
    assert alert.ended_at
    assert all(each.at <= alert.ended_at for each in alert.attempts)


async def go_wrong(
    scenario: Scenario, location: StateLocation, wrong: int | None, *, fatal: bool
) -> list[str]:
    """Make a step of the first process go wrong, and check the result; return its steps."""
    world = World(location)
    if scenario.presses:
        world.box.handset(SECOND_PERSON.e164).calls = pressing(scenario.presses)
    steps = Steps(wrong, fatal=fatal)
    await live(scenario, world, steps)
    try:
        judge = check_calls if scenario.calls else check
        judge(scenario, world, await see_to_the_rest(scenario, world))
    except BaseException as error:
        last = steps.taken[-1] if fatal else steps.taken[wrong or 0]
        error.add_note(f"{scenario.name}: step {wrong}, {last!r}, {'fatal' if fatal else 'failed'}")
        raise
    return steps.taken


def list_kinds(steps: list[str]) -> list[str]:
    """Return the kind of each step: a request by its path, a commit by the last write before it.

    Writes are of one kind if they change the same columns. All reads are of one kind, and so are all commits
    of transactions that write nothing.
    """
    kinds, written = [], ""
    for step in steps:
        verb = step.partition(" ")[0]
        if verb in {"INSERT", "UPDATE", "DELETE"}:
            kinds.append(written := re.split(r" WHERE | VALUES ", step, maxsplit=1)[0])
        elif step in {"commit", "committed"}:
            kinds.append(f"{step} of {written}")
            written = written if step == "commit" else ""
        else:
            kinds.append("SELECT" if verb == "SELECT" else re.sub(r"/c[0-9a-f]{32}", "/c", step))
    return kinds


def choose(lives: Mapping[str, list[str]], known: set[str], turn: int) -> list[tuple[str, int]]:
    """Choose a step of each known kind, in the scenarios by turns.

    `lives`: the steps of each scenario without a failure. In the thorough profile all telling ones are tried.
    """
    places: dict[str, list[tuple[str, int]]] = {}
    for name, steps in lives.items():
        kinds = list_kinds(steps)
        for number in sorted({*telling(steps), *map(kinds.index, kinds)}):
            if kinds[number] in known:
                places.setdefault(kinds[number], []).append((name, number))
    if settings.get_current_profile_name() == "thorough":
        return [place for each in places.values() for place in each]
    return [each[(turn + at) * 7 % len(each)] for at, each in enumerate(places.values())]


@pytest.fixture
def folder(tmp_path: Path) -> StateLocation:
    """Return a location for a store in a state directory."""
    return StateLocation(folder=tmp_path)


@pytest.fixture
def server(postgres_database: str) -> StateLocation:
    """Have a place for a store on a PostgreSQL."""
    return StateLocation(url=SecretStr(postgres_database), key=KEY)


@named
async def test_p4_without_a_failure_each_person_is_reached_once(
    folder: StateLocation, scenario: Scenario
) -> None:
    steps = await go_wrong(scenario, folder, None, fatal=False)
    assert {"commit", "committed"} <= set(steps)


@pytest.mark.lengthy
@named
async def test_p4_a_server_that_dies_at_a_step_neither_repeats_nor_skips_a_person(
    folder: StateLocation, scenario: Scenario
) -> None:
    steps = telling(await go_wrong(scenario, folder, None, fatal=False))
    for wrong in steps[SCENARIOS.index(scenario) :: 75 if scenario.calls else 25]:
        await go_wrong(scenario, folder, wrong, fatal=True)


async def go_wrong_at_each_kind(
    location: StateLocation, scenarios: Sequence[Scenario], kinds: str = "", *, fatal: bool, turn: int = 0
) -> None:
    """Make a step of each kind go wrong, in one of the scenarios by turns.

    `kinds`: a pattern of those that are tried. `turn`: another number chooses other steps.
    """
    lives = {each.name: await go_wrong(each, location, None, fatal=False) for each in scenarios}
    known = {kind for steps in lives.values() for kind in list_kinds(steps) if re.match(kinds, kind)}
    chosen = choose(lives, known, turn)
    assert len(chosen) >= len(known)
    for name, wrong in chosen:
        [scenario] = [each for each in scenarios if each.name == name]
        await go_wrong(scenario, location, wrong, fatal=fatal)


@pytest.mark.long
@pytest.mark.parametrize("calls", [False, True], ids=["texts", "calls"])
async def test_p4_whichever_kind_of_step_of_an_alert_is_the_last_each_person_is_reached_once(
    folder: StateLocation, calls: bool
) -> None:
    await go_wrong_at_each_kind(folder, [each for each in SCENARIOS if each.calls == calls], fatal=True)


@pytest.mark.long
async def test_p4_whichever_kind_of_step_of_an_alert_fails_each_person_is_reached_once(
    folder: StateLocation,
) -> None:
    await go_wrong_at_each_kind(folder, SCENARIOS, fatal=False, turn=1)


@pytest.mark.long
async def test_p4_wherever_a_server_on_a_shared_database_dies_each_person_is_reached_once(
    server: StateLocation,
) -> None:
    """Try each commit that is done, and paid requests: a death before a commit leaves what was there."""
    await go_wrong_at_each_kind(server, SCENARIOS, "committed|(answer to )?POST", fatal=True, turn=2)
