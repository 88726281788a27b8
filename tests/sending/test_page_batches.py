"""Batches on the sandbox's page: what a person approves, how far each is, and when it is gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.contacts.accepted import AcceptedContacts
from elks_mcp.contacts.source import ContactSource
from elks_mcp.domain.batches import BatchState
from elks_mcp.domain.policy import Policy
from elks_mcp.sandbox import Fault, ShownBatch
from elks_mcp.sending.page_approvals import SHOWN_FOR, PageApprovals
from tests.support.provider import UNLIMITED
from tests.support.shops import Shop, list_phones, open_shop, write_list
from tests.support.state_folders import with_tables
from tests.support.stores import MINUTE, SECOND

pytestmark = pytest.mark.anyio

LIST = "namn;telefon\nÅsa;070-174 06 05\n;070-174 06 06\n<b>Kim</b>;070-174 06 07\nBo;08-123 456 78\n"


@asynccontextmanager
async def open_page(folder: Path, policy: Policy = UNLIMITED) -> AsyncIterator[tuple[Shop, PageApprovals]]:
    """Run a shop and the approvals of its sandbox's page."""
    async with open_shop(with_tables(folder / "state"), policy) as shop:
        contacts = AcceptedContacts(ContactSource())
        yield shop, PageApprovals(shop.backend.outbox, shop.backend.storage, policy, contacts)


async def show_one(page: PageApprovals) -> ShownBatch:
    """Return the only batch on the page."""
    (batch,) = await page.list_batches()
    return batch


async def ask(shop: Shop, batch_id: str) -> str:
    """Let a plan wait for a person, and return its code."""
    waiting = await (await shop.backend.storage.open()).batch_approvals.ask(batch_id)
    assert waiting.approval_code
    return waiting.approval_code


async def test_p2_a_plan_that_waits_shows_everything_that_a_person_needs(tmp_path: Path) -> None:
    async with open_page(tmp_path) as (shop, page):
        plan = await shop.plan(LIST, "Hej {namn}! Välkommen.", name="Reminder")
        code = await ask(shop, plan.id)
        batch = await show_one(page)
    assert (batch.id, batch.code, batch.state) == (plan.id, code, "waiting")
    assert batch.title == "2 texts to 2 recipients: Reminder"
    assert batch.details["To"] == "+46701740605, +46701740607"
    assert batch.details["From"] == "+46701740699"
    assert batch.details["Cost"] == "1.04 SEK, 2 parts"
    assert batch.details["When"].startswith("now, the last about 0 seconds later; a text that is due")
    assert len(batch.left_out) == 2
    assert any("empty" in each and "(row 3)" in each for each in batch.left_out)
    assert batch.samples == (
        ("Row 2, to +46701740605, 1 part", "Hej Åsa! Välkommen."),
        ("Row 4, to +46701740607, 1 part", "Hej <b>Kim</b>! Välkommen."),
    )


async def test_the_page_says_why_a_plan_waits_and_that_a_text_hides_characters(tmp_path: Path) -> None:
    async with open_page(tmp_path, UNLIMITED.model_copy(update={"ask_from": 2})) as (shop, page):
        plan = await shop.plan(message="Hej\u200b!")
        many = "It is a batch of 3 texts."
        assert many not in (await show_one(page)).reasons
        await ask(shop, plan.id)
        batch = await show_one(page)
    assert many in batch.reasons
    assert batch.details["Contains"] == "invisible characters"


async def test_a_plan_is_shown_for_some_minutes_and_longer_if_it_waits_for_a_person(
    tmp_path: Path,
) -> None:
    async with open_page(tmp_path) as (shop, page):
        plan, other = await shop.plan(), await shop.plan(message="Hej!")
        first, _ = await page.list_batches()
        assert (first.code, first.status, first.total) == ("", "Planned. Nothing was sent.", 0)
        await ask(shop, other.id)
        await shop.backend.pass_time(SHOWN_FOR + SECOND)
        assert (await show_one(page)).id == other.id != plan.id


async def test_the_page_says_that_a_plan_has_no_text(tmp_path: Path) -> None:
    async with open_page(tmp_path) as (shop, page):
        plan = await shop.plan("namn;telefon\nBo;08-123 456 78\n")
        batch = await show_one(page)
    assert batch.status == "Planned. It has no text that can be sent."
    assert (batch.details, len(batch.left_out)) == ({"Batch": plan.id}, 1)


async def test_the_progress_of_a_batch_disappears_soon_after_its_end(tmp_path: Path) -> None:
    async with open_page(tmp_path) as (shop, page):
        fault = Fault.FORBIDDEN
        shop.backend.world.box.faults.inject(fault, method="POST", dryrun=False, skip=1, text="Not this one")
        batch = await shop.plan_and_start(write_list(list_phones(4)), name="Reminder")
        await shop.pass_until_sent(1)
        running = await show_one(page)
        assert running.status.startswith("Running: ")
        assert (running.title, running.total, running.samples) == ("4 texts: Reminder", 4, ())
        await shop.pass_until_ended(batch)
        ended = await show_one(page)
        assert (ended.state, ended.ended) == ("finished", 4)
        assert ended.status == "Finished: 3 of 4 sent, 1 not sent."
        assert ended.details["Spent"] == "1.56 SEK of 2.08 SEK"
        (reason,) = ended.reasons
        assert reason.startswith("1 text: ")
        assert "Not this one" in reason
        await shop.backend.pass_time(timedelta(hours=1))
        assert await page.list_batches() == []


async def test_a_paused_batch_says_why(tmp_path: Path) -> None:
    async with open_page(tmp_path) as (shop, page):
        batch = await shop.plan_and_start(write_list(list_phones(10)))
        await shop.pass_until_sent(4)
        await shop.batches.pause(batch.id)
        await shop.backend.pass_time(10 * MINUTE)
        paused = await show_one(page)
    assert paused.state == "paused"
    assert paused.status == f"Paused: {len(shop.sent)} of 10 sent. The caller paused it."
    assert paused.ended == len(shop.sent)


async def test_a_batch_that_could_not_be_started_says_why(tmp_path: Path) -> None:
    async with open_page(tmp_path) as (shop, page):
        plan = await shop.plan()
        await ask(shop, plan.id)
        store = await shop.backend.storage.open()
        await store.batch_approvals.reject(plan.id, "Refused by daily_budget.")
        await shop.backend.pass_time(SHOWN_FOR + SECOND)
        batch = await show_one(page)
    assert (batch.code, batch.status) == ("", "It was not started. Refused by daily_budget.")


async def test_p3_a_batch_is_decided_once_and_is_then_no_longer_listed_as_waiting(tmp_path: Path) -> None:
    async with open_page(tmp_path) as (shop, page):
        declined, approved = await shop.plan(), await shop.plan(message="Hej!")
        codes = [await ask(shop, plan.id) for plan in (declined, approved)]
        assert await page.decide(codes[0], approved=False) == "Declined. It is not started."
        assert (await show_one(page)).id == approved.id
        assert await page.decide(codes[1], approved=True) == "Approved. It is started now."
        shown = await show_one(page)
        assert (shown.code, shown.status) == ("", "Approved. It is started now.")
        for code in codes:
            with pytest.raises(LookupError, match="no longer waits"):
                await page.decide(code, approved=True)
    assert shop.sent == []


async def test_the_page_opens_no_store(tmp_path: Path) -> None:
    async with open_page(tmp_path) as (shop, page):
        await shop.backend.storage.close()
        assert await page.list_batches() == []


async def test_declining_a_batch_that_was_started_meanwhile_changes_nothing(tmp_path: Path) -> None:
    async with open_page(tmp_path) as (shop, _):
        plan = await shop.plan()
        await ask(shop, plan.id)
        await shop.start(plan)
        declined = await (await shop.backend.storage.open()).batch_approvals.decline(plan.id)
        assert declined.state is BatchState.RUNNING
        await shop.pass_until_ended(declined)
        assert len(shop.sent) == 3
