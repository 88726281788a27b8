"""Every fault of 46elks, while an alert is raised and while its texts go out."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.domain.escalation import AlertState
from elks_mcp.sandbox import Fault
from elks_mcp.store import StateLocation
from tests.support.alert_cases import open_team
from tests.support.clocks import autojump
from tests.support.connecting import call, words
from tests.support.pagers import FIRST, SECOND_PERSON, open_pager
from tests.test_tools_when_46elks_fails import EACH_WAY, NOT_HARMFUL, ONLY_POSTS

pytestmark = pytest.mark.anyio

RAISING = [
    pytest.param(fault, marks=() if fault in EACH_WAY else pytest.mark.long)
    for fault in Fault
    if fault not in NOT_HARMFUL | ONLY_POSTS
]


@pytest.mark.parametrize("fault", RAISING)
async def test_a_fault_while_an_alert_is_raised_is_a_clear_error_and_reaches_nobody(
    tmp_path: Path, fault: Fault
) -> None:
    async with open_team(tmp_path) as team:
        team.box.faults.inject(fault, times=None)
        async with autojump(team.clock):
            answer = await call(team.client, "alert_until_acknowledged", message="Hej", policy="jour")
        assert answer.is_error
        assert words(answer).startswith("Nobody was alerted: ")
        assert "46elks" in words(answer)
        assert "Traceback" not in words(answer)
        team.box.faults.clear()
        await team.pass_time(1)
        assert team.reached == []
        assert (await team.alert("Hej"))["status"] == "running"


@pytest.mark.parametrize("fault", Fault)
async def test_p4_a_fault_while_a_text_goes_out_texts_nobody_twice_and_ends_no_alert_early(
    location: StateLocation, fault: Fault
) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        pager.fail(fault, times=1)
        over = await pager.pass_until_over(alert)
        await pager.pass_time(timedelta(minutes=3))
        accepted = Counter(message.to for message in pager.backend.world.box.accepted)
        assert all(count == 1 for count in accepted.values())
        assert accepted.keys() <= {FIRST.e164, SECOND_PERSON.e164}
        assert SECOND_PERSON.e164 in accepted
        assert over.state is AlertState.UNANSWERED
        assert len(pager.backend.world.box.charges) == accepted.total()
