"""Determine from 46elks' history whether texts with a lost answer were sent."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from elks_mcp.domain.doubts import SKEW
from elks_mcp.domain.models import Listing
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import ProviderError

if TYPE_CHECKING:
    from elks_mcp.store.store import Store


async def clear_doubts(store: "Store", client: ElksClient, quiet: timedelta) -> list[str]:
    """Look up the orders in doubt that are due; return the ids of those that may have changed.

    `quiet`: how long after an attempt a text may still appear in history.

    Raises:
        StateUnavailable: the result cannot be stored.
    """
    read_at, since = await store.doubts.find_due()
    if since is None:
        return []
    listing = await _read_history(client, since)
    return await store.doubts.conclude(
        listing.messages if listing else None,
        read_at=read_at,
        quiet=quiet,
        skew=client.skew,
        has_gaps=bool(listing and any(row.may_be_sent for row in listing.unread)),
    )


async def _read_history(client: ElksClient, since: datetime) -> Listing | None:
    """Return everything sent since a time; None if history cannot be read completely."""
    try:
        listing = await client.list_since(since + client.skew - SKEW)
    except ProviderError:
        return None
    return listing if listing.complete else None
