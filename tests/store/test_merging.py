"""Merging accounts that older versions kept separate."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import elks_mcp.store.db.migrations
from elks_mcp.domain.models import Caller
from elks_mcp.domain.orders import Approver, OrderState, Report
from elks_mcp.domain.taint import ShownText
from elks_mcp.store import AccountKey, PauseReason, StateLocation, Wanted
from elks_mcp.store.db.migrate import HEAD
from elks_mcp.store.db.quick_check import has_work
from elks_mcp.store.store import Store
from elks_mcp.store.totals import TotalsStore
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, a_draft, an_approval
from tests.support.provider import PHONE as NUMBER
from tests.support.stores import (
    ACCOUNT,
    DATABASES,
    MINUTE,
    OTHER_PHONE,
    UNPACED,
    a_place,
    a_receipt,
    allow,
    change_rows,
    claim_new,
    opened,
    place_one,
    read_rows,
    said,
    wait_one,
)

pytestmark = pytest.mark.anyio


T = TypeVar("T")


def _find_version_before() -> str:
    """Find the version of the tables before accounts that are the same were merged."""
    config = Config()
    config.set_main_option("script_location", str(Path(elks_mcp.store.db.migrations.__file__).parent))
    steps = ScriptDirectory.from_config(config).walk_revisions()
    return next(str(step.down_revision) for step in steps if step.path.endswith("_same_accounts.py"))


BEFORE = _find_version_before()


DOUBLE = AccountKey(ACCOUNT.base_url, "u2")
"""An account that is the same as ACCOUNT, written in another way; its rows are merged."""


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location for a store, of either kind."""
    return a_place(request, tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    """Stop the clock."""
    return ManualClock()


def make_same(location: StateLocation) -> None:
    """Make both accounts the same one, as an older version would have left them."""
    change_rows(
        location,
        "UPDATE accounts SET base_url = 'HTTP://127.0.0.1:80/a1/', username = ? WHERE username = ?",
        "u1",
        "u2",
    )
    set_back(location)


_OLD_KEYS = (
    "ALTER INDEX pk_known_numbers RENAME TO pk_contacts",
    "ALTER INDEX pk_taint RENAME TO pk_shown",
)


def set_back(location: StateLocation) -> None:
    """Set the tables back to the version before accounts were merged."""
    on_sqlite = "UPDATE orders SET text = json_extract(content, '$.text')"
    on_postgres = "UPDATE orders SET text = CAST(content AS JSON) ->> 'text'"
    for statement in (
        *(
            f"ALTER TABLE orders DROP COLUMN {column}"
            for column in ("provider_attempted_at", "attempted_as", "is_hidden")
        ),
        "DROP TABLE alert_attempts",
        "DROP TABLE alerts",
        "DROP TABLE call_audio",
        "DROP TABLE calls",
        "DROP TABLE heartbeats",
        "DROP TABLE batches",
        "DROP INDEX uq_orders_batch",
        "DROP INDEX ix_orders_state",
        "CREATE INDEX ix_orders_state ON orders (state, account_id, due_at)",
        *(f"ALTER TABLE orders DROP COLUMN {column}" for column in ("priority", "batch_id", "batch_row")),
        "DROP INDEX ix_orders_unreported",
        *(f"ALTER TABLE orders DROP COLUMN {column}" for column in ("send_at", "expires_at", "unreported")),
        "DROP TABLE accepted_contacts",
        "ALTER TABLE orders ADD COLUMN text TEXT",
        "ALTER TABLE orders ADD COLUMN flash BOOLEAN NOT NULL DEFAULT false",
        "ALTER TABLE orders ADD COLUMN encoding VARCHAR(8) NOT NULL DEFAULT 'GSM-7'",
        on_postgres if location.url else on_sqlite,
        *(f"ALTER TABLE orders DROP COLUMN {column}" for column in ("kind", "content", "details")),
        "ALTER TABLE tokens DROP COLUMN agent",
        "ALTER TABLE accounts RENAME COLUMN history_read_until TO heard_until",
        "ALTER TABLE accounts RENAME COLUMN history_read_at TO looked_at",
        "ALTER TABLE arrivals RENAME COLUMN recorded_at TO heard_at",
        "ALTER TABLE orders RENAME COLUMN status_reason TO fault",
        "ALTER TABLE orders RENAME COLUMN approval_code TO approval",
        "ALTER TABLE known_numbers RENAME TO contacts",
        "ALTER TABLE taint RENAME TO shown",
        *(_OLD_KEYS if location.url else ()),
    ):
        change_rows(location, statement)
    change_rows(location, "UPDATE alembic_version SET version_num = ?", BEFORE)


async def in_both(
    location: StateLocation, clock: ManualClock, *works: Callable[[Store], Awaitable[T]]
) -> list[T]:
    """Do one thing for each of two accounts, then make them the same."""
    results = []
    for account, work in zip((ACCOUNT, DOUBLE), works, strict=True):
        async with opened(location, clock, account) as store:
            results.append(await work(store))
    make_same(location)
    return results


async def test_p5_merged_accounts_keep_every_order_and_the_sum_of_what_is_spent(
    location: StateLocation, clock: ManualClock
) -> None:
    async def have_all(store: Store) -> tuple[list[str], int]:
        waiting = await wait_one(store, "Waiting")
        claim = await claim_new(store, "In doubt")
        await store.queue.settle_doubt(claim, "No answer.")
        sent = await claim_new(store, "Sent")
        await store.queue.settle_sent(sent, a_receipt(cost=9000))
        sending = await claim_new(store, "Sending")
        queued = await place_one(store, "Queued")
        ids = [waiting.id, claim.order_id, sent.order_id, sending.order_id, queued.id]
        return ids, (await TotalsStore(store.database).sum_up()).spent

    [(ids, spent), (more_ids, more_spent)] = await in_both(location, clock, have_all, have_all)
    async with opened(location, clock) as store:
        orders = [await store.orders.get(each) for each in (*ids, *more_ids)]
        expected = (
            OrderState.WAITING,
            OrderState.IN_DOUBT,
            OrderState.SENT,
            OrderState.SENDING,
            OrderState.QUEUED,
        )
        assert tuple(each.state for each in orders) == expected * 2
        assert (await TotalsStore(store.database).sum_up()).spent == spent + more_spent
    assert read_rows(location, "SELECT base_url, username FROM accounts") == [(ACCOUNT.base_url, "u1")]
    assert read_rows(location, "SELECT version_num FROM alembic_version") == [(HEAD,)]


async def test_p4_when_two_orders_have_one_key_the_one_that_may_be_sent_keeps_it(
    location: StateLocation, clock: ManualClock
) -> None:
    async def reject(store: Store) -> str:
        placed = await store.orders.place(an_approval(a_draft(key="k")), allow)
        claims = await store.queue.claim(UNPACED, allow)
        assert isinstance(claims, list)
        await store.queue.settle_rejected(claims[0], "No.")
        return placed.order.id

    async def send(store: Store) -> str:
        placed = await store.orders.place(an_approval(a_draft(key="k")), allow)
        return placed.order.id

    rejected, kept = await in_both(location, clock, reject, send)
    async with opened(location, clock) as store:
        again = await store.orders.place(an_approval(a_draft(key="k")), allow)
        assert (again.order.id, again.is_repeat) == (kept, True)
        assert (await store.orders.get(rejected)).state is OrderState.REJECTED


async def test_p4_when_two_orders_have_one_message_the_later_is_unknown_and_keeps_its_charge(
    location: StateLocation, clock: ManualClock
) -> None:
    async def send(store: Store) -> str:
        claim = await claim_new(store)
        await store.queue.settle_sent(claim, a_receipt("s1"))
        clock.advance(timedelta(seconds=1))
        return claim.order_id

    first, later = await in_both(location, clock, send, send)
    async with opened(location, clock) as store:
        assert (await store.orders.get(first)).state is OrderState.SENT
        doubled = await store.orders.get(later)
        assert (doubled.state, doubled.receipt) == (OrderState.UNKNOWN, None)
        assert (await TotalsStore(store.database).sum_up()).spent == 2 * 5200


@pytest.mark.parametrize("stop_first", [False, True])
async def test_p6_the_later_of_two_opt_outs_or_opt_ins_of_a_number_counts(
    location: StateLocation, clock: ManualClock, *, stop_first: bool
) -> None:
    async def stop(store: Store) -> None:
        await store.inbound.record([said("STOP", at=NOON + (-MINUTE if stop_first else MINUTE))])

    async def start(store: Store) -> None:
        await store.inbound.record([said("START", at=NOON), said("Ja", by=OTHER_PHONE)])

    await in_both(location, clock, stop, start)
    async with opened(location, clock) as store:
        assert (await store.orders.recall(a_draft())).opted_out is not stop_first
        assert (await store.orders.recall(a_draft(to=OTHER_PHONE))).is_known


async def test_received_texts_are_merged_so_that_waiting_calls_miss_none(
    location: StateLocation, clock: ManualClock
) -> None:
    common = [said(f"Till båda {number}", at=NOON + number * MINUTE) for number in range(3)]
    own = [said(f"Till en {number}", at=NOON + number * MINUTE) for number in range(4)]
    others = [said(f"Till den andra {number}", at=NOON + number * MINUTE) for number in range(2)]
    before: dict[AccountKey, list[str]] = {}

    async def receive_text(store: Store, *messages: object) -> None:
        for message in messages:
            await store.inbound.record([message])  # type: ignore[list-item]
            clock.advance(timedelta(seconds=1))

    async def one(store: Store) -> None:
        await receive_text(store, common[0], *own, common[1])
        before[ACCOUNT] = [each.message_id for each in await store.arrivals.list_after(0)]

    async def other(store: Store) -> None:
        await receive_text(store, others[0], common[1], common[0], common[2], others[1])
        before[DOUBLE] = [each.message_id for each in await store.arrivals.list_after(0)]

    await in_both(location, clock, one, other)
    async with opened(location, clock) as store:
        merged = await store.arrivals.list_after(0)
        all_ids = {each.id for each in (*common, *own, *others)}
        assert sorted(each.message_id for each in merged) == sorted(all_ids)
        positions = [each.position for each in merged]
        assert positions == sorted(set(positions))
        for ids in before.values():
            for seen in range(len(ids) + 1):  # who has seen so many of an account still gets all others
                left = {each.message_id for each in await store.arrivals.list_after(seen)}
                assert left >= all_ids - set(ids[:seen])
        last = await store.arrivals.find_last()
        assert last == positions[-1]
        await store.inbound.record([said("Ny", at=clock.now())])
        found = await store.arrivals.find_first(Wanted(after=last))
        assert found
        assert found.position == last + 1


async def test_pace_pauses_and_readings_continue_from_the_more_careful_value(
    location: StateLocation, clock: ManualClock
) -> None:
    async def throttled(store: Store) -> None:
        await store.queue.pause(PauseReason.THROTTLED, timedelta(hours=2))
        await store.inbound.record([], until=NOON)

    async def without_funds(store: Store) -> None:
        await store.queue.pause(PauseReason.NO_FUNDS, MINUTE)
        await store.inbound.record([], until=NOON - MINUTE)

    await in_both(location, clock, throttled, without_funds)
    async with opened(location, clock) as store:
        received = await store.inbound.find_position()
        assert (received.until, received.age) == (NOON - MINUTE, None)
        assert await store.queue.find_pause() is PauseReason.NO_FUNDS
        clock.advance(timedelta(minutes=90))
        assert await store.queue.find_pause() is PauseReason.NO_FUNDS


async def test_merging_with_an_account_that_never_read_history_keeps_the_position_read(
    location: StateLocation, clock: ManualClock
) -> None:
    async def nothing(store: Store) -> None:
        await store.queue.find_due_work()

    async def read(store: Store) -> None:
        await store.inbound.record([], until=NOON)

    await in_both(location, clock, nothing, read)
    async with opened(location, clock) as store:
        assert (await store.inbound.find_position()).until == NOON


async def test_tokens_reports_and_taint_are_merged(location: StateLocation, clock: ManualClock) -> None:
    async def one(store: Store) -> str:
        await store.inbound.record_webhooks([], [Report(message_id="s1", status="delivered")])
        await store.taint.record("agent", [ShownText(NUMBER.e164, NOON, NOON)])
        return await store.tokens.make("one", frozenset(Caller().scopes))

    async def other(store: Store) -> str:
        await store.inbound.record_webhooks(
            [], [Report(message_id=each, status="sent") for each in ("s1", "s2")]
        )
        clock.advance(MINUTE)
        await store.taint.record(
            "agent", [ShownText(each.e164, NOON, NOON) for each in (NUMBER, OTHER_PHONE)]
        )
        return await store.tokens.make("other", frozenset(Caller().scopes))

    await in_both(location, clock, one, other)
    async with opened(location, clock) as store:
        known = await store.tokens.list_valid()
        assert sorted(each.name for each in known.valid.values()) == ["one", "other"]
        assert known.foreign == {}
        assert await store.inbound.retry_parked() == 2
    parked = read_rows(location, "SELECT message_id, status FROM parked ORDER BY message_id")
    assert parked == [("s1", "delivered"), ("s2", "sent")]
    assert read_rows(location, "SELECT count(*), min(shown_at) = max(shown_at) FROM taint")[0] in {
        (2, 1),
        (2, True),
    }


async def test_accounts_that_are_not_the_same_are_left_alone(
    location: StateLocation, clock: ManualClock
) -> None:
    for account in (ACCOUNT, DOUBLE):
        async with opened(location, clock, account) as store:
            await place_one(store)
    set_back(location)
    async with opened(location, clock, DOUBLE) as store:
        assert (await store.queue.find_due_work()).queued == 1
    assert read_rows(location, "SELECT count(*) FROM accounts") == [(2,)]


async def test_p4_a_server_finds_orders_that_an_older_version_queued_for_the_same_account(
    tmp_path: Path,
) -> None:
    location = StateLocation(folder=tmp_path / "state")
    async with opened(location, account=DOUBLE) as store:
        await store.orders.place(an_approval(a_draft(), Approver.POLICY), allow)
    assert location.file
    assert not has_work(location.file, ACCOUNT)
    make_same(location)
    assert has_work(location.file, ACCOUNT)
