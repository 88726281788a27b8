"""`elks-mcp send --at`, `scheduled`, and what other commands say about scheduled texts."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from elks_mcp.domain.orders import Approver, Order
from elks_mcp.store import StateLocation
from elks_mcp.store.store import Store
from tests.support.batch_cases import csv_of
from tests.support.command_cases import do, run_command
from tests.support.connecting import posted
from tests.support.provider import PHONE, a_draft, an_approval
from tests.support.stores import allow, change_rows
from tests.support.terminal import at_terminal, started_at_terminal
from tests.support.verb_cases import SimulatedElks

NUMBER, NATIONAL = "+46701740605", "070-174 06 05"
AT = (datetime.now(ZoneInfo("Europe/Stockholm")) + timedelta(days=3)).replace(second=0, microsecond=0)
ISO = AT.isoformat(timespec="minutes")
WHEN = f"{AT:%A} {ISO[:10]} {ISO[11:16]} {ISO[16:]} (Europe/Stockholm)"


def in_one_line(text: str) -> str:
    """Return printed rows as one line."""
    return " ".join(text.split())


def test_a_text_is_scheduled_listed_and_cancelled(elks: SimulatedElks) -> None:
    result = elks.run_command("send", NATIONAL, "Hej på dig!", "--at", ISO)
    assert (result.exit_code, result.stderr) == (0, "")
    assert in_one_line(result.stdout).startswith(
        f"Scheduled: it goes out on {WHEN}, at most 60 minutes late or not at all. It can be cancelled "
        "until then. It is sent only if"
    )
    (order_id,) = re.findall(r"O-\w+", result.stdout.partition("order")[2])[:1]
    listed = elks.run_command("scheduled")
    assert (listed.exit_code, listed.stdout.split("\n")[:3]) == (
        0,
        [f"{order_id}  {WHEN}", f"  to {NATIONAL}", "| Hej på dig!"],
    )
    assert "Each text is sent only if a client" in in_one_line(listed.stdout)
    (as_json,) = elks.ask_json("scheduled")["scheduled"]
    assert (as_json["orderId"], as_json["when"], as_json["to"]) == (order_id, WHEN, NUMBER)
    assert datetime.fromisoformat(as_json["sendAt"]) == AT
    assert f"for {WHEN}" in elks.run_command("outbox").stdout
    shown = elks.run_command("outbox", "show", order_id).stdout
    assert shown.startswith(f"{order_id}\n  state     scheduled\n")
    assert f"\n  send at   {WHEN}, at most 60 minutes late or not at all\n" in shown
    assert elks.ask_json("status", order_id)["status"] == "scheduled"
    assert elks.run_command("cancel", order_id).stdout.startswith(f"{order_id} is cancelled: it was not sent")
    assert elks.run_command("scheduled").stdout == "No text is scheduled.\n"
    assert posted(elks.box) == []


def test_p13_a_scheduled_text_that_may_have_been_sent_is_listed_as_that(elks: SimulatedElks) -> None:
    order_id = elks.ask_json("send", NATIONAL, "Hej!", "--at", ISO)["orderId"]
    unknown = "UPDATE orders SET state = 'unknown', status_reason = 'Two texts fit.'"
    change_rows(StateLocation(folder=Path(elks.environ["ELKS_STATE_DIR"])), unknown)
    assert [(each["orderId"], each["why"]) for each in elks.ask_json("scheduled")["notSent"]] == [
        (order_id, "It may have been sent: do not send it again. Two texts fit.")
    ]


def test_a_zone_can_be_named_and_a_dry_run_names_the_time(elks: SimulatedElks) -> None:
    local = AT.strftime("%Y-%m-%dT%H:%M")
    result = elks.run_command("send", NUMBER, "Hej", "--at", local, "--time-zone", "UTC", DRY_RUN="1")
    there = AT.replace(tzinfo=UTC).astimezone(ZoneInfo("Europe/Stockholm"))
    assert result.exit_code == 0
    assert f"It would go out on {there:%A %Y-%m-%d %H:%M}" in in_one_line(result.stdout)
    assert elks.run_command("scheduled").stdout == "No text is scheduled.\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--at", "2020-01-01T09:00"], "is past"),
        (["--at", "tomorrow"], "cannot be 'tomorrow'"),
        (["--at", ISO, "--time-zone", "Sverige"], "cannot be 'Sverige'"),
        (["--time-zone", "Europe/Stockholm"], "Give both, or neither."),
    ],
    ids=["past", "a word", "an unknown zone", "a zone without a time"],
)
def test_a_time_that_is_not_clear_is_wrong_use(elks: SimulatedElks, options: list[str], said: str) -> None:
    result = elks.run_command("send", NUMBER, "Hej", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in in_one_line(result.stderr)


def test_the_question_at_a_terminal_names_the_time(elks: SimulatedElks) -> None:
    with at_terminal("send", NUMBER, "Hej", "--at", ISO, environ=elks.environ, columns=120) as terminal:
        terminal.read_until("Send it?").type("no")
        assert terminal.finish() == 1
    assert re.search(rf"^  at    {re.escape(WHEN)}$", terminal.shown, re.MULTILINE)
    always = {**elks.environ, "ELKS_CONFIRM": "always"}
    with at_terminal("send", NUMBER, "Hej", "--at", ISO, environ=always, columns=120) as terminal:
        terminal.read_until("Send it?").type("yes")
        assert terminal.finish() == 0
    assert terminal.shown.count(f"It goes out on {WHEN}, at most 60 minutes late or not at all.") == 2
    assert posted(elks.box) == []


async def let_wait(store: Store, at: datetime, text: str = "Hej") -> Order:
    """Place a scheduled text that waits for a person."""
    approval = an_approval(a_draft(text, send_at=at.astimezone(UTC)), Approver.TERMINAL)
    return (await store.orders.place(approval, allow)).order


def test_pending_and_approve_name_the_time(location: StateLocation) -> None:
    order = do(location, lambda store: let_wait(store, AT))
    assert f"{order.approval_code}  to {PHONE.e164} (Sweden), 1 part, 0.52 SEK, for {WHEN}; because" in (
        run_command(location, "pending").output
    )
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with started_at_terminal("approve", order.approval_code or "", environ=environ) as terminal:
        terminal.read_until("type the last four digits").type(PHONE.e164[-4:])
        assert terminal.finish() == 0
    goes_out = f"It goes out on {WHEN}, at most 60 minutes late or not at all."
    shown = " ".join(terminal.shown.split())
    assert shown.count(goes_out) == 2
    assert (
        f"Approved. A running server schedules it for {WHEN}, at most 60 minutes late or not at all; "
        "otherwise the next that starts within 7"
    ) in shown


def test_texts_for_different_times_are_not_listed_as_one_group(location: StateLocation) -> None:
    do(
        location,
        lambda store: let_wait(store, AT, "Ett"),
        lambda store: let_wait(store, AT, "Två"),
        lambda store: let_wait(store, AT + timedelta(days=1), "Tre"),
    )
    listed = run_command(location, "pending").output
    assert f"2 texts to {PHONE.e164} (Sweden) from +46701740699, 2 parts, 1.04 SEK, for {WHEN};" in listed
    assert listed.count(f"for {WHEN}") == 1


def test_a_scheduled_batch_is_one_line_of_the_schedule(elks: SimulatedElks, tmp_path: Path) -> None:
    file = tmp_path / "kunder.csv"
    file.write_text(csv_of(2), "utf-8")
    planned = elks.ask_json("batch", "plan", str(file), "--message", "Hej {namn}", "--at", ISO)
    started = elks.run_command("batch", "start", planned["batchId"], "--yes")
    assert started.stdout.startswith("Scheduled: 0 of 2 texts ended")
    listed = elks.run_command("scheduled").stdout
    assert listed.startswith(f"{planned['batchId']}  ")
    assert listed.split("\n")[1] == "  2 texts"
    assert "No text" not in listed
