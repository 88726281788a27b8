"""Determine from 46elks' history whether texts with a lost answer were sent."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from elks_mcp.domain.doubts import SKEW
from elks_mcp.domain.kinds import CALL, MMS, SMS
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
    ahead = client.provider_clock.find_difference(await store.database.now())  # it may be on another machine
    return [
        order_id
        for kind in store.database.kinds
        for order_id in await _clear_doubts_of(kind, store, client, quiet, ahead)
    ]


async def _clear_doubts_of(
    kind: str, store: "Store", client: ElksClient, quiet: timedelta, ahead: timedelta
) -> list[str]:
    """Clear the doubts about orders of one kind; each kind has a history of its own at 46elks.

    `ahead`: how far this machine's clock is ahead of the database's.
    """
    doubts = store.doubts.of(kind)
    read_at, since = await doubts.find_due(client.skew + ahead)
    if since is None:
        return []
    read = HISTORIES.get(kind)
    listing = await _read_history(read, client, since) if read else None
    return await doubts.conclude(
        listing.messages if listing else None,
        read_at=read_at,
        quiet=quiet,
        skew=client.skew + ahead,
        has_gaps=bool(listing and any(row.may_be_sent for row in listing.unread)),
    )


ReadHistory = Callable[[ElksClient, datetime], Awaitable[Listing]]


async def _list_sms(client: ElksClient, since: datetime) -> Listing:
    return await client.list_since(since, SMS)


async def _list_mms(client: ElksClient, since: datetime) -> Listing:
    return await client.list_since(since, MMS)


async def _list_calls(client: ElksClient, since: datetime) -> Listing:
    return await client.calls.list_since(since)


HISTORIES: Mapping[str, ReadHistory] = {SMS: _list_sms, MMS: _list_mms, CALL: _list_calls}
"""How the history of a kind is read. Orders in doubt of a kind without one are left to a person."""


async def _read_history(read: ReadHistory, client: ElksClient, since: datetime) -> Listing | None:
    """Read all that was sent since; None where that cannot be read whole."""
    try:
        listing = await read(client, since - SKEW)
    except ProviderError:
        return None
    return listing if listing.complete else None
