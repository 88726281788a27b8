"""P7, P8, P11, P12: policy, secrets, standard output, the network."""

import itertools
import json
import re
import sys
from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from elks_mcp.domain.orders import Draft
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, SenderId
from elks_mcp.sandbox import Fault, ManualClock, Sandbox
from elks_mcp.settings import load
from tests.sandbox.serving import serve
from tests.support.connecting import (
    FAST_PACE,
    PHONE,
    call,
    connected,
    live,
    new_box,
    posted,
    words,
)
from tests.support.contact_files import card
from tests.support.process import Process, running
from tests.support.promise_cases import CANARY_TEXT

pytestmark = pytest.mark.anyio


@pytest.fixture
def box() -> Sandbox:
    """A 46elks to text through."""
    return new_box()


# ── P7 ──


@pytest.mark.parametrize(
    "rule",
    [
        {"ELKS_ALLOWED_COUNTRIES": "NO"},
        {"ELKS_ALLOWED_RECIPIENTS": "+46701740699"},
        {"ELKS_ALLOWED_SENDERS": "Klara"},
        {"ELKS_MAX_PARTS": "1"},
        {"ELKS_BUDGET_PER_MESSAGE": "0.51"},
        {"ELKS_BUDGET_PER_DAY": "0.51"},
        {"ELKS_READ_ONLY": "true"},
        {"ELKS_CONFIRM": "always"},
        {"ELKS_API_USER": "a mistaken name"},
        {"ELKS_BUDGET_PER_MONTH": "a limit that nobody reads"},
    ],
    ids=lambda rule: next(iter(rule)),
)
async def test_p7_no_argument_relaxes_the_operators_policy(box: Sandbox, rule: dict[str, str]) -> None:
    environ = live(box, ELKS_PHONE_NUMBER="+46701740698") | rule
    arguments: dict[str, list[Any]] = {
        "to": [PHONE, "070-174 06 05", "0046701740605", "+46 (0)70 174 06 05"],
        "sender": ["Hejsan", "+46701740607"],
        "flashsms": [None, "yes"],
        "dryRun": [None, False],
        "idempotencyKey": [None, "k"],
    }
    async with connected(environ, box=box) as client:
        for values in itertools.product(*arguments.values()):
            tried = dict(zip(arguments, values, strict=True))
            await call(client, "send_sms", message="å" * 161, **tried)
        for name in (
            "confirm",
            "force",
            "policy",
            "maxParts",
            "ELKS_MAX_PARTS",
            "allowed_countries",
            "planned",
            "asked",
            "approval",
            "approvalId",
            "approved",
            "budgetPerDay",
            "maxPerNumber",
            "guardsOff",
            "ELKS_GUARDS_OFF",
            "stateDir",
            "retentionDays",
        ):
            answer = await call(client, "send_sms", to=PHONE, message="å" * 161, **{name: "true"})
            assert f"has no argument '{name}'" in words(answer)
    assert posted(box) == []


@pytest.mark.parametrize(
    ("rule", "guard"),
    [({"ELKS_MAX_PER_NUMBER": "2"}, "velocity"), ({"ELKS_BUDGET_PER_DAY": "1.04"}, "daily_budget")],
)
async def test_p7_a_limit_of_two_allows_two_whatever_the_arguments(
    box: Sandbox, rule: dict[str, str], guard: str
) -> None:
    tries = itertools.product(
        (PHONE, "0701740605"), ("Hej", "Hopp", "Hej "), (None, "Klara"), ("", "a", "b", "c")
    )
    async with connected(live(box, ELKS_SMS_PER_MINUTE="100000", **rule), box=box) as client:
        for number, (to, text, sender, key) in enumerate(tries):
            await call(
                client,
                "send_sms",
                to=to,
                message=text,
                sender=sender,
                idempotencyKey=key and f"{key}{number}",
                dryRun=False,
            )
        answer = await call(client, "send_sms", to=PHONE, message="Ett till")
    assert len(posted(box)) == 2
    assert f"Refused by {guard}: " in words(answer)


# ── P8 ──


CANARY_PASSWORD = "C4N4RYpassw0rd"


CANARY_KEY = "C4N4RYk3y" * 4


CANARY_NUMBER = "+46701740688"


def leaks(text: str, *canaries: str) -> list[str]:
    """List the canaries that a text reveals, in any common disguise."""
    found = []
    squeezed = re.sub(r"[\s()-]", "", text)
    for canary in canaries:
        disguises = {canary, canary.removeprefix("+46"), json.dumps(canary)[1:-1]}
        found += [canary for disguise in disguises if disguise in text or disguise in squeezed]
    return found


@pytest.mark.parametrize("level", ["DEBUG", pytest.param("ERROR", marks=pytest.mark.long)])
async def test_p8_no_secret_number_or_text_is_ever_logged_and_no_secret_answered(
    tmp_path: Path, level: str
) -> None:
    box = Sandbox(clock=ManualClock(), password=CANARY_PASSWORD)
    pair = b64encode(f"{box.username}:{CANARY_PASSWORD}".encode()).decode()
    box.receive(CANARY_NUMBER, CANARY_TEXT)
    async with serve(box) as url:
        environ = live(
            box,
            ELKS_API_BASE_URL=f"{url}/a1",
            ELKS_TIMEOUT="0.2",
            ELKS_LOG_LEVEL=level,
            ELKS_SECRET_KEY=CANARY_KEY,
        )
        with running(environ, tmp_path) as server:
            server.initialize()
            for fault in [None, *Fault]:
                if fault:
                    echo = f"Wrong: {CANARY_PASSWORD} {pair} {CANARY_NUMBER}"
                    box.faults.inject(fault, times=None, text=echo)
                await anyio.to_thread.run_sync(_use_everything, server)
                box.faults.clear()
            assert await anyio.to_thread.run_sync(server.close) == 0
    assert leaks("".join(server.lines), CANARY_PASSWORD, CANARY_KEY, pair) == []
    assert leaks(server.stderr, CANARY_PASSWORD, CANARY_KEY, pair, CANARY_NUMBER, CANARY_TEXT) == []
    assert all(json.loads(line) for line in server.stderr.splitlines())
    assert ("elks_mcp.audit" in server.stderr) is (level == "DEBUG")


async def test_p8_a_secret_that_46elks_repeats_is_in_no_answer_about_a_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shown = []
    for fault in (Fault.FORBIDDEN, Fault.UNAUTHORIZED, Fault.ERROR_AFTER, Fault.HALF_BODY):
        box = Sandbox(clock=ManualClock(), password=CANARY_PASSWORD)
        pair = b64encode(f"{box.username}:{CANARY_PASSWORD}".encode()).decode()
        echo = f"Wrong: {CANARY_PASSWORD} {pair}"
        box.faults.inject(fault, method="POST", dryrun=False, text=echo)
        environ = live(box, ELKS_STATE_DIR=str(tmp_path / fault.value))
        async with connected(environ, box=box) as client:
            sent = await call(client, "send_sms", to=CANARY_NUMBER, message=CANARY_TEXT)
            again = await call(client, "send_sms", to=CANARY_NUMBER, message=CANARY_TEXT)
        assert leaks(f"{sent} {again}", CANARY_PASSWORD, pair) == []
        kept = [path.read_bytes() for path in (tmp_path / fault.value).iterdir()]
        assert not any(secret.encode() in each for secret in (CANARY_PASSWORD, pair) for each in kept)
        shown.append(words(sent))
    assert any("Wrong: *** ***" in text for text in shown)
    assert leaks(caplog.text, CANARY_PASSWORD, CANARY_NUMBER, CANARY_TEXT) == []


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://elks:{CANARY_PASSWORD}@127.0.0.1:9/elks",
        pytest.param(
            f"postgresql://{CANARY_PASSWORD}:{CANARY_PASSWORD}@127.0.0.1:9/{CANARY_PASSWORD}?sslmode=odd",
            marks=pytest.mark.long,
        ),
        f"postgres://elks:{CANARY_PASSWORD}@[not-an-address/elks",
        pytest.param(f"mysql://elks:{CANARY_PASSWORD}@127.0.0.1/elks", marks=pytest.mark.long),
    ],
)
async def test_p8_the_error_for_an_unreachable_database_shows_no_secret(
    box: Sandbox, tmp_path: Path, url: str
) -> None:
    async with serve(box) as provider:
        environ = live(
            box,
            ELKS_API_BASE_URL=f"{provider}/a1",
            ELKS_DATABASE_URL=url,
            ELKS_SECRET_KEY=CANARY_KEY,
            ELKS_LOG_LEVEL="DEBUG",
        )

        def drive() -> Process:
            with running(environ, tmp_path) as server:
                if "127.0.0.1:9" in url:  # the others stop the start
                    server.initialize()
                    _use_everything(server)
                server.close()
            return server

        server = await anyio.to_thread.run_sync(drive)
    assert posted(box) == []
    assert leaks("".join(server.lines), CANARY_PASSWORD, CANARY_KEY) == []
    assert leaks(server.stderr, CANARY_PASSWORD, CANARY_KEY, CANARY_NUMBER, CANARY_TEXT) == []
    assert server.stderr or server.lines


async def test_p8_the_key_of_a_state_directory_is_shown_nowhere_and_readable_by_its_owner_only(
    box: Sandbox, tmp_path: Path
) -> None:
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_LOG_LEVEL="DEBUG")

        def drive() -> Process:
            with running(environ, tmp_path) as server:
                server.initialize()
                _use_everything(server)
                server.close()
            return server

        server = await anyio.to_thread.run_sync(drive)
    key = (tmp_path / "state" / "secret.key").read_bytes()
    forms = [key.hex(), b64encode(key).decode().rstrip("="), urlsafe_b64encode(key).decode().rstrip("=")]
    forms += [repr(key)[2:-1], key.decode("latin-1"), key.decode("utf-8", "replace")]
    assert leaks("".join(server.lines) + server.stderr, *forms) == []
    if sys.platform != "win32":
        kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
        assert {path.stat().st_mode & 0o077 for path in kept} == {0}
    assert not any(
        key in path.read_bytes() for path in (tmp_path / "state").iterdir() if path.name != "secret.key"
    )


def _use_everything(server: Process) -> None:
    """Use every tool, well and badly, and the protocol too."""
    message = {"to": CANARY_NUMBER, "message": CANARY_TEXT}
    for _ in range(2):
        server.call("send_sms", **message, idempotencyKey=CANARY_NUMBER)
    server.call("send_sms", **message)
    server.call("send_sms", **message, dryRun=CANARY_TEXT)
    server.call("send_sms", **message | {"from": CANARY_TEXT})
    server.call("send_sms", **message, **{CANARY_TEXT: CANARY_NUMBER})
    server.call("send_sms", to=CANARY_TEXT, message=CANARY_NUMBER)
    server.call("send_sms", to=[CANARY_NUMBER], message={"text": CANARY_TEXT})
    server.call("estimate_sms_cost", **message)
    server.call("check_sms_status", messageId=CANARY_NUMBER)
    server.call("get_sms_messages", direction=CANARY_TEXT, limit=CANARY_NUMBER)
    server.call("get_sms_messages", limit=int(CANARY_NUMBER))
    server.call("send_sms", **message, dryRun=int(CANARY_NUMBER), flashsms=CANARY_TEXT)
    server.call("get_sms_messages")
    server.call("get_delivery_statistics")
    server.call("check_account_balance")
    server.request("tools/call", {"name": "explain_policy", "arguments": {}})
    server.request("tools/call", {"name": CANARY_TEXT, "arguments": message})
    server.request("tools/call", {"name": "send_sms", "arguments": CANARY_TEXT})
    server.request("no/such/method", message)
    server.request("prompts/get", {"name": CANARY_TEXT, "arguments": message})
    server.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": message})
    server.write(f'{{"jsonrpc": "2.0", "id": "{CANARY_NUMBER}", "method": 7, "params": "{CANARY_TEXT}"}}\n')


def test_p8_printing_an_object_shows_no_secret_and_no_number() -> None:
    configuration = load(
        {
            "ELKS_API_USERNAME": "u1",
            "ELKS_API_PASSWORD": CANARY_PASSWORD,
            "ELKS_PHONE_NUMBER": CANARY_NUMBER,
            "ELKS_SECRET_KEY": CANARY_KEY,
            "ELKS_DATABASE_URL": f"postgresql://elks:{CANARY_PASSWORD}@db.example/elks",
        }
    )
    draft = Draft(to=Number(CANARY_NUMBER), payload=Sms(text=CANARY_TEXT), sender=SenderId("Klara"))
    settings, location = configuration.settings, configuration.settings.state_location()
    for thing in (configuration, settings, settings.credentials, location, draft, draft.to):
        assert leaks(f"{thing!r} {thing}", CANARY_PASSWORD, CANARY_KEY, CANARY_NUMBER, CANARY_TEXT) == []


# ── P11 ──


NOISY = """
import atexit, builtins, logging, os, subprocess, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
real, seen = builtins.__import__, set()
loud = ("elks_mcp.", "mcp", "httpx2", "phonenumbers", "iso3166", "vobject")

def noise(why):
    print("NOISE", why)
    os.write(1, b"NOISE raw\\n")
    sys.stdout.write("NOISE without a line's end")
    sys.__stdout__.write("NOISE")
    logging.getLogger("httpcore2").debug("NOISE")
    logging.getLogger("some.library").warning("NOISE")

def noisy(name, *rest, **more):
    module = real(name, *rest, **more)
    if name.startswith(loud) and name not in seen:
        seen.add(name)
        noise(name)
    if name == "elks_mcp.app":
        sys.modules["elks_mcp.elks.client"].ElksClient.get_account = get_account
    return module

async def get_account(self):
    noise("in a tool")
    subprocess.run([sys.executable, "-c", "print('NOISE from a child')"], check=True)
    raise sys.modules["elks_mcp.errors"].NotFound("none")

from elks_mcp.__main__ import main
builtins.__import__ = noisy
atexit.register(noise, "at the end")
main()
"""


TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")


def start_batch(server: Process) -> None:
    """Plan a batch, and start it if that is possible."""
    planned = server.call("plan_batch", message="Hej alla", recipients=[PHONE, "+46701740606"])
    server.call("start_batch", batchId=planned.get("structuredContent", {}).get("batchId", "B-22222222"))


def write_contacts(folder: Path) -> str:
    """Write contacts that another package reads, and return the path."""
    file = folder / "contacts.vcf"
    file.write_text(card(number=PHONE), encoding="utf-8")
    return str(file)


def test_p11_standard_output_carries_the_protocol_and_nothing_else(tmp_path: Path) -> None:
    script = tmp_path / "noisy.py"
    script.write_text(NOISY, encoding="utf-8")
    environ = {"ELKS_SANDBOX": "1", "ELKS_CONTACTS": write_contacts(tmp_path)}
    with running(environ, tmp_path, command=(sys.executable, str(script))) as server:
        server.initialize()
        server.request("tools/list")
        server.call("check_account_balance")
        server.call("send_sms", to=PHONE, message="Hej")
        assert "Åsa" in str(server.call("send_sms", to="Åsa", message="Hopp"))
        server.call("send_sms", nonsense=1)
        server.call("send_sms", to=PHONE, message="Sedan", sendAt=TOMORROW)
        start_batch(server)
        assert server.close() == 0
        assert "NOISE in a tool" in server.stderr
        assert "NOISE from a child" in server.stderr
        assert "NOISE at the end" in server.stderr
        assert "NOISE elks_mcp.app" in server.stderr
        assert "NOISE vobject" in server.stderr
        assert len(server.lines) == 9
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in server.lines)


# ── P12 ──


WATCHED = """
import json, os, sys

def watch(event, args):
    if event in {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}:
        with open(os.environ["WATCH"], "a") as log:
            log.write(json.dumps([event, repr(args)]) + "\\n")

sys.addaudithook(watch)
from elks_mcp.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "mode",
    [
        "live",
        "sandbox",
        pytest.param("dry run", marks=pytest.mark.long),  # which does less than "live"
        pytest.param("no credentials", marks=pytest.mark.long),
    ],
)
async def test_p12_the_process_connects_only_to_46elks(box: Sandbox, tmp_path: Path, mode: str) -> None:
    script, watch = tmp_path / "watched.py", tmp_path / "watch.log"
    script.write_text(WATCHED, encoding="utf-8")
    watch.touch()
    async with serve(box) as url:
        environ = {
            "live": live(box, ELKS_API_BASE_URL=f"{url}/a1"),
            "dry run": live(box, ELKS_API_BASE_URL=f"{url}/a1", DRY_RUN="true"),
            "sandbox": {"ELKS_SANDBOX": "true"},
            "no credentials": {},
        }[mode]

        def drive() -> None:
            more = {"WATCH": str(watch), "ELKS_CONTACTS": write_contacts(tmp_path), **FAST_PACE}
            with running(environ | more, tmp_path, command=(sys.executable, str(script))) as server:
                server.initialize()
                server.call("send_sms", to=PHONE, message="Se https://46elks.se")
                server.call("send_sms", to="Åsa", message="Hej")
                server.call("find_contact", query="Åsa")
                server.call("send_sms", to=PHONE, message="Sedan", sendAt=TOMORROW)
                start_batch(server)
                server.call("get_sms_messages")
                server.call("get_delivery_statistics")
                server.call("check_account_balance")
                server.close()

        await anyio.to_thread.run_sync(drive)
        port = url.rpartition(":")[2]
    seen = [json.loads(line) for line in watch.read_text(encoding="utf-8").splitlines()]
    taint_log = [(event, args) for event, args in seen if "127.0.0.1" not in args or port not in args]
    assert taint_log == []
    assert bool(seen) is (mode in {"live", "dry run"})
