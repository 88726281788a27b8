"""Several processes on one database: a late process gets nothing, and no process gets anything twice."""

import multiprocessing
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from time import monotonic_ns
from typing import Any

import anyio
import pytest
from sqlalchemy import event

from elks_mcp.domain.orders import Claim, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.errors import Refused
from elks_mcp.runtime.clock import Clock
from elks_mcp.store import Pace, StateLocation
from elks_mcp.store.store import Store
from tests.support.clocks import HANG
from tests.support.provider import Backend, a_draft, an_approval, posts
from tests.support.stores import (
    DATABASES,
    PRICE,
    SECOND,
    UNPACED,
    a_place,
    a_receipt,
    allow,
    change_rows,
    claim_next,
    engine_of,
    opened,
    place_one,
    read_rows,
    said,
    unless_opted_out,
    within,
)

pytestmark = pytest.mark.anyio

Work = Callable[[Store, int], Awaitable[Any]]
"""The work of one process with the store, by its number."""


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location for a store, of either kind."""
    return a_place(request, tmp_path)


def race(location: StateLocation, processes: int, work: Work) -> list[Any]:
    """Let separate processes work on one location from the same moment; return the result of each."""
    making = _how_to_make_processes()
    start = making.Barrier(processes)
    found: Any = making.Queue()
    racers = [
        making.Process(target=_take_part, args=(location, number, work, start, found))
        for number in range(processes)
    ]
    for racer in racers:
        racer.start()
    try:
        return [found.get(timeout=HANG) for _ in racers]
    finally:
        for racer in racers:
            racer.join(timeout=HANG)
        assert [racer.exitcode for racer in racers] == [0] * processes


def _how_to_make_processes() -> Any:
    """Fork processes from one that has loaded everything, if possible; a fresh one takes a second."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    making = multiprocessing.get_context("forkserver")
    making.set_forkserver_preload([__name__])
    return making


def _take_part(location: StateLocation, number: int, work: Work, start: Any, found: Any) -> None:
    async def take_part() -> None:
        async with opened(location) as store:
            await store.queue.find_due_work()  # so that everything is loaded
            await anyio.to_thread.run_sync(partial(start.wait, HANG))
            found.put(await work(store, number))

    anyio.run(take_part)


# ── budgets ──

BUDGET = 100 * PRICE
TRIES = 500
RACERS = 8


async def place_many(store: Store, number: int) -> int:
    """Try to place our share of the orders, several at a time; return how many were placed."""
    placed = 0

    async def try_one(each: int) -> None:
        nonlocal placed
        try:
            await store.orders.place(an_approval(a_draft(f"Text {each}")), within(BUDGET))
        except Refused:
            return
        placed += 1

    async with anyio.create_task_group() as placing:
        for each in range(number, TRIES, RACERS):
            placing.start_soon(try_one, each)
    return placed


async def test_eight_processes_cannot_exceed_the_budget(location: StateLocation) -> None:
    placed = race(location, RACERS, place_many)
    assert sum(placed) == 100
    assert read_rows(location, "SELECT count(*), sum(charge) FROM orders") == [(100, BUDGET)]
    async with opened(location) as store:
        assert (await store.orders.find_prior(a_draft())).recall.spent == BUDGET


async def send_many(store: Store, number: int) -> int:
    """Claim and settle at a higher price than quoted, as long as there is budget; return how many."""
    sent = 0
    while isinstance(claim := await claim_next(store.queue, UNPACED, within(BUDGET)), Claim):
        await store.queue.settle_sent(claim, a_receipt(secrets.token_hex(16), cost=2 * PRICE))
        sent += 1
    return sent


async def test_a_higher_charge_leaves_less_for_the_rest(tmp_path: Path) -> None:
    """Each claim counts what all others reserve: only orders being sent can cost more than expected."""
    location = StateLocation(folder=tmp_path)
    async with opened(location) as store:
        for number in range(100):
            await place_one(store, f"Text {number}")
    sent = race(location, 4, send_many)
    [(spent,)] = read_rows(location, "SELECT sum(charge) FROM orders")
    assert spent == sum(sent) * 2 * PRICE
    assert spent <= BUDGET + 4 * PRICE
    states = dict(read_rows(location, "SELECT state, count(*) FROM orders GROUP BY state"))
    assert states == {OrderState.SENT: sum(sent), OrderState.CANCELLED: 100 - sum(sent)}


# ── repeats ──


async def place_the_same(store: Store, number: int, key: str | None = None) -> list[tuple[str, bool]]:
    """Place the same order sixteen times at once; return what each call was told."""
    answers = []

    async def place_it() -> None:
        answer = await store.orders.place(an_approval(a_draft("The same", key=key)), allow)
        answers.append((answer.order.id, answer.is_repeat))

    async with anyio.create_task_group() as placing:
        for _ in range(16):
            placing.start_soon(place_it)
    return answers


@pytest.mark.parametrize("key", [None, "one key"], ids=["no key", "a key"])
async def test_sixty_four_identical_calls_are_one_order_and_all_return_its_id(
    location: StateLocation, key: str | None
) -> None:
    answers = [*chain.from_iterable(race(location, 4, partial(place_the_same, key=key)))]
    [(order_id,)] = read_rows(location, "SELECT id FROM orders")
    assert Counter(answers) == {(order_id, False): 1, (order_id, True): 63}


# ── claims ──


async def claim_all(store: Store, number: int, pace: Pace) -> list[str]:
    """Claim orders at the configured pace as long as there are any; return them."""
    claimed = []
    clock = Clock()
    while True:
        step = await claim_next(store.queue, pace, allow)
        if isinstance(step, Claim):
            claimed.append(step.order_id)
            await store.queue.settle_sent(step, a_receipt(secrets.token_hex(16)))
        elif step.wait is None:
            return claimed
        else:
            await clock.sleep_until(clock.now() + step.wait)


async def test_each_order_is_claimed_by_one_process_and_all_keep_one_pace(location: StateLocation) -> None:
    gap = timedelta(milliseconds=25)
    async with opened(location) as store:
        placed = {(await place_one(store, f"Text {number}")).id for number in range(60)}
    claimed = [
        *chain.from_iterable(race(location, 3, partial(claim_all, pace=Pace(gap=gap, lease=15 * SECOND))))
    ]
    assert (len(claimed), set(claimed)) == (60, placed)
    assert read_rows(location, "SELECT max(attempts), count(DISTINCT message_id) FROM orders") == [(1, 60)]
    moments = [moment for (moment,) in read_rows(location, "SELECT attempted_at FROM orders ORDER BY 1")]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert min(gaps) >= gap / timedelta(microseconds=1)


# ── STOP ──

PHONES = [Number(f"+467017406{number:02}") for number in range(5, 45)]


async def send_or_stop(store: Store, number: int) -> tuple[int, dict[str, int]]:
    """Send with a last check (0, 1), or receive a STOP from every number (2).

    Return when each sent order was checked, or when each STOP was committed.
    """
    moments = {}
    if number == 2:
        for phone in PHONES:
            await store.inbound.record([said("STOP", by=phone)])
            moments[phone.e164] = monotonic_ns()
        return number, moments
    while isinstance(claim := await claim_next(store.queue, UNPACED, unless_opted_out), Claim):
        asked_at = monotonic_ns()
        if await store.queue.may_send(claim):
            moments[claim.draft.to.e164] = asked_at
            await store.queue.settle_sent(claim, a_receipt(secrets.token_hex(16)))
        else:
            await store.queue.withdraw(claim)
    return number, moments


async def test_a_process_that_checks_after_an_opt_out_may_not_send(location: StateLocation) -> None:
    async with opened(location) as store:
        for phone in reversed(PHONES):
            await place_one(store, "Hej!", to=phone)
    found = dict(race(location, 3, send_or_stop))
    stopped = found.pop(2)
    sent: dict[str, int] = {}
    for moments in found.values():
        assert not sent.keys() & moments.keys()
        sent |= moments
    assert not [phone for phone, asked_at in sent.items() if asked_at > stopped[phone]]
    states = dict(read_rows(location, "SELECT recipient, state FROM orders"))
    assert {phone for phone, state in states.items() if state == OrderState.SENT} == sent.keys()
    assert set(states.values()) <= {OrderState.SENT, OrderState.CANCELLED}


@pytest.mark.parametrize(
    "sign", ["BEGIN IMMEDIATE", "orders.lease = :token"], ids=["claiming", "the last check"]
)
async def test_an_opt_out_committed_during_a_send_stops_it(tmp_path: Path, sign: str) -> None:
    """Another process records a STOP just before a statement of the sending one."""
    async with Backend(tmp_path).opened() as backend:
        store = await backend.storage.open()
        await store.inbound.record([said("START")])
        order = await backend.place(hand_over=False)
        stops: list[str] = []

        def stop(_: object, __: object, statement: str, *___: object) -> None:
            if not stops and sign in statement:
                stops.append(statement)
                change_rows(backend.storage.location, "UPDATE opt_outs SET opted_out = 1")

        event.listen(engine_of(store), "before_cursor_execute", stop)
        async with backend.outbox.running():
            backend.outbox.hand_over(order)
            order = await backend.settled(order)
        assert stops
        assert (order.state, posts(backend.box)) == (OrderState.CANCELLED, [])
        assert "opted out" in order.status_reason
