"""Accounts that share a database."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio.to_thread
import pytest
from click.testing import Result

from elks_mcp.runtime.addresses import normalize_url
from elks_mcp.sandbox import ManualClock as BoxClock
from elks_mcp.sandbox import Sandbox
from elks_mcp.store import AccountKey, StateLocation
from tests.sandbox.serving import serve
from tests.support.account_cases import status
from tests.support.clocks import ManualClock
from tests.support.connecting import (
    PHONE,
    box_on,
    call,
    come_true,
    connected,
    data,
    live,
    new_box,
    posted,
    words,
)
from tests.support.process import invoke
from tests.support.stores import (
    ACCOUNT,
    DATABASES,
    a_place,
    change_rows,
    opened,
)
from tests.support.token_cases import ask
from tests.support.web import Site, site

pytestmark = pytest.mark.anyio


SPELLINGS = (
    "http://127.0.0.1/a1",
    "HTTP://LOCALHOST:80/a1/",
    "http://[::1]/a1",
    "http://[::ffff:127.0.0.1]/a1",
    "http://127.0.0.2/./x/../%61%31",
)
"""Other ways to write http://localhost/a1, which the tests use for 46elks."""


STRANGE = "u" + "1" * 32
"""An API username that is not the sandbox's usual one."""


@pytest.mark.parametrize("url", SPELLINGS)
def test_addresses_that_mean_the_same_are_one_account(url: str) -> None:
    assert AccountKey(url, " u1\n") == ACCOUNT


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://api.46elks.com/a1", "https://api.46elks.com/a2"),
        ("https://api.46elks.com/a1", "https://api.46elks.com:8443/a1"),
        ("https://api.46elks.com/a1", "https://api.46elks.com/A1"),
        ("http://localhost/a1", "https://localhost/a1"),
        ("http://localhost:4646/a1", "http://localhost:4647/a1"),
        ("https://api.46elks.com/a%2F1", "https://api.46elks.com/a/1"),
    ],
)
def test_addresses_with_different_meanings_stay_two_accounts(one: str, other: str) -> None:
    assert normalize_url(one) != normalize_url(other)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTPS://API.46elks.com.:443/a1/", "https://api.46elks.com/a1"),
        ("https://räksmörgås.example/a1", "https://xn--rksmrgs-5wao1o.example/a1"),
        ("https://[2001:DB8::0:1]/%c3%a5", "https://[2001:db8::1]/%C3%A5"),
        ("https://api.46elks.com/../../a1", "https://api.46elks.com/a1"),
        ("https://[::1/a1", "https://[::1/a1"),
        ("https://x:99999/", "https://x:99999/"),
        ("", ""),
    ],
)
def test_an_address_has_one_normal_form_and_an_invalid_one_stays_unchanged(url: str, normal: str) -> None:
    assert normalize_url(url) == normal
    assert normalize_url(normal) == normal


# ── over HTTP ──


@asynccontextmanager
async def served(folder: Path, box: Sandbox | None = None, **environ: str) -> AsyncIterator[Site]:
    """Serve over HTTP with the state in this folder."""
    async with site(box or new_box(), environ={"ELKS_STATE_DIR": str(folder), **environ}) as where:
        yield where


@pytest.mark.parametrize("revoked", [False, True])
async def test_p7_once_any_account_has_a_token_every_request_needs_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, revoked: bool
) -> None:
    """P7: a start with another API username does not open what the operator closed."""
    async with served(tmp_path) as where:
        token = await where.token("agent")
        if revoked:
            await (await where.app.storage.open()).tokens.revoke("agent")
    async with served(tmp_path, Sandbox(clock=BoxClock(), username=STRANGE)) as where:
        assert [await status(where) for _ in range(2)] == [401, 401]
        assert [await status(where, token) for _ in range(2)] == [401, 401]
        own = await where.token("own")
        await come_true(lambda: _gets_in(where, own))
    lines = [each for each in caplog.messages if "A token of another account was presented" in each]
    assert len(lines) == (0 if revoked else 1)
    assert all("agent, for http://localhost/a1, API username u00…" in each for each in lines)
    assert token not in caplog.text


async def _gets_in(where: Site, token: str | None = None) -> bool:
    return await status(where, token) == 200


@pytest.mark.parametrize("url", SPELLINGS)
async def test_p7_another_spelling_of_the_address_has_the_same_tokens(tmp_path: Path, url: str) -> None:
    async with served(tmp_path) as where:
        token = await where.token("agent")
    async with served(tmp_path, ELKS_API_BASE_URL=url) as where:
        assert (await status(where), await status(where, token)) == (401, 200)


def _database_restored(folder: Path) -> None:
    """Have the tables as they were before the token."""
    change_rows(StateLocation(folder=folder), "DELETE FROM tokens")


def _file_gone(folder: Path) -> None:
    """Have the file taken away, as with a volume that is unmounted."""
    for file in folder.glob("outbox.sqlite3*"):
        file.unlink()


@pytest.mark.parametrize("happens", [_database_restored, _file_gone])
async def test_p7_a_token_that_was_seen_is_not_forgotten_when_the_state_changes(
    tmp_path: Path, happens: Callable[[Path], None]
) -> None:
    clock = ManualClock()
    environ = {"ELKS_STATE_DIR": str(tmp_path)}
    async with site(new_box(), clock=clock, environ=environ) as where:
        await where.token("agent")
        assert await status(where) == 401
        happens(tmp_path)
        clock.advance(timedelta(seconds=1))
        assert await status(where) in {401, 503}


@pytest.mark.skipif("sys.platform == 'win32'", reason="links need rights there")
async def test_p7_with_an_unreadable_state_every_request_is_refused(tmp_path: Path) -> None:
    """P7: a link to a database that is not there is no proof that no token was ever made."""
    async with served(tmp_path, ELKS_API_USERNAME="", ELKS_API_PASSWORD="") as where:
        (tmp_path / "outbox.sqlite3").symlink_to(tmp_path / "elsewhere" / "outbox.sqlite3")
        assert await status(where) == 503


async def test_a_client_may_leave_out_the_port_that_a_public_address_need_not_name(tmp_path: Path) -> None:
    async with served(tmp_path, ELKS_PUBLIC_URL="https://SMS.example.com:443/") as where:
        token = await where.token("agent")
        for host in ("sms.example.com", "sms.example.org"):
            answer = await ask(where, "tools/list", token=token, headers={"host": host})
            assert (answer.status_code == 200) is (host == "sms.example.com")


# ── what is the account's own ──


async def test_p5_another_spelling_of_the_address_has_the_same_budget_and_keys(tmp_path: Path) -> None:
    clock = ManualClock()
    box = box_on(clock)
    environ = live(box, ELKS_STATE_DIR=str(tmp_path), ELKS_BUDGET_PER_DAY="0.60")
    text = {"to": PHONE, "message": "Hej", "idempotencyKey": "k"}
    async with connected(
        environ | {"ELKS_API_BASE_URL": "http://localhost:4646/a1"}, box=box, clock=clock
    ) as client:
        first = data(await call(client, "send_sms", **text))
    async with connected(
        environ | {"ELKS_API_BASE_URL": "http://127.0.0.1:4646/a1/"}, box=box, clock=clock
    ) as client:
        again = data(await call(client, "send_sms", **text))
        assert (again["orderId"], again["deduplicated"]) == (first["orderId"], True)
        clock.advance(timedelta(seconds=1))  # to the next slot of the pace
        refused = await call(client, "send_sms", to=PHONE, message="Hej igen")
        assert "Refused by daily_budget: " in words(refused)
    assert len(posted(box)) == 1


async def test_p5_a_new_account_beside_a_known_one_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    location = StateLocation(folder=tmp_path / "state")
    for account in (ACCOUNT, AccountKey(ACCOUNT.base_url, ""), AccountKey(ACCOUNT.base_url, "u2"), ACCOUNT):
        async with opened(location, account=account):
            pass
    [lines] = [each for each in caplog.messages if "does not know the account" in each]
    assert "http://localhost/a1, API username u2… (2 characters). It knows" in lines
    assert "Daily budget and idempotency keys start from zero" in lines


def run_command(command: str, environ: dict[str, str]) -> Result:
    """Run a command in this process."""
    return invoke(command.split(), environ)


@pytest.mark.usefixtures("stand_in")
async def test_p5_the_doctor_names_an_unknown_account_and_tokens_of_others(tmp_path: Path) -> None:
    box = new_box()
    other = Sandbox(clock=BoxClock(), username=STRANGE)
    async with serve(box) as url, serve(other) as strange_url:
        known = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_STATE_DIR=str(tmp_path))
        strange = live(other, ELKS_API_BASE_URL=f"{strange_url}/a1", ELKS_STATE_DIR=str(tmp_path))

        async def do(command: str, environ: dict[str, str]) -> str:
            return (await anyio.to_thread.run_sync(run_command, command, environ)).stdout

        token = (await do("token new agent --scope read", known)).strip()
        calm = await do("doctor", known)
        lines = await do("doctor", strange)
        assert "for other accounts" not in calm
        assert "does not know" not in calm
        assert "note  This state does not know the account" in lines
        assert "note  1 token for other accounts (agent, for " in lines
        listed = await do("token list", strange)
        assert "There are no tokens for this account, so all requests to /mcp are refused" in listed
        assert "Not valid here: agent, for " in listed
        assert "does not know" not in await do("doctor", strange), "the command before opened it"
        assert token not in calm + lines + listed


# ── merging what older versions kept apart ──


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location for a store, of either kind."""
    return a_place(request, tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    """Stop the clock."""
    return ManualClock()
