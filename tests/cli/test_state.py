"""What people do by hand, through the real command: approve, look, cancel, resolve, forget."""

import json
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from click.testing import Result
from pydantic import SecretStr

from elks_mcp import sandbox
from elks_mcp.domain.models import Approval, Approver, Effect, Finding, Order, OrderState
from elks_mcp.store import AccountKey, PauseReason, StateLocation
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.doubts import LONGEST
from elks_mcp.store.store import Store
from tests.sandbox.serving import serve
from tests.support.clocks import HANG, ManualClock
from tests.support.connecting import live, new_box, until
from tests.support.process import NOWHERE, Process, invoke, run, running, start
from tests.support.provider import PHONE, a_draft, an_approval
from tests.support.stores import (
    ACCOUNT,
    KEY,
    MINUTE,
    OTHER_PHONE,
    a_receipt,
    allow,
    change_rows,
    claim_new,
    files_with,
    opened,
    place_one,
    said,
    wait_one,
)
from tests.support.terminal import at_terminal, started_at_terminal

COMMANDS = ("pending", "outbox", "outbox show O-2", "outbox cancel O-2", "outbox resume", "export 0701740605")
LAST_FOUR = PHONE.e164[-4:]
QUESTION = "type the last four digits"


@pytest.fixture
def location(tmp_path: Path) -> StateLocation:
    """Have a state directory."""
    return StateLocation(folder=tmp_path / "state")


def tell(location: StateLocation, *arguments: str, typed: str | None = None, **environ: str) -> Result:
    """Give the command in this process, where no terminal is."""
    environ = {"ELKS_STATE_DIR": str(location.folder)} | environ
    return invoke(arguments, environ, typed)


def do(
    location: StateLocation, *works: Callable[[Store], Awaitable[Any]], account: AccountKey = ACCOUNT
) -> Any:
    """Do something with a store, as a server would; return what the last of it comes to."""

    async def work() -> Any:
        async with opened(location, account=account) as store:
            for each in works:
                result = await each(store)
        return result  # type: ignore[possibly-undefined]

    return anyio.run(work)


def find(location: StateLocation, order: Order) -> Order:
    """Find an order as it stands now."""
    found: Order = do(location, lambda store: store.orders.get(order.id))
    return found


async def an_unknown(location: StateLocation) -> Order:
    """Have an order of which nobody knows whether it was sent."""
    clock = ManualClock()
    async with opened(location, clock) as store:
        claim = await claim_new(store, "Kom hem")
        await store.queue.settle_doubt(claim, "46elks did not answer in time.")
        clock.advance(LONGEST + MINUTE)
        await store.doubts.conclude(None, read_at=clock.now(), quiet=MINUTE, skew=timedelta())
        return await store.orders.get(claim.order_id)


# ── no state, or none that can be used ──


@pytest.mark.parametrize(
    "command", [*COMMANDS, "outbox resolve O-2 --sent", "forget 0701740605 --yes", "policy"]
)
def test_looking_for_state_that_is_not_there_makes_none(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "none"
    done = tell(StateLocation(folder=tmp_path), *command.split(), "--state-dir", str(folder))
    assert done.exit_code == int("O-2" in command)
    if "resume" not in command and "policy" not in command:
        assert str(folder) in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_folder_named_on_the_command_line_is_the_one(location: StateLocation, tmp_path: Path) -> None:
    order = do(location, place_one)
    for arguments in (("outbox", "--state-dir", "{}", "list"), ("outbox", "list", "--state-dir", "{}")):
        shown = [argument.format(location.folder) for argument in arguments]
        assert order.id in tell(StateLocation(folder=tmp_path / "other"), *shown).output
    assert (
        order.id
        in tell(
            StateLocation(folder=tmp_path / "other"), "outbox", "--state-dir", str(location.folder)
        ).output
    )


@pytest.mark.parametrize("command", [*COMMANDS, "forget 0701740605 --yes", "outbox resolve O-2 --not-sent"])
def test_a_state_that_cannot_be_used_is_one_line_and_no_stack_trace(
    location: StateLocation, command: str
) -> None:
    do(location, place_one)
    assert location.file
    location.file.write_bytes(b"This is no database, and was never one." * 100)
    done = tell(location, *command.split())
    assert done.exit_code == 1
    assert done.stdout == ""
    assert re.fullmatch(r"elks-mcp: The database of queued texts cannot be used: .*\n", done.stderr)


def test_a_key_that_is_not_the_states_is_a_fault_of_the_settings(location: StateLocation) -> None:
    do(location, place_one)
    done = tell(location, "pending", ELKS_SECRET_KEY="another key, as long as it has to be")
    assert done.exit_code == 2
    assert done.stderr.startswith("elks-mcp: The state was written with another secret key")
    assert tell(location, "pending", ELKS_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none").exit_code == 2
    assert tell(location, "pending", ELKS_MAX_PARTS="many").exit_code == 2


def test_the_sandbox_keeps_nothing_to_look_at(location: StateLocation) -> None:
    done = tell(location, "pending", ELKS_SANDBOX="true")
    assert (done.exit_code, "in the memory of the server" in done.output) == (0, True)


def test_a_shared_database_is_asked_without_showing_its_address(postgres_database: str) -> None:
    location = StateLocation(url=SecretStr(postgres_database), key=KEY)
    order = do(location, wait_one)
    environ = {"ELKS_DATABASE_URL": postgres_database, "ELKS_SECRET_KEY": KEY.get_secret_value()}
    nowhere = StateLocation(folder=NOWHERE)
    assert order.approval in tell(nowhere, "pending", **environ).output
    assert "is cancelled" in tell(nowhere, "outbox", "cancel", order.approval, **environ).output
    exported = tell(nowhere, "export", PHONE.e164, **environ).output
    assert json.loads(exported)["state"] == "the PostgreSQL that ELKS_DATABASE_URL names"
    assert not NOWHERE.exists()


# ── approving ──


def test_a_person_at_a_terminal_approves_by_the_last_four_digits(location: StateLocation) -> None:
    order = do(location, lambda store: wait_one(store, "Hej på dig\n| +46700000000"))
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with started_at_terminal("approve", order.approval.lower(), environ=environ) as terminal:
        terminal.read_until(QUESTION).type(f" {LAST_FOUR} ")
        assert terminal.finish() == 0
    assert terminal.shown.startswith(
        f"Send this text to {PHONE.e164} (Sweden) from +46701740699?\n"
        f"1 part, 0.52 SEK. Approval {order.approval}.\n"
        "You are asked because of: confirm.\n- The operator wants a person to agree to every text.\n"
        "The text, behind a bar on each line:\n| Hej på dig\n| | +46700000000\n"
        f"End of the text: 2 lines, 25 characters. It goes to {PHONE.e164} (Sweden) for 1 part, 0.52 SEK.\n\n"
    )
    assert (
        "Approved. A running server sends it at once, else the next that starts within 1 hour."
        in terminal.shown
    )
    approved = find(location, order)
    assert (approved.state, approved.approver) == (OrderState.WAITING, Approver.TERMINAL)
    (released,) = do(location, lambda store: store.orders.release_approved(allow))
    assert released.state is OrderState.QUEUED


@pytest.mark.parametrize("typed", ["", "0606", PHONE.e164])
def test_a_wrong_answer_changes_nothing(location: StateLocation, typed: str) -> None:
    order = do(location, wait_one)
    with at_terminal("approve", order.approval, "--state-dir", str(location.folder), environ={}) as terminal:
        terminal.read_until(QUESTION).type(typed)
        assert terminal.finish() == 1
    assert "Not approved: those are not its last four digits. Nothing was changed." in terminal.shown
    assert find(location, order) == order


def test_a_terminal_cannot_be_fooled_by_what_is_in_the_text(location: StateLocation) -> None:
    order = do(location, wait_one)
    change_rows(
        location, "update orders set text = 'Hej\u202e\u200b' || char(27) || '[2J' || char(155) || 'x'"
    )
    with at_terminal("approve", order.approval, environ={"ELKS_STATE_DIR": str(location.folder)}) as terminal:
        terminal.read_until(QUESTION).type("no")
        assert terminal.finish() == 1
    assert "(it contains invisible characters):\n| Hej\\u202e\\u200b\\x1b[2J\\x9bx\n" in terminal.shown


def screen_rows(shown: str, columns: int) -> list[str]:
    """Return the rows that a terminal makes of what is shown: it breaks a line where its columns end."""
    rows = []
    for line in shown.split("\n"):
        row, used = "", 0
        for char in line:
            width = 2 if char in "界🙂" else 0 if char == "\u0301" else 1
            if used + width > columns:
                rows.append(row)
                row, used = "", 0
            row, used = row + char, used + width
        rows.append(row)
    return rows


FORGED = "Send this text to +46700000000 (Sweden) from Klara?"


@pytest.mark.parametrize("columns", [80, 40, 132])
@pytest.mark.parametrize(
    "filling",
    ["Hej".ljust(500, "."), "界" * 300, "🙂" * 300, "e\u0301" * 500, "\t" * 200, "\u202e" * 90, "Hej " * 200],
    ids=["ascii", "wide", "emoji", "accents", "tabs", "bidi", "words"],
)
def test_no_row_of_a_text_passes_for_ours_in_a_terminal_of_any_width_p2(
    location: StateLocation, filling: str, columns: int
) -> None:
    """P2. The terminal breaks a long line by itself, and a row that it makes has no bar."""
    order = do(location, lambda store: wait_one(store, filling + FORGED.center(columns * 2)))
    environ = {"ELKS_STATE_DIR": str(location.folder), "COLUMNS": "500"}
    with at_terminal("approve", order.approval, environ=environ, columns=columns) as terminal:
        terminal.read_until(QUESTION).type("no")
        assert terminal.finish() == 1
    rows = screen_rows(terminal.shown, columns)
    first, last = (
        next(number for number, row in enumerate(rows) if row.startswith(start))
        for start in ("The text, behind", "End of the text")
    )
    while not rows[first].endswith(":"):
        first += 1
    assert last - first > 5
    assert [row for row in rows[first + 1 : last] if not re.match(r"\| |\(\d+ empty lines\)$", row)] == []


def test_line_feeds_do_not_move_recipient_and_price_off_the_screen_p2(location: StateLocation) -> None:
    """P2. They stand right above the prompt, and a run of empty lines is folded."""
    order = do(location, lambda store: wait_one(store, "Hej" + "\n" * 299 + FORGED + "\n" + "x\n" * 300))
    with at_terminal("approve", order.approval, environ={"ELKS_STATE_DIR": str(location.folder)}) as terminal:
        terminal.read_until(QUESTION).type("no")
        assert terminal.finish() == 1
    assert "| Hej\n(298 empty lines)\n| Send this text" in terminal.shown
    *_, facts, empty, prompt = terminal.shown.partition(QUESTION)[0].split("\n")
    characters = 3 + 299 + len(FORGED) + 1 + 600
    assert facts == (
        f"End of the text: 601 lines, {characters} characters. "
        f"It goes to {PHONE.e164} (Sweden) for 1 part, 0.52 SEK."
    )
    assert (empty, prompt) == ("", "To let it go, ")


def test_a_reason_that_quotes_a_text_has_no_row_that_begins_like_ours_p2(location: StateLocation) -> None:
    """P2. A guard may quote what a stranger wrote."""
    quoted = f"They wrote “{'Hej. ' * 13}{FORGED.ljust(160)}\n{FORGED}”."
    found = Finding(guard="link", effect=Effect.ASK, reason=quoted)
    quote = an_approval(a_draft("Hej")).quote.model_copy(update={"findings": (found,)})
    order = do(
        location, lambda store: store.orders.place(Approval(quote=quote, approver=Approver.PERSON), allow)
    ).order
    with at_terminal("approve", order.approval, environ={"ELKS_STATE_DIR": str(location.folder)}) as terminal:
        terminal.read_until(QUESTION).type("no")
        assert terminal.finish() == 1
    assert terminal.shown.count(FORGED) == 2
    assert [row for row in screen_rows(terminal.shown, 80) if row.startswith("Send this")] == [
        f"Send this text to {PHONE.e164} (Sweden) from +46701740699?"
    ]


def test_why_a_person_is_asked_is_what_the_guards_found(location: StateLocation) -> None:
    link = Finding(guard="link", effect=Effect.ASK, reason="There is a web address in the text.")
    taint = Finding(guard="tainted", effect=Effect.ASK, reason="The assistant read texts from others.")
    night = Finding(guard="night", effect=Effect.WARN, reason="It is night there.")

    def waiting(approver: Approver, *findings: Finding) -> Order:
        text = f"Till {approver} {len(findings)}"
        quote = an_approval(a_draft(text)).quote.model_copy(update={"findings": findings})
        placed = do(
            location, lambda store: store.orders.place(Approval(quote=quote, approver=approver), allow)
        )
        order: Order = placed.order
        return order

    whys = {
        waiting(Approver.TERMINAL, link, taint, night): "because of link, tainted;",
        waiting(Approver.TERMINAL, link): "because of confirm, link;",
        waiting(Approver.PERSON, link, night): "because of link;",
        waiting(Approver.PERSON): "because of dry_run or confirm;",
    }
    listed = tell(location, "pending").output.splitlines()
    for order, why in whys.items():
        (line,) = [line for line in listed if order.approval and line.startswith(order.approval)]
        assert f"to {PHONE.e164} (Sweden), 1 part, 0.52 SEK; {why} expires in 29 minutes" in line


@pytest.mark.parametrize(("piped", "typed"), [("stdin", LAST_FOUR), ("stdout", LAST_FOUR)])
def test_a_program_cannot_approve(location: StateLocation, piped: str, typed: str) -> None:
    order = do(location, wait_one)
    done = tell(location, "approve", order.approval, typed=f"{typed}\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Approving takes a person at a terminal; here standard input or output is none." in done.stderr
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with started_at_terminal("approve", order.approval, environ=environ, piped=piped) as terminal:
        assert terminal.finish() == 1
    assert find(location, order) == order


def approve_at_terminal(location: StateLocation, number: str) -> tuple[int, str]:
    """Try to approve what must not even be asked about."""
    with at_terminal("approve", number, environ={"ELKS_STATE_DIR": str(location.folder)}) as terminal:
        code = terminal.finish()
    assert QUESTION not in terminal.shown
    return code, terminal.shown


def test_what_cannot_be_approved_is_said_to_be_by_its_state(location: StateLocation) -> None:
    order: Order = do(location, wait_one)
    assert order.approval
    assert approve_at_terminal(location, "A-2222") == (
        1,
        "elks-mcp: There is no order by that number here. To list them: `elks-mcp outbox`.\n",
    )
    expired: Order = do(location, lambda store: wait_one(store, to=OTHER_PHONE))
    change_rows(location, f"update orders set due_at = 1 where id = '{expired.id}'")  # noqa: S608
    assert approve_at_terminal(location, expired.approval or "") == (
        1,
        f"It cannot be approved any more: {expired.id} is expired: Nobody agreed in time.\n",
    )
    do(location, lambda store: OrderAdmin(store.database).approve(order.id))
    code, shown = approve_at_terminal(location, order.approval)
    assert (code, shown.startswith("Approved. A running server sends it at once")) == (0, True)
    do(location, lambda store: store.orders.release_approved(allow))
    assert approve_at_terminal(location, order.approval) == (
        0,
        f"It was approved before: {order.id} is queued.\n",
    )
    tell(location, "outbox", "cancel", order.id)
    code, shown = approve_at_terminal(location, order.approval)
    assert (code, shown) == (
        1,
        f"It cannot be approved any more: {order.id} is cancelled: A person cancelled it.\n",
    )


def test_what_is_approved_and_waits_for_a_server_is_listed_as_that(location: StateLocation) -> None:
    order: Order = do(location, wait_one)
    do(location, lambda store: OrderAdmin(store.database).approve(order.id))
    assert "approved, waits for a server, expires in 59 minutes" in tell(location, "pending").output


# ── approving, with a server ──


def ask(server: Process, text: str) -> tuple[str, str]:
    """Ask for a text at a client that cannot ask anybody; return the numbers of approval and order."""
    answer = server.call("send_sms", to=PHONE.e164, message=text)
    words: str = answer["content"][0]["text"]
    assert words.startswith("Not sent: waiting for approval ")
    approval, order = re.search(r"A-\w{4}", words), re.search(r"O-\w{8}", words)
    assert approval
    assert order
    return approval.group(), order.group()


def agree(folder: Path, approval: str) -> None:
    """Approve as a person does."""
    with at_terminal("approve", approval, "--state-dir", str(folder), environ={}) as terminal:
        terminal.read_until(QUESTION).type(LAST_FOUR)
        assert terminal.finish() == 0


@pytest.mark.anyio
async def test_the_server_that_asked_sends_once_a_person_approved(tmp_path: Path) -> None:
    box = new_box()
    state = tmp_path / "state"
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_CONFIRM="always", ELKS_STATE_DIR=str(state))

        def play() -> None:
            with running(environ, tmp_path) as server:
                server.initialize()
                for _ in range(20):  # past its first look for work: nothing is there
                    server.call("check_account_balance")
                approval, order = ask(server, "Hej på dig")
                assert box.accepted == []
                agree(state, approval)
                with anyio.from_thread.start_blocking_portal() as portal:
                    portal.call(until_sent, server, order)
                assert server.close() == 0

        async def until_sent(server: Process, order: str) -> None:
            with anyio.fail_after(HANG):
                while True:
                    answer = await anyio.to_thread.run_sync(
                        lambda: server.call("check_sms_status", messageId=order)
                    )
                    if answer["structuredContent"]["messageId"]:
                        return

        await anyio.to_thread.run_sync(play)
    assert [(message.to, message.text) for message in box.accepted] == [(PHONE.e164, "Hej på dig")]
    assert files_with(state, "Hej på dig") == []


@pytest.mark.anyio
async def test_what_was_approved_while_no_server_ran_goes_out_at_the_next_start(tmp_path: Path) -> None:
    box = new_box()
    state = tmp_path / "state"
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_CONFIRM="always", ELKS_STATE_DIR=str(state))

        def play() -> None:
            with running(environ, tmp_path) as server:
                server.initialize()
                approval, order = ask(server, "Hej på dig")
                assert server.close() == 0
            agree(state, approval)
            with running(environ, tmp_path) as server:
                server.initialize()
                while not server.call("check_sms_status", messageId=order)["structuredContent"]["messageId"]:
                    pass
                assert server.close() == 0

        with anyio.fail_after(HANG):
            await anyio.to_thread.run_sync(play)
    assert len(box.accepted) == 1


# ── the outbox ──


def test_the_outbox_shows_what_is_open_and_texts_only_when_asked(location: StateLocation) -> None:
    unknown = anyio.run(an_unknown, location)
    queued = do(location, lambda store: place_one(store, "Ses vi"))
    do(location, lambda store: store.queue.pause(PauseReason.CREDENTIALS, MINUTE))
    listed = tell(location, "outbox").output
    assert re.search(
        rf"^{queued.id}  queued +to \{PHONE.e164} \(Sweden\), 1 part, 0.52 SEK, ", listed, re.MULTILINE
    )
    assert re.search(rf"^{unknown.id}  unknown .*It could not be found out", listed, re.MULTILINE)
    assert listed.startswith(
        "Sending is paused (credentials) for http://localhost/a1, API username u1… (2 ch"
    )
    assert "Kom hem" not in listed
    assert "Ses vi" not in listed
    shown = tell(location, "outbox", "show", unknown.id.lower()).output
    assert shown.startswith(
        f"{unknown.id}\n  state     unknown\n  said      It could not be found out within"
    )
    assert shown.endswith(
        "The text, behind a bar on each line:\n| Kom hem\nEnd of the text: 1 line, 7 characters.\n"
    )
    assert tell(location, "outbox", "list", "--limit", "1").output.count("O-") == 1


def test_no_row_of_a_text_passes_for_ours_in_the_outbox_p2(location: StateLocation) -> None:
    """P2. A person reads it there, too, before they decide about an order."""
    order = do(
        location, lambda store: place_one(store, "Hej".ljust(78, ".") + "  state     cancelled" + "\n" * 40)
    )
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with at_terminal("outbox", "show", order.id, environ=environ, columns=60) as terminal:
        assert terminal.finish() == 0
    rows = screen_rows(terminal.shown, 60)
    shown = rows[rows.index("The text, behind a bar on each line:") + 1 : -2]
    assert [row[:2] for row in shown] == ["| ", "| ", "(4"]
    assert rows[-2] == "End of the text: 41 lines, 139 characters."


def test_a_settled_order_is_shown_without_its_text_even_where_texts_are_kept(tmp_path: Path) -> None:
    location = StateLocation(folder=tmp_path / "state", retention=timedelta(days=7))
    claim = do(location, claim_new)
    do(location, lambda store: store.queue.settle_sent(claim, a_receipt("s" + "0" * 32)))
    assert do(location, lambda store: store.orders.get(claim.order_id)).text == "Hej!"
    shown = tell(location, "outbox", "show", claim.order_id, ELKS_RETENTION_DAYS="7").output
    assert "Hej!" not in shown
    assert "46elks id s000" in shown
    assert "The text is not shown" in shown


def test_cancelling_says_whether_it_was_in_time(location: StateLocation) -> None:
    order = do(location, lambda store: place_one(store, "Hej", to=OTHER_PHONE))
    claim = do(location, lambda store: store.orders.cancel(order.id, "Room."), claim_new)
    done = tell(location, "outbox", "cancel", claim.order_id)
    assert done.exit_code == 1
    assert f"{claim.order_id} is sending; only what waits or is queued can be cancelled." in done.stderr
    waiting = do(location, lambda store: wait_one(store, "Två"))
    done = tell(location, "outbox", "cancel", waiting.id)
    assert (done.exit_code, done.output) == (0, f"{waiting.id} is cancelled: it is not sent.\n")
    assert find(location, waiting).state is OrderState.CANCELLED


@pytest.mark.parametrize(
    ("answer", "state", "said_so"),
    [
        ("--sent", OrderState.SENT, "counts as sent"),
        ("--not-sent", OrderState.CANCELLED, "counts as never sent"),
    ],
)
def test_a_person_says_what_became_of_an_unknown_order(
    location: StateLocation, answer: str, state: OrderState, said_so: str
) -> None:
    unknown = anyio.run(an_unknown, location)
    assert files_with(location.folder or Path(), "Kom hem")
    done = tell(location, "outbox", "resolve", unknown.id, answer)
    assert (done.exit_code, said_so in done.output) == (0, True)
    assert find(location, unknown).state is state
    assert files_with(location.folder or Path(), "Kom hem") == []
    again = tell(location, "outbox", "resolve", unknown.id, answer)
    assert (again.exit_code, "not unknown" in again.stderr) == (1, True)


def test_a_person_has_to_say_which(location: StateLocation) -> None:
    unknown = anyio.run(an_unknown, location)
    done = tell(location, "outbox", "resolve", unknown.id)
    assert (done.exit_code, "--sent" in done.stderr) == (2, True)
    assert find(location, unknown).state is OrderState.UNKNOWN


def test_a_pause_is_ended_by_hand(location: StateLocation) -> None:
    do(location, lambda store: store.queue.pause(PauseReason.NO_FUNDS, MINUTE))
    assert "Ended: Sending is paused (no funds)" in tell(location, "outbox", "resume").output
    assert tell(location, "outbox", "resume").output == "Nothing is paused.\n"
    assert do(location, lambda store: store.queue.find_pause()) is None


# ── privacy ──


def test_what_is_held_about_a_number_is_printed_as_json(location: StateLocation) -> None:
    order = do(location, place_one)
    done = tell(location, "export", "070-174", "06", "05")
    (account,) = json.loads(done.stdout)["accounts"]
    (held,) = account["orders"]
    assert (held["id"], held["recipient"], held["text"]) == (order.id, PHONE.e164, "Hej!")
    assert held["placed_at"] == order.placed_at.isoformat()
    assert account["username"] == "u1… (2 characters)"


def test_a_number_is_forgotten_after_a_yes(location: StateLocation) -> None:
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
    assert f"{PHONE.e164} is forgotten in 1 order." in terminal.shown
    assert "The number opted out. That stays" in terminal.shown
    assert files_with(location.folder or Path(), PHONE.e164) == []


def test_nobody_is_asked_where_nobody_is(location: StateLocation) -> None:
    claim = do(location, claim_new)
    do(location, lambda store: store.queue.settle_sent(claim, a_receipt()))
    done = tell(location, "forget", PHONE.e164, typed="y\n")
    assert (done.exit_code, "--yes" in done.stderr) == (1, True)
    assert files_with(location.folder or Path(), PHONE.e164)
    done = tell(location, "forget", PHONE.e164, "--yes")
    assert (done.exit_code, "opted out" in done.output) == (0, False)
    assert files_with(location.folder or Path(), PHONE.e164) == []
    assert tell(location, "forget", PHONE.e164).output == f"Nothing is held about {PHONE.e164}.\n"


def test_a_number_with_unfinished_texts_is_not_forgotten(location: StateLocation) -> None:
    order = do(location, place_one)
    done = tell(location, "forget", PHONE.e164, "--yes")
    assert done.exit_code == 1
    assert f"Texts to this number are unfinished: {order.id} (queued). Nothing was removed." in done.stderr
    assert tell(location, "forget", "hello", "--yes").exit_code == 1


# ── the doctor, and the start ──


def test_the_doctor_says_where_state_is_and_what_is_open(location: StateLocation) -> None:
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
        "note  Orders of which a person has to say what became: 1. To list them: `elks-mcp outbox`."
        in done.stdout
    )
    assert "note  Sending is paused (no funds) for http://localhost/a1" in done.stdout
    assert "note  ELKS_QUIET_PERIOD is 39 s, less than 40 s (ELKS_TIMEOUT and 30 s)" in done.stdout
    assert done.stdout.count("State is in") == 1


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
async def test_the_doctor_sends_nothing_that_is_queued_however_long_it_takes(tmp_path: Path) -> None:
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
    assert "send_sms really sends" in done[0]
    assert "1 order unfinished" in done[0]
    assert box.accepted == []


def test_the_server_warns_of_a_short_quiet_period_and_of_no_other(tmp_path: Path) -> None:
    for quiet, warns in (("39.9", True), ("40", False)):
        with running({"ELKS_QUIET_PERIOD": quiet}, tmp_path) as server:
            server.initialize()
            assert ("can go out twice" in server.stderr) is warns
            server.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no such rights there")
def test_a_state_directory_stays_private(location: StateLocation) -> None:
    do(location, place_one)
    tell(location, "outbox")
    assert location.folder
    assert [path.stat().st_mode & 0o077 for path in location.folder.iterdir()] == [0] * len(
        list(location.folder.iterdir())
    )


def test_texts_that_wait_to_one_number_are_listed_together(location: StateLocation) -> None:
    alike = [do(location, partial(wait_one, text=f"Text {number}")) for number in range(3)]
    other = do(location, lambda store: wait_one(store, "Hej", to=OTHER_PHONE))
    first, second, third, *_ = tell(location, "pending").output.splitlines()
    together = f"3 texts to {PHONE.e164} (Sweden) from +46701740699, 3 parts, 1.56 SEK; because of confirm;"
    assert first == f"{together} the first expires in 29 minutes:"
    assert second == f"  {', '.join(order.approval for order in alike)}"
    assert third.startswith(f"{other.approval}  to {OTHER_PHONE.e164} (Sweden), 1 part, 0.52 SEK;")


def test_without_the_driver_for_postgres_a_command_says_how_to_install_it(
    location: StateLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url, key = "postgresql://nobody@127.0.0.1:1/none", KEY.get_secret_value()
    done = tell(location, "pending", ELKS_DATABASE_URL=url, ELKS_SECRET_KEY=key)
    assert done.exit_code == 2
    assert "In a clone, run `uv sync --extra postgres`." in done.stderr
