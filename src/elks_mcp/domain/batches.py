"""Batches: many texts that are planned, approved and followed as one.

A batch is planned first: its rows are frozen, priced and checked, and nothing leaves. Once it is approved,
each row becomes an order. From then on, the state of its order is the state of the row.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, Field

from elks_mcp.domain.models import Frozen
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import (
    NEVER_SENT,
    ORDER_LATENESS,
    UNFINISHED,
    Approver,
    Draft,
    Effect,
    OrderState,
)
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, Sender, written

PLAN_KEPT = timedelta(hours=24)
"""How long a plan can be started."""

RESUMABLE_FOR = timedelta(hours=24)
"""How long a paused batch can be resumed."""

PAUSED_BY_CALLER = "The caller paused it."
PAUSED_BY_PERSON = "A person paused it."
"""The reason of a pause that a person made in a terminal."""

SERVER_ENDED = "The last server that could send it ended."
"""The reason of a pause that ends when a server starts in time. It is stored, so it keeps its wording."""

COMMAND_ENDED = "The command that sent it ended, and no server runs that could send it."
"""The reason of a pause that a person resumes."""

COVERED_WITHIN = timedelta(hours=20)
"""Two identical texts to one number whose times are less than this apart are one text.

Less than a day, so that a daily reminder that begins a little earlier than the day before is a new one.
"""


REPEATS_ABOVE = "It repeats a row above: the same number and text."
ALREADY_SENT = "It was already sent"
"""The beginning of the reason why a row is left out, or cancelled, that an earlier order covers."""


class BatchRow(Frozen):
    """One text of a batch."""

    row: int
    """Its number in the caller's list."""

    to: Number
    text: Annotated[str | None, Field(repr=False)]
    """The whole text, merge fields filled in. None once it was handed to an order."""

    parts: int
    price: Money
    fields: Annotated[Mapping[str, str], Field(repr=False)] = {}
    """The values of the merge fields."""


class LeftOut(Frozen):
    """A row of the caller's list that gets no text."""

    row: int
    to: Number | None
    """None if the row has no usable number."""

    reason: str
    """Why, in a sentence that names no number and no value, so that equal reasons can be counted."""

    fields: Annotated[Mapping[str, str], Field(repr=False)] = {}


class BatchFinding(Frozen):
    """The finding of a guard, and its rows."""

    guard: str
    effect: Effect
    reason: str
    """The reason for the first of these rows."""

    rows: tuple[int, ...]


class BatchPlan(Frozen):
    """The frozen rows of a batch, before it is started."""

    id: str
    caller: str
    name: str
    """A name for people; "" if it has none."""

    sender: Sender
    rows: tuple[BatchRow, ...]
    left_out: tuple[LeftOut, ...] = ()
    findings: tuple[BatchFinding, ...] = ()
    """Warnings, and reasons to ask a person. Rows that a guard refuses are left out."""

    repairs: Mapping[str, int] = {}
    """The repairs of numbers, and the number of rows with each."""

    planned_at: AwareDatetime
    send_at: AwareDatetime | None = None
    """When the first row goes out; None for as soon as the batch is started."""

    lateness: timedelta = ORDER_LATENESS
    """How late a row may go out, if there is a send time."""

    again: bool = False
    """Whether rows are sent although an earlier order covers them."""

    at_night: bool = False
    """Whether rows without a send time also leave at night: the guard `night` is off."""

    @property
    def total(self) -> Money:
        """The price of all rows together."""
        return Money(sum(row.price.units for row in self.rows), self.currency)

    @property
    def currency(self) -> str:
        """The currency of the prices, "" if it is unknown."""
        return self.rows[0].price.currency if self.rows else ""

    @property
    def parts(self) -> int:
        """How many parts are billed."""
        return sum(row.parts for row in self.rows)

    @property
    def is_started(self) -> bool:
        """Whether its rows became orders, which hold the texts."""
        return any(row.text is None for row in self.rows)

    @property
    def digest(self) -> str:
        """A hash of what a person approves: recipients, texts, sender, prices and time."""
        rows = [[row.row, row.to.e164, row.text, row.price.units] for row in self.rows]
        when = self.send_at.isoformat() if self.send_at else ""
        approved = [self.id, written(self.sender), self.currency, when, self.again, rows]
        return hashlib.sha256(json.dumps(approved).encode()).hexdigest()

    def find_duration(self, gap: timedelta) -> timedelta:
        """Return how long it takes to send all rows at a pace of one text in each `gap`."""
        return max(0, len(self.rows) - 1) * gap

    def without_texts(self) -> Self:
        """Return the plan without the texts, which the orders of its rows hold."""
        rows = tuple(row.model_copy(update={"text": None}) for row in self.rows)
        return self.model_copy(update={"rows": rows})

    def draft(self, row: BatchRow) -> Draft:
        """Return the draft that a row becomes.

        Raises:
            ValueError: the text was handed to an order.
        """
        if row.text is None:
            raise ValueError(f"row {row.row} of {self.id} was started")
        payload, sender = Sms(text=row.text), self.sender
        timing = {"send_at": self.send_at, "lateness": self.lateness} if self.send_at else {}
        return Draft(to=row.to, payload=payload, sender=sender, caller=self.caller).model_copy(update=timing)

    def count_left_out(self) -> Mapping[str, tuple[int, ...]]:
        """Return the rows that are left out, by their reasons, the most frequent first."""
        reasons = Counter(each.reason for each in self.left_out)
        rows = {reason: [each.row for each in self.left_out if each.reason == reason] for reason in reasons}
        return {reason: tuple(rows[reason]) for reason, _ in reasons.most_common()}


class BatchState(StrEnum):
    """How far a batch is."""

    PLANNED = "planned"
    WAITING = "waiting"
    """A person has to approve it."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    """Every row has ended."""

    CANCELLED = "cancelled"
    """No more rows go out; those that were being sent are finished."""

    EXPIRED = "expired"
    """It was not started in time."""


class Batch(Frozen):
    """A batch and how far it is."""

    id: str
    caller: str
    name: str
    state: BatchState
    approval_code: str | None
    """The code by which a person approves it, if it waits or waited for one."""

    approver: Approver | None
    is_approved: bool
    """Whether a person approved it outside the client, so that a server starts it."""

    planned_at: AwareDatetime
    started_at: AwareDatetime | None
    send_at: AwareDatetime | None
    paused_at: AwareDatetime | None
    pause_reason: str
    left_out: int
    """How many rows of the caller's list get no text."""

    counts: Mapping[OrderState, int]
    """How many rows are in each state; empty before the start."""

    failures: Mapping[str, int]
    """Why rows were not sent, and how many."""

    spent: Money
    """Charged by 46elks, as far as known."""

    total: Money
    """The price of all rows at the start."""

    waits_until: AwareDatetime | None = None
    """When the daily budget is free for its next row, if that waits for it."""

    last_at: AwareDatetime | None = None
    """About when the last row goes out, if any still does."""

    @property
    def row_count(self) -> int:
        """How many rows get a text, or got one."""
        return sum(self.counts.values())

    @property
    def unfinished(self) -> int:
        """How many rows have not ended."""
        return _count(self.counts, UNFINISHED)

    @property
    def is_moving(self) -> bool:
        """Whether it is running, and not all of its texts wait for a later time."""
        is_all_later = self.unfinished == self.counts.get(OrderState.SCHEDULED, 0)
        return self.state is BatchState.RUNNING and not is_all_later

    @property
    def is_paused_by_person(self) -> bool:
        """Whether a person paused it in a terminal."""
        return self.state is BatchState.PAUSED and self.pause_reason == PAUSED_BY_PERSON

    @property
    def is_interrupted(self) -> bool:
        """Whether it is paused only because the server that sent it ended."""
        return self.state is BatchState.PAUSED and self.pause_reason == SERVER_ENDED

    @property
    def not_sent(self) -> int:
        """How many rows ended without being sent."""
        return _count(self.counts, NEVER_SENT)


def _count(counts: Mapping[OrderState, int], states: Iterable[OrderState]) -> int:
    return sum(counts.get(state, 0) for state in states)


_MOMENT = re.compile(r"(,?) on \d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d\1")


def generalize_reason(reason: str, to: Number) -> str:
    """Return a reason without the number and the times of one row, to count equal ones."""
    general = _MOMENT.sub("", reason.replace(to.e164, "the number"))
    return general[:1].upper() + general[1:]


def find_last_slot(start: datetime, rows: int, gap: timedelta) -> datetime:
    """Return when the last of these rows goes out at a pace of one text in each `gap`."""
    return start + max(0, rows - 1) * gap
