"""Return the addresses at which 46elks delivers webhooks to this server."""

from elks_mcp.domain.callbacks import NO_CALLBACKS, Callbacks, FindCallbacks
from elks_mcp.domain.kinds import CALL
from elks_mcp.domain.orders import Claim
from elks_mcp.store import Storage


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
        if claim.draft.kind == CALL:
            from elks_mcp.inbound.call_callbacks import find_call_callbacks  # noqa: PLC0415  (most send no call)

            return await find_call_callbacks(claim, storage, public_url, audio_url)
        if public_url is None:
            return NO_CALLBACKS
        address = await webhook_address(public_url, storage, "delivery")
        return Callbacks(report=f"{address}?ref={claim.order_id}")

    return find
