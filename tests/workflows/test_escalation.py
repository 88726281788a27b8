"""Alerts, from the request to the end: each step once, until somebody answers."""

from datetime import timedelta

import pytest

from elks_mcp.domain.alerts import AckMeans
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.phone import Number
from elks_mcp.sandbox import Fault
from elks_mcp.store import StateLocation
from tests.support.pagers import FIRST, PAGING, SECOND_PERSON, THIRD, open_pager
from tests.support.provider import UNLIMITED
from tests.support.stores import MINUTE, PRICE, SECOND, World, change_rows, on_both_databases, read_rows

pytestmark = pytest.mark.anyio

TWICE = PAGING.replace("cost_cap: 50", "cost_cap: 50\n    rounds: 2")


@on_both_databases
async def test_an_alert_goes_on_to_the_next_person_until_one_acknowledges(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        code = await pager.code(alert)
        await pager.pass_time(4 * MINUTE)
        assert pager.sent == [(FIRST.e164, f"Disken är full\nReply OK {code} to acknowledge.")]
        await pager.pass_time(2 * MINUTE)
        assert pager.reached == [FIRST.e164, SECOND_PERSON.e164]
        pager.answer(f"ok {code}", SECOND_PERSON)
        over = await pager.pass_until_over(alert)
        assert (over.state, over.acknowledged_by, over.acknowledged_how) == (
            AlertState.ACKNOWLEDGED,
            SECOND_PERSON,
            AckMeans.TEXT,
        )
        await pager.pass_time(60 * MINUTE)
        assert len(pager.sent) == 2
        assert (await pager.get(alert)).spent.units == 2 * PRICE


async def test_an_alert_that_nobody_answers_goes_through_its_path_and_ends(location: StateLocation) -> None:
    async with open_pager(location, paging=TWICE) as pager:
        over = await pager.pass_until_over(await pager.page())
        assert pager.reached == [FIRST.e164, SECOND_PERSON.e164] * 2
        assert over.state is AlertState.UNANSWERED
        assert over.started_at
        assert over.ended_at
        assert 30 * MINUTE <= over.ended_at - over.started_at <= 31 * MINUTE
        assert 'elks_mcp_alerts_total{outcome="unanswered"} 1' in pager.counters.write()


async def test_a_late_acknowledgement_is_recorded_and_opens_nothing(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        code = await pager.code(alert)
        over = await pager.pass_until_over(alert)
        assert (over.state, over.late_by) == (AlertState.UNANSWERED, None)
        pager.answer(f"OK {code}")
        await pager.backend.history.refresh(timedelta())
        late = await pager.get(alert)
        assert (late.state, late.late_by) == (AlertState.UNANSWERED, FIRST)
        assert late.late_at
        await pager.pass_time(60 * MINUTE)
        assert len(pager.sent) == 2


async def test_two_incidents_to_one_person_are_told_apart_by_their_codes(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        disk, fire = await pager.page("Disken är full"), await pager.page("Det brinner")
        await pager.pass_time(MINUTE)
        assert await pager.code(disk) != await pager.code(fire)
        pager.answer(f"OK {await pager.code(fire)}")
        await pager.pass_time(MINUTE)
        assert (await pager.get(disk)).state is AlertState.RUNNING
        assert (await pager.get(fire)).state is AlertState.ACKNOWLEDGED
        assert not (await pager.get(disk)).attempts[0].wrong_codes


async def test_only_a_number_that_the_alert_reached_acknowledges_it(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        await pager.pass_time(MINUTE)
        code = await pager.code(alert)
        for stranger in (SECOND_PERSON, THIRD):  # the second person is on the path, and not reached yet
            pager.answer(f"OK {code}", stranger)
        await pager.pass_time(MINUTE)
        assert (await pager.get(alert)).state is AlertState.RUNNING
        assert len(pager.sent) == 1


async def test_five_wrong_codes_end_acknowledgement_by_text_for_that_number_alone(
    location: StateLocation, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        await pager.pass_time(6 * MINUTE)
        code = await pager.code(alert)
        wrong = [f"{number:04}" for number in range(1, 9) if f"{number:04}" != code]
        for each in wrong[:5]:
            pager.answer(f"OK {each}")
        await pager.backend.history.refresh(timedelta())
        pager.answer("Vilken disk?")
        pager.answer(f"OK {code}")
        await pager.pass_time(MINUTE)
        blocked = await pager.get(alert)
        assert blocked.state is AlertState.RUNNING
        assert [each.to for each in blocked.blocked] == [FIRST]
        assert "too many wrong codes" in caplog.text
        assert FIRST.e164 not in caplog.text
        pager.answer(f"OK {code}", SECOND_PERSON)
        await pager.pass_time(MINUTE)
        assert (await pager.get(alert)).acknowledged_by == SECOND_PERSON


async def test_four_wrong_codes_and_the_right_one_acknowledge(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        await pager.pass_time(MINUTE)
        code = await pager.code(alert)
        for each in [f"{number:04}" for number in range(1, 9) if f"{number:04}" != code][:4]:
            pager.answer(f"OK {each}")
            await pager.backend.history.refresh(timedelta())
            await pager.backend.history.refresh(timedelta())  # a text counts once, however often it is read
        pager.answer(f"OK {code}")
        await pager.pass_time(MINUTE)
        assert (await pager.get(alert)).state is AlertState.ACKNOWLEDGED


async def test_an_acknowledgement_before_the_text_left_does_not_count(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        pager.fail(Fault.CONNECTION_REFUSED)
        await pager.pass_time(MINUTE)
        pager.answer(f"OK {await pager.code(alert)}")
        await pager.pass_time(MINUTE)
        assert (await pager.get(alert)).state is AlertState.RUNNING


async def test_p6_a_person_who_said_stop_is_skipped_and_the_alert_goes_on(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        await pager.pass_time(MINUTE)
        pager.answer("STOP", SECOND_PERSON)
        over = await pager.pass_until_over(alert)
        assert pager.reached == [FIRST.e164]
        assert over.state is AlertState.UNANSWERED
        [skipped] = [each for each in over.attempts if each.skipped]
        assert (skipped.to, skipped.order_id) == (SECOND_PERSON, None)
        assert "opted_out" in skipped.skipped


async def test_p6_a_person_who_said_stop_before_is_left_out_and_named(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        pager.answer("STOP")
        alert = await pager.page()
        plan = await (await pager.backend.storage.open()).alerts.get_plan(alert.id)
        assert [each.to for each in plan.left_out] == [FIRST]
        await pager.pass_time(MINUTE)
        assert pager.reached == [SECOND_PERSON.e164]


async def test_p5_the_daily_budget_holds_and_an_alert_that_reached_nobody_has_failed(
    location: StateLocation, caplog: pytest.LogCaptureFixture
) -> None:
    policy = UNLIMITED.model_copy(update={"budget_per_day": PRICE - 1})
    async with open_pager(location, policy) as pager:
        with pytest.raises(Exception, match="daily_budget"):
            await pager.page()
        assert pager.sent == []


async def test_p5_a_budget_that_is_used_up_meanwhile_skips_the_rest(
    location: StateLocation, caplog: pytest.LogCaptureFixture
) -> None:
    policy = UNLIMITED.model_copy(update={"budget_per_day": PRICE})
    async with open_pager(location, policy) as pager:
        over = await pager.pass_until_over(await pager.page())
        assert pager.reached == [FIRST.e164]
        assert over.state is AlertState.UNANSWERED
        assert "daily_budget" in [each.skipped for each in over.attempts][1]
        assert "nobody acknowledged it" in caplog.text


async def test_an_alert_costs_at_most_its_cap(location: StateLocation) -> None:
    capped = TWICE.replace("cost_cap: 50", "cost_cap: 1.60")  # three texts of 0.52
    async with open_pager(location, paging=capped) as pager:
        alert = await pager.page()
        assert alert.most.units == 16000
        over = await pager.pass_until_over(alert)
        assert pager.reached == [FIRST.e164, SECOND_PERSON.e164, FIRST.e164]
        assert over.spent.units == 3 * PRICE
        assert "cost cap" in over.attempts[-1].skipped


async def test_p4_a_text_that_46elks_rejects_is_not_waited_for(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        pager.fail(Fault.FORBIDDEN, text="Invalid number", times=1)
        await pager.pass_until(lambda: len(pager.sent) == 2)
        assert pager.clock.now() - alert.created_at < MINUTE
        assert (await pager.get(alert)).state is AlertState.RUNNING


async def test_an_alert_whose_texts_are_all_rejected_has_failed(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        pager.fail(Fault.FORBIDDEN, text="Invalid number")
        over = await pager.pass_until_over(alert)
        assert over.state is AlertState.FAILED
        assert "Nobody on the path could be reached" in over.reason
        assert (over.spent.units, pager.backend.world.box.accepted) == (0, [])


async def test_an_ended_alert_takes_its_queued_texts_with_it(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        pager.fail(Fault.CONNECTION_REFUSED)
        await pager.pass_time(20 * SECOND)
        await pager.alerts.end(await pager.get(alert), None, None)  # type: ignore[arg-type]
        pager.backend.world.box.faults.clear()
        await pager.pass_time(10 * MINUTE)
        assert pager.backend.world.box.accepted == []
        assert (await pager.get(alert)).state is AlertState.ENDED


async def test_the_words_of_an_alert_are_deleted_at_its_end_and_its_path_a_day_later(
    location: StateLocation,
) -> None:
    async with open_pager(location) as pager:
        alert = await pager.pass_until_over(await pager.page("Hemlig serverhall"))
        [(plan,)] = read_rows(location, "SELECT plan FROM alerts WHERE id = ?", alert.id)
        assert "Hemlig" not in plan
        await (await pager.backend.storage.open()).cleanup.delete_expired()
        assert (await pager.get(alert)).path
        pager.clock.advance(25 * 60 * MINUTE)
        await (await pager.backend.storage.open()).cleanup.delete_expired()
        assert read_rows(location, "SELECT plan FROM alerts WHERE id = ?", alert.id) == [(None,)]
        assert (await pager.get(alert)).path is None


async def test_a_changed_policy_changes_no_running_alert(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        pager.paging = PAGING.replace(SECOND_PERSON.e164, THIRD.e164)
        await pager.pass_until_over(alert)
        assert pager.reached == [FIRST.e164, SECOND_PERSON.e164]


async def test_quiet_hours_do_not_hold_an_alert_back(location: StateLocation) -> None:
    world = World(location)
    async with open_pager(world) as pager:
        pager.clock.advance(11 * 60 * MINUTE)  # midnight in Sweden
        alert = await pager.page()
        await pager.pass_time(MINUTE)
        assert pager.reached == [FIRST.e164]
        plan = await (await pager.backend.storage.open()).alerts.get_plan(alert.id)
        assert "night" not in {each.guard for each in plan.findings}


async def test_two_servers_place_each_step_once(location: StateLocation) -> None:
    world = World(location)
    async with open_pager(world) as one, open_pager(world) as two:
        alert = await one.page()
        over = await two.pass_until_over(alert)
        assert one.reached == [FIRST.e164, SECOND_PERSON.e164]
        assert over.state is AlertState.UNANSWERED
        ended = [each for pager in (one, two) for each in pager.counters.write() if "unanswered" in each]
        assert len(ended) == 1


async def test_the_digit_in_a_call_acknowledges_and_a_pick_up_does_not(location: StateLocation) -> None:
    """The calls of this test are texts to the sandbox: only their outcome matters here."""
    pressed: dict[str, str] = {}

    async def find_digits(order_id: str) -> str | None:
        return pressed.get(order_id)

    async with open_pager(location, find_digits=find_digits) as pager:
        alert = await pager.page()
        await pager.pass_time(MINUTE)
        [attempt] = (await pager.get(alert)).attempts
        change_rows(location, "UPDATE alert_attempts SET means = 'call'")
        assert attempt.order_id
        for digits in ("", "2"):
            pressed[attempt.order_id] = digits
            await pager.pass_time(MINUTE)
            assert (await pager.get(alert)).state is AlertState.RUNNING
        pressed[attempt.order_id] = "1"
        over = await pager.pass_until_over(alert)
        assert (over.acknowledged_by, over.acknowledged_how) == (FIRST, AckMeans.CALL)


def test_numbers_of_these_tests_are_of_the_fictional_range() -> None:
    assert all(isinstance(each, Number) for each in (FIRST, SECOND_PERSON, THIRD))
