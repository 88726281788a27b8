"""`elks-mcp numbers`: what the account's numbers receive, and where it goes."""

import json

import pytest

from elks_mcp.sandbox import Fault
from elks_mcp.sandbox.account import SandboxNumber
from tests.support.verb_cases import SimulatedElks

SECRET = "s3cr3t"
SECOND = "+46701740698"
HOOK = f"https://crm.example.com/hooks/{SECRET}"


@pytest.fixture
def second(elks: SimulatedElks) -> SandboxNumber:
    """Give the account a second number, with a webhook for texts."""
    capabilities = ("sms", "voice", "mms")
    second = SandboxNumber(SECOND, elks.box.clock.now(), capabilities=capabilities, name="Växel")
    second.sms_url = HOOK
    return elks.box.numbers.add(second)


def plain(text: str) -> str:
    """Return a text as one line."""
    return " ".join(text.split())


def test_the_list_has_every_number_its_id_and_no_secret(elks: SimulatedElks, second: SandboxNumber) -> None:
    ended = elks.box.numbers.add(SandboxNumber("+46701740697", elks.box.clock.now()))
    ended.deallocated_at = elks.box.clock.now()
    shown = elks.run_command("numbers", "list")
    assert shown.exit_code == 0, shown.output
    said = plain(shown.stdout)
    assert all(each.id in said and each.number in said for each in elks.box.numbers)
    assert f"{SECOND} (Växel), sms, voice, mms: texts are read from 46elks' history" in said
    assert "(46elks posts them to https://crm.example.com/…)" in said
    assert f"{ended.number}: not rented any more." in said
    assert SECRET not in shown.output
    listed = json.loads(elks.run_command("numbers", "list", "--json").stdout)["numbers"]
    assert [each["active"] for each in listed] == [True, True, False]
    assert SECRET not in json.dumps(listed)


def test_a_change_of_what_receives_texts_is_shown_and_asked_about(
    elks: SimulatedElks, second: SandboxNumber
) -> None:
    command = ("numbers", "configure", SECOND, "--sms-url", f"https://new.example.com/{SECRET}")
    declined = elks.run_command(*command, typed="n\n")
    assert (declined.exit_code, second.sms_url) == (1, HOOK)
    assert "Texts go to: https://crm.example.com/… → https://new.example.com/…" in plain(declined.stdout)
    assert SECRET not in declined.output
    done = elks.run_command(*command, typed="y\n")
    assert done.exit_code == 0, done.output
    assert second.sms_url == f"https://new.example.com/{SECRET}"
    again = elks.run_command(*command)
    assert (again.exit_code, "Nothing needs to be changed." in again.stdout) == (0, True)


def test_several_settings_change_in_one_request_and_the_others_stay(
    elks: SimulatedElks, second: SandboxNumber
) -> None:
    options = [
        "--voice-start",
        '{"hangup": "busy"}',
        "--mms-url",
        "https://mms.example.com/",
        "--replies",
        "no",
    ]
    done = elks.run_command("numbers", "configure", SECOND, *options, "--yes")
    assert done.exit_code == 0, done.output
    assert (second.voice_start, second.mms_url) == ('{"hangup": "busy"}', "https://mms.example.com/")
    assert (second.sms_replies, second.sms_url, second.name) == (False, HOOK, "Växel")
    posts = [request for request in elks.box.requests if request.method == "POST"]
    assert [set(post.form) for post in posts] == [{"voice_start", "mms_url", "sms_replies"}]
    removed = elks.run_command("numbers", "configure", SECOND, "--voice-start", "none", "--yes")
    assert (removed.exit_code, second.voice_start) == (0, "")


def test_a_name_alone_needs_no_question(elks: SimulatedElks, second: SandboxNumber) -> None:
    done = elks.run_command("numbers", "configure", "070-174 06 98", "--name", "Jouren")
    assert (done.exit_code, second.name) == (0, "Jouren"), done.output
    assert elks.run_command("numbers", "configure", SECOND, "--name", "none").exit_code == 0
    assert second.name == ""


def test_leaving_this_server_is_said_before_the_question(elks: SimulatedElks, second: SandboxNumber) -> None:
    public = {"ELKS_PUBLIC_URL": "https://sms.example.com"}
    assert elks.run_command("webhooks", "set", SECOND, "--yes", **public).exit_code == 0
    left = elks.run_command("numbers", "configure", SECOND, "--sms-url", "none", typed="n\n", **public)
    assert "Texts then do not come to this server by webhook any more." in plain(left.output)
    assert "webhooks set" in left.output
    assert second.sms_url


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "Nothing to change was given"),
        (["--sms-url", "crm.example.com"], "--sms-url: it is not a web address"),
        (["--sms-url", "{forward: +46}"], "--sms-url: it is not JSON"),
        (["--mms-url", '{"forward": "+46"}'], "--mms-url: it is not a web address"),
        (["--voice-start", "ftp://x.example.com"], "--voice-start: it is not a web address"),
        (["--sms-url", "https://[x"], "--sms-url: it is not a web address"),
        (["--name", "x" * 51], "The name has 51 characters"),
    ],
)
def test_an_option_that_46elks_could_not_use_is_refused(
    elks: SimulatedElks, second: SandboxNumber, options: list[str], said: str
) -> None:
    refused = elks.run_command("numbers", "configure", SECOND, *options, "--yes")
    assert refused.exit_code == 2
    assert said in plain(refused.output)
    assert second.sms_url == HOOK
    assert [request for request in elks.box.requests if request.method == "POST"] == []


def test_a_change_that_46elks_does_not_show_afterwards_is_reported(
    elks: SimulatedElks, second: SandboxNumber
) -> None:
    elks.box.faults.inject(Fault.HTML, method="POST", path="/numbers/*")
    done = elks.run_command("numbers", "configure", SECOND, "--name", "Jouren")
    assert done.exit_code == 1
    assert "46elks accepted the change, and does not show it: Name." in plain(done.output)


def test_there_is_no_command_that_rents_or_ends_a_number(elks: SimulatedElks) -> None:
    shown = elks.run_command("numbers", "--help").output
    assert {"list", "configure"} <= set(shown.split())
    assert not {"rent", "release", "allocate", "deallocate"} & set(shown.split())
