"""Opt-outs as tools, other accounts and commands see them."""

from pathlib import Path

import pytest

from elks_mcp.domain.models import Direction
from elks_mcp.domain.orders import OrderState
from elks_mcp.sandbox import Sandbox
from elks_mcp.store import AccountKey, StateLocation
from elks_mcp.store.admin import open_database
from elks_mcp.store.opt_outs import OptOuts
from elks_mcp.store.privacy import PersonalData
from tests.support.clocks import ManualClock, SandboxClock
from tests.support.connecting import (
    PHONE,
    box_on,
    call,
    connected,
    data,
    live,
    posted,
    words,
)
from tests.support.conversation_cases import LIKELY, QUESTION, SECOND, receive_text
from tests.support.provider import NOON, a_draft
from tests.support.provider import PHONE as NUMBER
from tests.support.stores import (
    ACCOUNT,
    MINUTE,
    a_message,
    claim_new,
    opened,
    read_rows,
    said,
)

pytestmark = pytest.mark.anyio


# ── what is said of a text ──


@pytest.mark.parametrize(
    ("text", "field", "said_so"),
    [
        ("Stopp tack", "opted out", "opted out with this text"),
        (LIKELY, "may be", "may be an opt-out"),
        ("Vi ses", None, ""),
    ],
)
async def test_a_received_text_is_marked_if_it_opts_out_or_may_do_so(
    box: Sandbox, clock: ManualClock, text: str, field: str | None, said_so: str
) -> None:
    async with connected(live(box), box=box, clock=clock) as client:
        sent = data(await call(client, "send_sms", to=PHONE, message=QUESTION))
        await receive_text(client, box, clock, text)
        waited = await call(client, "wait_for_reply", sender=PHONE, timeout=0)
        listed = await call(client, "get_sms_messages", direction="inbound")
        history = (await client.read_resource("elks://inbox")).contents[0].text  # type: ignore[union-attr]
    assert sent["status"] == "sent"
    assert data(waited)["message"].get("optOut") == field
    assert data(listed)["messages"][0].get("optOut") == field
    assert (f'"optOut":"{field}"' in history) is (field is not None)
    for answer in (waited, listed):
        assert said_so in words(answer)
        assert ("opt" in words(answer).replace(text, "")) is bool(said_so)


async def test_ask_by_sms_says_that_the_answer_opts_out() -> None:
    stops, clock = "+46701740615", ManualClock()
    box = box_on(clock)
    async with connected(live(box), box=box, clock=clock) as client:
        await call(client, "ask_by_sms", to=stops, message=QUESTION, timeout=0)
        clock.advance(MINUTE)  # in which it answers
        asked = await call(client, "ask_by_sms", to=stops, message=QUESTION, timeout=0)
    assert data(asked)["reply"]["message"]["optOut"] == "opted out"
    assert "opted out with this text" in words(asked)


async def test_a_dry_run_without_state_also_reports_an_opt_out(clock: ManualClock, tmp_path: Path) -> None:
    box = box_on(clock)
    for text in ("STOP", LIKELY, "Avbryt"):
        clock.advance(SECOND)
        box.receive(PHONE, text)
    box.add_history(clock.now() - SECOND / 2, to=PHONE, text=QUESTION)
    environ = live(box, DRY_RUN="true", ELKS_STATE_DIR=str(tmp_path / "none"))
    async with connected(environ, box=box, clock=clock) as client:
        listed = data(await call(client, "get_sms_messages", direction="inbound", limit=3))["messages"]
        both = data(await call(client, "get_sms_messages"))["messages"]
    assert [each.get("optOut") for each in listed] == ["opted out", "may be", "opted out"]
    assert next(each.get("optOut") for each in both if "untrusted" in each) is None
    assert not (tmp_path / "none").exists()


# ── every account of the state ──


async def test_p6_an_opt_out_holds_for_every_account_of_the_state(clock: ManualClock, tmp_path: Path) -> None:
    one = box_on(clock)
    other = Sandbox(clock=SandboxClock(clock), username="u-other", number="+46701740698")
    where = str(tmp_path)
    async with connected(live(one, ELKS_STATE_DIR=where), box=one, clock=clock) as client:
        await receive_text(client, one, clock, "STOP")
        assert "opted_out" in words(await call(client, "send_sms", to=PHONE, message="Hej"))
    async with connected(live(other, ELKS_STATE_DIR=where), box=other, clock=clock) as client:
        refused = await call(client, "send_sms", to=PHONE, message="Hej")
        assert "Refused by opted_out: The recipient opted out on" in words(refused)
        assert "They wrote" not in words(refused), "the text is another account's"
        await receive_text(client, other, clock, "START")
        assert data(await call(client, "send_sms", to=PHONE, message="Hej"))["status"] == "sent"
    assert posted(one) == []


async def test_p6_an_opt_out_at_one_account_stops_what_another_is_about_to_send(
    location: StateLocation, clock: ManualClock
) -> None:
    others = AccountKey(ACCOUNT.base_url, "u-others")
    async with opened(location, clock) as ours, opened(location, clock, others) as theirs:
        claim = await claim_new(ours)
        assert await ours.queue.may_send(claim)
        await theirs.inbound.record([said("STOP")])
        assert not await ours.queue.may_send(claim)
        withdrawn = await ours.queue.withdraw(claim)
    assert withdrawn
    assert (withdrawn.state, withdrawn.status_reason) == (OrderState.CANCELLED, "The recipient opted out.")


async def test_the_later_opt_out_or_opt_in_counts_for_any_account(
    location: StateLocation, clock: ManualClock
) -> None:
    others = AccountKey(ACCOUNT.base_url, "u-others")
    async with opened(location, clock) as ours, opened(location, clock, others) as theirs:
        await theirs.inbound.record([said("START", at=NOON + MINUTE)])
        await ours.inbound.record([said("STOP", at=NOON)])
        for store in (ours, theirs):
            assert not (await store.orders.find_prior(a_draft())).recall.opted_out
        await ours.inbound.record([said("STOP", at=NOON + 2 * MINUTE)])
        for store in (ours, theirs):
            assert (await store.orders.find_prior(a_draft())).recall.opted_out


# ── by hand ──


async def test_a_recorded_opt_out_counts_like_a_text_and_the_later_one_wins(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store, open_database(location, clock) as database:
        hand = OptOuts(database)
        assert await hand.add([NUMBER, NUMBER], "she told me at the till") == [NUMBER]
        assert await hand.add([NUMBER], "again") == []
        recall = (await store.orders.find_prior(a_draft())).recall
        assert recall.opt_out
        assert (recall.opted_out, recall.opt_out.by_person) == (True, True)
        assert recall.opt_out.reason == "she told me at the till"
        clock.advance(MINUTE)
        await store.inbound.record([said("STOP", at=NOON - MINUTE)])  # older than what was recorded
        assert await hand.remove(NUMBER, "it was her sister")
        assert not (await store.orders.find_prior(a_draft())).recall.opted_out
        await store.inbound.record([said("STOP", at=NOON)])  # older than the removal
        assert not (await store.orders.find_prior(a_draft())).recall.opted_out
        [recorded] = await hand.list_all()
        assert (recorded.masked, recorded.opted_out) == ("+4670*****05", False)
        assert recorded.reason == "it was her sister"
        await store.inbound.record([said("STOP", at=NOON + 2 * MINUTE)])
        assert (await store.orders.find_prior(a_draft())).recall.opted_out


async def test_a_person_can_record_that_a_text_was_no_opt_out(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store, open_database(location, clock) as database:
        assert not await OptOuts(database).remove(NUMBER, "nothing to remove")
        await store.inbound.record([said(LIKELY)])
        assert (await store.orders.find_prior(a_draft())).recall.maybe_opted_out
        clock.advance(SECOND)
        assert await OptOuts(database).remove(NUMBER, "they meant the workshop")
        assert (await store.orders.find_prior(a_draft())).recall.maybe_opted_out is None
        await store.inbound.record([said(LIKELY, at=NOON + MINUTE)])
        assert (await store.orders.find_prior(a_draft())).recall.maybe_opted_out


async def test_an_opt_out_survives_forgetting_its_number_and_a_removed_one_does_not(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store, open_database(location, clock) as database:
        hand, traces = OptOuts(database), PersonalData(database)
        await hand.add([NUMBER], "Anna at the till")
        assert (await traces.remove(NUMBER)).opted_out
        assert (await store.orders.find_prior(a_draft())).recall.opted_out
        assert "till" not in str(read_rows(location, "SELECT * FROM opt_outs"))
        clock.advance(SECOND)
        await hand.remove(NUMBER, "a mistake")
        await traces.remove(NUMBER)
        assert await traces.find_opt_out(NUMBER) is None


async def test_texts_of_both_directions_at_the_same_time_are_question_and_answer() -> None:
    clock = ManualClock()
    async with opened(StateLocation(), clock) as store:
        await store.inbound.record([said("Nej tack"), a_message(QUESTION)])
        assert not (await store.orders.find_prior(a_draft())).recall.opted_out
        assert a_message(QUESTION).direction is Direction.OUTBOUND
