"""What is remembered: one suite for a SQLite file and a real PostgreSQL."""

import asyncio
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from itertools import count, pairwise, permutations
from pathlib import Path

import anyio
import anyio.lowlevel
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr
from sqlalchemy import Connection, MetaData, event, insert, select
from sqlalchemy.exc import OperationalError

import elks_mcp.store.db.migrations
from elks_mcp.domain.models import (
    UNFINISHED,
    Approval,
    Approver,
    Claim,
    Direction,
    Effect,
    Finding,
    Message,
    Order,
    OrderState,
    Report,
)
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import Number, SenderId
from elks_mcp.domain.taint import TAINT_LASTS, ShownText
from elks_mcp.errors import (
    ElksError,
    InvalidInput,
    Misconfigured,
    NotFound,
    Refused,
    StateUnavailable,
    StateUncertain,
)
from elks_mcp.store import AccountKey, Idle, Pace, PauseReason, Placed, StateLocation, Storage
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.claims import KEPT
from elks_mcp.store.cleanup import ROWS_KEPT, UNKNOWN_TEXT_KEPT
from elks_mcp.store.db.engines import open_engine
from elks_mcp.store.db.hashes import Hasher, find_or_make_key
from elks_mcp.store.db.migrate import HEAD, upgrade
from elks_mcp.store.db.quick_check import has_work
from elks_mcp.store.db.schema import accounts, metadata, orders
from elks_mcp.store.db.transactions import Tx
from elks_mcp.store.doubts import LONGEST
from elks_mcp.store.orders import KEPT_WAITING_FOR_YES, KEPT_WAITING_TO_GO
from elks_mcp.store.storage import find_hasher
from elks_mcp.store.store import Store
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, PHONE, a_draft, an_approval
from tests.support.stores import (
    ACCOUNT,
    DATABASES,
    EITHER_DATABASE,
    KEY,
    MINUTE,
    OTHER_PHONE,
    PRICE,
    SECOND,
    UNPACED,
    a_message,
    a_place,
    a_receipt,
    account_of,
    allow,
    change_rows,
    claim_new,
    claim_next,
    claim_one,
    engine_of,
    files_with,
    is_unfinished,
    on_both_databases,
    opened,
    place_one,
    read_rows,
    said,
    unless_opted_out,
    until_somebody_waits,
    wait_one,
    within,
)

pytestmark = pytest.mark.anyio

NONE = timedelta(0)
DAY = timedelta(days=1)
QUIET = timedelta(minutes=2)
OTHERS = AccountKey(ACCOUNT.base_url, "u2")
EVENING = "Kom hem till middagen klockan sju"
"""A text that is in no file by chance."""


@pytest.fixture(params=EITHER_DATABASE)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Have a place for a store, of either kind."""
    return a_place(request, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> StateLocation:
    """Have a place for a store in a state directory."""
    return StateLocation(folder=tmp_path / "state")


@pytest.fixture
def clock() -> ManualClock:
    """Have time stand still."""
    return ManualClock()


# ── opening ──


@pytest.fixture(params=DATABASES)
def nothing(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Have a place where no tables are yet."""
    if request.param == "sqlite":
        return StateLocation(folder=tmp_path)
    return StateLocation(url=SecretStr(request.getfixturevalue("postgres_database")), key=KEY)


def test_the_migrations_make_what_the_schema_says(nothing: StateLocation) -> None:
    engine = open_engine(nothing)
    with engine.begin() as connection:
        upgrade(connection)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


async def test_what_an_older_version_left_is_brought_up_to_date(
    nothing: StateLocation, clock: ManualClock
) -> None:
    engine = open_engine(nothing)
    with engine.begin() as connection:
        upgrade(connection, "0001")
        account = {"base_url": ACCOUNT.base_url, "username": ACCOUNT.username}
        connection.execute(insert(accounts).values(account | {"heard_until": NOON}))
    engine.dispose()
    async with opened(nothing, clock) as store:
        assert (await store.inbound.find_position()).until == NOON
        await store.inbound.record([said("Ja")])
        assert await store.arrivals.find_last() == 1
    assert read_rows(nothing, "SELECT version_num FROM alembic_version") == [(HEAD,)]


async def test_a_token_of_an_older_version_is_for_the_agent_of_its_name(nothing: StateLocation) -> None:
    engine = open_engine(nothing)
    with engine.begin() as connection:
        upgrade(connection, "0009")
        old = MetaData()
        old.reflect(connection)
        account = {"id": 1, "base_url": ACCOUNT.base_url, "username": ACCOUNT.username}
        connection.execute(insert(old.tables["accounts"]).values(account))
        token = {"id": "T-222222", "account_id": 1, "name": "reader", "token_hash": "h"}
        row = token | {"scopes": "read", "created_at": 0}
        connection.execute(insert(old.tables["tokens"]).values(row))
    engine.dispose()
    async with opened(nothing) as store:
        assert [each.caller.agent for each in await store.tokens.list_all()] == ["reader"]


async def test_p6_the_opt_outs_of_an_older_version_hold_for_all_accounts(
    nothing: StateLocation, clock: ManualClock
) -> None:
    """The later word of several accounts counts; what is queued, waiting or in doubt stays as it was."""
    engine, sending = open_engine(nothing), await hasher_of(nothing)
    with engine.begin() as connection:
        upgrade(connection, "0005")
        put_old_rows(connection, sending)
    engine.dispose()
    async with opened(nothing, clock) as ours, opened(nothing, clock, OTHERS) as theirs:
        for store in (ours, theirs):
            for number, opted_out in OLD_WORDS.items():
                recall = (await store.orders.find_prior(a_draft(to=Number(number)))).recall
                assert recall.opted_out is opted_out, number
                assert recall.opt_out is None or recall.opt_out.message_id is None
        assert (await ours.orders.find_prior(a_draft())).recall.is_known
        assert {each.state for each in await ours.orders.list_latest(10)} == set(OLD_ORDERS.values())
        await ours.inbound.record_webhooks([said("Nej tack", at=NOON)], [])
        assert not (await ours.orders.find_prior(a_draft())).recall.opted_out, "a question was in doubt"
    assert read_rows(nothing, "SELECT count(*) FROM opt_outs") == [(4,)]


OLD_WORDS = {
    "+46701740605": False,
    "+46701740606": True,
    "+46701740607": False,
    "+46701740608": True,
    "+46701740609": True,
}
OLD_ORDERS = {
    "O-22222221": OrderState.QUEUED,
    "O-22222222": OrderState.IN_DOUBT,
    "O-22222223": OrderState.WAITING,
}


async def hasher_of(location: StateLocation) -> Hasher:
    """Find what a place's hashes are made with."""
    return await anyio.to_thread.run_sync(find_hasher, location)


def put_old_rows(connection: Connection, hasher: Hasher) -> None:
    """Put down two accounts, their contacts and orders, as a server of version 0005 did."""
    old = MetaData()
    old.reflect(connection)
    early, late = (round(at.timestamp() * 1_000_000) for at in (NOON - DAY, NOON - MINUTE))
    for number, username in enumerate((ACCOUNT.username, OTHERS.username), 1):
        account = {"id": number, "base_url": ACCOUNT.base_url, "username": username}
        connection.execute(insert(old.tables["accounts"]).values(account))
    words = [
        (1, "+46701740605", False, None),
        (1, "+46701740606", True, early),
        (2, "+46701740606", False, None),
        (1, "+46701740607", True, early),
        (2, "+46701740607", False, late),
        (1, "+46701740608", False, early),
        (2, "+46701740608", True, late),
        (2, "+46701740609", True, None),
    ]
    for account_id, number_, opted_out, word_at in words:
        theirs = {"account_id": account_id, "number_hash": hasher.number(number_), "sent_at": early}
        row = theirs | {"opted_out": opted_out, "word_at": word_at}
        connection.execute(insert(old.tables["contacts"]).values(row))
    for order_id, state in OLD_ORDERS.items():
        order = an_old_order(order_id, state, hasher) | {"placed_at": late, "changed_at": late}
        order |= {"due_at": late + 10**10, "charged_at": late, "attempted_at": late}
        connection.execute(insert(old.tables["orders"]).values(order))
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('accounts', 'id'), 2)")


def an_old_order(order_id: str, state: OrderState, hasher: Hasher) -> dict[str, object]:
    """Make what was held of an order that asks something, but for its times."""
    return {
        "id": order_id,
        "account_id": 1,
        "state": state,
        "recipient": PHONE.e164,
        "recipient_hash": hasher.number(PHONE.e164),
        "sender": "+46701740699",
        "text": f"Kommer du? {order_id}",
        "flash": False,
        "parts": 1,
        "encoding": "GSM-7",
        "price": PRICE,
        "currency": "SEK",
        "findings": "[]",
        "approver": "policy",
        "charge": PRICE,
        "attempts": 1,
        "fault": "",
        "caller": "",
    }


async def test_tables_that_are_made_at_once_are_those_of_the_migrations(nothing: StateLocation) -> None:
    async with opened(nothing) as store:
        with engine_of(store).connect() as connection:
            context = MigrationContext.configure(connection)
            assert compare_metadata(context, metadata) == []
            assert context.get_current_revision() == HEAD


def test_the_newest_migration_is_the_one_that_is_looked_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(elks_mcp.store.db.migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


@on_both_databases
async def test_what_was_remembered_is_there_when_opened_again(location: StateLocation) -> None:
    async with opened(location) as store:
        order = await place_one(store)
    async with opened(location) as store:
        assert await store.orders.get(order.id) == order


@on_both_databases
async def test_a_database_of_a_newer_version_is_refused(location: StateLocation) -> None:
    async with opened(location):
        pass
    change_rows(location, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Misconfigured, match="newer version of elks-mcp") as caught:
        await Storage(location, ACCOUNT).open()
    assert "Update" in caught.value.hint


@on_both_databases
async def test_state_made_with_another_key_is_refused(location: StateLocation) -> None:
    async with opened(location):
        pass
    other = StateLocation(
        folder=location.folder, url=location.url, key=SecretStr("another key, and also long enough")
    )
    with pytest.raises(Misconfigured, match="another secret key"):
        await Storage(other, ACCOUNT).open()
    async with opened(location):
        pass


async def test_a_shared_database_needs_a_key_to_share(postgres_database: str) -> None:
    with pytest.raises(Misconfigured, match="ELKS_SECRET_KEY"):
        await Storage(StateLocation(url=SecretStr(postgres_database)), ACCOUNT).open()


@on_both_databases
async def test_many_who_open_at_once_make_one_database(location: StateLocation) -> None:
    storages = [Storage(location, ACCOUNT) for _ in range(5)]
    async with anyio.create_task_group() as opening:
        for storage in storages:
            opening.start_soon(storage.open)
    orders = [await place_one(await storage.open(), f"Text {n}") for n, storage in enumerate(storages)]
    assert [await (await storages[0].open()).orders.get(order.id) for order in orders] == orders
    for storage in storages:
        await storage.close()
    assert read_rows(location, "SELECT count(*) FROM accounts") == [(1,)]


async def test_nothing_is_made_before_it_is_needed(folder: StateLocation) -> None:
    storage = Storage(folder, ACCOUNT)
    assert not await storage.has_work()
    assert (storage.exists, storage.is_open) == (False, False)
    await storage.close()
    assert folder.folder
    assert not folder.folder.exists()
    await storage.open()
    assert (storage.exists, storage.is_open) == (True, True)
    await storage.close()
    assert (storage.exists, storage.is_open) == (True, False)


async def test_without_a_place_everything_is_gone_in_the_end() -> None:
    storage = Storage(StateLocation(), ACCOUNT)
    assert not storage.exists
    async with anyio.create_task_group() as placing:
        store = await storage.open()
        for number in range(20):
            placing.start_soon(place_one, store, f"Text {number}")
    assert await storage.has_work()
    await storage.close()
    assert not await storage.has_work()
    assert await (await storage.open()).queue.claim(UNPACED, allow) == Idle(None)
    await storage.close()


async def test_secrets_are_of_the_key_and_of_their_purpose(location: StateLocation) -> None:
    one, two = Storage(location, ACCOUNT), Storage(location, OTHERS)
    assert await one.secrets_for("sms") == await two.secrets_for("sms")
    assert not {*await one.secrets_for("sms")} & {*await one.secrets_for("delivery")}
    await one.close()
    await two.close()


# ── files and keys ──


def modes_in(location: StateLocation) -> dict[str, int]:
    """Say who may do what with a folder and what is in it."""
    assert location.folder
    return {
        each.name: stat.S_IMODE(each.stat().st_mode) for each in (location.folder, *location.folder.iterdir())
    }


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights")
async def test_nobody_else_may_read_the_state(folder: StateLocation) -> None:
    previous = os.umask(0)
    try:
        async with opened(folder) as store:
            await place_one(store)
            modes = modes_in(folder)
    finally:
        os.umask(previous)
    assert modes.pop("state") == 0o700
    assert {"outbox.sqlite3", "secret.key"} <= modes.keys()
    assert set(modes.values()) == {0o600}


MAKE_A_KEY = """
import sys
from pathlib import Path
from elks_mcp.store.db.hashes import find_or_make_key
sys.stdin.read(1)
print(find_or_make_key(Path(sys.argv[1])).hex())
"""


def test_racing_processes_make_one_key(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE_A_KEY, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write(".")
    keys = {racer.communicate(timeout=30)[0] for racer in racers}
    assert keys == {find_or_make_key(tmp_path).hex() + "\n"}
    assert [each.name for each in tmp_path.iterdir()] == ["secret.key"]
    assert len(bytes.fromhex((tmp_path / "secret.key").read_text())) == 32


def test_hashes_keep_different_things_apart_and_tell_no_key() -> None:
    one, other = Hasher(b"k" * 32), Hasher(b"l" * 32)
    assert one.of("key", "ab", "c") != one.of("key", "a", "bc") != one.of("text", "a", "bc")
    assert one.number(PHONE.e164) == Hasher(b"k" * 32).number(PHONE.e164) != other.number(PHONE.e164)
    assert "k" * 3 not in repr(one)


async def test_sqlite_is_set_up_to_lose_and_to_keep_nothing(folder: StateLocation) -> None:
    wanted = {
        "synchronous": 2,
        "secure_delete": 1,
        "foreign_keys": 1,
        "temp_store": 2,
        "journal_mode": "wal" if sqlite3.sqlite_version_info >= (3, 51, 3) else "delete",
    }
    async with opened(folder) as store:
        with engine_of(store).connect() as connection:
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in wanted}
    assert found == wanted


async def test_who_will_write_to_sqlite_has_the_lock_before_looking(folder: StateLocation) -> None:
    tried: list[str] = []

    def check(*_: object) -> str:
        assert folder.file
        with closing(sqlite3.connect(folder.file, timeout=0, isolation_level=None)) as another:
            another.execute("SELECT count(*) FROM orders")  # reading is not held up
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                another.execute("BEGIN IMMEDIATE")
            tried.append("both")
        return ""

    async with opened(folder) as store:
        await store.orders.place(an_approval(a_draft()), check)
    assert tried == ["both"]


async def test_postgres_is_asked_to_lose_nothing(postgres_database: str) -> None:
    async with opened(StateLocation(url=SecretStr(postgres_database), key=KEY)) as store:
        with engine_of(store).connect() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "10s"


# ── what cannot be used ──


def everything_said(error: BaseException) -> str:
    """Put together all that could land in a log or an answer."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(getattr(error, "hint", ""))


async def unavailable(work: Awaitable[object], kind: type[ElksError] = StateUnavailable) -> str:
    """Expect something to fail for want of the database; return its words."""
    with pytest.raises(kind) as caught:
        await work
    said = everything_said(caught.value)
    assert EVENING not in said
    assert PHONE.e164 not in said
    assert "hunter2" not in said
    return str(caught.value)


async def test_a_file_that_is_no_database_is_not_used(folder: StateLocation) -> None:
    assert folder.file
    assert folder.folder
    folder.folder.mkdir()
    folder.file.write_bytes(b"This is not a database. " * 400)
    assert "its file is damaged" in await unavailable(Storage(folder, ACCOUNT).open())
    assert has_work(folder.file, ACCOUNT)  # somebody has to look, and will say this


async def test_a_file_that_was_damaged_is_not_used(folder: StateLocation) -> None:
    assert folder.file
    async with opened(folder) as store:
        for number in range(30):
            await place_one(store, f"{EVENING}, nummer {number}")
    content = bytearray(folder.file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    folder.file.write_bytes(content)
    words = await unavailable(Storage(folder, ACCOUNT).open())
    assert "its file is damaged" in words


async def test_a_folder_that_is_none_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = await unavailable(Storage(StateLocation(folder=tmp_path / "file" / "state"), ACCOUNT).open())
    assert "cannot be used" in words
    words = await unavailable(
        Storage(StateLocation(folder=tmp_path / "file" / "state", key=KEY), ACCOUNT).open()
    )
    assert "cannot be used" in words


USE_AS_NOBODY = """
import asyncio, os, sys
from pathlib import Path
from elks_mcp.store import Account, Place, Storage
import elks_mcp.store.store
from elks_mcp.errors import StateUnavailable
from tests.support.stores import a_draft, an_approval, allow

async def use():
    if os.geteuid() == 0:
        os.seteuid(65534)
    storage = Storage(Place(folder=Path(sys.argv[1])), Account("http://localhost/a1", "u1"))
    try:
        store = await storage.open()
        await store.book.place(an_approval(a_draft()), allow)
    except StateUnavailable as error:
        print(error)
    await storage.close()

asyncio.run(use())
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights")
@pytest.mark.parametrize("read_only", ["folder", "file"])
async def test_a_place_that_may_not_be_written_to_is_not_used(tmp_path: Path, read_only: str) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    if read_only == "file":
        async with opened(StateLocation(folder=folder)):
            pass
        for each in folder.iterdir():
            each.chmod(0o444)
    else:
        folder.chmod(0o555)
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    if os.geteuid() == 0:  # the program below runs as nobody, and takes no state of another user's
        for each in (folder, *folder.iterdir()):
            os.chown(each, 65534, -1)
    program = [sys.executable, "-c", USE_AS_NOBODY, str(folder)]
    ended = await anyio.run_process(program, cwd=Path(__file__).parents[2], stderr=None)
    folder.chmod(0o777)
    why = "Permission denied|it may not be written to|this user may not read or write it"
    assert re.search(f"cannot be used: ({why})", ended.stdout.decode())


async def test_a_full_disk_is_called_that_and_the_text_is_not_said(folder: StateLocation) -> None:
    async with opened(folder) as store:
        with engine_of(store).connect() as connection:  # there is only this one
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        words = await unavailable(place_one(store, EVENING * 1000))
        assert "the disk is full" in words
        assert not is_unfinished(folder)


async def test_a_database_that_others_keep_busy_is_waited_for_and_then_not_used(
    folder: StateLocation,
) -> None:
    async with opened(folder) as store:
        with engine_of(store).connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 50")
        assert folder.file
        with closing(sqlite3.connect(folder.file, isolation_level=None)) as another:
            another.execute("BEGIN EXCLUSIVE")
            words = await unavailable(place_one(store, EVENING))
            another.execute("ROLLBACK")
        assert "other processes kept it busy too long" in words
        await place_one(store, EVENING)


@pytest.mark.parametrize(
    "url",
    ["postgresql://elks:hunter2@/elks?host=/nowhere", "postgresql://elks:hunter2@localhost:1/elks"],
)
async def test_a_server_that_is_not_there_is_not_used_and_its_password_not_said(url: str) -> None:
    await unavailable(Storage(StateLocation(url=SecretStr(url), key=KEY), ACCOUNT).open())


@pytest.mark.parametrize("url", ["postgresql://elks:hunter2@localhost:port/elks", "elks:hunter2"])
async def test_an_address_that_is_none_is_not_said(url: str) -> None:
    words = await unavailable(
        Storage(StateLocation(url=SecretStr(url), key=KEY), ACCOUNT).open(), Misconfigured
    )
    assert "ELKS_DATABASE_URL cannot be read" in words


async def test_a_place_shows_no_secrets() -> None:
    location = StateLocation(url=SecretStr("postgresql://elks:hunter2@localhost/elks"), key=KEY)
    assert "hunter2" not in repr(location)
    assert KEY.get_secret_value() not in repr(location)


KILL_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def test_connections_that_died_idle_are_made_anew(postgres_database: str) -> None:
    location = StateLocation(url=SecretStr(postgres_database), key=KEY)
    async with opened(location) as store:
        await place_one(store)
        with psycopg.connect(postgres_database) as other:
            assert other.execute(KILL_OTHERS).fetchall() == [(True,)]
        again = await place_one(store, "Once more")
        assert await store.orders.get(again.id) == again


async def test_a_connection_that_dies_halfway_leaves_nothing_done(postgres_database: str) -> None:
    location = StateLocation(url=SecretStr(postgres_database), key=KEY)

    def die(*_: object) -> str:
        with psycopg.connect(postgres_database) as other:
            other.execute(KILL_OTHERS)
        return ""

    async with opened(location) as store:
        await unavailable(store.orders.place(an_approval(a_draft(EVENING)), die))
        assert not is_unfinished(location)


# ── accounts ──


@on_both_databases
async def test_accounts_do_not_see_each_other(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as ours, opened(location, clock, OTHERS) as theirs:
        waiting = await wait_one(ours, "Waiting", key="a key")
        await OrderAdmin(ours.database).approve(waiting.id)
        claim = await claim_new(ours, "Sent", key="another key")
        await ours.queue.settle_sent(claim, a_receipt("s1"))
        await place_one(ours, "Queued")
        await ours.inbound.record([said("STOP", by=OTHER_PHONE)], until=NOON)
        await ours.queue.pause(PauseReason.NO_FUNDS, MINUTE)

        assert await things_to_do(theirs) == (set(), None)
        assert await theirs.queue.claim(UNPACED, allow) == Idle(None)
        assert await theirs.queue.find_pause() is None
        assert await theirs.orders.release_approved(allow) == []
        assert await theirs.orders.find("s1") is None
        for number in (waiting.id, waiting.approval, claim.order_id):
            with pytest.raises(NotFound):
                await theirs.orders.get(number or "")
        with pytest.raises(NotFound):
            await theirs.orders.cancel(waiting.id, "Not theirs.")
        with pytest.raises(NotFound):
            await theirs.orders.approve(waiting.id, allow)
        report = Report(message_id="s1", status="delivered", order_id=waiting.id)
        assert await theirs.inbound.record_webhooks((), [report]) == [report]
        recall = (await theirs.orders.find_prior(a_draft("Sent"))).recall
        assert (recall.spent, recall.is_known, recall.repeated) == (0, False, None)
        assert (await theirs.orders.find_prior(a_draft(to=OTHER_PHONE))).recall.opted_out, (
            "which holds for all"
        )
        assert (await theirs.inbound.find_position()).until is None

        mine = await claim_new(theirs, "Other words for another account", key="another key")
        await theirs.queue.settle_sent(mine, a_receipt("s1"))
        assert (await theirs.orders.get(mine.order_id)).state is OrderState.SENT
        assert (await ours.orders.find("s1")).id == claim.order_id  # type: ignore[union-attr]


# ── placing ──


@on_both_databases
async def test_an_order_comes_back_as_it_was_placed(location: StateLocation, clock: ManualClock) -> None:
    draft = a_draft("Åäö €[] 👋", flash=True, key="k1").model_copy(update={"sender": SenderId("Klara")})
    approval = an_approval(draft)
    finding = Finding(guard="night", effect=Effect.WARN, reason="It is night.")
    approval = Approval(
        quote=approval.quote.model_copy(update={"findings": (finding,)}), approver=Approver.POLICY
    )
    async with opened(location, clock) as store:
        placed = await store.orders.place(approval, allow)
        order = await store.orders.get(placed.order.id)
    assert placed == Placed(order, is_repeat=False)
    assert re.fullmatch("O-[2-9A-HJKMNP-Z]{8}", order.id)
    assert (order.state, order.to, order.sender, order.text, order.flash) == (
        OrderState.QUEUED,
        PHONE,
        SenderId("Klara"),
        "Åäö €[] 👋",
        True,
    )
    assert (order.price, order.parts, order.encoding) == (
        Money(PRICE, "SEK"),
        1,
        approval.quote.size.encoding,
    )
    assert (order.findings, order.approver, order.approval) == ((finding,), Approver.POLICY, None)
    assert (order.placed_at, order.changed_at, order.not_before) == (NOON, NOON, None)
    assert (order.attempts, order.receipt, order.fault) == (0, None, "")
    assert order.is_moving


Way = Callable[[Store], Awaitable[Order]]


async def _queued(store: Store) -> Order:
    return await place_one(store, EVENING)


async def _waiting(store: Store) -> Order:
    return await wait_one(store, EVENING)


async def _sending(store: Store) -> Order:
    return await store.orders.get((await claim_new(store, EVENING)).order_id)


async def _in_doubt(store: Store) -> Order:
    claim = await claim_new(store, EVENING)
    await store.queue.settle_doubt(claim, "No answer.")
    return await store.orders.get(claim.order_id)


async def _unknown(store: Store) -> Order:
    order = await _in_doubt(store)
    for seconds in (120, 240):
        read_at = order.changed_at + seconds * SECOND
        history = [a_message(EVENING, at=order.changed_at), a_message(EVENING, at=order.changed_at)]
        await store.doubts.conclude(history, read_at=read_at, quiet=QUIET, skew=NONE)
    return await store.orders.get(order.id)


async def _sent(store: Store) -> Order:
    claim = await claim_new(store, EVENING)
    await store.queue.settle_sent(claim, a_receipt(f"s{claim.order_id}"))
    return await store.orders.get(claim.order_id)


async def _delivered(store: Store) -> Order:
    order = await _sent(store)
    assert (
        await store.inbound.record_webhooks((), [Report(message_id=f"s{order.id}", status="delivered")]) == []
    )
    return await store.orders.get(order.id)


async def _failed(store: Store) -> Order:
    order = await _sent(store)
    assert await store.inbound.record_webhooks((), [Report(message_id=f"s{order.id}", status="failed")]) == []
    return await store.orders.get(order.id)


async def _rejected(store: Store) -> Order:
    claim = await claim_new(store, EVENING)
    await store.queue.settle_rejected(claim, "46elks said no.")
    return await store.orders.get(claim.order_id)


async def _cancelled(store: Store) -> Order:
    return await store.orders.cancel((await place_one(store, EVENING)).id, "Not wanted any more.")


async def _expired(store: Store) -> Order:
    order = await place_one(store, EVENING)
    change_rows(store_place(store), "UPDATE orders SET placed_at = 0 WHERE id = ?", order.id)
    assert await store.queue.claim(UNPACED, allow) == Idle(None)
    return await store.orders.get(order.id)


def store_place(store: Store) -> StateLocation:
    """Find out where a store is."""
    url = engine_of(store).url
    if url.get_backend_name() == "sqlite":
        return StateLocation(folder=Path(url.database or "").parent)
    return StateLocation(
        url=SecretStr(url.set(drivername="postgresql").render_as_string(hide_password=False))
    )


WAYS: dict[OrderState, Way] = {
    OrderState.WAITING: _waiting,
    OrderState.QUEUED: _queued,
    OrderState.SENDING: _sending,
    OrderState.IN_DOUBT: _in_doubt,
    OrderState.UNKNOWN: _unknown,
    OrderState.SENT: _sent,
    OrderState.DELIVERED: _delivered,
    OrderState.FAILED: _failed,
    OrderState.REJECTED: _rejected,
    OrderState.CANCELLED: _cancelled,
    OrderState.EXPIRED: _expired,
}
FORGETS = {OrderState.REJECTED, OrderState.FAILED, OrderState.CANCELLED, OrderState.EXPIRED}
"""After these the same text is a new one."""
BEYOND_WAITING = [state for state in OrderState if state is not OrderState.WAITING]


@on_both_databases
async def test_the_same_text_again_is_the_same_order_unless_it_came_to_nothing(
    location: StateLocation, clock: ManualClock
) -> None:
    for state in BEYOND_WAITING:
        async with opened(location, clock, account_of(state)) as store:
            first = await WAYS[state](store)
            assert first.state is state
            again = await store.orders.place(an_approval(a_draft(EVENING)), allow)
            assert again.is_repeat is (state not in FORGETS)
            assert (again.order.id == first.id) is again.is_repeat
            if again.is_repeat:
                assert (await store.orders.find_prior(a_draft(EVENING))).repeated == again.order
                assert (await store.orders.find_prior(a_draft(EVENING))).recall.repeated == first.id


async def test_after_a_quarter_of_an_hour_it_is_a_new_one_unless_it_is_still_on_its_way(
    location: StateLocation, clock: ManualClock
) -> None:
    for state in [each for each in BEYOND_WAITING if each not in FORGETS]:
        async with opened(location, clock, account_of(state)) as store:
            first = await WAYS[state](store)
            clock.advance(15 * MINUTE)
            again = await store.orders.place(an_approval(a_draft(EVENING)), allow)
            still = state in {OrderState.QUEUED, OrderState.SENDING, OrderState.IN_DOUBT}
            assert (again.is_repeat, again.order.id == first.id) == (still, still), state


async def test_only_the_same_sender_number_and_text_are_a_repeat(location: StateLocation) -> None:
    async with opened(location) as store:
        await place_one(store, "Hej!")
        for other in (
            a_draft("Hej"),
            a_draft("Hej!", to=OTHER_PHONE),
            a_draft("Hej!").model_copy(update={"sender": SenderId("Klara")}),
            a_draft("Hej!", key="another message"),
        ):
            assert (await store.orders.find_prior(other)).repeated is None
            assert not (await store.orders.place(an_approval(other), allow)).is_repeat


async def test_repeats_are_new_where_the_operator_wants_it(location: StateLocation) -> None:
    async with opened(location) as store:
        first = await place_one(store)
        second = await store.orders.place(an_approval(a_draft()), allow, dedupe=False)
        assert not second.is_repeat
        assert second.order.id != first.id
        assert (await store.orders.find_prior(a_draft(), dedupe=False)).repeated is None


async def test_a_key_names_one_order_for_good(location: StateLocation, clock: ManualClock) -> None:
    for state in BEYOND_WAITING:
        async with opened(location, clock, account_of(state)) as store:
            order = await WAYS[state](store)
            hashed = store.database.hasher.of("key", "the key")
            change_rows(location, "UPDATE orders SET key_hash = ? WHERE id = ?", hashed, order.id)
            clock.advance(DAY)
            again = await store.orders.place(an_approval(a_draft(EVENING, key="the key")), allow)
            assert again == Placed(order, is_repeat=True)


async def test_a_key_used_for_something_else_is_an_error_that_names_what_differs(
    location: StateLocation,
) -> None:
    async with opened(location) as store:
        await place_one(store, EVENING, key="k")
        other = a_draft("Other words", to=OTHER_PHONE, key="k", flash=True)
        other = other.model_copy(update={"sender": SenderId("Klara")})
        with pytest.raises(InvalidInput, match="another to, message, from, flashsms") as caught:
            await store.orders.place(an_approval(other), allow)
        assert EVENING not in caught.value.explain()
        with pytest.raises(InvalidInput, match=r"another flashsms\."):
            await store.orders.find_prior(a_draft(EVENING, key="k", flash=True))


async def test_a_guard_that_minds_leaves_nothing_behind(location: StateLocation) -> None:
    async with opened(location) as store:
        with pytest.raises(Refused, match="0 is spent"):
            await store.orders.place(an_approval(a_draft()), within(PRICE - 1))
        assert not is_unfinished(location)
        assert (await store.orders.find_prior(a_draft())).recall.spent == 0


@on_both_databases
async def test_a_budget_holds_for_what_is_reserved_and_what_was_charged(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        for number in range(3):
            await store.orders.place(an_approval(a_draft(f"Text {number}")), within(3 * PRICE))
        with pytest.raises(Refused):
            await store.orders.place(an_approval(a_draft("One too many")), within(3 * PRICE))
        cheap, rejected, unknown = [await claim_one(store) for _ in range(3)]
        await store.queue.settle_sent(cheap, a_receipt(cost=PRICE // 2))
        await store.queue.settle_rejected(rejected, "No.")
        await store.queue.settle_doubt(unknown, "No answer.")
        clock.advance(LONGEST + SECOND)
        await store.doubts.conclude(None, read_at=clock.now(), quiet=QUIET, skew=NONE)
        assert (await store.orders.get(unknown.order_id)).state is OrderState.UNKNOWN
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE + PRICE // 2
        clock.advance(DAY)
        assert (await store.orders.find_prior(a_draft())).recall.spent == 0


# ── waiting for a person ──


async def test_what_a_person_has_to_agree_to_waits_and_costs_nothing_yet(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store, EVENING, key="k")
        assert order.state is OrderState.WAITING
        assert re.fullmatch("A-[2-9A-HJKMNP-Z]{4}", order.approval or "")
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        assert (await store.orders.find_prior(a_draft())).recall.spent == 0
        assert await store.orders.get(order.approval or "") == order
        assert (await store.orders.find_prior(a_draft(EVENING, key="k"))).waiting == order
        assert (await store.orders.find_prior(a_draft(EVENING, key="k"))).repeated is None
        asked_again = await store.orders.place(an_approval(a_draft(EVENING, key="k"), Approver.PERSON), allow)
        assert asked_again == Placed(order, is_repeat=False)
        assert (await store.orders.find_prior(a_draft(EVENING, key="other"))).waiting is None
        with pytest.raises(InvalidInput, match="with another flashsms"):
            await store.orders.find_prior(a_draft(EVENING, key="k", flash=True))
        unkeyed = await wait_one(store, EVENING)
        assert (await store.orders.find_prior(a_draft(EVENING))).waiting == unkeyed
        assert (await store.orders.find_prior(a_draft(EVENING, flash=True))).waiting is None


@on_both_databases
async def test_a_yes_lets_an_order_go_once(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store)
        clock.advance(MINUTE)
        released = await store.orders.approve(order.id, allow)
        assert (released.is_repeat, released.order.state) == (False, OrderState.QUEUED)
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE
        assert await store.orders.approve(order.id, allow) == Placed(released.order, is_repeat=True)
        claim = await claim_one(store)
        await store.queue.settle_sent(claim, a_receipt())
        replayed = await store.orders.approve(order.approval or "", allow)
        assert (replayed.is_repeat, replayed.order.state) == (True, OrderState.SENT)
        assert await store.queue.claim(UNPACED, allow) == Idle(None)


async def test_a_yes_does_not_outweigh_what_happened_since(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store, EVENING)
        await store.inbound.record([said("STOP")])
        placed = await store.orders.approve(order.id, unless_opted_out)
        assert (placed.order.state, placed.order.fault) == (OrderState.CANCELLED, "They said STOP.")
        assert placed.order.text is None
        assert not placed.is_repeat
        assert not (await store.orders.approve(order.id, allow)).is_repeat


async def test_a_late_yes_is_too_late(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store, EVENING, key="k")
        clock.advance(KEPT_WAITING_FOR_YES - SECOND)
        assert (await store.orders.find_prior(a_draft(EVENING, key="k"))).waiting == order
        assert not (await store.queue.find_due_work()).approved
        clock.advance(SECOND)
        assert (await store.orders.find_prior(a_draft(EVENING, key="k"))).waiting is None
        assert (await store.queue.find_due_work()).overdue
        placed = await store.orders.approve(order.id, allow)
        assert (placed.order.state, placed.order.text) == (OrderState.EXPIRED, None)
        assert "Nobody agreed in time" in placed.order.fault
        again = await store.orders.place(an_approval(a_draft(EVENING, key="k")), allow)
        assert not again.is_repeat  # the key led nowhere


@on_both_databases
async def test_what_was_approved_in_a_terminal_is_found_and_let_go(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        one, two, three = [await wait_one(store, f"Text {number}") for number in range(3)]
        assert await store.orders.release_approved(allow) == []
        await OrderAdmin(store.database).approve(one.id)
        await OrderAdmin(store.database).approve(two.id)
        assert (await store.queue.find_due_work()).approved
        released = await store.orders.release_approved(within(PRICE))
        assert sorted((order.id, order.state) for order in released) == sorted(
            [(released[0].id, OrderState.QUEUED), (released[1].id, OrderState.CANCELLED)]
        )
        assert {order.id for order in released} == {one.id, two.id}
        assert await store.orders.release_approved(allow) == []
        assert (await store.orders.get(three.id)).state is OrderState.WAITING


async def test_a_server_that_comes_too_late_says_that_it_was_not_running(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store)
        await OrderAdmin(store.database).approve(order.id)
        clock.advance(KEPT_WAITING_TO_GO)
        assert await store.orders.release_approved(allow) == []
        assert "No server ran to send it in time" in (await store.orders.get(order.id)).fault


@pytest.mark.parametrize("key", [None, "k"], ids=["no key", "a key"])
async def test_what_needs_nobody_any_more_goes_out_once_though_the_same_waits(
    location: StateLocation, clock: ManualClock, key: str | None
) -> None:
    async with opened(location, clock) as store:
        waiting = await wait_one(store, EVENING, key=key)
        placed = await store.orders.place(an_approval(a_draft(EVENING, key=key)), allow)
        assert placed.order.state is OrderState.QUEUED
        await store.orders.approve(waiting.id, allow)
        claim = await claim_one(store)
        await store.queue.settle_sent(claim, a_receipt())
        assert await store.queue.claim(UNPACED, allow) == Idle(None)


@on_both_databases
async def test_approvals_have_numbers_of_their_own(location: StateLocation) -> None:
    async with opened(location) as store, opened(location, None, OTHERS) as theirs:
        ours = [await wait_one(store, f"Text {number}") for number in range(20)]
        others = [await wait_one(theirs, f"Text {number}") for number in range(20)]
    numbers = [order.approval for order in (*ours, *others)]
    assert len(set(numbers)) == 40
    assert not set("01OILU") & set("".join(number[2:] for number in numbers if number)) - {"L", "U"}


async def test_only_what_is_not_on_the_wire_can_be_cancelled(
    location: StateLocation, clock: ManualClock
) -> None:
    for state in OrderState:
        async with opened(location, clock, account_of(state)) as store:
            order = await WAYS[state](store)
            cancelled = await store.orders.cancel(order.id, "Not wanted.")
            if state in {OrderState.WAITING, OrderState.QUEUED}:
                ended = (OrderState.CANCELLED, "Not wanted.", None)
                assert (cancelled.state, cancelled.fault, cancelled.text) == ended
                assert (await store.orders.find_prior(a_draft())).recall.spent == 0
            else:
                assert cancelled == order


async def test_what_is_not_there_is_said_to_be_missing(location: StateLocation) -> None:
    async with opened(location) as store:
        for question in (store.orders.get("O-22222222"), store.orders.cancel("O-22222222", "")):
            with pytest.raises(NotFound):
                await question
        assert await store.orders.find("s1") is None
        assert await store.queue.estimate("O-22222222", UNPACED) is None


# ── texts ──


SETTLED = [
    OrderState.SENT,
    OrderState.DELIVERED,
    OrderState.FAILED,
    OrderState.REJECTED,
    OrderState.CANCELLED,
    OrderState.EXPIRED,
]


async def test_a_text_is_gone_once_its_order_is_settled(location: StateLocation, clock: ManualClock) -> None:
    for state in SETTLED:
        async with opened(location, clock, account_of(state)) as store:
            assert (await WAYS[state](store)).text is None
        assert read_rows(location, "SELECT id FROM orders WHERE text IS NOT NULL") == []
        if location.folder:
            assert files_with(location.folder, "middagen") == []
    for state in [each for each in OrderState if each not in SETTLED]:
        async with opened(location, clock, account_of(state)) as store:
            assert (await WAYS[state](store)).text == EVENING
    if location.folder:
        assert files_with(location.folder, "middagen") == ["outbox.sqlite3"]


async def test_a_long_text_is_gone_from_every_page(folder: StateLocation) -> None:
    assert folder.folder
    async with opened(folder) as store:
        for number in range(5):
            await place_one(store, f"{number} {EVENING * 300}")
        for _ in range(5):
            await store.queue.settle_sent(await claim_one(store), a_receipt())
    assert files_with(folder.folder, "middagen") == []
    assert read_rows(folder, "PRAGMA integrity_check") == [("ok",)]


DIE = """
import asyncio, os, sys
from pathlib import Path
from sqlalchemy import event
from elks_mcp.store import Place
from tests.support.stores import *

text, step = sys.argv[2], sys.argv[3]

async def live():
    async with opened(Place(folder=Path(sys.argv[1]))) as store:
        engine = engine_of(store)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA cache_size = 1")  # so that the file is written early
            connection.exec_driver_sql("PRAGMA cache_spill = 1")
        if step == "place":
            event.listen(engine, "commit", lambda _: os._exit(9))
            await place_one(store, text * 10000)
        claim = await claim_new(store, text * 300)
        event.listen(engine, "commit", lambda _: os._exit(9))
        await store.queue.settle_sent(claim, a_receipt())

asyncio.run(live())
"""


def die_halfway(location: StateLocation, step: str) -> None:
    """Let a process die with a transaction half done."""
    ended = subprocess.run(
        [sys.executable, "-c", DIE, str(location.folder), EVENING, step],
        cwd=Path(__file__).parents[2],
        check=False,
        timeout=60,
    )
    assert ended.returncode == 9


async def test_of_a_text_that_was_half_placed_when_we_died_the_next_look_leaves_nothing(
    folder: StateLocation,
) -> None:
    die_halfway(folder, "place")
    assert folder.folder
    assert files_with(folder.folder, "middagen") != []  # or this proves nothing
    assert not await Storage(folder, ACCOUNT).has_work()
    assert files_with(folder.folder, "middagen") == []
    assert not list(folder.folder.glob("*-*"))


async def test_of_a_text_that_was_half_settled_when_we_died_nothing_is_left_in_the_end(
    folder: StateLocation,
) -> None:
    die_halfway(folder, "settle")
    assert folder.folder
    assert list(folder.folder.glob("*-*"))
    assert await Storage(folder, ACCOUNT).has_work()
    async with opened(folder) as store:
        [(order_id,)] = read_rows(folder, "SELECT id FROM orders")
        assert (await store.orders.get(order_id)).state is OrderState.SENDING
        assert (
            await store.inbound.record_webhooks(
                (), [Report(message_id="s1", status="sent", order_id=order_id)]
            )
            == []
        )
    assert files_with(folder.folder, "middagen") == []


@on_both_databases
async def test_a_text_stays_as_many_days_as_the_operator_wants(
    location: StateLocation, clock: ManualClock
) -> None:
    keeping = StateLocation(folder=location.folder, url=location.url, key=location.key, retention=7 * DAY)
    for state in SETTLED:
        async with opened(keeping, clock, account_of(state)) as store:
            order = await WAYS[state](store)
            assert order.text == EVENING
            clock.advance(7 * DAY - SECOND)
            await store.cleanup.delete_expired()
            assert (await store.orders.get(order.id)).text == EVENING
            clock.advance(SECOND)
            await store.cleanup.delete_expired()
            assert (await store.orders.get(order.id)).text is None
    if location.folder:
        assert files_with(location.folder, "middagen") == []


async def test_kept_texts_go_when_the_operator_wants_them_kept_no_longer(
    location: StateLocation, clock: ManualClock
) -> None:
    keeping = StateLocation(folder=location.folder, url=location.url, key=location.key, retention=7 * DAY)
    async with opened(keeping, clock) as store:
        order = await _sent(store)
    async with opened(location, clock) as store:
        assert (await store.orders.get(order.id)).text is None


async def test_what_an_unknown_order_said_can_be_seen_for_a_week(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await _unknown(store)
        clock.advance(UNKNOWN_TEXT_KEPT)
        await store.cleanup.delete_expired()
        assert (await store.orders.get(order.id)).text == EVENING
        clock.advance(SECOND)
        await store.cleanup.delete_expired()
        order = await store.orders.get(order.id)
        assert (order.text, order.state) == (None, OrderState.UNKNOWN)


@on_both_databases
async def test_after_ninety_days_what_is_finished_is_forgotten(
    location: StateLocation, clock: ManualClock
) -> None:
    for state in OrderState:
        async with opened(location, clock, account_of(state)) as store:
            order = await WAYS[state](store)
            clock.advance(ROWS_KEPT)
            await store.cleanup.delete_expired()
            assert (await store.orders.get(order.id)).id == order.id
            clock.advance(SECOND)
            await store.cleanup.delete_expired()
            if state in UNFINISHED:
                assert (await store.orders.get(order.id)).id == order.id  # one that waited has just expired
            else:
                with pytest.raises(NotFound):
                    await store.orders.get(order.id)


@on_both_databases
async def test_words_that_were_shown_taint_what_goes_to_others_for_half_an_hour(
    location: StateLocation, clock: ManualClock
) -> None:
    async def taints(store: Store, to: Number, caller: str = "anna") -> bool:
        draft = a_draft(to=to).model_copy(update={"caller": caller})
        recalled, looked_back = await store.orders.recall(draft), await store.orders.find_prior(draft)
        assert recalled.taint == looked_back.recall.taint
        return recalled.taint is not None

    def shown(*senders: str) -> list[ShownText]:
        return [ShownText(sender, clock.now(), NOON) for sender in senders]

    async with (
        opened(location, clock) as store,
        opened(location, clock, account_of(OrderState.SENT)) as others,
    ):
        await store.taint.record("anna", shown(PHONE.e164))
        clock.advance(TAINT_LASTS - SECOND)
        assert await taints(store, OTHER_PHONE)
        assert not await taints(store, PHONE)
        assert not await taints(store, OTHER_PHONE, caller="bo")
        assert not await taints(others, OTHER_PHONE)
        clock.advance(SECOND)
        assert not await taints(store, OTHER_PHONE)
        await store.taint.record("anna", shown(PHONE.e164, "Skatte"))
        assert await taints(store, PHONE)  # a name is a stranger to everybody
        clock.advance(timedelta(days=1))
        await store.cleanup.delete_expired()
        assert read_rows(location, "select count(*) from shown") == [(2,)]
        clock.advance(SECOND)
        await store.cleanup.delete_expired()
        assert read_rows(location, "select count(*) from shown") == [(0,)]


async def test_upkeep_ends_what_waited_too_long(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store, EVENING)
    clock.advance(KEPT_WAITING_FOR_YES)
    async with opened(location, clock) as store:
        order = await store.orders.get(order.id)
        assert (order.state, order.text) == (OrderState.EXPIRED, None)


# ── peeking ──


async def test_a_peek_sees_whether_a_server_is_needed(folder: StateLocation) -> None:
    assert folder.file
    for state in OrderState:
        account = account_of(state)
        async with opened(folder, account=account) as store:
            assert (await WAYS[state](store)).state is state
        needed = state in {*UNFINISHED, OrderState.UNKNOWN}  # whose text is thrown away after a week
        assert has_work(folder.file, account) is needed
        assert await Storage(folder, account).has_work() is needed
        assert not has_work(folder.file, AccountKey("http://localhost/other", account.username))
    assert not has_work(folder.file, OTHERS)


async def test_a_shared_database_is_always_worth_opening() -> None:
    nowhere = StateLocation(url=SecretStr("postgresql://localhost/none"), key=KEY)
    assert await Storage(nowhere, ACCOUNT).has_work()


def test_a_peek_loads_nothing_that_takes_long() -> None:
    look = "import sys, elks_mcp.store; print('sqlalchemy' in sys.modules, 'alembic' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]


# ── the queue ──


async def test_the_first_to_come_is_the_first_to_go(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        placed = []
        for number in range(4):
            placed.append((await place_one(store, f"Text {number}")).id)
            clock.advance(SECOND)
        assert [(await claim_one(store)).order_id for _ in placed] == placed
        assert await store.queue.claim(UNPACED, allow) == Idle(None)


async def test_a_claim_holds_what_is_to_be_sent(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING, flash=True)
        assert claim.draft == a_draft(EVENING, flash=True)
        assert (claim.attempt, claim.currency, claim.wait) == (1, "SEK", NONE)
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.attempts) == (OrderState.SENDING, 1)


@on_both_databases
async def test_only_the_orders_named_are_claimed_where_some_are_named(location: StateLocation) -> None:
    async with opened(location) as store:
        one, two = await place_one(store, "One"), await place_one(store, "Two")
        claim = await claim_next(store.queue, UNPACED, allow, only={two.id})
        assert isinstance(claim, Claim)
        assert claim.order_id == two.id
        assert await store.queue.claim(UNPACED, allow, only={two.id}) == Idle(None)
        assert await store.queue.claim(UNPACED, allow, only=set()) == Idle(None)
        assert (await claim_one(store)).order_id == one.id


@on_both_databases
async def test_slots_come_at_the_pace_agreed(location: StateLocation, clock: ManualClock) -> None:
    pace = Pace(gap=2 * SECOND, lease=15 * SECOND)
    async with opened(location, clock) as store:
        for number in range(3):
            await place_one(store, f"Text {number}")
        assert (await claim_one(store, pace)).wait == NONE
        assert await store.queue.claim(pace, allow) == Idle(2 * SECOND)
        clock.advance(1.5 * SECOND)
        assert await store.queue.claim(pace, allow) == Idle(0.5 * SECOND)
        clock.advance(0.5 * SECOND)
        await claim_one(store, pace)
        clock.advance(MINUTE)  # what was not used is not made up for
        await claim_one(store, pace)
        assert await store.queue.claim(pace, allow) == Idle(2 * SECOND)


@on_both_databases
async def test_a_clock_put_back_holds_nobody_up_for_long(location: StateLocation, clock: ManualClock) -> None:
    pace = Pace(gap=2 * SECOND, lease=15 * SECOND)
    async with opened(location, clock) as store:
        await place_one(store, "One")
        await claim_one(store, pace)
    back = ManualClock(NOON - DAY)
    async with opened(location, back) as store:
        await place_one(store, "Two")
        assert await store.queue.claim(pace, allow) == Idle(2 * SECOND)
        back.advance(2 * SECOND)
        assert (await claim_one(store, pace)).wait == NONE


async def test_slots_may_be_taken_ahead_of_time(location: StateLocation, clock: ManualClock) -> None:
    pace = Pace(gap=2 * SECOND, lease=15 * SECOND, ahead=3 * SECOND)
    async with opened(location, clock) as store:
        for number in range(3):
            await place_one(store, f"Text {number}")
        assert [(await claim_one(store, pace)).wait for _ in range(2)] == [NONE, 2 * SECOND]
        assert await store.queue.claim(pace, allow) == Idle(4 * SECOND)


AT_ONCE = Pace(gap=2 * SECOND, lease=15 * SECOND)


@on_both_databases
async def test_an_order_is_claimed_as_it_is_placed_if_nothing_is_in_its_way(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order, is_repeat, claim = await store.orders.place(an_approval(a_draft()), allow, pace=AT_ONCE)
        assert claim
        assert (order.state, order.attempts, is_repeat) == (OrderState.SENDING, 1, False)
        assert (claim.order_id, claim.attempt, claim.draft, claim.wait) == (order.id, 1, a_draft(), NONE)
        assert await store.orders.get(order.id) == order
        assert await store.queue.may_send(claim)
        assert await store.queue.claim(AT_ONCE, allow) == Idle(2 * SECOND), "its slot is taken"
        again = await store.orders.place(an_approval(a_draft()), allow, pace=AT_ONCE)
        assert again == Placed(order, is_repeat=True), "who asks again may not send it too"
        clock.advance(14 * SECOND)
        assert not (await store.queue.find_due_work()).lapsed
        clock.advance(SECOND)
        assert (await store.queue.find_due_work()).lapsed


async def _something_is_before_it(store: Store) -> None:
    await place_one(store, "Before it")


async def _a_slot_is_taken(store: Store) -> None:
    await place_one(store, "Before it")
    await claim_one(store, AT_ONCE)


async def _a_pause(store: Store) -> None:
    await store.queue.pause(PauseReason.NO_FUNDS, SECOND)


@pytest.mark.parametrize("prepare", [_something_is_before_it, _a_slot_is_taken, _a_pause])
async def test_an_order_whose_turn_has_not_come_is_only_queued(
    location: StateLocation, clock: ManualClock, prepare: Callable[[Store], Awaitable[None]]
) -> None:
    async with opened(location, clock) as store:
        await prepare(store)
        placed = await store.orders.place(an_approval(a_draft()), allow, pace=AT_ONCE)
        assert placed.claim is None
        assert placed.order.state is OrderState.QUEUED
        assert await store.orders.get(placed.order.id) == placed.order


async def test_an_order_that_a_person_has_to_agree_to_is_not_claimed(location: StateLocation) -> None:
    async with opened(location) as store:
        approval = an_approval(a_draft(), Approver.TERMINAL)
        placed = await store.orders.place(approval, allow, pace=UNPACED)
        assert (placed.order.state, placed.claim) == (OrderState.WAITING, None)


async def test_an_order_that_is_refused_takes_nobodys_slot(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        with pytest.raises(Refused):
            await store.orders.place(an_approval(a_draft()), within(PRICE - 1), pace=AT_ONCE)
        placed = await store.orders.place(an_approval(a_draft()), within(PRICE), pace=AT_ONCE)
        assert placed.claim


@on_both_databases
async def test_what_waits_for_another_time_or_was_sent_by_others_is_in_nobodys_way(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store, opened(location, clock, OTHERS) as theirs:
        await place_one(theirs, "Another account's")
        await wait_one(store, "Waits for a person")
        put_off = await claim_new(store, "Put off")
        await store.queue.put_back(put_off, "Later.", PauseReason.THROTTLED, SECOND)
        await store.queue.resume()
        placed = await store.orders.place(an_approval(a_draft()), allow, pace=UNPACED)
        assert placed.claim


async def test_one_that_may_not_go_out_does_not_cost_those_behind_it_their_turn(
    location: StateLocation, clock: ManualClock
) -> None:
    """What it held of the budget is free for them."""
    pace = Pace(gap=timedelta(milliseconds=1), lease=15 * SECOND, ahead=SECOND)
    async with opened(location, clock) as store:
        placed = [await place_one(store, f"Text {number}") for number in range(5)]
        claims: list[str] = []
        while not isinstance(step := await store.queue.claim(pace, within(3 * PRICE), most=16), Idle):
            claims += [claim.order_id for claim in step]
        states = Counter([(await store.orders.get(order.id)).state for order in placed])
    assert states == {OrderState.CANCELLED: 2, OrderState.SENDING: 3}
    assert len(set(claims)) == 3


async def test_a_text_takes_as_many_steps_with_many_old_orders(folder: StateLocation) -> None:
    """On SQLite, where an index that is not used is not made up for; counted in steps of its machine."""
    async with opened(folder) as store:
        first = await place_one(store, "First")
        await store.queue.settle_sent(await claim_one(store), a_receipt())
        few = [await steps_of(store, partial(send_one, store, key)) for key in (None, "k")]
        await multiply(store, first.id, 5_000)
        many = [await steps_of(store, partial(send_one, store, key)) for key in (None, "l")]
    assert [more < 1.5 * less for more, less in zip(many, few, strict=True)] == [True, True], (few, many)


async def send_one(store: Store, key: str | None) -> None:
    """Take a text all its way through the store."""
    draft = a_draft(f"Text {next(_NUMBERS)}", key=key, to=OTHER_PHONE)
    await store.orders.find_prior(draft)
    await store.orders.place(an_approval(draft), allow)
    await store.queue.find_due_work()
    claim = await claim_one(store)
    assert await store.queue.may_send(claim)
    await store.queue.settle_sent(claim, a_receipt())


_NUMBERS = count()


async def multiply(store: Store, order_id: str, times: int) -> None:
    """Put copies of an order beside it, delivered long ago to others."""

    def copy(tx: Tx) -> None:
        row = dict(tx.execute(select(orders).where(orders.c.id == order_id)).mappings().one())
        row |= {name: row[name] - timedelta(days=30) for name in ("placed_at", "changed_at", "charged_at")}
        row |= {"state": OrderState.DELIVERED, "text": None}
        numbered = ("id", "fingerprint", "recipient_hash", "message_id")
        tx.execute(insert(orders), [row | {name: f"{name[0]}{n}" for name in numbered} for n in range(times)])

    await store.database.run(copy, writes=True)


async def steps_of(store: Store, work: Callable[[], Awaitable[object]]) -> int:
    """Count the steps that SQLite takes to do something."""
    steps = count()
    with engine_of(store).connect() as connection:
        machine = connection.connection.dbapi_connection
    assert isinstance(machine, sqlite3.Connection)
    machine.set_progress_handler(lambda: next(steps) and None, 1)
    await work()
    machine.set_progress_handler(None, 1)
    return next(steps)


@on_both_databases
async def test_several_are_claimed_at_once_as_far_as_the_pace_allows(
    location: StateLocation, clock: ManualClock
) -> None:
    pace = Pace(gap=2 * SECOND, lease=15 * SECOND, ahead=3 * SECOND)
    async with opened(location, clock) as store:
        stopped = await place_one(store, "To one who says STOP")
        for number in range(4):
            clock.advance(SECOND / 100)
            await place_one(store, f"Text {number}", to=OTHER_PHONE)
        await store.inbound.record([said("STOP")])
        claims = await store.queue.claim(pace, unless_opted_out, most=4)
        assert isinstance(claims, list)
        assert [(claim.draft.text, claim.wait) for claim in claims] == [
            ("Text 0", NONE),
            ("Text 1", 2 * SECOND),
        ]
        assert len({claim.lease for claim in claims}) == 2
        assert (await store.orders.get(stopped.id)).state is OrderState.CANCELLED
        assert await store.queue.claim(pace, allow, most=4) == Idle(4 * SECOND)
        clock.advance(4 * SECOND)
        claims = await store.queue.claim(UNPACED, allow, most=1)
        assert isinstance(claims, list)
        assert [claim.draft.text for claim in claims] == ["Text 2"]


async def test_who_must_not_get_a_text_any_more_gets_none(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        stopped = await place_one(store, "To one who says STOP")
        clock.advance(SECOND)
        other = await place_one(store, "To another", to=OTHER_PHONE)
        await store.inbound.record([said("STOP")])
        claim = await claim_next(store.queue, UNPACED, unless_opted_out)
        assert isinstance(claim, Claim)
        assert claim.order_id == other.id
        stopped = await store.orders.get(stopped.id)
        assert (stopped.state, stopped.fault, stopped.text) == (
            OrderState.CANCELLED,
            "They said STOP.",
            None,
        )
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE


async def test_a_text_is_not_offered_for_ever(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order, tried = await place_one(store, "Never tried"), await place_one(store, "Tried")
        assert (await claim_one(store)).order_id in {order.id, tried.id}
        claim = await claim_one(store)
        await store.queue.put_back(claim, "Too many requests.", PauseReason.THROTTLED, SECOND)
        clock.advance(KEPT + SECOND)
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        gone = await store.orders.get(claim.order_id)
        assert (gone.state, gone.fault) == (OrderState.EXPIRED, "Too many requests.")


async def test_while_a_lease_lasts_its_holder_may_send(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        clock.advance(UNPACED.lease - SECOND)
        await store.queue.end_expired_leases()
        assert await store.queue.may_send(claim)
        assert not (await store.queue.find_due_work()).lapsed
        clock.advance(SECOND)
        assert (await store.queue.find_due_work()).lapsed
        await store.queue.end_expired_leases()
        assert not await store.queue.may_send(claim)


@on_both_databases
async def test_after_a_stop_nobody_may_send(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        await store.inbound.record([said("Stopp!", by=OTHER_PHONE)])
        assert await store.queue.may_send(claim)
        await store.inbound.record([said("STOP")])
        assert not await store.queue.may_send(claim)
        await store.queue.withdraw(claim)
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.text) == (OrderState.CANCELLED, None)
        assert "opted out" in order.fault


@on_both_databases
async def test_what_was_not_used_is_given_back_as_it_was(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        await store.queue.withdraw(claim)
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.fault, order.is_moving) == (OrderState.QUEUED, "", True)
        assert not await store.queue.may_send(claim)
        again = await claim_one(store)
        assert (again.order_id, again.attempt) == (claim.order_id, 2)
        assert again.lease != claim.lease


async def test_what_was_put_off_says_when_it_is_tried_again(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        await store.queue.put_back(claim, "Too many requests.", PauseReason.THROTTLED, 30 * SECOND)
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.not_before) == (OrderState.QUEUED, NOON + 30 * SECOND)
        assert not order.is_moving
        assert await store.queue.claim(UNPACED, allow) == Idle(30 * SECOND, PauseReason.THROTTLED)
        clock.advance(30 * SECOND)
        assert (await claim_one(store)).order_id == order.id


Late = Callable[[Store, Claim], Awaitable[object]]
NEGATIVE: dict[str, Late] = {
    "rejected": lambda store, claim: store.queue.settle_rejected(claim, "No."),
    "withdrawn": lambda store, claim: store.queue.withdraw(claim),
    "put back": lambda store, claim: store.queue.put_back(
        claim, "Too many.", PauseReason.THROTTLED, timedelta(0)
    ),
    "in doubt": lambda store, claim: store.queue.settle_doubt(claim, "No answer."),
}


async def conclude_absent(store: Store, clock: ManualClock) -> None:
    """Find twice that history holds nothing, long enough after the attempt."""
    for _ in range(2):
        clock.advance(QUIET)
        await store.doubts.conclude([], read_at=clock.now(), quiet=QUIET, skew=NONE)


@on_both_databases
@pytest.mark.parametrize("late", NEGATIVE)
async def test_who_wakes_after_another_took_over_settles_nothing_with_a_no(
    location: StateLocation, clock: ManualClock, late: str
) -> None:
    async with opened(location, clock) as store:
        old = await claim_new(store, EVENING)
        clock.advance(UNPACED.lease)
        await store.queue.end_expired_leases()
        await conclude_absent(store, clock)
        new = await claim_one(store)
        assert (new.order_id, new.attempt) == (old.order_id, 2)
        await NEGATIVE[late](store, old)
        order = await store.orders.get(old.order_id)
        assert (order.state, order.text, order.attempts) == (OrderState.SENDING, EVENING, 2)
        assert await store.queue.may_send(new)
        assert not await store.queue.may_send(old)


@pytest.mark.parametrize("meanwhile", ["lapsed", "queued", "claimed", "cancelled", "rejected", "unknown"])
async def test_a_receipt_counts_whoever_holds_the_order_by_now(
    location: StateLocation, clock: ManualClock, meanwhile: str
) -> None:
    async with opened(location, clock) as store:
        old = await claim_new(store, EVENING)
        clock.advance(UNPACED.lease)
        await store.queue.end_expired_leases()
        if meanwhile == "unknown":
            clock.advance(LONGEST + SECOND)
            await store.doubts.conclude(None, read_at=clock.now(), quiet=QUIET, skew=NONE)
        elif meanwhile != "lapsed":
            await conclude_absent(store, clock)
        new = await claim_one(store) if meanwhile in {"claimed", "rejected"} else old
        if meanwhile == "rejected":
            await store.queue.settle_rejected(new, "No.")
        if meanwhile == "cancelled":
            await store.orders.cancel(old.order_id, "Not wanted.")
        await store.queue.settle_sent(old, a_receipt("s1", cost=PRICE // 2))
        order = await store.orders.get(old.order_id)
        assert (order.state, order.text, order.fault) == (OrderState.SENT, None, "")
        assert order.receipt
        assert order.receipt.message_id == "s1"
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE // 2
        if meanwhile == "claimed":
            assert not await store.queue.may_send(new)
            await store.queue.settle_rejected(new, "No.")
            assert (await store.orders.get(old.order_id)).state is OrderState.SENT
        assert await store.queue.claim(UNPACED, allow) == Idle(None)


@on_both_databases
async def test_a_receipt_is_kept_with_its_price(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        receipt = a_receipt("s1", cost=PRICE * 2).model_copy(update={"parts": 2})
        await store.queue.settle_sent(claim, receipt)
        order = await store.orders.get(claim.order_id)
        assert (order.receipt, order.parts) == (receipt, 2)
        assert await store.orders.find("s1") == order
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE * 2
        await store.queue.settle_sent(claim, a_receipt("s2"))  # the first proof stands
        assert await store.orders.get(claim.order_id) == order


async def test_a_receipt_without_a_price_costs_what_was_agreed(location: StateLocation) -> None:
    async with opened(location) as store:
        await store.queue.settle_sent(await claim_new(store), a_receipt(cost=None))
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE


@on_both_databases
async def test_a_message_taken_for_another_order_goes_to_its_own(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        wrong = await claim_new(store, EVENING)
        await store.queue.settle_doubt(wrong, "No answer.")
        await store.doubts.conclude(
            [a_message(EVENING, message_id="s1")], read_at=NOON, quiet=QUIET, skew=NONE
        )
        assert (await store.orders.get(wrong.order_id)).state is OrderState.SENT
        right = await claim_new(store, EVENING, key="another")
        await store.queue.settle_sent(right, a_receipt("s1"))
        assert (await store.orders.get(right.order_id)).state is OrderState.SENT
        order = await store.orders.get(wrong.order_id)
        assert (order.state, order.receipt) == (OrderState.UNKNOWN, None)


async def things_to_do(store: Store) -> tuple[set[str], timedelta | None]:
    """Name what a look finds, and say how long there is nothing else."""
    found = (await store.queue.find_due_work())._asdict()
    again_in: timedelta | None = found.pop("again_in")
    return {name for name, is_so in found.items() if is_so}, again_in


async def test_an_outlook_says_what_there_is_to_do(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        assert await things_to_do(store) == (set(), None)
        await place_one(store)
        assert await things_to_do(store) == ({"queued"}, None)
        claim = await claim_one(store)
        assert await things_to_do(store) == (set(), UNPACED.lease)
        clock.advance(UNPACED.lease)
        assert await things_to_do(store) == ({"lapsed"}, NONE)
        await store.queue.end_expired_leases()
        assert await things_to_do(store) == ({"doubtful"}, NONE)
        assert (await store.orders.get(claim.order_id)).state is OrderState.IN_DOUBT
        await store.doubts.conclude([], read_at=clock.now(), quiet=QUIET, skew=NONE)
        names, again_in = await things_to_do(store)
        assert names == set()
        assert again_in
        clock.advance(again_in)
        assert await things_to_do(store) == ({"doubtful"}, NONE)
        await conclude_absent(store, clock)
        assert await things_to_do(store) == ({"queued"}, None)
        await claim_one(store)
        await wait_one(store, "Waiting")
        assert await things_to_do(store) == ({"waiting"}, UNPACED.lease)


async def test_only_what_is_overdue_lapses(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        old = await claim_new(store, "Old")
        clock.advance(UNPACED.lease - SECOND)
        new = await claim_new(store, "New")
        clock.advance(SECOND)
        await store.queue.end_expired_leases()
        assert (await store.orders.get(old.order_id)).state is OrderState.IN_DOUBT
        assert (await store.orders.get(new.order_id)).state is OrderState.SENDING


@pytest.mark.parametrize("reason", PauseReason, ids=str)
async def test_a_pause_holds_everything_until_its_time_or_until_somebody_ends_it(
    location: StateLocation, clock: ManualClock, reason: PauseReason
) -> None:
    async with opened(location, clock) as store:
        await place_one(store)
        await store.queue.pause(reason, MINUTE)
        assert await store.queue.find_pause() is reason
        assert await store.queue.claim(UNPACED, allow) == Idle(MINUTE, reason)
        clock.advance(MINUTE)
        if reason.ends_by_itself:
            assert await store.queue.find_pause() is None
        else:
            assert await store.queue.claim(UNPACED, allow) == Idle(NONE, reason)
            clock.advance(DAY)
            assert await store.queue.find_pause() is reason
            await store.queue.resume()
        assert await store.queue.find_pause() is None


async def test_of_two_pauses_the_longer_and_the_harder_counts(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await place_one(store)
        await store.queue.pause(PauseReason.THROTTLED, MINUTE)
        await store.queue.pause(PauseReason.UNREACHABLE, SECOND)
        assert (await store.queue.claim(UNPACED, allow)) == Idle(MINUTE, PauseReason.THROTTLED)
        await store.queue.pause(PauseReason.NO_FUNDS, SECOND)
        await store.queue.pause(PauseReason.THROTTLED, SECOND)
        assert (await store.queue.claim(UNPACED, allow)) == Idle(MINUTE, PauseReason.NO_FUNDS)


@on_both_databases
async def test_a_pause_is_seen_by_all_who_send_for_the_account(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as one, opened(location, clock) as other:
        await one.queue.pause(PauseReason.CREDENTIALS, MINUTE)
        assert await other.queue.find_pause() is PauseReason.CREDENTIALS
        await other.queue.resume()
        assert await one.queue.find_pause() is None


@on_both_databases
async def test_it_is_foreseen_when_an_order_goes_out(location: StateLocation, clock: ManualClock) -> None:
    pace = Pace(gap=2 * SECOND, lease=15 * SECOND)
    async with opened(location, clock) as store:
        orders = []
        for number in range(4):
            orders.append(await place_one(store, f"Text {number}"))
            clock.advance(SECOND)
        now = clock.now()
        assert await store.queue.estimate(orders[3].id, pace) == (now + 6 * SECOND, 3, None)
        claim = await claim_one(store, pace)
        assert await store.queue.estimate(orders[3].id, pace) == (now + 6 * SECOND, 2, None)
        assert await store.queue.estimate(claim.order_id, pace) is None
        await store.queue.pause(PauseReason.THROTTLED, MINUTE)
        assert await store.queue.estimate(orders[1].id, pace) == (now + MINUTE, 0, PauseReason.THROTTLED)


# ── doubts ──


async def test_history_is_due_at_once_and_then_ever_less_often(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        assert await store.doubts.find_due() == (NOON, None)
        claim = await claim_new(store)
        clock.advance(5 * SECOND)
        await store.queue.settle_doubt(claim, "No answer.")
        looks = []
        while clock.now() < NOON + 5 * SECOND + QUIET:
            now, since = await store.doubts.find_due()
            assert now == clock.now()
            if since is not None:
                assert since == NOON
                looks.append((now - NOON) / SECOND)
                await store.doubts.conclude([], read_at=now, quiet=QUIET, skew=NONE)
            clock.advance(SECOND)
        assert (await store.doubts.find_due())[1] == NOON
    assert looks[0] == 5
    assert len(looks) <= 10
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert gaps[:-1] == sorted(gaps[:-1])


async def test_what_history_holds_was_sent(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        await store.queue.settle_doubt(claim, "No answer.")
        found = await store.doubts.conclude(
            [a_message(EVENING, message_id="s1"), a_message("Something else")],
            read_at=NOON,
            quiet=QUIET,
            skew=NONE,
        )
        order = await store.orders.get(claim.order_id)
        assert found == [order.id]
        assert (order.state, order.text) == (OrderState.SENT, None)
        assert order.receipt
        assert (order.receipt.message_id, order.receipt.cost) == ("s1", Money(PRICE, "SEK"))
        assert (await store.orders.find_prior(a_draft())).recall.is_known


@on_both_databases
async def test_what_two_late_readings_do_not_find_is_sent_again(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        await store.queue.settle_doubt(claim, "No answer.")

        async def read(at: timedelta) -> OrderState:
            await store.doubts.conclude([], read_at=NOON + at, quiet=QUIET, skew=NONE)
            return (await store.orders.get(claim.order_id)).state

        assert await read(QUIET - SECOND) is OrderState.IN_DOUBT
        assert await read(QUIET) is OrderState.IN_DOUBT
        assert await read(QUIET) is OrderState.IN_DOUBT  # by another process, just then
        assert await read(QUIET * 1.1 - SECOND) is OrderState.IN_DOUBT
        assert await read(QUIET * 1.1) is OrderState.QUEUED
        again = await claim_one(store)
        assert (again.order_id, again.attempt, again.draft.text) == (claim.order_id, 2, EVENING)


async def test_what_cannot_be_told_apart_is_left_to_a_person(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await _unknown(store)
        assert order.state is OrderState.UNKNOWN
        assert order.text == EVENING
        assert "nobody can say" in order.fault
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        clock.advance(QUIET)
        assert await store.doubts.conclude([], read_at=clock.now(), quiet=QUIET, skew=NONE) == []


async def test_what_looked_like_it_for_a_while_takes_two_readings_without_it_all_the_same(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        await store.queue.settle_doubt(claim, "No answer.")

        async def read(at: timedelta, *history: Message) -> OrderState:
            await store.doubts.conclude(history, read_at=NOON + at, quiet=QUIET, skew=NONE)
            return (await store.orders.get(claim.order_id)).state

        similar = a_message(EVENING.upper())
        assert await read(QUIET) is OrderState.IN_DOUBT
        assert await read(QUIET * 1.05, similar) is OrderState.IN_DOUBT
        assert await read(QUIET * 1.2) is OrderState.IN_DOUBT, "the one before was no reading without it"
        assert await read(QUIET * 1.3) is OrderState.QUEUED


async def test_a_history_that_cannot_be_read_proves_nothing(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store)
        await store.queue.settle_doubt(claim, "No answer.")
        while clock.now() <= NOON + LONGEST:
            now, since = await store.doubts.find_due()
            if since:
                await store.doubts.conclude(None, read_at=now, quiet=QUIET, skew=NONE)
            assert (await store.orders.get(claim.order_id)).state is OrderState.IN_DOUBT
            clock.advance(MINUTE)
        await store.doubts.conclude(None, read_at=clock.now(), quiet=QUIET, skew=NONE)
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.fault) == (
            OrderState.UNKNOWN,
            "It could not be found out within an hour.",
        )


async def test_a_message_of_another_order_is_no_proof(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        sent = await claim_new(store, EVENING)
        await store.queue.settle_sent(sent, a_receipt("s1"))
        doubtful = await claim_new(store, EVENING, key="another")
        await store.queue.settle_doubt(doubtful, "No answer.")
        history = [a_message(EVENING, message_id="s1")]
        for at in (QUIET, QUIET * 2):
            await store.doubts.conclude(history, read_at=NOON + at, quiet=QUIET, skew=NONE)
        assert (await store.orders.get(doubtful.order_id)).state is OrderState.QUEUED


async def test_nothing_is_concluded_while_another_text_to_the_same_number_is_being_sent(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        doubtful = await claim_new(store, EVENING)
        await store.queue.settle_doubt(doubtful, "No answer.")
        sending = await claim_new(store, EVENING, key="another")
        history = [a_message(EVENING, message_id="s1")]
        for at in (NONE, QUIET, QUIET * 2):
            await store.doubts.conclude(history, read_at=NOON + at, quiet=QUIET, skew=NONE)
            assert (await store.orders.get(doubtful.order_id)).state is OrderState.IN_DOUBT
        await store.queue.settle_sent(sending, a_receipt("s1"))
        for at in (QUIET, QUIET * 2):
            await store.doubts.conclude(history, read_at=NOON + at, quiet=QUIET, skew=NONE)
        assert (await store.orders.get(doubtful.order_id)).state is OrderState.QUEUED


@on_both_databases
async def test_no_order_is_judged_by_a_history_that_begins_after_it(
    location: StateLocation, clock: ManualClock
) -> None:
    """One that is not due yet must not be taken for absent by what is read for a later one."""
    async with opened(location, clock) as store:
        early = await claim_new(store, EVENING)
        await store.queue.settle_doubt(early, "No answer.")
        everything = [a_message(EVENING, message_id="s1")]
        states = []
        for step in range(40):
            clock.advance(10 * SECOND)
            late = await claim_new(store, f"Number {step}", to=OTHER_PHONE)
            await store.queue.settle_doubt(late, "No answer.")
            everything.append(a_message(f"Number {step}", at=clock.now(), to=OTHER_PHONE))
            now, since = await store.doubts.find_due()
            assert since
            readable = step % 3 == 0
            history: list[Message] | None = None
            if readable and step > 12:
                history = [each for each in everything if (each.created_at or NOON) >= since]
            await store.doubts.conclude(history, read_at=now, quiet=QUIET, skew=NONE)
            states.append((await store.orders.get(early.order_id)).state)
        assert OrderState.QUEUED not in states
        assert states[-1] is OrderState.SENT


# ── people ──


@on_both_databases
async def test_what_is_known_of_a_number_is_counted(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        fresh = (await store.orders.find_prior(a_draft("New"))).recall
        assert (fresh.is_known, fresh.lately, fresh.today, fresh.spent) == (False, 0, 0, 0)
        await wait_one(store, "Waiting")
        for number in range(3):
            await place_one(store, f"Text {number}")
        await store.orders.cancel((await place_one(store, "Cancelled")).id, "")
        known = (await store.orders.find_prior(a_draft("New"))).recall
        assert (known.is_known, known.lately, known.today, known.spent) == (False, 4, 4, 3 * PRICE)
        clock.advance(10 * MINUTE)
        known = (await store.orders.find_prior(a_draft("New"))).recall
        assert (known.lately, known.today) == (1, 4), "what waits for a person counts as long as it waits"
        clock.advance(DAY)
        known = (await store.orders.find_prior(a_draft("New"))).recall
        assert (known.is_known, known.today, known.spent) == (False, 0, 0)
        assert (await store.orders.find_prior(a_draft("New", to=OTHER_PHONE))).recall.today == 0


async def test_an_answer_starts_the_ten_minutes_anew(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        await place_one(store, "Question")
        clock.advance(SECOND)
        await store.inbound.record([said("Yes", at=clock.now())])
        assert (await store.orders.find_prior(a_draft("New"))).recall.lately == 0
        clock.advance(SECOND)
        await place_one(store, "Another")
        recall = (await store.orders.find_prior(a_draft("New"))).recall
        assert (recall.lately, recall.today) == (1, 2)


async def test_who_was_written_to_stays_known_for_longer_than_a_day(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await store.queue.settle_sent(await claim_new(store), a_receipt())
        clock.advance(30 * DAY)
        assert (await store.orders.find_prior(a_draft())).recall.is_known
        await store.inbound.record([a_message("Sent by somebody else", to=OTHER_PHONE)])
        assert (await store.orders.find_prior(a_draft(to=OTHER_PHONE))).recall.is_known


WORDS = [said("STOP", at=NOON), said("START", at=NOON + MINUTE), said("Stopp", at=NOON + 2 * MINUTE)]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
async def test_the_last_word_counts_in_whatever_order_words_are_read(
    tmp_path: Path, order: tuple[int, ...], at_once: bool
) -> None:
    async with opened(StateLocation(folder=tmp_path)) as store:
        messages = [WORDS[index] for index in order]
        for batch in [messages] if at_once else [[each] for each in (*messages, *messages)]:
            await store.inbound.record(batch)
        assert (await store.orders.find_prior(a_draft())).recall.opted_out
        await store.inbound.record([said("START", at=NOON + 3 * MINUTE)])
        assert not (await store.orders.find_prior(a_draft())).recall.opted_out
        await store.inbound.record(messages)
        assert not (await store.orders.find_prior(a_draft())).recall.opted_out


@on_both_databases
async def test_the_last_word_counts_on_either_database(location: StateLocation) -> None:
    async with opened(location) as store:
        for message in (*WORDS[::-1], *WORDS):
            await store.inbound.record([message])
        assert (await store.orders.find_prior(a_draft())).recall.opted_out
        await store.inbound.record([said("Hej", at=NOON + 4 * MINUTE)])
        assert (await store.orders.find_prior(a_draft())).recall.opted_out
        assert not (await store.orders.find_prior(a_draft(to=OTHER_PHONE))).recall.opted_out


async def test_what_we_wrote_and_who_is_only_a_name_opt_nobody_out(location: StateLocation) -> None:
    ours = a_message("STOP")
    name = said("STOP").model_copy(update={"sender": "Klara"})
    async with opened(location) as store:
        await store.inbound.record([ours, name])
        assert not (await store.orders.find_prior(a_draft())).recall.opted_out
        assert read_rows(location, "SELECT count(*) FROM contacts") == [(1,)]


@on_both_databases
async def test_it_is_remembered_how_far_was_heard(location: StateLocation) -> None:
    async with opened(location) as store:
        assert (await store.inbound.find_position()).until is None
        await store.inbound.record([], until=NOON)
        await store.inbound.record([said("Hej")])
        assert (await store.inbound.find_position()).until == NOON
    async with opened(location) as store:
        assert (await store.inbound.find_position()).until == NOON


@on_both_databases
async def test_people_are_known_by_keyed_hashes_only(location: StateLocation) -> None:
    async with opened(location) as store:
        await store.inbound.record([said("STOP")])
        [(hashed,)] = read_rows(location, "SELECT number_hash FROM contacts")
        assert hashed == store.database.hasher.number(PHONE.e164)
        assert PHONE.e164[1:] not in json.dumps(read_rows(location, "SELECT * FROM contacts"))


# ── delivery reports ──


@pytest.mark.parametrize(
    "order", sorted(set(permutations(["sent", "delivered", "failed", "delivered"]))), ids=str
)
async def test_reports_may_come_in_any_order_and_twice(tmp_path: Path, order: tuple[str, ...]) -> None:
    async with opened(StateLocation(folder=tmp_path)) as store:
        claim = await claim_new(store)
        await store.queue.settle_sent(claim, a_receipt("s1"))
        for status in (*order, *order):
            assert await store.inbound.record_webhooks((), [Report(message_id="s1", status=status)]) == []
        placed = await store.orders.get(claim.order_id)
        assert placed.state is OrderState.DELIVERED
        assert placed.receipt
        assert placed.receipt.status == "delivered"


@pytest.mark.parametrize("status", ["created", "sent", "delivered", "failed"])
async def test_a_report_with_our_number_proves_what_the_answer_did_not(
    location: StateLocation, clock: ManualClock, status: str
) -> None:
    states = {"delivered": OrderState.DELIVERED, "failed": OrderState.FAILED}
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        report = Report(message_id="s1", status=status, order_id=claim.order_id)
        assert await store.inbound.record_webhooks((), [report]) == []
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.text) == (states.get(status, OrderState.SENT), None)
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE
        assert not await store.queue.may_send(claim)
        await store.queue.settle_sent(claim, a_receipt("s1"))  # the answer, at last
        await store.queue.settle_doubt(claim, "No answer.")  # or none
        await store.queue.settle_rejected(claim, "No.")
        assert await store.orders.get(claim.order_id) == order


async def test_a_report_with_our_number_counts_in_every_state(
    location: StateLocation, clock: ManualClock
) -> None:
    for state in BEYOND_WAITING:
        async with opened(location, clock, account_of(state)) as store:
            order = await WAYS[state](store)
            known = order.receipt.message_id if order.receipt else None
            report = Report(message_id=known or "s1", status="delivered", order_id=order.id)
            assert await store.inbound.record_webhooks((), [report, report]) == []
            order = await store.orders.get(order.id)
            assert (order.state, order.text) == (OrderState.DELIVERED, None)
            assert await store.queue.claim(UNPACED, allow) == Idle(None)


async def test_a_report_after_a_new_try_began_keeps_that_from_going_out(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        first = await claim_new(store, EVENING)
        await store.queue.settle_doubt(first, "No answer.")
        await conclude_absent(store, clock)
        second = await claim_one(store)
        report = Report(message_id="s1", status="sent", order_id=first.order_id)
        assert await store.inbound.record_webhooks((), [report]) == []
        assert not await store.queue.may_send(second)
        await store.queue.withdraw(second)
        order = await store.orders.get(first.order_id)
        assert order.state is OrderState.SENT
        assert await store.queue.claim(UNPACED, allow) == Idle(None)


@on_both_databases
async def test_a_report_about_nothing_of_ours_changes_nothing(location: StateLocation) -> None:
    async with opened(location) as store:
        claim = await claim_new(store)
        await store.queue.settle_sent(claim, a_receipt("s1"))
        order = await store.orders.get(claim.order_id)
        reports = [
            Report(message_id="s2", status="delivered"),
            Report(message_id="s2", status="delivered", order_id="O-22222222"),
            Report(message_id="s2", status="failed", order_id=order.id),
        ]
        assert await store.inbound.record_webhooks((), reports) == reports
        assert await store.orders.get(order.id) == order


ACCEPT = "UPDATE orders SET state = 'sent', message_id = 's1', message_status = 'created' WHERE id = %s"
"""What another process does when 46elks answers it."""


async def test_a_report_and_the_answer_at_the_same_moment_both_count(postgres_database: str) -> None:
    async with opened(StateLocation(url=SecretStr(postgres_database), key=KEY)) as store:
        claim = await claim_new(store)
        with psycopg.connect(postgres_database) as answering:
            answering.execute(ACCEPT, [claim.order_id])
            async with anyio.create_task_group() as reporting:
                unknown: list[list[Report]] = []

                async def hear() -> None:
                    report = Report(message_id="s1", status="delivered", order_id=claim.order_id)
                    unknown.append(await store.inbound.record_webhooks((), [report]))

                reporting.start_soon(hear)
                await until_somebody_waits(postgres_database)
                answering.commit()
        assert unknown == [[]]
        assert (await store.orders.get(claim.order_id)).state is OrderState.DELIVERED


async def test_46elks_answer_outweighs_a_conclusion_that_is_just_being_drawn(postgres_database: str) -> None:
    """History made another process take the message for the other order's, in the same moment."""
    async with opened(StateLocation(url=SecretStr(postgres_database), key=KEY)) as store:
        mine, other = await claim_new(store, EVENING, key="a"), await claim_new(store, EVENING, key="b")
        for claim in (mine, other):
            await store.queue.settle_doubt(claim, "No answer.")
        with psycopg.connect(postgres_database) as concluding:
            concluding.execute("SELECT id FROM orders FOR UPDATE")
            concluding.execute(ACCEPT, [other.order_id])
            async with anyio.create_task_group() as answering:
                answering.start_soon(store.queue.settle_sent, mine, a_receipt("s1"))
                await until_somebody_waits(postgres_database)
                concluding.commit()
        assert (await store.orders.get(mine.order_id)).state is OrderState.SENT
        assert (await store.orders.get(other.order_id)).state is OrderState.UNKNOWN


@pytest.mark.parametrize("by_hand", [False, True], ids=["by a caller", "by hand"])
async def test_what_is_accepted_just_while_it_is_cancelled_was_accepted(
    postgres_database: str, by_hand: bool
) -> None:
    async with opened(StateLocation(url=SecretStr(postgres_database), key=KEY)) as store:
        order = await place_one(store)

        async def cancel() -> None:
            if by_hand:
                with pytest.raises(Refused, match="is sent"):
                    await OrderAdmin(store.database).cancel(order.id)
            else:
                assert (await store.orders.cancel(order.id, "Not wanted.")).state is OrderState.SENT

        with psycopg.connect(postgres_database) as answering:
            answering.execute(ACCEPT, [order.id])
            async with anyio.create_task_group() as cancelling:
                cancelling.start_soon(cancel)
                await until_somebody_waits(postgres_database)
                answering.commit()
        assert (await store.orders.get(order.id)).state is OrderState.SENT
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE


# ── hanging up ──


@on_both_databases
async def test_who_hangs_up_breaks_off_nothing(location: StateLocation) -> None:
    async with opened(location) as store:
        entered = asyncio.Event()
        loop = asyncio.get_running_loop()

        def check(*_: object) -> str:
            loop.call_soon_threadsafe(entered.set)
            return ""

        async with anyio.create_task_group() as calling:
            calling.start_soon(store.orders.place, an_approval(a_draft(EVENING)), check)
            await entered.wait()
            calling.cancel_scope.cancel()
        claim = await claim_one(store)
        assert claim.draft.text == EVENING


async def test_an_inbound_message_and_an_outbound_one_are_told_apart(location: StateLocation) -> None:
    inbound, outbound = said("Hej"), a_message("Hej", to=OTHER_PHONE)
    assert (inbound.direction, outbound.direction) == (Direction.INBOUND, Direction.OUTBOUND)
    async with opened(location) as store:
        await store.inbound.record([inbound, outbound])
    rows = read_rows(location, "SELECT sent_at IS NULL, received_at IS NULL FROM contacts")
    assert sorted((bool(sent), bool(received)) for sent, received in rows) == [(False, True), (True, False)]


# ── what a database does by itself ──


async def test_the_operators_level_of_isolation_does_not_matter(postgres_with_tables: str) -> None:
    """At REPEATABLE READ, who waited for a lock would see what was before it."""
    with psycopg.connect(postgres_with_tables, autocommit=True) as server:
        name = server.info.dbname
        level = SQL("alter database {} set default_transaction_isolation = 'repeatable read'")
        server.execute(level.format(Identifier(name)))
    location = StateLocation(url=SecretStr(postgres_with_tables), key=KEY)
    found = []
    async with opened(location) as one, opened(location) as other, anyio.create_task_group() as group:

        async def order(store: Store) -> None:
            found.append(await store.orders.place(an_approval(a_draft()), within(PRICE)))

        for store in [one, other] * 4:
            group.start_soon(order, store)
    assert len({placed.order.id for placed in found}) == 1
    assert sorted(placed.is_repeat for placed in found) == [False] + [True] * 7


async def test_options_in_the_address_count_too(postgres_database: str) -> None:
    with psycopg.connect(postgres_database) as server:
        server.execute("create schema elsewhere")
    url = f"{postgres_database}&options=-csearch_path%3Delsewhere"
    async with opened(StateLocation(url=SecretStr(url), key=KEY)):
        pass
    with psycopg.connect(postgres_database) as server:
        tables = server.execute("select schemaname from pg_tables where tablename = 'orders'").fetchall()
        assert tables == [("elsewhere",)]


@on_both_databases
async def test_an_order_of_which_only_the_word_was_lost_is_placed(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        with losing_the_word(store, for_good=False):
            placed = await store.orders.place(an_approval(a_draft(EVENING)), allow)
    assert (placed.is_repeat, placed.order.text) == (False, EVENING)
    assert read_rows(location, "SELECT id, state FROM orders") == [(placed.order.id, "queued")]


@on_both_databases
async def test_an_order_of_which_nobody_can_say_whether_it_was_placed_is_named(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        with losing_the_word(store, for_good=True), pytest.raises(StateUncertain) as caught:
            await store.orders.place(an_approval(a_draft(EVENING)), allow)
    assert "do not send it again" in caught.value.explain()
    [number] = re.findall("O-[0-9A-Z]{8}", caught.value.explain())
    assert read_rows(location, "SELECT id, state FROM orders") == [(number, "queued")]


@contextmanager
def losing_the_word(store: Store, *, for_good: bool) -> Iterator[None]:
    """Lose the database just after the next commit; or only its word of that."""
    lost: list[bool] = []

    def commit(connection: Connection) -> None:
        connection.connection.commit()
        lost.append(True)
        raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    def execute(*_: object) -> None:
        if lost and for_good:
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    engines = {engine_of(store), store.database._statements}
    event.listen(engine_of(store), "commit", commit, once=True)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", execute)
    yield
    for engine in engines:
        event.remove(engine, "before_cursor_execute", execute)
    assert lost


async def test_a_message_given_to_two_orders_at_once_is_a_reason_to_try_again(
    postgres_with_tables: str, clock: ManualClock
) -> None:
    location = StateLocation(url=SecretStr(postgres_with_tables), key=KEY)
    async with opened(location, clock) as store:
        doubtful, other = await claim_new(store, EVENING), await claim_new(store, to=OTHER_PHONE)
        await store.queue.settle_doubt(doubtful, "No answer.")

        def give_away(_: object, __: object, statement: str, *___: object) -> None:
            if "SET state" in statement and "message_id IS NULL" in statement:
                change_rows(location, "UPDATE orders SET message_id = 's1' WHERE id = ?", other.order_id)

        event.listen(engine_of(store), "before_cursor_execute", give_away)
        history = [a_message(EVENING, message_id="s1")]
        with pytest.raises(StateUnavailable):
            await store.doubts.conclude(history, read_at=NOON, quiet=QUIET, skew=NONE)
        assert (await store.orders.get(doubtful.order_id)).state is OrderState.IN_DOUBT
