"""The plan of a batch: the price of each row, the rows that are left out, and when they go out."""

from datetime import UTC, datetime, timedelta

import pytest

from elks_mcp.domain.orders import Effect, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.errors import InvalidInput, Refused
from elks_mcp.store import StateLocation
from elks_mcp.store.opt_outs import OptOuts
from tests.support.provider import UNLIMITED, posts
from tests.support.shops import MESSAGE, THREE, list_phones, open_idle_shop, open_shop, write_list
from tests.support.stores import PRICE, on_both_databases

pytestmark = pytest.mark.anyio

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AMERICAN = Number("+12025550123")
"""Its clock is 6 hours behind that of Sweden."""

SAME = "namn;telefon\nÅsa;+46701740605\nBo;+46701740605\nÅsa;0701740605\n"
"""Two texts to one number, one of them twice."""


# ── prices ──


async def test_a_text_that_becomes_ucs_2_for_one_row_is_priced_for_that_row(location: StateLocation) -> None:
    rows = THREE.replace("Bo", "Paweł") + "Ewa;0701740608\n"
    async with open_shop(location) as shop:
        plan = await shop.plan(rows, "Hej {namn}! " + "x" * 60)
        assert [row.parts for row in plan.rows] == [1, 2, 1, 1]
        assert [row.price.units for row in plan.rows] == [PRICE, 2 * PRICE, PRICE, PRICE]
        assert (plan.parts, plan.total.units) == (5, 5 * PRICE)
        batch = await shop.pass_until_ended(await shop.start(plan))
        assert batch.spent == plan.total


async def test_46elks_is_asked_once_for_each_country_and_number_of_parts(location: StateLocation) -> None:
    policy = UNLIMITED.model_copy(update={"allowed_countries": frozenset({"SE", "US"})})
    rows = write_list([*list_phones(20), AMERICAN, Number("+12025550124")])
    async with open_shop(location, policy) as shop:
        plan = await shop.plan(rows, "Hej {namn}!")
        assert len(plan.rows) == 22
        assert len(posts(shop.backend.world.box, dry_run=True)) == 2
        assert plan.total.units == 20 * PRICE + 2 * 1100


# ── what is left out ──


async def test_a_number_gets_the_same_text_once_and_a_different_one_too(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan(SAME)
        assert [row.text for row in plan.rows] == [MESSAGE.format(namn=name) for name in ("Åsa", "Bo")]
        assert plan.count_left_out() == {"It repeats a row above: the same number and text.": (4,)}


async def test_a_number_gets_no_more_texts_than_allowed_within_one_batch(location: StateLocation) -> None:
    policy = UNLIMITED.model_copy(update={"max_per_number": 2})
    rows = "namn;telefon\n" + "".join(f"Nr {each};+46701740620\n" for each in range(4))
    async with open_shop(location, policy) as shop:
        plan = await shop.plan(rows)
        assert [row.row for row in plan.rows] == [2, 3]
        assert ["velocity" in each.reason for each in plan.left_out] == [True, True]


@on_both_databases
async def test_texts_since_the_plan_count_when_the_batch_starts(location: StateLocation) -> None:
    policy = UNLIMITED.model_copy(update={"max_per_number": 2})
    rows = "namn;telefon\nÅsa;+46701740605\nBo;+46701740605\n"
    async with open_idle_shop(location, policy) as shop:
        first, second = await shop.plan(rows, "Ett, {namn}"), await shop.plan(rows, "Två, {namn}")
        third = await shop.plan("namn;telefon\nÅsa;+46701740605\n", "Tre, {namn}")
        await shop.start(third)
        started = await shop.start(first)
        assert started.counts == {OrderState.QUEUED: 1, OrderState.CANCELLED: 1}
        assert (await shop.start(second)).counts == {OrderState.CANCELLED: 2}


async def test_a_row_that_cannot_be_sent_is_left_out_with_a_reason_that_names_no_number(
    location: StateLocation,
) -> None:
    rows = "namn;telefon\nÅsa;+46701740605\n;+46701740606\nBo;+46846500405\nKim;+4530123456\nEli;070\n"
    async with open_shop(location) as shop:
        store = await shop.backend.storage.open()
        await OptOuts(store.database).add([Number("+46701740605")], "")
        plan = await shop.plan(rows)
        assert plan.rows == ()
        reasons = {each.row: each.reason for each in plan.left_out}
        for row, words in {
            2: "opted_out",
            3: "namn is empty",
            4: "textable_number",
            5: "ELKS_ALLOWED_COUNTRIES",
        }.items():
            assert words in reasons[row]
        assert set(reasons) == {2, 3, 4, 5, 6}
        assert not any(each.to and each.to.e164 in each.reason for each in plan.left_out)
        with pytest.raises(Refused, match="has no row"):
            await shop.batches.prepare(plan.id, can_ask=True)


async def test_a_list_longer_than_allowed_is_refused_naming_justsend(location: StateLocation) -> None:
    policy = UNLIMITED.model_copy(update={"max_batch": 2})
    async with open_shop(location, policy) as shop:
        with pytest.raises(Refused, match="ELKS_MAX_BATCH") as caught:
            await shop.plan()
        assert "JustSend" in caught.value.hint


async def test_a_plan_with_an_unknown_field_is_refused(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        with pytest.raises(InvalidInput, match="no column 'förnamn'"):
            await shop.plan(THREE, "Hej {förnamn}!")


# ── what an earlier text covers ──


@on_both_databases
async def test_p4_mondays_and_tuesdays_identical_reminder_are_two_texts(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        await shop.pass_until_ended(await shop.plan_and_start())
        assert (await shop.plan()).rows == ()
        tomorrow = await shop.plan(THREE, MESSAGE, send_at="2026-11-24T12:00", time_zone="UTC")
        assert len(tomorrow.rows) == 3
        await shop.start(tomorrow)
        shop.clock.advance(DAY)
        ended = await shop.pass_until_ended(await shop.batches.get(tomorrow.id))
        assert ended.counts == {OrderState.SENT: 3}
        assert len(shop.sent) == 6


async def test_rows_that_a_scheduled_batch_covers_are_left_out(location: StateLocation) -> None:
    at = {"send_at": "2026-11-24T12:00", "time_zone": "UTC"}
    async with open_shop(location) as shop:
        first = await shop.plan_and_start(THREE, MESSAGE, **at)
        repeated = await shop.plan(THREE + "Eli;0701740608\n", MESSAGE, **at)
        assert [row.to.e164 for row in repeated.rows] == ["+46701740608"]
        assert {first.id in each.reason for each in repeated.left_out} == {True}


async def test_sending_covered_rows_again_needs_a_persons_approval(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        await shop.pass_until_ended(await shop.plan_and_start())
        again = await shop.plan(THREE, MESSAGE, again=True)
        assert len(again.rows) == 3
        needed = await shop.batches.prepare(again.id, can_ask=True)
        assert "repeated" in {each.guard for each in needed.reasons}  # type: ignore[union-attr]
        assert (await shop.pass_until_ended(await shop.start(again))).counts == {OrderState.SENT: 3}


async def test_an_operator_who_switches_repeated_off_may_send_a_batch_twice(location: StateLocation) -> None:
    async with open_shop(location, UNLIMITED.model_copy(update={"guards_off": {"repeated"}})) as shop:
        plans = [await shop.plan() for _ in range(2)]
        for plan in plans:
            assert (await shop.pass_until_ended(await shop.start(plan))).counts == {OrderState.SENT: 3}
        assert len((await shop.plan()).rows) == 3


# ── when it goes out ──


async def test_at_night_a_batch_waits_for_the_morning_of_each_recipient(location: StateLocation) -> None:
    policy = UNLIMITED.model_copy(update={"allowed_countries": frozenset({"SE", "US"})})
    rows = write_list([Number("+46701740605"), AMERICAN])
    async with open_shop(location, policy) as shop:
        shop.clock.advance(datetime(2026, 11, 24, 3, 30, tzinfo=UTC) - shop.clock.now())
        plan = await shop.plan(rows)
        [night] = [each for each in plan.findings if each.guard == "night"]
        assert (night.effect, night.rows, "08:00" in night.reason) == (Effect.WARN, (2, 3), True)
        batch = await shop.start(plan)
        assert batch.counts == {OrderState.SCHEDULED: 2}
        for morning, sent in ((7, 1), (13, 2)):
            shop.clock.advance(datetime(2026, 11, 24, morning - 1, 59, tzinfo=UTC) - shop.clock.now())
            assert len(shop.sent) == sent - 1
            await shop.backend.pass_time(timedelta(minutes=2))
            assert len(shop.sent) == sent
        assert [to for to, _ in shop.sent] == ["+46701740605", AMERICAN.e164]


async def test_rows_that_would_be_sent_at_night_wait_for_the_morning(location: StateLocation) -> None:
    async with open_shop(location, per_minute=1) as shop:
        shop.clock.advance(datetime(2026, 11, 23, 19, 57, tzinfo=UTC) - shop.clock.now())
        batch = await shop.plan_and_start(write_list(list_phones(10)))
        assert 6 <= batch.counts[OrderState.SCHEDULED] <= 8
        await shop.backend.pass_time(timedelta(minutes=10))
        assert len(shop.sent) == 10 - batch.counts[OrderState.SCHEDULED]


async def test_an_explicit_time_at_night_is_kept_and_warned_of(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan(THREE, MESSAGE, send_at="2026-11-24T03:00", time_zone="Europe/Stockholm")
        assert "night" in {each.guard for each in plan.findings}
        await shop.start(plan)
        shop.clock.advance(timedelta(hours=14))
        assert (await shop.pass_until_ended(await shop.batches.get(plan.id))).counts == {OrderState.SENT: 3}


async def test_a_send_time_that_means_several_moments_is_refused(location: StateLocation) -> None:
    policy = UNLIMITED.model_copy(update={"allowed_countries": frozenset({"SE", "US"})})
    rows = write_list([Number("+46701740605"), AMERICAN])
    async with open_shop(location, policy) as shop:
        with pytest.raises(InvalidInput, match="different time zones"):
            await shop.plan(rows, MESSAGE, send_at="2026-11-24T09:00")
        plan = await shop.plan(rows, MESSAGE, send_at="2026-11-24T09:00", time_zone="Europe/Stockholm")
        assert plan.send_at == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


async def test_p13_more_texts_than_the_pace_sends_in_time_are_refused_with_the_sum(
    location: StateLocation,
) -> None:
    async with open_shop(location, UNLIMITED.model_copy(update={"latest": 5}), per_minute=1) as shop:
        with pytest.raises(InvalidInput, match="8 texts take"):
            await shop.plan(write_list(list_phones(8)), send_at="2026-11-24T12:00", time_zone="UTC")


async def test_p13_texts_of_another_batch_at_the_same_time_count_in_that_sum(location: StateLocation) -> None:
    async with open_shop(location, UNLIMITED.model_copy(update={"latest": 5}), per_minute=1) as shop:
        at = {"send_at": "2026-11-24T12:00", "time_zone": "UTC"}
        second = await shop.plan(THREE, "Hej 2", **at)
        await shop.plan_and_start(THREE, "Hej 1", **at)
        with pytest.raises(InvalidInput, match="3 texts take 5 minutes, behind 3 others of the same time"):
            await shop.plan(THREE, "Hej 3", **at)
        with pytest.raises(Refused, match="cannot all leave in time"):
            await shop.start(second)
        assert len((await shop.plan(THREE, "Hej 4", send_at="2026-11-24T12:10", time_zone="UTC")).rows) == 3


async def test_p13_a_batch_that_starts_late_is_no_later_than_allowed(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan(THREE, MESSAGE, send_at="2026-11-23T13:00", time_zone="UTC")
        shop.clock.advance(timedelta(hours=1, minutes=50))
        store = await shop.backend.storage.open()
        await shop.start(plan)
        latest = {order.expires_at for _, order in await store.batches.list_orders(plan.id)}
        assert latest == {datetime(2026, 11, 23, 14, 0, tzinfo=UTC)}
        shop.clock.advance(HOUR)
        other = await shop.plan(THREE, "Hej", send_at="2026-11-23T15:00", time_zone="UTC")
        shop.clock.advance(2 * HOUR)
        with pytest.raises(Refused, match="is over"):
            await shop.start(other)


async def test_a_test_row_has_the_text_of_the_row_and_the_operators_number(location: StateLocation) -> None:
    async with open_shop(location) as shop:
        plan = await shop.plan()
        me = Number("+46701740650")
        draft = shop.planner.draft_row(plan, 3, me)
        assert (draft.to, draft.text) == (me, MESSAGE.format(namn="Bo"))
        with pytest.raises(InvalidInput, match="no text in row 9"):
            shop.planner.draft_row(plan, 9, me)
