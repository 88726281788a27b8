"""The facts that are stored about texted numbers."""

import json
from itertools import permutations
from pathlib import Path

import pytest

from elks_mcp.store import StateLocation
from tests.support.clocks import ManualClock
from tests.support.provider import NOON, PHONE, a_draft
from tests.support.store_cases import DAY
from tests.support.stores import (
    MINUTE,
    OTHER_PHONE,
    PRICE,
    SECOND,
    a_message,
    a_receipt,
    claim_new,
    on_both_databases,
    opened,
    place_one,
    read_rows,
    said,
    wait_one,
)

pytestmark = pytest.mark.anyio


@on_both_databases
async def test_texts_to_and_from_a_number_are_counted(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        fresh = (await store.orders.find_prior(a_draft("New"))).recall
        assert (fresh.is_known, fresh.texts_in_10_minutes, fresh.texts_in_24_hours, fresh.spent) == (
            False,
            0,
            0,
            0,
        )
        await wait_one(store, "Waiting")
        for number in range(3):
            await place_one(store, f"Text {number}")
        await store.cancellations.cancel((await place_one(store, "Cancelled")).id, "")
        known = (await store.orders.find_prior(a_draft("New"))).recall
        assert (known.is_known, known.texts_in_10_minutes, known.texts_in_24_hours, known.spent) == (
            False,
            4,
            4,
            3 * PRICE,
        )
        clock.advance(10 * MINUTE)
        known = (await store.orders.find_prior(a_draft("New"))).recall
        assert (known.texts_in_10_minutes, known.texts_in_24_hours) == (1, 4), (
            "what waits for a person counts as long as it waits"
        )
        clock.advance(DAY)
        known = (await store.orders.find_prior(a_draft("New"))).recall
        assert (known.is_known, known.texts_in_24_hours, known.spent) == (False, 0, 0)
        assert (await store.orders.find_prior(a_draft("New", to=OTHER_PHONE))).recall.texts_in_24_hours == 0


async def test_an_answer_restarts_the_ten_minutes(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock) as store:
        await place_one(store, "Question")
        clock.advance(SECOND)
        await store.inbound.record([said("Yes", at=clock.now())])
        assert (await store.orders.find_prior(a_draft("New"))).recall.texts_in_10_minutes == 0
        clock.advance(SECOND)
        await place_one(store, "Another")
        recall = (await store.orders.find_prior(a_draft("New"))).recall
        assert (recall.texts_in_10_minutes, recall.texts_in_24_hours) == (1, 2)


async def test_a_texted_number_stays_known_for_longer_than_a_day(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        await store.queue.settle_sent(await claim_new(store), a_receipt())
        clock.advance(30 * DAY)
        assert (await store.orders.find_prior(a_draft())).recall.is_known
        await store.inbound.record([a_message("Sent by somebody else", to=OTHER_PHONE)])
        assert (await store.orders.find_prior(a_draft(to=OTHER_PHONE))).recall.is_known


WORDS = [said("STOP", at=NOON), said("START", at=NOON + MINUTE), said("Stopp", at=NOON + 2 * MINUTE)]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("together", [True, False], ids=["at once", "one by one"])
async def test_the_latest_opt_out_or_opt_in_counts_in_whatever_order_they_are_read(
    tmp_path: Path, order: tuple[int, ...], together: bool
) -> None:
    async with opened(StateLocation(folder=tmp_path)) as store:
        messages = [WORDS[index] for index in order]
        for batch in [messages] if together else [[each] for each in (*messages, *messages)]:
            await store.inbound.record(batch)
        assert (await store.orders.find_prior(a_draft())).recall.opted_out
        await store.inbound.record([said("START", at=NOON + 3 * MINUTE)])
        assert not (await store.orders.find_prior(a_draft())).recall.opted_out
        await store.inbound.record(messages)
        assert not (await store.orders.find_prior(a_draft())).recall.opted_out


@on_both_databases
async def test_the_latest_opt_out_or_opt_in_counts_on_either_database(location: StateLocation) -> None:
    async with opened(location) as store:
        for message in (*WORDS[::-1], *WORDS):
            await store.inbound.record([message])
        assert (await store.orders.find_prior(a_draft())).recall.opted_out
        await store.inbound.record([said("Hej", at=NOON + 4 * MINUTE)])
        assert (await store.orders.find_prior(a_draft())).recall.opted_out
        assert not (await store.orders.find_prior(a_draft(to=OTHER_PHONE))).recall.opted_out


async def test_our_own_texts_and_sender_names_opt_no_number_out(location: StateLocation) -> None:
    ours = a_message("STOP")
    name = said("STOP").model_copy(update={"sender": "Klara"})
    async with opened(location) as store:
        await store.inbound.record([ours, name])
        assert not (await store.orders.find_prior(a_draft())).recall.opted_out
        assert read_rows(location, "SELECT count(*) FROM known_numbers") == [(1,)]


@on_both_databases
async def test_the_position_read_in_history_is_stored(location: StateLocation) -> None:
    async with opened(location) as store:
        assert (await store.inbound.find_position()).until is None
        await store.inbound.record([], until=NOON)
        await store.inbound.record([said("Hej")])
        assert (await store.inbound.find_position()).until == NOON
    async with opened(location) as store:
        assert (await store.inbound.find_position()).until == NOON


@on_both_databases
async def test_numbers_are_stored_as_keyed_hashes_only(location: StateLocation) -> None:
    async with opened(location) as store:
        await store.inbound.record([said("STOP")])
        [(hashed,)] = read_rows(location, "SELECT number_hash FROM known_numbers")
        assert hashed == store.database.hasher.number(PHONE.e164)
        assert PHONE.e164[1:] not in json.dumps(read_rows(location, "SELECT * FROM known_numbers"))
