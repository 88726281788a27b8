"""The parts of the app: those that all others share, and those of calls and alerts.

The latter load at their first use: most servers make no calls and raise no alerts.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.caller_limits import UsageLimits, UsageTracker
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.transport import Api
from elks_mcp.embedded_sandbox import Provider
from elks_mcp.inbound.history import HistoryReader
from elks_mcp.inbound.replies import Replies
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.metrics import Counters
from elks_mcp.sending import Outbox
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.settings import Settings
from elks_mcp.store import Storage

if TYPE_CHECKING:
    from elks_mcp.inbound.calls import CallOutcomes
    from elks_mcp.sending.call_preparer import CallPreparer
    from elks_mcp.workflows.escalation import Escalations


@dataclass(frozen=True)
class CallParts:
    """The parts that only calls need."""

    client: ElksClient
    storage: Storage
    clock: Clock
    settings: Settings
    is_reachable: bool
    """Whether 46elks can fetch audio from this server."""

    poll: Callable[[], timedelta]
    """Returns how often 46elks is asked about a call that goes on."""

    listeners: list[Callable[[str], None]] = field(default_factory=list)
    """Called with the id of an order whenever something new is known about its call, in this process."""

    @cached_property
    def outcomes(self) -> "CallOutcomes":
        """The outcomes of calls, as far as they are known."""
        from elks_mcp.inbound.calls import CallOutcomes  # noqa: PLC0415

        return CallOutcomes(self.client, self.storage, self.clock, self.poll, self.notify)

    @cached_property
    def preparer(self) -> "CallPreparer":
        """Finds or makes what calls play."""
        from elks_mcp.sending.call_preparer import CallPreparer  # noqa: PLC0415

        return CallPreparer(self.storage, self.clock, self.settings, is_reachable=self.is_reachable)

    def notify(self, order_id: str) -> None:
        """Tell the listeners that something new is known about the call of an order."""
        for each in self.listeners:
            each(order_id)

    async def follow(self) -> None:
        """Ask 46elks about all calls that go on, until their ends are known."""
        await self.outcomes.follow()

    async def find_digits(self, order_id: str) -> str | None:
        """Return the digits that were pressed in the call of an order; None while that is unknown."""
        outcome = await self.outcomes.find(order_id)
        return outcome.digits if outcome else None

    async def prepare_alert(self, said: str, *, keep: bool) -> Call:
        """Return the content of a call that asks for one digit. Raises the errors of `prepare`."""
        return await self.preparer.prepare(said, "", digits=1, keep=keep)


@dataclass(frozen=True)
class AlertParts:
    """The parts that only alerts need."""

    calls: CallParts
    outbox: Outbox
    checks: DraftChecks
    history: HistoryReader
    replies: Replies
    counters: Counters
    is_enabled: bool = field(kw_only=True)
    """Whether this server may carry alerts on, and offers them."""

    @cached_property
    def escalations(self) -> "Escalations":
        """Raises, follows and ends alerts."""
        from elks_mcp.workflows.escalation import EscalationParts, Escalations  # noqa: PLC0415

        parts = EscalationParts(
            storage=self.calls.storage,
            outbox=self.outbox,
            checks=self.checks,
            clock=self.calls.clock,
            counters=self.counters,
            refresh_history=self.history.refresh,
            poll=lambda: self.replies.poll,
            find_digits=self.calls.find_digits,
            prepare_call=self.calls.prepare_alert,
            call_listeners=self.calls.listeners,
        )
        return Escalations(parts, is_enabled=self.is_enabled)

    @asynccontextmanager
    async def carried_on(self) -> AsyncIterator[None]:
        """Carry alerts on until the context ends, if this server may."""
        if not self.is_enabled:
            yield
            return
        async with self.escalations.running():
            yield


class SharedParts(NamedTuple):
    """The parts that do not depend on the policy."""

    api: Api
    storage: Storage
    clock: Clock
    limits: UsageTracker
    counters: Counters


def make_shared_parts(
    stack: AsyncExitStack, settings: Settings, provider: Provider, clock: Clock | None, limits: UsageLimits
) -> SharedParts:
    """Return the parts; the stack closes them."""
    counters = Counters()
    api = Api(
        provider.credentials,
        base_url=provider.base_url,
        timeout=timedelta(seconds=settings.timeout),
        transport=provider.transport,
        clock=clock,
        counters=counters,
    )
    stack.push_async_callback(api.aclose)
    storage = Storage(settings.state_location(), provider.account, clock)
    stack.push_async_callback(storage.close)
    our_clock = clock or Clock()
    return SharedParts(api, storage, our_clock, UsageTracker(limits, our_clock), counters)
