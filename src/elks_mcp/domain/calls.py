"""Calls: their states and outcomes, how long a call may last, and what it costs at most."""

import re
from enum import StrEnum
from math import ceil

from pydantic import AwareDatetime

from elks_mcp.domain.models import Direction, Frozen
from elks_mcp.domain.money import Money

TIMES_PLAYED = 2
"""How often a call plays its content: the first words are lost on a person who is still saying hello."""

SECONDS_FOR_A_DIGIT = 8
"""How long a call waits for a key, and again after each one (1–30, https://46elks.com/docs/voice-ivr)."""

_MENU_PLAYED_AT_MOST = TIMES_PLAYED + 1
"""How often a menu may be played: `repeat` may count the repeats only, and 46elks' default is 3."""

_SPARE_SECONDS = 10
"""The time that a call may last longer than its content: 46elks fetches audio, and asks how to go on."""

LONGEST_CALL = 180
"""The most seconds that a call may last."""

MOST_DIGITS = 8
"""The most digits that a call may ask for."""

LONGEST_SPOKEN = 1000
"""The most characters that are read aloud: more than a minute."""


class CallState(StrEnum):
    """How far a call is."""

    ONGOING = "ongoing"
    """The phone rings, or somebody has picked up."""

    ANSWERED = "answered"
    """It ended after somebody, or voicemail, had picked up. Only digits show that a person understood it."""

    BUSY = "busy"
    FAILED = "failed"
    """It was not answered."""

    UNKNOWN = "unknown"
    """It is not known whether it was made, or how it ended."""


CONCLUDED = frozenset({CallState.ANSWERED, CallState.BUSY, CallState.FAILED})
"""The states of a call that has ended."""


class CallOutcome(Frozen):
    """The outcome of a call of ours."""

    order_id: str
    state: CallState
    digits: str | None
    """The digits that were pressed; "" if there were none; None while that is not known."""

    seconds: int | None = None
    """How long it lasted from the pick-up on; None if that is not known."""

    ended_at: AwareDatetime | None = None
    """When its end became known; None before that."""


class CallRecord(Frozen):
    """A call of the account, as 46elks describes it."""

    id: str
    direction: Direction | None
    """None if 46elks' word for it is not known."""

    sender: str
    """The number that called. In an incoming call a stranger may have chosen it."""

    to: str
    state: CallState
    created_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    seconds: int | None = None
    cost: Money | None = None
    digits: str | None = None
    """The digits pressed at the last menu; "" if none were; None if 46elks does not say."""

    recordings: tuple[str, ...] = ()
    """The ids of its recordings."""


class CallEvent(Frozen):
    """A report of a webhook about a call of ours: digits were pressed, or it ended."""

    order_id: str
    call_id: str
    sender: str
    to: str
    state: CallState = CallState.ONGOING
    digits: str | None = None
    seconds: int | None = None
    cost_units: int | None = None
    """The cost in ten-thousandths of the account's currency."""


class CallPage(Frozen):
    """A page of the account's calls, newest first."""

    calls: tuple[CallRecord, ...]
    older_from: AwareDatetime | None = None
    """The start of the next page; None at the end."""

    unread: int = 0
    """How many rows could not be read."""


def parse_digits(text: str, most: int) -> str | None:
    """Return digits that a phone can send, at most `most` of them; None if it is anything else."""
    return text if len(text) <= most and re.fullmatch(r"[0-9*#]*", text) else None


def find_longest(seconds: float, digits: int) -> int:
    """Return how many seconds a call lasts at most, if 46elks carries out its actions.

    46elks' documentation of menus can be read in two ways, so the longer one counts: the menu is played once
    more than it says, or it is played again after too few digits.

    Args:
        seconds: how long its content takes.
        digits: how many digits it asks for.
    """
    longest = TIMES_PLAYED * (seconds + SECONDS_FOR_A_DIGIT * digits)
    if digits:
        last_digits = SECONDS_FOR_A_DIGIT * (digits - 1)
        longest = max(longest, _MENU_PLAYED_AT_MOST * (seconds + SECONDS_FOR_A_DIGIT) + last_digits)
    return ceil(longest) + _SPARE_SECONDS


def count_minutes(seconds: int) -> int:
    """Return how many minutes are charged for a call: each that was started."""
    return max(1, ceil(seconds / 60))
