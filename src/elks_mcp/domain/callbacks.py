"""The addresses of this server that 46elks calls about one order."""

from typing import Protocol

from elks_mcp.domain.models import Frozen
from elks_mcp.domain.orders import Claim


class Callbacks(Frozen):
    """The addresses of one order.

    Each is None if 46elks cannot reach this server, or does not need it.
    """

    report: str | None = None
    """For the delivery report of a message, or the report that a call has ended."""

    audio: str | None = None
    """The address of the audio that a call plays."""

    pressed: str | None = None
    """For the question how a call goes on, after digits were pressed."""


NO_CALLBACKS = Callbacks()


class FindCallbacks(Protocol):
    """Returns the addresses for an order that is about to be handed to 46elks."""

    @property
    def serves_audio(self) -> bool:
        """Whether 46elks can fetch from this server what calls play."""
        ...

    async def __call__(self, claim: Claim) -> Callbacks:
        """Return the addresses for an order."""
        ...
