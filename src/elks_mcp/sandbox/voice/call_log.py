"""The account's calls and recordings, and the pages of their history, newest first."""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Generic, Literal, TypeVar

from elks_mcp.sandbox.messages import PAGE_LIMIT, new_id, to_milliseconds

StoredCallDirection = Literal["outgoing", "incoming"]
StoredCallState = Literal["ongoing", "success", "failed", "busy"]
_ORDER = count()


@dataclass(slots=True)
class ActionRun:
    """One voice action of a call, and its result; None while it goes on or if it was cut off."""

    action: dict[str, Any]
    result: str | None = None


@dataclass(slots=True)
class ConnectedLeg:
    """One call that the action `connect` made."""

    sender: str
    to: str
    state: StoredCallState
    duration: int = 0
    """In seconds."""


@dataclass(slots=True, eq=False)
class StoredCall:
    """One call in the account's log.

    Attributes:
        timeout: how long the phone rings, in seconds.
        voice_start: the first action, or the address that returns it.
        started_at: the time of the pick-up, or None.
        cost: in ten-thousandths of the account's currency; 0 until the call ends.
        playing: the address or the name of the sound that is played now, or "".
        keys: every key that was pressed during the call, in order.
        is_let_ring: whether the owner of the phone decided not to answer.
        is_by_voicemail: whether voicemail answered.
        recordings: ids of its recordings.
        subaccount: the id of the subaccount that made it, "" for the account itself.
    """

    sender: str
    to: str
    created_at: datetime
    timeout: int
    voice_start: str
    whenhangup: str = ""
    direction: StoredCallDirection = "outgoing"
    state: StoredCallState = "ongoing"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration: int = 0
    cost: int = 0
    actions: list[ActionRun] = field(default_factory=list)
    legs: list[ConnectedLeg] = field(default_factory=list)
    recordings: list[str] = field(default_factory=list)
    playing: str = ""
    keys: str = ""
    is_let_ring: bool = False
    is_by_voicemail: bool = False
    subaccount: str = ""
    id: str = field(default_factory=lambda: new_id("c"))
    order: int = field(default_factory=_ORDER.__next__, repr=False)

    @property
    def stored_at(self) -> datetime:
        """The creation time to the millisecond, which history shows, sorts and filters by."""
        return to_milliseconds(self.created_at)

    @property
    def is_ringing(self) -> bool:
        """Whether the call may still be answered."""
        return self.state == "ongoing" and self.started_at is None

    @property
    def is_answered(self) -> bool:
        """Whether the call was answered and goes on."""
        return self.state == "ongoing" and self.started_at is not None


@dataclass(frozen=True, slots=True, eq=False)
class StoredRecording:
    """One recording, with its WAV file. `duration` is in seconds."""

    id: str
    call_id: str
    duration: int
    created_at: datetime
    content: bytes = field(repr=False)
    order: int = field(default_factory=_ORDER.__next__, repr=False)

    @property
    def stored_at(self) -> datetime:
        """The creation time to the millisecond."""
        return to_milliseconds(self.created_at)


LogEntry = TypeVar("LogEntry", StoredCall, StoredRecording)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which entries a page has: both bounds are exclusive, and `start` is the newer one."""

    start: datetime | None = None
    end: datetime | None = None
    limit: int = PAGE_LIMIT


class Log(Generic[LogEntry]):
    """Every entry of one kind, in the order of time."""

    def __init__(self) -> None:
        self._entries: list[LogEntry] = []

    def __iter__(self) -> Iterator[LogEntry]:
        """Iterate over the entries, oldest first."""
        return iter(self._entries)

    def add(self, entry: LogEntry) -> None:
        """Insert `entry` at the position of its time."""
        insort(self._entries, entry, key=_key)

    def find(self, entry_id: str) -> LogEntry | None:
        """Return the entry with this id, or None."""
        return next((entry for entry in self._entries if entry.id == entry_id), None)

    def delete(self, entry: LogEntry) -> None:
        """Delete `entry`."""
        self._entries.remove(entry)

    def clear(self) -> None:
        """Delete all entries."""
        self._entries.clear()

    def page(
        self, asked: PageQuery, is_shown: Callable[[LogEntry], bool]
    ) -> tuple[list[LogEntry], datetime | None]:
        """Return one page, newest first, and the start of the next older page."""
        found = [entry for entry in self._newest_first() if _is_within(entry, asked) and is_shown(entry)]
        shown = found[: max(1, min(asked.limit, PAGE_LIMIT))]
        return shown, shown[-1].stored_at if len(found) > len(shown) else None

    def _newest_first(self) -> Iterable[LogEntry]:
        return reversed(self._entries)


def _key(entry: StoredCall | StoredRecording) -> tuple[datetime, int]:
    return entry.stored_at, entry.order


def _is_within(entry: StoredCall | StoredRecording, asked: PageQuery) -> bool:
    return (asked.start is None or entry.stored_at < asked.start) and (
        asked.end is None or entry.stored_at > asked.end
    )
