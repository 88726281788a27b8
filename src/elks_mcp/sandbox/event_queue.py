"""Scheduled events, in the order of the clock."""

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

Event = TypeVar("Event")


class EventQueue(Generic[Event]):
    """Events with a time; events of equal time keep the order in which they were added."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._heap: list[tuple[datetime, int, Event]] = []
        self._order = count()
        self._on_change = on_change

    def add(self, at: datetime, event: Event) -> None:
        """Schedule `event` for the moment `at`."""
        heappush(self._heap, (at, next(self._order), event))
        self._on_change()

    @property
    def next_at(self) -> datetime | None:
        """The time of the earliest event, or None if the queue is empty."""
        return self._heap[0][0] if self._heap else None

    def is_due(self, now: datetime) -> bool:
        """Return whether an event is due at `now`."""
        return bool(self._heap) and self._heap[0][0] <= now

    def pop(self) -> tuple[datetime, Event]:
        """Remove the earliest event and return it with its time."""
        at, _, event = heappop(self._heap)
        return at, event

    def bring_forward(self, step: timedelta, now: datetime) -> None:
        """Make every event happen earlier by `step`, but not before `now`, in the same order."""
        events = [heappop(self._heap) for _ in range(len(self._heap))]
        for at, _, event in events:
            heappush(self._heap, (max(at - step, now), next(self._order), event))
        self._on_change()

    def clear(self) -> None:
        """Remove all events."""
        self._heap.clear()
