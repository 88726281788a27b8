"""What is still to happen, in the order of the clock."""

from collections.abc import Callable
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

Task = TypeVar("Task")


class Agenda(Generic[Task]):
    """Tasks with a time; those of equal time keep the order in which they were added."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._heap: list[tuple[datetime, int, Task]] = []
        self._order = count()
        self._on_change = on_change

    def add(self, at: datetime, task: Task) -> None:
        """Do *task* at *at*."""
        heappush(self._heap, (at, next(self._order), task))
        self._on_change()

    @property
    def next_at(self) -> datetime | None:
        """When the earliest task is due, or None if there is none."""
        return self._heap[0][0] if self._heap else None

    def is_due(self, now: datetime) -> bool:
        """Tell whether something is due at *now*."""
        return bool(self._heap) and self._heap[0][0] <= now

    def pop(self) -> tuple[datetime, Task]:
        """Take the earliest task off the agenda, with its time."""
        at, _, task = heappop(self._heap)
        return at, task

    def clear(self) -> None:
        """Call everything off."""
        self._heap.clear()
