"""How phones react to a call: who answers, who does not, and what is pressed."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Reachability = Literal["reachable", "busy", "off"]


@dataclass(frozen=True, slots=True)
class CallBehaviour:
    """How the owner of a phone reacts to a call.

    Attributes:
        description: the behaviour in words.
        reachable: whether the phone rings, is busy, or is turned off.
        answered_after: how long the phone rings until it is answered; None if only a person answers it, on
            the page or with `PhoneCalls.answer`.
        presses: what is pressed at each menu (`ivr`); "" for nothing.
        pressed_after: how long after the start of a menu.
        hangs_up_after: how long after the pick-up the phone hangs up; None if it waits for the end.
        speaks_for: how long the owner speaks when a recording begins.
        is_voicemail: whether voicemail answers.
    """

    description: str
    reachable: Reachability = "reachable"
    answered_after: timedelta | None = None
    presses: str = ""
    pressed_after: timedelta = timedelta(seconds=2)
    hangs_up_after: timedelta | None = None
    speaks_for: timedelta = timedelta(0)
    is_voicemail: bool = False


_SOON = timedelta(seconds=3)

RINGS = CallBehaviour("Rings until a person answers")
BUSY = CallBehaviour("Busy for calls", reachable="busy")
SWITCHED_OFF = CallBehaviour("Turned off: cannot be called", reachable="off")
NO_ANSWER = CallBehaviour("Never answers a call")
SILENT = CallBehaviour("Answers calls, and presses nothing", answered_after=_SOON)
BRIEF = CallBehaviour(
    "Answers calls, and hangs up after 1 s", answered_after=_SOON, hangs_up_after=timedelta(seconds=1)
)
VOICEMAIL = CallBehaviour(
    "Voicemail answers calls after 15 s",
    answered_after=timedelta(seconds=15),
    hangs_up_after=timedelta(seconds=90),
    is_voicemail=True,
)


def pressing(digits: str) -> CallBehaviour:
    """Return the behaviour of a phone on which `digits` are pressed at each menu."""
    return CallBehaviour(f"Answers calls, and presses {digits}", answered_after=_SOON, presses=digits)


CALL_BEHAVIOURS = {
    "rings": RINGS,
    "no_answer": NO_ANSWER,
    "answers": SILENT,
    "hangs_up": BRIEF,
    "busy": BUSY,
    "voicemail": VOICEMAIL,
    "off": SWITCHED_OFF,
}
"""The behaviours that a phone can be given by name; `pressing` makes one more."""
