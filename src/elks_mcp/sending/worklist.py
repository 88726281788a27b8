"""Orders handed to the worker in this process, and when it looks at the store again."""

from datetime import timedelta

import anyio

from elks_mcp.runtime.clock import Clock

SOONEST, SOON, LATER = timedelta(milliseconds=50), timedelta(seconds=1), timedelta(seconds=15)
"""Between two looks at the store: at least, while an order waits for a person, and while nothing is due."""


class Worklist:
    """Work that callers, requests and due tasks leave for the worker.

    All of it is in the store as well, so nothing is lost if the process ends.
    """

    def __init__(self, clock: Clock, *, only_own: bool) -> None:
        self._clock = clock
        self._only_own = only_own
        self.own: set[str] = set()
        """Orders handed over here, until they are sent. Only filled if this process may send nothing else."""

        self.handed_over: set[str] = set()
        """Orders that are not claimed yet. They are sent without waiting for `next_look`."""

        self.next_look = clock.now()
        """When to look in the store for anything else that is due."""

        self.woken = anyio.Event()

    @property
    def claimable(self) -> set[str] | None:
        """The only orders that may be claimed in this process; None for all."""
        return self.own if self._only_own else None

    def hand_over(self, order_id: str) -> None:
        """Give the worker an order that is ready to be sent."""
        if self._only_own:
            self.own.add(order_id)
        self.handed_over.add(order_id)
        self.woken.set()

    def wake(self) -> None:
        """Make the worker check the store now, because something in it changed."""
        self.next_look = self._clock.now()
        self.woken.set()

    def reset(self) -> None:
        """Wait for the next wake-up; call this before looking, so that none is missed."""
        self.woken = anyio.Event()
