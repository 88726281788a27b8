"""`elks-mcp escalation`, and `approve` and `pending` for an alert."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from elks_mcp.domain.alerts import Alert, AlertPlan
from elks_mcp.domain.escalation import AlertState, Contacting, EscalationPath, Means, Stage
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approver
from elks_mcp.domain.phone import Number
from elks_mcp.store import StateLocation
from elks_mcp.store.store import Store
from tests.support.audio import a_wav
from tests.support.command_cases import do, run_command
from tests.support.speech import a_program
from tests.support.state_folders import with_tables
from tests.support.stores import allow
from tests.support.terminal import at_terminal

PEOPLE = (Number("+46701740620"), Number("+46701740621"))
IDENTITY = ("jour", "Disken är full")


@pytest.fixture
def location(tmp_path: Path) -> StateLocation:
    return with_tables(tmp_path / "state")


def a_plan() -> AlertPlan:
    stages = tuple(
        Stage(
            means=Means.SMS,
            people=(Contacting(to=to, price=Money(5200, "SEK")),),
            wait=timedelta(minutes=5),
        )
        for to in PEOPLE
    )
    return AlertPlan(
        policy="jour",
        message="Disken är full",
        sender=Number("+46701740699"),
        path=EscalationPath(stages=stages, rounds=2),
        most=Money(20800, "SEK"),
        time_cap=timedelta(hours=1),
        planned_at=datetime.now(UTC),
    )


def wait_for_approval(location: StateLocation) -> Alert:
    """Have an alert that waits for a person in a terminal."""

    async def work(store: Store) -> Alert:
        plan = await store.alerts.add(a_plan(), Approver.TERMINAL, IDENTITY, "")
        return await store.alerts.get(plan.id)

    alert: Alert = do(location, work)
    return alert


def run_one(location: StateLocation) -> Alert:
    """Have an alert that runs, and whose first stage is placed."""

    async def work(store: Store) -> Alert:
        alert = await store.alerts.raise_unasked(a_plan(), IDENTITY, "", allow)
        await store.alert_runs.place(alert.id, 0, allow)
        return await store.alerts.get(alert.id)

    alert: Alert = do(location, work)
    return alert


def find_alert(location: StateLocation, alert: Alert) -> Alert:
    found: Alert = do(location, lambda store: store.alerts.get(alert.id))
    return found


def test_a_person_approves_an_alert_by_the_number_of_people(location: StateLocation) -> None:
    alert = wait_for_approval(location)
    assert "to 2 numbers by jour, at most 2.08 SEK" in run_command(location, "pending").output
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with at_terminal("approve", str(alert.approval_code), environ=environ) as terminal:
        terminal.read_until("type the number of people").type("2")
        assert terminal.finish() == 0
    assert "Alert 2 people from +46701740699 until one acknowledges?" in terminal.shown
    assert "At most 2.08 SEK and 1 hour. Policy jour, 2 times." in terminal.shown
    assert "| Disken är full" in terminal.shown
    assert f"Approved. A running server starts {alert.id} now" in terminal.shown
    assert find_alert(location, alert).is_approved


@pytest.mark.parametrize("typed", ["", "3", "yes"])
def test_another_number_approves_nothing(location: StateLocation, typed: str) -> None:
    alert = wait_for_approval(location)
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with at_terminal("approve", str(alert.approval_code), environ=environ) as terminal:
        terminal.read_until("type the number of people").type(typed)
        assert terminal.finish() == 1
    assert not find_alert(location, alert).is_approved


def test_alerts_are_listed_and_shown_with_their_code(location: StateLocation) -> None:
    assert "no alerts" in run_command(location, "escalation", "list").output
    alert = run_one(location)
    listed = run_command(location, "escalation", "list").output
    assert f"{alert.id}  running" in listed
    shown = run_command(location, "escalation", "show", alert.id.lower()).output
    code = do(location, lambda store: store.alerts.get_plan(alert.id)).code
    assert f"Code: {code}" in shown
    assert "Step 1: +46701740620 by sms: queued" in shown
    assert "Next: text +46701740621, " in shown
    as_json = json.loads(run_command(location, "escalation", "show", alert.id, "--json").output)
    assert (as_json["state"], as_json["position"]) == ("running", 1)
    assert run_command(location, "escalation", "show", "E-22222222").exit_code == 1


def test_a_person_acknowledges_an_alert_and_its_queued_text_is_cancelled(location: StateLocation) -> None:
    alert = run_one(location)
    assert run_command(location, "escalation", "ack", alert.id).exit_code == 0
    acknowledged = find_alert(location, alert)
    assert acknowledged.state is AlertState.ACKNOWLEDGED
    assert [each.order_state for each in acknowledged.attempts] == ["cancelled"]
    assert run_command(location, "escalation", "ack", alert.id).exit_code == 0
    assert run_command(location, "escalation", "end", alert.id).exit_code == 0
    assert find_alert(location, alert).state is AlertState.ACKNOWLEDGED


def test_a_person_ends_an_alert_and_a_later_acknowledgement_changes_nothing(location: StateLocation) -> None:
    alert = run_one(location)
    assert run_command(location, "escalation", "end", alert.id).exit_code == 0
    late = run_command(location, "escalation", "ack", alert.id)
    assert late.exit_code == 1
    assert "Acknowledged after its end by a person at a terminal" in late.output
    assert find_alert(location, alert).state is AlertState.ENDED


def a_speaker(folder: Path) -> str:
    """Return the command of a program that speaks: a second of silence."""
    (folder / "silence.wav").write_bytes(a_wav())
    code = f"sys.stdout.buffer.write(open({str(folder / 'silence.wav')!r}, 'rb').read())"
    return " ".join(f'"{word}"' for word in a_program(folder, code))


GOOD = "policies:\n  jour:\n    cost_cap: 10\n    steps:\n    - {whom: Åsa Lind, by: sms, wait: 5}\n"


def test_check_names_each_fault_with_file_and_line(location: StateLocation, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("name,phone\nÅsa Lind,+46701740620\n", "utf-8")
    path = tmp_path / "paging.yaml"
    path.write_text(GOOD, "utf-8")
    environ = {"ELKS_CONTACTS": str(people)}
    good = run_command(location, "escalation", "check", str(path), **environ)
    assert (good.exit_code, good.output) == (
        0,
        "jour: Åsa Lind by sms (5 min); at most 10 and 2 hours.\n",
    )
    assert run_command(location, "escalation", "check", ELKS_ESCALATION=str(path), **environ).exit_code == 0
    path.write_text(GOOD.replace("Åsa Lind", "Åsa Lund") + "    repeat: 2\n", "utf-8")
    bad = run_command(location, "escalation", "check", str(path), **environ)
    assert bad.exit_code == 1
    assert f"{path}:6: The policy 'jour' has the unknown key 'repeat'. Did you mean `rounds`?" in bad.output
    path.write_text(GOOD.replace("Åsa Lind", "Asa Lind"), "utf-8")
    unknown = run_command(location, "escalation", "check", str(path), "--json", **environ)
    [fault] = json.loads(unknown.output)["faults"]
    assert fault["line"] == 5
    assert 'No contact is called "Asa Lind". Did you mean "Åsa Lind' in fault["reason"]


@pytest.mark.parametrize("toolsets", ["sms,escalation", "sms,calls,escalation"])
def test_check_says_what_a_policy_that_calls_lacks(
    location: StateLocation, tmp_path: Path, toolsets: str
) -> None:
    path = tmp_path / "paging.yaml"
    path.write_text(GOOD.replace("Åsa Lind, by: sms", "+46701740620, by: [sms, call]"), "utf-8")
    environ = {"ELKS_TOOLSETS": toolsets}
    bare = run_command(location, "escalation", "check", str(path), **environ)
    assert bare.exit_code == 1
    for lacks in ("Set ELKS_CALL_PRICE_PER_MINUTE", "set ELKS_TTS_COMMAND", "Set ELKS_PUBLIC_URL"):
        assert re.search(rf"{path}:5: It calls people\. .*{lacks}", bare.output)
    environ["ELKS_CALL_PRICE_PER_MINUTE"] = "0.80"
    english = {**environ, "ELKS_TTS_46ELKS": "true"}
    assert run_command(location, "escalation", "check", str(path), **english).exit_code == 0
    speaker = a_speaker(tmp_path)
    spoken = {**environ, "ELKS_TTS_COMMAND": speaker, "ELKS_PUBLIC_URL": "https://sms.example"}
    assert run_command(location, "escalation", "check", str(path), **spoken).exit_code == 0
    path.write_text("language: sv\n" + path.read_text("utf-8"), "utf-8")
    swedish = run_command(location, "escalation", "check", str(path), **english)
    assert "paging.yaml:6: It calls people. 46elks itself reads only English" in swedish.output


def test_check_has_the_program_speak_once_if_a_policy_calls(location: StateLocation, tmp_path: Path) -> None:
    path = tmp_path / "paging.yaml"
    one = GOOD.replace("Åsa Lind, by: sms", "+46701740620, by: call")
    path.write_text(one + one.removeprefix("policies:\n").replace("jour", "natt"), "utf-8")
    runs = tmp_path / "runs"
    code = f"open({str(runs)!r}, 'a').write(sys.stdin.read()); sys.exit(3)"
    environ = {
        "ELKS_CALL_PRICE_PER_MINUTE": "0.80",
        "ELKS_PUBLIC_URL": "https://sms.example.com",
        "ELKS_TTS_COMMAND": " ".join(f'"{word}"' for word in a_program(tmp_path, code)),
    }
    broken = run_command(location, "escalation", "check", str(path), **environ)
    assert broken.exit_code == 1
    for line in (5, 9):
        assert (
            f"{path}:{line}: It calls people. The program of ELKS_TTS_COMMAND did not speak:" in broken.output
        )
    assert len(runs.read_text("utf-8").splitlines()) == 1
    path.write_text(one.replace("call", "sms"), "utf-8")
    assert run_command(location, "escalation", "check", str(path), **environ).exit_code == 0
    assert len(runs.read_text("utf-8").splitlines()) == 1, "a policy that only texts needs no program"


def test_check_needs_a_file_that_can_be_read(location: StateLocation, tmp_path: Path) -> None:
    none = run_command(location, "escalation", "check")
    assert "No policy file is named" in none.output
    missing = run_command(location, "escalation", "check", str(tmp_path / "none.yaml"))
    assert "cannot be read" in missing.output
