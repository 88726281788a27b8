"""The calls to 46elks that cost money. Only `sending` may import this module."""

from collections.abc import Collection, Mapping
from typing import Protocol

from elks_mcp.domain.callbacks import NO_CALLBACKS, FindCallbacks
from elks_mcp.domain.orders import Claim, Receipt
from elks_mcp.elks.paid_endpoints import ENDPOINTS, Endpoints
from elks_mcp.elks.send_gate import SendPermission


class PostForm(Protocol):
    """Posts a form to 46elks exactly once; `Api.post` does."""

    async def __call__(
        self, path: str, form: Mapping[str, str], *, permission: SendPermission | None = None
    ) -> bytes:
        """Return the answer; raise `TooLate` if the permission ended before the first byte left."""


class Dispatcher:
    """Posts claimed orders to 46elks, each exactly once per call. It never tries again.

    `find_callbacks` returns the addresses of this server for an order. `endpoints` says how each kind of
    order is built and sent. `hides` are the kinds whose content 46elks is asked not to store.
    """

    def __init__(
        self,
        post: PostForm,
        find_callbacks: FindCallbacks | None = None,
        endpoints: Endpoints = ENDPOINTS,
        *,
        hides: Collection[str] = (),
    ) -> None:
        self._post = post
        self._find_callbacks = find_callbacks
        self._endpoints = endpoints
        self._hides = hides

    async def send(self, claim: Claim, permission: SendPermission) -> Receipt:
        """Post a claimed order now. `permission` is checked just before the first byte leaves.

        Raises:
            TooLate: The permission to send ended. Nothing was sent.
            Unreachable, Throttled: 46elks did not accept it, certainly.
            Unauthorized, Rejected: 46elks refused it.
            NoAnswer: It is not known whether 46elks accepted it.
        """
        endpoint = self._endpoints[claim.draft.kind]
        found = await self._find_callbacks(claim) if self._find_callbacks else NO_CALLBACKS
        form = endpoint.build(claim.draft, callbacks=found)
        if claim.draft.kind in self._hides:
            form |= endpoint.private
        return endpoint.parse_receipt(
            await self._post(endpoint.path, form, permission=permission), claim.currency
        )
