"""Faults on demand: what a client sees, and whether the text is sent."""

from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest

from elks_mcp.sandbox import Fault, Sandbox
from tests.support.clocks import HANG

from .clients import open_client, sms

pytestmark = pytest.mark.anyio
F = Fault


@pytest.mark.parametrize(
    ("fault", "status", "accepted"),
    [
        (F.TOO_MANY_REQUESTS, 429, 0),
        (F.ERROR_BEFORE, 500, 0),
        (F.ERROR_AFTER, 500, 1),
        (F.BAD_GATEWAY, 502, 0),
        (F.UNAVAILABLE, 503, 0),
        (F.UNAUTHORIZED, 401, 0),
        (F.FORBIDDEN, 403, 0),
        (F.REDIRECT, 302, 0),
        (F.HTML, 200, 0),
        (F.NOT_AN_OBJECT, 200, 1),
        (F.MISSING_ID, 200, 1),
        (F.EMPTY, 200, 1),
        (F.WRONG_COST, 200, 1),
    ],
)
async def test_a_damaged_answer_does_not_change_whether_the_text_is_sent(
    box: Sandbox, client: httpx2.AsyncClient, fault: Fault, status: int, accepted: int
) -> None:
    box.faults.inject(fault)
    answer = await client.post("sms", data=sms(box))
    assert answer.status_code == status
    assert len(box.accepted) == len(box.charges) == accepted
    assert (box.requests[0].status, box.requests[0].fault) == (status, fault.value)
    assert (await client.post("sms", data=sms(box))).json()["status"] == "created"


@pytest.mark.parametrize(
    ("fault", "error", "accepted", "arrived"),
    [
        (F.CONNECTION_REFUSED, httpx2.ConnectError, 0, 0),
        (F.CONNECT_TIMEOUT, httpx2.ConnectTimeout, 0, 0),
        (F.DROP_BEFORE, httpx2.ReadError, 0, 1),
        (F.DROP_AFTER, httpx2.ReadError, 1, 1),
        (F.HALF_BODY, httpx2.RemoteProtocolError, 1, 1),
        (F.READ_TIMEOUT, httpx2.ReadTimeout, 1, 1),
    ],
)
async def test_a_broken_connection_raises_what_a_socket_would_raise(
    box: Sandbox,
    client: httpx2.AsyncClient,
    fault: Fault,
    error: type[httpx2.TransportError],
    accepted: int,
    arrived: int,
) -> None:
    box.faults.inject(fault)
    with pytest.raises(error) as caught:
        await client.post("sms", data=sms(box))
    assert type(caught.value) is error
    assert (len(box.accepted), len(box.charges), len(box.requests)) == (accepted, accepted, arrived)
    # Of half an answer the client has at least seen the status.
    assert {request.status for request in box.requests} <= {200 if fault is F.HALF_BODY else None}


async def test_a_fault_can_override_whether_the_text_is_accepted(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    box.faults.inject(F.UNAVAILABLE, accepted=True)
    box.faults.inject(F.READ_TIMEOUT, accepted=False)
    assert (await client.post("sms", data=sms(box))).status_code == 503
    with pytest.raises(httpx2.ReadTimeout):
        await client.post("sms", data=sms(box))
    assert len(box.accepted) == 1


@pytest.mark.parametrize(
    ("options", "spoilt"),
    [
        ({}, [True, False, False, False]),
        ({"times": 2}, [True, True, False, False]),
        ({"times": None}, [True, True, True, True]),
        ({"skip": 1}, [False, True, False, False]),
        ({"method": "POST", "times": None}, [False, True, True, False]),
        ({"method": "POST", "dryrun": False}, [False, False, True, False]),
        ({"path": "/a1/sms/*", "times": None}, [False, False, False, True]),
        ({"path": "/me", "times": None}, [True, False, False, False]),
    ],
)
async def test_a_fault_affects_only_its_own_requests(
    box: Sandbox, client: httpx2.AsyncClient, options: dict[str, Any], spoilt: list[bool]
) -> None:
    box.faults.inject(F.UNAVAILABLE, **options)
    answers = [
        await client.get("me"),
        await client.post("sms", data=sms(box, dryrun="yes")),
        await client.post("SMS", data=sms(box)),
        await client.get("sms/unknown"),
    ]
    assert [answer.status_code == 503 for answer in answers] == spoilt
    box.faults.clear()
    assert (await client.get("me")).status_code == 200


async def test_the_details_of_a_refusal_can_be_chosen(box: Sandbox, client: httpx2.AsyncClient) -> None:
    box.faults.inject(F.TOO_MANY_REQUESTS, retry_after=7)
    box.faults.inject(F.FORBIDDEN, text="Not enough credits")
    throttled, refused = await client.get("me"), await client.get("me")
    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "7")
    assert (refused.status_code, refused.text) == (403, "Not enough credits")


async def test_a_late_answer_follows_the_clock(box: Sandbox, client: httpx2.AsyncClient) -> None:
    box.faults.inject(F.LATENCY, duration=timedelta(seconds=30))
    answers: list[httpx2.Response] = []

    async def ask() -> None:
        answers.append(await client.post("sms", data=sms(box)))

    with anyio.fail_after(HANG):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert (len(box.accepted), answers) == (1, [])
            box.clock.advance(timedelta(seconds=30))
    assert [answer.status_code for answer in answers] == [200]


async def test_a_hanging_request_ends_when_its_client_times_out(box: Sandbox) -> None:
    box.faults.inject(F.HANG)
    patience = 0.01
    async with open_client(box) as client:
        while not box.requests:  # on a busy machine it takes longer to get there
            with pytest.raises(httpx2.ReadTimeout):
                await client.get("me", timeout=patience)
            patience *= 2
    assert box.requests[0].status is None


@pytest.mark.parametrize("end", ["release", "duration"])
async def test_a_hanging_request_is_dropped_after_its_duration_or_when_the_server_shuts_down(
    box: Sandbox, client: httpx2.AsyncClient, end: str
) -> None:
    box.faults.inject(F.HANG, duration=timedelta(seconds=30), accepted=True)
    caught: list[httpx2.TransportError] = []

    async def ask() -> None:
        with pytest.raises(httpx2.ReadError) as error:
            await client.post("sms", data=sms(box))
        caught.append(error.value)

    with anyio.fail_after(HANG):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            if end == "release":
                box.release()
            else:
                box.clock.advance(timedelta(seconds=30))
    assert (len(caught), len(box.accepted)) == (1, 1)


async def test_a_lagging_history_shows_a_sent_text_only_later(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    box.faults.inject(F.STALE_HISTORY, duration=timedelta(seconds=5), times=None)
    sent = (await client.post("sms", data=sms(box))).json()
    box.receive("+46701740606", "Hej?")
    early = [item["direction"] for item in (await client.get("sms")).json()["data"]]
    early_by_id = await client.get(f"sms/{sent['id']}")
    box.clock.advance(timedelta(seconds=5))
    late = [item["direction"] for item in (await client.get("sms")).json()["data"]]
    assert (early, early_by_id.status_code) == (["incoming"], 404)
    assert late == ["incoming", "outgoing"]
