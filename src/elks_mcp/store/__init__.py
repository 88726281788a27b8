"""What is remembered between calls, and between lives of the process.

Nothing here loads a database's libraries until `Storage.open` is called: to start, to price and to run dry
costs nothing.
"""

from elks_mcp.store.db.hashes import SHORTEST_KEY
from elks_mcp.store.location import AccountKey, StateLocation
from elks_mcp.store.storage import Storage
from elks_mcp.store.values import (
    Arrival,
    DueWork,
    Idle,
    Issued,
    KnownTokens,
    Pace,
    PauseReason,
    Placed,
    PriorOrders,
    QueueEstimate,
    Wanted,
)

__all__ = [
    "SHORTEST_KEY",
    "AccountKey",
    "Arrival",
    "DueWork",
    "Idle",
    "Issued",
    "KnownTokens",
    "Pace",
    "PauseReason",
    "Placed",
    "PriorOrders",
    "QueueEstimate",
    "StateLocation",
    "Storage",
    "Wanted",
]
