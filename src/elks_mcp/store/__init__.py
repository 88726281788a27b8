"""What is remembered between calls, and between lives of the process.

Nothing here loads a database's libraries until `Storage.open` is called: to start, to price and to run dry
costs nothing.
"""

from elks_mcp.store.db.hashes import SHORTEST_KEY
from elks_mcp.store.location import Account, Place
from elks_mcp.store.storage import Storage
from elks_mcp.store.values import (
    Arrival,
    Idle,
    Issued,
    KnownTokens,
    Outlook,
    Pace,
    PauseReason,
    Placed,
    Prior,
    Prospect,
    Wanted,
)

__all__ = [
    "SHORTEST_KEY",
    "Account",
    "Arrival",
    "Idle",
    "Issued",
    "KnownTokens",
    "Outlook",
    "Pace",
    "PauseReason",
    "Place",
    "Placed",
    "Prior",
    "Prospect",
    "Storage",
    "Wanted",
]
