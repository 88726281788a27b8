"""The parts of the app that only calls need, put together."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from elks_mcp.domain.callbacks import FindCallbacks
from elks_mcp.elks.client import ElksClient
from elks_mcp.inbound.calls import CallOutcomes
from elks_mcp.inbound.webhook_addresses import callbacks_finder
from elks_mcp.runtime.clock import Clock
from elks_mcp.sending.call_preparer import CallPreparer, SpeechOptions
from elks_mcp.store import Storage


class CallParts(NamedTuple):
    """The parts that only calls need, and the addresses of all orders."""

    outcomes: CallOutcomes
    preparer: CallPreparer
    find_callbacks: FindCallbacks


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
