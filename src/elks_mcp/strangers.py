"""Whose words this process has shown to a caller's model, and when: they may be at work in what it does."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from elks_mcp.models import Direction, Message
from elks_mcp.phone import Number

WORDS_WORK_FOR, _KEPT = timedelta(minutes=30), timedelta(days=1)
"""The second is longer, since the machine's clock may be put back."""


class Strangers:
    """Senders whose texts a caller was shown."""

    def __init__(self) -> None:
        self._by_caller: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
        self._shown = self._by_caller[""]

    def of(self, caller: str) -> "Strangers":
        """Give those of another caller."""
        theirs = Strangers()
        theirs._by_caller, theirs._shown = self._by_caller, self._by_caller[caller]
        return theirs

    def note(self, messages: Iterable[Message], now: datetime) -> None:
        """Note that these messages are shown; whose words are long at work no more is forgotten."""
        over = [sender for sender, shown in self._shown.items() if shown <= now - _KEPT]
        for sender in over:
            del self._shown[sender]
        self._shown |= {each.sender: now for each in messages if each.direction is Direction.INBOUND}

    def taint(self, to: Number, now: datetime) -> bool:
        """Tell whether a text to this number may be somebody else's idea."""
        since = now - WORDS_WORK_FOR
        return any(sender != to.e164 and shown > since for sender, shown in self._shown.items())
