"""The next step of an alert: each stage once, in order, and none after an acknowledgement."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from elks_mcp.domain.escalation import (
    AcknowledgeByDigit,
    AlertProgress,
    AlertState,
    AttemptOutcome,
    Contacting,
    EndAlert,
    EscalationPath,
    Means,
    PlaceStage,
    Stage,
    WaitUntil,
    find_action,
)
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import ACCEPTED, NEVER_SENT, OrderState
from elks_mcp.domain.phone import Number

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ONE, TWO = Number("+46701740605"), Number("+46701740606")
SENT = AttemptOutcome(order_id="O-1", state=OrderState.SENT)
QUEUED = AttemptOutcome(order_id="O-1", state=OrderState.QUEUED)
REJECTED = AttemptOutcome(order_id="O-2", state=OrderState.REJECTED)
SKIPPED = AttemptOutcome(order_id=None)


def a_stage(*people: Number, means: Means = Means.SMS, minutes: int = 5) -> Stage:
    contacting = tuple(Contacting(to=each, price=Money(5200, "SEK")) for each in people)
    return Stage(means=means, people=contacting, wait=minutes * MINUTE)


PATH = EscalationPath(stages=(a_stage(ONE), a_stage(ONE, TWO, minutes=10)), rounds=2)


def progress(**facts: object) -> AlertProgress:
    return AlertProgress.model_validate({"state": AlertState.RUNNING, "ends_at": NOON + 60 * MINUTE} | facts)


def test_a_path_knows_its_length_price_duration_and_people() -> None:
    assert (PATH.length, PATH.price, PATH.duration) == (4, Money(6 * 5200, "SEK"), 30 * MINUTE)
    assert PATH.people == (ONE, TWO)
    assert [PATH.stage(at) for at in range(4)] == [*PATH.stages, *PATH.stages]


def test_an_alert_begins_with_its_first_stage() -> None:
    assert find_action(PATH, progress(), NOON) == PlaceStage(position=0)


def test_the_next_stage_waits_for_the_answer_to_the_one_before() -> None:
    running = progress(position=1, next_at=NOON + 5 * MINUTE, outcomes=(SENT,), has_reached=True)
    assert find_action(PATH, running, NOON) == WaitUntil(at=NOON + 5 * MINUTE)
    assert find_action(PATH, running, NOON + 5 * MINUTE) == PlaceStage(position=1)


def test_a_late_server_goes_on_with_the_next_stage_and_skips_none() -> None:
    running = progress(position=1, next_at=NOON + 5 * MINUTE, outcomes=(SENT,), has_reached=True)
    assert find_action(PATH, running, NOON + 59 * MINUTE) == PlaceStage(position=1)


@pytest.mark.parametrize("outcomes", [(SKIPPED,), (REJECTED,), (SKIPPED, REJECTED)])
def test_a_stage_that_reached_nobody_is_not_waited_for(outcomes: tuple[AttemptOutcome, ...]) -> None:
    running = progress(position=1, next_at=NOON + 5 * MINUTE, outcomes=outcomes)
    assert find_action(PATH, running, NOON) == PlaceStage(position=1)


@pytest.mark.parametrize("outcomes", [(SENT, SKIPPED), (QUEUED, REJECTED)])
def test_a_stage_that_may_have_reached_somebody_is_waited_for(outcomes: tuple[AttemptOutcome, ...]) -> None:
    running = progress(position=1, next_at=NOON + 5 * MINUTE, outcomes=outcomes)
    assert find_action(PATH, running, NOON) == WaitUntil(at=NOON + 5 * MINUTE)


def test_after_the_last_stage_earlier_texts_may_still_be_answered() -> None:
    last = progress(position=4, next_at=NOON + 5 * MINUTE, outcomes=(REJECTED,), has_reached=True)
    assert find_action(PATH, last, NOON) == WaitUntil(at=NOON + 5 * MINUTE)
    over = find_action(PATH, last, NOON + 5 * MINUTE)
    assert isinstance(over, EndAlert)
    assert over.state is AlertState.UNANSWERED


def test_an_alert_that_reached_nobody_has_failed() -> None:
    over = find_action(PATH, progress(position=4, next_at=NOON + MINUTE, outcomes=(SKIPPED,)), NOON)
    assert isinstance(over, EndAlert)
    assert over.state is AlertState.FAILED


def test_the_time_cap_ends_an_alert_in_the_middle_of_a_wait() -> None:
    running = progress(
        position=1, next_at=NOON + 99 * MINUTE, ends_at=NOON + MINUTE, outcomes=(SENT,), has_reached=True
    )
    assert find_action(PATH, running, NOON) == WaitUntil(at=NOON + MINUTE)
    over = find_action(PATH, running, NOON + MINUTE)
    assert isinstance(over, EndAlert)
    assert over.state is AlertState.UNANSWERED


def test_a_call_that_was_picked_up_is_no_acknowledgement_and_the_digit_is() -> None:
    picked_up = AttemptOutcome(order_id="O-1", state=OrderState.DELIVERED, digits="")
    running = progress(position=1, next_at=NOON + MINUTE, outcomes=(picked_up,), has_reached=True)
    assert find_action(PATH, running, NOON) == WaitUntil(at=NOON + MINUTE)
    for digits in ("2", "11", "#", None):
        other = picked_up.model_copy(update={"digits": digits})
        assert find_action(PATH, running.model_copy(update={"outcomes": (other,)}), NOON) == WaitUntil(
            at=NOON + MINUTE
        )
    pressed = running.model_copy(update={"outcomes": (picked_up.model_copy(update={"digits": "1"}),)})
    assert find_action(PATH, pressed, NOON) == AcknowledgeByDigit(order_id="O-1")


@pytest.mark.parametrize("state", [each for each in AlertState if each is not AlertState.RUNNING])
def test_nothing_happens_in_an_alert_that_does_not_run(state: AlertState) -> None:
    for position in range(5):
        assert find_action(PATH, progress(state=state, position=position), NOON + 99 * MINUTE) is None


class AlertMachine(RuleBasedStateMachine):
    """An alert, its texts and the people who may answer them, in any order of events."""

    @initialize(
        stages=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 20)), min_size=1, max_size=4),
        rounds=st.integers(1, 3),
        cap=st.integers(1, 120),
    )
    def begin(self, stages: list[tuple[int, int]], rounds: int, cap: int) -> None:
        people = [ONE, TWO, Number("+46701740607")]
        self.path = EscalationPath(
            stages=tuple(a_stage(*people[:count], minutes=wait) for count, wait in stages), rounds=rounds
        )
        self.now = NOON
        self.progress = progress(ends_at=NOON + cap * MINUTE)
        self.placed: list[tuple[int, datetime]] = []
        self.is_over = False

    @rule(minutes=st.integers(0, 30))
    def pass_time(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(states=st.lists(st.sampled_from([None, *OrderState]), min_size=3, max_size=3))
    def act(self, states: list[OrderState | None]) -> None:
        """Do what the function says, as a server does."""
        match find_action(self.path, self.progress, self.now):
            case PlaceStage(position=position):
                assert not self.is_over
                stage = self.path.stage(position)
                self.placed.append((position, self.now))
                outcomes = tuple(
                    AttemptOutcome(order_id=f"O-{at}" if state else None, state=state)
                    for at, state in enumerate(states[: len(stage.people)])
                )
                reached = any(not each.is_over for each in outcomes)
                self.progress = self.progress.model_copy(
                    update={
                        "position": position + 1,
                        "next_at": self.now + stage.wait,
                        "outcomes": outcomes,
                        "has_reached": self.progress.has_reached or reached,
                    }
                )
            case EndAlert(state=state):
                assert not self.is_over
                assert (state is AlertState.UNANSWERED) is self.progress.has_reached
                is_through = len(self.placed) == self.path.length
                assert is_through or self.now >= self.progress.ends_at
                self.finish(state)
            case WaitUntil(at=at):
                assert self.now < at <= self.progress.ends_at
            case AcknowledgeByDigit():
                self.finish(AlertState.ACKNOWLEDGED)
            case None:
                assert self.is_over

    @rule(digits=st.sampled_from(["", "1", "2"]))
    def press(self, digits: str) -> None:
        """Press a digit in the latest call."""
        if self.progress.outcomes and self.progress.outcomes[0].order_id:
            first, *others = self.progress.outcomes
            pressed = first.model_copy(update={"digits": digits})
            self.progress = self.progress.model_copy(update={"outcomes": (pressed, *others)})
            if digits == "1" and not self.is_over:
                assert isinstance(find_action(self.path, self.progress, self.now), AcknowledgeByDigit)

    @precondition(lambda self: self.placed)
    @rule()
    def acknowledge_by_text(self) -> None:
        if not self.is_over:
            self.finish(AlertState.ACKNOWLEDGED)

    def finish(self, state: AlertState) -> None:
        self.is_over = True
        self.progress = self.progress.model_copy(update={"state": state})

    @invariant()
    def each_stage_is_placed_once_and_none_is_skipped(self) -> None:
        if hasattr(self, "placed"):
            assert [position for position, _ in self.placed] == list(range(len(self.placed)))
            assert all(at < self.progress.ends_at for _, at in self.placed)


TestAlertMachine = AlertMachine.TestCase


def test_states_that_are_over_are_those_in_which_nobody_can_have_read_anything() -> None:
    over = {each for each in OrderState if AttemptOutcome(order_id="O-1", state=each).is_over}
    assert over == NEVER_SENT | {OrderState.FAILED}
    assert OrderState.UNKNOWN not in over
    assert {OrderState.SENT, OrderState.DELIVERED} == ACCEPTED - over
