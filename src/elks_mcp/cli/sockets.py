"""The socket that `serve` and `sandbox` listen on."""

import os
import socket

import click

BACKLOG = 2048
"""Connections that may wait to be accepted."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a port of this machine; port 0 is any free one.

    Raises:
        click.ClickException: the port cannot be used, because it is taken or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
        raise click.ClickException(
            f"Port {port} cannot be used: {reason}. Choose another with --port, or 0 for any."
        ) from None
    # asyncio sets this for its own listeners. Without it each answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
