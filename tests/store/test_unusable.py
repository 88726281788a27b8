"""State that cannot be used, and accounts."""

import os
import re
import sqlite3
import sys
import traceback
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path

import anyio
import anyio.lowlevel
import psycopg
import pytest
from pydantic import SecretStr

from elks_mcp.domain.orders import (
    OrderState,
    Report,
)
from elks_mcp.errors import (
    ElksError,
    Misconfigured,
    NotFound,
    StateUnavailable,
)
from elks_mcp.store import Idle, PauseReason, StateLocation, Storage
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.db.quick_check import has_work
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, PHONE, a_draft, an_approval
from tests.support.store_cases import EVENING, OTHERS, things_to_do
from tests.support.stores import (
    ACCOUNT,
    KEY,
    MINUTE,
    OTHER_PHONE,
    UNPACED,
    a_receipt,
    allow,
    claim_new,
    engine_of,
    is_unfinished,
    on_both_databases,
    opened,
    place_one,
    said,
    wait_one,
)

pytestmark = pytest.mark.anyio


# ── what cannot be used ──


def everything_said(error: BaseException) -> str:
    """Join everything that could appear in a log or an answer."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(getattr(error, "hint", ""))


async def unavailable(work: Awaitable[object], kind: type[ElksError] = StateUnavailable) -> str:
    """Expect something to fail because the database is missing; return the error message."""
    with pytest.raises(kind) as caught:
        await work
    said = everything_said(caught.value)
    assert EVENING not in said
    assert PHONE.e164 not in said
    assert "hunter2" not in said
    return str(caught.value)


async def test_a_file_that_is_not_a_database_is_refused(folder: StateLocation) -> None:
    assert folder.file
    assert folder.folder
    folder.folder.mkdir()
    folder.file.write_bytes(b"This is not a database. " * 400)
    assert "its file is damaged" in await unavailable(Storage(folder, ACCOUNT).open())
    assert has_work(folder.file, ACCOUNT)  # somebody has to look, and will say this


async def test_a_damaged_file_is_refused(folder: StateLocation) -> None:
    assert folder.file
    async with opened(folder) as store:
        for number in range(30):
            await place_one(store, f"{EVENING}, nummer {number}")
    content = bytearray(folder.file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    folder.file.write_bytes(content)
    words = await unavailable(Storage(folder, ACCOUNT).open())
    assert "its file is damaged" in words


async def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
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
from elks_mcp.store import AccountKey, StateLocation, Storage
import elks_mcp.store.store
from elks_mcp.errors import StateUnavailable
from tests.support.stores import a_draft, an_approval, allow

async def use():
    if os.geteuid() == 0:
        os.seteuid(65534)
    storage = Storage(StateLocation(folder=Path(sys.argv[1])), AccountKey("http://localhost/a1", "u1"))
    try:
        store = await storage.open()
        await store.orders.place(an_approval(a_draft()), allow)
    except StateUnavailable as error:
        print(error)
    await storage.close()

asyncio.run(use())
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights")
@pytest.mark.parametrize("read_only", ["folder", "file"])
async def test_an_unwritable_location_is_refused(tmp_path: Path, read_only: str) -> None:
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


async def test_the_error_for_a_full_disk_names_it_and_not_the_text(folder: StateLocation) -> None:
    async with opened(folder) as store:
        with engine_of(store).connect() as connection:  # there is only this one
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        words = await unavailable(place_one(store, EVENING * 1000))
        assert "the disk is full" in words
        assert not is_unfinished(folder)


async def test_a_busy_database_is_awaited_and_then_refused(
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
async def test_an_unreachable_server_is_refused_without_showing_its_password(url: str) -> None:
    await unavailable(Storage(StateLocation(url=SecretStr(url), key=KEY), ACCOUNT).open())


@pytest.mark.parametrize("url", ["postgresql://elks:hunter2@localhost:port/elks", "elks:hunter2"])
async def test_an_invalid_address_is_not_repeated_in_the_error(url: str) -> None:
    words = await unavailable(
        Storage(StateLocation(url=SecretStr(url), key=KEY), ACCOUNT).open(), Misconfigured
    )
    assert "ELKS_DATABASE_URL cannot be read" in words


async def test_a_location_shows_no_secrets() -> None:
    location = StateLocation(url=SecretStr("postgresql://elks:hunter2@localhost/elks"), key=KEY)
    assert "hunter2" not in repr(location)
    assert KEY.get_secret_value() not in repr(location)


KILL_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def test_connections_that_died_while_idle_are_replaced(postgres_database: str) -> None:
    location = StateLocation(url=SecretStr(postgres_database), key=KEY)
    async with opened(location) as store:
        await place_one(store)
        with psycopg.connect(postgres_database) as other:
            assert other.execute(KILL_OTHERS).fetchall() == [(True,)]
        again = await place_one(store, "Once more")
        assert await store.orders.get(again.id) == again


async def test_a_connection_that_dies_mid_transaction_leaves_no_changes(postgres_database: str) -> None:
    location = StateLocation(url=SecretStr(postgres_database), key=KEY)

    def die(*_: object) -> None:
        with psycopg.connect(postgres_database) as other:
            other.execute(KILL_OTHERS)

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
        for number in (waiting.id, waiting.approval_code, claim.order_id):
            with pytest.raises(NotFound):
                await theirs.orders.get(number or "")
        with pytest.raises(NotFound):
            await theirs.cancellations.cancel(waiting.id, "Not theirs.")
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
