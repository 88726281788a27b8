"""Opening a store, on SQLite and PostgreSQL: tables, migrations, versions."""

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, MetaData, insert

import elks_mcp.store.db.migrations
from elks_mcp.domain.orders import (
    OrderState,
)
from elks_mcp.domain.phone import Number
from elks_mcp.errors import (
    Misconfigured,
)
from elks_mcp.store import Idle, StateLocation, Storage
from elks_mcp.store.db.engines import open_engine
from elks_mcp.store.db.hashes import Hasher
from elks_mcp.store.db.migrate import HEAD, upgrade
from elks_mcp.store.db.schema import metadata
from elks_mcp.store.storage import find_hasher
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, PHONE, a_draft
from tests.support.store_cases import DAY, OTHERS
from tests.support.stores import (
    ACCOUNT,
    MINUTE,
    PRICE,
    UNPACED,
    allow,
    change_rows,
    engine_of,
    on_both_databases,
    opened,
    place_one,
    read_rows,
    said,
)

pytestmark = pytest.mark.anyio


# ── opening ──


def test_the_migrations_create_the_schema(nothing: StateLocation) -> None:
    engine = open_engine(nothing)
    with engine.begin() as connection:
        upgrade(connection)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


async def test_the_state_of_an_older_version_is_migrated(nothing: StateLocation, clock: ManualClock) -> None:
    engine = open_engine(nothing)
    with engine.begin() as connection:
        upgrade(connection, "0001")
        account = {"base_url": ACCOUNT.base_url, "username": ACCOUNT.username}
        until = round(NOON.timestamp() * 1_000_000)
        old = MetaData()
        old.reflect(connection)
        connection.execute(insert(old.tables["accounts"]).values(account | {"heard_until": until}))
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


RENAMED = {
    "accounts": {"id": 1, "base_url": ACCOUNT.base_url, "username": ACCOUNT.username, "heard_until": 3},
    "arrivals": {"account_id": 1, "position": 1, "message_id": "s1", "received_at": 1, "heard_at": 2},
    "contacts": {"account_id": 1, "number_hash": "h", "sent_at": 1, "maybe_message_id": "s1"},
    "shown": {"account_id": 1, "caller": "reader", "sender_hash": "h", "shown_at": 2, "created_at": 1},
}
"""Rows of version 0011, by its names of tables and columns."""


async def test_rows_of_renamed_tables_and_columns_are_kept(nothing: StateLocation) -> None:
    engine = open_engine(nothing)
    with engine.begin() as connection:
        upgrade(connection, "0011")
        old = MetaData()
        old.reflect(connection)
        for table, row in RENAMED.items():
            connection.execute(insert(old.tables[table]).values(row))
        upgrade(connection)
    engine.dispose()
    assert read_rows(nothing, "SELECT history_read_until, history_read_at FROM accounts") == [(3, None)]
    assert read_rows(nothing, "SELECT message_id, recorded_at FROM arrivals") == [("s1", 2)]
    kept = "SELECT number_hash, sent_at, received_at, maybe_message_id FROM known_numbers"
    assert read_rows(nothing, kept) == [("h", 1, None, "s1")]
    assert read_rows(nothing, "SELECT caller, sender_hash, shown_at, created_at FROM taint") == [
        ("reader", "h", 2, 1)
    ]


async def test_p6_the_opt_outs_of_an_older_version_hold_for_all_accounts(
    nothing: StateLocation, clock: ManualClock
) -> None:
    """The later opt-out or opt-in of several accounts counts; unfinished orders are unchanged."""
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
    """Return the hasher of a location."""
    return await anyio.to_thread.run_sync(find_hasher, location)


def put_old_rows(connection: Connection, hasher: Hasher) -> None:
    """Store two accounts, their contacts and orders, as a server of version 0005 did."""
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
    """Return the stored values of an order that asks a question, without its times."""
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


async def test_tables_created_from_the_schema_equal_those_of_the_migrations(nothing: StateLocation) -> None:
    async with opened(nothing) as store:
        with engine_of(store).connect() as connection:
            context = MigrationContext.configure(connection)
            assert compare_metadata(context, metadata) == []
            assert context.get_current_revision() == HEAD


def test_the_newest_migration_is_the_expected_one() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(elks_mcp.store.db.migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


@on_both_databases
async def test_stored_data_is_there_after_reopening(location: StateLocation) -> None:
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


async def test_processes_that_open_simultaneously_create_one_database(nothing: StateLocation) -> None:
    storages = [Storage(nothing, ACCOUNT) for _ in range(5)]
    async with anyio.create_task_group() as opening:
        for storage in storages:
            opening.start_soon(storage.open)
    orders = [await place_one(await storage.open(), f"Text {n}") for n, storage in enumerate(storages)]
    assert [await (await storages[0].open()).orders.get(order.id) for order in orders] == orders
    for storage in storages:
        await storage.close()
    assert read_rows(nothing, "SELECT count(*) FROM accounts") == [(1,)]


async def test_nothing_is_created_before_it_is_needed(folder: StateLocation) -> None:
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


async def test_state_in_memory_is_gone_at_the_end() -> None:
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


async def test_secrets_depend_on_the_key_and_on_their_purpose(location: StateLocation) -> None:
    one, two = Storage(location, ACCOUNT), Storage(location, OTHERS)
    assert await one.secrets_for("sms") == await two.secrets_for("sms")
    assert not {*await one.secrets_for("sms")} & {*await one.secrets_for("delivery")}
    await one.close()
    await two.close()
