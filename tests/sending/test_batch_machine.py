"""Random events around batches: the promises hold after every step, and every row ends.

Two processes share a database. Batches are planned, started, paused, resumed and cancelled, several times
and in any order; single texts overtake them; processes end, or die in the middle of anything, and others take
over; 46elks accepts, refuses and loses answers; recipients say STOP; and time passes.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from elks_mcp.domain.batches import Batch, BatchPlan, BatchState
from elks_mcp.domain.orders import ACCEPTED, NEVER_SENT, UNFINISHED, Approver, OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.errors import Refused, StateUnavailable
from elks_mcp.sandbox import Fault
from tests.support.outbox_cases import FAULTS, LATE
from tests.support.process_machine import Process, ProcessMachine, order_of
from tests.support.provider import UNLIMITED, a_draft, an_approval, posts
from tests.support.shops import a_plan, checks_of, list_phones
from tests.support.stores import PRICE, is_unfinished, opened, said

PHONES = list_phones(6)
TEXTS = ("Hej!", "Din tid är i morgon", "Vi har öppet")
BUDGET = 16
"""Texts."""

SLOTS_A_MINUTE = 12
which = strategies.integers(min_value=0, max_value=1)
"""One of the two processes."""

one_of_many = strategies.integers(min_value=0, max_value=50)
"""Which batch, counted round: what is drawn must not depend on what threads did first."""


class BatchMachine(ProcessMachine):
    """The processes, what was done to batches, and what must be true."""

    policy = UNLIMITED.model_copy(update={"budget_per_day": BUDGET * PRICE})
    per_minute = SLOTS_A_MINUTE

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[BatchPlan] = []
        self.attempts: dict[str, int] = {}
        """How many attempts there were by the time a batch was paused or cancelled, by batch."""

        self.stopped: dict[Number, int] = {}
        """The numbers that sent STOP, and how many texts had been handed over to them by then."""

        self.finished: dict[str, int] = {}
        """How many attempts there were by the time a batch was finished, by batch."""

    @initialize()
    def begin(self) -> None:
        """Begin with one process."""
        self._start(0)
        seen = opened(self.world.place, self.world.clock, self.world.account)
        self._observer = self._stack.enter_context(self._portal.wrap_async_context_manager(seen))

    def teardown(self) -> None:
        """Let everything finish, and compare what is stored with what happened."""
        try:
            self._come_to_rest()
        finally:
            self._close()

    # ── what callers do ──

    @rule(
        index=which,
        text=strategies.sampled_from(TEXTS),
        size=strategies.integers(min_value=1, max_value=len(PHONES)),
        later=strategies.sampled_from([None, None, 5, 90]),
    )
    def plan(self, index: int, text: str, size: int, later: int | None) -> None:
        """Plan a batch, for now or for some minutes later."""
        at = self.world.clock.now() + timedelta(minutes=later) if later else None

        async def add(process: Process) -> BatchPlan:
            assert process.store
            return await process.store.batches.add(a_plan(PHONES[:size], text, send_at=at))

        if plan := self._ask(index, add):
            self.plans.append(plan)

    @rule(index=which, one=one_of_many)
    def start_batch(self, index: int, one: int) -> None:
        """Start a batch, or start it again."""

        async def start(process: Process, plan: BatchPlan) -> Batch:
            assert process.store
            checks = process.backend.checks
            row, total = checks.recheck_row, checks.recheck_sum
            checked = checks_of(process.backend.outbox.pace, row=row, total=total)
            started = await process.store.batches.start(plan.id, plan.digest, Approver.PERSON, checked)
            process.backend.outbox.wake(sends_batch=True)
            return started.batch

        self._change(index, one, start)

    @rule(index=which, one=one_of_many, how=strategies.sampled_from(["pause", "resume", "resume", "cancel"]))
    def change(self, index: int, one: int, how: str) -> None:
        """Pause, resume or cancel a batch, whatever state it is in."""

        async def change(process: Process, plan: BatchPlan) -> Batch:
            assert process.store
            store, outbox = process.store.batches, process.backend.outbox
            if how == "cancel":
                return await store.cancel(plan.id)
            if how == "pause":
                return await store.pause(plan.id, "Not now.")
            self.attempts.pop(plan.id, None)
            batch = await store.resume(
                plan.id, checks_of(outbox.pace, total=process.backend.checks.recheck_sum)
            )
            outbox.wake(sends_batch=True)
            return batch

        batch = self._change(index, one, change)
        if batch and batch.state in {BatchState.PAUSED, BatchState.CANCELLED}:
            self.attempts.setdefault(batch.id, self._count_attempts(batch.id))

    @rule(index=which, text=strategies.sampled_from(TEXTS), to=strategies.sampled_from(PHONES))
    def place_single(self, index: int, text: str, to: Number) -> None:
        """Send a single text, which overtakes."""

        async def place(process: Process) -> None:
            approval, orders = an_approval(a_draft(f"{text} Nu!", to=to)), process.backend.orders
            try:
                await process.backend.outbox.place(approval, orders)
            except Refused:
                return

        self._ask(index, place)

    # ── what becomes of processes and texts ──

    @rule(index=which, steps=strategies.integers(min_value=0, max_value=60))
    def die(self, index: int, steps: int) -> None:
        """Let a process die during its next steps, or now."""
        self._die(index, steps)

    @rule(index=which)
    def start(self, index: int) -> None:
        """Start a process, in place of one that ends properly if there is one."""
        self._start(index)

    @rule(fault=strategies.sampled_from(FAULTS), late=strategies.integers(min_value=1, max_value=100))
    def spoil(self, fault: Fault, late: int) -> None:
        """Make the next text fail."""
        more: dict[str, Any] = {"method": "POST", "path": "/sms", "dryrun": False}
        if fault in LATE:
            more["duration"] = timedelta(seconds=late)
        self.world.box.faults.inject(fault, **more)

    @rule(index=which, phone=strategies.sampled_from(PHONES))
    def say_stop(self, index: int, phone: Number) -> None:
        """Receive a STOP."""
        message = said("STOP", by=phone, at=self.world.clock.now())

        async def receive_text(process: Process) -> None:
            assert process.store
            await process.store.inbound.record([message])
            self.stopped.setdefault(phone, self._count_posts(phone))

        self._ask(index, receive_text)

    @rule(seconds=strategies.sampled_from([5, 15, 60, 60, 150, 600, 3600]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self._portal.call(self._pass, timedelta(seconds=seconds))
        self._bury()

    # ── what must be true ──

    @invariant()
    def the_promises_hold(self) -> None:
        """P4, P5, P6, and the pace; and nothing of a batch leaves while it is paused or cancelled."""
        accepted = Counter(order_of(message) for message in self.world.box.accepted)
        assert set(accepted.values()) <= {1}, accepted
        charges = self.world.box.charges
        for last in charges:
            day = [each for each in charges if timedelta() <= last.at - each.at < timedelta(hours=24)]
            assert sum(each.amount for each in day) <= BUDGET * PRICE
        moments: list[datetime] = sorted(post.at for post in posts(self.world.box))
        for first, later in zip(moments, moments[SLOTS_A_MINUTE:], strict=False):
            assert later - first > timedelta(seconds=60)
        for phone, count in self.stopped.items():
            assert self._count_posts(phone) == count
        for batch_id, attempts in self.attempts.items():
            assert self._count_attempts(batch_id) == attempts

        self._check_finished()

    def _check_finished(self) -> None:
        """Check that a finished batch has no row without an end, and that nothing of it is tried again."""
        for plan in self.plans:
            batch: Batch = self._portal.call(self._observer.batches.get, plan.id)
            states = [
                state for (state,) in self._rows("SELECT state FROM orders WHERE batch_id = ?", plan.id)
            ]
            unfinished = sum(state in UNFINISHED for state in states)
            assert batch.unfinished == unfinished
            if batch.state is BatchState.FINISHED:
                assert (unfinished, len(states)) == (0, len(plan.rows))
                self.finished.setdefault(plan.id, self._count_attempts(plan.id))
        for batch_id, attempts in self.finished.items():
            assert self._count_attempts(batch_id) == attempts

    def _change(self, index: int, one: int, work: Any) -> Batch | None:
        """Have a process do something with one of the batches; None if it is refused or the process dies."""
        if not self.plans:
            return None
        plan = self.plans[one % len(self.plans)]

        async def run(process: Process) -> Batch | None:
            try:
                batch: Batch = await work(process, plan)
            except (Refused, StateUnavailable):
                return None
            return batch

        return self._ask(index, run)

    def _count_attempts(self, batch_id: str) -> int:
        question = "SELECT coalesce(sum(attempts), 0) FROM orders WHERE batch_id = ?"
        [(attempts,)] = self._rows(question, batch_id)
        return int(attempts)

    def _count_posts(self, phone: Number) -> int:
        return sum(post.form["to"] == phone.e164 for post in posts(self.world.box))

    async def _settle(self, process: Process) -> None:
        """Resume what is paused, and let time pass until nothing is unfinished."""
        assert process.store
        store = process.store
        while is_unfinished(self.world.place, self.world.account) or await self._resume_all(process):
            await self._pass(timedelta(minutes=1))
            counts = await store.queue.find_due_work()
            if not (counts.queued or counts.batched or counts.doubtful or counts.lapsed):
                self.world.clock.advance(timedelta(minutes=29))  # it is night, or the time is still to come

    async def _resume_all(self, process: Process) -> bool:
        """Resume the batches that are paused, or cancel them if that is refused. Return whether any was."""
        assert process.store
        batches, outbox = process.store.batches, process.backend.outbox
        paused = [each for each in await batches.list_latest(100) if each.state is BatchState.PAUSED]
        for each in paused:
            self.attempts.pop(each.id, None)
            try:
                await batches.resume(
                    each.id, checks_of(outbox.pace, total=process.backend.checks.recheck_sum)
                )
                outbox.wake(sends_batch=True)
            except Refused:
                await batches.cancel(each.id)
        return bool(paused)

    def _come_to_rest(self) -> None:
        """Let a new process finish the rest, and compare what is stored with what happened."""
        self._replace_all()
        process = self.processes[0]
        assert process
        self._portal.call(self._settle, process)
        self.the_promises_hold()
        accepted = {order_of(message): message for message in self.world.box.accepted}
        rows = self._rows("SELECT id, state, batch_id, batch_row, charge, recipient FROM orders")
        for order_id, state, *_ in rows:
            if state != OrderState.UNKNOWN:  # nobody claims to know
                assert state in ACCEPTED | NEVER_SENT, (order_id, state)
                assert (state in ACCEPTED) == (order_id in accepted), (order_id, state)
        assert accepted.keys() <= {row[0] for row in rows}
        known = [row for row in rows if row[1] != OrderState.UNKNOWN]
        assert sum(row[4] for row in known if row[0] in accepted) == PRICE * sum(
            row[0] in accepted for row in known
        )
        for plan in self.plans:
            batch: Batch = self._portal.call(process.store.batches.get, plan.id)  # type: ignore[union-attr]
            mine = Counter(row[3] for row in rows if row[2] == plan.id)
            assert mine == ({row.row: 1 for row in plan.rows} if batch.started_at else {})
            assert batch.unfinished == 0
        assert self._rows("SELECT id FROM orders WHERE content IS NOT NULL AND state <> 'unknown'") == []


def run_machine(examples: int, steps: int, **more: Any) -> None:
    """Run the machine."""
    run_state_machine_as_test(
        BatchMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **more,
        ),
    )


@pytest.mark.lengthy
def test_p4_p5_p6_the_promises_hold_whatever_happens_to_batches() -> None:
    run_machine(6, 25, derandomize=True)


@pytest.mark.long
def test_p4_p5_p6_the_promises_hold_whatever_happens_to_batches_for_a_long_time() -> None:
    run_machine(3 * settings().max_examples // 10, 50, print_blob=True)
