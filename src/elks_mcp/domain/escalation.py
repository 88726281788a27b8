"""Alerts that go on until somebody answers: the policy, the path, and the next step.

A policy names people and how each is reached. For an alert it becomes a path of frozen stages. `find_action`
says what has to happen next, from the alert's state, the time and what became of the latest stage. It does
no I/O, so every order of events can be tried.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime

from elks_mcp.domain.models import Frozen
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import NEVER_SENT, OrderState
from elks_mcp.domain.phone import Number

MOST_ROUNDS = 5
"""How often a path is gone through, at most: Grafana OnCall has the same limit."""

MOST_STEPS = 20
MOST_IN_STAGE = 20
"""The most people that are reached at the same time."""

ACKNOWLEDGING_DIGIT = "1"
"""The digit that acknowledges an alert in a call."""


class Means(StrEnum):
    """How a person is reached, as a policy file writes it."""

    SMS = "sms"
    CALL = "call"


class AckLanguage(StrEnum):
    """The language of what is added to an alert's text, as a policy file writes it."""

    ENGLISH = "en"
    SWEDISH = "sv"


class PolicyStep(Frozen):
    """A step of a policy: people, how they are reached, and how long their answer is waited for."""

    whom: str
    """A contact's name, a group such as `@jour`, or a number."""

    means: tuple[Means, ...]
    """One after the other, each followed by the wait."""

    wait: timedelta


class EscalationPolicy(Frozen):
    """A path that an operator wrote down, by name."""

    name: str
    steps: tuple[PolicyStep, ...]
    rounds: int = 1
    """How often the path is gone through (1–5)."""

    cost_cap: str
    """The most that one alert may cost, as `Money.parse` reads it, in the account's currency."""

    time_cap: timedelta
    """The longest that one alert may run."""

    language: AckLanguage = AckLanguage.ENGLISH

    @property
    def duration(self) -> timedelta:
        """How long the path takes if nobody answers."""
        waits = sum((each.wait * len(each.means) for each in self.steps), timedelta())
        return waits * self.rounds


class Contacting(Frozen):
    """One person of a stage, and what reaching them costs."""

    to: Number
    price: Money
    """The price of the text; for a call an upper bound."""

    parts: int = 1


class Stage(Frozen):
    """People that are reached by the same means at the same time, and the wait after that."""

    means: Means
    people: tuple[Contacting, ...]
    wait: timedelta

    @property
    def price(self) -> Money:
        """The price of reaching all of them once."""
        return Money(sum(each.price.units for each in self.people), self.people[0].price.currency)


class EscalationPath(Frozen):
    """The frozen stages of one alert. A changed policy file does not change it."""

    stages: tuple[Stage, ...]
    rounds: int

    @property
    def length(self) -> int:
        """How many stages there are in all rounds together."""
        return len(self.stages) * self.rounds

    @property
    def price(self) -> Money:
        """The price if nobody answers."""
        once = Money(sum(stage.price.units for stage in self.stages), self.currency)
        return once.times(self.rounds)

    @property
    def currency(self) -> str:
        """The currency of the prices, "" if it is unknown."""
        return self.stages[0].people[0].price.currency

    @property
    def duration(self) -> timedelta:
        """How long it takes if nobody answers."""
        return sum((stage.wait for stage in self.stages), timedelta()) * self.rounds

    @property
    def people(self) -> tuple[Number, ...]:
        """Everyone on the path, once, in the order in which they are reached."""
        return tuple(dict.fromkeys(each.to for stage in self.stages for each in stage.people))

    def stage(self, position: int) -> Stage:
        """Return the stage at a position, counted from 0 through all rounds."""
        return self.stages[position % len(self.stages)]


class AlertState(StrEnum):
    """How far an alert is."""

    WAITING = "waiting"
    """A person has to approve it."""

    RUNNING = "running"
    ACKNOWLEDGED = "acknowledged"
    UNANSWERED = "unanswered"
    """The whole path was gone through, or a cap was reached, and nobody acknowledged it."""

    FAILED = "failed"
    """No person could be reached at all."""

    ENDED = "ended"
    """The caller or a person ended it."""

    EXPIRED = "expired"
    """No person approved it in time, or no server ran to start it."""


OPEN_STATES = frozenset({AlertState.WAITING, AlertState.RUNNING})
"""The states in which an alert may still reach somebody."""


class AttemptOutcome(Frozen):
    """The outcome of reaching one person of the latest stage, as far as known."""

    order_id: str | None
    """None if the person was skipped."""

    state: OrderState | None = None
    digits: str | None = None
    """The digits that were pressed in a call; None while that is unknown, and for a text."""

    @property
    def is_over(self) -> bool:
        """Whether the person certainly was not reached, so that no answer can come."""
        return self.order_id is None or self.state in NEVER_SENT or self.state is OrderState.FAILED


class AlertProgress(Frozen):
    """Everything on which the next action depends."""

    state: AlertState
    position: int = 0
    """The stage that comes next: all before it were placed or skipped."""

    next_at: AwareDatetime | None = None
    """When the wait for the latest stage is over; None before the first."""

    ends_at: AwareDatetime
    """When the longest time that the alert may run is over."""

    outcomes: tuple[AttemptOutcome, ...] = ()
    """Those of the latest stage."""

    calls: tuple[AttemptOutcome, ...] = ()
    """Those of all calls, the digits of which still count when the next stage was placed."""

    has_reached: bool = False
    """Whether an order of any stage left, or may have."""


class PlaceStage(Frozen):
    """Place the orders of the stage at a position."""

    position: int


class WaitUntil(Frozen):
    """Nothing has to be done before a time, unless somebody answers."""

    at: AwareDatetime


class EndAlert(Frozen):
    """The alert is over, and nobody acknowledged it."""

    state: AlertState
    reason: str


class AcknowledgeByDigit(Frozen):
    """A person pressed the digit in a call."""

    order_id: str


AlertAction = PlaceStage | WaitUntil | EndAlert | AcknowledgeByDigit

TIME_IS_UP = "The longest time that the alert may run was over."
PATH_IS_OVER = "The whole path was gone through."
NOBODY_REACHED = "Nobody on the path could be reached."


def find_action(path: EscalationPath, progress: AlertProgress, now: datetime) -> AlertAction | None:
    """Return what has to happen next; None if the alert does not run.

    A stage is placed when the wait for the one before is over, or as soon as it is certain that nobody of
    that stage was reached. A late server goes on with the next stage; it does not make up for lost time.
    """
    if progress.state is not AlertState.RUNNING:
        return None
    for each in (*progress.outcomes, *progress.calls):
        if each.order_id and each.digits == ACKNOWLEDGING_DIGIT:
            return AcknowledgeByDigit(order_id=each.order_id)
    if now >= progress.ends_at:
        return _end(progress, TIME_IS_UP)
    if progress.next_at and now < progress.next_at and not _is_in_vain(path, progress):
        return WaitUntil(at=min(progress.next_at, progress.ends_at))
    if progress.position >= path.length:
        return _end(progress, PATH_IS_OVER)
    return PlaceStage(position=progress.position)


def _is_in_vain(path: EscalationPath, progress: AlertProgress) -> bool:
    """Return whether waiting any longer for the latest stage makes no sense.

    After the last stage it always does if anybody was reached, since they may still read their text.
    """
    if progress.position >= path.length and progress.has_reached:
        return False
    return all(each.is_over for each in progress.outcomes)


def _end(progress: AlertProgress, reason: str) -> EndAlert:
    if progress.has_reached:
        return EndAlert(state=AlertState.UNANSWERED, reason=reason)
    return EndAlert(state=AlertState.FAILED, reason=f"{NOBODY_REACHED} {reason}")
