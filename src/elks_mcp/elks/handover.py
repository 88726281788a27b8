"""The last moment before a form leaves this machine.

A process can be frozen at any instruction, for longer than its right to send lasts: a laptop sleeps, a
machine is moved, somebody presses Ctrl-Z. So the right is asked for when nothing but a write is left to do,
and once more after that write, as long as the kernel still holds back what was written.
"""

import socket
import struct
from contextlib import suppress
from typing import Any, Protocol

from elks_mcp.errors import NoAnswer, TooLate

_CORK: int | None = getattr(socket, "TCP_CORK", None)
"""Linux holds back a last packet that is not full, for 200 ms at most (tcp(7)); others do not."""

_DISCARD = struct.pack("ii", 1, 0)
"""SO_LINGER: closing throws away what has not left, and resets the connection (socket(7))."""


def require(right: bool) -> None:
    """Go no further without the right.

    Raises:
        TooLate: it is gone.
    """
    if not right:
        raise TooLate("The right to send this is gone.")


class SendPermission(Protocol):
    """A right to send something."""

    async def holds(self) -> bool:
        """Tell whether it was neither taken away nor has run out."""
        ...

    def is_in_time(self) -> bool:
        """Tell whether it has not run out."""
        ...


class SendGate:
    """Listens to what a connection of httpx2's does for one request, and breaks it off where it is too late.

    It is a `trace` extension (https://www.python-httpx.org/advanced/extensions/#trace). `cork` is the socket
    option that holds back what was written; None where there is none.
    """

    def __init__(self, right: SendPermission, *, cork: int | None = _CORK) -> None:
        self._right = right
        self._cork = cork
        self._socket: Any = None

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Hear of a step; the form is the body of the request, and the last that is written.

        Raises:
            TooLate: the right was gone before the form was written.
            NoAnswer: it ran out while it was; nobody knows whether it left.
        """
        match event.split(".")[-2:]:
            case "connect_tcp", "complete":
                self._socket = info["return_value"].get_extra_info("socket")
            case "send_request_headers", "started":
                require(await self._right.holds())
            case "send_request_body", "started":
                self._hold_back(on=True)
                require(self._right.is_in_time())
            case "send_request_body", "complete":
                self._let_go()

    def _let_go(self) -> None:
        """Let the form leave; if this process was frozen just before it wrote it, throw it away instead."""
        if self._cork is not None and self._socket is not None and not self._right.is_in_time():
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
            raise NoAnswer("This server stood still just when it sent this, for too long.")
        self._hold_back(on=False)

    def _hold_back(self, *, on: bool) -> None:
        if self._cork is not None and self._socket is not None:
            with suppress(OSError):  # the connection broke; that is noticed by whoever uses it
                self._socket.setsockopt(socket.IPPROTO_TCP, self._cork, int(on))
