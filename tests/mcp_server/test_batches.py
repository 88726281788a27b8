"""Batches, as an assistant plans, starts, follows and stops them: two turns and one yes."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp_types import ElicitRequestParams, ElicitResult

from elks_mcp.domain.batches import BatchState
from elks_mcp.sandbox import Fault
from tests.support.batch_cases import MESSAGE, Shop, csv_of, number, open_shop, opened_admin, stop
from tests.support.clocks import ManualClock
from tests.support.connecting import (
    ERAS,
    Era,
    Person,
    box_on,
    call,
    connected,
    data,
    live,
    new_box,
    posted,
    words,
)
from tests.support.stores import change_rows
from tests.support.web import site

pytestmark = pytest.mark.anyio


# ── two turns and one yes ──


@pytest.mark.parametrize("era", ERAS)
async def test_a_list_of_30_takes_two_calls_and_one_approval(tmp_path: Path, era: Era) -> None:
    person = Person()
    async with open_shop(tmp_path, era, person) as shop:
        planned = await call(shop.client, "plan_batch", message=MESSAGE, csv=csv_of(30))
        assert shop.sent == []
        started = await call(shop.client, "start_batch", batchId=data(planned)["batchId"])
        assert (data(started)["status"], data(started)["unfinished"]) == ("finished", 0)
        assert [to for to, _ in shop.sent] == [number(row) for row in range(1, 31)]
        assert shop.sent[0][1] == "Hej Åsa! Din tid är i morgon kl. 9:30. Välkommen!"
    assert len(person.questions) == 1
    assert len(words(planned).encode()) + len(words(started).encode()) < 2500


async def test_the_answer_about_a_plan_of_100_is_short(tmp_path: Path) -> None:
    rows = [f"Kim{'🙂' * (at % 7 == 0)};{number(at) if at % 9 else '070'};" for at in range(95)]
    pasted = "\n".join(["namn;telefon;tid", *rows, *(f"Bo;+4670174069{at};9" for at in range(5))])
    async with open_shop(tmp_path, person=Person()) as shop:
        answer = await call(shop.client, "plan_batch", message=MESSAGE, csv=pasted)
        assert len(words(answer).encode()) <= 2500
        assert len(str(data(answer))) <= 3000


@pytest.mark.parametrize("era", ERAS)
async def test_p2_the_question_shows_the_whole_batch_and_fits_a_phone(tmp_path: Path, era: Era) -> None:
    person = Person()
    pasted = csv_of(12) + "\nKim;08-12;9:00\nSiv 🙂;070-174 06 40;9:30"
    async with open_shop(tmp_path, era, person) as shop:
        plan = await shop.plan(csv=pasted, name=" Påmin\0nelse\n")
        await shop.start(plan)
    (question,) = person.questions
    first, *lines = question.split("\n")
    assert first == "Send 13 texts to 13 recipients from +46701740699 for 6.76 SEK?"
    assert "Name: Påminnelse." in lines
    assert f"Cost: {plan['price']['amount']:.2f} SEK, {plan['parts']} parts." in lines
    assert any(line.startswith("When: now, the last about 7 seconds later; a text that") for line in lines)
    assert "Left out: 1 row." in lines
    assert any(line.startswith("You are asked because of: ") and "many" in line for line in lines)
    assert "| Hej Siv 🙂! Din tid är i morgon kl. " in lines
    assert all(len(line) <= 40 for line in lines if line.startswith("| "))
    assert lines[-2].startswith("End of the texts. It is 13 texts to 13 recipients for ")
    assert lines[-1].startswith(f"Batch {plan['batchId']}, digest ")


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_batch_that_a_person_declines_sends_nothing_and_can_be_asked_again(
    tmp_path: Path, action: Any
) -> None:
    person = Person(action)
    async with open_shop(tmp_path, person=person) as shop:
        plan = await shop.plan(csv=csv_of(11))
        declined = await call(shop.client, "start_batch", batchId=plan["batchId"])
        assert declined.is_error
        assert words(declined).startswith("Not started: Declined")
        assert (shop.sent, (await shop.check(plan))["status"]) == ([], "planned")
        person.action = "accept"
        assert (await shop.start(plan))["status"] == "finished"
    assert len(shop.sent) == 11


async def test_a_box_that_is_not_ticked_sends_nothing(tmp_path: Path) -> None:
    async with open_shop(tmp_path, person=Person(send=False)) as shop:
        plan = await shop.plan(csv=csv_of(11))
        assert (await call(shop.client, "start_batch", batchId=plan["batchId"])).is_error
    assert shop.sent == []


async def test_p4_planning_a_list_again_does_not_advise_to_correct_it(tmp_path: Path) -> None:
    async with open_shop(tmp_path, person=Person()) as shop:
        await shop.start(await shop.plan())
        again = await call(shop.client, "plan_batch", message=MESSAGE, csv=csv_of(3))
        assert data(again)["texts"] == 0
        assert "Everyone on the list already has this text, or will get it. Do not plan it again." in words(
            again
        )
        assert "Correct" not in words(again)


async def test_p4_repeating_a_start_sends_nothing_twice(tmp_path: Path) -> None:
    person = Person()
    async with open_shop(tmp_path, person=person) as shop:
        plan = await shop.plan()
        await shop.start(plan)
        again = await shop.start(plan)
        assert again["status"] == "finished"
        assert again["summary"].endswith("It was started before; this call changed nothing.")
    assert Counter(to for to, _ in shop.sent) == {number(row): 1 for row in (1, 2, 3)}


async def test_p1_in_dry_run_the_start_answers_with_the_price(tmp_path: Path) -> None:
    async with open_shop(tmp_path, person=Person(), DRY_RUN="true") as shop:
        plan = await shop.plan()
        started = await shop.start(plan)
        assert (started["status"], started["total"]) == ("dry_run", plan["price"])
        assert started["summary"].startswith("Dry run: nothing was sent")
        assert (await shop.check(plan))["status"] == "planned"
    assert posted(shop.box) == []


async def test_a_plan_that_is_a_day_old_or_cancelled_is_not_asked_about(tmp_path: Path) -> None:
    person = Person()
    async with open_shop(tmp_path, person=person) as shop:
        old, ended = await shop.plan(csv=csv_of(11)), await shop.plan(csv=csv_of(12))
        assert data(await stop(shop, ended, "cancel"))["status"] == "cancelled"
        shop.clock.advance(timedelta(hours=25))
        for plan, state in ((old, "expired"), (ended, "cancelled")):
            refused = await call(shop.client, "start_batch", batchId=plan["batchId"])
            assert f"{plan['batchId']} is {state}. Plan the batch again." in words(refused)
    assert (person.questions, shop.sent) == ([], [])


async def test_a_caller_has_50_plans_at_most_until_one_is_started_or_cancelled(tmp_path: Path) -> None:
    async with open_shop(tmp_path, person=Person()) as shop:
        plans = [await shop.plan("Hej!", recipients=[number(1)]) for _ in range(50)]
        refused = await call(shop.client, "plan_batch", message="Hej!", recipients=[number(1)])
        assert "50 batches of this caller are planned and not started" in words(refused)
        await stop(shop, plans[0], "cancel")
        assert (await shop.plan("Hej!", recipients=[number(1)]))["texts"] == 1


class _Tamperer(Person):
    """A person who says yes while somebody changes the stored plan."""

    statement = ""

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        if not self.questions:
            change_rows(self.shop.location, self.statement)
        return await super().__call__(context, params)

    shop: Shop


CHANGES = {
    "text": "update batches set plan = replace(plan, 'Hej Siv!', 'Hej Sive')",
    "recipient": "update batches set plan = replace(plan, '+46701740611', '+46701740655')",
    "sender": "update batches set plan = replace(plan, '+46701740699', 'Klara')",
    "digest": "update batches set digest = 'x'",
}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("change", CHANGES)
async def test_p2_a_plan_that_changed_after_the_approval_is_refused(
    tmp_path: Path, era: Era, change: str
) -> None:
    person = _Tamperer()
    async with open_shop(tmp_path, era, person) as shop:
        person.shop, person.statement = shop, CHANGES[change]
        plan = await shop.plan(csv=csv_of(11))
        refused = await call(shop.client, "start_batch", batchId=plan["batchId"])
        assert refused.is_error
        assert f"{plan['batchId']} is not the plan that was approved." in words(refused)
    assert shop.sent == []


# ── clients that cannot ask ──


async def test_p3_a_client_that_cannot_ask_gets_a_code_and_an_approval_starts_it_once(
    tmp_path: Path,
) -> None:
    async with open_shop(tmp_path) as shop:
        plan = await shop.plan(csv=csv_of(11))
        assert "waits for a person's approval in a terminal, because of first_contact, many" in plan["asks"]
        waiting = await call(shop.client, "start_batch", batchId=plan["batchId"])
        assert waiting.is_error
        assert words(waiting).startswith("Not started: Waiting for approval A-")
        assert "elks-mcp approve A-" in words(waiting)
        checked = await shop.check(plan)
        assert checked["status"] == "waiting"
        assert "Waiting for approval A-" in checked["summary"]
        async with opened_admin(shop) as admin:
            (record,) = await admin.list_waiting()
            assert record.plan
            await admin.approve(record.batch.approval_code or "", record.plan.digest)
        assert (await shop.start(plan))["status"] == "finished"
        assert (await shop.start(plan))["status"] == "finished"
    assert Counter(to for to, _ in shop.sent) == {number(row): 1 for row in range(1, 12)}


async def test_a_batch_that_was_approved_in_a_terminal_is_started_by_the_server(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        plan = await shop.plan(csv=csv_of(11))
        await call(shop.client, "start_batch", batchId=plan["batchId"])
        async with opened_admin(shop) as admin:
            (record,) = await admin.list_waiting()
            assert record.plan
            approved = await admin.approve(plan["batchId"], record.plan.digest)
            assert (approved.batch.state, approved.batch.is_approved) == (BatchState.WAITING, True)
        end = shop.clock.now() + timedelta(minutes=5)
        await shop.clock.sleep_until(end)
        assert (await shop.check(plan))["status"] == "finished"
    assert len(shop.sent) == 11


async def test_p5_an_approved_batch_over_the_budget_is_not_started_and_says_why(tmp_path: Path) -> None:
    async with open_shop(tmp_path, ELKS_BUDGET_PER_DAY="6", ELKS_CONFIRM="always") as shop:
        one, two = await shop.plan(csv=csv_of(6)), await shop.plan("Hej!", csv=csv_of(6))
        for plan in (one, two):
            assert (await call(shop.client, "start_batch", batchId=plan["batchId"])).is_error
        await approve_all(shop)
        await shop.clock.sleep_until(shop.clock.now() + timedelta(minutes=5))
        states = {plan["batchId"]: await shop.check(plan) for plan in (one, two)}
        assert sorted(each["status"] for each in states.values()) == ["finished", "planned"]
        (left,) = (each for each in states.values() if each["status"] == "planned")
        assert "Refused by daily_budget" in left["summary"]
    assert len(shop.sent) == 6


async def test_p2_an_approved_batch_whose_price_rose_since_the_plan_is_not_started(tmp_path: Path) -> None:
    async with open_shop(tmp_path, ELKS_CONFIRM="always") as shop:
        plan = await shop.plan()
        assert (await call(shop.client, "start_batch", batchId=plan["batchId"])).is_error
        shop.box.rules.prices["46"] += 1
        await approve_all(shop)
        await shop.clock.sleep_until(shop.clock.now() + timedelta(minutes=5))
        left = await shop.check(plan)
        assert (left["status"], "46elks raised its price" in left["summary"]) == ("planned", True)
        policy = words(await call(shop.client, "explain_policy"))
        assert f"Batch {plan['batchId']} was approved and could not be started. 46elks raised" in policy
    assert shop.sent == []


async def test_p2_an_approved_batch_is_started_once_46elks_prices_it_again(tmp_path: Path) -> None:
    async with open_shop(tmp_path, ELKS_CONFIRM="always") as shop:
        plan = await shop.plan()
        assert (await call(shop.client, "start_batch", batchId=plan["batchId"])).is_error
        shop.box.faults.inject(Fault.UNAVAILABLE, method="POST", dryrun=True, times=None)
        await approve_all(shop)
        asked = len(shop.box.requests)
        await shop.clock.sleep_until(shop.clock.now() + timedelta(minutes=5))
        assert ((await shop.check(plan))["status"], shop.sent) == ("waiting", [])
        assert len(shop.box.requests) - asked < 100
        shop.box.faults.clear()
        await shop.clock.sleep_until(shop.clock.now() + timedelta(minutes=5))
        assert (await shop.check(plan))["status"] == "finished"
    assert len(shop.sent) == 3


async def approve_all(shop: Shop) -> None:
    """Approve the batches that wait, as a person in a terminal does."""
    async with opened_admin(shop) as admin:
        for record in await admin.list_waiting():
            assert record.plan
            await admin.approve(record.batch.id, record.plan.digest)


# ── whose it is ──


async def test_another_callers_batch_is_not_found() -> None:
    box = new_box()
    async with site(box, environ={"ELKS_MAX_BATCH": "50"}) as where:
        one, two = await where.token("one"), await where.token("two")
        async with where.client(token=one) as theirs, where.client(token=two) as other:
            plan = data(await call(theirs, "plan_batch", message="Hej!", recipients=[number(1)]))
            for tool, more in (
                ("start_batch", {}),
                ("check_batch", {}),
                ("stop_batch", {"change": "cancel"}),
            ):
                refused = await call(other, tool, batchId=plan["batchId"], **more)
                assert "No batch has that id." in words(refused)
            rest = await call(other, "plan_batch", message="Hej!", restOf=plan["batchId"])
            assert "No batch has that id." in words(rest)
            assert data(await call(theirs, "check_batch", batchId=plan["batchId"]))["status"] == "planned"
    assert posted(box) == []


async def test_a_toolset_that_is_off_offers_no_batch(tmp_path: Path) -> None:
    async with open_shop(tmp_path, ELKS_TOOLSETS="sms") as shop:
        assert "plan_batch" not in {tool.name for tool in (await shop.client.list_tools()).tools}
        refused = await call(shop.client, "plan_batch", message="Hej!", recipients=[number(1)])
        assert "Unknown tool" in words(refused)
        templates = (await shop.client.list_resource_templates()).resource_templates
        assert not any("batches" in each.uri_template for each in templates)


async def test_the_resource_of_a_batch_is_the_answer_of_the_tool(tmp_path: Path) -> None:
    async with open_shop(tmp_path, person=Person()) as shop:
        plan = await shop.plan()
        await shop.start(plan)
        read = (await shop.client.read_resource(f"elks://batches/{plan['batchId']}")).contents[0]
        assert '"status":"finished"' in getattr(read, "text", "")


async def test_the_policy_names_the_limits_and_what_is_left(tmp_path: Path) -> None:
    async with open_shop(tmp_path, person=Person(), ELKS_SMS_PER_MINUTE="1") as shop:
        plan = await shop.plan()
        await shop.start(plan)
        policy = words(await call(shop.client, "explain_policy"))
        assert "ELKS_MAX_BATCH" in policy
        assert f"Batch {plan['batchId']} is running" in policy


async def test_p13_a_batch_is_one_line_of_the_schedule_and_one_of_the_missed_texts(
    tmp_path: Path,
) -> None:
    then = "Monday 2026-11-23 13:10 +01:00 (Europe/Stockholm)"
    clock = ManualClock()
    box = box_on(clock)
    environ = live(box, ELKS_STATE_DIR=str(tmp_path), ELKS_TIME_ZONE="Europe/Stockholm")
    recipients = [f"+467017406{number}" for number in ("05", "06", "07")]
    async with connected(environ, box=box, clock=clock, person=Person()) as client:
        batch = {"message": "Hej", "recipients": recipients, "sendAt": "2026-11-23T13:10"}
        batch_id = data(await call(client, "plan_batch", **batch))["batchId"]
        started = data(await call(client, "start_batch", batchId=batch_id))
        assert started["summary"].startswith("Scheduled: 0 of 3 texts ended, the last leaves at about ")
        assert "Each text is sent only if a client with this server is open then" in started["summary"]
        answer = await call(client, "list_scheduled")
        assert data(answer)["scheduled"] == []
        assert [(each["batchId"], each["when"], each["texts"]) for each in data(answer)["batches"]] == [
            (batch_id, then, 3)
        ]
        assert f"- {then}, batch {batch_id}: 3 texts" in words(answer)
    clock.advance(timedelta(hours=2))
    async with connected(environ, box=box, clock=clock) as client:
        missed = data(await call(client, "list_scheduled"))
        line = f"Not sent as scheduled: 3 texts of batch {batch_id}. It was too late to send it: "
        assert [each[: len(line)] for each in missed["missed"]] == [line]
        assert (missed["notSent"], "batches" in missed) == ([], False)
        assert [(each["batchId"], each["texts"]) for each in missed["batchesNotSent"]] == [(batch_id, 3)]
        assert data(await call(client, "check_batch", batchId=batch_id))["counts"] == {"expired": 3}
    assert posted(box) == []
