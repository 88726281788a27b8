"""Pages of 46elks' histories, newest first: of one history, or of several merged into one."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from elks_mcp.domain.models import Message, Page, UnreadRow

OVERLAP = timedelta(milliseconds=1)
"""Pages overlap, since `next` is a moment that several messages can share."""

GetPage = Callable[[datetime | None], Awaitable[Page]]


class HistoryPages(Protocol):
    """Reads messages by pages, newest first, each message once."""

    left: int
    """How many pages may still be read."""

    @property
    def before(self) -> datetime | None:
        """The moment before which the messages are that were not read yet."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the end was reached."""
        ...

    def are_older_than(self, moment: datetime | None) -> bool:
        """Return whether every message that was not read yet is older than a moment."""
        ...

    async def read_next(self) -> list[Message] | None:
        """Return the next messages; None at the end, or after the most pages."""
        ...

    @property
    def unread(self) -> Iterable[UnreadRow]:
        """The rows that could not be read, each once."""
        ...


class OneHistory:
    """The pages of one history; `before` starts the next page."""

    def __init__(self, get: GetPage, most: int, before: datetime | None) -> None:
        self._get = get
        self._read: set[str] = set()
        self.left = most
        """How many pages may still be read."""
        self.before = before
        self._unread: dict[str, UnreadRow] = {}
        self.older_from: datetime | None = None
        """No message that was not read yet is newer than this moment."""
        self.ended = False
        """Whether the end of history was reached."""

    def are_older_than(self, moment: datetime | None) -> bool:
        """Return whether every message that was not read yet is older than a moment."""
        return moment is not None and self.older_from is not None and self.older_from < moment

    async def read_next(self) -> list[Message] | None:
        """Return the new messages of the next page; None at the end, or after the most pages."""
        if self.ended or not self.left:
            return None
        page = await self._get(self.before)
        new = {message.id: message for message in page.messages if message.id not in self._read}
        self._read |= new.keys()
        self._unread = {row.mark: row for row in page.unread} | self._unread
        self.older_from = page.older_from
        self.left -= 1
        self._move_on(page.older_from, repeated=not new)
        return list(new.values())

    @property
    def unread(self) -> Iterable[UnreadRow]:
        """The rows that could not be read, each once although pages overlap."""
        return self._unread.values()

    def _move_on(self, older_from: datetime | None, *, repeated: bool) -> None:
        if older_from is None:
            self.ended = True
        elif repeated and self.before == older_from:
            self.left = 0  # 46elks returned the same page again, and would forever
        else:
            # If the overlap brought nothing new, more messages than fit on a page share one moment.
            self.before = older_from if repeated else older_from + OVERLAP


_ALWAYS = datetime.max.replace(tzinfo=UTC)


class MergedHistories:
    """The pages of several histories as one; no message is lost or repeated at a border.

    A message is returned only when no history can still bring a newer one.
    """

    def __init__(self, histories: Sequence[OneHistory], most: int) -> None:
        self._histories = histories
        self._read: set[str] = set()
        self._held: list[Message] = []
        self.left = most

    @property
    def before(self) -> datetime | None:
        """The moment before which the messages are that were not returned yet."""
        moments = [each.before for each in self._open if each.before]
        return max(moments, default=None)

    @property
    def ended(self) -> bool:
        """Whether the end of all histories was reached."""
        return not self._open and not self._held

    def are_older_than(self, moment: datetime | None) -> bool:
        """Return whether every message that was not returned yet is older than a moment."""
        if moment is None or any(each.created_at and each.created_at >= moment for each in self._held):
            return False
        return all(each.are_older_than(moment) for each in self._open) and not self.ended

    async def read_next(self) -> list[Message] | None:
        """Read one more page; return the messages that are certainly next, which may be none."""
        if self.ended:
            return None
        if self._open:
            if not self.left or any(not each.left for each in self._open):
                self.left = 0
                return None
            self.left -= 1
            new = await max(self._open, key=_bound).read_next()
            self._held += [each for each in new or () if each.id not in self._read]
            self._read |= {each.id for each in new or ()}
        return self._take(max(map(_bound, self._open), default=None))

    @property
    def unread(self) -> Iterable[UnreadRow]:
        """The rows that could not be read, each once."""
        return [row for each in self._histories for row in each.unread]

    @property
    def _open(self) -> list[OneHistory]:
        return [each for each in self._histories if not each.ended]

    def _take(self, bound: datetime | None) -> list[Message]:
        """Return the held messages that are not older than `bound`, newest first, and forget them."""
        taken = [each for each in self._held if bound is None or (each.created_at or _ALWAYS) >= bound]
        self._held = [each for each in self._held if each not in taken]
        return sorted(taken, key=lambda each: each.created_at or _ALWAYS, reverse=True)


def _bound(history: OneHistory) -> datetime:
    """Return a moment that no message of a history is newer than which was not read yet."""
    return history.older_from or _ALWAYS
