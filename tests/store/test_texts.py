"""How long the text of an order is stored."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.domain.approval import APPROVAL_TIMEOUT
from elks_mcp.domain.orders import (
    UNFINISHED,
    OrderState,
    Report,
)
from elks_mcp.domain.phone import Number
from elks_mcp.domain.taint import TAINT_LASTS, ShownText
from elks_mcp.errors import (
    NotFound,
)
from elks_mcp.store import StateLocation, Storage
from elks_mcp.store.cleanup import ROWS_KEPT, UNKNOWN_TEXT_KEPT
from elks_mcp.store.store import Store
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, PHONE, a_draft
from tests.support.store_cases import DAY, EVENING, WAYS, _sent, _unknown
from tests.support.stores import (
    ACCOUNT,
    OTHER_PHONE,
    SECOND,
    a_receipt,
    account_of,
    claim_one,
    files_with,
    on_both_databases,
    opened,
    place_one,
    read_rows,
    wait_one,
)

pytestmark = pytest.mark.anyio


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
        assert read_rows(location, "SELECT id FROM orders WHERE content IS NOT NULL") == []
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
from elks_mcp.store import StateLocation
from tests.support.stores import *

text, step = sys.argv[2], sys.argv[3]

async def live():
    async with opened(StateLocation(folder=Path(sys.argv[1]))) as store:
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


async def test_a_text_half_placed_by_a_killed_process_is_erased_at_the_next_opening(
    folder: StateLocation,
) -> None:
    die_halfway(folder, "place")
    assert folder.folder
    assert files_with(folder.folder, "middagen") != []  # or this proves nothing
    assert not await Storage(folder, ACCOUNT).has_work()
    assert files_with(folder.folder, "middagen") == []
    assert not list(folder.folder.glob("*-*"))


async def test_a_text_half_settled_by_a_killed_process_is_erased_in_the_end(
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
async def test_a_text_is_kept_for_the_configured_number_of_days(
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


async def test_kept_texts_are_deleted_once_the_operator_no_longer_keeps_texts(
    location: StateLocation, clock: ManualClock
) -> None:
    keeping = StateLocation(folder=location.folder, url=location.url, key=location.key, retention=7 * DAY)
    async with opened(keeping, clock) as store:
        order = await _sent(store)
    async with opened(location, clock) as store:
        assert (await store.orders.get(order.id)).text is None


async def test_the_text_of_an_unknown_order_is_kept_for_a_week(
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
async def test_finished_orders_are_deleted_after_ninety_days(
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
async def test_a_shown_text_taints_texts_to_others_for_half_an_hour(
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
        assert read_rows(location, "select count(*) from taint") == [(2,)]
        clock.advance(SECOND)
        await store.cleanup.delete_expired()
        assert read_rows(location, "select count(*) from taint") == [(0,)]


async def test_opening_the_store_expires_orders_that_waited_too_long(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await wait_one(store, EVENING)
    clock.advance(APPROVAL_TIMEOUT)
    async with opened(location, clock) as store:
        order = await store.orders.get(order.id)
        assert (order.state, order.text) == (OrderState.EXPIRED, None)
