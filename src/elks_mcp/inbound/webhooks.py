"""Store incoming texts and delivery reports that arrive by webhook, many in one transaction."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio

from elks_mcp.domain.calls import CallEvent
from elks_mcp.domain.models import Message
from elks_mcp.domain.orders import Report
from elks_mcp.elks.own_numbers import OwnNumbers
from elks_mcp.errors import ElksError, StateUnavailable, log_errors
from elks_mcp.inbound.history import HistoryReader
from elks_mcp.inbound.replies import Replies
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.store import Storage

log = logging.getLogger(__name__)

WebhookEvent = Message | Report | CallEvent

_SENT_AGAIN = "46elks sends the webhook again."

_BATCH_SIZE = 200
"""How many webhooks are stored in one transaction."""

_MAX_QUEUED = 5000
"""With this many webhooks queued, further ones get 503, so that 46elks retries."""

_RETRY_INTERVAL = timedelta(seconds=1)
"""How often parked reports are matched with orders again."""

_CATCH_UP_INTERVAL = timedelta(minutes=15)
"""How often history is read, and at the start: 46elks stops retrying a webhook after some hours."""

_ERROR_INTERVAL = timedelta(minutes=1)
"""After this long, a read of history that failed is repeated, and our numbers are read again."""


class _PendingEvent:
    """A queued webhook, and whether it is stored yet."""

    def __init__(self, event: WebhookEvent) -> None:
        self.event = event
        self.done = anyio.Event()
        self.failure: ElksError | None = None
        """Why it could not be stored; set before `done`."""
        self.is_refused = False
        """Whether it cannot be about what it claims to be about; set before `done`."""


class WebhookIngest:
    """Stores webhooks, and reads from history those that 46elks could not deliver."""

    def __init__(
        self,
        storage: Storage,
        history: HistoryReader,
        replies: Replies,
        clock: Clock,
        own_numbers: OwnNumbers,
        notify_of_call: Callable[[str], None],
    ) -> None:
        self._storage = storage
        self._history = history
        self._replies = replies
        self._clock = clock
        self._own_numbers = own_numbers
        self._notify_of_call = notify_of_call
        self._queue: list[_PendingEvent] = []
        self._queued = anyio.Event()
        self._is_running = False
        self._may_be_parked = True
        """True at first: an earlier process may have parked reports."""

    def is_ours(self, number: str) -> bool:
        """Return whether a number is one of the account's.

        Raises:
            StateUnavailable: the account's numbers have not been read yet.
        """
        known = self._own_numbers.known
        if number not in known and known.listed is None:
            raise StateUnavailable("The account's numbers have not been read yet.", hint=_SENT_AGAIN)
        return number in known

    async def ingest(self, event: WebhookEvent) -> bool:
        """Store a webhook with all its consequences, such as an opt-out; return once that is done.

        Return False if it was refused: it does not match the call that it claims to be about.

        Raises:
            StateUnavailable: it is not stored; 46elks should send it again.
            Misconfigured: it cannot be stored until the configuration is changed.
        """
        if not self._is_running or len(self._queue) >= _MAX_QUEUED:
            raise StateUnavailable(
                "Too many webhooks are queued, or the server is stopping.", hint=_SENT_AGAIN
            )
        pending = _PendingEvent(event)
        self._queue.append(pending)
        self._queued.set()
        await pending.done.wait()
        if pending.failure:
            raise pending.failure
        return not pending.is_refused

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Store queued webhooks, and read what may have been missed, until the context ends."""
        async with background() as tasks:
            tasks.start_soon(self._write)
            tasks.start_soon(self._retry_parked)
            tasks.start_soon(self._catch_up)
            tasks.start_soon(self._load_own_numbers)
            self._is_running = True
            try:
                yield
            finally:
                self._is_running = False
                for pending in self._queue:
                    pending.failure = StateUnavailable("The server is stopping.", hint=_SENT_AGAIN)
                    pending.done.set()

    async def _write(self) -> None:
        while True:
            if not self._queue:
                self._queued = anyio.Event()
                await self._queued.wait()
            batch, self._queue = self._queue[:_BATCH_SIZE], self._queue[_BATCH_SIZE:]
            with anyio.CancelScope(shield=True):  # the answer must be right even if the server is stopping
                failure = await self._try_store([pending.event for pending in batch])
                for pending in batch:
                    if isinstance(pending.event, CallEvent):
                        await self._try_record(pending, pending.event)
                    else:
                        pending.failure = failure
                    pending.done.set()

    async def _try_record(self, pending: _PendingEvent, event: CallEvent) -> None:
        """Record what a webhook says about a call, in a transaction of its own."""
        with log_errors(log, "A webhook about a call cannot be stored", level=logging.ERROR) as caught:
            pending.is_refused = not await (await self._storage.open()).calls.record_event(event)
        if caught.error:
            pending.failure = _as_failure(caught.error)
        elif not pending.is_refused:
            self._notify_of_call(event.order_id)

    async def _try_store(self, events: list[WebhookEvent]) -> ElksError | None:
        """Store webhooks in one transaction; return why that failed, or None."""
        messages = [event for event in events if isinstance(event, Message)]
        reports = [event for event in events if isinstance(event, Report)]
        if not (messages or reports):
            return None
        with log_errors(log, "Webhooks cannot be stored", level=logging.ERROR) as caught:
            if await (await self._storage.open()).inbound.record_webhooks(messages, reports):
                self._may_be_parked = True
        if caught.error:
            return _as_failure(caught.error)
        if messages:
            self._replies.received.add(messages)
        return None

    async def _retry_parked(self) -> None:
        """Record reports that arrived before their order was known."""
        while True:
            self._replies.received.delete_expired()
            if self._may_be_parked:
                self._may_be_parked = False  # before the query, so that a report parked during it counts
                left = 1
                with log_errors(log, "Parked reports cannot be recorded"):
                    left = await (await self._storage.open()).inbound.retry_parked()
                self._may_be_parked |= bool(left)
            await self._clock.sleep_until(self._clock.now() + _RETRY_INTERVAL)

    async def _catch_up(self) -> None:
        good_for = timedelta()  # at the start, always read
        while True:
            pause = _ERROR_INTERVAL
            with log_errors(log, "History cannot be read"):
                await self._history.refresh(good_for)
                good_for, pause = _CATCH_UP_INTERVAL / 2, _CATCH_UP_INTERVAL
            await self._clock.sleep_until(self._clock.now() + pause)

    async def _load_own_numbers(self) -> None:
        while True:
            with log_errors(log, "The account's numbers cannot be read"):
                await self._own_numbers.read()
            await self._clock.sleep_until(self._clock.now() + _ERROR_INTERVAL)


def _as_failure(error: Exception) -> ElksError:
    """Return why a webhook could not be stored; an unexpected error was logged with its details."""
    if isinstance(error, ElksError):
        return error
    return StateUnavailable("Unexpected error in elks-mcp.", hint=f"Its log has the details. {_SENT_AGAIN}")
