"""Determine from 46elks' history whether calls with an unknown outcome were made."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from elks_mcp.domain.doubts import SKEW, Doubt, Verdict
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.phone import written


def judge_calls(
    doubts: Iterable[Doubt], history: Iterable[Message], *, has_gaps: bool = False
) -> dict[str, Verdict]:
    """Return a verdict for each call in doubt, by order id.

    A call is recognized by recipient, sender and time, since nothing else of it is in history. If there are
    more such calls than orders, another program or person makes the same calls, and none of them is certain
    to be ours.

    Args:
        doubts: the orders in doubt.
        history: all calls made since the first attempt began, except those known to be of other orders.
        has_gaps: some rows of history cannot be read, so no order is certain to be absent.
    """
    made = sorted(
        (
            (call.created_at, call)
            for call in history
            if call.direction is Direction.OUTBOUND and call.created_at
        ),
        key=lambda each: (each[0], each[1].id),
    )
    verdicts = {}
    for equals in _group_equal(doubts):
        theirs = [call for at, call in made if any(_may_be(doubt, call, at) for doubt in equals)]
        is_certain = len(theirs) <= len(equals)
        for index, doubt in enumerate(equals):
            found = theirs[index] if is_certain and index < len(theirs) else None
            is_absent = is_certain and found is None and not has_gaps
            verdicts[doubt.order_id] = Verdict(message=found, is_absent=is_absent)
    return verdicts


def _group_equal(doubts: Iterable[Doubt]) -> list[list[Doubt]]:
    """Group doubts by sender and recipient, each group oldest first."""
    groups: dict[tuple[str, str], list[Doubt]] = {}
    for doubt in sorted(doubts, key=lambda each: (each.since, each.order_id)):
        groups.setdefault((doubt.draft.to.e164, written(doubt.draft.sender)), []).append(doubt)
    return list(groups.values())


def _may_be(doubt: Doubt, call: Message, created_at: datetime) -> bool:
    """Return whether a call has the parties of an order, and was made during its attempt."""
    is_in_time = doubt.since - SKEW <= created_at <= doubt.since + _MADE_WITHIN
    return is_in_time and call.to == doubt.draft.to.e164 and call.sender == written(doubt.draft.sender)


_MADE_WITHIN = timedelta(minutes=5)
"""How long after the beginning of an attempt its call can have been made: more than any request takes."""
