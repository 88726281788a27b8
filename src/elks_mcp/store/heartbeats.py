"""Heartbeats: which long-running servers send for an account, also while no client is open."""

from datetime import timedelta

from sqlalchemy import ColumnElement, Insert, and_, delete, not_, select
from sqlalchemy.dialects import postgresql, sqlite

from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import heartbeats
from elks_mcp.store.db.transactions import reading, writing
from elks_mcp.store.values import ServerKind

ALIVE_FOR = timedelta(minutes=2)
"""How long after its latest heartbeat a server counts as running."""


class Heartbeats:
    """The heartbeats of one account's long-running servers. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @writing
    def record(self, tx: Tx, process_id: str, kind: ServerKind) -> None:
        """Record that a server runs now."""
        insert: Insert = (postgresql.insert if tx.is_postgres else sqlite.insert)(heartbeats)
        key = {"account_id": tx.account_id, "process_id": process_id}
        statement = insert.values(**key, kind=kind, started_at=tx.now, seen_at=tx.now)
        seen = {"seen_at": tx.now}
        tx.execute(statement.on_conflict_do_update(index_elements=list(key), set_=seen))  # type: ignore[attr-defined]

    @writing
    def forget(self, tx: Tx, process_id: str) -> None:
        """Delete the heartbeat of a server that ends."""
        is_its_own = and_(heartbeats.c.account_id == tx.account_id, heartbeats.c.process_id == process_id)
        tx.execute(delete(heartbeats).where(is_its_own))

    @reading
    def find_alive(self, tx: Tx) -> ServerKind | None:
        """Return the kind of the running server that was seen last; None if none runs."""
        alive = select(heartbeats.c.kind).where(heartbeats.c.account_id == tx.account_id, _is_alive(tx))
        row = tx.first(alive.order_by(heartbeats.c.seen_at.desc(), heartbeats.c.process_id).limit(1))
        return ServerKind(row.kind) if row else None


def delete_dead(tx: Tx) -> None:
    """Delete the heartbeats of servers that ended without deleting them."""
    tx.execute(delete(heartbeats).where(heartbeats.c.account_id == tx.account_id, not_(_is_alive(tx))))


def _is_alive(tx: Tx) -> ColumnElement[bool]:
    """Build the condition that a server runs.

    A heartbeat in the future does not count: it was recorded before a clock was set back.
    """
    seen_at = heartbeats.c.seen_at
    return and_(seen_at > tx.now - ALIVE_FOR, seen_at < tx.now + ALIVE_FOR)
