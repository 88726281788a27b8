"""Return the addresses at which 46elks delivers webhooks to this server."""

from datetime import timedelta

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.callbacks import NO_CALLBACKS, Callbacks, FindCallbacks
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


async def webhook_address(public_url: str, storage: Storage, kind: str, *, following: bool = False) -> str:
    """Return the address for a kind of webhook (`sms`, `mms`, `delivery`); it holds a secret.

    `following`: the address after the next rotation of the secrets.
    """
    current, _, after_rotation = await storage.secrets_for(kind)
    return f"{public_url}/hooks/{after_rotation if following else current}/{kind}"


def callbacks_finder(
    public_url: str | None, storage: Storage, *, audio_url: str | None = None
) -> FindCallbacks:
    """Return a function that finds the addresses of an order that is about to be handed over.

    Each address holds a secret, so that strangers cannot forge reports, and the order's id. Without a public
    address there are none. `audio_url`: where audio is fetched if there is no public address.
    """

    async def find(claim: Claim) -> Callbacks:
        if isinstance(claim.draft.payload, Call):
            known = await _find_hooks(public_url, storage, claim.order_id)
            return await _add_audio(known, public_url or audio_url, storage, claim.draft.payload)
        if public_url is None:
            return NO_CALLBACKS
        address = await webhook_address(public_url, storage, "delivery")
        return Callbacks(report=f"{address}?ref={claim.order_id}")

    return find


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
