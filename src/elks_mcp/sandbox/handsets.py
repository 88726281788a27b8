"""The phones at the other end: what they show, and how those with a magic number behave."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from elks_mcp.sandbox.provider import NULL_ROUTE

Outcome = Literal["delivered", "failed"]


def _same(*texts: str) -> Callable[[str], tuple[str, ...]]:
    return lambda _received: texts


def _nothing(_received: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the network and the person behind a number do with a text.

    Times count from when the text leaves 46elks. *outcome* None means that the text stays ``sent`` for ever.
    *replies* gives the answers to a text: the first *reply_after* delivery, each next one as long after that.
    """

    description: str
    sent_after: timedelta | None = timedelta(seconds=1)
    settled_after: timedelta = timedelta(seconds=2)
    outcome: Outcome | None = "delivered"
    replies: Callable[[str], tuple[str, ...]] = field(default=_nothing, repr=False)
    reply_after: timedelta = timedelta(seconds=2)
    shows_texts: bool = True


DELIVERS = Behaviour("Delivers after 2 s; a person may answer")
NULL_ROUTED = Behaviour("46elks' test number: free, reaches nobody", shows_texts=False)

MAGIC = {
    NULL_ROUTE: NULL_ROUTED,
    "+46701740610": Behaviour("Always fails, after it was sent", outcome="failed"),
    "+46701740611": Behaviour("Phone is off: stays “sent” for ever", outcome=None),
    "+46701740612": Behaviour("Slow: delivers after 60 s", settled_after=timedelta(seconds=60)),
    "+46701740613": Behaviour("Answers “JA”", replies=_same("JA")),
    "+46701740614": Behaviour(
        "Answers in Swedish, with an emoji",
        replies=_same("Tack för påminnelsen, vi ses på lördag! Hälsar Åsa 🎉"),
    ),
    "+46701740615": Behaviour("Answers “STOP”", replies=_same("STOP")),
    "+46701740616": Behaviour("Answers twice", replies=_same("Ja, det går bra.", "Fast hellre klockan tre?")),
    "+46701740617": Behaviour("Fails at once, never sent", sent_after=None, outcome="failed"),
    "+46701740618": Behaviour("Echoes the text back", replies=lambda received: (received,)),
}
"""What the numbers with a meaning do; any other number delivers."""


@dataclass(frozen=True, slots=True)
class HandsetText:
    """One bubble on a phone's screen. *sender* is what the phone shows: a number or a name."""

    direction: Literal["received", "written"]
    sender: str
    text: str
    flash: bool
    at: datetime


@dataclass(slots=True)
class Handset:
    """One phone: its number, its habits, and the texts on its screen, oldest first."""

    number: str
    behaviour: Behaviour
    texts: list[HandsetText] = field(default_factory=list)

    @classmethod
    def of(cls, number: str) -> "Handset":
        """Make the phone of *number*, with its magic if it has one."""
        return cls(number, MAGIC.get(number, DELIVERS))

    @property
    def last_sender(self) -> str | None:
        """Who wrote last to this phone, or None."""
        return next((text.sender for text in reversed(self.texts) if text.direction == "received"), None)
