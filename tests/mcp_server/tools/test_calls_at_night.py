"""Calls at night: a person is asked, and a call waits for one where nobody can be asked."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.domain.approval import explain_asking
from elks_mcp.sandbox import Sandbox
from elks_mcp.store import StateLocation
from elks_mcp.store.admin import OrderAdmin, open_database
from tests.mcp_server.tools.test_calls import calling, phone
from tests.support.call_cases import POLLED, called
from tests.support.clocks import ManualClock, SandboxClock, autojump, pass_time
from tests.support.connecting import Person, connected, live, words

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    """Stop the clock at midnight in Sweden."""
    clock = ManualClock()
    clock.advance(timedelta(hours=11))
    return clock


async def test_a_call_at_night_asks_a_person(clock: ManualClock) -> None:
    person, box = Person("decline"), Sandbox(clock=SandboxClock(clock))
    environ = live(box, **{**POLLED, "ELKS_GUARDS_OFF": "first_contact"})
    async with connected(environ, box=box, clock=clock, person=person) as client, autojump(clock):
        assert (await phone(client)).is_error
        assert not called(box)
    assert "a call wakes them" in person.questions[0]


@pytest.mark.parametrize(
    ("confirm", "off", "made", "said"),
    [
        ("auto", "first_contact", 0, "This client cannot ask a person, so someone must approve it within"),
        ("never", "first_contact", 0, "or switch the guard off with ELKS_GUARDS_OFF=night"),
        ("auto", "first_contact,night", 1, "digits were pressed"),
        ("never", "first_contact,night", 1, "digits were pressed"),
    ],
)
async def test_a_call_at_night_waits_where_nobody_can_be_asked_unless_the_guard_is_off(
    clock: ManualClock, confirm: str, off: str, made: int, said: str
) -> None:
    async with calling(clock, ELKS_GUARDS_OFF=off, ELKS_CONFIRM=confirm) as (box, client):
        answer = await phone(client)
    assert said in words(answer)
    assert len(called(box)) == made


async def test_a_call_at_night_that_waits_names_the_night_and_is_made_once_it_is_approved(
    clock: ManualClock, tmp_path: Path
) -> None:
    state = str(tmp_path)
    async with calling(clock, ELKS_STATE_DIR=state, ELKS_GUARDS_OFF="first_contact") as (box, client):
        waiting = words(await phone(client))
        [code] = re.findall(r"approval (A-[0-9A-Z]{4})", waiting)
        assert "It is night (21–08) for the recipient, in Sweden, and a call wakes them." in waiting
        assert "requires approval of every text" not in waiting
        async with open_database(StateLocation(folder=tmp_path), clock) as database:
            admin = OrderAdmin(database)
            [record] = await admin.list_waiting()
            assert [each.guard for each in explain_asking(record.order)] == ["night"]
            await admin.approve(code)
        await pass_time(clock, timedelta(minutes=1))
        assert len(called(box)) == 1
