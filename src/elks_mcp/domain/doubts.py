"""Determine from 46elks' history whether texts with an unknown outcome were sent.

History does not contain our order ids, so a text is recognized by recipient, sender, text and time. If
several messages could match, the verdict says so instead of guessing.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum

from elks_mcp.domain.models import Direction, Frozen, Message
from elks_mcp.domain.normalization import normalize
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.phone import written

SKEW = timedelta(seconds=30)
"""Tolerance for a clock at 46elks that is slow compared to ours."""

_SAFE_QUIET = timedelta(seconds=30)
"""Time by which the quiet period should exceed the time-out of a request."""


def explain_short_quiet_period(quiet: float, timeout: float) -> str:
    """Return the risk of a quiet period that is too short for a time-out, else "".

    Both are in seconds.
    """
    least = timeout + _SAFE_QUIET.total_seconds()
    if quiet >= least:
        return ""
    short = f"ELKS_QUIET_PERIOD is {quiet:g} s, less than {least:g} s (ELKS_TIMEOUT and 30 s)"
    return f"{short}: a text that 46elks takes longer than that to accept can go out twice"


class Doubt(Frozen):
    """An order whose message may or may not have been sent."""

    order_id: str
    draft: Draft
    since: datetime
    """When the attempt began, by 46elks' clock."""

    uncertainty: timedelta = timedelta(0)
    """How much earlier it may have begun: a clock may have been changed since."""

    until: datetime | None = None
    """When the attempt ended; None if that is not known."""

    is_decided: bool = False
    """Whether it stays unknown. It is judged only because messages may be its own."""


class Similarity(Enum):
    """How similar a message in history is to an order's text."""

    SAME = "same"
    SIMILAR = "similar"
    OTHER = "other"


class Verdict(Frozen):
    """The result for one order: its message, proof that it has none, or neither."""

    message: Message | None = None
    is_absent: bool = False


def judge(
    doubts: Iterable[Doubt], history: Iterable[Message], *, has_gaps: bool = False
) -> dict[str, Verdict]:
    """Return a verdict for each text in doubt, by order id. `judge_by` explains the arguments."""
    texts = (message for message in history if not message.is_picture)
    return judge_by(compare, doubts, texts, has_gaps=has_gaps)


Compare = Callable[[Draft, Message], Similarity]
"""Returns how similar a message is to a draft."""


def judge_by(
    compare: Compare, doubts: Iterable[Doubt], history: Iterable[Message], *, has_gaps: bool = False
) -> dict[str, Verdict]:
    """Return a verdict for each order in doubt, by order id.

    Equal orders and equal messages are matched one to one, oldest first; which is which makes no difference.
    If there are more equal messages than orders, another program sends the same text, and none of the
    messages is certain to be ours.

    Args:
        compare: how similar a message is to a draft.
        doubts: the orders in doubt.
        history: all messages sent since the first attempt began, except those known to be of other orders.
        has_gaps: some rows of history cannot be read, so no order is certain to be absent.
    """
    sent = sorted(
        (message for message in history if message.direction is Direction.OUTBOUND and message.created_at),
        key=lambda message: (message.created_at or _NEVER, message.id),
    )
    groups = _group_equal(doubts)
    found = {order_id: message for equals in groups for order_id, message in _match(compare, equals, sent)}
    matched = {message.id for message in found.values()}
    left = [message for message in sent if message.id not in matched]
    return {
        doubt.order_id: Verdict(
            message=found.get(doubt.order_id),
            is_absent=not has_gaps and not any(_could_be(compare, doubt, each) for each in left),
        )
        for equals in groups
        for doubt in equals
    }


_NEVER = datetime.max.replace(tzinfo=UTC)


def _match(compare: Compare, equals: list[Doubt], sent: list[Message]) -> list[tuple[str, Message]]:
    since = equals[0].since - SKEW
    same = [each for each in sent if _compare_since(compare, equals[0], each, since) is Similarity.SAME]
    if len(same) > len(equals):
        return []
    return [(doubt.order_id, message) for doubt, message in zip(equals, same, strict=False)]


def _could_be(compare: Compare, doubt: Doubt, message: Message) -> bool:
    since = doubt.since - SKEW - doubt.uncertainty
    return _compare_since(compare, doubt, message, since) is not Similarity.OTHER


def _compare_since(compare: Compare, doubt: Doubt, message: Message, since: datetime) -> Similarity:
    if message.created_at is None or message.created_at < since:
        return Similarity.OTHER
    return compare(doubt.draft, message)


def compare(draft: Draft, message: Message) -> Similarity:
    """Return how similar a message is to a draft.

    A message is similar if it could be the draft after 46elks or a network changed or cut its text.
    """
    if message.to != draft.to.e164 or message.is_reply:
        return Similarity.OTHER
    if message.text is None:
        return Similarity.SIMILAR
    if message.text == draft.text and message.sender == written(draft.sender):
        return Similarity.SAME
    shorter, longer = sorted((_letters_and_digits(draft.text), _letters_and_digits(message.text)), key=len)
    cut = len(shorter) >= _DISTINCTIVE and longer.startswith(shorter)
    return Similarity.SIMILAR if cut or shorter == longer else Similarity.OTHER


_DISTINCTIVE = 20
"""Letters and digits that two unrelated texts are unlikely to share at their beginning."""


def _group_equal(doubts: Iterable[Doubt]) -> list[list[Doubt]]:
    groups: dict[tuple[str, str, str, str], list[Doubt]] = {}
    for doubt in sorted(doubts, key=lambda each: (each.since, each.order_id)):
        draft = doubt.draft
        key = draft.to.e164, written(draft.sender), draft.kind, draft.payload.identity
        groups.setdefault(key, []).append(doubt)
    return list(groups.values())


def _letters_and_digits(text: str) -> str:
    """Return the letters and digits of a text in one case; changes of format keep them."""
    plain = normalize("NFKC", text).casefold()
    return "".join(char for char in plain if char.isalnum())
