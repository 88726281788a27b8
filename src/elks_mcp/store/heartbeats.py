"""Heartbeats: which processes send for an account.

A long-running server has one all the time, any other process while it sends the rows of a batch.
"""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Insert, and_, delete, not_, select
from sqlalchemy.dialects import postgresql, sqlite

from elks_mcp.domain.batches import SERVER_ENDED
from elks_mcp.domain.orders import OrderState
from elks_mcp.store.batch_pauses import pause_batch
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import heartbeats, orders
from elks_mcp.store.db.transactions import deciding, reading, writing
from elks_mcp.store.values import ServerKind

ALIVE_FOR = timedelta(minutes=2)
"""How long after its latest heartbeat a process counts as running."""

_SILENT_AFTER = timedelta(seconds=30)
"""A process that sends a batch records a heartbeat every 10 seconds."""


class BatchSender(NamedTuple):
    """A process that sends the rows of batches, as far as known."""

    kind: ServerKind
    last_seen: timedelta
    """How long ago its latest heartbeat was recorded."""

    @property
    def is_silent(self) -> bool:
        """Whether it missed heartbeats, so that it may have been killed."""
        return self.last_seen > _SILENT_AFTER


class Heartbeats:
    """The heartbeats of one account's processes. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @writing
    def record(self, tx: Tx, process_id: str, kind: ServerKind, *, escalates: bool = False) -> None:
        """Record that a process runs now. `escalates`: whether it carries alerts on."""
        insert: Insert = (postgresql.insert if tx.is_postgres else sqlite.insert)(heartbeats)
        key = {"account_id": tx.account_id, "process_id": process_id}
        statement = insert.values(**key, kind=kind, started_at=tx.now, seen_at=tx.now, escalates=escalates)
        seen = {"seen_at": tx.now, "kind": kind, "escalates": escalates}
        tx.execute(statement.on_conflict_do_update(index_elements=list(key), set_=seen))  # type: ignore[attr-defined]

    @deciding
    def forget(self, tx: Tx, process_id: str, why_paused: str = SERVER_ENDED) -> None:
        """Delete the heartbeat of a process that ends.

        If no other process is left that sends, the batches under way are paused for the reason `why_paused`,
        so that their rows do not expire one by one. A batch whose time is still to come is left: a client may
        be open then.
        """
        is_its_own = and_(heartbeats.c.account_id == tx.account_id, heartbeats.c.process_id == process_id)
        tx.execute(delete(heartbeats).where(is_its_own))
        alive = select(heartbeats.c.kind).where(heartbeats.c.account_id == tx.account_id, _is_alive(tx))
        if tx.first(alive) is None:
            _pause_batches(tx, why_paused)

    @reading
    def find_alive(self, tx: Tx) -> ServerKind | None:
        """Return the kind of the long-running server that was seen last; None if none runs."""
        alive = select(heartbeats.c.kind).where(heartbeats.c.account_id == tx.account_id, _is_alive(tx))
        lasting = alive.where(heartbeats.c.kind != ServerKind.CLIENT)
        row = tx.first(lasting.order_by(heartbeats.c.seen_at.desc(), heartbeats.c.process_id).limit(1))
        return ServerKind(row.kind) if row else None

    @reading
    def find_escalating(self, tx: Tx) -> ServerKind | None:
        """Return the kind of the server that carries alerts on and was seen last; None if none does."""
        alive = select(heartbeats.c.kind).where(heartbeats.c.account_id == tx.account_id, _is_alive(tx))
        escalating = alive.where(heartbeats.c.escalates)
        row = tx.first(escalating.order_by(heartbeats.c.seen_at.desc(), heartbeats.c.process_id).limit(1))
        return ServerKind(row.kind) if row else None

    @reading
    def find_sender(self, tx: Tx) -> BatchSender | None:
        """Return a process that sends batches, one that is not silent and a long-running one first."""
        alive = select(heartbeats.c.kind, heartbeats.c.seen_at)
        rows = tx.all(alive.where(heartbeats.c.account_id == tx.account_id, _is_alive(tx)))
        senders = [BatchSender(ServerKind(row.kind), tx.now - row.seen_at) for row in rows]
        return min(senders, default=None, key=lambda each: (each.is_silent, each.kind is ServerKind.CLIENT))


def delete_dead(tx: Tx) -> None:
    """Delete the heartbeats of processes that ended without deleting them."""
    tx.execute(delete(heartbeats).where(heartbeats.c.account_id == tx.account_id, not_(_is_alive(tx))))


def _pause_batches(tx: Tx, reason: str) -> None:
    """Pause the batches of which a row is queued."""
    queued = (
        select(orders.c.batch_id)
        .distinct()
        .where(
            orders.c.account_id == tx.account_id,
            orders.c.state == OrderState.QUEUED,
            orders.c.batch_id.is_not(None),
        )
    )
    for row in tx.all(queued):
        pause_batch(tx, row.batch_id, reason)


def _is_alive(tx: Tx) -> ColumnElement[bool]:
    """Build the condition that a process runs.

    A heartbeat in the future does not count: it was recorded before a clock was set back.
    """
    seen_at = heartbeats.c.seen_at
    return and_(seen_at > tx.now - ALIVE_FOR, seen_at < tx.now + ALIVE_FOR)
