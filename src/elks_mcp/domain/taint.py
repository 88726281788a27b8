"""The rule of taint: received texts that a model was shown may cause what it sends.

For 30 minutes after received texts were shown, a text to anyone but their writer is tainted. `TaintLog`
keeps the rule's facts for this process, `store/taint.py` for processes that share a database. The guard
`tainted` decides what happens to a tainted text.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from elks_mcp.domain.models import Direction, Message, Taint
from elks_mcp.domain.phone import Number
from elks_mcp.domain.wording import format_duration

TAINT_LASTS = timedelta(minutes=30)
"""Time for which a text that was shown taints."""

TAINT_KEPT = timedelta(days=1)
"""Time for which a shown text is remembered: longer, since a clock may be set back."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""The assumed time of a text without one: no recipient was texted before it."""


def describe_taint(request: str) -> str:
    """Return why a person has to approve what a stranger's text may have caused.

    `request`: what the assistant may have been asked, as in "cancel this text".
    """
    return (
        f"In the last {format_duration(TAINT_LASTS)} the assistant read texts from others, one of which may "
        f"have asked it to {request}."
    )


class ShownText(NamedTuple):
    """The texts of one sender that a caller's model was shown."""

    sender: str
    """A number in E.164, or a name, which anyone can use."""

    shown_at: datetime
    """When the last of them was shown."""

    created_at: datetime
    """When the oldest of them was written."""


class SendingHold(NamedTuple):
    """The period in which texts that were shown hold sending back."""

    since: datetime
    until: datetime


_ShownBySender = dict[str, ShownText]


class TaintLog:
    """The texts of others that this process showed to a caller's model."""

    def __init__(self, caller: str = "", by_caller: defaultdict[str, _ShownBySender] | None = None) -> None:
        self._by_caller = defaultdict[str, _ShownBySender](dict) if by_caller is None else by_caller
        self._shown = self._by_caller[caller]

    def for_caller(self, caller: str) -> "TaintLog":
        """Return the log of another caller of the same process."""
        return TaintLog(caller, self._by_caller)

    def record(self, messages: Iterable[Message], now: datetime) -> None:
        """Record that these messages are shown now, and remove what was shown a day ago."""
        for sender in [each.sender for each in self._shown.values() if each.shown_at <= now - TAINT_KEPT]:
            del self._shown[sender]
        for new in list_shown_texts(messages, now):
            known = self._shown.get(new.sender)
            is_active = known is not None and known.shown_at > now - TAINT_LASTS
            oldest = min(known.created_at, new.created_at) if known and is_active else new.created_at
            self._shown[new.sender] = new._replace(created_at=oldest)

    def list_active(self, now: datetime) -> tuple[ShownText, ...]:
        """Return what was shown in the last 30 minutes."""
        since = now - TAINT_LASTS
        return tuple(each for each in self._shown.values() if each.shown_at > since)


def list_shown_texts(messages: Iterable[Message], now: datetime) -> list[ShownText]:
    """Return the received texts among messages that are shown now, summed up by sender.

    Only received texts taint. Texts that this account sent do not.
    """
    by_sender: _ShownBySender = {}
    for each in messages:
        if each.direction is Direction.INBOUND:
            created_at = each.created_at or LONG_AGO
            known = by_sender.get(each.sender)
            oldest = min(known.created_at, created_at) if known else created_at
            by_sender[each.sender] = ShownText(each.sender, now, oldest)
    return list(by_sender.values())


def find_taint(shown: Iterable[ShownText], to: Number) -> Taint | None:
    """Return what taints a text to a number, counting no other recipients as texted."""
    return judge_taint({each.sender: each.created_at for each in shown}, to.e164)


def judge_taint(
    oldest_by_sender: Mapping[str, datetime], recipient: str, texted: Iterable[str] = ()
) -> Taint | None:
    """Return what taints a text: shown texts of senders other than its recipient, or None.

    Args:
        oldest_by_sender: for each sender whose texts were shown in the last 30 minutes, when the oldest of
            them was written.
        recipient: the recipient, identified as the senders are (by number, or by hash).
        texted: the numbers texted in the last 30 minutes, identified in the same way.
    """
    others = [created_at for sender, created_at in oldest_by_sender.items() if sender != recipient]
    if not others:
        return None
    spread = set(texted) - oldest_by_sender.keys() - {recipient}
    return Taint(created_at=min(others), texted=len(spread))


def find_hold(shown_at: Iterable[datetime]) -> SendingHold | None:
    """Return the period in which texts shown at these times hold sending back; None without any."""
    times = sorted(shown_at)
    return SendingHold(times[0], times[-1] + TAINT_LASTS) if times else None
