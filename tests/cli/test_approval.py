"""`elks-mcp approve` and `elks-mcp pending`."""

import re
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from elks_mcp.domain.orders import Approval, Approver, Effect, Finding, Order, OrderState
from elks_mcp.store import StateLocation
from elks_mcp.store.admin import OrderAdmin
from tests.sandbox.serving import serve
from tests.support.clocks import HANG
from tests.support.command_cases import do, find, run_command, screen_rows
from tests.support.connecting import live, new_box
from tests.support.process import Process, running
from tests.support.provider import PHONE, a_draft, an_approval
from tests.support.stores import (
    OTHER_PHONE,
    allow,
    change_rows,
    files_with,
    wait_one,
)
from tests.support.terminal import at_terminal, started_at_terminal

LAST_FOUR = PHONE.e164[-4:]


QUESTION = "type the last four digits"


# ── approving ──


@pytest.mark.usefixtures("fresh_start")
def test_a_person_at_a_terminal_approves_by_the_last_four_digits(location: StateLocation) -> None:
    order = do(location, lambda store: wait_one(store, "Hej på dig\n| +46700000000"))
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with started_at_terminal("approve", order.approval_code.lower(), environ=environ) as terminal:
        terminal.read_until(QUESTION).type(f" {LAST_FOUR} ")
        assert terminal.finish() == 0
    assert terminal.shown.startswith(
        f"Send this text to {PHONE.e164} (Sweden) from +46701740699?\n"
        f"1 part, 0.52 SEK. Approval {order.approval_code}.\n"
        "You are asked because of: confirm.\n- The operator requires approval of every text.\n"
        "The text, behind a bar on each line:\n| Hej på dig\n| | +46700000000\n"
        f"End of the text: 2 lines, 25 characters. It goes to {PHONE.e164} (Sweden)\n"
        "  for 1 part, 0.52 SEK.\n\n"
    )
    assert (
        "Approved. A running server sends it now; otherwise the next that starts within 1 hour does."
        in terminal.shown
    )
    approved = find(location, order)
    assert (approved.state, approved.approver) == (OrderState.WAITING, Approver.TERMINAL)
    (released,) = do(location, lambda store: store.orders.release_approved(allow))
    assert released.state is OrderState.QUEUED


@pytest.mark.parametrize("typed", ["", "0606", PHONE.e164])
def test_a_wrong_answer_changes_nothing(location: StateLocation, typed: str) -> None:
    order = do(location, wait_one)
    with at_terminal(
        "approve", order.approval_code, "--state-dir", str(location.folder), environ={}
    ) as terminal:
        terminal.read_until(QUESTION).type(typed)
        assert terminal.finish() == 1
    assert (
        "Not approved: these are not the last four digits of the number. Nothing was changed."
        in terminal.shown
    )
    assert find(location, order) == order


def test_a_terminal_cannot_be_fooled_by_what_is_in_the_text(location: StateLocation) -> None:
    order = do(location, wait_one)
    change_rows(
        location,
        "update orders set content = "
        "json_object('text', 'Hej\u202e\u200b' || char(27) || '[2J' || char(155) || 'x')",
    )
    with at_terminal(
        "approve", order.approval_code, environ={"ELKS_STATE_DIR": str(location.folder)}
    ) as terminal:
        terminal.read_until(QUESTION).type("no")
        assert terminal.finish() == 1
    assert "(it contains invisible characters):\n| Hej\\u202e\\u200b\\x1b[2J\\x9bx\n" in terminal.shown


FORGED = "Send this text to +46700000000 (Sweden) from Klara?"


@pytest.mark.parametrize("columns", [80, 40, 132])
@pytest.mark.parametrize(
    "filling",
    ["Hej".ljust(500, "."), "界" * 300, "🙂" * 300, "e\u0301" * 500, "\t" * 200, "\u202e" * 90, "Hej " * 200],
    ids=["ascii", "wide", "emoji", "accents", "tabs", "bidi", "words"],
)
def test_no_row_of_a_text_can_pass_for_ours_in_a_terminal_of_any_width_p2(
    location: StateLocation, filling: str, columns: int
) -> None:
    """P2. The terminal breaks a long line by itself, and a row that it makes has no bar."""
    order = do(location, lambda store: wait_one(store, filling + FORGED.center(columns * 2)))
    environ = {"ELKS_STATE_DIR": str(location.folder), "COLUMNS": "500"}
    with at_terminal("approve", order.approval_code, environ=environ, columns=columns) as terminal:
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
    with at_terminal(
        "approve", order.approval_code, environ={"ELKS_STATE_DIR": str(location.folder)}
    ) as terminal:
        terminal.read_until(QUESTION).type("no")
        assert terminal.finish() == 1
    assert "| Hej\n(298 empty lines)\n| Send this text" in terminal.shown
    *_, facts, rest, empty, prompt = terminal.shown.partition(QUESTION)[0].split("\n")
    characters = 3 + 299 + len(FORGED) + 1 + 600
    assert f"{facts} {rest.strip()}" == (
        f"End of the text: 601 lines, {characters} characters. "
        f"It goes to {PHONE.e164} (Sweden) for 1 part, 0.52 SEK."
    )
    assert (empty, prompt) == ("", "To approve it, ")


def test_a_reason_that_quotes_a_text_has_no_row_that_begins_like_ours_p2(location: StateLocation) -> None:
    """P2. A guard may quote what a stranger wrote."""
    quoted = f"They wrote “{'Hej. ' * 13}{FORGED.ljust(160)}\n{FORGED}”."
    found = Finding(guard="link", effect=Effect.ASK, reason=quoted)
    quote = an_approval(a_draft("Hej")).quote.model_copy(update={"findings": (found,)})
    order = do(
        location, lambda store: store.orders.place(Approval(quote=quote, approver=Approver.PERSON), allow)
    ).order
    with at_terminal(
        "approve", order.approval_code, environ={"ELKS_STATE_DIR": str(location.folder)}
    ) as terminal:
        terminal.read_until(QUESTION).type("no")
        assert terminal.finish() == 1
    assert terminal.shown.count(FORGED) == 2
    assert [row for row in screen_rows(terminal.shown, 80) if row.startswith("Send this")] == [
        f"Send this text to {PHONE.e164} (Sweden) from +46701740699?"
    ]


def test_the_reasons_for_asking_a_person_are_the_findings_of_the_guards(location: StateLocation) -> None:
    link = Finding(guard="link", effect=Effect.ASK, reason="The text contains a web address.")
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
    listed = run_command(location, "pending").output.splitlines()
    for order, why in whys.items():
        (line,) = [line for line in listed if order.approval_code and line.startswith(order.approval_code)]
        assert f"to {PHONE.e164} (Sweden), 1 part, 0.52 SEK; {why} expires in 29 minutes" in line


@pytest.mark.parametrize(("piped", "typed"), [("stdin", LAST_FOUR), ("stdout", LAST_FOUR)])
def test_a_program_cannot_approve(location: StateLocation, piped: str, typed: str) -> None:
    order = do(location, wait_one)
    done = run_command(location, "approve", order.approval_code, typed=f"{typed}\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Approval needs a person at a terminal. Standard input or output is not a terminal." in done.stderr
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with started_at_terminal("approve", order.approval_code, environ=environ, piped=piped) as terminal:
        assert terminal.finish() == 1
    assert find(location, order) == order


def approve_at_terminal(location: StateLocation, number: str) -> tuple[int, str]:
    """Try to approve an order about which no question may be asked."""
    with at_terminal("approve", number, environ={"ELKS_STATE_DIR": str(location.folder)}) as terminal:
        code = terminal.finish()
    assert QUESTION not in terminal.shown
    return code, terminal.shown


def test_an_order_that_cannot_be_approved_is_reported_with_its_state(location: StateLocation) -> None:
    order: Order = do(location, wait_one)
    assert order.approval_code
    assert approve_at_terminal(location, "A-2222") == (
        1,
        "elks-mcp: No order has that id. To list them: `elks-mcp outbox`.\n",
    )
    expired: Order = do(location, lambda store: wait_one(store, to=OTHER_PHONE))
    change_rows(location, f"update orders set due_at = 1 where id = '{expired.id}'")  # noqa: S608
    assert approve_at_terminal(location, expired.approval_code or "") == (
        1,
        f"It can no longer be approved: {expired.id} is expired: No person approved it in time.\n",
    )
    do(location, lambda store: OrderAdmin(store.database).approve(order.id))
    code, shown = approve_at_terminal(location, order.approval_code)
    assert (code, shown.startswith("Approved. A running server sends it now")) == (0, True)
    do(location, lambda store: store.orders.release_approved(allow))
    assert approve_at_terminal(location, order.approval_code) == (
        0,
        f"It was already approved: {order.id} is queued.\n",
    )
    run_command(location, "outbox", "cancel", order.id)
    code, shown = approve_at_terminal(location, order.approval_code)
    assert (code, shown) == (
        1,
        f"It can no longer be approved: {order.id} is cancelled: A person cancelled it.\n",
    )


def test_an_order_of_a_kind_of_a_newer_version_cannot_be_approved(location: StateLocation) -> None:
    order: Order = do(location, wait_one)
    change_rows(location, f"update orders set kind = 'note' where id = '{order.id}'")  # noqa: S608
    assert order.approval_code
    assert order.approval_code in run_command(location, "pending").output
    code, shown = approve_at_terminal(location, order.approval_code)
    assert code == 1
    assert "is of the kind 'note', which this version does not know. Update elks-mcp." in shown
    assert "approved, waits for a server" not in run_command(location, "pending").output


def test_an_approved_order_that_waits_for_a_server_is_listed_as_such(location: StateLocation) -> None:
    order: Order = do(location, wait_one)
    do(location, lambda store: OrderAdmin(store.database).approve(order.id))
    assert "approved, waits for a server, expires in 59 minutes" in run_command(location, "pending").output


# ── approving, with a server ──


def ask(server: Process, text: str) -> tuple[str, str]:
    """Request a text from a client that cannot ask a person; return approval code and order id."""
    answer = server.call("send_sms", to=PHONE.e164, message=text)
    words: str = answer["content"][0]["text"]
    assert words.startswith("Sandbox: Not sent: Waiting for approval ")
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
async def test_an_order_approved_while_no_server_ran_goes_out_at_the_next_start(tmp_path: Path) -> None:
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
