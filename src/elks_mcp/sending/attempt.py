"""One text on the wire: the POST, what its outcome means, and putting that down."""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
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
"""So many texts in a row without an answer, and 46elks is asked something free before the next."""

_AFTER_429 = timedelta(minutes=1)
_AT_LEAST = timedelta(seconds=1)
"""The shortest wait after a 429: `Retry-After: 0` is no leave to hammer."""

_AFTER_NO_CONNECTION, _LONGEST_WITHOUT = timedelta(seconds=5), timedelta(seconds=60)
_BETWEEN_PROBES = timedelta(seconds=30)

_TRIES_TO_RECORD, _BETWEEN_TRIES = 5, timedelta(seconds=1)

RecordOutcome = Callable[[], Awaitable[Order | None]]


class _ClaimPermission:
    """The right to send a claim's text: until its time is up, or the recipient says STOP."""

    def __init__(self, store: "Store", claim: Claim, deadline: Deadline) -> None:
        self._store = store
        self._claim = claim
        self._deadline = deadline

    async def holds(self) -> bool:
        """Look whether the claim still counts, and nobody said STOP; that may take until it is too late."""
        return await self._store.queue.may_send(self._claim) and self.is_in_time()

    def is_in_time(self) -> bool:
        """Tell whether it is time to begin."""
        return not self._deadline.has_passed


class Attempts:
    """Posts what is claimed, and knows how it went lately."""

    def __init__(self, client: ElksClient, dispatcher: Dispatcher, clock: Clock) -> None:
        self._client = client
        self._dispatcher = dispatcher
        self._clock = clock
        self._failures = 0
        """Texts in a row that 46elks did not answer; of the unreached and of the unanswered alike."""

    async def send(self, store: "Store", claim: Claim, deadline: Deadline) -> Order | None:
        """Post a text in its turn, and put down what came of it.

        Returns:
            How the order stands then; None where that has to be looked up.
        """
        order = await self._record(await self._post(store, claim, deadline))
        if order and order.is_overcharged:
            log.warning("46elks charged %s for %s and had quoted %s", order.cost, order.id, order.price)
        return order

    async def probe(self, store: "Store", reason: PauseReason) -> None:
        """Ask 46elks something free, before anything paid is tried again after a pause."""
        try:
            account = await self._client.get_account()
            mended = reason is not PauseReason.NO_FUNDS or account.balance.units > 0
        except (Unauthorized, NoAnswer, Unreachable, Throttled):
            mended = False
        except ProviderError:
            mended = True  # it answers, and may only not tell us; the next text will show
        if mended:
            self._failures = 0
            await store.queue.resume()
        else:
            await store.queue.pause(reason, _BETWEEN_PROBES)

    async def _post(self, store: "Store", claim: Claim, deadline: Deadline) -> RecordOutcome:
        """Post, if we still may; return what has to be put down."""
        queue = store.queue
        try:
            await self._clock.sleep_until(self._clock.now() + claim.wait)
            receipt = await self._dispatcher.send(claim, _ClaimPermission(store, claim, deadline))
        except (StateUnavailable, TooLate):
            return lambda: queue.withdraw(claim)
        except ProviderError as error:
            return self._outcome_of(store, claim, error)
        except Exception:
            log.exception("a send ended in a bug; nobody knows whether it went out")
            return lambda: queue.settle_doubt(claim, "This server has a fault of its own.")
        self._failures = 0
        return lambda: queue.settle_sent(claim, receipt)

    def _outcome_of(self, store: "Store", claim: Claim, error: ProviderError) -> RecordOutcome:
        """Say what an error means for the order, and for those behind it."""
        queue = store.queue
        if isinstance(error, NoAnswer):
            self._failures += 1
            return lambda: self._doubt(store, claim, str(error))
        if pause := self._pause_after(error):
            return lambda: queue.put_back(claim, str(error), *pause)
        self._failures = 0
        return lambda: queue.settle_rejected(claim, error.explain())

    def _pause_after(self, error: ProviderError) -> tuple[PauseReason, timedelta] | None:
        """Say how long nothing is sent, where 46elks surely took nothing in and may later."""
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

    async def _doubt(self, store: "Store", claim: Claim, fault: str) -> Order | None:
        order = await store.queue.settle_doubt(claim, fault)
        if self._failures >= _MOST_FAILURES:
            await store.queue.pause(PauseReason.TROUBLE, _BETWEEN_PROBES)
        return order

    async def _record(self, write: RecordOutcome) -> Order | None:
        """Put down what happened; where that cannot be done the lease runs out, and history will tell."""
        for _ in range(_TRIES_TO_RECORD):
            try:
                return await write()
            except StateUnavailable as error:
                log.error("what became of a text cannot be put down: %s", error)  # noqa: TRY400
                await self._clock.sleep_until(self._clock.now() + _BETWEEN_TRIES)
            except Exception:
                log.exception("what became of a text cannot be put down")
                break
        return None
