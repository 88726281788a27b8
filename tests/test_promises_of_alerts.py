"""Promises about alerts: one approval for the whole path, budgets, and quiet hours."""

from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.orders import Approver
from elks_mcp.domain.policy import Confirm
from elks_mcp.sandbox.call_behaviours import SILENT, pressing
from elks_mcp.store import StateLocation
from elks_mcp.store.alert_admin import AlertAdmin
from elks_mcp.workflows.alert_plans import AlertRequest
from elks_mcp.workflows.alerts import AlertNeedsApproval
from tests.support.alert_cases import FIRST, SECOND_PERSON, Team, open_team
from tests.support.call_cases import called
from tests.support.connecting import Person, call, words
from tests.support.pagers import open_pager
from tests.support.provider import UNLIMITED
from tests.support.stores import MINUTE, SECOND, World, WorldBackend, a_place, on_both_databases

pytestmark = pytest.mark.anyio

ALWAYS = UNLIMITED.model_copy(update={"confirm": Confirm.ALWAYS})
CALLING = {
    "ELKS_TOOLSETS": "sms,inbox,calls,escalation",
    "ELKS_CALL_PRICE_PER_MINUTE": "0.80",
    "ELKS_TTS_46ELKS": "true",
}
PATH = """\
policies:
  jour:
    steps:
      - {whom: Åsa Lind, by: [sms, call], wait: 3}
      - {whom: Bo Ek, by: call, wait: 3}
    cost_cap: 50
"""


@pytest.fixture
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a place for a store on either database."""
    return a_place(request, tmp_path)


@on_both_databases
async def test_p3_an_approval_of_an_alert_survives_a_restart_and_starts_it_once(
    location: StateLocation,
) -> None:
    world = World(location)
    async with open_pager(world, ALWAYS) as pager:
        request = AlertRequest(message="Disken är full", policy="jour")
        needed = await pager.alerts.prepare(request, can_ask=False)
        assert isinstance(needed, AlertNeedsApproval)
        assert needed.approver is Approver.TERMINAL
        waiting = await pager.alerts.get(needed.plan.id)
        await pager.pass_time(MINUTE)
        assert pager.sent == []
    async with WorldBackend(world).running() as store:
        approve = AlertAdmin(store.database).approve
        assert (await approve(waiting.approval_code or "", needed.plan.digest)).alert.is_approved
        assert world.box.accepted == []
    for _ in range(2):  # the second server finds an alert that was started
        async with open_pager(world, ALWAYS) as pager:
            await pager.pass_time(MINUTE)
            assert pager.reached == [FIRST]
    async with open_pager(world, ALWAYS) as pager:
        over = await pager.pass_until_over(waiting)
        assert (over.state, pager.reached) == (AlertState.UNANSWERED, [FIRST, SECOND_PERSON])
        await AlertAdmin((await pager.backend.storage.open()).database).approve(over.id, needed.plan.digest)
        await pager.pass_time(20 * MINUTE)
        assert (await pager.get(over)).state is AlertState.UNANSWERED
        assert pager.reached == [FIRST, SECOND_PERSON]
        again = await pager.alerts.prepare(request, can_ask=False)
        assert isinstance(again, AlertNeedsApproval)
        assert again.plan.id != over.id


@on_both_databases
async def test_p3_an_approval_after_the_end_of_an_alert_starts_nothing(location: StateLocation) -> None:
    world = World(location)
    async with open_pager(world, ALWAYS) as pager:
        request = AlertRequest(message="Disken är full", policy="jour")
        needed = await pager.alerts.prepare(request, can_ask=False)
        assert isinstance(needed, AlertNeedsApproval)
        store = await pager.backend.storage.open()
        await store.alerts.end(needed.plan.id, "The caller ended it.")
        record = await AlertAdmin(store.database).approve(needed.plan.id, needed.plan.digest)
        assert not record.alert.is_approved
        await pager.pass_time(10 * SECOND)
        assert pager.sent == []


async def text(team: Team) -> str:
    """Have the assistant send one text, and return the answer."""
    return words(await call(team.client, "send_sms", to=SECOND_PERSON, message="Hej", dryRun="false"))


async def test_p5_texts_and_calls_of_an_alert_count_in_the_budget_of_the_day(tmp_path: Path) -> None:
    """One text of 0.52 and two calls of 0.57, which is what 46elks charges, leave less than 0.52 of 2.15."""
    shared = {**CALLING, "ELKS_BUDGET_PER_DAY": "2.15"}
    async with open_team(tmp_path, paging=PATH, shared=shared) as team:
        for each in (FIRST, SECOND_PERSON):
            team.box.handset(each).calls = SILENT
        alert = await team.alert("Disk full")
        await team.pass_time(10)
        over = await team.check(alert)
        assert (over["status"], over["spent"]["amount"]) == ("unanswered", 1.66)
        assert "daily_budget" in await text(team)
        assert team.reached == [FIRST]


async def test_p5_a_call_of_an_alert_beyond_the_budget_of_the_day_is_not_made(tmp_path: Path) -> None:
    shared = {**CALLING, "ELKS_BUDGET_PER_DAY": "1.35"}
    async with open_team(tmp_path, paging=PATH, shared=shared) as team:
        team.box.handset(FIRST).calls = SILENT
        alert = await team.alert("Disk full")
        await team.pass_time(9)
        over = await team.check(alert)
        assert [(each["status"], "daily_budget" in each.get("why", "")) for each in over["steps"]] == [
            ("delivered", False),
            ("delivered", False),
            ("skipped", True),
        ]
        assert [each["to"] for each in called(team.box)] == [FIRST]


async def test_p6_a_person_who_answers_stop_is_not_called_and_can_still_acknowledge(tmp_path: Path) -> None:
    async with open_team(tmp_path, paging=PATH, shared=CALLING) as team:
        team.box.handset(SECOND_PERSON).calls = SILENT
        alert = await team.alert("Disk full")
        await team.pass_time(1)
        team.box.receive(FIRST, "STOP")
        await team.pass_time(4)
        assert [each["to"] for each in called(team.box)] == [SECOND_PERSON]
        team.box.receive(FIRST, f"ok {await team.code(alert)}")
        await team.pass_time(1)
        over = await team.check(alert)
        assert (over["status"], over["acknowledgedBy"]) == ("acknowledged", "Åsa Lind")
        assert "opted_out" in over["steps"][1]["why"]


async def test_two_alerts_that_call_one_person_end_each_by_its_own_digit_and_code(tmp_path: Path) -> None:
    async with open_team(tmp_path, paging=PATH, shared=CALLING) as team:
        team.box.handset(FIRST).calls = pressing("1")
        disk = await team.alert("Disk full")
        await team.pass_time(2)
        fire = await team.alert("Fire")
        await team.pass_time(2)
        first, second = await team.check(disk), await team.check(fire)
        assert (first["status"], second["status"]) == ("acknowledged", "running")
        team.box.receive(FIRST, f"OK {await team.code(disk)}")  # again, and about the other one
        await team.pass_time(0.5)
        assert (await team.check(fire))["status"] == "running"
        team.box.receive(FIRST, f"OK {await team.code(fire)}")
        await team.pass_time(0.5)
        over = await team.check(disk), await team.check(fire)
        assert [each["status"] for each in over] == ["acknowledged", "acknowledged"]
        assert not any("after its end" in note for each in over for note in each.get("notes", []))
        assert len(called(team.box)) == 1


async def test_quiet_hours_hold_back_a_call_of_the_assistant_and_none_of_an_alert(tmp_path: Path) -> None:
    person = Person()
    async with open_team(tmp_path, person=person, paging=PATH, shared=CALLING) as team:
        team.clock.advance(timedelta(hours=11))  # midnight in Sweden
        await team.pass_time(1)
        assert "night" in words(
            await call(team.client, "call_phone", to=FIRST, say="Disk full", dryRun="true")
        )
        alert = await team.alert("Disk full")
        await team.pass_time(10)
        assert team.reached == [FIRST]
        assert [each["to"] for each in called(team.box)] == [FIRST, SECOND_PERSON]
        assert (await team.check(alert))["status"] == "unanswered"
    assert person.questions == []
