"""Cancelled transactions, and the behaviour of the database."""

import asyncio
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from elks_mcp.domain.models import Direction
from elks_mcp.domain.orders import (
    OrderState,
)
from elks_mcp.errors import (
    StateUnavailable,
    StateUncertain,
)
from elks_mcp.store import StateLocation
from elks_mcp.store.db.database import Tx
from elks_mcp.store.store import Store
from tests.support.clocks import HANG, ManualClock
from tests.support.connecting import until
from tests.support.provider import NOON, a_draft, an_approval
from tests.support.state_folders import with_tables
from tests.support.store_cases import EVENING, NONE, QUIET
from tests.support.stores import (
    KEY,
    OTHER_PHONE,
    PRICE,
    a_message,
    allow,
    change_rows,
    claim_new,
    claim_one,
    engine_of,
    on_both_databases,
    opened,
    place_one,
    read_rows,
    said,
    within,
)

pytestmark = pytest.mark.anyio


# ── hanging up ──


async def test_closing_waits_for_the_transaction_that_runs(tmp_path: Path) -> None:
    """On SQLite all transactions have the same connection."""
    begun, may_end = threading.Event(), threading.Event()

    def count(tx: Tx) -> object:
        begun.set()
        may_end.wait(HANG)
        return tx.execute(text("SELECT count(*) FROM orders")).scalar_one()

    async with opened(with_tables(tmp_path / "state")) as store, anyio.create_task_group() as tasks:
        counting = asyncio.create_task(store.database.run(count, writes=True))
        await anyio.to_thread.run_sync(begun.wait, HANG)
        tasks.start_soon(store.database.close)
        await until(lambda: store.database._threads.statistics().tasks_waiting == 1)
        may_end.set()
        assert await counting == 0


@on_both_databases
async def test_a_caller_that_disconnects_does_not_break_off_a_transaction(location: StateLocation) -> None:
    async with opened(location) as store:
        entered = asyncio.Event()
        loop = asyncio.get_running_loop()

        def check(*_: object) -> None:
            loop.call_soon_threadsafe(entered.set)

        async with anyio.create_task_group() as calling:
            calling.start_soon(store.orders.place, an_approval(a_draft(EVENING)), check)
            await entered.wait()
            calling.cancel_scope.cancel()
        claim = await claim_one(store)
        assert claim.draft.text == EVENING


async def test_inbound_and_outbound_messages_are_told_apart(location: StateLocation) -> None:
    inbound, outbound = said("Hej"), a_message("Hej", to=OTHER_PHONE)
    assert (inbound.direction, outbound.direction) == (Direction.INBOUND, Direction.OUTBOUND)
    async with opened(location) as store:
        await store.inbound.record([inbound, outbound])
    rows = read_rows(location, "SELECT sent_at IS NULL, received_at IS NULL FROM known_numbers")
    assert sorted((bool(sent), bool(received)) for sent, received in rows) == [(False, True), (True, False)]


# ── what a database does by itself ──


async def test_the_operators_isolation_level_does_not_matter(postgres_with_tables: str) -> None:
    """At REPEATABLE READ, a transaction that waited for a lock would see the data from before."""
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


async def test_options_in_the_database_address_apply(postgres_database: str) -> None:
    with psycopg.connect(postgres_database) as server:
        server.execute("create schema elsewhere")
    url = f"{postgres_database}&options=-csearch_path%3Delsewhere"
    async with opened(StateLocation(url=SecretStr(url), key=KEY)):
        pass
    with psycopg.connect(postgres_database) as server:
        tables = server.execute("select schemaname from pg_tables where tablename = 'orders'").fetchall()
        assert tables == [("elsewhere",)]


@on_both_databases
async def test_an_order_whose_commit_was_not_confirmed_is_placed(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        with losing_the_word(store, for_good=False):
            placed = await store.orders.place(an_approval(a_draft(EVENING)), allow)
    assert (placed.is_repeat, placed.order.text) == (False, EVENING)
    assert read_rows(location, "SELECT id, state FROM orders") == [(placed.order.id, "queued")]


@on_both_databases
async def test_an_order_that_may_or_may_not_be_placed_is_named_in_the_error(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        with losing_the_word(store, for_good=True), pytest.raises(StateUncertain) as caught:
            await store.orders.place(an_approval(a_draft(EVENING)), allow)
    assert "Do not send it again" in caught.value.explain()
    [number] = re.findall("O-[0-9A-Z]{8}", caught.value.explain())
    assert read_rows(location, "SELECT id, state FROM orders") == [(number, "queued")]


@contextmanager
def losing_the_word(store: Store, *, for_good: bool) -> Iterator[None]:
    """Lose the database just after the next commit, or only its confirmation."""
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


async def test_a_message_assigned_to_two_orders_at_once_is_retried_later(
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


async def test_the_sum_of_what_was_spent_is_read_from_an_index_alone(tmp_path: Path) -> None:
    """Each send and each claim sums up all texts of a day, so their rows must not be read."""
    run: list[tuple[str, dict[str, object]]] = []
    async with opened(with_tables(tmp_path / "state")) as store:
        event.listen(
            engine_of(store),
            "before_cursor_execute",
            lambda _, __, sql, values, *___: run.append((sql, values)),
        )
        await place_one(store)
        await claim_one(store)
        sums = [each for each in run if "sum(spenders.charge)" in each[0]]
        plans = [await store.database.run(partial(explain, *each), writes=False) for each in sums]
    assert len(plans) == 2
    for plan in plans:
        assert [step for step in plan if " spenders USING COVERING INDEX ix_orders_charged " in step]


def explain(statement: str, values: dict[str, object], tx: Tx) -> list[str]:
    """Return the steps of SQLite's plan for a statement."""
    return [row.detail for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
