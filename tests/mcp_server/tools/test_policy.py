"""The policy report of the tool and of the command; neither changes anything."""

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from elks_mcp.domain.doubts import explain_short_quiet_period
from elks_mcp.domain.policy import TIMES_A_DAY
from elks_mcp.sandbox import Sandbox
from elks_mcp.settings import NAMES
from elks_mcp.store import AccountKey, PauseReason, StateLocation
from tests.sandbox.serving import serve
from tests.support.clocks import ManualClock
from tests.support.connecting import (
    EITHER_ERA,
    ERAS,
    PHONE,
    Era,
    Way,
    call,
    connected,
    data,
    live,
    new_box,
    posted,
    words,
)
from tests.support.process import NOWHERE, run, running
from tests.support.stores import claim_new, opened, place_one

pytestmark = pytest.mark.anyio

DRY = "texts are only priced, and nothing is sent."

NOT_RULES = {
    "ELKS_ACCOUNT",
    "ELKS_ALLOWED_HOSTS",
    "ELKS_API_USERNAME",
    "ELKS_API_PASSWORD",
    "ELKS_API_BASE_URL",
    "ELKS_CALL_PRICE_PER_MINUTE",
    "ELKS_CONTACTS",
    "ELKS_ESCALATION",
    "ELKS_FILES_DIR",
    "ELKS_MMS_PRICE",
    "ELKS_DATABASE_URL",
    "ELKS_GREETER",
    "ELKS_LOG_LEVEL",
    "ELKS_METRICS_FROM",
    "ELKS_POLL_SECONDS",
    "ELKS_PROMPTS_DIR",
    "ELKS_PUBLIC_URL",
    "ELKS_RETENTION_DAYS",
    "ELKS_SANDBOX",
    "ELKS_SANDBOX_PAGE",
    "ELKS_SECRET_KEY",
    "ELKS_STATE_DIR",
    "ELKS_TIMEOUT",
    "ELKS_TIME_ZONE",
    "ELKS_TTS_46ELKS",
    "ELKS_TTS_COMMAND",
    "ELKS_TRUSTED_PROXIES",
    "ELKS_WEBHOOK_SOURCES",
}
"""Settings that allow and forbid nothing."""


@pytest.fixture
def box() -> Sandbox:
    """A 46elks to text through."""
    return new_box()


async def ask(
    environ: Mapping[str, str], box: Sandbox | None = None, way: Way = "auto"
) -> tuple[dict[str, Any], str]:
    """Ask what is allowed; return the answer, as data and as text."""
    async with connected(environ, box=box, way=way, clock=ManualClock()) as client:
        answer = await call(client, "explain_policy")
        assert not answer.is_error
        return data(answer), words(answer)


def rule(answer: Mapping[str, Any], variable: str) -> tuple[str, bool]:
    """Find the current value of one rule, and whether it was set."""
    (found,) = [each for each in answer["rules"] if each["variable"] == variable]
    return found["now"], found["isSet"]


@pytest.mark.parametrize("way", ERAS)
async def test_the_rules_are_listed_with_the_variable_that_changes_each(box: Sandbox, way: Way) -> None:
    environ = live(
        box,
        ELKS_ALLOWED_COUNTRIES="NO,SE",
        ELKS_ALLOWED_RECIPIENTS="+46701740605,+46701740606",
        ELKS_ALLOWED_SENDERS="Kliniken,+46701740698",
        ELKS_CONFIRM="always",
        ELKS_BUDGET_PER_DAY="20",
        ELKS_GUARDS_OFF="night,link",
    )
    answer, said = await ask(environ, box, way)
    assert (answer["mode"], answer["summary"]) == (
        "live",
        "texts are really sent, and each one costs money.",
    )
    expected = {
        "DRY_RUN": ("off", True),
        "ELKS_CONFIRM": ("always: before every text, in the client or in a terminal", True),
        "ELKS_ALLOWED_COUNTRIES": ("NO, SE", True),
        "ELKS_ALLOWED_RECIPIENTS": ("only 2 numbers, not shown here", True),
        "ELKS_PHONE_NUMBER": ("+4670*****99", True),
        "ELKS_ALLOWED_SENDERS": ("only Kliniken, +4670*****98", True),
        "ELKS_MAX_PARTS": ("6", False),
        "ELKS_BUDGET_PER_MESSAGE": ("10.00 SEK", False),
        "ELKS_MAX_PER_NUMBER": ("5 in 10 minutes, 20 in 24 hours", False),
        "ELKS_SMS_PER_MINUTE": ("95 a minute", False),
        "ELKS_QUIET_PERIOD": ("120 s", False),
        "ELKS_GUARDS_OFF": ("link, night", True),
    }
    assert {variable: rule(answer, variable) for variable in expected} == expected
    assert "- countries: NO, SE (ELKS_ALLOWED_COUNTRIES, set)\n" in said
    assert "- most parts of one text: 6 (ELKS_MAX_PARTS, default)\n" in said
    assert "0605" not in said
    assert posted(box) == posted(box, dry_run=True) == []


async def test_every_setting_that_is_a_rule_is_listed() -> None:
    answer, _ = await ask({})
    assert {each["variable"] for each in answer["rules"]} == set(NAMES) - NOT_RULES


async def test_the_listed_limit_of_a_number_is_that_of_the_guard() -> None:
    answer, _ = await ask({"ELKS_MAX_PER_NUMBER": "3"})
    assert rule(answer, "ELKS_MAX_PER_NUMBER")[0].endswith(f", {3 * TIMES_A_DAY} in 24 hours")


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_the_rest_of_the_budget_is_reported(box: Sandbox, tmp_path: Path, era: Era) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path), ELKS_BUDGET_PER_DAY="2", ELKS_GUARDS_OFF="velocity")
    async with connected(environ, box=box, way=era) as client:
        before = data(await call(client, "explain_policy"))
        assert before["budget"] == {
            "most": {"amount": 2.0, "currency": "SEK"},
            "spent": None,
            "left": {"amount": 2.0, "currency": "SEK"},
        }
        assert "nothing has been spent yet" in rule(before, "ELKS_BUDGET_PER_DAY")[0]
        for text in ("Ett", "Två", "Tre"):
            assert data(await call(client, "send_sms", to=PHONE, message=text))["status"] == "sent"
        after = await call(client, "explain_policy")
        left = "2.00 SEK; 1.56 SEK of it is spent or reserved, 0.44 SEK is left"
        assert rule(data(after), "ELKS_BUDGET_PER_DAY") == (left, True)
        assert data(after)["budget"]["left"] == {"amount": 0.44, "currency": "SEK"}
        assert (await call(client, "send_sms", to=PHONE, message="Fyra")).is_error


async def test_reserved_amounts_and_unfinished_orders_count(box: Sandbox, tmp_path: Path) -> None:
    location, account = StateLocation(folder=tmp_path), AccountKey("https://api.46elks.com/a1", box.username)
    clock = ManualClock()
    async with opened(location, clock, account) as store:
        claim = await claim_new(store, "Ett")
        await store.queue.settle_doubt(claim, "No answer.")
        await place_one(store, "Två")
        await store.queue.pause(PauseReason.NO_FUNDS, timedelta(minutes=1))
        await store.inbound.record([], until=clock.now())
    async with opened(location, clock, AccountKey(account.base_url, "somebody else")) as store:
        await place_one(store, "Tre")
    environ = live(box, ELKS_STATE_DIR=str(tmp_path), DRY_RUN="true")
    async with connected(environ, box=box, clock=clock) as client:
        answer = await call(client, "explain_policy")
    report = data(answer)
    assert report["budget"]["spent"]["amount"] == 1.04
    assert report["open"] == {"queued": 1, "in doubt": 1}
    assert report["paused"] == "no funds"
    assert report["stopsHeardUntil"] == "2026-11-23T12:00:00Z"
    assert "Sending is paused: no funds.\nOrders: 1 queued, 1 in doubt.\n" in words(answer)
    assert "Opt-outs were read up to 2026-11-23 12:00 +00:00." in words(answer)


async def test_an_overdrawn_budget_has_nothing_left(box: Sandbox, tmp_path: Path) -> None:
    account = AccountKey("https://api.46elks.com/a1", box.username)
    async with opened(StateLocation(folder=tmp_path), ManualClock(), account) as store:
        await place_one(store)
    answer, _ = await ask(
        live(box, ELKS_STATE_DIR=str(tmp_path), ELKS_BUDGET_PER_DAY="0.10", DRY_RUN="1"), box
    )
    assert answer["budget"]["left"]["amount"] == 0


@pytest.mark.parametrize(
    ("environ", "summary"),
    [
        (
            {},
            f"{DRY} To send, the operator sets DRY_RUN=false, or a person approves a call with dryRun=false.",
        ),
        ({"ELKS_CONFIRM": "never"}, f"{DRY} Only the operator (DRY_RUN=false) can change that."),
        (
            {"ELKS_READ_ONLY": "1", "DRY_RUN": "0"},
            f"{DRY} Only the operator (ELKS_READ_ONLY) can change that.",
        ),
        ({"ELKS_SANDBOX": "true"}, "texts only go to simulated phones, and nothing costs money."),
    ],
)
async def test_the_mode_is_described_in_a_sentence(environ: dict[str, str], summary: str) -> None:
    answer, said = await ask(environ)
    assert answer["summary"] == summary
    assert said.splitlines()[0].endswith(summary)


async def test_without_credentials_no_currency_is_guessed_and_no_request_made() -> None:
    answer, said = await ask({})
    assert rule(answer, "ELKS_BUDGET_PER_MESSAGE")[0] == "10 in SEK, NOK and DKK, else 1"
    assert rule(answer, "ELKS_BUDGET_PER_DAY")[0].startswith("100 in SEK, NOK and DKK, else 10; nothing has")
    assert answer["budget"] == {"most": None, "spent": None, "left": None}
    assert "Missing required environment variables: ELKS_API_USERNAME" in said
    configured, _ = await ask({"ELKS_BUDGET_PER_DAY": "5", "ELKS_BUDGET_PER_MESSAGE": "0.5"})
    assert rule(configured, "ELKS_BUDGET_PER_MESSAGE") == ("0.50", True)
    assert configured["budget"]["left"] == {"amount": 5.0, "currency": ""}


async def test_without_credentials_the_spending_is_unknown(tmp_path: Path) -> None:
    async with opened(StateLocation(folder=tmp_path)) as store:
        await place_one(store)
    answer, _ = await ask({"ELKS_STATE_DIR": str(tmp_path)})
    assert "spending is not known without credentials" in rule(answer, "ELKS_BUDGET_PER_DAY")[0]


async def test_obstacles_to_sending_are_noted(box: Sandbox) -> None:
    answer, said = await ask(
        live(box, ELKS_BUDGET_DAY="5", ELKS_QUIET_PERIOD="10", ELKS_GUARDS_OFF="link"), box
    )
    notes = " ".join(answer["notes"])
    assert "the name is ELKS_BUDGET_PER_DAY. Until that is fixed, nothing is sent." in notes
    assert "46elks' history was not read for opt-outs yet" in notes
    assert "Guards that cannot be switched off: daily_budget, impersonation, opted_out." in notes
    assert "ELKS_QUIET_PERIOD is 10 s, less than 40 s" in notes
    assert all(f"Note: {note}" in said for note in answer["notes"])


async def test_the_contacts_are_noted_with_their_path_count_and_writers(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("namn;telefon;grupp\nÅsa;0701740605;jour\nBo;4,67E+10;\n", "utf-8")
    for mode, writers in ((0o600, "Only the user who runs elks-mcp"), (0o666, "Everybody on this machine")):
        file.chmod(mode)
        answer, said = await ask({"ELKS_CONTACTS": str(file)})
        (note,) = [each for each in answer["notes"] if "ELKS_CONTACTS" in each]
        assert note.startswith(f"ELKS_CONTACTS is {file}: 2 contacts, 1 group, changed 20")
        if sys.platform != "win32":
            assert note.endswith(f", 1 problem. {writers} may write it.")
        assert note in said


async def test_contacts_that_cannot_be_read_are_noted(tmp_path: Path) -> None:
    answer, _ = await ask({"ELKS_CONTACTS": str(tmp_path / "people.csv")})
    assert any("The contacts in people.csv cannot be read. No such" in each for each in answer["notes"])
    assert str(tmp_path) not in str(answer)


def test_a_quiet_period_below_a_request_and_half_a_minute_is_noted_as_short() -> None:
    assert explain_short_quiet_period(40, 10) == explain_short_quiet_period(120, 90) == ""
    assert "ELKS_QUIET_PERIOD is 39.5 s, less than 40 s" in explain_short_quiet_period(39.5, 10)


@pytest.mark.parametrize("answers", [401, 500])
async def test_if_46elks_does_not_answer_the_rest_is_still_reported(box: Sandbox, answers: int) -> None:
    environ = (
        live(box, ELKS_API_PASSWORD="wrong")
        if answers == 401
        else live(box, ELKS_API_BASE_URL="http://127.0.0.1:1/a1")
    )
    answer, _ = await ask(environ, box if answers == 401 else None)
    assert rule(answer, "ELKS_BUDGET_PER_MESSAGE")[0] == "10 in SEK, NOK and DKK, else 1"


def test_a_server_that_was_always_in_dry_run_loads_no_store_for_the_policy(tmp_path: Path) -> None:
    """A dry run stays cheap: SQLAlchemy takes half a second, and 20 MiB."""
    script = (
        "import atexit, sys, elks_mcp.__main__ as program\n"
        "tell = lambda: print('heavy' if 'sqlalchemy' in sys.modules else 'light', file=sys.stderr)\n"
        "atexit.register(tell)\n"
        "program.main()"
    )
    with running({}, tmp_path, command=[sys.executable, "-c", script]) as server:
        server.initialize()
        assert "nothing has been spent" in server.call("explain_policy")["content"][0]["text"]
        server.close()
        assert server.stderr.endswith("light\n")
    assert not (tmp_path / "state").exists()


# ── the command ──


async def test_the_command_reports_the_same_as_the_tool(box: Sandbox, tmp_path: Path) -> None:
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_STATE_DIR=str(tmp_path), ELKS_MAX_PARTS="3")
        async with opened(
            StateLocation(folder=tmp_path), account=AccountKey(f"{url}/a1", box.username)
        ) as store:
            await place_one(store)
        done = await anyio.to_thread.run_sync(lambda: run("policy", **environ))
        async with connected(environ | {"DRY_RUN": "true"}) as client:
            tool = words(await call(client, "explain_policy"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "Sandbox: texts only go to simulated phones, and nothing costs money.\n"
        "- sender: +4670*****99 (ELKS_PHONE_NUMBER, set)\n"
    )
    assert "0.52 SEK of it is spent or reserved, 99.48 SEK is left" in done.stdout
    assert "Orders: 1 queued." in done.stdout
    assert done.stdout.splitlines()[3:15] == tool.splitlines()[3:15]
    assert box.accepted == [], "what is queued stays queued"


def test_the_command_creates_no_state() -> None:
    done = run("policy", ELKS_ALLOWED_RECIPIENTS=PHONE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "recipients: only 1 number, not shown here (ELKS_ALLOWED_RECIPIENTS, set)" in done.stdout
    assert not NOWHERE.exists()


def test_a_state_that_cannot_be_used_ends_the_command_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite3").write_bytes(b"This is no database, and was never one." * 100)
    environ = {"ELKS_STATE_DIR": str(tmp_path), "ELKS_API_USERNAME": "u", "ELKS_API_PASSWORD": "p"}
    done = run("policy", ELKS_API_BASE_URL="http://127.0.0.1:1/a1", **environ)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
