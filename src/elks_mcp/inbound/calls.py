"""Follow calls: by webhook, and by asking 46elks while they go on."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from elks_mcp.domain.calls import CONCLUDED, CallOutcome, CallState
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import NotFound, log_errors
from elks_mcp.runtime.clock import Clock
from elks_mcp.store import Storage

log = logging.getLogger(__name__)

_SLOWEST = timedelta(seconds=5)
"""How often 46elks is asked about a call that goes on, at least."""

_OTHERS = timedelta(seconds=1)
"""How often the store is read while a call is waited for: another process may record its outcome."""


class CallOutcomes:
    """The outcomes of calls, for the callers in this process that wait for them."""

    def __init__(
        self,
        client: ElksClient,
        storage: Storage,
        clock: Clock,
        poll: Callable[[], timedelta],
        notify: Callable[[str], None],
    ) -> None:
        """Build it.

        Args:
            client: asks 46elks.
            storage: holds the outcomes.
            clock: the time.
            poll: returns how often 46elks is asked at most.
            notify: called with the id of an order when something new is known about its call.
        """
        self._client = client
        self._storage = storage
        self._clock = clock
        self._poll = poll
        self._is_following = False
        self._notify = notify

    @property
    def poll(self) -> timedelta:
        """How often 46elks is asked about a call that goes on."""
        return min(self._poll(), _SLOWEST)

    async def find(self, order_id: str) -> CallOutcome | None:
        """Return what is known of a call; None if it was not made yet, or never."""
        store = await self._storage.open()
        return await store.calls.find_outcome(order_id)

    async def wait(self, order_id: str, until: datetime, *, ended: bool = False) -> CallOutcome | None:
        """Wait until digits were pressed or the call has ended, at most until a moment.

        `ended`: wait for the end, even if digits are known.

        Returns:
            What is known then.
        """
        ask_at = self._clock.now() + self.poll
        while True:
            event = self._storage.notifier.next_event
            outcome = await self.find(order_id)
            if (outcome and is_settled(outcome, ended=ended)) or self._clock.now() >= until:
                return outcome
            if self._clock.now() >= ask_at:
                ask_at = self._clock.now() + self.poll
                await self.ask(order_id)
                continue
            next_look = min(until, ask_at, self._clock.now() + _OTHERS)
            await self._clock.wait_for(event.wait(), until=next_look)

    async def ask(self, order_id: str) -> None:
        """Ask 46elks once about a call that goes on. A failure is logged."""
        store = await self._storage.open()
        for call in await store.calls.list_ongoing():
            if call.order_id == order_id:
                await self._ask(call.order_id, call.call_id)

    async def follow(self) -> None:
        """Ask 46elks about all calls that go on, every few seconds, until their ends are known."""
        if self._is_following:
            return
        self._is_following = True
        try:
            store = await self._storage.open()
            while ongoing := await store.calls.list_ongoing():
                await self._clock.sleep_until(self._clock.now() + self.poll)
                for call in ongoing:
                    await self._ask(call.order_id, call.call_id)
        finally:
            self._is_following = False

    async def _ask(self, order_id: str, call_id: str) -> None:
        with log_errors(log, "A call cannot be followed"):
            try:
                call = await self._client.calls.get(call_id)
            except NotFound:
                return  # 46elks may list it later
            store = await self._storage.open()
            if await store.calls.record_call(order_id, call):
                self._notify(order_id)


def is_settled(outcome: CallOutcome, *, ended: bool = False) -> bool:
    """Return whether there is nothing more to wait for. `ended`: digits alone do not suffice."""
    if outcome.state in CONCLUDED or outcome.state is CallState.UNKNOWN:
        return True
    return bool(outcome.digits) and not ended
