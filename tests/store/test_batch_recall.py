"""The stored facts about the recipients of a batch: the same as about each of them alone."""

from datetime import timedelta

import pytest

from elks_mcp.domain.taint import ShownText
from elks_mcp.store import StateLocation
from elks_mcp.store.opt_outs import OptOuts
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, a_draft
from tests.support.shops import list_phones
from tests.support.stores import (
    a_receipt,
    account_of,
    claim_one,
    on_both_databases,
    opened,
    place_one,
    said,
    wait_one,
)

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
NOBODY, SENT, WAITING, SCHEDULED, OPTED_OUT, MAYBE, ANSWERED = list_phones(7)
PEOPLE = (NOBODY, SENT, WAITING, SCHEDULED, OPTED_OUT, MAYBE, ANSWERED)


@on_both_databases
@pytest.mark.parametrize("later", [None, 2 * HOUR, 30 * HOUR], ids=str)
async def test_the_recall_of_each_row_is_that_of_a_single_text(
    location: StateLocation, clock: ManualClock, later: timedelta | None
) -> None:
    async with opened(location, clock, account_of(f"recall {later}")) as store:
        for phone in (SENT, ANSWERED, SENT):
            await place_one(store, f"Till {phone} {clock.now()}", to=phone)
            await store.queue.settle_sent(await claim_one(store), a_receipt())
            clock.advance(timedelta(minutes=4))
        await wait_one(store, to=WAITING)
        for hours in (2, 2.1, 20):
            await place_one(store, f"Om {hours}", to=SCHEDULED, send_at=clock.now() + hours * HOUR)
        texts = [("STOP", OPTED_OUT), ("Kan ni sluta skicka?", MAYBE), ("Ja tack", ANSWERED)]
        await store.inbound.record([said(text, by=phone, at=clock.now()) for text, phone in texts])
        await OptOuts(store.database).add([NOBODY], "by hand")
        await OptOuts(store.database).remove(NOBODY, "by hand")

        send_at = clock.now() + later if later else None
        drafts = [a_draft("Hej alla!", to=phone, send_at=send_at) for phone in PEOPLE]
        known = await store.batches.recall(drafts, (), at_night=True)
        for draft, recalled in zip(drafts, known.recalls, strict=True):
            assert recalled == await store.orders.recall(draft)
        assert known.covered == [None] * len(PEOPLE)


@on_both_databases
async def test_a_text_that_was_shown_taints_the_rows_to_all_but_its_writer(
    location: StateLocation, clock: ManualClock
) -> None:
    shown = [ShownText(ANSWERED.e164, NOON, NOON)]
    async with opened(location, clock, account_of("taint of batches")) as store:
        drafts = [a_draft("Hej alla!", to=phone) for phone in PEOPLE]
        known = await store.batches.recall(drafts, shown, at_night=True)
        *others, writer = [recall.taint for recall in known.recalls]
        assert writer is None
        assert {each.texted for each in others if each} == {len(PEOPLE) - 2}
        alone = (await store.orders.recall(drafts[0], shown)).taint
        assert alone
        assert {each.created_at for each in others if each} == {alone.created_at}
