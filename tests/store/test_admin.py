"""A person's changes to a database, for any account: one suite for SQLite and PostgreSQL."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import anyio
import psycopg
import pytest
from pydantic import SecretStr

from elks_mcp.domain.approval import APPROVAL_TIMEOUT, APPROVED_SEND_TIMEOUT
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approval, Approver, Effect, Finding, Order, OrderState, Report
from elks_mcp.domain.taint import ShownText
from elks_mcp.errors import NotFound, Refused
from elks_mcp.store import AccountKey, PauseReason, StateLocation
from elks_mcp.store.admin import OrderAdmin, open_database
from elks_mcp.store.db.engines import SAFE_WAL
from elks_mcp.store.doubts import LONGEST
from elks_mcp.store.privacy import PersonalData
from elks_mcp.store.store import Store
from elks_mcp.store.totals import TotalsStore
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, PHONE, a_draft, an_approval
from tests.support.stores import (
    ACCOUNT,
    EITHER_DATABASE,
    KEY,
    MINUTE,
    OTHER_PHONE,
    PRICE,
    a_place,
    a_receipt,
    allow,
    claim_new,
    claim_one,
    on_both_databases,
    opened,
    place_one,
    read_rows,
    said,
    unless_opted_out,
    until_somebody_waits,
    wait_one,
)

pytestmark = pytest.mark.anyio

OTHERS = AccountKey(ACCOUNT.base_url, "u2")


@dataclass
class Stores:
    """The stores of two accounts in one database, their administration, and the clock of all."""

    ours: Store
    theirs: Store
    admin: OrderAdmin
    personal_data: PersonalData
    clock: ManualClock


@pytest.fixture(params=EITHER_DATABASE)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location for a store, of either kind."""
    return a_place(request, tmp_path)


@pytest.fixture
async def stores(location: StateLocation) -> AsyncIterator[Stores]:
    """Open the stores of two accounts."""
    async with open_stores(location) as stores:
        yield stores


@asynccontextmanager
async def open_stores(location: StateLocation) -> AsyncIterator[Stores]:
    """Open the stores of two accounts, and their administration."""
    clock = ManualClock()
    async with (
        opened(location, clock) as ours,
        opened(location, clock, OTHERS) as theirs,
        open_database(location, clock) as database,
    ):
        yield Stores(ours, theirs, OrderAdmin(database), PersonalData(database), clock)


async def an_unknown(stores: Stores, store: Store, text: str = "Hej!") -> Order:
    """Create an order that time has made unknown."""
    claim = await claim_new(store, text)
    await store.queue.settle_doubt(claim, "No answer.")
    stores.clock.advance(LONGEST + MINUTE)
    await store.doubts.conclude(None, read_at=stores.clock.now(), quiet=MINUTE, skew=timedelta())
    order = await store.orders.get(claim.order_id)
    assert order.state is OrderState.UNKNOWN
    return order


# ── approving ──


async def test_a_person_approves_an_order_and_a_server_releases_it(stores: Stores) -> None:
    order = await wait_one(stores.ours)
    stores.clock.advance(29 * MINUTE)
    assert order.approval_code
    filed = await stores.admin.approve(order.approval_code)
    assert (filed.order.state, filed.approved) == (OrderState.WAITING, True)
    assert (filed.left, filed.owner) == (APPROVED_SEND_TIMEOUT, ACCOUNT)
    assert filed.order.approver is Approver.TERMINAL
    assert (await stores.ours.queue.find_due_work()).approved
    stores.clock.advance(APPROVED_SEND_TIMEOUT - MINUTE)
    (released,) = await stores.ours.orders.release_approved(allow)
    assert (released.id, released.state) == (order.id, OrderState.QUEUED)
    claim = await claim_one(stores.ours)
    assert claim.draft == a_draft()


async def test_an_approval_is_recorded_once_and_extends_no_deadline(stores: Stores) -> None:
    order = await wait_one(stores.ours)
    await stores.admin.approve(order.id)
    stores.clock.advance(30 * MINUTE)
    again = await stores.admin.approve(order.id)
    assert (again.approved, again.left) == (True, APPROVED_SEND_TIMEOUT - 30 * MINUTE)


async def test_an_approved_order_that_is_never_released_expires(stores: Stores) -> None:
    order = await wait_one(stores.ours)
    await stores.admin.approve(order.id)
    stores.clock.advance(APPROVED_SEND_TIMEOUT)
    filed = await stores.admin.approve(order.id)
    assert filed.order.state is OrderState.EXPIRED
    assert filed.order.status_reason == "No server ran to send it in time."
    assert await stores.ours.orders.release_approved(allow) == []


async def test_an_order_that_waited_too_long_cannot_be_approved(stores: Stores) -> None:
    order = await wait_one(stores.ours)
    stores.clock.advance(APPROVAL_TIMEOUT)
    filed = await stores.admin.approve(order.id)
    assert (filed.order.state, filed.approved, filed.order.text) == (OrderState.EXPIRED, False, None)


@pytest.mark.parametrize("step", ["cancelled", "queued", "sent"])
async def test_approving_an_order_that_does_not_wait_changes_nothing(stores: Stores, step: str) -> None:
    order = await wait_one(stores.ours)
    if step == "cancelled":
        await stores.ours.cancellations.cancel(order.id, "No.")
    else:
        await stores.ours.orders.approve(order.id, allow)
    if step == "sent":
        await stores.ours.queue.settle_sent(await claim_one(stores.ours), a_receipt())
    before = await stores.ours.orders.get(order.id)
    assert before.state == step
    filed = await stores.admin.approve(order.id)
    assert filed.order == before
    assert await stores.ours.orders.get(order.id) == before


async def test_a_guard_can_still_refuse_an_approved_order(stores: Stores) -> None:
    order = await wait_one(stores.ours)
    await stores.admin.approve(order.id)
    await stores.ours.inbound.record([said("STOP")])
    (released,) = await stores.ours.orders.release_approved(unless_opted_out)
    assert (released.state, released.status_reason) == (OrderState.CANCELLED, "They said STOP.")


async def test_only_the_account_of_an_order_sends_it(stores: Stores) -> None:
    order = await wait_one(stores.theirs)
    filed = await stores.admin.approve(order.id)
    assert filed.owner == OTHERS
    assert await stores.ours.orders.release_approved(allow) == []
    assert len(await stores.theirs.orders.release_approved(allow)) == 1


async def test_an_unknown_order_or_code_is_reported_as_not_found(stores: Stores) -> None:
    for act in (stores.admin.get, stores.admin.approve, stores.admin.cancel):
        with pytest.raises(NotFound):
            await act("A-2222")


# ── listing ──


@on_both_databases
async def test_an_order_that_waited_too_long_is_listed_as_expired(stores: Stores) -> None:
    ours, theirs = await wait_one(stores.ours), await wait_one(stores.theirs)
    stores.clock.advance(APPROVAL_TIMEOUT)
    assert (await stores.admin.get(ours.id)).order.state is OrderState.EXPIRED
    assert await stores.admin.list_waiting() == []
    assert (await stores.theirs.orders.get(theirs.id)).state is OrderState.EXPIRED


async def test_waiting_orders_of_all_callers_are_listed_by_expiry(stores: Stores) -> None:
    first = await wait_one(stores.theirs, "Ett")
    stores.clock.advance(MINUTE)
    second = await wait_one(stores.ours, "Två")
    await place_one(stores.ours, "Tre")
    waiting = await stores.admin.list_waiting()
    assert [each.order.id for each in waiting] == [first.id, second.id]
    assert [each.left for each in waiting] == [APPROVAL_TIMEOUT - MINUTE, APPROVAL_TIMEOUT]
    await stores.admin.approve(first.id)
    assert [(each.order.id, each.approved) for each in await stores.admin.list_waiting()] == [
        (second.id, False),
        (first.id, True),
    ]


@on_both_databases
async def test_orders_that_need_a_person_are_listed_first(stores: Stores) -> None:
    unknown = await an_unknown(stores, stores.ours, "Ett")
    stores.clock.advance(MINUTE)
    queued = await place_one(stores.theirs, "Två")
    stores.clock.advance(MINUTE)
    sent = await claim_new(stores.ours, "Tre")
    await stores.ours.queue.settle_sent(sent, a_receipt())
    everything = [each.order.id for each in await stores.admin.list_orders(10)]
    assert everything == [queued.id, unknown.id, sent.order_id]
    assert len(await stores.admin.list_orders(2)) == 2
    assert await stores.admin.count() == {OrderState.UNKNOWN: 1, OrderState.QUEUED: 1, OrderState.SENT: 1}


@on_both_databases
async def test_the_administration_names_its_database(stores: Stores, location: StateLocation) -> None:
    description = await stores.admin.describe()
    log = "write-ahead log" if sqlite3.sqlite_version_info >= SAFE_WAL else "rollback journal"
    assert description.startswith("PostgreSQL 18" if location.url else f"SQLite, {log}")


@on_both_databases
async def test_listing_creates_no_account_and_no_order(stores: Stores, location: StateLocation) -> None:
    await stores.admin.list_orders(10)
    assert read_rows(location, "select count(*) from accounts") == [(2,)]


# ── cancelling ──


@pytest.mark.parametrize("waits", [True, False])
async def test_an_order_that_is_not_being_sent_can_be_cancelled(stores: Stores, waits: bool) -> None:
    order = await (wait_one if waits else place_one)(stores.theirs)
    cancelled = await stores.admin.cancel(order.id)
    assert (cancelled.state, cancelled.text) == (OrderState.CANCELLED, None)
    assert cancelled.status_reason == "A person cancelled it."
    assert (await TotalsStore(stores.theirs.database).sum_up()).spent == 0


async def test_an_order_that_is_being_sent_cannot_be_cancelled_by_a_person(stores: Stores) -> None:
    claim = await claim_new(stores.ours)
    assert (await stores.admin.cancel(claim.order_id)).state is OrderState.SENDING
    await stores.ours.queue.settle_doubt(claim, "No answer.")
    assert (await stores.admin.cancel(claim.order_id)).state is OrderState.IN_DOUBT
    await stores.ours.queue.settle_sent(claim, a_receipt())
    assert (await stores.admin.cancel(claim.order_id)).state is OrderState.SENT


async def test_a_simultaneous_release_and_cancellation_are_serialized(
    postgres_database: str,
) -> None:
    """A server that reads what is approved, then a person who cancels it: nothing goes out after that."""
    location = StateLocation(url=SecretStr(postgres_database), key=KEY)
    async with open_stores(location) as stores:
        order = await wait_one(stores.ours)
        await stores.admin.approve(order.id)
        with psycopg.connect(postgres_database) as server:  # decides something, as release_approved does
            server.execute("select * from accounts where username = 'u1' for update")
            async with anyio.create_task_group() as group:
                group.start_soon(stores.admin.cancel, order.id)
                await until_somebody_waits(postgres_database)
                server.execute("update orders set state = 'queued'")
                server.commit()
        assert (await stores.ours.orders.get(order.id)).state is OrderState.CANCELLED


# ── resolving ──


async def test_an_unknown_order_that_was_sent_keeps_its_charge_and_loses_its_text(stores: Stores) -> None:
    unknown = await an_unknown(stores, stores.ours)
    assert unknown.text == "Hej!"
    order = await stores.admin.resolve(unknown.id, sent=True)
    assert (order.state, order.text, order.receipt, order.status_reason) == (OrderState.SENT, None, None, "")
    assert (await TotalsStore(stores.ours.database).sum_up()).spent == PRICE
    with pytest.raises(Refused, match="is sent, not unknown"):
        await stores.admin.resolve(unknown.id, sent=False)


async def test_an_unknown_order_that_was_not_sent_costs_nothing_and_can_be_sent(
    stores: Stores,
) -> None:
    unknown = await an_unknown(stores, stores.ours)
    order = await stores.admin.resolve(unknown.id, sent=False)
    assert (order.state, order.text) == (OrderState.CANCELLED, None)
    assert (await TotalsStore(stores.ours.database).sum_up()).spent == 0
    assert (await place_one(stores.ours)).id != unknown.id


async def test_an_order_that_a_person_recorded_as_sent_is_not_sent_again_by_a_repeat(stores: Stores) -> None:
    unknown = await an_unknown(stores, stores.ours)
    await stores.admin.resolve(unknown.id, sent=True)
    placed = await stores.ours.orders.place(an_approval(a_draft()), allow)
    assert (placed.is_repeat, placed.order.id) == (True, unknown.id)


@on_both_databases
@pytest.mark.parametrize("sent", [True, False])
async def test_a_report_of_46elks_overrides_a_persons_result(stores: Stores, sent: bool) -> None:
    unknown = await an_unknown(stores, stores.ours)
    await stores.admin.resolve(unknown.id, sent=sent)
    await stores.ours.inbound.record_webhooks(
        (), [Report(message_id="s1", status="delivered", order_id=unknown.id)]
    )
    order = await stores.ours.orders.get(unknown.id)
    assert order.state is OrderState.DELIVERED
    assert (await TotalsStore(stores.ours.database).sum_up()).spent == PRICE


async def test_only_an_unknown_order_can_be_resolved(stores: Stores) -> None:
    queued = await place_one(stores.ours, "Ett")
    with pytest.raises(Refused, match="is queued, not unknown"):
        await stores.admin.resolve(queued.id, sent=False)
    claim = await claim_one(stores.ours)
    await stores.ours.queue.settle_doubt(claim, "No answer.")
    with pytest.raises(Refused, match="is in doubt, not unknown"):
        await stores.admin.resolve(claim.order_id, sent=False)
    assert (await stores.ours.orders.get(claim.order_id)).state is OrderState.IN_DOUBT


# ── pauses ──


@on_both_databases
async def test_all_pauses_are_shown_and_ended(stores: Stores) -> None:
    await stores.ours.queue.pause(PauseReason.CREDENTIALS, MINUTE)
    await stores.theirs.queue.pause(PauseReason.THROTTLED, MINUTE)
    both = [(ACCOUNT, PauseReason.CREDENTIALS), (OTHERS, PauseReason.THROTTLED)]
    assert await stores.admin.list_pauses() == both
    assert await stores.admin.resume() == both
    assert await stores.admin.list_pauses() == []
    assert await stores.ours.queue.find_pause() is None
    assert await stores.admin.resume() == []


async def test_a_pause_that_is_over_is_not_listed(stores: Stores) -> None:
    await stores.ours.queue.pause(PauseReason.THROTTLED, MINUTE)
    await stores.theirs.queue.pause(PauseReason.NO_FUNDS, MINUTE)
    stores.clock.advance(MINUTE)
    assert await stores.admin.list_pauses() == [(OTHERS, PauseReason.NO_FUNDS)]


# ── what is held about a number ──


async def test_everything_stored_about_a_number_is_listed_by_account(stores: Stores) -> None:
    order = await place_one(stores.ours)
    await place_one(stores.ours, to=OTHER_PHONE)
    await stores.theirs.inbound.record([said("Hej själv")])
    ours, theirs = await stores.personal_data.list_stored(PHONE)
    assert (ours.owner, theirs.owner) == (ACCOUNT, OTHERS)
    (row,) = ours.orders
    assert (row["id"], row["recipient"], row["text"]) == (order.id, PHONE.e164, "Hej!")
    assert (row["findings"], "lease" in row) == ([], False)
    assert ours.known_number is None
    assert theirs.known_number
    assert (theirs.orders, theirs.known_number["received_at"]) == ([], NOON)
    assert await stores.personal_data.list_stored(OTHER_PHONE)


@on_both_databases
async def test_a_forgotten_number_is_stored_only_in_its_opt_out(
    stores: Stores, location: StateLocation
) -> None:
    reason = f"{PHONE.e164} is reserved for fiction."
    warned = an_approval(a_draft(key="Åsas tid")).quote.model_copy(
        update={"findings": (Finding(guard="placeholder", effect=Effect.WARN, reason=reason),)}
    )
    await stores.ours.orders.place(Approval(quote=warned, approver=Approver.POLICY), allow)
    await stores.ours.queue.settle_sent(await claim_one(stores.ours), a_receipt())
    rejected = await claim_new(stores.theirs)
    await stores.theirs.queue.settle_rejected(rejected, f"46elks does not like {PHONE.e164}.")
    kept = await place_one(stores.ours, to=OTHER_PHONE)
    await stores.ours.inbound.record([said("STOP"), said("Hej", by=OTHER_PHONE)])
    await stores.theirs.inbound.record([said("Hej")])

    removed = await stores.personal_data.remove(PHONE)

    assert removed == (2, 2, 0, True)
    assert await stores.personal_data.list_stored(PHONE) == []
    held = await stores.personal_data.find_opt_out(PHONE)
    assert held
    assert (held["opted_out"], held["at"], held["message_id"], held["masked"]) == (True, NOON, None, "")
    lost = "recipient, content, message_id, recipient_hash, text_hash, fingerprint, key_hash"
    others = f"from orders where id <> '{kept.id}'"
    assert read_rows(location, f"select {lost} {others}") == [(None,) * 7] * 2
    assert PHONE.e164 not in str(read_rows(location, f"select * {others}"))
    forgotten = [each.order for each in await stores.admin.list_orders(10) if each.order.to is None]
    assert {order.status_reason for order in forgotten} == {"The recipient was forgotten."}
    assert all(order.receipt is None for order in forgotten)
    assert (await stores.ours.orders.get(kept.id)).to == OTHER_PHONE
    assert len(await stores.personal_data.list_stored(OTHER_PHONE)) == 1


@on_both_databases
async def test_a_text_received_by_two_accounts_is_listed_for_both(stores: Stores) -> None:
    message = said("Hej")
    for _ in range(2):
        for store in (stores.ours, stores.theirs):
            await store.inbound.record([message])
    for store in (stores.ours, stores.theirs):
        assert [each.message_id for each in await store.arrivals.list_after(0)] == [message.id]


async def test_a_record_of_shown_texts_is_listed_and_forgotten(stores: Stores) -> None:
    for store, caller in ((stores.ours, "anna"), (stores.theirs, "")):
        await store.taint.record(caller, [ShownText(each.e164, NOON, NOON) for each in (PHONE, OTHER_PHONE)])
    held = await stores.personal_data.list_stored(PHONE)
    assert [[row["caller"] for row in each.taint] for each in held] == [["anna"], [""]]
    await stores.personal_data.remove(PHONE)
    assert await stores.personal_data.list_stored(PHONE) == []
    assert len(await stores.personal_data.list_stored(OTHER_PHONE)) == 2


async def test_a_forgotten_number_that_opted_out_still_gets_nothing(stores: Stores) -> None:
    await stores.ours.inbound.record([said("STOP")])
    await stores.personal_data.remove(PHONE)
    with pytest.raises(Refused, match="They said STOP"):
        await stores.ours.orders.place(an_approval(a_draft()), unless_opted_out)
    await stores.ours.inbound.record([said("START", at=NOON - MINUTE)])  # an older word, read late
    with pytest.raises(Refused, match="They said STOP"):
        await stores.ours.orders.place(an_approval(a_draft()), unless_opted_out)


async def test_the_cost_of_a_forgotten_number_stays_in_the_budget(stores: Stores) -> None:
    await stores.ours.queue.settle_sent(await claim_new(stores.ours), a_receipt(cost=7000))
    await stores.personal_data.remove(PHONE)
    assert (await TotalsStore(stores.ours.database).sum_up()).spent == 7000
    assert (await stores.ours.orders.find_prior(a_draft())).recall.spent == 7000
    assert not (await stores.ours.orders.find_prior(a_draft())).recall.is_known


@pytest.mark.parametrize("state", ["waiting", "queued", "sending", "in doubt"])
async def test_a_number_with_an_unfinished_order_is_not_forgotten(stores: Stores, state: str) -> None:
    await stores.ours.queue.settle_sent(await claim_new(stores.ours, "Förra"), a_receipt())
    await stores.ours.inbound.record([said("Hej")])
    order = await (wait_one if state == "waiting" else place_one)(stores.theirs)
    if state in {"sending", "in doubt"}:
        claim = await claim_one(stores.theirs)
        if state == "in doubt":
            await stores.theirs.queue.settle_doubt(claim, "No answer.")
    before = await stores.personal_data.list_stored(PHONE)
    with pytest.raises(Refused) as caught:
        await stores.personal_data.remove(PHONE)
    assert f"{order.id} ({state})" in str(caught.value)
    assert "outbox cancel" in caught.value.hint
    assert await stores.personal_data.list_stored(PHONE) == before


async def test_an_unknown_order_can_be_resolved_after_its_number_was_forgotten(stores: Stores) -> None:
    unknown = await an_unknown(stores, stores.ours)
    await stores.personal_data.remove(PHONE)
    order = await stores.admin.resolve(unknown.id, sent=True)
    assert (order.state, order.to, order.price) == (OrderState.SENT, None, Money(PRICE, "SEK"))


async def test_an_order_that_waited_too_long_does_not_stop_forgetting_its_number(stores: Stores) -> None:
    await wait_one(stores.ours)
    stores.clock.advance(APPROVAL_TIMEOUT)
    assert (await stores.personal_data.remove(PHONE)).orders == 1


# ── how an account stands ──


async def test_the_totals_of_an_account_count_its_own_orders_of_a_day(stores: Stores) -> None:
    await stores.ours.queue.settle_sent(await claim_new(stores.ours, "Ett"), a_receipt(cost=7000))
    stores.clock.advance(timedelta(hours=12))
    await place_one(stores.ours, "Två")
    await place_one(stores.theirs, "Tre")
    standing = await TotalsStore(stores.ours.database).sum_up()
    assert standing.spent == 7000 + PRICE
    assert standing.counts == {OrderState.SENT: 1, OrderState.QUEUED: 1}
    assert standing.history_read_until is None
    await stores.ours.inbound.record([], until=NOON)
    stores.clock.advance(timedelta(hours=12))
    later = await TotalsStore(stores.ours.database).sum_up()
    assert (later.spent, later.history_read_until) == (PRICE, NOON)


@on_both_databases
async def test_the_text_is_kept_after_a_resolution_if_the_operator_wants_that(
    location: StateLocation,
) -> None:
    async with open_stores(replace(location, retention=timedelta(days=7))) as stores:
        unknown = await an_unknown(stores, stores.ours)
        assert (await stores.admin.resolve(unknown.id, sent=True)).text == "Hej!"
