"""`elks-mcp contacts accept`, and names in the commands with which a person approves."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import anyio.to_thread
import pytest

from elks_mcp.store import StateLocation
from tests.support.clocks import ManualClock
from tests.support.command_cases import do, run_command
from tests.support.connecting import box_on, call, connected, live, posted, words
from tests.support.provider import PHONE
from tests.support.stores import wait_one
from tests.support.terminal import at_terminal

ASA, KIM = PHONE.e164, "+46701740607"
LATER = timedelta(seconds=2)
"""After this time the file is looked at again."""


@pytest.fixture
def state(tmp_path: Path) -> StateLocation:
    """Have a state directory."""
    return StateLocation(folder=tmp_path / "state")


def write(folder: Path, *rows: str) -> Path:
    """Write a file of contacts."""
    file = folder / "contacts.csv"
    file.write_text("\n".join(["name,phone,groups", *rows, ""]), "utf-8")
    return file


def accept(environ: Mapping[str, str], *arguments: str, answer: str = "y") -> tuple[int, str]:
    """Run the command at a terminal, and return its exit code and what it shows."""
    with at_terminal("contacts", "accept", *arguments, environ=environ) as terminal:
        terminal.read_until("text these people?").type(answer)
        code = terminal.finish()
    return code, terminal.shown


@pytest.mark.anyio
async def test_p7_changed_contacts_are_used_once_a_person_has_accepted_them(
    tmp_path: Path, state: StateLocation
) -> None:
    clock = ManualClock()
    box, file = box_on(clock), write(tmp_path, f"Åsa Lind,{ASA},jour")
    named = {"ELKS_CONTACTS": str(file), "ELKS_ALLOWED_RECIPIENTS": "@jour", "ELKS_GUARDS_OFF": "night"}
    environ = live(box, ELKS_STATE_DIR=str(state.folder), **named)
    async with connected(environ, box=box, clock=clock) as client:
        assert not (await call(client, "send_sms", to="Åsa Lind", message="Hej")).is_error
        write(tmp_path, f"Åsa Lind,{ASA},jour", f"Kim,{KIM},jour")
        clock.advance(LATER)
        refusal = words(await call(client, "send_sms", to="Kim", message="Hej"))
        assert f'`elks-mcp contacts accept "{file}" --state-dir "{state.folder}"`' in refusal
        assert "contacts accept" in words(await call(client, "explain_policy"))
        code, shown = await anyio.to_thread.run_sync(accept, environ)
        assert code == 0, shown
        assert "None were accepted before, so all are listed." in shown
        assert f"+ Kim  {KIM}  @jour" in shown
        clock.advance(LATER)
        assert not (await call(client, "send_sms", to="Kim", message="Hej")).is_error
    assert [form["to"] for form in posted(box)] == [ASA, KIM]


def test_the_changes_are_shown_and_declining_accepts_nothing(tmp_path: Path, state: StateLocation) -> None:
    do(state, wait_one)  # the account is known
    environ = {"ELKS_STATE_DIR": str(state.folder)}
    file = str(write(tmp_path, f"Åsa Lind,{ASA},jour", f"Bo,{KIM},"))
    assert accept(environ, file)[0] == 0
    write(tmp_path, f"Åsa Lind,{KIM},jour", "Kim,+46701740608,")
    for answer, expected in (("n", 1), ("y", 0)):
        code, shown = accept(environ, file, answer=answer)
        assert code == expected
        assert "1 added, 1 changed, 1 removed." in shown
        assert f"~ Åsa Lind  {KIM}  @jour" in shown
    with at_terminal("contacts", "accept", file, environ=environ) as terminal:
        assert terminal.finish() == 0
    assert "accepted already" in terminal.shown


def test_the_first_time_every_contact_is_listed(tmp_path: Path, state: StateLocation) -> None:
    do(state, wait_one)
    rows = (f"Contact {number},+467017406{number % 95 + 5:02}," for number in range(150))
    file = str(write(tmp_path, *rows, f"Kim,{KIM},jour"))
    code, shown = accept({"ELKS_STATE_DIR": str(state.folder)}, file)
    assert code == 0
    assert "151 contacts. None were accepted before, so all are listed." in shown
    assert shown.count("  + ") == 151
    assert f"+ Kim  {KIM}  @jour" in shown


def test_accepting_needs_a_terminal_contacts_and_durable_state(tmp_path: Path, state: StateLocation) -> None:
    file = str(write(tmp_path, f"Åsa,{ASA},"))
    assert "needs a person at a terminal" in run_command(state, "contacts", "accept", file).stderr
    environ = {"ELKS_STATE_DIR": str(state.folder)}
    for arguments, more, said in (
        ((), {}, "For `check` and `accept`, FILE is enough."),
        ((str(tmp_path / "none.csv"),), {}, "does not exist"),
        ((), {"ELKS_CONTACTS": str(tmp_path / "none.csv")}, "none.csv cannot be read. No such file"),
        ((file,), {}, "has no account yet"),
        ((file,), {"ELKS_SANDBOX": "true"}, "Restart the server"),
    ):
        with at_terminal("contacts", "accept", *arguments, environ=environ | more) as terminal:
            assert terminal.finish() != 0
        assert said in " ".join(terminal.shown.split())


def test_a_person_approves_a_text_by_name_and_whole_number(tmp_path: Path, state: StateLocation) -> None:
    order = do(state, wait_one)
    environ = {"ELKS_STATE_DIR": str(state.folder), "ELKS_CONTACTS": str(write(tmp_path, f"Åsa Lind,{ASA},"))}
    person = f"Åsa Lind, {ASA} (Sweden)"
    assert f"to {person}, 1 part" in run_command(state, "pending", **environ).stdout
    assert f"to {person}, 1 part" in run_command(state, "outbox", **environ).stdout
    assert f"  to        {person}" in run_command(state, "outbox", "show", order.id, **environ).stdout
    with at_terminal("approve", order.approval_code, environ=environ) as terminal:
        terminal.read_until("last four digits").type(ASA[-4:])
        assert terminal.finish() == 0
    assert f"Send this text to {person} from" in terminal.shown
    write(tmp_path, f"Åsa Lind,{KIM},", f"Bo,{ASA},")
    assert f"to Bo, {ASA} (Sweden), 1 part" in run_command(state, "pending", **environ).stdout
    (tmp_path / "contacts.csv").write_bytes(b"\xff\xfe\x00")
    assert f"to {ASA} (Sweden), 1 part" in run_command(state, "pending", **environ).stdout
