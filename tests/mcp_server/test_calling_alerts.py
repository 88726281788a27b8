"""Alerts that call people: a digit acknowledges, a pick-up and voicemail do not."""

from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.sandbox.call_behaviours import BUSY, RINGS, SILENT, VOICEMAIL, CallBehaviour, pressing
from tests.support.alert_cases import FIRST, SECOND_PERSON, Team, open_team
from tests.support.call_cases import called
from tests.support.connecting import Person, call, words
from tests.support.speech import a_program

pytestmark = pytest.mark.anyio

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
      - {whom: Bo Ek, by: call, wait: 5}
    cost_cap: 50
"""


PRESSES_1 = "+46701740619"


def by_numbers(*numbers: str) -> str:
    """Return a policy that calls numbers of the sandbox, one after the other."""
    steps = "".join(f'      - {{whom: "{number}", by: call, wait: 5}}\n' for number in numbers)
    return f"policies:\n  jour:\n    cost_cap: 50\n    steps:\n{steps}"


def behave(team: Team, number: str, behaviour: CallBehaviour) -> None:
    """Set how a phone reacts to a call."""
    team.box.handset(number).calls = behaviour


async def test_text_then_call_then_the_next_person_until_a_digit_is_pressed(tmp_path: Path) -> None:
    async with open_team(tmp_path, paging=PATH, shared=CALLING) as team:
        behave(team, FIRST, SILENT)
        behave(team, SECOND_PERSON, pressing("1"))
        alert = await team.alert("Disk full")
        await team.pass_time(2)
        assert (team.reached, called(team.box)) == ([FIRST], [])
        await team.pass_time(3)
        [first] = called(team.box)
        assert first["to"] == FIRST
        assert (await team.check(alert))["status"] == "running"  # it was picked up, and nothing pressed
        await team.pass_time(3)
        assert [each["to"] for each in called(team.box)] == [FIRST, SECOND_PERSON]
        done = await team.check(alert)
        assert (done["status"], done["acknowledgedBy"]) == ("acknowledged", "Bo Ek")
        assert "by a digit in a call" in done["summary"]
        await team.pass_time(30)
        assert len(called(team.box)) == 2


@pytest.mark.parametrize("behaviour", [SILENT, VOICEMAIL, pressing("2"), BUSY])
async def test_a_call_without_the_digit_acknowledges_nothing(
    tmp_path: Path, behaviour: CallBehaviour
) -> None:
    async with open_team(tmp_path, paging=PATH, shared=CALLING) as team:
        behave(team, FIRST, behaviour)
        behave(team, SECOND_PERSON, behaviour)
        alert = await team.alert("Disk full")
        await team.pass_time(30)
        over = await team.check(alert)
        assert over["status"] == "unanswered"
        assert [each["to"] for each in called(team.box)] == [FIRST, SECOND_PERSON]


async def test_p5_a_call_is_priced_at_its_upper_bound(tmp_path: Path) -> None:
    async with open_team(tmp_path, paging=PATH, shared=CALLING) as team:
        bill = await team.alert("Disk full", dryRun=True)
        assert bill["most"]["amount"] >= 0.52 + 2 * 0.80
        assert called(team.box) == []


async def test_calls_of_alerts_need_no_toolset_of_calls(tmp_path: Path) -> None:
    without = {**CALLING, "ELKS_TOOLSETS": "sms,escalation"}
    async with open_team(tmp_path, paging=by_numbers(PRESSES_1), shared=without) as team:
        alert = await team.alert("Disk full")
        await team.pass_time(1)
        assert (await team.check(alert))["status"] == "acknowledged"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ELKS_CALL_PRICE_PER_MINUTE": ""}, "Set ELKS_CALL_PRICE_PER_MINUTE"),
        ({"ELKS_TTS_46ELKS": ""}, "set ELKS_TTS_COMMAND"),
        ({"ELKS_TTS_46ELKS": "", "ELKS_TTS_COMMAND": "espeak-ng"}, "ELKS_PUBLIC_URL"),
    ],
)
@pytest.mark.parametrize("toolsets", ["sms,escalation", "sms,calls,escalation"])
async def test_an_alert_says_what_the_server_lacks_for_calls(
    tmp_path: Path, toolsets: str, changes: dict[str, str], says: str
) -> None:
    shared = {**CALLING, **changes, "ELKS_TOOLSETS": toolsets}
    async with open_team(tmp_path, paging=PATH, shared=shared) as team:
        answer = await call(team.client, "alert_until_acknowledged", message="Disk full", policy="jour")
        assert answer.is_error
        assert says in words(answer)
        assert team.reached == []


def broken_speech(folder: Path) -> dict[str, str]:
    """Return settings with a program that does not speak."""
    command = " ".join(f'"{word}"' for word in a_program(folder, "sys.exit(3)"))
    return {
        **CALLING,
        "ELKS_TTS_46ELKS": "",
        "ELKS_TTS_COMMAND": command,
        "ELKS_PUBLIC_URL": "https://sms.example.com",
    }


async def test_if_the_program_does_not_speak_those_whom_texts_reach_are_texted(tmp_path: Path) -> None:
    async with open_team(tmp_path, paging=PATH, shared=broken_speech(tmp_path)) as team:
        alert = await team.alert("Disk full")
        said = " ".join(alert["notes"])
        assert "Note: Calls are left out, and people are only texted." in said
        assert "The program of ELKS_TTS_COMMAND did not speak: it ended with exit code 3." in said
        assert "elks-mcp doctor" in said
        assert "Left out: Bo Ek. The policy only calls them." in said
        await team.pass_time(30)
        assert (team.reached, called(team.box)) == ([FIRST], [])
        assert (await team.check(alert))["status"] == "unanswered"


async def test_a_person_who_approves_an_alert_is_told_that_calls_are_left_out(tmp_path: Path) -> None:
    person = Person()
    asking = {**broken_speech(tmp_path), "ELKS_CONFIRM": "always"}
    async with open_team(tmp_path, person=person, paging=PATH, shared=asking) as team:
        await team.alert("Disk full")
        [question] = person.questions
        assert "Note: Calls are left out" in " ".join(question.split())
        assert f"Left out: Bo Ek ({SECOND_PERSON})." in question
        assert "Call " not in question.replace("Calls", "")


async def test_if_the_program_does_not_speak_and_nobody_can_be_texted_the_alert_is_refused(
    tmp_path: Path,
) -> None:
    async with open_team(tmp_path, paging=by_numbers(FIRST), shared=broken_speech(tmp_path)) as team:
        answer = await call(team.client, "alert_until_acknowledged", message="Disk full", policy="jour")
        assert answer.is_error
        assert "did not speak: it ended with exit code 3." in words(answer)
        assert "elks-mcp doctor" in words(answer)
        assert (team.reached, called(team.box)) == ([], [])


@pytest.mark.parametrize("first", ["+46701740620", "+46701740623", "+46701740624", "+46701740625"])
async def test_presses_2_never_answers_busy_and_voicemail_go_on_to_a_person_who_presses_1(
    tmp_path: Path, first: str
) -> None:
    async with open_team(tmp_path, paging=by_numbers(first, PRESSES_1), shared=CALLING) as team:
        alert = await team.alert("Disk full")
        await team.pass_time(9)
        done = await team.check(alert)
        assert (done["status"], done["acknowledgedBy"]) == ("acknowledged", PRESSES_1)
        assert [each["to"] for each in called(team.box)] == [first, PRESSES_1]
        await team.pass_time(30)
        assert len(called(team.box)) == 2


async def test_p3_one_approval_covers_the_calls_and_names_the_most_that_they_cost(tmp_path: Path) -> None:
    person = Person()
    asking = {**CALLING, "ELKS_CONFIRM": "always"}
    async with open_team(tmp_path, person=person, paging=PATH, shared=asking) as team:
        alert = await team.alert("Disk full")
        await team.pass_time(30)
        [question] = person.questions
        assert f"Call Åsa Lind ({FIRST}) for 0.80 SEK" in question
        assert f"Call Bo Ek ({SECOND_PERSON}) for 0.80 SEK" in question
        assert "At most 2.12 SEK" in question
        assert len(called(team.box)) == 2
        over = await team.check(alert)
        assert over["spent"]["amount"] <= 2.12


async def test_p5_a_call_beyond_the_cost_cap_is_not_made(tmp_path: Path) -> None:
    cheap = PATH.replace("cost_cap: 50", "cost_cap: 1.50")  # 0.52, 0.57, and 0.80 for the second call
    async with open_team(tmp_path, paging=cheap, shared=CALLING) as team:
        behave(team, FIRST, SILENT)
        alert = await team.alert("Disk full")
        await team.pass_time(30)
        over = await team.check(alert)
        assert [each["status"] for each in over["steps"]][-1] == "skipped"
        assert [each["to"] for each in called(team.box)] == [FIRST]


@pytest.mark.parametrize("confirm", ["auto", "never"])
async def test_at_night_an_alert_calls_people_and_asks_nobody(tmp_path: Path, confirm: str) -> None:
    async with open_team(tmp_path, paging=PATH, shared={**CALLING, "ELKS_CONFIRM": confirm}) as team:
        behave(team, FIRST, SILENT)
        team.clock.advance(timedelta(hours=11))  # midnight in Sweden
        await team.pass_time(1)  # a server says again that it runs
        alert = await team.alert("Disk full")
        assert "alertId" in alert, alert
        await team.pass_time(5)
        assert FIRST in [each["to"] for each in called(team.box)]


async def test_a_digit_after_the_end_is_recorded_as_late_and_opens_nothing(tmp_path: Path) -> None:
    async with open_team(tmp_path, paging=PATH, shared=CALLING) as team:
        behave(team, FIRST, RINGS)
        alert = await team.alert("Disk full")
        await team.pass_time(3.1)
        [ringing] = team.box.calls.ringing
        ended = await call(team.client, "end_alert", alertId=alert["alertId"])
        assert not ended.is_error
        team.box.calls.answer(ringing)
        await team.pass_time(0.05)
        team.box.calls.press(ringing, "1")
        await team.pass_time(1)
        late = await team.check(alert)
        assert late["status"] == "ended"
        assert any("acknowledged after its end by Åsa Lind" in each for each in late["notes"])
        await team.pass_time(30)
        assert [each["to"] for each in called(team.box)] == [FIRST]
