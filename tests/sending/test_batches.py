"""Batches, from the list to the sent texts: no text goes out twice, and every row ends."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from elks_mcp.domain.batches import BatchState
from elks_mcp.domain.orders import Approver, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.errors import NotApproved, NotFound, Refused
from elks_mcp.sending.batches import BatchDryRun, BatchNeedsApproval, BatchReady, BatchRepeated
from elks_mcp.sending.plan import Decision
from elks_mcp.store import Idle, StateLocation
from elks_mcp.store.batch_admin import BatchAdmin
from tests.support.clocks import autojump
from tests.support.provider import PHONE, UNLIMITED, a_draft, an_approval, posts
from tests.support.shops import (
    SLOT,
    THREE,
    Shop,
    check_cap,
    list_phones,
    open_idle_shop,
    open_shop,
    write_list,
)
from tests.support.stores import (
    MINUTE,
    PRICE,
    World,
    WorldBackend,
    a_receipt,
    allow,
    claim_one,
    on_both_databases,
    read_rows,
    said,
)

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


# ── starting ──


@on_both_databases
async def test_a_batch_sends_each_row_its_text_once(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan()
        assert (len(plan.rows), plan.left_out, shop.sent) == (3, (), [])
        batch = await shop.pass_until_ended(await shop.start(plan))
        assert (batch.state, batch.row_count, batch.spent) == (BatchState.FINISHED, 3, plan.total)
        assert shop.sent == [
            ("+46701740605", "Hej Åsa! Din tid är i morgon."),
            ("+46701740606", "Hej Bo! Din tid är i morgon."),
            ("+46701740607", "Hej Kim! Din tid är i morgon."),
        ]


@on_both_databases
async def test_p3_a_plan_that_was_approved_once_starts_once(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan()
        batch = await shop.pass_until_ended(await shop.start(plan))
        assert isinstance(await shop.batches.prepare(plan.id, can_ask=True), BatchRepeated)
        assert (await shop.start(plan)).counts == batch.counts
        assert len(shop.sent) == 3


async def test_p2_a_plan_other_than_the_approved_one_is_refused(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan()
        for other in (
            plan.model_copy(update={"rows": plan.rows[:-1]}),
            plan.model_copy(update={"send_at": shop.clock.now() + HOUR}),
            plan.model_copy(update={"sender": PHONE}),
        ):
            with pytest.raises(Refused, match="not the plan that was approved"):
                await shop.start(other)
        await shop.backend.pass_time(MINUTE)
        assert shop.sent == []


async def test_p2_a_price_that_rose_since_the_plan_is_refused(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan()
        shop.backend.world.box.rules.prices["46"] += 1
        with pytest.raises(Refused, match="raised its price"):
            await shop.start(plan)
        assert (await shop.batches.get(plan.id)).state is BatchState.PLANNED


@on_both_databases
async def test_p4_repeating_a_plan_after_a_time_out_texts_no_recipient_twice(
    location: StateLocation,
) -> None:
    async with open_shop(location) as shop:
        first, second = await shop.plan(), await shop.plan()
        await shop.pass_until_ended(await shop.start(first))
        repeated = await shop.start(second)
        assert repeated.counts == {OrderState.CANCELLED: 3}
        assert max(Counter(to for to, _ in shop.sent).values()) == 1
        third = await shop.plan()
        assert third.rows == ()
        assert {each.reason for each in third.left_out} == {
            f"It was already sent, or will be, in {first.id}."
        }


@on_both_databases
async def test_p4_a_list_is_sent_once_even_if_the_queue_is_longer_than_a_day(location: StateLocation) -> None:
    """At this pace the last rows leave two days later, and the second batch would leave after them."""
    async with open_shop(location, per_minute=0.01) as shop:
        rows = write_list(list_phones(20))
        first, second = await shop.plan(rows), await shop.plan(rows)
        started = await shop.start(first)
        assert (await shop.start(second)).counts == {OrderState.CANCELLED: 20}
        third = await shop.plan(rows)
        assert third.rows == ()
        assert {each.reason for each in third.left_out} == {
            f"It was already sent, or will be, in {started.id}."
        }


async def test_a_plan_older_than_24_hours_is_not_started(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan()
        shop.clock.advance(timedelta(hours=24, seconds=1))
        with pytest.raises(Refused, match="more than 24 hours old"):
            await shop.start(plan)
        assert (await shop.batches.get(plan.id)).state is BatchState.EXPIRED


async def test_p1_a_server_in_dry_run_starts_no_batch(location: StateLocation) -> None:
    async with open_shop(location, UNLIMITED.model_copy(update={"dry_run": True})) as shop:
        plan = await shop.plan()
        assert isinstance(await shop.batches.prepare(plan.id, can_ask=True), BatchDryRun)
        with pytest.raises(Refused, match="in dry run"):
            await shop.start(plan)
        await shop.backend.pass_time(MINUTE)
        assert shop.sent == []


async def test_more_than_ten_recipients_need_a_persons_approval(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan(write_list(list_phones(11)))
        needed = await shop.batches.prepare(plan.id, can_ask=True)
        assert isinstance(needed, BatchNeedsApproval)
        assert "many" in {each.guard for each in needed.reasons}
        with pytest.raises(NotApproved, match="Declined"):
            await shop.batches.start(needed, Decision.DECLINED)
        with pytest.raises(NotApproved, match="Waiting for approval A-"):
            await shop.batches.start(needed, Decision.CANNOT_ASK)
        waiting = await shop.batches.get(plan.id)
        assert (waiting.state, shop.sent) == (BatchState.WAITING, [])
        assert (await shop.batches.get(waiting.approval_code or "")).id == plan.id
        batch = await shop.pass_until_ended(await shop.batches.start(needed, Decision.APPROVED))
        assert (batch.approver, len(shop.sent)) == (Approver.PERSON, 11)


async def test_few_recipients_need_no_approval_if_no_person_can_be_asked(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        assert isinstance(await shop.batches.prepare((await shop.plan()).id, can_ask=False), BatchReady)


async def test_another_caller_cannot_see_a_batch(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start()
        other = Shop(shop.backend, caller="another")
        for ask in (other.batches.get, other.batches.pause, other.batches.resume, other.batches.cancel):
            with pytest.raises(NotFound):
                await ask(batch.id)


async def test_a_batch_that_could_not_be_sent_in_time_is_neither_started_nor_approved(
    location: StateLocation,
) -> None:
    at = {"send_at": "2026-11-23T13:00", "time_zone": "UTC"}
    async with open_shop(location, per_minute=1) as shop:
        plan = await shop.plan(**at)
        store = await shop.backend.storage.open()
        waiting = await store.batch_approvals.ask(plan.id)
        shop.clock.advance(HOUR + timedelta(minutes=59))
        with pytest.raises(Refused, match="cannot all leave in time"):
            await shop.start(plan)
        shop.clock.advance(2 * MINUTE)
        with pytest.raises(Refused, match=f"The time of {plan.id} is over"):
            await BatchAdmin(store.database).approve(waiting.approval_code or "", plan.digest)
        assert shop.sent == []


# ── while it runs ──


@on_both_databases
async def test_p6_a_recipient_who_opts_out_half_way_is_left_out(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        batch = await shop.plan_and_start()
        store = await shop.backend.storage.open()
        await store.inbound.record([said("STOPP", by=Number("+46701740607"), at=shop.clock.now())])
        ended = await shop.pass_until_ended(batch)
        assert ended.counts == {OrderState.SENT: 2, OrderState.CANCELLED: 1}
        assert "+46701740607" not in dict(shop.sent)


async def test_p6_a_recipient_who_opted_out_since_the_plan_is_left_out_at_the_start(
    location: StateLocation,
) -> None:
    async with open_idle_shop(location) as shop:
        plan = await shop.plan()
        store = await shop.backend.storage.open()
        await store.inbound.record([said("STOPP", by=Number("+46701740605"), at=shop.clock.now())])
        assert (await shop.start(plan)).counts == {OrderState.CANCELLED: 1, OrderState.QUEUED: 2}
        assert read_rows(location, "SELECT content, charge FROM orders WHERE state = 'cancelled'") == [
            (None, 0)
        ]


@on_both_databases
async def test_a_single_text_overtakes_a_running_batch(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        await shop.plan_and_start(write_list(list_phones(20)))
        await shop.pass_until_sent(5)
        asked_at = shop.clock.now()
        await shop.backend.outbox.place(an_approval(a_draft("Brådskande")), shop.backend.orders)
        await shop.pass_until_sent(8)
        urgent = [post.at for post in posts(shop.backend.world.box) if post.form["message"] == "Brådskande"]
        assert urgent
        assert urgent[0] - asked_at <= 2 * SLOT


async def test_p4_the_text_of_a_row_that_is_queued_for_later_is_a_repeat(location: StateLocation) -> None:
    async with open_shop(location, per_minute=1) as shop:
        phones = list_phones(20)
        await shop.plan_and_start(write_list(phones), "Hej!")
        repeat = an_approval(a_draft("Hej!", to=phones[-1]))
        placed = await (await shop.backend.storage.open()).orders.place(repeat, allow)
        assert placed.is_repeat


async def test_two_processes_share_the_rows_of_a_batch(location: StateLocation) -> None:
    world = World(location)
    async with open_shop(world) as shop, open_shop(world) as other:
        batch = await shop.plan_and_start(write_list(list_phones(30)))
        other.backend.outbox.wake()
        ended = await shop.pass_until_ended(batch)
        assert ended.counts == {OrderState.SENT: 30}
        assert set(Counter(shop.sent).values()) == {1}
        moments = [post.at for post in posts(world.box)]
        assert moments[-1] - moments[0] >= 29 * SLOT - timedelta(milliseconds=25)


async def test_a_caller_follows_a_batch_until_it_ends_or_the_time_is_up(location: StateLocation) -> None:
    async with open_shop(location, per_minute=6) as shop:
        batch, seen = await shop.plan_and_start(), []

        async def report(each: object) -> None:
            seen.append(each)

        async def follow(within: timedelta) -> BatchState:
            async with autojump(shop.clock):
                return (await shop.batches.follow(batch.id, within, report)).state

        assert await follow(timedelta(seconds=5)) is BatchState.RUNNING
        assert 4 <= len(seen) <= 6
        assert await follow(HOUR) is BatchState.FINISHED


# ── the budget ──


@on_both_databases
async def test_p5_a_batch_over_the_budget_places_nothing(location: StateLocation) -> None:
    policy = UNLIMITED.model_copy(update={"budget_per_day": 2 * PRICE})
    async with open_shop(location, policy) as shop:
        with pytest.raises(Refused, match="daily_budget"):
            await shop.plan()
        assert shop.sent == []


async def test_p5_a_batch_reserves_its_sum_when_it_starts(location: StateLocation) -> None:
    policy = UNLIMITED.model_copy(update={"budget_per_day": 4 * PRICE})
    async with open_shop(location, policy) as shop:
        first, second = await shop.plan(), await shop.plan(write_list(list_phones(2)))
        await shop.start(first)
        with pytest.raises(Refused, match="daily_budget"):
            await shop.start(second)
        assert (await shop.batches.get(second.id)).state is BatchState.PLANNED


@on_both_databases
async def test_p5_a_cap_that_was_lowered_pauses_the_batch_and_says_so(location: StateLocation) -> None:
    backend = WorldBackend(World(location))
    async with backend.opened() as store:
        shop, pace = Shop(backend), backend.outbox.pace
        batch = await shop.plan_and_start()
        await store.queue.settle_sent(await claim_one(store, pace), a_receipt())
        backend.clock.advance(MINUTE)
        lowered = replace(backend.checks, policy=UNLIMITED.model_copy(update={"budget_per_day": 2 * PRICE}))
        claims = await store.queue.claim(pace, lowered.recheck_last)
        assert not isinstance(claims, Idle)
        await store.queue.settle_sent(claims[0], a_receipt())
        backend.clock.advance(MINUTE)
        assert isinstance(await store.queue.claim(pace, lowered.recheck_last), Idle)
        paused = await shop.batches.get(batch.id)
        assert (paused.state, paused.counts) == (
            BatchState.PAUSED,
            {OrderState.SENT: 2, OrderState.PAUSED: 1},
        )
        assert "ELKS_BUDGET_PER_DAY" in paused.pause_reason


async def test_p5_a_batch_is_not_resumed_beyond_the_cap(location: StateLocation) -> None:
    world = World(location)
    async with open_shop(world, per_minute=6) as shop:
        batch = await shop.plan_and_start()
        await shop.pass_until_sent(1)
    async with open_shop(world, UNLIMITED.model_copy(update={"budget_per_day": 2 * PRICE})) as shop:
        with pytest.raises(Refused, match="daily_budget"):
            await shop.batches.resume(batch.id)
        assert (await shop.batches.get(batch.id)).state is BatchState.PAUSED
        await shop.backend.pass_time(MINUTE)
        assert len(shop.sent) == 1


@pytest.mark.parametrize("most", [4, 3])
async def test_p5_35_days_of_batches_stay_within_the_cap_in_any_24_hours(
    location: StateLocation, most: int
) -> None:
    async with open_shop(location, UNLIMITED.model_copy(update={"budget_per_day": most * PRICE})) as shop:
        today, started = shop.clock.now().date(), []
        for day in range(1, 35):
            for hour in (8, 16):
                at = f"{today + timedelta(days=day)}T{hour:02}:00"
                with suppress(Refused):
                    started += [await shop.plan_and_start(THREE, f"Hej {at}", send_at=at, time_zone="UTC")]
        assert len(started) == 34
        for batch in started:
            assert batch.send_at
            shop.clock.advance(batch.send_at - shop.clock.now())
            assert (await shop.pass_until_ended(batch)).counts == {OrderState.SENT: 3}
        check_cap(shop, most)


@on_both_databases
async def test_p5_two_mornings_in_a_row_may_each_use_the_whole_budget(location: StateLocation) -> None:
    async with open_shop(location, UNLIMITED.model_copy(update={"budget_per_day": 3 * PRICE})) as shop:
        begun = shop.clock.now()
        for day in range(3):
            shop.clock.advance(begun + timedelta(days=day) - shop.clock.now())
            batch = await shop.plan_and_start(THREE, f"Dag {day}")
            assert (await shop.pass_until_ended(batch)).counts == {OrderState.SENT: 3}
            assert shop.clock.now() - begun < timedelta(days=day, minutes=2)
        check_cap(shop, 3)


async def test_p5_batches_less_than_a_day_apart_share_their_24_hours(
    location: StateLocation,
) -> None:
    async with open_shop(location, UNLIMITED.model_copy(update={"budget_per_day": 5 * PRICE})) as shop:
        tomorrow = shop.clock.now() + timedelta(days=1)
        await shop.plan_and_start(THREE, "Ett", send_at=tomorrow.isoformat())
        before, after = tomorrow - timedelta(hours=23, minutes=59), tomorrow + timedelta(days=1)
        with pytest.raises(Refused, match="daily_budget"):
            await shop.plan(THREE, "Två", send_at=before.isoformat())
        assert len((await shop.plan(THREE, "Tre", send_at=after.isoformat())).rows) == 3


async def test_p5_single_texts_at_one_time_each_morning_may_each_use_the_whole_budget(
    location: StateLocation,
) -> None:
    async with open_shop(location, UNLIMITED.model_copy(update={"budget_per_day": 3 * PRICE})) as shop:
        store, begun = await shop.backend.storage.open(), shop.clock.now()
        for day in (1, 2, 3):
            for text in "abc":
                at = begun + timedelta(days=day)
                draft = a_draft(f"{text} {day}", send_at=at)
                await shop.backend.orders.place(an_approval(draft))
        for day in (1, 2, 3):
            shop.clock.advance(begun + timedelta(days=day) - shop.clock.now())
            await shop.backend.pass_time(5 * MINUTE)
            assert len(shop.sent) == 3 * day
        assert await store.schedule.take_unreported("") == []
        check_cap(shop, 3)
