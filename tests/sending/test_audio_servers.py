"""Calls that play audio are made by a server from which 46elks can fetch it, and by no other."""

from pathlib import Path
from typing import Any

import pytest

from elks_mcp.answers.orders import explain_order
from elks_mcp.answers.schedule import find_forecast
from elks_mcp.app import open_app
from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.orders import ORDER_LATENESS, Approver, Draft, Order, OrderState
from elks_mcp.settings import load
from elks_mcp.store import Idle, StateLocation
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.calls import StoredAudio
from tests.support.clocks import ManualClock
from tests.support.connecting import box_on, live
from tests.support.provider import OURS, PHONE, an_approval, posts
from tests.support.stores import (
    MINUTE,
    SECOND,
    World,
    WorldBackend,
    a_place,
    allow,
    on_both_databases,
    place_one,
)

pytestmark = pytest.mark.anyio

DIGEST = "ab" * 32


@pytest.fixture
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    return a_place(request, tmp_path)


def without_address(world: World, **more: Any) -> WorldBackend:
    """Return a process from which 46elks can fetch nothing, such as one that a client starts."""
    return WorldBackend(world, audio_url=None, **more)


async def place_call(
    backend: WorldBackend, approver: Approver = Approver.POLICY, text: str = "Tryck 1.", audio: str = DIGEST
) -> Order:
    """Place a call, which plays audio unless that is empty."""
    store = await backend.storage.open()
    await store.calls.keep_audio(DIGEST, StoredAudio(b"RIFF", "wav"))
    draft = Draft(to=PHONE, payload=Call(text=text, audio=audio, digits=1), sender=OURS)
    return (await backend.outbox.place(an_approval(draft, approver, price=8000), backend.orders)).order


async def state_of(backend: WorldBackend, order: Order) -> OrderState:
    """Return the state of an order."""
    return (await (await backend.storage.open()).orders.get(order.id)).state


@on_both_databases
@pytest.mark.parametrize("is_approved", [True, False])
async def test_a_server_without_an_address_leaves_a_call_to_one_that_has_it(
    location: StateLocation, is_approved: bool
) -> None:
    world = World(location)
    client, server = without_address(world), WorldBackend(world)
    async with client.running() as store:
        order = await place_call(client, Approver.TERMINAL if is_approved else Approver.POLICY)
        if is_approved:
            await OrderAdmin(store.database).approve(order.approval_code or "")
        await client.pass_time(MINUTE)
        assert await state_of(client, order) is OrderState.QUEUED
        assert not world.box.calls.history
        async with server.running():
            await server.pass_time(20 * SECOND)
            assert await state_of(server, order) in {OrderState.SENT, OrderState.DELIVERED}
    assert [each.to for each in world.box.calls.history] == [PHONE.e164]


@on_both_databases
async def test_calls_that_a_server_without_an_address_leaves_hold_up_nothing_else(
    location: StateLocation,
) -> None:
    client = without_address(World(location))
    async with client.running() as store:
        order = await place_call(client)
        spoken = await place_call(client, text="Press 1.", audio="")
        text = await place_one(store)
        await client.pass_time(20 * SECOND)
        assert await state_of(client, order) is OrderState.QUEUED
        assert await state_of(client, spoken) is OrderState.SENT
        assert await state_of(client, text) is OrderState.SENT
        assert await store.calls.count_queued_audio() == 1
        assert await store.queue.claim(client.outbox.pace, allow) == Idle(None)
    assert [each.to for each in client.world.box.calls.history] == [PHONE.e164]
    assert len(posts(client.world.box)) == 1


@on_both_databases
async def test_a_call_that_no_server_can_make_expires_and_says_why(location: StateLocation) -> None:
    client = without_address(World(location))
    async with client.running() as store:
        order = await place_call(client)
        await client.pass_time(2 * ORDER_LATENESS + MINUTE)
        ended = await store.orders.get(order.id)
        assert ended.state is OrderState.EXPIRED
        assert "still queued after an hour" in ended.status_reason
        assert "ELKS_PUBLIC_URL" in ended.status_reason
    assert not client.world.box.calls.history


@pytest.mark.parametrize("environ", [{}, {"ELKS_PUBLIC_URL": "https://sms.example.com"}])
async def test_the_answer_about_a_queued_call_says_what_this_server_lacks(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    clock = ManualClock()
    box = box_on(clock)
    settings = load({**live(box), "ELKS_STATE_DIR": str(tmp_path / "state"), **environ})
    async with open_app(settings, transport=box.transport(), clock=clock) as app:
        store = await app.storage.open()
        draft = Draft(to=PHONE, payload=Call(text="Tryck 1.", audio=DIGEST), sender=OURS)
        order = (await store.orders.place(an_approval(draft, price=8000), allow)).order
        said = explain_order(app, order, await find_forecast(app, order))
    assert ("ELKS_PUBLIC_URL is not set" in said) is not bool(environ)
    assert "again" in said
