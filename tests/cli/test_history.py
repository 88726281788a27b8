"""`elks-mcp history`, `inbox`, `balance` and `stats`."""

import json
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.process import PROGRAM, running
from tests.support.terminal import at_terminal
from tests.support.verb_cases import SimulatedElks

PHONE, NATIONAL = "+46701740605", "070-174 06 05"
NOT_ON_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent there")


def converse(elks: SimulatedElks) -> None:
    """Have a text sent, and two received."""
    assert elks.run_command("send", PHONE, "Kommer du på lördag? Å ä ö 🙂").exit_code == 0
    elks.box.clock.advance(timedelta(minutes=1))
    elks.do(elks.receive, PHONE, "Ja!\n\x1b[2J\u202eklockan tre")
    elks.box.clock.advance(timedelta(minutes=1))
    elks.do(elks.receive, "+46701740606", "STOP")


def test_the_latest_texts_are_shown_with_the_newest_last(elks: SimulatedElks) -> None:
    converse(elks)
    result = elks.run_command("history", ELKS_TIME_ZONE="UTC")
    assert result.exit_code == 0
    sent, answer, stop = result.stdout.strip().split("\n\n")
    assert sent.startswith("20")
    assert f"  to {NATIONAL}  delivered, 0.52 SEK\n| Kommer du på lördag? Å ä ö 🙂" in sent
    assert f"  from {NATIONAL}  reply\n| Ja!\n| [2Jklockan tre" in answer
    assert "  from 070-174 06 06  opted out with this text\n| STOP" in stop
    assert "\x1b" not in result.stdout
    received = elks.run_command("inbox", "--limit", "1", ELKS_TIME_ZONE="UTC").stdout
    assert received.strip() == stop


def test_programs_get_the_newest_first(elks: SimulatedElks) -> None:
    converse(elks)
    listed = elks.ask_json("history", "--direction", "inbound")
    assert listed["count"] == 2
    assert [each["untrustedText"] for each in listed["messages"]] == ["STOP", "Ja!\n[2Jklockan tre"]
    before = listed["messages"][0]["createdAt"]
    earlier = elks.ask_json("history", "--until", before, "--direction", "inbound")
    assert [each["id"] for each in earlier["messages"]] == [listed["messages"][1]["id"]]


def test_a_conversation_has_the_texts_with_one_person(elks: SimulatedElks) -> None:
    converse(elks)
    result = elks.run_command("conversation", *NATIONAL.split(), ELKS_TIME_ZONE="UTC")
    assert result.exit_code == 0
    sent, answer = result.stdout.strip().split("\n\n")
    assert f"  to {NATIONAL}  delivered" in sent
    assert f"  from {NATIONAL}  reply\n| Ja!\n| [2Jklockan tre" in answer
    assert elks.run_command("history", "--with", PHONE, ELKS_TIME_ZONE="UTC").stdout == result.stdout
    texts = elks.ask_json("conversation", PHONE, "--limit", "1")["messages"]
    assert [each["untrustedText"] for each in texts] == ["Ja!\n[2Jklockan tre"]
    assert elks.run_command("conversation", "12").exit_code == 2


def test_a_period_is_in_the_zone_that_is_configured(elks: SimulatedElks) -> None:
    converse(elks)
    now = elks.box.clock.now()
    day, before = (f"{each:%Y-%m-%d}" for each in (now, now - timedelta(days=1)))
    assert elks.ask_json("history", "--since", day, "--until", day, ELKS_TIME_ZONE="UTC")["count"] == 3
    assert elks.ask_json("inbox", "--until", before, ELKS_TIME_ZONE="UTC")["count"] == 0
    counted = elks.ask_json("stats", "--since", day, ELKS_TIME_ZONE="UTC")
    assert [(each["day"], each["messages"]) for each in counted["days"]] == [(day, 1)]
    refused = elks.run_command("history", "--since", "2026-03-29T02:30", ELKS_TIME_ZONE="Europe/Stockholm")
    assert (refused.exit_code, "does not exist" in refused.stderr) == (2, True)


def test_an_empty_history_says_so(elks: SimulatedElks) -> None:
    assert elks.run_command("history").stdout == "There are no such texts.\n"
    assert elks.run_command("history", "--until", "yesterday").exit_code == 2


def test_a_narrow_terminal_shows_all_of_it(elks: SimulatedElks) -> None:
    converse(elks)
    with at_terminal("history", environ=elks.environ, columns=40) as terminal:
        assert terminal.finish() == 0
    assert "klockan tre" in terminal.shown
    assert [row for row in terminal.shown.split("\n") if len(row) > 40] == []


@pytest.mark.usefixtures("fresh_start")
@NOT_ON_WINDOWS
def test_an_inbox_stays_open_until_ctrl_c(elks: SimulatedElks, tmp_path: Path) -> None:
    assert elks.run_command("send", PHONE, "Kommer du?").exit_code == 0
    environ = {**elks.environ, "ELKS_POLL_SECONDS": "1"}
    command = (*PROGRAM, "history", "--follow", "--json")
    with running(environ, tmp_path, command=command) as following:
        first = json.loads(following.read_line())
        assert (first["text"], first["status"]) == ("Kommer du?", "created")
        elks.do(elks.receive, PHONE, "Ja, å ä ö 🙂")
        assert json.loads(following.read_line())["untrustedText"] == "Ja, å ä ö 🙂"
        assert following.end(signal.SIGINT) == 0
        assert following.stderr == ""


def test_following_cannot_look_back(elks: SimulatedElks) -> None:
    result = elks.run_command("history", "--follow", "--until", "2026-12-01T09:00")
    assert (result.exit_code, "--until" in result.stderr) == (2, True)


def test_the_balance_and_the_statistics_are_those_of_the_tools(elks: SimulatedElks) -> None:
    converse(elks)
    assert elks.run_command("balance").stdout == "Balance: 99.48 SEK.\n"
    assert elks.ask_json("balance")["balance"] == {"amount": 99.48, "currency": "SEK"}
    assert elks.run_command("stats").stdout.startswith("1 sent text: 1 delivered. 100% of those settled")
    assert elks.ask_json("stats", "--limit", "10")["delivered"] == 1
    for verb in ("balance", "stats", "history", "inbox"):
        assert elks.run_command(verb, ELKS_API_USERNAME="").exit_code == 2
