"""Texts that are accepted late: when, once, and independently of the client."""

from datetime import timedelta
from functools import partial

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup

from elks_mcp.sandbox import Fault, Sandbox, SystemClock
from tests.support.clocks import HANG

from .clients import open_client, sms

pytestmark = pytest.mark.anyio
SECOND = timedelta(seconds=1)
LATE = [Fault.ACCEPT_LATE, Fault.ACCEPT_LATE_DROP]


async def history(client: httpx2.AsyncClient) -> list[str]:
    """List the texts in history, newest first."""
    return [item["message"] for item in (await client.get("sms")).json()["data"]]


class Call:
    """A POST of a text that waits for its answer while the test goes on."""

    def __init__(self) -> None:
        self.answer: httpx2.Response | None = None

    @classmethod
    async def begin(cls, group: TaskGroup, box: Sandbox, client: httpx2.AsyncClient, text: str) -> "Call":
        """Send the text and return as soon as it has arrived."""
        call = cls()
        group.start_soon(partial(call.run, box, client, text))
        await anyio.wait_all_tasks_blocked()
        return call

    async def run(self, box: Sandbox, client: httpx2.AsyncClient, text: str) -> None:
        """Send the text and keep the answer."""
        self.answer = await client.post("sms", data=sms(box, message=text))


async def hang_up(box: Sandbox, client: httpx2.AsyncClient) -> None:
    """Send a text, and disconnect as soon as it has arrived."""
    async with anyio.create_task_group() as group:
        await Call.begin(group, box, client, "Hej!")
        group.cancel_scope.cancel()


async def test_a_late_acceptance_and_its_answer_follow_the_clock(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    box.faults.inject(Fault.ACCEPT_LATE)
    arrived_at = box.clock.now()
    with anyio.fail_after(HANG):
        async with anyio.create_task_group() as group:
            call = await Call.begin(group, box, client, "sen")
            box.clock.advance(SECOND * 0.999)
            await client.post("sms", data=sms(box, message="i tid"))
            assert (call.answer, await history(client), len(box.charges)) == (None, ["i tid"], 1)
            box.clock.advance(SECOND * 0.001)
    assert call.answer is not None
    assert call.answer.json()["created"] == f"{arrived_at + SECOND:%Y-%m-%dT%H:%M:%S.%f}"
    assert (await history(client), len(box.charges)) == (["sen", "i tid"], 2)
    assert (box.requests[0].status, box.requests[0].fault) == (200, "accept_late")


async def test_a_client_that_disconnects_before_a_late_acceptance_finds_it_in_history_charged_once(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    box.faults.inject(Fault.ACCEPT_LATE)
    arrived_at = box.clock.now()
    await hang_up(box, client)
    assert (await history(client), box.accepted, box.charges) == ([], [], [])
    box.clock.advance(30 * SECOND)
    assert await history(client) == ["Hej!"]
    assert [message.created_at for message in box.accepted] == [arrived_at + SECOND]
    assert [(charge.amount, charge.at) for charge in box.charges] == [(5_200, arrived_at + SECOND)]


async def test_a_connection_can_be_dropped_immediately_and_the_text_accepted_later(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    box.faults.inject(Fault.ACCEPT_LATE_DROP, duration=5 * SECOND)
    with pytest.raises(httpx2.ReadError):
        await client.post("sms", data=sms(box))
    box.clock.advance(4 * SECOND)
    assert (await history(client), box.charges) == ([], [])
    box.clock.advance(SECOND)
    assert (await history(client), len(box.charges)) == (["Hej!"], 1)


async def test_a_text_that_is_late_by_zero_seconds_is_accepted_on_arrival(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    for fault in LATE:
        box.faults.inject(fault, duration=timedelta(0))
    assert (await client.post("sms", data=sms(box))).status_code == 200
    with pytest.raises(httpx2.ReadError):
        await client.post("sms", data=sms(box))
    assert len(box.accepted) == len(box.charges) == 2


@pytest.mark.parametrize(
    ("before", "meanwhile", "status", "charges"), [(5_200, 0, 403, 0), (0, 5_200, 200, 1)]
)
async def test_the_balance_at_the_moment_of_acceptance_counts(
    box: Sandbox, client: httpx2.AsyncClient, before: int, meanwhile: int, status: int, charges: int
) -> None:
    box.faults.inject(Fault.ACCEPT_LATE)
    box.balance = before
    async with anyio.create_task_group() as group:
        call = await Call.begin(group, box, client, "Hej!")
        box.balance = meanwhile
        box.clock.advance(SECOND)
    assert call.answer is not None
    assert (call.answer.status_code, len(box.accepted), len(box.charges)) == (status, charges, charges)


async def test_a_late_text_is_delivered_that_much_later(box: Sandbox, client: httpx2.AsyncClient) -> None:
    box.faults.inject(Fault.ACCEPT_LATE_DROP)
    with pytest.raises(httpx2.ReadError):
        await client.post("sms", data=sms(box))
    box.clock.advance(2 * SECOND)
    assert [message.status for message in box.history] == ["sent"]
    box.clock.advance(SECOND)
    assert [message.status for message in box.history] == ["delivered"]


async def test_texts_that_are_accepted_late_can_overtake_each_other(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    for seconds, text in ((3, "först skickad"), (1, "först antagen")):
        box.faults.inject(Fault.ACCEPT_LATE_DROP, duration=seconds * SECOND)
        with pytest.raises(httpx2.ReadError):
            await client.post("sms", data=sms(box, message=text))
    box.clock.advance(3 * SECOND)
    assert [message.text for message in box.accepted] == ["först antagen", "först skickad"]


async def test_late_acceptance_also_works_with_the_real_clock() -> None:
    box = Sandbox(clock=SystemClock())
    late = timedelta(milliseconds=20)
    box.faults.inject(Fault.ACCEPT_LATE, duration=late)
    async with open_client(box) as client:
        answer = await client.post("sms", data=sms(box))
    assert (answer.status_code, len(box.charges)) == (200, 1)
    assert box.accepted[0].created_at == box.requests[0].at + late <= box.clock.now()


@pytest.mark.parametrize("fault", LATE)
async def test_a_reset_cancels_a_late_acceptance(
    box: Sandbox, client: httpx2.AsyncClient, fault: Fault
) -> None:
    box.faults.inject(fault)
    if fault is Fault.ACCEPT_LATE:
        await hang_up(box, client)
    else:
        with pytest.raises(httpx2.ReadError):
            await client.post("sms", data=sms(box))
    await client.post("http://localhost/_sandbox/reset", json={})
    box.clock.advance(SECOND)
    assert (box.accepted, box.charges) == ([], [])


async def test_a_server_that_shuts_down_sends_no_late_answer_but_accepts_the_text(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    box.faults.inject(Fault.ACCEPT_LATE)
    lost = []

    async def ask() -> None:
        with pytest.raises(httpx2.ReadError):
            await client.post("sms", data=sms(box))
        lost.append(box.clock.now())

    with anyio.fail_after(HANG):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            box.release()
    box.clock.advance(SECOND)
    assert (len(lost), len(box.accepted)) == (1, 1)


@pytest.mark.parametrize("fault", LATE)
async def test_only_the_post_of_a_text_is_accepted_late(
    box: Sandbox, client: httpx2.AsyncClient, fault: Fault
) -> None:
    box.faults.inject(fault)
    answers = [await client.get("sms"), await client.get("me"), await client.delete("sms/unknown")]
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert [waiting.left for waiting in box.faults.waiting] == [1]


@pytest.mark.parametrize("fault", LATE)
def test_a_text_that_is_refused_is_not_accepted_late(box: Sandbox, fault: Fault) -> None:
    with pytest.raises(ValueError, match="hang or drop_before"):
        box.faults.inject(fault, accepted=False)
    assert box.faults.waiting == []
