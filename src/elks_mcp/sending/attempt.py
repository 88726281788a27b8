"""Send one claimed text to 46elks, interpret the outcome and record it."""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from elks_mcp.domain.orders import Claim, Order
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.dispatch import Dispatcher
from elks_mcp.errors import (
    NoAnswer,
    OutOfFunds,
    ProviderError,
    StateUnavailable,
    Throttled,
    TooLate,
    Unauthorized,
    Unreachable,
)
from elks_mcp.runtime.clock import Clock, Deadline
from elks_mcp.store import PauseReason

if TYPE_CHECKING:
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)

_MOST_FAILURES = 5
"""After this many texts in a row without an answer, a free request must succeed before the next text."""

_AFTER_429 = timedelta(minutes=1)
_AT_LEAST = timedelta(seconds=1)
"""The shortest wait after a 429, even if 46elks says `Retry-After: 0`."""

_AFTER_NO_CONNECTION, _LONGEST_WITHOUT = timedelta(seconds=5), timedelta(seconds=60)
_BETWEEN_PROBES = timedelta(seconds=30)

_TRIES_TO_RECORD, _BETWEEN_TRIES = 5, timedelta(seconds=1)

RecordOutcome = Callable[[], Awaitable[Order | None]]


class _ClaimPermission:
    """Permission to send a claim, until its deadline, an opt-out or the end of its alert."""

    def __init__(self, store: "Store", claim: Claim, deadline: Deadline) -> None:
        self._store = store
        self._claim = claim
        self._deadline = deadline

    async def holds(self) -> bool:
        """Return whether the claim holds, the order may go out, and the deadline is ahead.

        Reading the store takes time, so the deadline is checked last.
        """
        return await self._store.queue.may_send(self._claim) and self.is_in_time()

    def is_in_time(self) -> bool:
        """Return whether the request may still begin."""
        return not self._deadline.has_passed


class Attempts:
    """Sends claimed orders, and counts recent failures to decide on pauses."""

    def __init__(self, client: ElksClient, dispatcher: Dispatcher, clock: Clock) -> None:
        self._client = client
        self._dispatcher = dispatcher
        self._clock = clock
        self._failures = 0
        """Consecutive texts without an answer: 46elks could not be reached, or its answer was lost."""

    async def send(self, store: "Store", claim: Claim, deadline: Deadline) -> Order | None:
        """Send a text when its slot of the pace comes, and record the outcome.

        Returns:
            The order afterwards; None if it has to be read from the store.
        """
        order = await self._record(await self._post(store, claim, deadline))
        if order and order.is_overcharged:
            log.warning("46elks charged %s for %s and had quoted %s", order.cost, order.id, order.price)
            if order.batch_id:
                await self._record(partial(_pause_batch, store, order.batch_id, order))
        return order

    async def probe(self, store: "Store", reason: PauseReason) -> None:
        """Make a free request to 46elks, and end the pause if it succeeds, else extend it."""
        try:
            account = await self._client.get_account()
            is_over = reason is not PauseReason.NO_FUNDS or account.balance.units > 0
        except (Unauthorized, NoAnswer, Unreachable, Throttled):
            is_over = False
        except ProviderError:
            is_over = True  # 46elks answers; only this request was refused, and the next text will show more
        if is_over:
            self._failures = 0
            await store.queue.resume()
        else:
            await store.queue.pause(reason, _BETWEEN_PROBES)

    async def _post(self, store: "Store", claim: Claim, deadline: Deadline) -> RecordOutcome:
        """Make the request, if it is still permitted; return the function that records the outcome."""
        queue = store.queue
        try:
            await self._clock.sleep_until(self._clock.now() + claim.wait)
            receipt = await self._dispatcher.send(claim, _ClaimPermission(store, claim, deadline))
        except (StateUnavailable, TooLate):
            return lambda: queue.withdraw(claim)
        except ProviderError as error:
            return self._outcome_of(store, claim, error)
        except Exception:
            log.exception("Unexpected error while sending; the text may have gone out")
            return lambda: queue.settle_doubt(claim, "Unexpected error in elks-mcp.")
        self._failures = 0
        return lambda: queue.settle_sent(claim, receipt)

    def _outcome_of(self, store: "Store", claim: Claim, error: ProviderError) -> RecordOutcome:
        """Return the function that records an error; count it if 46elks did not answer."""
        queue = store.queue
        if isinstance(error, NoAnswer):
            self._failures += 1
            return lambda: self._doubt(store, claim, str(error))
        if pause := self._pause_after(error):
            return lambda: queue.put_back(claim, str(error), *pause)
        self._failures = 0
        return lambda: queue.settle_rejected(claim, error.explain())

    def _pause_after(self, error: ProviderError) -> tuple[PauseReason, timedelta] | None:
        """Return why and how long to send nothing; None if the error concerns only this text.

        After these errors 46elks surely did not accept the text and may accept it later.
        """
        match error:
            case Throttled():
                asked = _AFTER_429 if error.retry_after is None else error.retry_after
                return PauseReason.THROTTLED, max(asked, _AT_LEAST)
            case Unreachable():
                self._failures += 1
                wait = _AFTER_NO_CONNECTION * 2 ** min(self._failures - 1, _MOST_FAILURES)
                return PauseReason.UNREACHABLE, min(wait, _LONGEST_WITHOUT)
            case Unauthorized():
                return PauseReason.CREDENTIALS, _BETWEEN_PROBES
            case OutOfFunds():
                return PauseReason.NO_FUNDS, _BETWEEN_PROBES
        return None

    async def _doubt(self, store: "Store", claim: Claim, status_reason: str) -> Order | None:
        order = await store.queue.settle_doubt(claim, status_reason)
        if self._failures >= _MOST_FAILURES:
            await store.queue.pause(PauseReason.TROUBLE, _BETWEEN_PROBES)
        return order

    async def _record(self, write: RecordOutcome) -> Order | None:
        """Record the outcome. If that fails, the lease expires and history shows what happened."""
        for _ in range(_TRIES_TO_RECORD):
            try:
                return await write()
            except StateUnavailable as error:
                log.error("The outcome of a text cannot be recorded: %s", error)  # noqa: TRY400
                await self._clock.sleep_until(self._clock.now() + _BETWEEN_TRIES)
            except Exception:
                log.exception("The outcome of a text cannot be recorded")
                break
        return None


async def _pause_batch(store: "Store", batch_id: str, order: Order) -> Order:
    why = f"46elks charged {order.cost} for a text that was approved at {order.price}."
    await store.batches.pause(batch_id, why)
    return order
