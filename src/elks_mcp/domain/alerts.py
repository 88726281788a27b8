"""Alerts: what a person approves, and how far an alert is."""

import hashlib
import json
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, Field

from elks_mcp.domain.acknowledgements import (
    MOST_WRONG_CODES,
    request_acknowledgement,
    request_digit,
)
from elks_mcp.domain.escalation import (
    AckLanguage,
    AlertProgress,
    AlertState,
    AttemptOutcome,
    EscalationPath,
    Means,
)
from elks_mcp.domain.models import Frozen
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approver, Draft, Finding, OrderState
from elks_mcp.domain.payloads import Payload, Sms
from elks_mcp.domain.phone import Number, Sender, written
from elks_mcp.domain.signature import sign

ANY_CODE = "0000"
"""Stands for the code of an alert that has none yet. Every code has as many digits."""

ALERT_APPROVAL_TIMEOUT = timedelta(minutes=30)
"""How long an alert waits for a person, and after that for a server to start it."""


class LeftOutPerson(Frozen):
    """A person on the path whom a guard refuses, so that the alert skips them."""

    to: Number
    reason: str


class AlertPlan(Frozen):
    """Everything that one approval covers: the text, the path and the most that it can cost."""

    id: str = ""
    caller: str = ""
    policy: str
    message: Annotated[str | None, Field(repr=False)]
    """The caller's own words. None once the alert is over."""

    signature: str = ""
    language: AckLanguage = AckLanguage.ENGLISH
    code: Annotated[str, Field(repr=False)] = ANY_CODE
    sender: Sender
    path: EscalationPath
    most: Money
    """The most that it can cost: the price of the whole path, or the cap of the policy if that is less."""

    time_cap: timedelta
    left_out: tuple[LeftOutPerson, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Reasons to ask a person, and warnings."""

    spoken: Payload | None = None
    """The prepared call, if somebody on the path is called."""

    planned_at: AwareDatetime

    @property
    def text(self) -> str:
        """The text that goes out, with the code and the operator's signature."""
        asked = request_acknowledgement(self.message or "", self.code, self.language)
        return sign(asked, self.signature)

    @property
    def said(self) -> str:
        """The sentences that are said in a call."""
        return request_digit(self.message or "", self.language)

    @property
    def digest(self) -> str:
        """A hash of what a person approves: text, sender, people, means, waits, rounds and caps."""
        stages = [
            [
                stage.means,
                stage.wait.total_seconds(),
                [[each.to.e164, each.price.units] for each in stage.people],
            ]
            for stage in self.path.stages
        ]
        caps = [self.most.units, self.most.currency, self.time_cap.total_seconds()]
        spoken = self.spoken.identity if self.spoken else ""
        approved = [self.id, self.text, written(self.sender), stages, self.path.rounds, caps, spoken]
        return hashlib.sha256(json.dumps(approved).encode()).hexdigest()

    def payload(self, means: Means) -> Payload:
        """Return the content for one person.

        Raises:
            ValueError: the means needs a prepared call and there is none.
        """
        if means is Means.SMS:
            return Sms(text=self.text)
        if self.spoken is None:
            raise ValueError(f"{self.id} has no prepared call")
        return self.spoken

    def draft(self, position: int, number: int) -> Draft:
        """Return the draft for one person of the stage at a position, under a key of its own."""
        stage = self.path.stage(position)
        return Draft(
            to=stage.people[number].to,
            payload=self.payload(stage.means),
            sender=self.sender,
            idempotency_key=f"{self.id} {position} {number}",
            caller=self.caller,
        )

    def without_message(self) -> Self:
        """Return the plan without the caller's words."""
        return self.model_copy(update={"message": None, "spoken": None})


class AckMeans(StrEnum):
    """How an alert was acknowledged."""

    TEXT = "text"
    CALL = "call"
    PERSON = "person"
    """By a person at a terminal or on a page."""


class AlertAttempt(Frozen):
    """One person of one stage: reached, or skipped."""

    position: int
    to: Number | None
    """None if it is not stored any more."""

    means: Means
    at: AwareDatetime
    order_id: str | None
    """None if the person was skipped."""

    order_state: OrderState | None = None
    skipped: str = ""
    """Why the person was skipped."""

    wrong_codes: int = 0
    """How many wrong codes the person has sent."""


_HAS_LEFT = frozenset(
    {OrderState.SENDING, OrderState.IN_DOUBT, OrderState.UNKNOWN, OrderState.SENT, OrderState.DELIVERED}
)


class Alert(Frozen):
    """An alert and how far it is."""

    id: str
    caller: str
    policy: str
    state: AlertState
    approver: Approver
    approval_code: str | None
    is_approved: bool
    """Whether a person approved it outside the client, so that a server starts it."""

    created_at: AwareDatetime
    started_at: AwareDatetime | None
    ends_at: AwareDatetime
    """When it ends if nobody acknowledges it; while it waits, when it is too late to approve it."""

    ended_at: AwareDatetime | None
    reason: str
    """Why it ended, unless it was acknowledged."""

    position: int
    path: EscalationPath | None
    """None if it is not stored any more, a day after the end."""

    next_at: AwareDatetime | None
    most: Money
    spent: Money
    attempts: tuple[AlertAttempt, ...] = ()
    acknowledged_by: Number | None = None
    acknowledged_how: AckMeans | None = None
    late_by: Number | None = None
    late_at: AwareDatetime | None = None
    """When the latest acknowledgement came after the end. It changes nothing."""

    @property
    def latest(self) -> tuple[AlertAttempt, ...]:
        """The attempts of the latest stage."""
        return tuple(each for each in self.attempts if each.position == self.position - 1)

    @property
    def has_reached(self) -> bool:
        """Whether anything left, or may have."""
        return any(each.order_state in _HAS_LEFT for each in self.attempts)

    @property
    def blocked(self) -> tuple[AlertAttempt, ...]:
        """Those whose texts acknowledge nothing any more, after too many wrong codes."""
        people = {each.to: each for each in self.attempts if each.wrong_codes >= MOST_WRONG_CODES}
        return tuple(people.values())

    @property
    def progress(self) -> AlertProgress:
        """The facts on which the next step depends. Digits of calls are not among them."""
        outcomes = tuple(
            AttemptOutcome(order_id=each.order_id, state=each.order_state) for each in self.latest
        )
        return AlertProgress(
            state=self.state,
            position=self.position,
            next_at=self.next_at if self.position else None,
            ends_at=self.ends_at,
            outcomes=outcomes,
            has_reached=self.has_reached,
        )
