"""Opening the socket that a server of ours listens on."""

import os
import socket

import click

BACKLOG = 2048
"""Connections that may wait until they are accepted."""


def listen(host: str, port: int) -> socket.socket:
    """Listen on a port of this machine; 0: any free one.

    Raises:
        click.ClickException: the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
        raise click.ClickException(
            f"Port {port} cannot be used: {reason}. Choose another with --port, or 0 for any."
        ) from None
    # What asyncio does for listeners of its own: without it each answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
