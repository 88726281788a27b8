"""Which texts of others this process has shown to a caller's model: they may be at work in what it does."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from elks_mcp.domain.models import Direction, Message, Taint
from elks_mcp.domain.phone import Number

TAINT_LASTS, _KEPT = timedelta(minutes=30), timedelta(days=1)
"""The second is longer, since the machine's clock may be put back."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the time of a text that has none: nobody was texted before it."""


class ShownText(NamedTuple):
    """Texts of one sender that a caller's model was shown."""

    sender: str
    """A number in E.164, or a name, which can be anybody's."""

    shown_at: datetime
    """When the last of them was shown."""

    created_at: datetime
    """When the oldest of them was written."""


class SendingHold(NamedTuple):
    """Since when, and until when, texts of others that were shown hold sending back."""

    since: datetime
    until: datetime


class TaintLog:
    """Senders whose texts a caller was shown."""

    def __init__(self) -> None:
        self._by_caller: defaultdict[str, dict[str, ShownText]] = defaultdict(dict)
        self._shown = self._by_caller[""]

    def for_caller(self, caller: str) -> "TaintLog":
        """Give those of another caller."""
        theirs = TaintLog()
        theirs._by_caller, theirs._shown = self._by_caller, self._by_caller[caller]
        return theirs

    def record(self, messages: Iterable[Message], now: datetime) -> None:
        """Note that these messages are shown; what was shown a day ago is forgotten."""
        for sender in [each.sender for each in self._shown.values() if each.shown_at <= now - _KEPT]:
            del self._shown[sender]
        for new in list_shown_texts(messages, now):
            known = self._shown.get(new.sender)
            is_at_work = known is not None and known.shown_at > now - TAINT_LASTS
            oldest = min(known.created_at, new.created_at) if known and is_at_work else new.created_at
            self._shown[new.sender] = new._replace(created_at=oldest)

    def list_active(self, now: datetime) -> tuple[ShownText, ...]:
        """List what was shown in the last 30 minutes."""
        since = now - TAINT_LASTS
        return tuple(each for each in self._shown.values() if each.shown_at > since)


def find_hold(shown_at: Iterable[datetime]) -> SendingHold | None:
    """Return since and until when texts that were shown at these times hold sending back, if any were."""
    times = sorted(shown_at)
    return SendingHold(times[0], times[-1] + TAINT_LASTS) if times else None


def find_taint(shown: Iterable[ShownText], to: Number) -> Taint | None:
    """Return what taints a text to a number, if nothing is known of whom we texted."""
    others = [each.created_at for each in shown if each.sender != to.e164]
    return Taint(created_at=min(others)) if others else None


def list_shown_texts(messages: Iterable[Message], now: datetime) -> list[ShownText]:
    """Sum up by sender which texts of others are among messages that are shown now."""
    by_sender: dict[str, ShownText] = {}
    for each in messages:
        if each.direction is Direction.INBOUND:
            created_at = each.created_at or LONG_AGO
            known = by_sender.get(each.sender)
            oldest = min(known.created_at, created_at) if known else created_at
            by_sender[each.sender] = ShownText(each.sender, now, oldest)
    return list(by_sender.values())
