"""Whose state it is: addresses that mean the same, tokens of other accounts, and merging old rows."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from click.testing import Result

import elks_mcp.store.db.migrations
from elks_mcp.domain.models import Approver, Caller, OrderState, Report
from elks_mcp.domain.taint import ShownText
from elks_mcp.runtime.addresses import normalize_url
from elks_mcp.sandbox import ManualClock as BoxClock
from elks_mcp.sandbox import Sandbox
from elks_mcp.store import AccountKey, PauseReason, StateLocation, Wanted
from elks_mcp.store.db.migrate import HEAD
from elks_mcp.store.db.quick_check import has_work
from elks_mcp.store.store import Store
from elks_mcp.store.totals import TotalsStore
from tests.sandbox.serving import serve
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
from tests.support.provider import NOON, a_draft, an_approval
from tests.support.provider import PHONE as NUMBER
from tests.support.stores import (
    ACCOUNT,
    DATABASES,
    MINUTE,
    OTHER_PHONE,
    UNPACED,
    a_place,
    a_receipt,
    allow,
    change_rows,
    claim_new,
    opened,
    place_one,
    read_rows,
    said,
    wait_one,
)
from tests.support.web import Site, site
from tests.web.test_tokens import ask

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
def test_addresses_that_mean_different_things_stay_two(one: str, other: str) -> None:
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
def test_an_address_has_one_normal_form_and_what_is_none_stays_as_it_is(url: str, normal: str) -> None:
    assert normalize_url(url) == normal
    assert normalize_url(normal) == normal


# ── over HTTP ──


@asynccontextmanager
async def served(folder: Path, box: Sandbox | None = None, **environ: str) -> AsyncIterator[Site]:
    """Serve over HTTP with the state in this folder."""
    async with site(box or new_box(), environ={"ELKS_STATE_DIR": str(folder), **environ}) as where:
        yield where


async def status(where: Site, token: str | None = None) -> int:
    """Ask for something harmless; return the status of the answer."""
    return (await ask(where, "tools/list", token=token)).status_code


@pytest.mark.parametrize("revoked", [False, True])
async def test_p7_once_a_token_was_made_for_any_account_nobody_gets_in_without_one(
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
    told = [each for each in caplog.messages if "a token was shown that is not for this account" in each]
    assert len(told) == (0 if revoked else 1)
    assert all("agent, for http://localhost/a1, API username u00…" in each for each in told)
    assert token not in caplog.text


async def _gets_in(where: Site, token: str | None = None) -> bool:
    return await status(where, token) == 200


@pytest.mark.parametrize("url", SPELLINGS)
async def test_p7_the_same_address_written_otherwise_has_the_same_tokens(tmp_path: Path, url: str) -> None:
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
async def test_p7_a_state_that_cannot_be_looked_at_opens_nothing(tmp_path: Path) -> None:
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


async def test_p5_the_same_address_written_otherwise_has_the_same_budget_and_keys(tmp_path: Path) -> None:
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
    [told] = [each for each in caplog.messages if "does not know the account" in each]
    assert "http://localhost/a1, API username u2… (2 characters). It knows" in told
    assert "Daily budget and idempotency keys start from zero" in told


def tell(command: str, environ: dict[str, str]) -> Result:
    """Give a command in this process."""
    return invoke(command.split(), environ)


async def test_p5_the_doctor_names_an_unknown_account_and_tokens_of_others(tmp_path: Path) -> None:
    box = new_box()
    other = Sandbox(clock=BoxClock(), username=STRANGE)
    async with serve(box) as url, serve(other) as strange_url:
        known = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_STATE_DIR=str(tmp_path))
        strange = live(other, ELKS_API_BASE_URL=f"{strange_url}/a1", ELKS_STATE_DIR=str(tmp_path))

        async def do(command: str, environ: dict[str, str]) -> str:
            return (await anyio.to_thread.run_sync(tell, command, environ)).stdout

        token = (await do("token new agent --scope read", known)).strip()
        calm = await do("doctor", known)
        told = await do("doctor", strange)
        assert "for other accounts" not in calm
        assert "does not know" not in calm
        assert "note  This state does not know the account" in told
        assert "note  1 token for other accounts (agent, for " in told
        listed = await do("token list", strange)
        assert "There is no token for this account, and nobody may call /mcp without one" in listed
        assert "Not valid here: agent, for " in listed
        assert "does not know" not in await do("doctor", strange), "the command before opened it"
        assert token not in calm + told + listed


# ── merging what older versions kept apart ──

T = TypeVar("T")


def _find_version_before() -> str:
    """Find the version of the tables before accounts that are the same were merged."""
    config = Config()
    config.set_main_option("script_location", str(Path(elks_mcp.store.db.migrations.__file__).parent))
    steps = ScriptDirectory.from_config(config).walk_revisions()
    return next(str(step.down_revision) for step in steps if step.path.endswith("_same_accounts.py"))


BEFORE = _find_version_before()

DOUBLE = AccountKey(ACCOUNT.base_url, "u2")
"""Whose rows become those of an account that is the same as ACCOUNT, written in another way."""


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Have a place for a store, of either kind."""
    return a_place(request, tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    """Have time stand still."""
    return ManualClock()


def make_same(location: StateLocation) -> None:
    """Have both accounts be the same, as an older version would have left them."""
    change_rows(
        location,
        "UPDATE accounts SET base_url = 'HTTP://127.0.0.1:80/a1/', username = ? WHERE username = ?",
        "u1",
        "u2",
    )
    set_back(location)


def set_back(location: StateLocation) -> None:
    """Have the tables be those of the version before accounts were merged."""
    change_rows(location, "ALTER TABLE tokens DROP COLUMN agent")
    change_rows(location, "UPDATE alembic_version SET version_num = ?", BEFORE)


async def in_both(
    location: StateLocation, clock: ManualClock, *works: Callable[[Store], Awaitable[T]]
) -> list[T]:
    """Do one thing for the one account, another for the other; then let them be the same."""
    results = []
    for account, work in zip((ACCOUNT, DOUBLE), works, strict=True):
        async with opened(location, clock, account) as store:
            results.append(await work(store))
    make_same(location)
    return results


async def test_p5_merged_accounts_keep_every_order_and_the_sum_of_what_is_spent(
    location: StateLocation, clock: ManualClock
) -> None:
    async def have_all(store: Store) -> tuple[list[str], int]:
        waiting = await wait_one(store, "Waiting")
        claim = await claim_new(store, "In doubt")
        await store.queue.settle_doubt(claim, "No answer.")
        sent = await claim_new(store, "Sent")
        await store.queue.settle_sent(sent, a_receipt(cost=9000))
        sending = await claim_new(store, "Sending")
        queued = await place_one(store, "Queued")
        ids = [waiting.id, claim.order_id, sent.order_id, sending.order_id, queued.id]
        return ids, (await TotalsStore(store.database).sum_up()).spent

    [(ids, spent), (more_ids, more_spent)] = await in_both(location, clock, have_all, have_all)
    async with opened(location, clock) as store:
        orders = [await store.orders.get(each) for each in (*ids, *more_ids)]
        expected = (
            OrderState.WAITING,
            OrderState.IN_DOUBT,
            OrderState.SENT,
            OrderState.SENDING,
            OrderState.QUEUED,
        )
        assert tuple(each.state for each in orders) == expected * 2
        assert (await TotalsStore(store.database).sum_up()).spent == spent + more_spent
    assert read_rows(location, "SELECT base_url, username FROM accounts") == [(ACCOUNT.base_url, "u1")]
    assert read_rows(location, "SELECT version_num FROM alembic_version") == [(HEAD,)]


async def test_p4_of_two_orders_with_one_key_the_one_that_may_be_sent_keeps_it(
    location: StateLocation, clock: ManualClock
) -> None:
    async def reject(store: Store) -> str:
        placed = await store.orders.place(an_approval(a_draft(key="k")), allow)
        claims = await store.queue.claim(UNPACED, allow)
        assert isinstance(claims, list)
        await store.queue.settle_rejected(claims[0], "No.")
        return placed.order.id

    async def send(store: Store) -> str:
        placed = await store.orders.place(an_approval(a_draft(key="k")), allow)
        return placed.order.id

    rejected, kept = await in_both(location, clock, reject, send)
    async with opened(location, clock) as store:
        again = await store.orders.place(an_approval(a_draft(key="k")), allow)
        assert (again.order.id, again.is_repeat) == (kept, True)
        assert (await store.orders.get(rejected)).state is OrderState.REJECTED


async def test_p4_of_two_orders_with_one_message_the_later_is_unknown_and_keeps_its_charge(
    location: StateLocation, clock: ManualClock
) -> None:
    async def send(store: Store) -> str:
        claim = await claim_new(store)
        await store.queue.settle_sent(claim, a_receipt("s1"))
        clock.advance(timedelta(seconds=1))
        return claim.order_id

    first, later = await in_both(location, clock, send, send)
    async with opened(location, clock) as store:
        assert (await store.orders.get(first)).state is OrderState.SENT
        doubled = await store.orders.get(later)
        assert (doubled.state, doubled.receipt) == (OrderState.UNKNOWN, None)
        assert (await TotalsStore(store.database).sum_up()).spent == 2 * 5200


@pytest.mark.parametrize("stop_first", [False, True])
async def test_p6_of_two_words_of_one_number_the_later_counts(
    location: StateLocation, clock: ManualClock, *, stop_first: bool
) -> None:
    async def stop(store: Store) -> None:
        await store.inbound.record([said("STOP", at=NOON + (-MINUTE if stop_first else MINUTE))])

    async def start(store: Store) -> None:
        await store.inbound.record([said("START", at=NOON), said("Ja", by=OTHER_PHONE)])

    await in_both(location, clock, stop, start)
    async with opened(location, clock) as store:
        assert (await store.orders.recall(a_draft())).opted_out is not stop_first
        assert (await store.orders.recall(a_draft(to=OTHER_PHONE))).is_known


async def test_received_texts_are_merged_so_that_who_waits_misses_none(
    location: StateLocation, clock: ManualClock
) -> None:
    common = [said(f"Till båda {number}", at=NOON + number * MINUTE) for number in range(3)]
    own = [said(f"Till en {number}", at=NOON + number * MINUTE) for number in range(4)]
    others = [said(f"Till den andra {number}", at=NOON + number * MINUTE) for number in range(2)]
    before: dict[AccountKey, list[str]] = {}

    async def hear(store: Store, *messages: object) -> None:
        for message in messages:
            await store.inbound.record([message])  # type: ignore[list-item]
            clock.advance(timedelta(seconds=1))

    async def one(store: Store) -> None:
        await hear(store, common[0], *own, common[1])
        before[ACCOUNT] = [each.message_id for each in await store.arrivals.list_after(0)]

    async def other(store: Store) -> None:
        await hear(store, others[0], common[1], common[0], common[2], others[1])
        before[DOUBLE] = [each.message_id for each in await store.arrivals.list_after(0)]

    await in_both(location, clock, one, other)
    async with opened(location, clock) as store:
        merged = await store.arrivals.list_after(0)
        all_ids = {each.id for each in (*common, *own, *others)}
        assert sorted(each.message_id for each in merged) == sorted(all_ids)
        positions = [each.position for each in merged]
        assert positions == sorted(set(positions))
        for ids in before.values():
            for seen in range(len(ids) + 1):  # who has seen so many of an account still gets all others
                left = {each.message_id for each in await store.arrivals.list_after(seen)}
                assert left >= all_ids - set(ids[:seen])
        last = await store.arrivals.find_last()
        assert last == positions[-1]
        await store.inbound.record([said("Ny", at=clock.now())])
        found = await store.arrivals.find_first(Wanted(after=last))
        assert found
        assert found.position == last + 1


async def test_pace_pauses_and_reading_go_on_from_the_careful_side(
    location: StateLocation, clock: ManualClock
) -> None:
    async def throttled(store: Store) -> None:
        await store.queue.pause(PauseReason.THROTTLED, timedelta(hours=2))
        await store.inbound.record([], until=NOON)

    async def without_funds(store: Store) -> None:
        await store.queue.pause(PauseReason.NO_FUNDS, MINUTE)
        await store.inbound.record([], until=NOON - MINUTE)

    await in_both(location, clock, throttled, without_funds)
    async with opened(location, clock) as store:
        heard = await store.inbound.find_position()
        assert (heard.until, heard.age) == (NOON - MINUTE, None)
        assert await store.queue.find_pause() is PauseReason.NO_FUNDS
        clock.advance(timedelta(minutes=90))
        assert await store.queue.find_pause() is PauseReason.NO_FUNDS


async def test_an_account_that_never_read_history_does_not_make_the_other_forget_how_far_it_did(
    location: StateLocation, clock: ManualClock
) -> None:
    async def nothing(store: Store) -> None:
        await store.queue.find_due_work()

    async def read(store: Store) -> None:
        await store.inbound.record([], until=NOON)

    await in_both(location, clock, nothing, read)
    async with opened(location, clock) as store:
        assert (await store.inbound.find_position()).until == NOON


async def test_tokens_reports_and_what_was_shown_are_merged(
    location: StateLocation, clock: ManualClock
) -> None:
    async def one(store: Store) -> str:
        await store.inbound.record_webhooks([], [Report(message_id="s1", status="delivered")])
        await store.taint.record("agent", [ShownText(NUMBER.e164, NOON, NOON)])
        return await store.tokens.make("one", frozenset(Caller().scopes))

    async def other(store: Store) -> str:
        await store.inbound.record_webhooks(
            [], [Report(message_id=each, status="sent") for each in ("s1", "s2")]
        )
        clock.advance(MINUTE)
        await store.taint.record(
            "agent", [ShownText(each.e164, NOON, NOON) for each in (NUMBER, OTHER_PHONE)]
        )
        return await store.tokens.make("other", frozenset(Caller().scopes))

    await in_both(location, clock, one, other)
    async with opened(location, clock) as store:
        known = await store.tokens.list_valid()
        assert sorted(each.name for each in known.valid.values()) == ["one", "other"]
        assert known.foreign == {}
        assert await store.inbound.retry_parked() == 2
    parked = read_rows(location, "SELECT message_id, status FROM parked ORDER BY message_id")
    assert parked == [("s1", "delivered"), ("s2", "sent")]
    assert read_rows(location, "SELECT count(*), min(shown_at) = max(shown_at) FROM shown")[0] in {
        (2, 1),
        (2, True),
    }


async def test_accounts_that_are_not_the_same_are_left_alone(
    location: StateLocation, clock: ManualClock
) -> None:
    for account in (ACCOUNT, DOUBLE):
        async with opened(location, clock, account) as store:
            await place_one(store)
    set_back(location)
    async with opened(location, clock, DOUBLE) as store:
        assert (await store.queue.find_due_work()).queued == 1
    assert read_rows(location, "SELECT count(*) FROM accounts") == [(2,)]


async def test_p4_a_server_finds_what_an_older_one_queued_for_the_same_account(tmp_path: Path) -> None:
    location = StateLocation(folder=tmp_path / "state")
    async with opened(location, account=DOUBLE) as store:
        await store.orders.place(an_approval(a_draft(), Approver.POLICY), allow)
    assert location.file
    assert not has_work(location.file, ACCOUNT)
    make_same(location)
    assert has_work(location.file, ACCOUNT)
