"""The answers about an alert, in each state that it can be in."""

from pathlib import Path

import pytest

from elks_mcp.sandbox import Fault
from elks_mcp.store.alert_admin import AlertAdmin
from tests.support.alert_cases import FIRST, SECOND_PERSON, Team, open_team
from tests.support.call_cases import called
from tests.support.connecting import Person, call, data, words

pytestmark = pytest.mark.anyio

PATH = """\
policies:
  jour:
    steps:
      - {whom: Åsa Lind, by: [sms, call], wait: 3}
      - {whom: Bo Ek, by: call, wait: 3}
    cost_cap: 50
"""
CALLING = {
    "ELKS_TOOLSETS": "sms,inbox,escalation",
    "ELKS_CALL_PRICE_PER_MINUTE": "0.80",
    "ELKS_TTS_46ELKS": "true",
}


async def say(team: Team, alert: dict[str, object]) -> str:
    """Return the words of an answer about an alert."""
    return words(await call(team.client, "check_alert", alertId=alert["alertId"]))


async def raise_by_words(team: Team, **more: object) -> str:
    """Raise an alert, and return the words of the answer."""
    arguments = {"message": "Disk full", "policy": "jour", **more}
    return words(await call(team.client, "alert_until_acknowledged", **arguments))


@pytest.mark.parametrize("dry", ["true", "false"])
async def test_p1_a_dry_run_by_the_server_says_that_it_would_alert_nobody(tmp_path: Path, dry: str) -> None:
    async with open_team(tmp_path, person=Person(), DRY_RUN="true") as team:
        said = await raise_by_words(team, dryRun=dry)
        if dry == "false":
            assert said == (
                "Nobody was alerted: This server is in dry run, so it would not alert anybody. "
                "The operator can set DRY_RUN=false to send for real; a dry run shows the price."
            )
        else:
            assert said.startswith("Dry run: nobody was alerted. It would text Åsa Lind")
        assert team.reached == []


async def test_a_dry_run_says_what_is_done_several_times_and_what_the_cap_cuts_off(tmp_path: Path) -> None:
    capped = PATH.replace("cost_cap: 50", "cost_cap: 1.40\n    rounds: 2")
    async with open_team(tmp_path, paging=capped, shared=CALLING) as team:
        said = await raise_by_words(team, dryRun="true")
        assert "call Bo Ek, wait 3 minutes, all of this 2 times, and cost 1.40 SEK at most." in said
        assert "Note: The whole path costs 4.24 SEK; steps beyond 1.40 SEK are skipped." in said
        assert "Note: The sum counts 1 minute for each call." in said


async def test_a_person_and_the_caller_read_each_finding_about_a_person_once(tmp_path: Path) -> None:
    person = Person()
    async with open_team(tmp_path, person=person, paging=PATH, shared=CALLING, ELKS_CONFIRM="always") as team:
        said = await raise_by_words(team)
    [question] = person.questions
    for text in (said, question):
        assert text.count(f"{FIRST} is reserved for fiction") == 1
        assert text.count(f"{SECOND_PERSON} is reserved for fiction") == 1


async def test_an_alert_that_waits_says_for_which_approval_and_then_that_it_is_approved(
    tmp_path: Path,
) -> None:
    async with open_team(tmp_path, ELKS_CONFIRM="always") as team:
        await raise_by_words(team)
        store = await team.server.storage.open()
        [waiting] = await store.alerts.list_latest(1)
        alert: dict[str, object] = {"alertId": waiting.id}
        until = "until 2026-11-23 12:30 +00:00. Nobody was alerted yet."
        assert (await say(team, alert)).startswith(
            f"Waiting for approval {waiting.approval_code}: a person can approve it {until}"
        )
        plan = await store.alerts.get_plan(waiting.id)
        await AlertAdmin(store.database).approve(waiting.id, plan.digest)
        assert (await say(team, alert)).startswith(
            f"Waiting: a person approved it, and a server can start it {until}"
        )


async def test_a_failed_alert_says_so_once(tmp_path: Path) -> None:
    async with open_team(tmp_path) as team:
        alert = await team.alert()
        team.box.faults.inject(Fault.FORBIDDEN, method="POST", path="/sms", text="Invalid number", times=None)
        await team.pass_time(1)
        said = await say(team, alert)
    assert said.startswith(
        "Failed: Nobody on the path could be reached. The whole path was gone through. Tell the user."
    )


async def test_p5_later_steps_are_skipped_if_46elks_charges_more_for_a_call_and_the_answer_says_why(
    tmp_path: Path,
) -> None:
    """46elks charges 0.57 for a minute here, and the operator said 0.20."""
    cheap = {**CALLING, "ELKS_CALL_PRICE_PER_MINUTE": "0.20"}
    async with open_team(tmp_path, paging=PATH, shared=cheap) as team:
        alert = await team.alert("Disk full")
        assert alert["most"]["amount"] == 0.92
        await team.pass_time(9)
        said = await say(team, alert)
        assert [each["to"] for each in called(team.box)] == [FIRST]
    assert (
        "Spent 1.09 SEK instead of at most 0.92 SEK, because 46elks charged more than was reserved." in said
    )
    assert "- Step 3: Bo Ek by call: skipped. The rest of the alert's cost cap does not suffice." in said


async def test_a_late_acknowledgement_of_nobody_known_is_a_sentence(tmp_path: Path) -> None:
    async with open_team(tmp_path) as team:
        alert = await team.alert()
        await call(team.client, "end_alert", alertId=alert["alertId"])
        store = await team.server.storage.open()
        await AlertAdmin(store.database).acknowledge(str(alert["alertId"]))
        late = data(await call(team.client, "check_alert", alertId=alert["alertId"]))
    assert late["status"] == "ended"
    assert "It was acknowledged after its end by a person." in late["notes"]
