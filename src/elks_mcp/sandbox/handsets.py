"""The recipients' phones: the texts on their screens, and the behaviour of magic numbers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from elks_mcp.sandbox.call_behaviours import (
    BRIEF,
    BUSY,
    NO_ANSWER,
    RINGS,
    SILENT,
    SWITCHED_OFF,
    VOICEMAIL,
    CallBehaviour,
    pressing,
)
from elks_mcp.sandbox.messages import StoredMessage
from elks_mcp.sandbox.pictures import SAMPLE, Picture
from elks_mcp.sandbox.prices_and_rules import NULL_ROUTE

Outcome = Literal["delivered", "failed"]


def _same(*texts: str) -> Callable[[str], tuple[str, ...]]:
    return lambda _received: texts


def _nothing(_received: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the network and the owner of a number react to a text, and in `calls` to a call.

    Times count from the moment the text leaves 46elks. With `outcome` None the text stays `sent` forever.
    `replies` returns the answers to a text: the first is sent `reply_after` delivery, each further one as
    long after the last.
    """

    description: str
    sent_after: timedelta | None = timedelta(seconds=1)
    settled_after: timedelta = timedelta(seconds=2)
    outcome: Outcome | None = "delivered"
    replies: Callable[[str], tuple[str, ...]] = field(default=_nothing, repr=False)
    reply_after: timedelta = timedelta(seconds=2)
    picture: Picture | None = None
    """The picture that each answer has, which makes it an MMS."""
    shows_texts: bool = True
    calls: CallBehaviour = RINGS


def answering(*texts: str) -> Behaviour:
    """Return the behaviour of a phone that answers each text with `texts`."""
    return Behaviour("Answers " + " and ".join(f"“{text}”" for text in texts), replies=_same(*texts))


def _called(calls: CallBehaviour) -> Behaviour:
    """Return the behaviour of a phone that only calls show; it receives texts like any other."""
    return Behaviour(calls.description, calls=calls)


DELIVERS = Behaviour("Delivers after 2 s; a person may answer")
FAILS = Behaviour("Always fails, after it was sent", outcome="failed", calls=SWITCHED_OFF)
OFF = Behaviour("Phone is off: stays “sent” forever", outcome=None, calls=SWITCHED_OFF)
SLOW = Behaviour("Slow: delivers after 60 s", settled_after=timedelta(seconds=60))
NULL_ROUTED = Behaviour("46elks' test number: free, reaches no phone", shows_texts=False, calls=SWITCHED_OFF)

BEHAVIOURS = {
    "delivers": DELIVERS,
    "slow": SLOW,
    "off": OFF,
    "fails": FAILS,
    "says_stop": answering("STOP"),
}
"""The behaviours that a phone can be given by name; `answering` makes one more."""

FIRST_PHONE = "+46701740614"
"""The phone to try first, in documents and on pages: it answers, in Swedish."""

MAGIC = {
    NULL_ROUTE: NULL_ROUTED,
    "+46701740610": FAILS,
    "+46701740611": OFF,
    "+46701740612": SLOW,
    "+46701740613": answering("JA"),
    FIRST_PHONE: Behaviour(
        "Answers in Swedish, with an emoji",
        replies=_same("Tack för påminnelsen, vi ses på lördag! Hälsar Åsa 🎉"),
    ),
    "+46701740615": BEHAVIOURS["says_stop"],
    "+46701740616": Behaviour("Answers twice", replies=_same("Ja, det går bra.", "Fast hellre klockan tre?")),
    "+46701740617": Behaviour(
        "Fails immediately, never sent", sent_after=None, outcome="failed", calls=SWITCHED_OFF
    ),
    "+46701740618": Behaviour("Echoes the text back", replies=lambda received: (received,)),
    "+46701740619": _called(pressing("1")),
    "+46701740620": _called(pressing("2")),
    "+46701740621": _called(SILENT),
    "+46701740622": _called(BRIEF),
    "+46701740623": _called(NO_ANSWER),
    "+46701740624": _called(BUSY),
    "+46701740625": _called(VOICEMAIL),
    "+46701740628": Behaviour("Answers with a picture", replies=_same("Så här ser det ut."), picture=SAMPLE),
}
"""The behaviour of the magic numbers; every other number delivers."""


@dataclass(frozen=True, slots=True)
class HandsetText:
    """One text on a phone's screen, with the pictures of an MMS.

    `sender` is the number or the name that the phone shows. `message_id` is the text's id in the account's
    log, or None for a text between two phones.
    """

    direction: Literal["received", "written"]
    sender: str
    text: str
    flash: bool
    at: datetime
    message_id: str | None = None
    pictures: tuple[Picture, ...] = ()


@dataclass(slots=True)
class Handset:
    """One phone: its number, its behaviour, and the texts on its screen, oldest first.

    `held` are the texts that the network holds while the phone is off. `calls` is how it reacts to calls.
    """

    number: str
    behaviour: Behaviour
    texts: list[HandsetText] = field(default_factory=list)
    held: list[StoredMessage] = field(default_factory=list)
    calls: CallBehaviour = RINGS

    @classmethod
    def of(cls, number: str) -> "Handset":
        """Return a new phone with this number, and its magic behaviour if it has one."""
        behaviour = MAGIC.get(number, DELIVERS)
        return cls(number, behaviour, calls=behaviour.calls)

    @property
    def last_sender(self) -> str | None:
        """The sender of the last text that this phone received, or None."""
        return next((text.sender for text in reversed(self.texts) if text.direction == "received"), None)
