"""`elks-mcp doctor` on long-running servers and scheduled texts."""

from datetime import UTC, datetime

import pytest

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.orders import Draft
from elks_mcp.store import ServerKind, StateLocation
from elks_mcp.store.store import Store
from tests.support.command_cases import do
from tests.support.process import run
from tests.support.provider import OURS, PHONE, an_approval
from tests.support.stores import ACCOUNT, MINUTE, allow, place_one

pytestmark = pytest.mark.usefixtures("stand_in")


def consult(location: StateLocation, **environ: str) -> str:
    """Run the doctor for an account whose 46elks cannot be reached."""
    account = {
        "ELKS_API_USERNAME": ACCOUNT.username,
        "ELKS_API_PASSWORD": "a password",
        "ELKS_API_BASE_URL": ACCOUNT.base_url,
        "ELKS_TIME_ZONE": "Europe/Stockholm",
        **environ,
    }
    return run("doctor", ELKS_STATE_DIR=str(location.folder), **account).stdout


def test_without_scheduled_texts_no_server_is_needed(location: StateLocation) -> None:
    do(location, place_one)
    said = "  ok  No text is scheduled. No long-running server is running; only scheduled texts need one.\n"
    assert said in consult(location)
    assert "long-running" not in consult(location, ELKS_API_USERNAME="another")


def test_scheduled_texts_need_a_server_that_runs(location: StateLocation) -> None:
    at = datetime.now(UTC) + 5 * MINUTE
    do(location, lambda store: place_one(store, send_at=at))
    alone = consult(location)
    (line,) = [line for line in alone.splitlines() if "text is scheduled" in line]
    assert line.startswith("warn  1 text is scheduled, the next for ")
    assert "(Europe/Stockholm). No long-running server is running" in line
    assert "elks-mcp serve" in line
    assert str(location.folder) in line
    do(location, lambda store: store.heartbeats.record("0" * 16, ServerKind.SERVE))
    (line,) = [line for line in consult(location).splitlines() if "text is scheduled" in line]
    assert line.startswith("  ok  1 text is scheduled")
    assert line.endswith("A long-running server sends due texts: `elks-mcp serve`.")


async def queue_call(store: Store) -> None:
    """Queue a call that plays audio."""
    draft = Draft(to=PHONE, payload=Call(text="Tryck 1.", audio="ab" * 32), sender=OURS)
    await store.orders.place(an_approval(draft, price=8000), allow)


def test_calls_that_need_a_server_with_a_public_address_are_named(location: StateLocation) -> None:
    do(location, queue_call)
    [line] = [each for each in consult(location).splitlines() if "ELKS_PUBLIC_URL" in each]
    assert line.startswith("warn  46elks fetches the audio of 1 queued call from a server.")
    assert "expires" in line
    assert "queued call" not in consult(location, ELKS_PUBLIC_URL="https://sms.example.com")
