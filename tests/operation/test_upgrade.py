"""An upgrade from the first version, whose own code wrote the state in `first_version`.

Its key is `KEY`. It held a text in each state. A number had opted out. One text had cost twice its price.
"""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from elks_mcp.domain.orders import Order, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.errors import Refused
from elks_mcp.store import StateLocation
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.db.migrate import HEAD
from elks_mcp.store.store import Store
from tests.support.clocks import ManualClock
from tests.support.outbox_cases import MINUTE
from tests.support.provider import NOON, PHONE, a_draft, an_approval
from tests.support.stores import (
    ACCOUNT,
    DATABASES,
    OTHER_PHONE,
    PRICE,
    World,
    WorldBackend,
    allow,
    opened,
    read_rows,
    unless_opted_out,
    within,
)

pytestmark = pytest.mark.anyio

FIRST = Path(__file__).parent / "first_version"
KEY = SecretStr("a secret of the first version, long enough")
OPTED_OUT = Number("+46701740608")
CHARGED = 6 * PRICE
"""One price each for what is unknown, in doubt, being sent and queued, and two for the text that was sent."""


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return the location of the state that the first version left."""
    written = (FIRST / f"{request.param}.sql").read_text("utf-8")
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_database")
        with psycopg.connect(url) as connection:
            connection.execute(written.encode())
        return StateLocation(url=SecretStr(url), key=KEY)
    location = StateLocation(folder=tmp_path, key=KEY)
    assert location.file
    with closing(sqlite3.connect(location.file)) as file:
        file.executescript(written)
    location.file.chmod(0o600)
    return location


@pytest.fixture
def clock() -> ManualClock:
    """Stop the clock two minutes after noon: the first version stopped a minute before."""
    return ManualClock(NOON + 2 * MINUTE)


async def states(store: Store) -> dict[OrderState, Order]:
    """Return the orders, by their state."""
    listed = await store.orders.list_latest(20)
    assert Counter(each.state for each in listed).most_common(1)[0][1] == 1
    return {each.state: each for each in listed}


async def test_the_orders_of_the_first_version_are_kept(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        orders = await states(store)
        assert orders.keys() == {
            OrderState.UNKNOWN,
            OrderState.SENT,
            OrderState.REJECTED,
            OrderState.CANCELLED,
            OrderState.IN_DOUBT,
            OrderState.SENDING,
            OrderState.WAITING,
            OrderState.QUEUED,
        }
        texts = {state: order.text for state, order in orders.items() if order.text}
        assert texts == {
            OrderState.UNKNOWN: "Unknown",
            OrderState.IN_DOUBT: "In doubt",
            OrderState.SENDING: "Being sent",
            OrderState.WAITING: "Waiting",
            OrderState.QUEUED: "Queued",
        }
        receipt = orders[OrderState.SENT].receipt
        assert receipt
        assert receipt.message_id == "s" + "1" * 32
        assert orders[OrderState.QUEUED].to == OTHER_PHONE
    assert read_rows(location, "SELECT version_num FROM alembic_version") == [(HEAD,)]


@pytest.mark.parametrize(("text", "key", "to"), [("Sent", "sent", PHONE), ("Queued", "queued", OTHER_PHONE)])
async def test_p4_a_repeated_request_to_the_first_version_is_recognized(
    location: StateLocation, clock: ManualClock, text: str, key: str, to: Number
) -> None:
    async with opened(location, clock) as store:
        for repeat in (a_draft(text, to=to, key=key), a_draft(text, to=to)):
            placed = await store.orders.place(an_approval(repeat), allow)
            assert placed.is_repeat
            assert placed.order.state in {OrderState.SENT, OrderState.QUEUED}


async def test_p6_an_opt_out_that_the_first_version_recorded_holds(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        with pytest.raises(Refused, match="They said STOP"):
            await store.orders.place(an_approval(a_draft(to=OPTED_OUT)), unless_opted_out)


async def test_p5_money_that_the_first_version_spent_counts_towards_the_budget(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        with pytest.raises(Refused, match=f"^{CHARGED} is spent"):
            await store.orders.place(an_approval(a_draft("Two")), within(CHARGED + PRICE - 1))
        placed = await store.orders.place(an_approval(a_draft("Three")), within(CHARGED + PRICE))
        assert placed.order.state is OrderState.QUEUED


async def test_p4_texts_that_the_first_version_left_go_out_once(
    location: StateLocation, clock: ManualClock
) -> None:
    """46elks accepted neither what was in doubt nor what was being sent when the server stopped."""
    world = World(location)
    world.clock.advance(clock.now() - world.clock.now())
    world.account = ACCOUNT
    backend = WorldBackend(world)
    async with backend.running() as store:
        before = await states(store)
        await backend.pass_time(10 * MINUTE)
        counts = Counter(message.text for message in world.box.accepted)
        assert counts == {"In doubt": 1, "Being sent": 1, "Queued": 1}
        assert (await store.orders.get(before[OrderState.WAITING].id)).state is OrderState.WAITING
        assert (await store.orders.get(before[OrderState.UNKNOWN].id)).state is OrderState.UNKNOWN
        approved = await OrderAdmin(store.database).approve(before[OrderState.WAITING].id)
        assert approved.order.text == "Waiting"
        await backend.pass_time(MINUTE)
    counts = Counter(message.text for message in world.box.accepted)
    assert counts == {"In doubt": 1, "Being sent": 1, "Queued": 1, "Waiting": 1}
