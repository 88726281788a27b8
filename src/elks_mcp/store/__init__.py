"""The store: everything that is kept between calls and across restarts.

Nothing here loads a database library until `Storage.open` is called, so starting, pricing and dry runs stay
cheap.
"""

from elks_mcp.store.db.hashes import SHORTEST_KEY
from elks_mcp.store.location import AccountKey, StateLocation
from elks_mcp.store.storage import Storage
from elks_mcp.store.values import (
    Arrival,
    BatchChecks,
    DueWork,
    Idle,
    Issued,
    KnownTokens,
    OwnCall,
    Pace,
    PauseReason,
    Placed,
    PriorOrders,
    QueueEstimate,
    Refusal,
    Scheduled,
    ServerKind,
    Wanted,
)

__all__ = [
    "SHORTEST_KEY",
    "AccountKey",
    "Arrival",
    "BatchChecks",
    "DueWork",
    "Idle",
    "Issued",
    "KnownTokens",
    "OwnCall",
    "Pace",
    "PauseReason",
    "Placed",
    "PriorOrders",
    "QueueEstimate",
    "Refusal",
    "Scheduled",
    "ServerKind",
    "StateLocation",
    "Storage",
    "Wanted",
]
