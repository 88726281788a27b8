"""`elks-mcp outbox`."""

import json
import re
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from elks_mcp.domain.orders import OrderState
from elks_mcp.store import PauseReason, StateLocation
from tests.support.command_cases import an_unknown, do, find, run_command, screen_rows
from tests.support.provider import PHONE
from tests.support.stores import (
    MINUTE,
    OTHER_PHONE,
    a_receipt,
    change_rows,
    claim_new,
    files_with,
    place_one,
    wait_one,
)
from tests.support.terminal import at_terminal


def test_the_outbox_shows_unfinished_orders_and_texts_only_if_asked(location: StateLocation) -> None:
    unknown = anyio.run(an_unknown, location)
    queued = do(location, lambda store: place_one(store, "Ses vi"))
    do(location, lambda store: store.queue.pause(PauseReason.CREDENTIALS, MINUTE))
    listed = run_command(location, "outbox").output
    assert re.search(
        rf"^{queued.id}  queued +to \{PHONE.e164} \(Sweden\), 1 part, 0.52 SEK, ", listed, re.MULTILINE
    )
    assert re.search(rf"^{unknown.id}  unknown .*The outcome could not be determined", listed, re.MULTILINE)
    assert listed.startswith(
        "Sending is paused (credentials) for http://localhost/a1, API username u1… (2 ch"
    )
    assert "Kom hem" not in listed
    assert "Ses vi" not in listed
    shown = run_command(location, "outbox", "show", unknown.id.lower()).output
    assert shown.startswith(
        f"{unknown.id}\n  state     unknown\n  said      The outcome could not be determined within"
    )
    assert shown.endswith(
        "The text, behind a bar on each line:\n| Kom hem\nEnd of the text: 1 line, 7 characters.\n"
    )
    assert run_command(location, "outbox", "list", "--limit", "1").output.count("O-") == 1


def test_an_order_of_a_kind_of_a_newer_version_is_shown_without_its_content(location: StateLocation) -> None:
    order = do(location, place_one)
    change_rows(location, f"update orders set kind = 'note' where id = '{order.id}'")  # noqa: S608
    assert f"{order.id}  queued" in run_command(location, "outbox").output
    shown = run_command(location, "outbox", "show", order.id)
    assert shown.exit_code == 0
    assert "\n  size      1 part, 0.52 SEK\n" in shown.output
    assert shown.output.endswith(
        "This version does not know the kind 'note'. Update elks-mcp to see its content.\n"
    )


def test_no_row_of_a_text_can_pass_for_ours_in_the_outbox_p2(location: StateLocation) -> None:
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


def test_a_settled_order_is_shown_without_its_text_even_if_texts_are_kept(tmp_path: Path) -> None:
    location = StateLocation(folder=tmp_path / "state", retention=timedelta(days=7))
    claim = do(location, claim_new)
    do(location, lambda store: store.queue.settle_sent(claim, a_receipt("s" + "0" * 32)))
    assert do(location, lambda store: store.orders.get(claim.order_id)).text == "Hej!"
    shown = run_command(location, "outbox", "show", claim.order_id, ELKS_RETENTION_DAYS="7").output
    assert "Hej!" not in shown
    assert "46elks id s000" in shown
    assert "The text is not shown" in shown


def test_cancelling_says_whether_it_was_in_time(location: StateLocation) -> None:
    order = do(location, lambda store: place_one(store, "Hej", to=OTHER_PHONE))
    claim = do(location, lambda store: store.cancellations.cancel(order.id, "Room."), claim_new)
    done = run_command(location, "outbox", "cancel", claim.order_id)
    assert done.exit_code == 4
    assert done.output == (
        f"{claim.order_id} is sending: it is being handed to 46elks and can no longer be\ncancelled.\n"
    )
    waiting = do(location, lambda store: wait_one(store, "Två"))
    done, again = (
        run_command(location, "cancel", waiting.id),
        run_command(location, "cancel", waiting.id.lower()),
    )
    assert (done.exit_code, done.output) == (again.exit_code, again.output)
    assert done.exit_code == 0
    assert done.output.startswith(f"{waiting.id} is cancelled: it was not sent, will not be sent")
    answer = json.loads(run_command(location, "cancel", waiting.id, "--json").output)
    assert (answer["status"], answer["orderId"]) == ("cancelled", waiting.id)
    assert find(location, waiting).state is OrderState.CANCELLED


@pytest.mark.parametrize(
    ("answer", "state", "said_so"),
    [
        ("--sent", OrderState.SENT, "is recorded as sent"),
        ("--not-sent", OrderState.CANCELLED, "is recorded as not sent"),
    ],
)
def test_a_person_records_the_result_of_an_unknown_order(
    location: StateLocation, answer: str, state: OrderState, said_so: str
) -> None:
    unknown = anyio.run(an_unknown, location)
    assert files_with(location.folder or Path(), "Kom hem")
    done = run_command(location, "outbox", "resolve", unknown.id, answer)
    assert (done.exit_code, said_so in done.output) == (0, True)
    assert find(location, unknown).state is state
    assert files_with(location.folder or Path(), "Kom hem") == []
    again = run_command(location, "outbox", "resolve", unknown.id, answer)
    assert (again.exit_code, "not unknown" in again.stderr) == (1, True)


def test_resolving_an_unknown_order_needs_a_result(location: StateLocation) -> None:
    unknown = anyio.run(an_unknown, location)
    done = run_command(location, "outbox", "resolve", unknown.id)
    assert (done.exit_code, "--sent" in done.stderr) == (2, True)
    assert find(location, unknown).state is OrderState.UNKNOWN


def test_a_person_can_end_a_pause(location: StateLocation) -> None:
    do(location, lambda store: store.queue.pause(PauseReason.NO_FUNDS, MINUTE))
    assert "Ended: Sending is paused (no funds)" in run_command(location, "outbox", "resume").output
    assert run_command(location, "outbox", "resume").output == "Sending is not paused.\n"
    assert do(location, lambda store: store.queue.find_pause()) is None
