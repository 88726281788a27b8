"""The credentials of a subaccount: all that is stored stays that of one account."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from elks_mcp.domain.models import Scope
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.taint import ShownText
from elks_mcp.sandbox import Fault, Sandbox
from elks_mcp.settings import load
from elks_mcp.store import AccountKey, Idle, StateLocation
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import orders
from elks_mcp.store.doubts import LONGEST
from tests.support.clocks import ManualClock, pass_time
from tests.support.connecting import PHONE, box_on, call, connected, data, live, new_box, posted, words
from tests.support.provider import NOON
from tests.support.store_cases import EVENING, NONE, QUIET
from tests.support.stores import (
    ACCOUNT,
    UNPACED,
    a_message,
    allow,
    claim_new,
    on_both_databases,
    opened,
)

pytestmark = pytest.mark.anyio
CAPPED = AccountKey(ACCOUNT.base_url, ACCOUNT.username, "a" + "1" * 32)
SECOND = timedelta(seconds=1)
SECOND_PHONE = "+46701740606"


def as_subaccount(box: Sandbox, **more: str) -> dict[str, str]:
    """Return the environment of a live server with the credentials of a new subaccount."""
    capped = box.subaccounts.add("elks-mcp", box.clock.now(), usage_limit=100_000)
    credentials = {"ELKS_API_USERNAME": capped.id, "ELKS_API_PASSWORD": capped.secret}
    return live(box, ELKS_ACCOUNT=box.username, **more) | credentials


# ── settings ──


U, A = "u" + "1" * 32, "a" + "1" * 32


def account_of(**environ: str) -> AccountKey:
    """Return the account of a server with these settings."""
    return load({"ELKS_API_PASSWORD": "p", **environ}).settings.account


def test_the_account_is_the_one_that_is_named_whichever_credentials_are_used() -> None:
    plain, capped = account_of(ELKS_API_USERNAME=U), account_of(ELKS_API_USERNAME=A, ELKS_ACCOUNT=f" {U} ")
    assert capped == plain
    assert (plain.sends_as, capped.sends_as) == (U, A)
    assert account_of(ELKS_API_USERNAME=U, ELKS_ACCOUNT=U) == plain
    assert account_of(ELKS_API_USERNAME=A) != plain, "without the setting, it is an account of its own"


# ── what is stored ──


@pytest.mark.parametrize("reads_account", [True, False])
async def test_p5_p6_budget_repeats_and_opt_outs_carry_over_to_a_subaccount(
    tmp_path: Path, *, reads_account: bool
) -> None:
    box = new_box()
    box.rules.subaccounts_read_account = reads_account
    more = {"ELKS_STATE_DIR": str(tmp_path), "ELKS_BUDGET_PER_DAY": "1", "ELKS_GUARDS_OFF": "night"}
    async with connected(live(box, **more), box=box) as client:
        first = data(await call(client, "send_sms", to=PHONE, message="Kommer du?"))
        assert first["status"] == "sent"
        box.receive(SECOND_PHONE, "STOP")
        await call(client, "get_sms_messages")
    async with connected(as_subaccount(box, **more), box=box) as client:
        again = data(await call(client, "send_sms", to=PHONE, message="Kommer du?"))
        assert (again["deduplicated"], again["orderId"]) == (True, first["orderId"])
        assert "opted_out: " in words(await call(client, "send_sms", to=SECOND_PHONE, message="Hej"))
        assert data(await call(client, "explain_policy"))["budget"]["spent"]["amount"] == 0.52
        refused = words(await call(client, "send_sms", to=PHONE, message="Och du?"))
        assert "daily_budget: " in refused
        assert data(await call(client, "check_sms_status", messageId=first["orderId"]))["messageId"]
    async with connected(live(box, **more), box=box) as client:
        assert "opted_out: " in words(await call(client, "send_sms", to=SECOND_PHONE, message="Hej"))
        assert "daily_budget: " in words(await call(client, "send_sms", to=PHONE, message="Jag?"))
    assert len(posted(box)) == 1


async def test_p10_a_text_that_was_shown_taints_also_after_the_change(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await store.taint.record("", [ShownText(SECOND_PHONE, clock.now(), clock.now())])
    async with opened(location, clock, CAPPED) as store:
        assert await store.taint.find_hold("")
    async with opened(location, clock, AccountKey(ACCOUNT.base_url, CAPPED.sends_as)) as store:
        assert await store.taint.find_hold("") is None, "without the account's name, nothing carries over"


async def test_the_tokens_of_the_account_open_the_server_of_a_subaccount(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await store.tokens.make("Claude", frozenset({Scope.SEND}))
    async with opened(location, clock, CAPPED) as store:
        known = await store.tokens.list_valid()
    assert [caller.name for caller in known.valid.values()] == ["Claude"]
    assert known.foreign == {}


# ── doubts ──


@pytest.mark.parametrize("sees_everything", [True, False])
async def test_p4_a_text_in_doubt_is_never_sent_again_by_a_subaccount_that_may_not_see_it(
    tmp_path: Path, *, sees_everything: bool
) -> None:
    clock = ManualClock()
    box = box_on(clock)
    box.rules.subaccounts_see_everything = sees_everything
    more = {"ELKS_STATE_DIR": str(tmp_path), "ELKS_GUARDS_OFF": "night"}
    async with connected(live(box, **more), box=box, clock=clock) as client:
        box.faults.inject(Fault.DROP_AFTER, method="POST", dryrun=False)
        box.faults.inject(Fault.UNAVAILABLE, method="GET", path="/sms", times=None, skip=1)
        sent = data(await call(client, "send_sms", to=PHONE, message="Kommer du?"))
        assert sent["status"] == "in_doubt"
    box.faults.clear()
    async with connected(as_subaccount(box, **more), box=box, clock=clock) as client:
        await call(client, "explain_policy")
        await pass_time(clock, timedelta(minutes=10))
        clock.advance(LONGEST)
        await pass_time(clock, timedelta(minutes=1))
        status = data(await call(client, "check_sms_status", messageId=sent["orderId"]))["status"]
    assert status in ({"sent", "delivered"} if sees_everything else {"unknown"})
    assert len(posted(box)) == 1


@on_both_databases
@pytest.mark.parametrize("account", [ACCOUNT, CAPPED])
async def test_absence_from_history_counts_only_for_the_credentials_of_the_attempt(
    location: StateLocation, clock: ManualClock, account: AccountKey
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        await store.queue.settle_doubt(claim, "No answer.")
    async with opened(location, clock, account) as store:
        for at in (QUIET, QUIET * 1.1):
            await store.doubts.conclude([], read_at=NOON + at, quiet=QUIET, skew=NONE)
        state = (await store.orders.get(claim.order_id)).state
        assert state is (OrderState.QUEUED if account.sends_as == ACCOUNT.sends_as else OrderState.IN_DOUBT)
        if account is ACCOUNT:
            return
        assert await store.queue.claim(UNPACED, allow) == Idle(None)
        clock.advance(LONGEST + SECOND)
        await store.doubts.conclude([], read_at=clock.now(), quiet=QUIET, skew=NONE)
        assert (await store.orders.get(claim.order_id)).state is OrderState.UNKNOWN


async def test_a_message_that_other_credentials_see_was_sent(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock, CAPPED) as store:
        claim = await claim_new(store, EVENING)
        await store.queue.settle_doubt(claim, "No answer.")
    async with opened(location, clock) as store:
        found = [a_message(EVENING, message_id="s1")]
        await store.doubts.conclude(found, read_at=NOON, quiet=QUIET, skew=NONE)
        assert (await store.orders.get(claim.order_id)).state is OrderState.SENT


async def test_an_attempt_of_an_older_version_was_made_with_the_credentials_of_the_account(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await claim_new(store, EVENING)
        await store.queue.settle_doubt(claim, "No answer.")

        def forget(tx: Tx) -> None:
            tx.execute(update(orders).values(attempted_as=None))

        await store.database.run(forget, writes=True)
    async with opened(location, clock, CAPPED) as store:
        for at in (QUIET, QUIET * 1.1):
            await store.doubts.conclude([], read_at=NOON + at, quiet=QUIET, skew=NONE)
        assert (await store.orders.get(claim.order_id)).state is OrderState.IN_DOUBT
