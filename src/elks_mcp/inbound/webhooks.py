"""What 46elks tells us by itself, on its way into the store: many at once, each answered when it is kept."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio

from elks_mcp.domain.models import Message, Report
from elks_mcp.elks.own_numbers import OwnNumbers
from elks_mcp.errors import ElksError, StateUnavailable, log_errors
from elks_mcp.inbound.history import HistoryReader
from elks_mcp.inbound.replies import Replies
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.store import Storage

log = logging.getLogger(__name__)

WebhookEvent = Message | Report

_MOST_AT_ONCE = 200
"""Put down in one transaction."""

_MOST_WAITING = 5000
"""Who comes when so many wait is told to come again."""

_BETWEEN_RETRIES = timedelta(seconds=1)
"""Between two looks at what is parked."""

_CATCH_UP = timedelta(minutes=15)
"""46elks gives up on a webhook after some hours, so history is read too, at the start and this often."""

_ASK_AGAIN = timedelta(minutes=1)


class _PendingEvent:
    """News, and whoever waits until they are kept."""

    def __init__(self, news: WebhookEvent) -> None:
        self.news = news
        self.done = anyio.Event()
        self.failure: ElksError | None = None


class WebhookIngest:
    """Stores what 46elks tells, as long as it runs."""

    def __init__(
        self,
        storage: Storage,
        history: HistoryReader,
        replies: Replies,
        clock: Clock,
        own_numbers: OwnNumbers,
    ) -> None:
        self._storage = storage
        self._history = history
        self._replies = replies
        self._clock = clock
        self._own_numbers = own_numbers
        self._waiting: list[_PendingEvent] = []
        self._came = anyio.Event()
        self._is_running = False
        self._may_be_parked = True
        """Another life of the process may have left something."""

    def is_ours(self, number: str) -> bool:
        """Tell whether a number is one of the account's.

        Raises:
            StateUnavailable: nobody can tell, since 46elks did not say yet which those are.
        """
        known = self._own_numbers.known
        if number not in known and known.listed is None:
            raise StateUnavailable("It is not known yet which numbers are the account's.")
        return number in known

    async def ingest(self, news: WebhookEvent) -> None:
        """Return when the news are kept, with all that follows from them.

        Raises:
            StateUnavailable: they are not; whoever brought them shall come again.
            Misconfigured: they cannot be kept.
        """
        if not self._is_running or len(self._waiting) >= _MOST_WAITING:
            raise StateUnavailable("Too much comes in at once.")
        waiting = _PendingEvent(news)
        self._waiting.append(waiting)
        self._came.set()
        await waiting.done.wait()
        if waiting.failure:
            raise waiting.failure

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Put down what comes, and read what may have been missed, for as long as the context lasts."""
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
                for waiting in self._waiting:
                    waiting.failure = StateUnavailable("The server stops.")
                    waiting.done.set()

    async def _write(self) -> None:
        while True:
            if not self._waiting:
                self._came = anyio.Event()
                await self._came.wait()
            batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
            with anyio.CancelScope(shield=True):  # who is answered is answered truly, even at the end
                failure = await self._try_store([each.news for each in batch])
            for waiting in batch:
                waiting.failure = failure
                waiting.done.set()

    async def _try_store(self, news: list[WebhookEvent]) -> ElksError | None:
        """Keep news; say why not, if so."""
        messages = [each for each in news if isinstance(each, Message)]
        reports = [each for each in news if isinstance(each, Report)]
        with log_errors(log, "Webhooks cannot be stored", level=logging.ERROR) as caught:
            if await (await self._storage.open()).inbound.record_webhooks(messages, reports):
                self._may_be_parked = True
        if isinstance(caught.error, ElksError):
            return caught.error
        if caught.error:
            return StateUnavailable("Unexpected error in elks-mcp.")
        if messages:
            self._replies.add_received(messages)
        return None

    async def _retry_parked(self) -> None:
        """Hear again what came before its order was known."""
        while True:
            self._replies.delete_expired()
            if self._may_be_parked:
                self._may_be_parked = False  # before looking, so that what is parked meanwhile counts
                left = 1
                with log_errors(log, "Parked webhooks cannot be read again"):
                    left = await (await self._storage.open()).inbound.retry_parked()
                self._may_be_parked |= bool(left)
            await self._clock.sleep_until(self._clock.now() + _BETWEEN_RETRIES)

    async def _catch_up(self) -> None:
        good_for = timedelta()  # at the start nobody knows what was missed
        while True:
            pause = _ASK_AGAIN
            with log_errors(log, "History cannot be read"):
                await self._history.refresh(good_for)
                good_for, pause = _CATCH_UP / 2, _CATCH_UP
            await self._clock.sleep_until(self._clock.now() + pause)

    async def _load_own_numbers(self) -> None:
        while True:
            with log_errors(log, "The account's numbers cannot be read"):
                await self._own_numbers.read()
            await self._clock.sleep_until(self._clock.now() + _ASK_AGAIN)
