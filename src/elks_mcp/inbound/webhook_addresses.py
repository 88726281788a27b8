"""Return the addresses at which 46elks delivers webhooks to this server."""

from collections.abc import Awaitable, Callable

from elks_mcp.store import Storage


async def webhook_address(public_url: str, storage: Storage, kind: str, *, following: bool = False) -> str:
    """Return the address for a kind of webhook (`sms`, `mms`, `delivery`); it holds a secret.

    `following`: the address after the next rotation of the secrets.
    """
    current, _, after_rotation = await storage.secrets_for(kind)
    return f"{public_url}/hooks/{after_rotation if following else current}/{kind}"


def report_address_maker(public_url: str | None, storage: Storage) -> Callable[[str], Awaitable[str]] | None:
    """Return a function that makes the delivery report address of an order, given its id.

    None if there is no public URL.

    The address holds a secret, so that strangers cannot forge reports, and the order's id.
    """
    if public_url is None:
        return None

    async def address(order_id: str) -> str:
        return f"{await webhook_address(public_url, storage, 'delivery')}?ref={order_id}"

    return address
