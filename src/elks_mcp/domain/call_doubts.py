"""Determine from 46elks' history whether calls with an unknown outcome were made."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from elks_mcp.domain.doubts import SKEW, Doubt, Verdict
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.phone import written


class _Made(NamedTuple):
    """A call of history that this account made."""

    at: datetime
    message: Message


def judge_calls(
    doubts: Iterable[Doubt], history: Iterable[Message], *, has_gaps: bool = False
) -> dict[str, Verdict]:
    """Return a verdict for each call in doubt, by order id.

    A call is recognized by recipient, sender and time, since nothing else of it is in history. If the
    content of several orders differs, and not all of them were made, no call is certain to be of one of them.
    If there are more such calls than orders, another program or person makes the same calls, and none of
    them is certain to be ours.

    Args:
        doubts: the orders in doubt, and those of the same time that stay unknown.
        history: all calls made since the first attempt began, except those known to be of other orders.
        has_gaps: some rows of history cannot be read, so no order is certain to be absent.
    """
    outbound = (call for call in history if call.direction is Direction.OUTBOUND)
    made = [_Made(call.created_at, call) for call in outbound if call.created_at]
    made.sort(key=lambda each: (each.at, each.message.id))
    verdicts = {}
    for rivals, calls in _group_rivals(doubts, made):
        matched = _match(rivals, calls)
        for doubt in rivals:
            found = matched.get(doubt.order_id) if matched else None
            is_absent = matched is not None and found is None and not has_gaps
            verdicts[doubt.order_id] = Verdict(message=found, is_absent=is_absent)
    return verdicts


def _group_rivals(
    doubts: Iterable[Doubt], made: Sequence[_Made]
) -> Iterator[tuple[list[Doubt], list[_Made]]]:
    """Yield the orders that the same calls may be of, oldest first, and these calls.

    All orders have equally long periods in which their calls can have been made. So each order shares a call
    with the one before it, or with none before it.
    """
    for equals in _group_by_parties(doubts):
        rivals: list[Doubt] = []
        calls: list[_Made] = []
        for doubt in equals:
            its = [call for call in made if _may_be(doubt, call)]
            if rivals and not any(call in calls for call in its):
                yield rivals, calls
                rivals, calls = [], []
            rivals.append(doubt)
            calls += [call for call in its if call not in calls]
        yield rivals, calls


def _group_by_parties(doubts: Iterable[Doubt]) -> list[list[Doubt]]:
    """Group orders by sender and recipient, each group oldest first."""
    groups: dict[tuple[str, str], list[Doubt]] = {}
    for doubt in sorted(doubts, key=lambda each: (each.since, each.order_id)):
        groups.setdefault((doubt.draft.to.e164, written(doubt.draft.sender)), []).append(doubt)
    return list(groups.values())


def _match(rivals: Sequence[Doubt], calls: Sequence[_Made]) -> dict[str, Message] | None:
    """Return the calls of the orders, by order id; None if it is not certain which are theirs.

    If all say the same, any of these calls may be of any of these orders. An order that stays unknown then
    gets none.
    """
    if len({_read_content(doubt) for doubt in rivals}) > 1:
        if calls and not (len(calls) == len(rivals) and _are_in_order(rivals, calls)):
            return None
    else:
        rivals = [doubt for doubt in rivals if not doubt.is_decided]
    found, left = {}, list(calls)
    for doubt in rivals:
        if left and _may_be(doubt, left[0]):
            found[doubt.order_id] = left.pop(0).message
    return None if left else found


def _are_in_order(rivals: Sequence[Doubt], calls: Sequence[_Made]) -> bool:
    """Return whether the calls were made in the order of the attempts.

    If attempts overlap, 46elks may have carried out the later one first.
    """
    apart = all(one.until is not None and one.until <= other.since for one, other in pairwise(rivals))
    return apart and all(one.at < other.at for one, other in pairwise(calls))


def _read_content(doubt: Doubt) -> tuple[str, str]:
    """Return what a call says and asks for. Two calls that differ in it are not interchangeable."""
    return doubt.draft.payload.identity, str(doubt.draft.payload.options)


def _may_be(doubt: Doubt, call: _Made) -> bool:
    """Return whether a call has the parties of an order, and was made during its attempt."""
    is_in_time = doubt.since - SKEW <= call.at <= doubt.since + MADE_WITHIN
    parties = doubt.draft.to.e164, written(doubt.draft.sender)
    return is_in_time and (call.message.to, call.message.sender) == parties


MADE_WITHIN = timedelta(minutes=5)
"""How long after the beginning of an attempt its call can have been made: more than any request takes."""
