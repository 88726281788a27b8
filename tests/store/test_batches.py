"""Batches in the store: one transaction to start, its locks, and how long data is kept."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import anyio
import pytest
from sqlalchemy import event

from elks_mcp.domain.batches import SERVER_ENDED, Batch, BatchPlan, BatchState
from elks_mcp.domain.orders import UNFINISHED, Approver, OrderState
from elks_mcp.errors import NotFound, Refused
from elks_mcp.store import Idle, Refusal, ServerKind, StateLocation
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.batch_admin import BatchAdmin
from elks_mcp.store.db.quick_check import has_work
from elks_mcp.store.privacy import PersonalData
from elks_mcp.store.store import Store
from tests.support.clocks import HANG, ManualClock
from tests.support.shops import a_plan, checks_of, list_phones
from tests.support.stores import (
    ACCOUNT,
    PRICE,
    SECOND,
    UNPACED,
    a_receipt,
    account_of,
    allow,
    change_rows,
    claim_one,
    engine_of,
    files_with,
    on_both_databases,
    opened,
    place_one,
    read_rows,
    said,
    unless_opted_out,
)

pytestmark = pytest.mark.anyio

PEOPLE = list_phones(5)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CHECKS = checks_of(UNPACED)


async def start(store: Store, plan: BatchPlan, **more: Any) -> Batch:
    """Start a stored plan that a person approved."""
    checks = checks_of(UNPACED, **more)
    return (await store.batches.start(plan.id, plan.digest, Approver.PERSON, checks)).batch


async def start_new(store: Store, text: str = "Hej!", **more: Any) -> Batch:
    """Plan a batch, and start it."""
    return await start(store, await store.batches.add(a_plan(PEOPLE, text)), **more)


# ── one transaction ──


@on_both_databases
async def test_a_plan_is_read_as_it_was_stored(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        planned = a_plan(PEOPLE, name="Påminnelser", send_at=clock.now() + HOUR)
        plan = await store.batches.add(planned.model_copy(update={"at_night": True, "again": True}))
        assert await store.batches.get_plan(plan.id) == plan
        assert plan.id.startswith("B-")
        await start(store, plan)
        left = await store.batches.get_plan(plan.id)
        assert left == plan.without_texts()
        assert left.is_started


@on_both_databases
@pytest.mark.parametrize("about", ["INSERT INTO orders", "UPDATE batches", "commit"])
async def test_p4_an_interrupted_start_starts_nothing_and_can_be_repeated(
    location: StateLocation, clock: ManualClock, about: str
) -> None:
    class CutOff(BaseException):
        """The process died."""

    def cut_off(_: object, *rest: object) -> None:
        if about == "commit" or about in str(rest[1]):
            raise CutOff

    account = account_of(f"cut off at {about}")
    async with opened(location, clock, account) as store:
        plan = await store.batches.add(a_plan(PEOPLE))
        name = "commit" if about == "commit" else "before_cursor_execute"
        event.listen(engine_of(store), name, cut_off)
        with pytest.raises(CutOff):
            await start(store, plan)
        event.remove(engine_of(store), name, cut_off)
    async with opened(location, clock, account) as store:
        assert (await store.batches.get(plan.id)).state is BatchState.PLANNED
        assert await store.batches.list_orders(plan.id) == []
        assert (await start(store, plan)).counts == {OrderState.QUEUED: 5}


@on_both_databases
async def test_p3_parallel_starts_of_one_plan_start_it_once(
    location: StateLocation, clock: ManualClock
) -> None:
    account, found = account_of("parallel starts"), []
    async with opened(location, clock, account) as one, opened(location, clock, account) as other:
        plan = await one.batches.add(a_plan(PEOPLE))

        async def try_one(store: Store) -> None:
            found.append(await store.batches.start(plan.id, plan.digest, Approver.PERSON, CHECKS))

        async with anyio.create_task_group() as tasks:
            for store in (one, other) * 3:
                tasks.start_soon(try_one, store)
        assert sorted(each.is_repeat for each in found) == [False] + [True] * 5
        assert (await one.batches.get(plan.id)).counts == {OrderState.QUEUED: 5}


@on_both_databases
@pytest.mark.parametrize("beside", ["nothing", "pause", "cancel", "resume"])
async def test_p3_parallel_servers_continue_an_interrupted_batch_once(
    location: StateLocation, clock: ManualClock, beside: str
) -> None:
    account, found = account_of(f"continued beside {beside}"), []
    async with opened(location, clock, account) as one, opened(location, clock, account) as other:
        batch = await start_new(one)
        await one.heartbeats.forget("the last server")
        assert (await one.batches.get(batch.id)).is_interrupted

        async def continue_it(store: Store) -> None:
            found.append(await store.batch_interruptions.continue_interrupted(batch.id, CHECKS))

        async def change() -> None:
            if beside == "pause":
                await other.batches.pause(batch.id, "Not now.")
            elif beside == "cancel":
                await other.batches.cancel(batch.id)
            elif beside == "resume":
                await other.batches.resume(batch.id, CHECKS)

        async with anyio.create_task_group() as tasks:
            for store in (one, other) * 2:
                tasks.start_soon(continue_it, store)
            tasks.start_soon(change)
            tasks.start_soon(continue_it, one)
        left = await one.batches.get(batch.id)
        assert (found.count(True), left.state, left.counts, left.pause_reason) in _OUTCOMES[beside]
        reserved = read_rows(location, "SELECT sum(charge) FROM orders WHERE batch_id = ?", batch.id)
        assert reserved == [(5 * PRICE if OrderState.QUEUED in left.counts else 0,)]


_QUEUED, _PAUSED = {OrderState.QUEUED: 5}, {OrderState.PAUSED: 5}
_OUTCOMES = {
    "nothing": [(1, BatchState.RUNNING, _QUEUED, "")],
    "pause": [(continued, BatchState.PAUSED, _PAUSED, "Not now.") for continued in (0, 1)],
    "cancel": [
        (continued, BatchState.CANCELLED, {OrderState.CANCELLED: 5}, reason)
        for continued, reason in ((0, SERVER_ENDED), (1, ""))
    ],
    "resume": [(continued, BatchState.RUNNING, _QUEUED, "") for continued in (0, 1)],
}
"""How many servers continue a batch, and what becomes of it, by what is done to it at the same time."""


@pytest.mark.parametrize("state", [*OrderState])
async def test_a_batch_is_finished_when_every_row_has_ended_and_not_before(
    location: StateLocation, clock: ManualClock, state: OrderState
) -> None:
    async with opened(location, clock) as store:
        batch = await start_new(store)
        change_rows(location, "UPDATE orders SET state = 'sent' WHERE batch_id = ?", batch.id)
        assert (await store.batches.get(batch.id)).state is BatchState.FINISHED
        change_rows(location, "UPDATE orders SET state = ? WHERE batch_row = 3", state.value)
        found = await store.batches.get(batch.id)
        assert (found.state is BatchState.FINISHED) == (state not in UNFINISHED) == (found.unfinished == 0)


@on_both_databases
async def test_p5_the_whole_sum_is_reserved_or_nothing(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock, account_of("sum")) as store:
        await place_one(store)
        plan = await store.batches.add(a_plan(PEOPLE))
        with pytest.raises(Refused):
            await start(store, plan, budget=6 * PRICE - 1)
        assert await store.batches.list_orders(plan.id) == []
        assert (await start(store, plan, budget=6 * PRICE)).counts == {OrderState.QUEUED: 5}


@on_both_databases
async def test_batches_at_other_times_count_in_the_24_hours_that_they_share(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock, account_of("days")) as store:
        for hours, fits in ((30, True), (48, False), (12, False), (55, True), (5, True)):
            plan = a_plan(PEOPLE, f"Om {hours} timmar", send_at=clock.now() + hours * HOUR)
            added = await store.batches.add(plan)
            if fits:
                await start(store, added, budget=9 * PRICE)
            else:
                with pytest.raises(Refused):
                    await start(store, added, budget=9 * PRICE)


# ── several processes ──


async def claim_and_settle(store: Store) -> None:
    """Claim a few texts; record some as sent, and give the others back."""
    for number in range(10):
        claims = await store.queue.claim(UNPACED, allow, most=2)
        for claim in [] if isinstance(claims, Idle) else claims:
            settled = (
                store.queue.settle_sent(claim, a_receipt()) if number % 2 else store.queue.withdraw(claim)
            )
            await settled


@on_both_databases
async def test_claims_and_changes_of_a_batch_at_the_same_time_do_not_block_each_other(
    location: StateLocation, clock: ManualClock
) -> None:
    account = account_of("all at once")
    async with opened(location, clock, account) as one, opened(location, clock, account) as other:
        batches = [await start_new(one, f"Text {each}") for each in range(4)]

        async def change(store: Store, batch: Batch) -> None:
            for _ in range(3):
                await store.batches.pause(batch.id, "")
                await store.batches.resume(batch.id, CHECKS)

        with anyio.fail_after(HANG):
            async with anyio.create_task_group() as tasks:
                for store in (one, other):
                    tasks.start_soon(claim_and_settle, store)
                    for batch in batches:
                        tasks.start_soon(change, store, batch)
        for batch in batches:
            assert (await one.batches.get(batch.id)).row_count == 5


@pytest.mark.parametrize("order", list(permutations(("claim", "pause", "cancel"))), ids=" ".join)
async def test_a_pause_and_a_cancellation_in_any_order_leave_no_row_that_could_go_out(
    location: StateLocation, clock: ManualClock, order: tuple[str, ...]
) -> None:
    async with opened(location, clock, account_of(order)) as store:
        batch, claims = await start_new(store), []
        for name in order:
            if name == "claim":
                found = await store.queue.claim(UNPACED, allow)
                claims += [] if isinstance(found, Idle) else found
            elif name == "pause":
                await store.batches.pause(batch.id, "")
            else:
                await store.batches.cancel(batch.id)
        assert len(claims) == (order[0] == "claim")
        for claim in claims:
            await store.queue.withdraw(claim)
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        assert (await store.batches.get(batch.id)).counts == {OrderState.CANCELLED: 5}


async def test_batches_of_another_account_are_not_found(location: StateLocation, clock: ManualClock) -> None:
    others = account_of("others' batches")
    async with opened(location, clock) as store, opened(location, clock, others) as other:
        batch = await start_new(store)
        asked = other.batches.get, other.batches.get_plan, other.batches.cancel, other.batch_approvals.ask
        for ask in asked:
            with pytest.raises(NotFound):
                await ask(batch.id)
        assert await other.batches.list_orders(batch.id) == []
        assert await other.batches.list_latest(10) == []
        assert await other.queue.claim(UNPACED, allow) == Idle(None)


# ── the queue ──


@on_both_databases
async def test_an_operator_pauses_and_cancels_the_batches_of_every_account_and_caller(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store, opened(location, clock, account_of("other")) as other:
        admin, batch = BatchAdmin(store.database), await start_new(other)
        await other.heartbeats.record("a" * 16, ServerKind.CLIENT)
        assert await other.heartbeats.find_sender() == (ServerKind.CLIENT, timedelta())
        await other.heartbeats.record("b" * 16, ServerKind.SERVE)
        assert await other.heartbeats.find_sender() == (ServerKind.SERVE, timedelta())
        assert await store.heartbeats.find_sender() is None
        assert [each.batch.id for each in await admin.list_latest(5)] == [batch.id]
        assert (await admin.pause(batch.id.lower())).batch.state is BatchState.PAUSED
        assert (await other.batches.get(batch.id)).pause_reason == "A person paused it."
        assert (await admin.cancel(batch.id)).batch.counts == {OrderState.CANCELLED: 5}
        assert (await admin.pause(batch.id)).batch.state is BatchState.CANCELLED
        with pytest.raises(NotFound):
            await admin.cancel("B-22222222")


@on_both_databases
async def test_single_texts_come_first_and_then_the_oldest_batch(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock, account_of("order of the queue")) as store:
        first = await start_new(store, "Ett")
        clock.advance(SECOND)
        second = await start_new(store, "Två")
        clock.advance(SECOND)
        single = await place_one(store, "Brådskande")
        claimed = [await claim_one(store) for _ in range(11)]
        assert claimed[0].order_id == single.id
        found = [(await store.orders.get(each.order_id)).batch_id for each in claimed[1:]]
        assert found == [first.id] * 5 + [second.id] * 5


async def test_one_claim_ends_at_most_50_rows_that_may_not_go_out(
    location: StateLocation, clock: ManualClock
) -> None:
    def refuse(*_: object) -> Refusal:
        return Refusal("Not any more.", frozenset({"allowed_country"}))

    async with opened(location, clock) as store:
        batch = await start(store, await store.batches.add(a_plan(list_phones(60))))
        assert await store.queue.claim(UNPACED, refuse) == Idle(timedelta())
        counts = (await store.batches.get(batch.id)).counts
        assert counts == {OrderState.CANCELLED: 50, OrderState.QUEUED: 10}
        assert await store.queue.claim(UNPACED, refuse) == Idle(None)
        assert (await store.batches.get(batch.id)).counts == {OrderState.CANCELLED: 60}


@on_both_databases
async def test_p6_a_row_to_a_recipient_who_opted_out_ends_at_its_claim(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock, account_of("opt-out")) as store:
        batch = await start_new(store)
        await store.inbound.record([said("STOP", by=PEOPLE[0]), said("STOP", by=PEOPLE[2])])
        claimed = []
        while not isinstance(claims := await store.queue.claim(UNPACED, unless_opted_out), Idle):
            claimed += [each.draft.to for each in claims]
        assert claimed == [PEOPLE[1], PEOPLE[3], PEOPLE[4]]
        counts = (await store.batches.get(batch.id)).counts
        assert counts == {OrderState.SENDING: 3, OrderState.CANCELLED: 2}


async def test_the_outbox_lists_single_texts_despite_a_hundred_batch_rows(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock, account_of("outbox")) as store:
        single = await place_one(store, "Brådskande")
        clock.advance(SECOND)
        await start_new(store)
        listed = await OrderAdmin(store.database).list_orders(200)
        mine = [each.order for each in listed if each.order.id == single.id or each.order.batch_id]
        assert mine[0].id == single.id
        assert await store.schedule.list_upcoming(10, "") == []


async def test_an_approval_code_of_a_batch_finds_no_order(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock, account_of("codes")) as store:
        plan = await store.batches.add(a_plan(PEOPLE))
        waiting = await store.batch_approvals.ask(plan.id)
        assert waiting.state is BatchState.WAITING
        assert await store.batch_approvals.ask(plan.id) == waiting
        with pytest.raises(NotFound):
            await store.orders.get(waiting.approval_code or "")
        started = await start_new(store)
        assert (await store.batch_approvals.ask(started.id)).approval_code is None


# ── what is kept ──


async def test_p9_texts_leave_the_plan_when_it_starts_and_the_orders_when_they_are_settled(
    folder: StateLocation, clock: ManualClock
) -> None:
    words = "Hemligt till dig"
    async with opened(folder, clock) as store:
        batch = await start_new(store, words)
        assert words not in str(read_rows(folder, "SELECT plan FROM batches"))
        for _ in range(5):
            await store.queue.settle_sent(await claim_one(store), a_receipt())
        assert (await store.batches.get(batch.id)).state is BatchState.FINISHED
        assert read_rows(folder, "SELECT content FROM orders WHERE content IS NOT NULL") == []
    assert folder.folder
    assert files_with(folder.folder, words) == []


async def test_p9_a_plan_that_is_not_started_is_deleted_after_a_day(
    folder: StateLocation, clock: ManualClock
) -> None:
    words = "Hemligt till dig"
    async with opened(folder, clock) as store:
        plan = await store.batches.add(a_plan(PEOPLE, words))
        assert folder.file
        assert has_work(folder.file, ACCOUNT)
        clock.advance(DAY + SECOND)
        await store.cleanup.delete_expired()
        assert (await store.batches.get(plan.id)).state is BatchState.EXPIRED
        assert not has_work(folder.file, ACCOUNT)
    assert folder.folder
    assert files_with(folder.folder, words) == []


async def test_p9_the_rest_of_a_plan_is_deleted_a_day_after_its_last_row_ended(
    folder: StateLocation, clock: ManualClock
) -> None:
    async with opened(folder, clock) as store:
        batch = await start_new(store)
        for _ in range(5):
            clock.advance(HOUR / 6)
            await store.queue.settle_sent(await claim_one(store), a_receipt())
        clock.advance(DAY - SECOND)
        await store.cleanup.delete_expired()
        assert len((await store.batches.get_plan(batch.id)).rows) == 5
        clock.advance(2 * SECOND)
        await store.cleanup.delete_expired()
        with pytest.raises(NotFound, match="was deleted"):
            await store.batches.get_plan(batch.id)
        assert (await store.batches.get(batch.id)).state is BatchState.FINISHED
        clock.advance(90 * DAY)
        await store.cleanup.delete_expired()
        assert read_rows(folder, "SELECT id FROM batches") == []


@on_both_databases
async def test_a_forgotten_number_is_in_no_plan(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock, account_of("forgotten")) as store:
        personal = PersonalData(store.database)
        started = await start_new(store)
        clock.advance(SECOND)
        planned = await store.batches.add(a_plan(PEOPLE[:2], "Senare"))
        other = await store.batches.add(a_plan(PEOPLE[1:], "Till andra"))
        await store.batches.cancel(started.id)
        [held] = await personal.list_stored(PEOPLE[0])
        assert [each["batch"] for each in held.batches] == [started.id, planned.id]
        assert held.batches[0]["fields"] == {"namn": "Nr 2"}
        await personal.remove(PEOPLE[0])
        assert await personal.list_stored(PEOPLE[0]) == []
        assert PEOPLE[0].e164 not in str(read_rows(location, "SELECT plan FROM batches"))
        assert len((await store.batches.get_plan(started.id)).rows) == 4
        assert (await store.batches.get(planned.id)).state is BatchState.EXPIRED
        assert (await start(store, other)).counts == {OrderState.QUEUED: 4}
