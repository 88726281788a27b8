"""Two replicas: an order whose server died as it was handed over is taken over, and nothing is made twice."""

from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta

import httpx2
import pytest

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.mms_payload import Mms, PreparedImage
from elks_mcp.domain.orders import Draft, Order, OrderState
from elks_mcp.domain.payloads import Payload
from elks_mcp.images.shrinking import FOR_MMS, shrink
from elks_mcp.sandbox.call_behaviours import pressing
from elks_mcp.store import StateLocation
from tests.images.drawing import draw
from tests.support.provider import OURS, PHONE, RecordingTransport, an_approval
from tests.support.stores import (
    Killed,
    World,
    WorldBackend,
    is_death,
    on_both_databases,
)
from tests.test_crash_points import list_orders, settle

pytestmark = pytest.mark.anyio

PRICE = 8000


def build_call() -> Payload:
    return Call(text="The site is down. Press 1.", digits=1, per_minute=PRICE)


def build_mms() -> Payload:
    image = shrink(draw("PNG"), FOR_MMS)
    size = {"width": image.width, "height": image.height, "size": len(image.content)}
    url = f"data:{image.media_type};base64,{b64encode(image.content).decode()}"
    return Mms(text="Titta!", image=PreparedImage(name="", data_url=url, digest=image.digest, **size))


class DyingTransport(httpx2.AsyncBaseTransport):
    """A transport in whose paid request the process dies: before it leaves, or before the answer arrives."""

    def __init__(self, transport: RecordingTransport, *, has_left: bool) -> None:
        self._transport = transport
        self._has_left = has_left
        self.is_dead = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a request on, unless the process is dead."""
        is_paid = request.method == "POST" and request.url.path.endswith(("/calls", "/mms"))
        if is_paid and self._has_left:
            await self._transport.handle_async_request(request)
        if is_paid or self.is_dead:
            self.is_dead = True
            raise Killed
        return await self._transport.handle_async_request(request)


async def place(world: World, payload: Payload, *, has_left: bool) -> None:
    """Place an order in a process that dies as it hands it over."""
    dying: list[DyingTransport] = []

    def around(transport: RecordingTransport) -> DyingTransport:
        dying.append(DyingTransport(transport, has_left=has_left))
        return dying[0]

    backend = WorldBackend(world, around=around)
    try:
        async with backend.opened(), backend.outbox.running():
            draft = Draft(to=PHONE, payload=payload, sender=OURS)
            await backend.outbox.place(an_approval(draft, price=PRICE), backend.orders)
            await settle(backend)
    except BaseException as error:
        if not is_death(error):
            raise
    assert dying[0].is_dead


async def take_over(world: World, payload: Payload, *, has_left: bool) -> Order:
    """Let a replica that runs beside the dying one end what is left, and return the order."""
    replica = WorldBackend(world)
    replica.follows_calls = replica.reads_history = True
    async with replica.running() as store:
        await place(world, payload, has_left=has_left)
        [claimed] = await list_orders(world, store)
        assert claimed.state is OrderState.SENDING
        await settle(replica)
        await replica.pass_time(timedelta(minutes=20))
        [order] = await list_orders(world, store)
    return order


def count_posts(world: World) -> int:
    """Count the paid requests that reached 46elks."""
    return len(
        [
            each
            for each in world.box.requests
            if each.method == "POST" and each.path.endswith(("/calls", "/mms"))
        ]
    )


@pytest.mark.parametrize(
    ("build", "has_left", "state", "made"),
    [
        (build_call, True, OrderState.DELIVERED, 1),
        (build_call, False, OrderState.UNKNOWN, 0),
        (build_mms, True, OrderState.SENT, 1),
        (build_mms, False, OrderState.SENT, 1),
    ],
)
@on_both_databases
async def test_p4_an_order_whose_server_died_is_taken_over_and_made_at_most_once(
    location: StateLocation, build: Callable[[], Payload], has_left: bool, state: OrderState, made: int
) -> None:
    """A call that history does not show is not made again: it is unknown. An MMS is sent then."""
    world = World(location)
    world.box.handset(PHONE.e164).calls = pressing("1")
    order = await take_over(world, build(), has_left=has_left)
    assert order.state is state
    assert count_posts(world) == made
    if order.state is not OrderState.UNKNOWN:
        assert order.receipt
        entries = [each.id for each in world.box.calls.history] + [each.id for each in world.box.accepted]
        assert entries == [order.receipt.message_id]
