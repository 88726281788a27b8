"""Messages and delivery reports."""

from itertools import permutations
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
from elks_mcp.store import Idle, StateLocation
from elks_mcp.store.admin import OrderAdmin
from tests.support.clocks import ManualClock
from tests.support.provider import a_draft
from tests.support.store_cases import BEYOND_WAITING, EVENING, WAYS, conclude_absent
from tests.support.stores import (
    KEY,
    PRICE,
    UNPACED,
    a_receipt,
    account_of,
    allow,
    claim_new,
    claim_one,
    on_both_databases,
    opened,
    place_one,
    until_somebody_waits,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "order", sorted(set(permutations(["sent", "delivered", "failed", "delivered"]))), ids=str
)
async def test_reports_can_arrive_in_any_order_and_twice(tmp_path: Path, order: tuple[str, ...]) -> None:
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
async def test_a_report_with_our_order_id_proves_the_acceptance_if_the_answer_was_lost(
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


async def test_a_report_with_our_order_id_counts_in_every_state(
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


async def test_a_report_after_a_new_attempt_began_stops_that_attempt(
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
async def test_a_report_about_an_unknown_text_changes_nothing(location: StateLocation) -> None:
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
"""The statement of another process when 46elks answers it."""


async def test_a_report_and_the_answer_at_the_same_moment_both_count(postgres_database: str) -> None:
    async with opened(StateLocation(url=SecretStr(postgres_database), key=KEY)) as store:
        claim = await claim_new(store)
        with psycopg.connect(postgres_database) as answering:
            answering.execute(ACCEPT, [claim.order_id])
            async with anyio.create_task_group() as reporting:
                unknown: list[list[Report]] = []

                async def receive_text() -> None:
                    report = Report(message_id="s1", status="delivered", order_id=claim.order_id)
                    unknown.append(await store.inbound.record_webhooks((), [report]))

                reporting.start_soon(receive_text)
                await until_somebody_waits(postgres_database)
                answering.commit()
        assert unknown == [[]]
        assert (await store.orders.get(claim.order_id)).state is OrderState.DELIVERED


async def test_46elks_answer_overrides_a_simultaneous_verdict_from_history(postgres_database: str) -> None:
    """At the same moment, another process matched the message to the other order by history."""
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
async def test_a_text_accepted_during_its_cancellation_is_sent(postgres_database: str, by_hand: bool) -> None:
    async with opened(StateLocation(url=SecretStr(postgres_database), key=KEY)) as store:
        order = await place_one(store)

        async def cancel() -> None:
            if by_hand:
                found = await OrderAdmin(store.database).cancel(order.id)
            else:
                found = await store.cancellations.cancel(order.id, "Not wanted.")
            assert found.state is OrderState.SENT

        with psycopg.connect(postgres_database) as answering:
            answering.execute(ACCEPT, [order.id])
            async with anyio.create_task_group() as cancelling:
                cancelling.start_soon(cancel)
                await until_somebody_waits(postgres_database)
                answering.commit()
        assert (await store.orders.get(order.id)).state is OrderState.SENT
        assert (await store.orders.find_prior(a_draft())).recall.spent == PRICE
