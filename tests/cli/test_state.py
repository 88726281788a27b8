"""Commands on a state directory."""

import json
import re
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from pydantic import SecretStr

from elks_mcp import sandbox
from elks_mcp.store import AccountKey, PauseReason, StateLocation
from elks_mcp.store.store import Store
from tests.sandbox.serving import serve
from tests.store.test_calls import ended, make_call
from tests.support.command_cases import an_unknown, do, run_command
from tests.support.connecting import live, until
from tests.support.process import NOWHERE, run, running, start
from tests.support.provider import PHONE
from tests.support.stores import (
    KEY,
    MINUTE,
    OTHER_PHONE,
    a_receipt,
    claim_new,
    files_with,
    opened,
    place_one,
    said,
    wait_one,
)
from tests.support.terminal import at_terminal

COMMANDS = ("pending", "outbox", "outbox show O-2", "outbox cancel O-2", "outbox resume", "export 0701740605")


# ── no state, or none that can be used ──


@pytest.mark.parametrize(
    "command", [*COMMANDS, "outbox resolve O-2 --sent", "forget 0701740605 --yes", "policy"]
)
def test_a_command_that_only_reads_creates_no_state(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "none"
    done = run_command(StateLocation(folder=tmp_path), *command.split(), "--state-dir", str(folder))
    assert done.exit_code == int("O-2" in command)
    if "resume" not in command and "policy" not in command:
        assert str(folder) in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_state_directory_named_on_the_command_line_is_used(
    location: StateLocation, tmp_path: Path
) -> None:
    order = do(location, place_one)
    for arguments in (("outbox", "--state-dir", "{}", "list"), ("outbox", "list", "--state-dir", "{}")):
        shown = [argument.format(location.folder) for argument in arguments]
        assert order.id in run_command(StateLocation(folder=tmp_path / "other"), *shown).output
    assert (
        order.id
        in run_command(
            StateLocation(folder=tmp_path / "other"), "outbox", "--state-dir", str(location.folder)
        ).output
    )


@pytest.mark.parametrize("command", [*COMMANDS, "forget 0701740605 --yes", "outbox resolve O-2 --not-sent"])
def test_an_unusable_state_is_one_line_without_a_stack_trace(location: StateLocation, command: str) -> None:
    do(location, place_one)
    assert location.file
    location.file.write_bytes(b"This is no database, and was never one." * 100)
    done = run_command(location, *command.split())
    assert done.exit_code == 1
    assert done.stdout == ""
    assert re.fullmatch(r"elks-mcp: The database of queued texts cannot be used: .*\n", done.stderr)


def test_a_key_that_does_not_match_the_state_is_a_configuration_error(location: StateLocation) -> None:
    do(location, place_one)
    done = run_command(location, "pending", ELKS_SECRET_KEY="another key, as long as it has to be")
    assert done.exit_code == 2
    assert done.stderr.startswith("elks-mcp: The state was written with another secret key")
    assert (
        run_command(location, "pending", ELKS_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none").exit_code
        == 2
    )
    assert run_command(location, "pending", ELKS_MAX_PARTS="many").exit_code == 2


def test_the_sandbox_stores_no_state_to_show(location: StateLocation) -> None:
    done = run_command(location, "pending", ELKS_SANDBOX="true")
    assert (done.exit_code, "in the memory of the server" in done.output) == (0, True)


def test_a_shared_database_is_read_without_showing_its_address(postgres_database: str) -> None:
    location = StateLocation(url=SecretStr(postgres_database), key=KEY)
    order = do(location, wait_one)
    environ = {"ELKS_DATABASE_URL": postgres_database, "ELKS_SECRET_KEY": KEY.get_secret_value()}
    nowhere = StateLocation(folder=NOWHERE)
    assert order.approval_code in run_command(nowhere, "pending", **environ).output
    assert "is cancelled" in run_command(nowhere, "outbox", "cancel", order.approval_code, **environ).output
    exported = run_command(nowhere, "export", PHONE.e164, **environ).output
    assert json.loads(exported)["state"] == "the PostgreSQL that ELKS_DATABASE_URL names"
    assert not NOWHERE.exists()


# ── privacy ──


def test_everything_stored_about_a_number_is_printed_as_json(location: StateLocation) -> None:
    order = do(location, place_one)
    done = run_command(location, "export", "070-174", "06", "05")
    (account,) = json.loads(done.stdout)["accounts"]
    keys = ["api", "username", "orders", "known_number", "arrivals", "taint", "batches"]
    assert list(account) == keys
    (held,) = account["orders"]
    assert (held["id"], held["recipient"], held["text"]) == (order.id, PHONE.e164, "Hej!")
    assert held["placed_at"] == order.placed_at.isoformat()
    assert account["username"] == "u1… (2 characters)"


def test_a_number_is_forgotten_after_a_confirmation(location: StateLocation) -> None:
    claim = do(location, claim_new)
    stop = [said("STOP")]
    do(
        location,
        lambda store: store.queue.settle_sent(claim, a_receipt()),
        lambda store: store.inbound.record(stop),
    )
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with at_terminal("forget", "070-174 06 05", environ=environ) as terminal:
        terminal.read_until("[y/N]").type("n")
        assert terminal.finish() == 1
    assert files_with(location.folder or Path(), PHONE.e164)
    with at_terminal("forget", "070-174 06 05", environ=environ) as terminal:
        terminal.read_until("[y/N]").type("y")
        assert terminal.finish() == 0
    assert f"{PHONE.e164} was deleted from 1 order." in terminal.shown
    assert "The number opted out. The opt-out stays" in terminal.shown
    assert files_with(location.folder or Path(), PHONE.e164) == []


def test_without_a_terminal_no_question_is_asked(location: StateLocation) -> None:
    claim = do(location, claim_new)
    do(location, lambda store: store.queue.settle_sent(claim, a_receipt()))
    done = run_command(location, "forget", PHONE.e164, typed="y\n")
    assert (done.exit_code, "--yes" in done.stderr) == (2, True)
    assert files_with(location.folder or Path(), PHONE.e164)
    done = run_command(location, "forget", PHONE.e164, "--yes")
    assert (done.exit_code, "opted out" in done.output) == (0, False)
    assert files_with(location.folder or Path(), PHONE.e164) == []
    assert run_command(location, "forget", PHONE.e164).output == f"Nothing is stored about {PHONE.e164}.\n"


def test_a_number_with_unfinished_texts_is_not_forgotten(location: StateLocation) -> None:
    order = do(location, place_one)
    done = run_command(location, "forget", PHONE.e164, "--yes")
    assert done.exit_code == 1
    assert f"Texts to this number are unfinished: {order.id} (queued). Nothing was removed." in done.stderr
    assert run_command(location, "forget", "hello", "--yes").exit_code == 2


def test_the_persons_own_number_is_exported_and_forgotten_too(location: StateLocation) -> None:
    assert location.folder
    location.folder.mkdir(mode=0o700)
    file = location.folder / "my-number"
    file.write_text(f"{PHONE.e164}\n", "utf-8")
    assert json.loads(run_command(location, "export", PHONE.e164).stdout)["is_my_number"] is True
    assert json.loads(run_command(location, "export", "+46701740699").stdout)["is_my_number"] is False
    run_command(location, "forget", "+46701740699", "--yes")
    assert file.exists()
    order = do(location, place_one)
    assert run_command(location, "forget", PHONE.e164, "--yes").exit_code == 1
    assert file.exists(), "an order is unfinished, so nothing is removed"
    do(location, lambda store: store.cancellations.cancel(order.id, "Not needed."))
    result = run_command(location, "forget", PHONE.e164, "--yes")
    assert (result.exit_code, file.exists()) == (0, False)
    assert f"{PHONE.e164} was deleted from 1 order." in result.stdout
    assert f"{PHONE.e164} is no longer stored as your own number." in result.stdout


@pytest.mark.parametrize("content", [PHONE.e164, "Hej"])
def test_without_other_state_only_the_persons_own_number_is_forgotten(
    location: StateLocation, content: str
) -> None:
    assert location.folder
    location.folder.mkdir(mode=0o700)
    file = location.folder / "my-number"
    file.write_text(content, "utf-8")
    result = run_command(location, "forget", PHONE.e164, "--yes")
    is_own = content == PHONE.e164
    assert (result.exit_code, file.exists()) == (0, not is_own)
    assert ("is no longer stored as your own number" if is_own else "has no state") in result.stdout
    assert [each.name for each in location.folder.iterdir()] == ([] if is_own else ["my-number"])


# ── the doctor, and the start ──


@pytest.mark.usefixtures("stand_in")
def test_the_doctor_names_calls_that_cost_more_than_their_upper_bound(location: StateLocation) -> None:
    async def make_expensive_call(store: Store) -> None:
        await store.calls.record_event(ended(await make_call(store), cost_units=20_000))

    do(location, make_expensive_call)
    said = " ".join(run("doctor", ELKS_STATE_DIR=str(location.folder)).stdout.split())
    assert "warn 1 call of the last 30 days cost more than the upper bound that was reserved" in said
    assert "ELKS_CALL_PRICE_PER_MINUTE" in said


@pytest.mark.usefixtures("stand_in")
def test_the_doctor_says_where_the_state_is_and_which_orders_are_unfinished(location: StateLocation) -> None:
    anyio.run(an_unknown, location)
    do(location, place_one)
    do(location, lambda store: store.queue.pause(PauseReason.NO_FUNDS, MINUTE))
    done = run(
        "doctor",
        ELKS_STATE_DIR=str(location.folder),
        ELKS_QUIET_PERIOD="39",
    )
    assert re.search(
        rf"  ok  State is in {location.folder} \(SQLite, (rollback|write).*; 1 order unfinished\)",
        done.stdout,
    )
    assert (
        "note  1 order may or may not have been sent. A person must say which. "
        "To list them: `elks-mcp outbox`." in done.stdout
    )
    assert "note  Sending is paused (no funds) for http://localhost/a1" in done.stdout
    assert "note  ELKS_QUIET_PERIOD is 39 s, less than 40 s (ELKS_TIMEOUT and 30 s)" in done.stdout
    assert done.stdout.count("State is in") == 1


@pytest.mark.usefixtures("stand_in")
def test_the_doctor_shows_no_secret_of_the_database() -> None:
    url = "postgresql://somebody:hush@127.0.0.1:1/none"
    done = run("doctor", ELKS_DATABASE_URL=url, ELKS_SECRET_KEY="k" * 40, ELKS_BUDGET_PER_DAY="50")
    assert done.returncode == 1
    assert "ELKS_DATABASE_URL = set" in done.stdout
    assert "ELKS_BUDGET_PER_DAY = 50.00" in done.stdout
    assert "fail  State is in the PostgreSQL that ELKS_DATABASE_URL names. The database" in done.stdout
    for secret in ("hush", "somebody", "k" * 10):
        assert secret not in done.stdout + done.stderr


@pytest.mark.anyio
async def test_the_doctor_sends_no_queued_order_however_long_it_takes(tmp_path: Path) -> None:
    clock = sandbox.ManualClock()
    box, state = sandbox.Sandbox(clock=clock), tmp_path / "state"
    box.faults.inject(sandbox.Fault.LATENCY, method="GET", duration=timedelta(minutes=1))
    async with serve(box) as url:
        async with opened(
            StateLocation(folder=state), account=AccountKey(f"{url}/a1", box.username)
        ) as store:
            await place_one(store)
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_STATE_DIR=str(state), ELKS_TIMEOUT="60")
        done: list[str] = []

        async def consult() -> None:
            done.append((await anyio.to_thread.run_sync(lambda: start("doctor", **environ))).stdout)

        async with anyio.create_task_group() as group:
            group.start_soon(consult)
            await until(lambda: bool(box.requests))
            for _ in range(20):  # a server would have sent it by now
                listed = await anyio.to_thread.run_sync(lambda: run("outbox", ELKS_STATE_DIR=str(state)))
                assert "  queued " in listed.stdout
            clock.advance(timedelta(minutes=1))
    assert "texts only go to simulated phones" in done[0]
    assert "1 order unfinished" in done[0]
    assert box.accepted == []


def test_the_server_warns_only_of_a_short_quiet_period(tmp_path: Path) -> None:
    for quiet, warns in (("39.9", True), ("40", False)):
        with running({"ELKS_QUIET_PERIOD": quiet}, tmp_path) as server:
            server.initialize()
            assert ("can go out twice" in server.stderr) is warns
            server.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no such rights there")
def test_a_state_directory_stays_private(location: StateLocation) -> None:
    do(location, place_one)
    run_command(location, "outbox")
    assert location.folder
    assert [path.stat().st_mode & 0o077 for path in location.folder.iterdir()] == [0] * len(
        list(location.folder.iterdir())
    )


def test_waiting_texts_to_one_number_are_listed_together(location: StateLocation) -> None:
    alike = [do(location, partial(wait_one, text=f"Text {number}")) for number in range(3)]
    other = do(location, lambda store: wait_one(store, "Hej", to=OTHER_PHONE))
    first, second, third, *_ = run_command(location, "pending").output.splitlines()
    together = f"3 texts to {PHONE.e164} (Sweden) from +46701740699, 3 parts, 1.56 SEK; because of confirm;"
    assert first == f"{together} the first expires in 29 minutes:"
    assert second == f"  {', '.join(order.approval_code for order in alike)}"
    assert third.startswith(f"{other.approval_code}  to {OTHER_PHONE.e164} (Sweden), 1 part, 0.52 SEK;")


def test_without_the_driver_for_postgres_a_command_says_how_to_install_it(
    location: StateLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url, key = "postgresql://nobody@127.0.0.1:1/none", KEY.get_secret_value()
    done = run_command(location, "pending", ELKS_DATABASE_URL=url, ELKS_SECRET_KEY=key)
    assert done.exit_code == 2
    assert "In a clone, run `uv sync --extra postgres`." in done.stderr
