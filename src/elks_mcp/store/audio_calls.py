"""The calls that play audio: only a server from which 46elks can fetch it may make them."""

from sqlalchemy import ColumnElement, and_

from elks_mcp.domain.kinds import CALL
from elks_mcp.store.db.schema import orders

_NO_AUDIO = '"audio":""'
"""A call that 46elks itself speaks has this in its details. JSON escapes the quotes within a value."""


def plays_audio() -> ColumnElement[bool]:
    """Build the condition that an order is a call whose audio 46elks fetches from a server."""
    return and_(orders.c.kind == CALL, ~orders.c.details.contains(_NO_AUDIO))


def find_audio_use(kind: str, details: str) -> bool:
    """Return whether an order, by these two columns, is a call that plays audio."""
    return kind == CALL and _NO_AUDIO not in details
