"""The outcomes of calls, and the audio that they play, on both databases."""

from datetime import timedelta
from typing import Any

import pytest

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.calls import CallEvent, CallOutcome, CallRecord, CallState
from elks_mcp.domain.models import Direction
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Claim, Draft, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.store import StateLocation
from elks_mcp.store.audio_expiry import AUDIO_KEPT
from elks_mcp.store.call_costs import LOOKS_BACK, CallCosts
from elks_mcp.store.calls import StoredAudio
from elks_mcp.store.ongoing_calls import FOLLOWED_FOR
from elks_mcp.store.privacy import PersonalData
from elks_mcp.store.store import Store
from elks_mcp.store.totals import TotalsStore
from tests.support.clocks import ManualClock
from tests.support.provider import OURS, PHONE, an_approval
from tests.support.stores import (
    MINUTE,
    OTHER_PHONE,
    SECOND,
    a_receipt,
    allow,
    claim_new,
    claim_one,
    on_both_databases,
    opened,
    place_one,
)

pytestmark = pytest.mark.anyio

CALL_ID, DIGEST = "c" * 33, "ab" * 32
AUDIO = StoredAudio(b"RIFF", "wav")


async def place_call(store: Store, to: Number = PHONE, *, digits: int = 1, text: str = "Tryck 1.") -> Claim:
    """Place a call, claim it, and begin to hand it over."""
    payload = Call(text=text, audio=DIGEST, digits=digits)
    draft = Draft(to=to, payload=payload, sender=OURS)
    await store.orders.place(an_approval(draft, price=8000), allow)
    claim = await claim_one(store)
    await store.calls.begin(claim.order_id)
    return claim


async def make_call(store: Store, to: Number = PHONE, call_id: str = CALL_ID, **more: Any) -> str:
    """Place a call that 46elks accepts, and return the id of its order."""
    claim = await place_call(store, to, **more)
    await store.queue.settle_sent(claim, a_receipt(call_id, cost=None, status="ongoing"))
    return claim.order_id


def pressed(order_id: str, digits: str = "1", **more: Any) -> CallEvent:
    """Return what a webhook says after keys were pressed."""
    usual = {"order_id": order_id, "call_id": CALL_ID, "sender": OURS.e164, "to": PHONE.e164}
    return CallEvent(**{**usual, "digits": digits, **more})


def ended(order_id: str, state: CallState = CallState.ANSWERED, **more: Any) -> CallEvent:
    """Return what a webhook says at the end of a call."""
    return pressed(order_id, **{"state": state, "digits": None, "seconds": 12, "cost_units": 5700, **more})


async def spent(store: Store) -> int:
    """Return what counts for the daily budget, in ten-thousandths."""
    return (await TotalsStore(store.database).sum_up()).spent


async def state_of(store: Store, order_id: str) -> OrderState:
    """Return the state of an order."""
    return (await store.orders.get(order_id)).state


# ── outcomes ──


async def test_a_call_that_was_not_made_has_no_outcome(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        claim = await place_call(store)
        assert await store.calls.find_outcome(claim.order_id) is None
        text = await claim_new(store)
        assert await store.calls.find_outcome(text.order_id) is None
        assert await store.calls.find_outcome("O-22222222") is None


@on_both_databases
async def test_digits_and_the_end_are_recorded_and_the_order_is_settled(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        assert await store.calls.find_outcome(order_id) == CallOutcome(
            order_id=order_id, state=CallState.ONGOING, digits=None
        )
        assert [each.order_id for each in await store.calls.list_ongoing()] == [order_id]
        assert (await store.queue.find_due_work()).calls
        clock.advance(SECOND)
        assert await store.calls.record_event(pressed(order_id))
        assert await state_of(store, order_id) is OrderState.SENT
        clock.advance(SECOND)
        assert await store.calls.record_event(ended(order_id))
        assert await store.calls.find_outcome(order_id) == CallOutcome(
            order_id=order_id, state=CallState.ANSWERED, digits="1", seconds=12, ended_at=clock.now()
        )
        order = await store.orders.get(order_id)
        assert (order.state, order.cost) == (OrderState.DELIVERED, Money(5700, "SEK"))
        assert await store.calls.list_ongoing() == []
        assert not (await store.queue.find_due_work()).calls


@on_both_databases
@pytest.mark.parametrize("named", [None, 0, -5, 300])
@pytest.mark.parametrize(
    ("state", "reason"), [(CallState.BUSY, "The phone was busy."), (CallState.FAILED, "Nobody answered.")]
)
async def test_a_call_that_nobody_answered_costs_what_46elks_says_and_otherwise_nothing(
    location: StateLocation, clock: ManualClock, state: CallState, reason: str, named: int | None
) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        assert await spent(store) == 8000
        await store.calls.record_event(ended(order_id, state, seconds=None, cost_units=named))
        outcome = await store.calls.find_outcome(order_id)
        assert outcome is not None
        assert (outcome.state, outcome.digits) == (state, "")
        order = await store.orders.get(order_id)
        assert (order.state, order.status_reason) == (OrderState.FAILED, reason)
        assert order.cost == Money(named or 0, "SEK")
        assert not order.has_failed_unsent
        assert await spent(store) == max(0, named or 0)


async def test_a_cost_that_is_named_after_the_end_replaces_none(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        await store.calls.record_event(ended(order_id, CallState.BUSY, seconds=None, cost_units=None))
        assert await spent(store) == 0
        await store.calls.record_event(ended(order_id, CallState.BUSY, seconds=None, cost_units=570))
        assert await spent(store) == 570
        await store.calls.record_event(ended(order_id, CallState.BUSY, seconds=None, cost_units=None))
        assert await spent(store) == 570


async def test_the_final_cost_of_a_call_replaces_an_earlier_one_also_if_it_is_lower(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        for state, cost, counted in (
            (CallState.ONGOING, 11_400, 11_400),
            (CallState.ONGOING, 5700, 11_400),  # a late report of an earlier moment
            (CallState.ANSWERED, 5700, 5700),
            (CallState.ANSWERED, 6000, 6000),
            (CallState.ONGOING, 5700, 6000),
        ):
            await store.calls.record_event(ended(order_id, state, cost_units=cost))
            assert await spent(store) == counted, (state, cost)


async def test_p5_a_call_whose_end_stays_unknown_is_reserved_for_24_hours(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await make_call(store)
        clock.advance(timedelta(hours=24) - SECOND)
        assert await spent(store) == 8000
        clock.advance(2 * SECOND)
        assert await spent(store) == 0


async def test_a_call_that_46elks_fails_in_its_answer_has_failed(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await place_call(store)
        await store.queue.settle_sent(claim, a_receipt(CALL_ID, cost=None, status="failed"))
        outcome = await store.calls.find_outcome(claim.order_id)
        assert outcome is not None
        assert (outcome.state, outcome.digits) == (CallState.FAILED, "")
        assert await store.calls.list_ongoing() == []
        assert await spent(store) == 0
        assert (await store.orders.get(claim.order_id)).cost == Money(0, "SEK")


@pytest.mark.parametrize("cost", [0, -5])
async def test_p5_a_cost_of_nothing_of_an_answered_call_does_not_free_the_budget(
    location: StateLocation, clock: ManualClock, cost: int
) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        await store.calls.record_event(ended(order_id, cost_units=cost))
        assert (await store.orders.get(order_id)).cost == Money(8000, "SEK")


async def test_p5_a_call_that_costs_more_than_was_reserved_counts_in_full_and_is_logged(
    location: StateLocation, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        await store.calls.record_event(ended(order_id, cost_units=20_000))
        order = await store.orders.get(order_id)
        assert order.is_overcharged
        assert order.cost == Money(20_000, "SEK")
        assert await spent(store) == 20_000
        costs = CallCosts(store.database)
        assert await costs.count_overcharged() == 1
        clock.advance(LOOKS_BACK)
        assert await costs.count_overcharged() == 0
    [warning] = [each for each in caplog.messages if "upper bound" in each]
    assert warning == f"46elks charged 2.00 SEK for the call {order_id}, and its upper bound was 0.80 SEK"


# ── forged, repeated, out of order ──


@on_both_databases
@pytest.mark.parametrize(
    "changes",
    [
        {"call_id": "c" * 32 + "d"},
        {"to": OTHER_PHONE.e164},
        {"sender": PHONE.e164},
        {"digits": "11"},
        {"order_id": "O-22222222"},
    ],
)
async def test_a_report_that_does_not_match_its_call_is_refused_and_changes_nothing(
    location: StateLocation, clock: ManualClock, changes: dict[str, str]
) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        assert not await store.calls.record_event(pressed(order_id).model_copy(update=changes))
        outcome = await store.calls.find_outcome(order_id)
        assert outcome is not None
        assert outcome.digits is None


async def test_a_report_about_a_text_or_an_order_that_was_never_handed_over_is_refused(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        text = await claim_new(store)
        assert not await store.calls.record_event(pressed(text.order_id))
        draft = Draft(to=PHONE, payload=Call(text="Tryck 1.", digits=1), sender=OURS)
        queued = (await store.orders.place(an_approval(draft), allow)).order
        assert not await store.calls.record_event(pressed(queued.id))
        assert await state_of(store, queued.id) is OrderState.QUEUED


async def test_the_first_digits_and_the_first_end_count(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        for event in (pressed(order_id, "1"), pressed(order_id, "2"), pressed(order_id, "")):
            assert await store.calls.record_event(event)
        await store.calls.record_event(ended(order_id))
        first = await store.calls.find_outcome(order_id)
        clock.advance(MINUTE)
        await store.calls.record_event(ended(order_id, CallState.BUSY, digits="9", cost_units=1))
        assert await store.calls.find_outcome(order_id) == first
        assert first is not None
        assert (first.digits, first.state) == ("1", CallState.ANSWERED)
        assert await state_of(store, order_id) is OrderState.DELIVERED


async def test_digits_may_become_known_after_the_end(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        await store.calls.record_event(ended(order_id, digits=""))
        await store.calls.record_event(pressed(order_id, "1"))
        outcome = await store.calls.find_outcome(order_id)
        assert outcome is not None
        assert outcome.digits == "1"


@on_both_databases
async def test_p4_a_report_before_the_answer_proves_that_46elks_made_the_call(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await place_call(store)
        await store.queue.settle_doubt(claim, "No answer.")
        assert await store.calls.record_event(pressed(claim.order_id))
        order = await store.orders.get(claim.order_id)
        assert (order.state, order.receipt and order.receipt.message_id) == (OrderState.SENT, CALL_ID)
        await store.queue.settle_sent(claim, a_receipt(CALL_ID, cost=None))
        assert not await store.calls.record_event(pressed(claim.order_id, call_id="c" * 32 + "e"))


async def test_an_entry_of_history_is_recorded_for_the_order_with_that_call_only(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        record = CallRecord(
            id=CALL_ID,
            direction=Direction.OUTBOUND,
            sender=OURS.e164,
            to=PHONE.e164,
            state=CallState.ANSWERED,
            digits="1",
            seconds=9,
            cost=Money(5700, "SEK"),
        )
        assert not await store.calls.record_call(order_id, record.model_copy(update={"id": "c" * 34}))
        assert await store.calls.record_call(order_id, record)
        assert not await store.calls.record_call(order_id, record)
        outcome = await store.calls.find_outcome(order_id)
        assert outcome is not None
        assert (outcome.digits, outcome.seconds) == ("1", 9)


async def test_a_call_without_an_end_is_unknown_after_an_hour(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        clock.advance(FOLLOWED_FOR)
        assert await store.calls.list_ongoing() == []
        outcome = await store.calls.find_outcome(order_id)
        assert outcome is not None
        assert outcome.state is CallState.UNKNOWN


async def test_p9_forget_deletes_what_was_pressed_and_export_shows_it(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        await store.calls.record_event(pressed(order_id))
        await store.calls.record_event(ended(order_id))
        data = PersonalData(store.database)
        [stored] = await data.list_stored(PHONE)
        assert stored.orders[0]["call"]["digits"] == "1"
        await data.remove(PHONE)
        assert await data.list_stored(PHONE) == []
        outcome = await store.calls.find_outcome(order_id)
        assert outcome is not None
        assert outcome.digits is None


# ── doubts ──


@on_both_databases
async def test_p4_a_call_that_history_does_not_show_becomes_unknown_and_is_not_queued_again(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        claim = await place_call(store)
        await store.queue.settle_doubt(claim, "No answer.")
        doubts = store.doubts.of("call")
        for _ in range(4):
            clock.advance(3 * MINUTE)
            await doubts.conclude([], read_at=clock.now(), quiet=2 * MINUTE, skew=timedelta())
        order = await store.orders.get(claim.order_id)
        assert order.state is OrderState.UNKNOWN
        assert "not tried again" in order.status_reason
        assert order.attempts == 1
        outcome = await store.calls.find_outcome(order.id)
        assert outcome is not None
        assert outcome.state is CallState.UNKNOWN


# ── audio ──


@on_both_databases
async def test_audio_is_stored_until_it_expires(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        assert await store.calls.find_audio(DIGEST) is None
        await store.calls.keep_audio(DIGEST, AUDIO)
        await store.calls.keep_audio(DIGEST, AUDIO)
        clock.advance(AUDIO_KEPT - SECOND)
        assert await store.calls.find_audio(DIGEST) == AUDIO
        assert await store.calls.extend_audio(DIGEST, MINUTE) == "wav"
        clock.advance(30 * SECOND)
        assert await store.calls.find_audio(DIGEST) == AUDIO
        clock.advance(MINUTE)
        assert await store.calls.find_audio(DIGEST) is None
        assert await store.calls.extend_audio(DIGEST, MINUTE) is None
        await store.cleanup.delete_expired()


async def test_p9_audio_expires_soon_after_its_call_unless_another_call_needs_it(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await store.calls.keep_audio(DIGEST, AUDIO)
        first = await make_call(store)
        second = await make_call(store, OTHER_PHONE, "c" * 34)
        await store.calls.record_event(ended(first))
        clock.advance(10 * MINUTE)
        assert await store.calls.find_audio(DIGEST) == AUDIO
        await store.calls.record_event(ended(second, to=OTHER_PHONE.e164, call_id="c" * 34))
        clock.advance(10 * MINUTE)
        assert await store.calls.find_audio(DIGEST) is None


async def test_p9_the_words_of_a_call_are_erased_once_46elks_accepted_it(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        order = await store.orders.get(await make_call(store))
        assert order.text is None
        assert isinstance(order.payload, Call)
        assert order.payload.audio == DIGEST


async def test_a_caller_lists_only_its_own_calls(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        claim = await place_call(store, OTHER_PHONE)
        await store.queue.settle_doubt(claim, "No answer.")
        assert [each.order.id for each in await store.calls.list_own([CALL_ID], "")] == [order_id]
        assert await store.calls.list_own([CALL_ID], "another") == []
        assert [each.id for each in await store.calls.list_unknown("")] == [claim.order_id]
        assert await store.calls.list_unknown("another") == []


async def test_outcomes_are_deleted_with_their_orders(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        order_id = await make_call(store)
        await store.calls.record_event(ended(order_id))
        clock.advance(timedelta(days=91))
        await store.cleanup.delete_expired()
        assert await store.calls.find_outcome(order_id) is None
        await place_one(store)
