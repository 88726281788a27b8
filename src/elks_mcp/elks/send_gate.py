"""The last check before the body of a paid request leaves this machine.

A process can be frozen at any instruction for longer than its permission to send lasts: a laptop sleeps, a
virtual machine is moved, Ctrl-Z is pressed. So the permission is checked when only a write is left to do, and
again after that write, while the kernel still holds the data back.
"""

import socket
import struct
from contextlib import suppress
from typing import Any, Protocol

from elks_mcp.errors import NoAnswer, TooLate

_CORK: int | None = getattr(socket, "TCP_CORK", None)
"""Linux holds back a last packet that is not full, for 200 ms at most (tcp(7)); others do not."""

_DISCARD = struct.pack("ii", 1, 0)
"""SO_LINGER: closing discards what has not left, and resets the connection (socket(7))."""


def require(is_permitted: bool) -> None:
    """Raise an error unless sending is still permitted.

    Raises:
        TooLate: it is not.
    """
    if not is_permitted:
        raise TooLate("The permission to send this has ended.", hint="Wait: the queue sends it if it may.")


class SendPermission(Protocol):
    """Permission to send one order: a claim with a deadline."""

    async def holds(self) -> bool:
        """Return whether it was not revoked and its time has not run out."""
        ...

    def is_in_time(self) -> bool:
        """Return whether its time has not run out."""
        ...


class SendGate:
    """Follows the steps of one request in httpx2 and aborts the request if it is too late.

    It is a `trace` extension (https://www.python-httpx.org/advanced/extensions/#trace). `cork` is the socket
    option that holds back written data; None on systems without one.
    """

    def __init__(self, permission: SendPermission, *, cork: int | None = _CORK) -> None:
        self._permission = permission
        self._cork = cork
        self._socket: Any = None

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Handle one step of the request, whose body is the form and is written last.

        Raises:
            TooLate: the permission ended before the form was written.
            NoAnswer: its time ran out while the form was written, which may have left.
        """
        match event.split(".")[-2:]:
            case "connect_tcp", "complete":
                self._socket = info["return_value"].get_extra_info("socket")
            case "send_request_headers", "started":
                require(await self._permission.holds())
            case "send_request_body", "started":
                self._hold_back(on=True)
                require(self._permission.is_in_time())
            case "send_request_body", "complete":
                self._release()

    def _release(self) -> None:
        """Let the form leave, or discard it if this process was frozen before it wrote the form."""
        if self._cork is not None and self._socket is not None and not self._permission.is_in_time():
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
            raise NoAnswer("The server was suspended while it sent this, for longer than it may send.")
        self._hold_back(on=False)

    def _hold_back(self, *, on: bool) -> None:
        if self._cork is not None and self._socket is not None:
            with suppress(OSError):  # the connection broke, which the next write or read will report
                self._socket.setsockopt(socket.IPPROTO_TCP, self._cork, int(on))
