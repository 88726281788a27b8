"""Return the addresses that 46elks gets with a call: of its webhooks, and of what it plays."""

from datetime import timedelta

from elks_mcp.domain.call_payload import Call, require_call
from elks_mcp.domain.callbacks import NO_CALLBACKS, Callbacks
from elks_mcp.domain.orders import Claim
from elks_mcp.errors import Rejected
from elks_mcp.inbound.call_addresses import (
    AudioName,
    CallHook,
    CallStep,
    build_audio_path,
    build_call_path,
)
from elks_mcp.store import Storage

_SPARE = timedelta(minutes=10)
"""How much longer than its call audio can be fetched: 46elks may begin late."""


async def find_call_callbacks(
    claim: Claim, storage: Storage, public_url: str | None, audio_url: str | None
) -> Callbacks:
    """Return the addresses of a call that is about to be handed over, and follow it from now on.

    `audio_url`: where audio is fetched if there is no public address.

    Raises:
        Rejected: what it would play cannot be fetched any more, so the call is not made.
    """
    known = await _find_hooks(public_url, storage, claim.order_id)
    return await _add_audio(known, public_url or audio_url, storage, require_call(claim.draft.payload))


async def _find_hooks(public_url: str | None, storage: Storage, order_id: str) -> Callbacks:
    """Return the addresses of the webhooks about a call, which is followed from now on."""
    await (await storage.open()).calls.begin(order_id)
    if public_url is None:
        return NO_CALLBACKS
    hasher = await storage.find_hasher()
    pressed, ended = (
        f"{public_url}/hooks/{build_call_path(hasher, CallHook(order_id, step))}" for step in _STEPS
    )
    return Callbacks(report=ended, pressed=pressed)


_STEPS: tuple[CallStep, CallStep] = ("pressed", "ended")


async def _add_audio(known: Callbacks, url: str | None, storage: Storage, call: Call) -> Callbacks:
    """Add the address of a call's audio, which is kept until the call must have ended.

    Raises:
        Rejected: what it would play cannot be fetched any more, so the call is not made.
    """
    if not call.audio:
        return known
    if url is None:
        raise Rejected("46elks cannot fetch what the call plays.", hint="Set ELKS_PUBLIC_URL.")
    store = await storage.open()
    time = timedelta(seconds=call.ring + call.longest) + _SPARE
    kept = await store.calls.extend_audio(call.audio, time)
    if kept is None:
        raise Rejected(
            "The audio of the call was deleted, because the call waited for too long.", hint="Call again."
        )
    until = await store.database.now() + time
    path = build_audio_path(await storage.find_hasher(), AudioName(call.audio, kept), until)
    return known.model_copy(update={"audio": f"{url}{path}"})
