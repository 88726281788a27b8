"""Orders that wait for a person: how many, and how long."""

import re
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult

from elks_mcp.sandbox import Sandbox
from elks_mcp.settings import load
from elks_mcp.store.admin import OrderAdmin, open_database
from elks_mcp.store.approval import MOST_WAITING
from tests.support.clocks import ManualClock, at_rest
from tests.support.connecting import (
    PHONE,
    Person,
    call,
    connected,
    data,
    live,
    until,
    words,
)
from tests.support.stores import DATABASES, KEY

pytestmark = pytest.mark.anyio


# ── how many may wait ──


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """Name the database that a server uses."""
    if request.param == "sqlite":
        return {}
    url = request.getfixturevalue("postgres_with_tables")
    return {"ELKS_DATABASE_URL": url, "ELKS_SECRET_KEY": KEY.get_secret_value()}


ALWAYS = {"ELKS_CONFIRM": "always", "ELKS_INBOUND": "all"}


_WAITS = re.compile(r"Waiting for approval (A-[0-9A-Z]{4})")


async def ask_for_all(client: Client, texts: list[tuple[str, str]]) -> list[str]:
    """Request texts at the same time, each a number and a message; return the answers in that order."""
    answers = [""] * len(texts)

    async def ask(number: int, to: str, message: str) -> None:
        answers[number] = words(await call(client, "send_sms", to=to, message=message))

    async with anyio.create_task_group() as calls:
        for number, (to, message) in enumerate(texts):
            calls.start_soon(ask, number, to, message)
    return answers


async def test_texts_that_wait_for_a_person_count_as_texts_to_their_number(
    box: Sandbox, database: dict[str, str]
) -> None:
    clock = ManualClock()
    async with connected(live(box, **ALWAYS, **database), box=box, clock=clock) as client:
        answers = await ask_for_all(client, [(PHONE, f"Text {number}") for number in range(12)])
        waiting = [answer for answer in answers if _WAITS.search(answer)]
        refused = [answer for answer in answers if "Refused by velocity" in answer]
        assert (len(waiting), len(refused)) == (5, 7)
        again = await ask_for_all(client, [(PHONE, f"Text {number}") for number in range(12)])
        assert {found.group(1) for answer in again if (found := _WAITS.search(answer))} == {
            found.group(1) for answer in waiting if (found := _WAITS.search(answer))
        }, "an identical text that waits is that order"
        clock.advance(timedelta(minutes=29))
        assert "Refused by velocity" in words(await call(client, "send_sms", to=PHONE, message="Later"))
        clock.advance(timedelta(minutes=2))
        assert _WAITS.search(words(await call(client, "send_sms", to=PHONE, message="Later")))


async def test_many_simultaneous_requests_for_one_text_are_one_waiting_order(
    box: Sandbox, database: dict[str, str]
) -> None:
    once = {**ALWAYS, "ELKS_MAX_PER_NUMBER": "1", **database}
    async with connected(live(box, **once), box=box, clock=ManualClock()) as client:
        answers = await ask_for_all(client, [(PHONE, "Hej")] * 6)
    found = [_WAITS.search(answer) for answer in answers]
    assert all(found)
    assert len({each.group(1) for each in found if each}) == 1


async def test_at_most_twenty_texts_of_a_caller_wait_and_a_decision_makes_room(
    box: Sandbox, database: dict[str, str], tmp_path: Path
) -> None:
    environ = live(box, **ALWAYS, **{"ELKS_STATE_DIR": str(tmp_path), **database})
    numbers = [f"+467017406{last}" for last in range(20, 50)]
    clock = ManualClock()
    async with connected(environ, box=box, clock=clock) as client:
        answers = await ask_for_all(client, [(number, "Hej") for number in numbers])
        waiting = [found.group(1) for answer in answers if (found := _WAITS.search(answer))]
        refused = [answer for answer in answers if not _WAITS.search(answer)]
        assert (len(waiting), len(refused)) == (MOST_WAITING, len(numbers) - MOST_WAITING) == (20, 10)
        for answer in refused:
            assert answer.startswith("Not sent: 20 texts of this caller already wait for a person")
            assert "`elks-mcp pending`" in answer
        location = load(environ).settings.state_location()
        async with open_database(location, clock) as opened:
            await OrderAdmin(opened).cancel(waiting[0])
        again = await ask_for_all(client, [("+46701740690", "Hej"), ("+46701740691", "Hej")])
    assert len([answer for answer in again if _WAITS.search(answer)]) == 1


# ── while a person is asked ──


async def test_while_a_person_is_asked_the_client_gets_progress_every_few_seconds(box: Sandbox) -> None:
    """The newer era has no call open while a person is asked: the client asks, and calls again."""
    clock, asked, answering = ManualClock(), anyio.Event(), anyio.Event()
    notified: list[tuple[float, float | None, str | None]] = []
    answers: list[CallToolResult] = []

    class Thinking(Person):
        async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
            asked.set()
            await answering.wait()
            return await super().__call__(context, params)

    async def note(progress: float, total: float | None, message: str | None) -> None:
        notified.append((progress, total, message))

    environ = live(box, ELKS_CONFIRM="always")
    async with (
        connected(environ, box=box, way="legacy", person=Thinking(), clock=clock) as client,
        anyio.create_task_group() as calls,
    ):

        async def send() -> None:
            arguments = {"to": PHONE, "message": "Hej"}
            sent = await client.call_tool("send_sms", arguments, progress_callback=note)
            assert isinstance(sent, CallToolResult)
            answers.append(sent)

        calls.start_soon(send)
        await asked.wait()
        for times in range(1, 4):
            await at_rest()
            clock.advance(timedelta(seconds=5))
            await until(lambda times=times: len(notified) == times)  # type: ignore[misc]
        answering.set()
        await until(lambda: bool(answers))
    assert data(answers[0])["status"] == "sent"
    assert notified[:3] == [(waited, 300.0, "Waiting for a person's answer.") for waited in (5.0, 10.0, 15.0)]
