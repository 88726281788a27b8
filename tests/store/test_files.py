"""The files of a state directory: permissions, keys, and the quick check without SQLAlchemy."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from elks_mcp.domain.orders import (
    UNFINISHED,
    OrderState,
)
from elks_mcp.store import AccountKey, StateLocation, Storage
from elks_mcp.store.db.hashes import Hasher, find_or_make_key
from elks_mcp.store.db.quick_check import has_work
from tests.support.provider import PHONE, a_draft, an_approval
from tests.support.store_cases import OTHERS, WAYS
from tests.support.stores import (
    ACCOUNT,
    KEY,
    account_of,
    engine_of,
    opened,
    place_one,
)

pytestmark = pytest.mark.anyio


# ── files and keys ──


def modes_in(location: StateLocation) -> dict[str, int]:
    """Return the permissions of a folder and its content."""
    assert location.folder
    return {
        each.name: stat.S_IMODE(each.stat().st_mode) for each in (location.folder, *location.folder.iterdir())
    }


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights")
async def test_no_other_user_may_read_the_state(folder: StateLocation) -> None:
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


def test_racing_processes_create_one_key(tmp_path: Path) -> None:
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


def test_hashes_of_different_purposes_differ_and_reveal_no_key() -> None:
    one, other = Hasher(b"k" * 32), Hasher(b"l" * 32)
    assert one.of("key", "ab", "c") != one.of("key", "a", "bc") != one.of("text", "a", "bc")
    assert one.number(PHONE.e164) == Hasher(b"k" * 32).number(PHONE.e164) != other.number(PHONE.e164)
    assert "k" * 3 not in repr(one)


async def test_sqlite_is_configured_for_durable_writes_and_erased_deletions(folder: StateLocation) -> None:
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


async def test_a_writing_transaction_of_sqlite_takes_the_lock_before_reading(folder: StateLocation) -> None:
    tried: list[str] = []

    def check(*_: object) -> None:
        assert folder.file
        with closing(sqlite3.connect(folder.file, timeout=0, isolation_level=None)) as another:
            another.execute("SELECT count(*) FROM orders")  # reading is not held up
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                another.execute("BEGIN IMMEDIATE")
            tried.append("both")

    async with opened(folder) as store:
        await store.orders.place(an_approval(a_draft()), check)
    assert tried == ["both"]


@pytest.mark.parametrize(
    ("theirs", "limit"),
    [("", "10s"), ("&options=-c%20lock_timeout%3D3s%20-c%20synchronous_commit%3Doff", "3s")],
    ids=["ours", "theirs"],
)
async def test_postgres_uses_durable_writes_and_the_operators_time_limits(
    postgres_database: str, theirs: str, limit: str
) -> None:
    url = postgres_database.partition("&options=")[0] + theirs
    async with opened(StateLocation(url=SecretStr(url), key=KEY)) as store:
        with engine_of(store).connect() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == limit


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
