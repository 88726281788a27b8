"""Warnings of uvicorn and the SDK that any client on the network can cause."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from elks_mcp.runtime.bursts import Bursts

_FOREIGN_SITE = "A request with the Host or Origin of another site was refused."
_UPGRADE = "A request for another protocol, such as WebSocket, was answered as plain HTTP."
_REPLACEMENTS = {
    "Invalid HTTP request received.": "A request that is not HTTP was refused (400).",
    "Unsupported upgrade request.": _UPGRADE,
    "No supported WebSocket library detected.": _UPGRADE,
    "Missing Host header": _FOREIGN_SITE,
    "Invalid Host header": _FOREIGN_SITE,
    "Invalid Origin header": _FOREIGN_SITE,
}
"""How these warnings begin, and what is logged instead: the originals can contain a stranger's text."""


@contextmanager
def group_repeated_warnings(bursts: Bursts) -> Iterator[None]:
    """Replace these warnings by grouped ones in our words, until the context ends."""

    def group(record: logging.LogRecord) -> bool:
        text = str(record.msg)
        replacement = next((ours for theirs, ours in _REPLACEMENTS.items() if text.startswith(theirs)), None)
        if replacement:
            bursts.note(replacement)
        return replacement is None

    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "mcp.server.transport_security")]
    for logger in loggers:
        logger.addFilter(group)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(group)
