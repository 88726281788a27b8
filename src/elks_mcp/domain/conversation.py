"""Read received texts in their conversation: opt-outs, and replies to our texts.

A "no" that answers a question of ours is not an opt-out, so what was sent before matters.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.opt_outs import OptWord, asks_for_answer, find_opt_word
from elks_mcp.domain.phone import is_e164

LONGEST_QUOTE = 60
"""Characters of a received text that a refusal quotes at most."""

SAME_MOMENT = timedelta(seconds=1)
"""Tolerance in comparing times of 46elks, which reports one event with different times."""


class LastSent(NamedTuple):
    """When this account last texted a number, and when it last asked it a question."""

    sent_at: datetime | None = None
    asked_at: datetime | None = None

    @property
    def asked(self) -> bool:
        """Whether the last text asked a question."""
        return self.asked_at is not None and (
            self.sent_at is None or self.asked_at >= self.sent_at - SAME_MOMENT
        )

    def later(self, other: "LastSent") -> "LastSent":
        """Return the later time of each kind."""
        return LastSent(_latest(self.sent_at, other.sent_at), _latest(self.asked_at, other.asked_at))


FindLastSent = Callable[[Message, datetime], LastSent]
"""Returns when the writer of a message was texted before a moment, from another source."""


def find_opt_words(
    messages: Sequence[Message], now: datetime, find_last_sent: FindLastSent
) -> dict[str, OptWord]:
    """Return the opt-outs, likely opt-outs and opt-ins among received texts, by message id.

    Args:
        messages: texts of both directions, in any order.
        now: the time that is assumed for messages without one.
        find_last_sent: called only for texts that may answer a question, for what `messages` do not hold.
    """
    sent: defaultdict[str, list[Message]] = defaultdict(list)
    for message in messages:
        if message.direction is Direction.OUTBOUND:
            sent[message.to].append(message)
    words = {}
    for message in messages:
        if message.direction is not Direction.INBOUND or not is_e164(message.sender):
            continue  # anyone can use a name
        if not (word := find_opt_word(message.text or "")):
            continue
        if word is not find_opt_word(message.text or "", asked=True):
            before = (message.created_at or now) + SAME_MOMENT
            last = _sum_up(sent[message.sender], before, now).later(find_last_sent(message, before))
            word = find_opt_word(message.text or "", asked=last.asked)
        if word:
            words[message.id] = word
    return words


def find_replies(messages: Sequence[Message], now: datetime) -> frozenset[str]:
    """Return the ids of received texts whose sender was texted before, in these messages."""
    first_sent: dict[str, datetime] = {}
    for message in messages:
        if message.direction is Direction.OUTBOUND:
            at = message.created_at or now
            first_sent[message.to] = min(at, first_sent.get(message.to, at))
    return frozenset(
        each.id
        for each in messages
        if each.direction is Direction.INBOUND and follows(each, first_sent.get(each.sender), now)
    )


def follows(message: Message, first_sent: datetime | None, now: datetime) -> bool:
    """Return whether a received text was written after its sender was first texted."""
    return first_sent is not None and first_sent <= (message.created_at or now) + SAME_MOMENT


def quote(text: str) -> str:
    """Return a stranger's text ready to be quoted: cleaned, in one line, at most 60 characters.

    If its first line alone opts out, only that line is quoted.
    """
    lines = [line for line in cleaned(text).splitlines() if line.strip()]
    alone = lines and find_opt_word(lines[0]) is find_opt_word(text)
    line = " ".join((lines[0] if alone else " ".join(lines)).split()).replace('"', "'")
    return line if len(line) <= LONGEST_QUOTE else f"{line[: LONGEST_QUOTE - 1]}…"


def _sum_up(messages: Sequence[Message], before: datetime, now: datetime) -> LastSent:
    times = [(at, each) for each in messages if (at := each.created_at or now) <= before]
    return LastSent(
        max((at for at, _ in times), default=None),
        max((at for at, each in times if asks_for_answer(each.text or "")), default=None),
    )


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment), default=None)
