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
    """Return what finds the addresses of an order that is about to be handed over.

    Each address holds a secret, so that strangers cannot forge reports, and the order's id. Without a public
    address there are none. `audio_url`: where audio is fetched if there is no public address.
    """
    return _CallbacksFinder(public_url, storage, audio_url)


class _CallbacksFinder:
    def __init__(self, public_url: str | None, storage: Storage, audio_url: str | None) -> None:
        self._public_url = public_url
        self._storage = storage
        self._audio_url = audio_url

    @property
    def serves_audio(self) -> bool:
        """Whether 46elks can fetch from this server what calls play."""
        return bool(self._public_url or self._audio_url)

    async def __call__(self, claim: Claim) -> Callbacks:
        """Return the addresses of an order.

        Raises:
            Rejected: What a call would play cannot be fetched.
        """
        if claim.draft.kind == CALL:
            from elks_mcp.inbound.call_callbacks import find_call_callbacks  # noqa: PLC0415  (most send no call)

            return await find_call_callbacks(claim, self._storage, self._public_url, self._audio_url)
        if self._public_url is None:
            return NO_CALLBACKS
        address = await webhook_address(self._public_url, self._storage, "delivery")
        return Callbacks(report=f"{address}?ref={claim.order_id}")
