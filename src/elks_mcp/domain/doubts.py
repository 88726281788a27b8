"""Finding out from history what became of texts whose sending nobody saw the end of.

History has no number of ours in it, so a text is known by recipient, sender, words and time. Where two
could be meant, that is said; nothing is guessed.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum

from elks_mcp.domain.accents import normalize
from elks_mcp.domain.models import Direction, Frozen, Message
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.phone import written

SKEW = timedelta(seconds=30)
"""How far 46elks' clock may be behind ours."""

_SAFE_QUIET = timedelta(seconds=30)
"""How much longer than one request the quiet period should be."""


def explain_quiet(quiet: float, timeout: float) -> str:
    """Say what a quiet period puts at risk that is short for this time-out, both in seconds; else ""."""
    least = timeout + _SAFE_QUIET.total_seconds()
    if quiet >= least:
        return ""
    short = f"ELKS_QUIET_PERIOD is {quiet:g} s, less than {least:g} s (ELKS_TIMEOUT and 30 s)"
    return f"{short}: a text that 46elks takes longer than that to accept can go out twice"


class Doubt(Frozen):
    """An order that may have been sent."""

    order_id: str
    draft: Draft
    since: datetime
    """When the attempt began."""


class Likeness(Enum):
    """How much a message of history is like an order's text."""

    SAME = "same"
    SIMILAR = "similar"
    OTHER = "other"


class Verdict(Frozen):
    """What history says about one order: its message; or that there is none; or neither for sure."""

    message: Message | None = None
    is_absent: bool = False


def judge(
    doubts: Iterable[Doubt], history: Iterable[Message], *, has_gaps: bool = False
) -> dict[str, Verdict]:
    """Say what became of each order that is in doubt.

    `history` holds what was sent since the first attempt began, without the messages that are known to be
    other orders'. Equal orders and equal messages are matched one to one, oldest first: which is which
    makes no difference. More messages than orders means that somebody else sends the same: then none
    is ours for sure. `has_gaps`: rows of it cannot be read, so that no order is absent for sure.
    """
    sent = sorted(
        (message for message in history if message.direction is Direction.OUTBOUND and message.created_at),
        key=lambda message: (message.created_at or _NEVER, message.id),
    )
    groups = _alike(doubts)
    found = {order_id: message for equals in groups for order_id, message in _match(equals, sent)}
    matched = {message.id for message in found.values()}
    left = [message for message in sent if message.id not in matched]
    return {
        doubt.order_id: Verdict(
            message=found.get(doubt.order_id),
            is_absent=not has_gaps and not any(_could_be(doubt, each) for each in left),
        )
        for equals in groups
        for doubt in equals
    }


_NEVER = datetime.max.replace(tzinfo=UTC)


def _match(equals: list[Doubt], sent: list[Message]) -> list[tuple[str, Message]]:
    same = [message for message in sent if _likeness(equals[0], message) is Likeness.SAME]
    if len(same) > len(equals):
        return []
    return [(doubt.order_id, message) for doubt, message in zip(equals, same, strict=False)]


def _could_be(doubt: Doubt, message: Message) -> bool:
    return _likeness(doubt, message) is not Likeness.OTHER


def _likeness(doubt: Doubt, message: Message) -> Likeness:
    if message.created_at is None or message.created_at < doubt.since - SKEW:
        return Likeness.OTHER
    return likeness(doubt.draft, message)


def likeness(draft: Draft, message: Message) -> Likeness:
    """Compare. Similar is what could be ours after somebody on the way changed or dropped a part of it."""
    if message.to != draft.to.e164 or message.is_reply:
        return Likeness.OTHER
    if message.text is None:
        return Likeness.SIMILAR
    if message.text == draft.text and message.sender == written(draft.sender):
        return Likeness.SAME
    shorter, longer = sorted((_squeezed(draft.text), _squeezed(message.text)), key=len)
    cut = len(shorter) >= _TELLING and longer.startswith(shorter)
    return Likeness.SIMILAR if cut or shorter == longer else Likeness.OTHER


_TELLING = 20
"""Letters and digits that two texts do not begin with in common by chance."""


def _alike(doubts: Iterable[Doubt]) -> list[list[Doubt]]:
    groups: dict[tuple[str, str, str], list[Doubt]] = {}
    for doubt in sorted(doubts, key=lambda each: (each.since, each.order_id)):
        draft = doubt.draft
        groups.setdefault((draft.to.e164, written(draft.sender), draft.text), []).append(doubt)
    return list(groups.values())


def _squeezed(text: str) -> str:
    """Keep letters and digits only, in one case: what remains of a text whatever is done to its looks."""
    plain = normalize("NFKC", text).casefold()
    return "".join(char for char in plain if char.isalnum())
