"""Random events in random order: the promises hold after every step, and nothing is lost.

Two processes share a database. Orders are placed for now or later, repeated, approved, cancelled; processes
die and others take over; 46elks accepts, refuses, loses answers and accepts late; people say STOP and START;
reports come early, late and twice; and time passes.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import (
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from elks_mcp.domain.approval import APPROVAL_TIMEOUT
from elks_mcp.domain.orders import (
    ACCEPTED,
    NEVER_SENT,
    ORDER_LATENESS,
    Approver,
    Draft,
    Order,
    OrderState,
    Report,
)
from elks_mcp.domain.phone import Number
from elks_mcp.errors import InvalidInput, Refused
from elks_mcp.sandbox import Fault
from elks_mcp.store.admin import OrderAdmin
from tests.support.outbox_cases import FAULTS, LATE, READ
from tests.support.process_machine import Process, ProcessMachine, order_of
from tests.support.provider import UNLIMITED, a_draft, an_approval, posts
from tests.support.stores import (
    PRICE,
    is_unfinished,
    said,
)

TEXTS = ("Hej!", "Kom hem till middagen", "Ring mig", "Bilen är klar")
PHONES = tuple(Number(f"+467017406{number:02}") for number in range(5, 8))
BUDGET = 14
"""Texts."""
PER_MINUTE = 6
QUIET = timedelta(minutes=2)
POLICY = UNLIMITED.model_copy(update={"budget_per_day": BUDGET * PRICE})
drafts = strategies.builds(
    a_draft,
    strategies.sampled_from(TEXTS),
    to=strategies.sampled_from(PHONES),
    key=strategies.sampled_from([None, None, None, "one key", "another", "a third"]),
)
some_drafts = strategies.lists(drafts, min_size=1, max_size=4)
minutes_ahead = strategies.sampled_from([0, 0, 0, 1, 3, 20])
which = strategies.integers(min_value=0, max_value=1)
"""One of the two processes."""
one_of_many = strategies.integers(min_value=0, max_value=50)
"""Which one, counted round: what is drawn must not depend on what threads did first."""


class OutboxMachine(ProcessMachine):
    """The processes, what was done to them, and what must be true."""

    policy, per_minute, quiet = POLICY, PER_MINUTE, QUIET

    def __init__(self) -> None:
        super().__init__()
        self.drafts: dict[str, Draft] = {}
        """The drafts whose order number a caller received."""
        self.agreed: set[str] = set()
        """The orders that a person approved, or was approving when the process was killed."""
        self.stopped: dict[Number, int] = {}
        """The numbers that certainly sent STOP, and how many texts had been posted to them by then."""

    # ── the frame ──

    @initialize()
    def begin(self) -> None:
        """Begin with one process."""
        self._start(0)

    def teardown(self) -> None:
        """Let everything come to its end, undisturbed; then look at what came of it."""
        try:
            if self._group_is_sound:
                self._come_to_rest()
        finally:
            self._close()

    _group_is_sound = True

    # ── what callers do ──

    @rule(index=which, drafts=some_drafts, now=strategies.booleans(), ahead=minutes_ahead)
    def place(self, index: int, drafts: list[Draft], now: bool, ahead: int) -> None:
        """Place or repeat orders that need no approval, to be sent by this process or by others."""

        async def place(process: Process, draft: Draft) -> Order:
            approval, orders = an_approval(draft), process.backend.orders
            placing = process.backend.outbox.place(approval, orders) if now else orders.place(approval)
            return (await placing).order

        for draft in (self._later(each, ahead) for each in drafts):
            self._note(draft, self._try(index, partial(place, draft=draft)))

    @rule(index=which, draft=drafts, ahead=minutes_ahead)
    def ask_a_person(self, index: int, draft: Draft, ahead: int) -> None:
        """Place an order that waits for a person."""
        draft = self._later(draft, ahead)

        async def place(process: Process) -> Order:
            return (await process.backend.orders.place(an_approval(draft, Approver.PERSON))).order

        self._note(draft, self._try(index, place))

    def _later(self, draft: Draft, ahead: int) -> Draft:
        """Give a draft a send time, if it is scheduled."""
        send_at = self.world.clock.now() + timedelta(minutes=ahead) if ahead else None
        return draft.model_copy(update={"send_at": send_at})

    def _try(self, index: int, work: Callable[[Process], Awaitable[Order]]) -> Order | None:
        async def run(process: Process) -> Order | None:
            try:
                return await work(process)
            except (Refused, InvalidInput):
                return None

        return self._ask(index, run)

    def _note(self, draft: Draft, order: Order | None) -> None:
        if order:
            known = self.drafts.setdefault(order.id, draft)
            assert (known.to, known.text) == (draft.to, draft.text)

    @rule(index=which, one=one_of_many, in_terminal=strategies.booleans())
    def say_yes(self, index: int, one: int, in_terminal: bool) -> None:
        """Approve an order, or replay an old approval."""
        if not self.drafts:
            return
        number = self._number(one)
        self.agreed.add(number)

        async def agree(process: Process) -> Order:
            assert process.store
            if in_terminal:
                return (await OrderAdmin(process.store.database).approve(number)).order
            placed = await process.store.orders.approve(number, process.backend.checks.recheck)
            process.backend.outbox.hand_over(placed.order)
            return placed.order

        self._ask(index, agree)

    @rule(index=which, one=one_of_many, pauses=strategies.booleans())
    def cancel(self, index: int, one: int, *, pauses: bool) -> None:
        """Cancel an order or make it wait for a new approval, if that is still possible."""
        if not self.drafts:
            return
        number = self._number(one)
        before = self._posted(number)

        async def cancel(process: Process) -> Order | None:
            assert process.store
            orders = process.store.cancellations
            return await (orders.pause(number, READ) if pauses else orders.cancel(number, "Not wanted."))

        order = self._ask(index, cancel)
        if order and order.state is OrderState.CANCELLED:
            assert self._posted(number) == before
        if order and order.state is OrderState.WAITING:
            self.agreed.discard(number)

    # ── what becomes of processes ──

    @rule(index=which, steps=strategies.integers(min_value=0, max_value=60))
    def die(self, index: int, steps: int) -> None:
        """Let a process die during its next steps, or now."""
        self._die(index, steps)

    @rule(index=which)
    def start(self, index: int) -> None:
        """Start a process, in place of one that ends properly if there is one."""
        self._start(index)

    # ── what becomes of texts ──

    @rule(fault=strategies.sampled_from(FAULTS), late=strategies.integers(min_value=1, max_value=100))
    def spoil(self, fault: Fault, late: int) -> None:
        """Make the next text fail."""
        more: dict[str, Any] = {"method": "POST", "path": "/sms", "dryrun": False}
        if fault in LATE:
            more["duration"] = timedelta(seconds=late)  # within the quiet period, or nothing can be promised
        self.world.box.faults.inject(fault, **more)

    @rule(
        index=which,
        one=one_of_many,
        status=strategies.sampled_from(["sent", "delivered", "failed"]),
        named=strategies.booleans(),
    )
    def report(self, index: int, one: int, status: str, named: bool) -> None:
        """Report on a text that was accepted: early, late, again."""
        accepted = self.world.box.accepted
        if not accepted:
            return
        message = accepted[one % len(accepted)]
        report = Report(message_id=message.id, status=status, order_id=order_of(message) if named else None)

        async def receive_text(process: Process) -> list[Report]:
            assert process.store
            return await process.store.inbound.record_webhooks((), [report])

        unknown = self._ask(index, receive_text)
        assert not (named and unknown)

    @rule(index=which, phone=strategies.sampled_from(PHONES), word=strategies.sampled_from(["STOP", "START"]))
    def say(self, index: int, phone: Number, word: str) -> None:
        """Receive a STOP or a START."""
        self.world.clock.advance(timedelta(milliseconds=1))
        message = said(word, by=phone, at=self.world.clock.now())

        async def receive_text(process: Process) -> bool:
            assert process.store
            await process.store.inbound.record([message])
            self.stopped.pop(phone, None)
            if word == "STOP":
                self.stopped[phone] = self._posted_to(phone)
            return True

        self.stopped.pop(phone, None) if word == "START" else None
        self._ask(index, receive_text)

    @rule(seconds=strategies.sampled_from([5, 15, 60, 60, 150, 150, 600, 1800]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self._portal.call(self._pass, timedelta(seconds=seconds))
        self._bury()

    # ── what must be true ──

    @invariant()
    def no_order_goes_out_twice(self) -> None:
        """P4, P3: at most one text for each order, and exactly what was asked for."""
        accepted = self.world.box.accepted
        numbers = Counter(order_of(message) for message in accepted)
        assert all(count == 1 for count in numbers.values()), numbers
        for message in accepted:
            if draft := self.drafts.get(order_of(message)):
                assert (message.to, message.text) == (draft.to.e164, draft.text)

    @invariant()
    def nothing_goes_out_early_or_late(self) -> None:
        """P13."""
        times = dict(self._rows("SELECT id, send_at FROM orders WHERE send_at IS NOT NULL"))
        for post in posts(self.world.box):
            if at := times.get(order_of(post)):
                late = timedelta(microseconds=round(post.at.timestamp() * 10**6) - at)
                assert timedelta() <= late <= ORDER_LATENESS

    @invariant()
    def no_more_is_spent_than_allowed(self) -> None:
        """P5."""
        day = self.began_at + timedelta(hours=24)
        spent = sum(charge.amount for charge in self.world.box.charges if charge.at < day)
        assert spent <= BUDGET * PRICE

    @invariant()
    def nobody_who_said_stop_gets_anything(self) -> None:
        """P6."""
        for phone, before in self.stopped.items():
            assert self._posted_to(phone) == before

    @invariant()
    def nothing_goes_out_that_a_person_did_not_agree_to(self) -> None:
        """P2."""
        asked = {number for (number,) in self._rows("SELECT id FROM orders WHERE approver <> 'policy'")}
        for message in self.world.box.accepted:
            assert order_of(message) in self.agreed or order_of(message) not in asked

    @invariant()
    def no_minute_has_too_many(self) -> None:
        """The pace holds, however many send."""
        moments: list[datetime] = sorted(post.at for post in posts(self.world.box))
        for first, last in zip(moments, moments[PER_MINUTE:], strict=False):
            assert last - first > timedelta(seconds=60)

    def _number(self, one: int) -> str:
        return list(self.drafts)[one % len(self.drafts)]

    def _posted(self, number: str) -> int:
        return sum(order_of(post) == number for post in posts(self.world.box))

    def _posted_to(self, phone: Number) -> int:
        return sum(post.form["to"] == phone.e164 for post in posts(self.world.box))

    async def _settle(self) -> None:
        """Let time pass until nothing is unfinished, skipping the half hour in which a person can approve."""
        while is_unfinished(self.world.place, self.world.account):
            await self._pass(timedelta(minutes=1))
            if not self._rows("SELECT id FROM orders WHERE state IN ('queued', 'sending', 'in doubt')"):
                self.world.clock.advance(APPROVAL_TIMEOUT)

    def _come_to_rest(self) -> None:
        """Let a new process finish the rest, and compare what is stored with what happened."""
        self._replace_all()
        self._portal.call(self._settle)
        self.no_order_goes_out_twice()
        self.nothing_goes_out_early_or_late()
        self.no_more_is_spent_than_allowed()
        self.nobody_who_said_stop_gets_anything()
        self.nothing_goes_out_that_a_person_did_not_agree_to()
        self.no_minute_has_too_many()
        known = dict(self._rows("SELECT id, state FROM orders"))
        assert self.drafts.keys() <= known.keys()
        accepted = {order_of(message): message for message in self.world.box.accepted}
        assert accepted.keys() <= known.keys()
        proven = dict(self._rows("SELECT id, message_id FROM orders WHERE message_id IS NOT NULL"))
        for number, state in known.items():
            if state == OrderState.UNKNOWN:
                continue  # nobody claims to know
            assert (state in ACCEPTED) == (number in accepted), (number, state)
            assert state in ACCEPTED | NEVER_SENT
            if number in accepted:
                assert proven[number] in {message.id for message in accepted.values()}
        assert len(set(proven.values())) == len(proven)
        unknown = self._rows("SELECT status_reason, message_id FROM orders WHERE state = 'unknown'")
        assert all("within an hour" in fault for fault, _ in unknown), unknown
        assert self._rows("SELECT id FROM orders WHERE content IS NOT NULL AND state <> 'unknown'") == []


@pytest.mark.lengthy
def test_the_promises_hold_whatever_happens() -> None:
    run_state_machine_as_test(
        OutboxMachine,
        settings=settings(
            max_examples=8,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.long
def test_the_promises_hold_whatever_happens_for_a_long_time() -> None:
    run_state_machine_as_test(
        OutboxMachine,
        settings=settings(
            max_examples=3 * settings().max_examples // 10,  # 300 in the thorough profile
            stateful_step_count=50,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
