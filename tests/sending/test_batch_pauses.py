"""Batches that are paused, resumed and cancelled: by a person, by the server, and by the end of a process."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from elks_mcp.contacts.accepted import AcceptedContacts
from elks_mcp.contacts.source import ContactSource
from elks_mcp.domain.allowed_recipients import ContactReference
from elks_mcp.domain.batches import Batch, BatchState
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.errors import Misconfigured, Refused
from elks_mcp.sandbox import Fault
from elks_mcp.sending.batch_starts import BatchStarts
from elks_mcp.sending.options import OutboxOptions
from elks_mcp.store import Idle, PauseReason, StateLocation
from elks_mcp.store.opt_outs import OptOuts
from tests.support.provider import UNLIMITED, a_draft, an_approval, posts
from tests.support.shops import (
    MESSAGE,
    THREE,
    Shop,
    list_phones,
    open_idle_shop,
    open_shop,
    texts_of,
    write_list,
)
from tests.support.stores import (
    MINUTE,
    SECOND,
    World,
    WorldBackend,
    allow,
    claim_one,
    failing,
    on_both_databases,
    place_one,
    read_rows,
)

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
SENT, PAUSED, CANCELLED = OrderState.SENT, OrderState.PAUSED, OrderState.CANCELLED
TEN = write_list(list_phones(10))


# ── by a person ──


@on_both_databases
async def test_a_resumed_batch_continues_where_it_stopped(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start(TEN)
        await shop.pass_until_sent(4)
        paused = await shop.batches.pause(batch.id)
        assert (paused.state, paused.pause_reason) == (BatchState.PAUSED, "The caller paused it.")
        await shop.backend.pass_time(10 * MINUTE)
        assert len(shop.sent) == 10 - paused.counts[PAUSED]
        ended = await shop.pass_until_ended(await shop.batches.resume(batch.id))
        assert (ended.state, ended.counts) == (BatchState.FINISHED, {SENT: 10})
        assert (len(shop.sent), texts_of(shop)) == (10, {1})


@on_both_databases
async def test_a_cancelled_batch_sends_nothing_more(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start(TEN)
        await shop.pass_until_sent(4)
        assert (await shop.batches.cancel(batch.id)).state is BatchState.CANCELLED
        await shop.backend.pass_time(10 * MINUTE)
        ended = await shop.batches.get(batch.id)
        assert (ended.unfinished, ended.row_count) == (0, 10)
        assert len(shop.sent) == ended.counts[SENT]
        with pytest.raises(Refused, match="was cancelled"):
            await shop.batches.resume(batch.id)
        assert read_rows(location, "SELECT id FROM orders WHERE content IS NOT NULL") == [] or location.url


async def test_pausing_resuming_and_cancelling_have_their_effect_in_each_state(
    location: StateLocation,
) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan()
        assert (await shop.batches.pause(plan.id)).state is BatchState.PLANNED
        assert (await shop.batches.resume(plan.id)).state is BatchState.PLANNED
        assert (await shop.batches.cancel(plan.id)).state is BatchState.CANCELLED
        with pytest.raises(Refused, match="was cancelled"):
            await shop.start(plan)
        batch = await shop.plan_and_start()
        assert (await shop.batches.resume(batch.id)).state is BatchState.RUNNING
        await shop.batches.pause(batch.id)
        assert (await shop.batches.pause(batch.id)).state is BatchState.PAUSED
        assert (await shop.pass_until_ended(await shop.batches.resume(batch.id))).counts == {SENT: 3}
        for change in (shop.batches.pause, shop.batches.resume, shop.batches.cancel):
            assert (await change(batch.id)).state is BatchState.FINISHED


@on_both_databases
@pytest.mark.parametrize("how", ["paused", "cancelled"])
async def test_a_text_that_46elks_defers_follows_the_state_of_its_batch(
    location: StateLocation, how: str
) -> None:
    backend = WorldBackend(World(location))
    async with backend.opened() as store:
        shop = Shop(backend)
        batch = await shop.plan_and_start()
        pace = backend.outbox.pace
        withdrawn = await claim_one(store, pace)
        backend.clock.advance(SECOND)
        refused = await claim_one(store, pace)
        await (shop.batches.pause if how == "paused" else shop.batches.cancel)(batch.id)
        await store.queue.withdraw(withdrawn)
        await store.queue.put_back(refused, "Too many requests.", PauseReason.THROTTLED, SECOND)
        ended = await shop.batches.get(batch.id)
        assert ended.counts == {PAUSED if how == "paused" else CANCELLED: 3}
        charged = "SELECT sum(charge) FROM orders WHERE batch_id = ?"
        assert read_rows(location, charged, batch.id) == [(0,)]


@on_both_databases
@pytest.mark.parametrize("how", ["paused", "cancelled"])
@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.ACCEPT_LATE_DROP])
async def test_p4_a_text_in_doubt_follows_the_state_of_its_batch(
    location: StateLocation, fault: Fault, how: str
) -> None:
    async with open_shop(location) as shop:
        is_late = fault is Fault.ACCEPT_LATE_DROP
        late = MINUTE if is_late else None
        shop.backend.world.box.faults.inject(fault, method="POST", path="/sms", dryrun=False, duration=late)
        batch = await shop.plan_and_start("namn;telefon\nÅsa;+46701740620\n")

        async def is_in_doubt() -> bool:
            return OrderState.IN_DOUBT in (await shop.batches.get(batch.id)).counts

        await shop.backend.pass_until(is_in_doubt)
        await (shop.batches.pause if how == "paused" else shop.batches.cancel)(batch.id)
        await shop.backend.pass_time(10 * MINUTE)
        left = PAUSED if how == "paused" else CANCELLED
        assert (await shop.batches.get(batch.id)).counts == {SENT if is_late else left: 1}
        if how == "paused":
            ended = await shop.pass_until_ended(await shop.batches.resume(batch.id))
            assert ended.counts == {SENT: 1}
        assert len(shop.backend.world.box.accepted) == (how == "paused" or is_late)


async def test_a_batch_that_was_paused_for_more_than_24_hours_ends(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start()
        await shop.batches.pause(batch.id)
        shop.clock.advance(timedelta(hours=24, seconds=1))
        with pytest.raises(Refused, match="more than 24 hours ago"):
            await shop.batches.resume(batch.id)
        await shop.backend.pass_time(2 * HOUR)
        ended = await shop.batches.get(batch.id)
        assert (ended.state, ended.unfinished) == (BatchState.FINISHED, 0)
        assert "paused for more than 24 hours" in " ".join(ended.failures)
        assert read_rows(location, "SELECT id FROM orders WHERE content IS NOT NULL") == []


async def test_p13_a_batch_that_is_paused_at_its_time_misses_it_and_says_so(location: StateLocation) -> None:
    at = {"send_at": "2026-11-23T13:00", "time_zone": "UTC"}
    async with open_shop(location) as shop:
        store = await shop.backend.storage.open()
        batches = [await shop.plan_and_start(THREE, f"Hej {each}", **at) for each in range(2)]
        for batch in batches:
            await shop.batches.pause(batch.id)
        shop.clock.advance(timedelta(hours=2, seconds=1))
        assert (await shop.batches.resume(batches[0].id)).counts == {OrderState.EXPIRED: 3}
        await shop.backend.pass_time(HOUR)
        assert (await shop.batches.get(batches[1].id)).counts == {OrderState.EXPIRED: 3}
        assert shop.sent == []
        assert len(await store.schedule.take_unreported("")) == 6


async def test_a_batch_that_is_resumed_at_night_waits_for_the_morning(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start()
        await shop.batches.pause(batch.id)
        await shop.backend.rest()
        sent = len(shop.sent)
        shop.clock.advance(datetime(2026, 11, 23, 22, 0, tzinfo=UTC) - shop.clock.now())
        resumed = await shop.batches.resume(batch.id)
        assert resumed.counts.get(OrderState.SCHEDULED, 0) == 3 - sent
        await shop.backend.pass_time(10 * MINUTE)
        assert len(shop.sent) == sent


# ── by the server ──


@on_both_databases
async def test_rows_that_are_still_queued_at_night_wait_for_the_morning(location: StateLocation) -> None:
    backend = WorldBackend(World(location))
    async with backend.opened() as store:
        shop = Shop(backend)
        backend.clock.advance(datetime(2026, 11, 23, 19, 50, tzinfo=UTC) - backend.clock.now())
        batch = await shop.plan_and_start()
        assert batch.counts == {OrderState.QUEUED: 3}
        single = await place_one(store, "Brådskande")
        backend.clock.advance(15 * MINUTE)
        assert (await claim_one(store, backend.outbox.pace)).order_id == single.id
        backend.clock.advance(SECOND)
        assert await store.queue.claim(backend.outbox.pace, allow) == Idle(None)
        assert (await shop.batches.get(batch.id)).counts == {OrderState.SCHEDULED: 3}
        backend.clock.advance(datetime(2026, 11, 24, 7, 0, tzinfo=UTC) - backend.clock.now() - SECOND)
        assert await store.schedule.list_due() == []
        backend.clock.advance(SECOND)
        assert len(await store.schedule.list_due()) == 3


async def test_five_equal_refusals_in_a_row_pause_a_batch(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        for _ in range(5):
            shop.backend.world.box.faults.inject(Fault.FORBIDDEN, method="POST", path="/sms", dryrun=False)
        batch = await shop.pass_until_ended(await shop.plan_and_start(TEN))
        assert (batch.state, batch.counts) == (BatchState.PAUSED, {OrderState.REJECTED: 5, PAUSED: 5})
        assert batch.pause_reason.startswith("46elks refused 5 texts in a row: ")
        ended = await shop.pass_until_ended(await shop.batches.resume(batch.id))
        assert ended.counts == {OrderState.REJECTED: 5, SENT: 5}


async def test_refusals_with_a_success_between_them_do_not_pause_a_batch(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start(TEN)
        for refused, sent in ((4, 5), (4, 10)):
            for _ in range(refused):
                shop.backend.world.box.faults.inject(
                    Fault.FORBIDDEN, method="POST", path="/sms", dryrun=False
                )
            await shop.pass_until_sent(sent)
        batch = await shop.pass_until_ended(batch)
        assert (batch.state, batch.counts[OrderState.REJECTED]) == (BatchState.FINISHED, 8)


@on_both_databases
async def test_a_batch_that_nobody_sends_for_an_hour_is_paused_and_not_expired(
    location: StateLocation,
) -> None:
    world = World(location)
    backend = WorldBackend(world)
    async with backend.opened():  # no worker runs, as after a kill
        batch = await Shop(backend).plan_and_start()
    world.clock.advance(timedelta(hours=1, minutes=5))
    async with open_shop(world) as shop:
        await shop.backend.pass_time(MINUTE)
        paused = await shop.batches.get(batch.id)
        assert (paused.state, paused.counts, shop.sent) == (BatchState.PAUSED, {PAUSED: 3}, [])
        assert "no server that may send was running" in paused.pause_reason
        ended = await shop.pass_until_ended(await shop.batches.resume(batch.id))
        assert ended.counts == {SENT: 3}


@on_both_databases
async def test_a_price_that_rose_before_the_time_pauses_the_batch(location: StateLocation) -> None:
    at = {"send_at": "2026-11-23T13:00", "time_zone": "UTC"}
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start(THREE, MESSAGE, **at)
        shop.backend.world.box.rules.prices["46"] += 1
        shop.clock.advance(HOUR)
        await shop.backend.pass_time(MINUTE)
        paused = await shop.batches.get(batch.id)
        assert (paused.state, paused.counts) == (BatchState.PAUSED, {PAUSED: 3})
        assert "0.52 SEK was approved" in paused.pause_reason
        with pytest.raises(Refused, match="raised its price"):
            await shop.batches.resume(batch.id)


@on_both_databases
async def test_five_rows_that_46elks_refuses_to_price_pause_the_batch(location: StateLocation) -> None:
    at = {"send_at": "2026-11-23T13:00", "time_zone": "UTC"}
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start(TEN, MESSAGE, **at)
        box = shop.backend.world.box
        box.faults.inject(Fault.FORBIDDEN, path="/sms", dryrun=True, times=None, text="Invalid sender")
        asked = len(posts(box, dry_run=True))
        shop.clock.advance(HOUR)
        await shop.backend.pass_time(MINUTE)
        paused = await shop.batches.get(batch.id)
        assert (paused.state, paused.counts) == (BatchState.PAUSED, {OrderState.REJECTED: 5, PAUSED: 5})
        assert "46elks refused 5 texts in a row" in paused.pause_reason
        assert len(posts(box, dry_run=True)) - asked == 5


# ── what is checked at a resumption ──


async def test_an_opt_out_during_the_pause_counts_when_rows_are_resumed(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start(TEN)
        await shop.batches.pause(batch.id)
        store = await shop.backend.storage.open()
        await OptOuts(store.database).add([Number("+46701740629")], "")
        ended = await shop.pass_until_ended(await shop.batches.resume(batch.id))
        assert ended.counts == {SENT: 9, CANCELLED: 1}
        assert "+46701740629" not in dict(shop.sent)


@on_both_databases
async def test_p4_a_row_that_was_sent_while_the_batch_was_paused_is_not_sent_again(
    location: StateLocation,
) -> None:
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start(TEN)
        await shop.batches.pause(batch.id)
        (single,) = [text for to, text in await _list_texts(shop, batch) if to == "+46701740629"]
        draft = a_draft(single, to=Number("+46701740629"), key="wanted now")
        order = (await shop.backend.orders.place(an_approval(draft))).order
        shop.backend.outbox.hand_over(order)
        await shop.pass_until_sent(1)
        ended = await shop.pass_until_ended(await shop.batches.resume(batch.id))
        assert (ended.counts, texts_of(shop)) == ({SENT: 9, CANCELLED: 1}, {1})
        assert list(ended.failures) == [f"It was already sent in {order.id}."]


async def _list_texts(shop: Shop, batch: Batch) -> list[tuple[str, str]]:
    store = await shop.backend.storage.open()
    orders = [order for _, order in await store.batches.list_orders(batch.id)]
    return [(order.to.e164, order.text or "") for order in orders if order.to]


async def test_texts_since_the_pause_count_when_a_batch_is_resumed(location: StateLocation) -> None:
    policy = UNLIMITED.model_copy(update={"max_per_number": 2})
    async with open_idle_shop(location, policy) as shop:
        rows = "namn;telefon\nÅsa;+46701740605\nBo;+46701740605\n"
        batch = await shop.plan_and_start(rows, "Ett, {namn}")
        await shop.batches.pause(batch.id)
        resumed = await shop.batches.resume(batch.id)
        assert resumed.counts == {OrderState.QUEUED: 2}
        await shop.batches.pause(batch.id)
        await place_one(await shop.backend.storage.open(), "Två", to=Number("+46701740605"))
        assert (await shop.batches.resume(batch.id)).counts == {OrderState.QUEUED: 1, CANCELLED: 1}


async def test_p7_rules_that_the_operator_tightened_meanwhile_hold_for_rows_that_are_resumed(
    location: StateLocation,
) -> None:
    world, allowed = World(location), frozenset({Number("+46701740629")})
    async with open_idle_shop(world) as shop:
        batch = await shop.plan_and_start(TEN)
        await shop.batches.pause(batch.id)
    tightened = UNLIMITED.model_copy(update={"allowed_recipients": allowed})
    async with open_idle_shop(world, tightened) as shop:
        resumed = await shop.batches.resume(batch.id)
        assert resumed.counts == {OrderState.QUEUED: 1, CANCELLED: 9}
        (why,) = resumed.failures
        assert why.startswith("Refused by allowed_recipient: the number is not one of")


async def test_p7_contacts_that_cannot_be_read_keep_a_batch_from_being_resumed_and_end_no_row(
    location: StateLocation, tmp_path: Path
) -> None:
    async with open_idle_shop(location) as shop:
        batch = await shop.plan_and_start(TEN)
        await shop.batches.pause(batch.id)
        limited = UNLIMITED.model_copy(
            update={"allowed_recipients": frozenset({ContactReference("contacts")})}
        )
        contacts = AcceptedContacts(ContactSource(tmp_path / "gone.vcf"))
        checks = replace(shop.backend.checks, policy=limited, contacts=contacts)
        options = OutboxOptions(per_minute=95, timeout=SECOND, quiet=SECOND)
        starts = BatchStarts(shop.backend.client, checks, options)
        store = await shop.backend.storage.open()
        with pytest.raises(Misconfigured, match=r"gone\.vcf"):
            await starts.resume(store, batch)
        assert (await shop.batches.get(batch.id)).counts == {PAUSED: 10}


async def test_a_batch_that_costs_more_than_approved_is_paused_although_the_store_failed_meanwhile(
    location: StateLocation,
) -> None:
    """The failure ends neither the worker nor the server."""
    async with open_shop(location) as shop:
        faults = shop.backend.world.box.faults
        faults.inject(Fault.WRONG_COST, method="POST", path="/sms", dryrun=False, cost=9999)

        async def is_met() -> bool:
            return fault.met > 0

        with failing(await shop.backend.storage.open(), "UPDATE batches SET paused_at") as fault:
            batch = await shop.plan_and_start(TEN)
            await shop.backend.pass_until(is_met)
        ended = await shop.pass_until_ended(batch)
        assert ended.state is BatchState.PAUSED
        assert "46elks charged 0.99" in ended.pause_reason
        assert "approved at 0.52 SEK" in ended.pause_reason
