"""The sandbox over a real socket, under uvicorn."""

from datetime import timedelta
from functools import partial

import anyio
import anyio.lowlevel
import httpx2
import pytest

from elks_mcp.sandbox import Fault, ManualClock, Sandbox, SimulatedClock, SystemClock
from tests.support.clocks import HANG

from .clients import sms
from .serving import serve

pytestmark = pytest.mark.anyio


def open_real_client(box: Sandbox, address: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{address}/a1/", auth=(box.username, box.password), trust_env=False)


async def test_the_bytes_on_the_wire_are_those_of_46elks(box: Sandbox) -> None:
    """Read as a program without any HTTP library would."""
    async with (
        serve(box) as address,
        await anyio.connect_tcp("127.0.0.1", int(address.rpartition(":")[2])) as stream,
    ):
        await stream.send(b"POST /a1/SMS HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        with anyio.fail_after(HANG):
            async for chunk in stream:
                answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b'www-authenticate: basic realm="46elks api"' in head.lower()
    assert body == b"API access requires Basic HTTP authentication. Read documentation or examples."


async def test_texts_are_sent_and_webhooks_and_pages_are_served_alike(box: Sandbox) -> None:
    async with serve(box) as address, open_real_client(box, address) as client:
        sent = await client.post("sms", data=sms(box, message="Hej på dig"))
        page = await client.get(f"{address}/", auth=("", ""))
    assert (sent.status_code, box.accepted[0].text) == (200, "Hej på dig")
    assert page.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("fault", "accepted"),
    [(Fault.DROP_BEFORE, 0), (Fault.DROP_AFTER, 1), (Fault.HALF_BODY, 1), (Fault.CONNECTION_REFUSED, 0)],
)
async def test_a_lost_answer_is_a_connection_that_the_server_drops(
    box: Sandbox, fault: Fault, accepted: int
) -> None:
    box.faults.inject(fault)
    async with serve(box) as address, open_real_client(box, address) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post("sms", data=sms(box))
        assert (await client.get("me")).status_code == 200
    assert len(box.accepted) == accepted


async def test_a_hanging_request_ends_when_its_client_disconnects(box: Sandbox) -> None:
    """Otherwise the server could not shut down, because nothing releases the request here."""
    box.faults.inject(Fault.HANG)
    with anyio.fail_after(HANG):
        async with (
            serve(box) as address,
            open_real_client(box, address) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(partial(client.get, "me", timeout=None))
            while not box.requests:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()


async def test_a_hanging_request_can_be_released_so_that_the_server_can_shut_down(box: Sandbox) -> None:
    box.faults.inject(Fault.HANG)

    async def hang(client: httpx2.AsyncClient) -> None:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get("me", timeout=None)

    with anyio.fail_after(HANG):
        async with (
            serve(box) as address,
            open_real_client(box, address) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(hang, client)
            while not box.requests:
                await anyio.lowlevel.checkpoint()
            box.release()


async def hang_up_after_posting(box: Sandbox, address: str) -> None:
    """Post a text as a program does that is killed while it waits for the answer."""
    seen = len(box.requests)
    async with open_real_client(box, address) as client, anyio.create_task_group() as group:
        group.start_soon(partial(client.post, "sms", data=sms(box)))
        while len(box.requests) == seen:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()


@pytest.mark.parametrize("clock", [ManualClock(), SystemClock()], ids=["manual", "system"])
async def test_a_text_is_accepted_late_once_even_if_its_client_has_disconnected(
    clock: SimulatedClock,
) -> None:
    box = Sandbox(clock=clock)
    late = timedelta(milliseconds=300)
    box.faults.inject(Fault.ACCEPT_LATE, duration=late)
    with anyio.fail_after(HANG):
        async with serve(box) as address, open_real_client(box, address) as client:
            await hang_up_after_posting(box, address)
            if isinstance(clock, ManualClock):
                assert (await client.get("sms")).json()["data"] == []
                clock.advance(late)
            await clock.wait_until(box.requests[0].at + late)
            history = (await client.get("sms")).json()["data"]
    assert [item["message"] for item in history] == ["Hej!"]
    assert (len(box.accepted), len(box.charges)) == (1, 1)
    assert box.accepted[0].created_at == box.requests[0].at + late
    assert box.requests[0].status is None


async def test_a_late_acceptance_outlives_the_server_that_took_the_request(box: Sandbox) -> None:
    box.faults.inject(Fault.ACCEPT_LATE)
    with anyio.fail_after(HANG):
        async with serve(box) as address:
            await hang_up_after_posting(box, address)
    assert box.accepted == []
    box.clock.advance(timedelta(seconds=1))
    assert (len(box.accepted), len(box.charges)) == (1, 1)


async def test_a_connection_to_be_dropped_before_a_late_acceptance_is_dropped_immediately(
    box: Sandbox,
) -> None:
    box.faults.inject(Fault.ACCEPT_LATE_DROP)
    async with serve(box) as address, open_real_client(box, address) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post("sms", data=sms(box))
        early = (await client.get("sms")).json()["data"]
        box.clock.advance(timedelta(seconds=1))
        late = (await client.get("sms")).json()["data"]
    assert (len(early), len(late), len(box.charges)) == (0, 1, 1)
