"""The parts of the app: those that all others share, and those that only calls need."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import NamedTuple

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.callbacks import FindCallbacks
from elks_mcp.domain.caller_limits import UsageLimits, UsageTracker
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.transport import Api
from elks_mcp.embedded_sandbox import Provider
from elks_mcp.inbound.calls import CallOutcomes
from elks_mcp.inbound.webhook_addresses import callbacks_finder
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.metrics import Counters
from elks_mcp.sending.call_preparer import CallPreparer, SpeechOptions
from elks_mcp.settings import Settings
from elks_mcp.store import Storage


class CallParts(NamedTuple):
    """The parts that only calls need, and the addresses of all orders."""

    outcomes: CallOutcomes
    preparer: CallPreparer
    find_callbacks: FindCallbacks

    async def find_digits(self, order_id: str) -> str | None:
        """Return the digits that were pressed in the call of an order; None while that is unknown."""
        outcome = await self.outcomes.find(order_id)
        return outcome.digits if outcome else None

    async def prepare_alert(self, said: str, *, keep: bool) -> Call:
        """Return the content of a call that asks for one digit. Raises the errors of `prepare`."""
        return await self.preparer.prepare(said, "", digits=1, keep=keep)


class ServerAddresses(NamedTuple):
    """The addresses at which 46elks reaches this server."""

    public_url: str | None
    audio_url: str | None
    """The origin from which a sandbox in this process fetches audio, without a network."""


def make_call_parts(
    client: ElksClient,
    storage: Storage,
    clock: Clock,
    options: SpeechOptions,
    addresses: ServerAddresses,
    poll: Callable[[], timedelta],
) -> CallParts:
    """Return the parts. `poll` returns how often 46elks is asked about a call that goes on."""
    public_url, audio_url = addresses
    is_reachable = bool(public_url or audio_url)
    return CallParts(
        outcomes=CallOutcomes(client, storage, clock, poll),
        preparer=CallPreparer(storage, clock, options, is_reachable=is_reachable),
        find_callbacks=callbacks_finder(public_url, storage, audio_url=audio_url),
    )


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
